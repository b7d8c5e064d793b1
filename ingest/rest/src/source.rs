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

use crate::check::{Checked, check};
use crate::config::{RestFile, RestStream};
use crate::extraction::{ExtractionRequest, RestExtraction};
use crate::manifest::{CursorType, Distance, Manifest, StreamSpec};
use crate::page::Run;
use crate::personal;
use crate::plan::{Plan, PreparedStreams, look_up, prepare};

/// A source that is asked over HTTP. Not `Debug`: it holds secrets.
pub(crate) struct RestSource {
    manifest: Arc<Manifest>,
    values: Values,
    prepared: PreparedStreams,
    streams: BTreeMap<String, Options>,
    /// The columns that the source itself names, by stream.
    own_columns: BTreeMap<String, Vec<String>>,
    timezone: Tz,
    /// One for all streams, so that they share limits and tokens.
    engine: Mutex<Option<Arc<Engine>>>,
    /// Whether the manifest's own check has been answered.
    checked: Checked,
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
        let manifest = match (&parsed.connector, &parsed.manifest) {
            (Some(name), None) => Manifest::connector(name).map_err(|error| placed(error, file))?,
            (None, Some(path)) => Manifest::read(&project.join(path))?,
            _ => {
                return Err(Error::config("reading the source", "it says not which system it asks")
                    .hint(
                        "give `connector` (one that ships) or `manifest` (a file of the project), and one of them only",
                    )
                    .at(file.display(), 0, 0));
            }
        };
        Self::described(manifest, parsed, file)
    }

    /// The source that `parsed`, which came from `file`, makes of a manifest.
    fn described(mut manifest: Manifest, parsed: RestFile, file: &Path) -> Result<Self> {
        manifest.limits = parsed.limits.clone().over(manifest.limits);
        manifest.retry = parsed.retry.clone().over(manifest.retry);
        manifest.trusted_hosts.extend(parsed.trusted_hosts.iter().cloned());
        Self::new(manifest.validated(file)?, parsed).map_err(|error| placed(error, file))
    }

    fn new(manifest: Manifest, file: RestFile) -> Result<Self> {
        let values = Values::new(&manifest.config, file.config)?;
        let mut prepared = PreparedStreams::new();
        let (mut streams, mut own_columns) = (BTreeMap::new(), BTreeMap::new());
        let all = || {
            manifest
                .names()
                .map(|name| (name.to_owned(), RestStream::default()))
                .collect()
        };
        for (name, own) in file.streams.map_or_else(all, |selected| selected.0) {
            prepare(&manifest, &values, &name, own.config.0.clone(), &mut prepared)?;
            let Some((spec, _)) = prepared.get_mut(&name) else {
                continue;
            };
            spec.format = own
                .format
                .clone()
                .or_else(|| file.format.clone())
                .or(spec.format.take());
            set_lag(spec, &name, own.lag, file.lag)?;
            own_columns.insert(name.clone(), own.options().columns.into_keys().collect());
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
            spec.key.clone_from(&options.key);
            streams.insert(name, options);
        }
        // Streams that are read only for their children are read alike.
        for (name, (spec, _)) in prepared.iter_mut().filter(|(name, _)| !streams.contains_key(*name)) {
            spec.format = file.format.clone().or(spec.format.take());
            set_lag(spec, name, None, file.lag)?;
        }
        if streams.is_empty() {
            return Err(Error::config("reading the source", "it has no streams")
                .hint("name under `streams` what this connector is to read"));
        }
        personal::refuse_cursors(&prepared, &streams)?;
        personal::refuse_included(&prepared, &streams)?;
        Ok(Self {
            manifest: Arc::new(manifest),
            values,
            prepared,
            streams,
            own_columns,
            timezone: file.timezone.0,
            engine: Mutex::default(),
            checked: Checked::default(),
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

/// Sets how far back a stream's loads begin: as the stream says, or as the source does where that makes sense.
fn set_lag(spec: &mut StreamSpec, name: &str, own: Option<Distance>, of_all: Option<Distance>) -> Result<()> {
    let fits = |kind: CursorType, lag: Distance| match lag {
        Distance::Time(_) => kind.is_time(),
        Distance::Count(_) => kind == CursorType::Counter,
    };
    match (&mut spec.incremental, own) {
        (Some(incremental), Some(lag)) if fits(incremental.kind, lag) => incremental.lag = Some(lag),
        (_, Some(_)) => {
            let why = "its `lag` does not fit: it has no position, or one of another type";
            let hint = "give a duration for times, a number for a counter; streams that are read whole have none";
            return Err(Error::config(format!("reading stream {name}"), why).hint(hint));
        }
        (Some(incremental), None) => {
            incremental.lag = of_all.filter(|lag| fits(incremental.kind, *lag)).or(incremental.lag);
        }
        (None, None) => {}
    }
    Ok(())
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

    fn may_lack(&self, stream: &str, column: &str) -> bool {
        let own = self.own_columns.get(stream);
        !own.is_some_and(|own| own.iter().any(|name| name == column))
    }

    fn begin(&self) {
        self.checked.forget();
        if let Some(engine) = &*locked(&self.engine) {
            engine.begin();
        }
    }

    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>> {
        let run = self.run(request.load_at, &request.cancel)?;
        let looked_up = look_up(&run, &self.prepared, request.stream).await?;
        let plan = Plan::new(
            &run,
            &self.prepared,
            &looked_up,
            request.stream,
            self.cursor_zone(request.stream),
        )?;
        let missing = || unknown_stream(request.stream, self.streams.keys().map(String::as_str));
        let options = self.streams.get(request.stream).ok_or_else(missing)?;
        let request = ExtractionRequest {
            personal_parents: personal::has_personal_parents(&self.prepared, &self.streams, request.stream),
            ..ExtractionRequest::of(&request)
        };
        Ok(Box::new(RestExtraction::new(request, run, plan, options)?))
    }

    async fn check(&self, _project: &Path, _source: &str, stream: &str, cancel: &CancellationToken) -> Result<()> {
        let run = self.run(chrono::Utc::now(), cancel)?;
        self.checked.system(&run).await?;
        let looked_up = look_up(&run, &self.prepared, stream).await?;
        let plan = Plan::new(&run, &self.prepared, &looked_up, stream, self.cursor_zone(stream))?;
        check(&run, &plan).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cordada_core::units::Span;
    use cordada_http::decode::Format;

    use super::*;

    fn source(text: &str) -> Result<RestSource> {
        let file = Path::new("sources/pay.yml");
        let text = format!("kind: rest\nconnector: stripe\nconfig: {{api_key: x}}\n{text}");
        RestSource::described(Manifest::connector("stripe")?, yaml::parse(file, &text)?, file)
    }

    #[test]
    fn a_source_sets_what_its_manifest_does() {
        let source = source(
            "limits: {concurrency: 1}\nretry: {attempts: 2}\nlag: 1h\ntrusted_hosts: [b.example]\nstreams:\n  \
             charges: {lag: 90d}\n  refunds: {}\n  prices: {format: xml, columns: {extra: {pii: text}}}\n",
        )
        .unwrap();
        let manifest = &source.manifest;
        assert_eq!((manifest.limits.concurrency, manifest.limits.budgets.len()), (1, 1));
        assert_eq!((manifest.retry.attempts, manifest.retry.first), (2, Span::seconds(1)));
        assert_eq!(manifest.trusted_hosts.len(), 1);
        let lag = |stream: &str| source.prepared[stream].0.incremental.as_ref().unwrap().lag;
        assert_eq!(lag("charges"), Some(Distance::Time(Span::seconds(90 * 86_400))));
        assert_eq!(lag("refunds"), Some(Distance::Time(Span::seconds(3600))));
        assert_eq!(source.prepared["prices"].0.format, Some(Format::Xml));
        // What the connector says of columns holds for accounts that have them; what the source says holds.
        assert!(source.may_lack("charges", "receipt_email") && !source.may_lack("prices", "extra"));
    }

    #[test]
    fn what_a_source_sets_holds_for_parents_that_do_not_land() {
        let manifest = "title: T\nbase_url: https://a.example\nstreams:\n  orders: {request: {path: /o}, \
                        incremental: {cursor: at}, key: [id]}\n  lines: {request: {path: '/o/{{ parent.id }}'}, \
                        parent: {stream: orders, fields: {id: id}, incremental: true}, key: [id]}\n";
        let file = Path::new("sources/a.yml");
        let text = "kind: rest\nmanifest: a.yml\nlag: 1h\nformat: xml\nstreams: [lines]\n";
        let manifest = Manifest::parse(Path::new("a.yml"), manifest).unwrap();
        let source = RestSource::described(manifest, yaml::parse(file, text).unwrap(), file).unwrap();
        let (orders, _) = &source.prepared["orders"];
        assert_eq!(orders.format, Some(Format::Xml));
        let lag = orders.incremental.as_ref().unwrap().lag;
        assert_eq!(lag, Some(Distance::Time(Span::seconds(3600))));
    }

    #[test]
    fn what_a_source_sets_has_to_make_sense() {
        for (text, expected) in [
            ("limits: {concurrency: 0}\n", "limits.concurrency: it is 0"),
            ("limits: {concurency: 1}\n", "did you mean `concurrency`"),
            ("streams: {prices: {lag: 1h}}\n", "its `lag` does not fit"),
            ("streams: {charges: {lag: 5}}\n", "its `lag` does not fit"),
        ] {
            let error = source(text).err().unwrap();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.to_string().starts_with("sources/pay.yml"), "{error}");
        }
    }
}
