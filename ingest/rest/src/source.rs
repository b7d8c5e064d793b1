//! A source that is asked over HTTP, as landing sees it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::names::snake_case;
use cordada_core::threads::locked;
use cordada_core::{Error, Result, yaml};
use cordada_http::clock::Clock;
use cordada_http::engine::Engine;
use cordada_http::values::Values;
use cordada_ingest_source::extract::{Extraction, Request};
use cordada_ingest_source::options::{Disposition, Options};
use cordada_ingest_source::{Source, unknown_stream};
use tokio_util::sync::CancellationToken;

use crate::check::check;
use crate::config::{RestFile, RestStream};
use crate::extraction::{ExtractionRequest, RestExtraction};
use crate::manifest::Manifest;
use crate::page::Run;
use crate::plan::{Plan, PreparedStreams, prepare};

/// A source that is asked over HTTP. Not `Debug`: it holds secrets.
pub(crate) struct RestSource {
    manifest: Arc<Manifest>,
    ships: bool,
    values: Values,
    prepared: PreparedStreams,
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
        let mut prepared = PreparedStreams::new();
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

    /// The zone of the times of a stream's cursor that carry none.
    fn cursor_zone(&self, stream: &str) -> Tz {
        let Some(options) = self.streams.get(stream) else {
            return self.timezone;
        };
        let incremental = self
            .prepared
            .get(stream)
            .and_then(|(spec, _)| spec.incremental.as_ref());
        let cursor = incremental.map_or("", |incremental| incremental.cursor.source());
        options.zones(self.timezone).at(cursor.split('.').map(snake_case)).tz
    }

    fn run(&self, load_at: chrono::DateTime<chrono::Utc>, cancel: &CancellationToken) -> Result<Arc<Run>> {
        let mut engine = locked(&self.engine);
        let engine = match &*engine {
            Some(engine) => engine.clone(),
            None => engine
                .insert(Arc::new(Engine::new(
                    self.manifest.system(),
                    &self.values,
                    Clock::system(),
                )?))
                .clone(),
        };
        Ok(Arc::new(Run {
            manifest: self.manifest.clone(),
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
impl Source for RestSource {
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
        let plan = Plan::new(&run, &self.prepared, request.stream, self.cursor_zone(request.stream))?;
        let missing = || unknown_stream(request.stream, self.streams.keys().map(String::as_str));
        let options = self.streams.get(request.stream).ok_or_else(missing)?;
        Ok(Box::new(RestExtraction::new(
            ExtractionRequest::of(&request),
            run,
            plan,
            options,
        )?))
    }

    async fn check(&self, _project: &Path, _source: &str, stream: &str, cancel: &CancellationToken) -> Result<()> {
        let run = self.run(chrono::Utc::now(), cancel)?;
        let plan = Plan::new(&run, &self.prepared, stream, self.cursor_zone(stream))?;
        check(&run, &plan).await
    }
}
