//! `kind: rest` in `sources/*.yml`: which connector, its configuration, which of its streams.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_lake::{Error, Result, yaml};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};
use tokio_util::sync::CancellationToken;

use super::check::check;
use super::clock::Clock;
use super::engine::Engine;
use super::extraction::RestExtraction;
use super::manifest::{ANY, Manifest};
use super::pages::Run;
use super::plan::Plan;
use super::values::Values;
use crate::extract::{Extraction, Request};
use crate::kind::Kind;
use crate::options::{Disposition, Options, Zone, stream};

stream! {
    /// What a user says about a stream of a connector, over what its manifest says.
    #[derive(Default)]
    pub(crate) struct RestStream {
        /// What the manifest wants to know of this stream.
        #[serde(default)]
        config: Map<String, Json>,
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
    /// The values of streams that have some of their own.
    own: BTreeMap<String, Values>,
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
                    .hint("give `connector` (one that ships) or `manifest` (a file of the project), and one of them only")
                    .at(file.display(), 0, 0));
            }
        };
        Self::new(manifest, ships, parsed).map_err(|error| placed(error, file))
    }

    fn new(manifest: Manifest, ships: bool, file: RestFile) -> Result<Self> {
        let values = Values::new(&manifest.config, file.config)?;
        let all = || manifest.names().map(|name| (name.to_owned(), RestStream::default())).collect();
        let selected = file.streams.map_or_else(all, |selected| selected.0);
        if selected.is_empty() {
            return Err(Error::config("reading the source", "it names no stream")
                .hint("its streams are named by you, under `streams:`"));
        }
        let (manifest, own) = configured(manifest, &values, &selected)?;
        let mut streams = BTreeMap::new();
        for (name, stream) in selected {
            let Some(spec) = manifest.streams.get(&name) else {
                continue;
            };
            let options = stream.options().or(&manifest.options(spec));
            if options.disposition == Some(Disposition::Append) && !manifest.is_incremental(spec) {
                return Err(Error::config(
                    format!("reading stream {name}"),
                    "`disposition: append` would double its rows, as it is read whole each time",
                )
                .hint("use `disposition: replace`, or merge with a `key`"));
            }
            streams.insert(name, options);
        }
        Ok(Self {
            manifest: Arc::new(manifest),
            ships,
            values,
            own,
            streams,
            timezone: file.timezone.0,
            engine: Mutex::default(),
        })
    }

    fn run(&self, load_at: chrono::DateTime<chrono::Utc>, cancel: &CancellationToken) -> Result<Arc<Run>> {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = match &*engine {
            Some(engine) => engine.clone(),
            None => {
                let new = Engine::new(self.manifest.clone(), &self.values, Clock::system())?;
                engine.insert(Arc::new(new.with_streams(&self.own))).clone()
            }
        };
        Ok(Arc::new(Run { engine, load_at, cancel: cancel.clone() }))
    }
}

/// The manifest with the streams that a user names in place of the one that is their template, and their values.
fn configured(
    mut manifest: Manifest,
    values: &Values,
    selected: &BTreeMap<String, RestStream>,
) -> Result<(Manifest, BTreeMap<String, Values>)> {
    for name in selected.keys() {
        let Some(spec) = manifest.stream(name).cloned() else {
            let names = manifest.names();
            let hint = yaml::nearest(name, manifest.names()).map_or_else(
                || format!("the streams are: {}", names.collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Error::config("reading the source", format!("there is no stream `{name}`")).hint(hint));
        };
        manifest.streams.insert(name.clone(), spec);
    }
    manifest.streams.remove(ANY);
    let mut own = BTreeMap::new();
    for (name, spec) in &mut manifest.streams {
        let given = selected.get(name).map(|stream| stream.config.clone()).unwrap_or_default();
        let values = values
            .of_stream(&spec.config, given, name)
            .map_err(|error| error.with("stream", name))?;
        *spec = spec.resolved(&manifest.defaults, &values.scope().with("stream", name))?;
        own.insert(name.clone(), values);
    }
    manifest.defaults.incremental = None;
    Ok((manifest, own))
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
        let plan = Plan::new(&run.engine, request.stream, self.timezone)?;
        let missing = || Error::config("looking for a stream", format!("there is no stream `{}`", request.stream));
        let options = self.streams.get(request.stream).ok_or_else(missing)?;
        Ok(Box::new(RestExtraction::new(&request, run, plan, options)?))
    }

    async fn check(&self, _project: &Path, _source: &str, stream: &str, cancel: &CancellationToken) -> Result<()> {
        let run = self.run(chrono::Utc::now(), cancel)?;
        let plan = Plan::new(&run.engine, stream, self.timezone)?;
        check(&run, &plan).await
    }
}
