//! A stream of a manifest, ready to be asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, ErrorKind, Result};
use cordada_http::answer::AnswerOptions;
use cordada_http::client::Target;
use cordada_http::decode::{Fields, Format};
use cordada_http::outgoing::Addition;
use cordada_http::system::request::Request;
use cordada_http::template::{Filter, Scope, Template};
use cordada_http::values::Values;
use cordada_ingest_formats::json::pointer::{Pointer, Records};
use cordada_ingest_source::unknown_stream;
use serde_json::{Map, Value as Json};

use super::manifest::{Distance, Job, Manifest, Order, Paginate, StreamSpec};
use super::mark::Cursor;
use super::page::Run;

/// How a stream is read.
pub(crate) struct Plan {
    pub(crate) name: String,
    /// What its templates see besides what is new in each request.
    scope: Scope,
    pub(crate) request: Request,
    /// What is asked for in place of it by a check.
    pub(crate) check: Option<Request>,
    pub(crate) answers: Arc<AnswerOptions>,
    pub(crate) paginate: Paginate,
    pub(crate) filter: Option<Filter>,
    pub(crate) positions: Option<Positions>,
    pub(crate) parent: Option<ParentPlan>,
    pub(crate) job: Option<JobPlan>,
}

/// How a stream is read from where the last load came to.
pub(crate) struct Positions {
    pub(crate) cursor: Arc<Cursor>,
    pub(crate) initial: Option<Template>,
    pub(crate) window: Option<Distance>,
    pub(crate) ascending: bool,
    pub(crate) per_parent: bool,
}

/// The stream whose records a stream is asked for by.
pub(crate) struct ParentPlan {
    pub(crate) plan: Arc<Plan>,
    /// Their names in templates, and where they are.
    pub(crate) fields: Vec<(String, Pointer)>,
    pub(crate) include: Vec<String>,
    /// Whether only parents that changed are gone through.
    pub(crate) incremental: bool,
}

/// An export and how its answers are read.
pub(crate) struct JobPlan {
    pub(crate) job: Job,
    pub(crate) submit: Request,
    pub(crate) poll: Request,
    pub(crate) download: Option<Request>,
    pub(crate) submitted: Arc<AnswerOptions>,
    pub(crate) polled: Arc<AnswerOptions>,
    pub(crate) result: Arc<AnswerOptions>,
}

impl Plan {
    /// The plan of the stream called `name`, whose times without a zone are of `zone`.
    ///
    /// # Errors
    /// Config if there is no such stream.
    pub(crate) fn new(
        run: &Run,
        streams: &PreparedStreams,
        looked_up: &LookedUp,
        name: &str,
        zone: Tz,
    ) -> Result<Arc<Self>> {
        let missing = || unknown_stream(name, streams.keys().map(String::as_str));
        let (stream, scope) = streams.get(name).ok_or_else(missing)?;
        let scope = match looked_up.get(name) {
            Some(values) => scope.with("lookup", values),
            None => scope.clone(),
        };
        let (manifest, engine) = (&run.manifest, &run.engine);
        let defaults = &manifest.defaults;
        let paginate = stream
            .paginate
            .clone()
            .or_else(|| defaults.paginate.clone())
            .unwrap_or_default();
        let format = stream
            .format
            .clone()
            .or_else(|| defaults.format.clone())
            .unwrap_or_default();
        let records = match stream.records.clone().or_else(|| defaults.records.clone()) {
            Some(records) => records,
            None => records_of(&format)?,
        };
        let mut answers = engine.answer_options(format, Some(records), paginate.pointers());
        let fields = Fields {
            decimals: [&stream.decimals[..], &defaults.decimals].concat(),
            rfc2822: [&stream.rfc2822[..], &defaults.rfc2822].concat(),
            utc: [&stream.utc[..], &defaults.utc].concat(),
            decimal_commas: [&stream.decimal_commas[..], &defaults.decimal_commas].concat(),
        };
        answers.fields.clone_from(&fields);
        answers.key = stream.key.iter().map(|name| Pointer::dotted(name)).collect();
        answers.paged = !matches!(paginate, Paginate::None);
        let positions = stream.incremental.as_ref().map(|incremental| Positions {
            cursor: Arc::new(Cursor::new(incremental, zone)),
            initial: incremental.initial.clone(),
            window: incremental.window,
            ascending: incremental.order == Order::Ascending,
            per_parent: incremental.per_parent,
        });
        let parent = stream.parent.as_ref().map(|parent| -> Result<ParentPlan> {
            let field = |(name, path): (&String, &String)| (name.clone(), Pointer::dotted(path));
            Ok(ParentPlan {
                plan: Plan::new(run, streams, looked_up, &parent.stream, zone)?,
                fields: parent.fields.iter().map(field).collect(),
                include: parent.include.clone(),
                incremental: parent.incremental,
            })
        });
        Ok(Arc::new(Self {
            name: name.to_owned(),
            scope,
            request: manifest.effective(&stream.request),
            check: stream.check.clone(),
            answers: Arc::new(answers),
            paginate,
            filter: stream.filter.clone(),
            positions,
            parent: parent.transpose()?,
            job: stream.job.as_ref().map(|job| JobPlan::new(run, job, &fields)),
        }))
    }

    /// What templates see of a request in a load that began at `now`.
    pub(crate) fn scope(&self, now: DateTime<Utc>) -> Scope {
        self.scope.with("now", now.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

/// What has been looked up, by the streams that need it.
pub(crate) type LookedUp = BTreeMap<String, Map<String, Json>>;

/// Looks up what the stream called `name` and those that its parents are of have to know.
///
/// # Errors
/// As [`ask`](cordada_http::engine::Engine::ask); failed for an answer without it.
pub(crate) async fn look_up(run: &Run, streams: &PreparedStreams, name: &str) -> Result<LookedUp> {
    let mut looked_up = LookedUp::new();
    let mut next = streams.get_key_value(name);
    while let Some((name, (stream, scope))) = next {
        let scope = scope.with("now", run.load_at.to_rfc3339_opts(SecondsFormat::Secs, true));
        for (key, lookup) in &stream.lookups {
            let request = run.manifest.effective(&lookup.request);
            let outgoing = run.engine.outgoing(&request, &scope, &Addition::default())?;
            let options = Arc::new(run.engine.answer_options(Format::Json, None, [&lookup.at]));
            let answer = match run.engine.ask(&outgoing, &options, &run.cancel).await {
                // What these credentials may not look at is not there for them; whether they are taken at all is for
                // the stream's own request to say.
                Err(error) if lookup.optional && matches!(error.kind(), ErrorKind::Failed | ErrorKind::Config) => None,
                answer => answer?,
            };
            let missing = || {
                let why = format!("there is nothing at {} in the answer", lookup.at);
                Error::failed(format!("looking up `{key}` of {name}"), why)
            };
            let value = answer.and_then(|answer| answer.value(&lookup.at));
            let value = value.or(lookup.optional.then_some(Json::Null)).ok_or_else(missing)?;
            looked_up.entry(name.clone()).or_default().insert(key.clone(), value);
        }
        next = stream
            .parent
            .as_ref()
            .and_then(|parent| streams.get_key_value(&parent.stream));
    }
    Ok(looked_up)
}

/// Streams as the configuration makes them, with what their templates see.
pub(crate) type PreparedStreams = BTreeMap<String, (StreamSpec, Scope)>;

/// Adds the stream called `name`, and those that its parents are of, to `prepared`.
///
/// # Errors
/// Config if there is no such stream, and for values that it lacks.
pub(crate) fn prepare(
    manifest: &Manifest,
    values: &Values,
    name: &str,
    given: Map<String, Json>,
    prepared: &mut PreparedStreams,
) -> Result<()> {
    let Some(spec) = manifest.stream(name) else {
        let hint = did_you_mean(name, "the streams are", manifest.names());
        return Err(Error::config("choosing the streams", format!("there is no stream `{name}`")).hint(hint));
    };
    let scope = values
        .of_stream(name, &spec.config, given)?
        .scope()
        .with("stream", name);
    let resolved = spec.resolved(&manifest.defaults, &scope)?;
    prepared.insert(name.to_owned(), (resolved, scope));
    match &spec.parent {
        Some(parent) if !prepared.contains_key(&parent.stream) => {
            prepare(manifest, values, &parent.stream, Map::new(), prepared)
        }
        _ => Ok(()),
    }
}

impl JobPlan {
    fn new(run: &Run, job: &Job, fields: &Fields) -> Self {
        let engine = &run.engine;
        let effective = |request: &Request| run.manifest.effective(request);
        let polled = [Some(&job.status), job.url.as_ref()].into_iter().flatten();
        let mut result = engine.answer_options(job.format.clone(), None, []);
        result.target = Target::File(job.max_result);
        result.fields.clone_from(fields);
        Self {
            submit: effective(&job.submit),
            poll: effective(&job.poll),
            download: job.download.as_ref().map(effective),
            submitted: Arc::new(engine.answer_options(Format::Json, None, &job.id)),
            polled: Arc::new(engine.answer_options(Format::Json, None, polled)),
            result: Arc::new(result),
            job: job.clone(),
        }
    }
}

/// Where the records of a format are, unless a manifest says otherwise.
fn records_of(format: &Format) -> Result<Records> {
    let at = Pointer::new(format.records()).map_err(|why| Error::config("looking for records", why))?;
    Ok(Records { at, optional: false })
}
