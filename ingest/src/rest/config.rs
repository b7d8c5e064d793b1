//! `kind: rest` in `sources/*.yml`: which connector, its configuration, which of its streams.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::{Error, Result, yaml};
use serde::{Deserialize, Deserializer};
use serde::de::Error as _;
use serde_json::{Map, Value as Json};
use tokio_util::sync::CancellationToken;

use crate::extract::{Extraction, Request};
use crate::kind::Kind;
use crate::options::{Disposition, Options, Zone, stream};
use super::check::check;
use super::clock::Clock;
use super::engine::Engine;
use super::extraction::{Asked, RestExtraction};
use super::manifest::Manifest;
use super::pages::Run;
use super::plan::{Plan, Prepared, prepare};
use super::values::Values;

stream! {
    /// What a user says about a stream of a connector, over what its manifest says.
    #[derive(Default)]
    pub(crate) struct RestStream {
        /// What a manifest wants to know of this stream.
        #[serde(default)]
        config: Given,
    }
}

/// Values that a user gives. They may be secrets.
#[derive(Clone, Default, Deserialize)]
struct Given(Map<String, Json>);

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given")
    }
}

/// The file of a source. Not `Debug`: it holds secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestFile {
    #[serde(rename = "kind")]
    _kind: String,
    /// One that ships.
    #[serde(default)]
    connector: Option<String>,
    /// Or a file of the project.
    #[serde(default)]
    manifest: Option<String>,
    #[serde(default)]
    config: Map<String, Json>,
    /// The zone of times that carry none.
    #[serde(default)]
    timezone: Zone,
    /// All if there are none.
    #[serde(default)]
    streams: Option<Selected>,
}

/// `[orders, customers]`, or `{orders: {…}}`.
struct Selected(BTreeMap<String, RestStream>);

impl<'de> Deserialize<'de> for Selected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Selected;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of streams, or a mapping from streams to what is said about them")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Selected, A::Error> {
                let mut streams = BTreeMap::new();
                while let Some(name) = items.next_element::<String>()? {
                    if streams.insert(name.clone(), RestStream::default()).is_some() {
                        return Err(A::Error::custom(format!("the stream `{name}` is named twice")));
                    }
                }
                Ok(Selected(streams))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut entries: A) -> Result<Selected, A::Error> {
                let mut streams = BTreeMap::new();
                while let Some((name, stream)) = entries.next_entry::<String, Option<RestStream>>()? {
                    streams.insert(name, stream.unwrap_or_default());
                }
                Ok(Selected(streams))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A source that is asked over HTTP. Not `Debug`: it holds secrets.
pub(crate) struct RestSource {
    manifest: Arc<Manifest>,
    ships: bool,
    values: Values,
    prepared: Prepared,
    streams: BTreeMap<String, Options>,
    timezone: Tz,
    /// One for all streams, so that they share limits and tokens.
    engine: Mutex<Option<Arc<Engine>>>,
}

impl RestSource {
    /// Reads the file of a source.
    ///
    /// # Errors
    /// Config, with its place, for what makes no sense in it or in the manifest.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let parsed: RestFile = yaml::read(file)?;
        // Files are named as seen from the project, whose folder `sources` this is.
        let project = file.parent().and_then(Path::parent).unwrap_or(Path::new(""));
        let (manifest, ships) = match (&parsed.connector, &parsed.manifest) {
            (Some(name), None) => (Manifest::connector(name).map_err(|error| placed(error, file))?, true),
            (None, Some(path)) => (Manifest::read(&project.join(path))?, false),
            _ => {
                return Err(Error::config("reading the source", "it says not which system it asks")
                    .hint(
                        "give `connector` (one that ships) or `manifest` (a file of the project), and one of them only",
                    )
                    .at(file.display(), 0, 0));
            }
        };
        Self::new(manifest, ships, parsed).map_err(|error| placed(error, file))
    }

    fn new(manifest: Manifest, ships: bool, file: RestFile) -> Result<Self> {
        let values = Values::new(&manifest.config, file.config)?;
        let mut prepared = Prepared::new();
        let mut streams = BTreeMap::new();
        let all = || {
            manifest
                .names()
                .map(|name| (name.to_owned(), RestStream::default()))
                .collect()
        };
        for (name, own) in file.streams.map_or_else(all, |selected| selected.0) {
            prepare(&manifest, &values, &name, own.config.0.clone(), &mut prepared)?;
            let Some((spec, _)) = prepared.get(&name) else {
                continue;
            };
            let incremental = spec.is_incremental(spec.incremental.as_ref());
            let (own, mut defaults) = (own.options(), spec.options(incremental));
            if incremental && spec.disposition.is_none() && !own.key.is_empty() {
                defaults.disposition = Some(Disposition::Merge);
            }
            let options = own.or(&defaults);
            if options.disposition == Some(Disposition::Append) && !incremental {
                return Err(Error::config(
                    format!("reading stream {name}"),
                    "`disposition: append` would double its rows, as it is read whole each time",
                )
                .hint("use `disposition: replace`, or merge with a `key`"));
            }
            streams.insert(name, options);
        }
        if streams.is_empty() {
            return Err(Error::config("reading the source", "it has no streams")
                .hint("name under `streams` what this connector is to read"));
        }
        Ok(Self {
            manifest: Arc::new(manifest),
            ships,
            values,
            prepared,
            streams,
            timezone: file.timezone.0,
            engine: Mutex::default(),
        })
    }

    fn run(&self, load_at: chrono::DateTime<chrono::Utc>, cancel: &CancellationToken) -> Result<Arc<Run>> {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = match &*engine {
            Some(engine) => engine.clone(),
            None => engine
                .insert(Arc::new(Engine::new(
                    self.manifest.clone(),
                    &self.values,
                    Clock::system(),
                )?))
                .clone(),
        };
        Ok(Arc::new(Run {
            engine,
            load_at,
            cancel: cancel.clone(),
        }))
    }
}

fn placed(error: Error, file: &Path) -> Error {
    match error.place() {
        Some(_) => error,
        None => error.at(file.display(), 0, 0),
    }
}

#[async_trait]
impl Kind for RestSource {
    fn streams(&self) -> BTreeMap<String, Options> {
        self.streams.clone()
    }

    fn timezone(&self) -> Tz {
        self.timezone
    }

    fn is_connector(&self) -> bool {
        self.ships
    }

    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>> {
        let run = self.run(request.load_at, &request.cancel)?;
        let plan = Plan::new(&run.engine, &self.prepared, request.stream, self.timezone)?;
        let missing = || {
            Error::config(
                "looking for a stream",
                format!("there is no stream `{}`", request.stream),
            )
        };
        let options = self.streams.get(request.stream).ok_or_else(missing)?;
        Ok(Box::new(RestExtraction::new(Asked::of(&request), run, plan, options)?))
    }

    async fn check(&self, _project: &Path, _source: &str, stream: &str, cancel: &CancellationToken) -> Result<()> {
        let run = self.run(chrono::Utc::now(), cancel)?;
        let plan = Plan::new(&run.engine, &self.prepared, stream, self.timezone)?;
        check(&run, &plan).await
    }
}
