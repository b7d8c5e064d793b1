//! A connector's manifest: how a system is asked for its records, in YAML.
//!
//! The connectors that ship are `ingest/rest/connectors/*.yml`; a user's `manifest: file.yml` is the same format. What
//! a key means stands at its field here. `{{ … }}` are templates (see [`template`](cordada_http::template)); pointers
//! are JSON pointers (RFC 6901) in which a segment `*` goes over all items.

mod load;
mod order;
mod paginate;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::BTreeMap;

use cordada_core::units::{Size, Span};
use cordada_http::decode::Format;
use cordada_http::system::auth::Auth;
use cordada_http::system::limits::{ErrorBody, ErrorRule, Limits, Retry};
use cordada_http::system::request::Request;
use cordada_http::system::{ConfigKey, System};
use cordada_http::template::{Filter, Scope, Template};
use cordada_ingest_formats::json::pointer::{Pointer, Records};
use cordada_ingest_source::options::{ColumnOptions, Disposition, Options};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

pub(crate) use self::load::{connectors, text};
pub(crate) use self::paginate::{Paginate, RequestField};

/// A connector.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Its name as people know it.
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) description: String,
    /// Where the system documents its interface.
    #[serde(default)]
    pub(crate) docs: Option<String>,
    /// Which published schema, source or real server it was tried against: shown in the documentation.
    #[serde(default)]
    pub(crate) held_against: Option<String>,
    /// What a user should know beforehand: shown in the documentation.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
    /// What a user configures.
    #[serde(default)]
    pub(crate) config: BTreeMap<String, ConfigKey>,
    /// What paths are appended to.
    pub(crate) base_url: Template,
    /// Further hosts that addresses of next pages may be of; credentials go to them too.
    #[serde(default)]
    pub(crate) trusted_hosts: Vec<Template>,
    /// Sent with every request to the system itself.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Template>,
    #[serde(default)]
    pub(crate) auth: Auth,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) retry: Retry,
    /// The first that matches decides; see [`ErrorRule`].
    #[serde(default)]
    pub(crate) errors: Vec<ErrorRule>,
    /// Where an error's code and message are in its body: the only parts of a body that are ever shown.
    #[serde(default)]
    pub(crate) error_body: ErrorBody,
    /// For all streams that do not say otherwise.
    #[serde(default)]
    pub(crate) defaults: Defaults,
    /// The request that tells whether the system is there and takes the credentials; the first page of the first
    /// stream if there is none.
    #[serde(default)]
    pub(crate) check: Option<Request>,
    /// The stream `*` is the template of those that a user names.
    pub(crate) streams: BTreeMap<String, StreamSpec>,
}

/// The name of the stream that is a template.
pub(crate) const ANY: &str = "*";

impl Manifest {
    /// The streams that there are unless a user names others, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.streams.keys().map(String::as_str).filter(|name| *name != ANY)
    }

    /// The system that it describes.
    pub(crate) fn system(&self) -> System {
        System {
            base_url: self.base_url.clone(),
            trusted_hosts: self.trusted_hosts.clone(),
            headers: self.headers.clone(),
            auth: self.auth.clone(),
            limits: self.limits.clone(),
            retry: self.retry.clone(),
            errors: self.errors.clone(),
            error_body: self.error_body.clone(),
        }
    }

    /// The stream of that name, or the template if there is one.
    pub(crate) fn stream(&self, name: &str) -> Option<&StreamSpec> {
        let named = self.streams.get(name).filter(|_| name != ANY);
        named.or_else(|| self.streams.get(ANY))
    }
}

/// What all streams have in common.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Defaults {
    pub(crate) request: Request,
    pub(crate) format: Option<Format>,
    pub(crate) decimals: Vec<String>,
    pub(crate) decimal_commas: Vec<String>,
    pub(crate) rfc2822: Vec<String>,
    pub(crate) utc: Vec<String>,
    pub(crate) records: Option<Records>,
    pub(crate) paginate: Option<Paginate>,
    pub(crate) incremental: Option<Incremental>,
}

/// One stream of a connector.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StreamSpec {
    pub(crate) description: String,
    /// What a user configures for this stream, under its own `config`; in its templates it is `config` too. A default
    /// may use `stream`, the stream's name.
    pub(crate) config: BTreeMap<String, ConfigKey>,
    /// What is asked for once before the stream is read, by the names that `lookup` has in its templates.
    pub(crate) lookups: BTreeMap<String, Lookup>,
    pub(crate) request: Request,
    /// What is asked for in place of it to see whether the stream can be read, where that is much; it goes over it.
    pub(crate) check: Option<Request>,
    pub(crate) format: Option<Format>,
    /// Fields, at any depth, that are decimal numbers written as strings with a point; an empty string is null there.
    /// Those of the defaults are too.
    pub(crate) decimals: Vec<String>,
    /// The same with a comma: `1,5` is one and a half.
    pub(crate) decimal_commas: Vec<String>,
    /// Fields, at any depth, whose times are written as in e-mails (RFC 2822). Those of the defaults are too.
    pub(crate) rfc2822: Vec<String>,
    /// Fields, at any depth, whose times are UTC although they carry no zone. Those of the defaults are too.
    pub(crate) utc: Vec<String>,
    /// Where the records are in a response; the root by default. The names on the way are templates over `config`.
    pub(crate) records: Option<Records>,
    /// Records for which it is false do not land.
    pub(crate) filter: Option<Filter>,
    pub(crate) paginate: Option<Paginate>,
    pub(crate) incremental: Option<Incremental>,
    pub(crate) parent: Option<Parent>,
    pub(crate) job: Option<Job>,
    /// The columns that identify a row.
    pub(crate) key: Vec<String>,
    pub(crate) disposition: Option<Disposition>,
    pub(crate) columns: BTreeMap<String, ColumnOptions>,
    /// The column that says that a row is gone.
    pub(crate) deleted: Option<String>,
    /// Lists that become tables of their own.
    pub(crate) unnest: BTreeMap<String, Option<String>>,
}

impl StreamSpec {
    /// What it says about its rows; `incremental` is whether only what changed is asked for.
    pub(crate) fn options(&self, incremental: bool) -> Options {
        Options {
            key: self.key.clone(),
            disposition: Some(self.disposition(incremental)),
            columns: self.columns.clone(),
            deleted: self.deleted.clone(),
            unnest: self.unnest.clone(),
            ..Options::default()
        }
    }

    /// What is done with its rows: as it says; else merge what is incremental and has a key, append what is
    /// incremental, and replace the rest.
    pub(crate) fn disposition(&self, incremental: bool) -> Disposition {
        self.disposition.unwrap_or(match (incremental, self.key.is_empty()) {
            (true, false) => Disposition::Merge,
            (true, true) => Disposition::Append,
            (false, _) => Disposition::Replace,
        })
    }

    /// Whether only what changed is asked for, if its own position is `incremental`.
    pub(crate) fn is_incremental(&self, incremental: Option<&Incremental>) -> bool {
        incremental.is_some() || self.parent.as_ref().is_some_and(|parent| parent.incremental)
    }
}

impl StreamSpec {
    /// This stream as the configuration in `scope` makes it: incremental only if its cursor has a name.
    ///
    /// # Errors
    /// Config for a value that there is not.
    pub(crate) fn resolved(&self, defaults: &Defaults, scope: &Scope) -> Result<Self, cordada_core::Error> {
        let mut resolved = self.clone();
        resolved.incremental = match self.incremental.as_ref().or(defaults.incremental.as_ref()) {
            Some(incremental) => {
                let cursor = Template::new(incremental.cursor.text(scope)?)
                    .map_err(|why| cordada_core::Error::config("reading the position's name", why))?;
                let incremental = Incremental {
                    cursor,
                    ..incremental.clone()
                };
                Some(incremental).filter(|incremental| !incremental.cursor.source().is_empty())
            }
            None => None,
        };
        resolved.records = self.records.clone().or_else(|| defaults.records.clone());
        for name in resolved.records.iter_mut().flat_map(|records| &mut records.at.0) {
            if name.contains("{{") {
                let template = Template::new(name.as_str())
                    .map_err(|why| cordada_core::Error::config("reading where the records are", why))?;
                *name = template.text(scope)?;
            }
        }
        Ok(resolved)
    }
}

/// How only what changed since the last load is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Incremental {
    /// Where in a record its position is; a dotted path. If it comes out empty the stream is not incremental.
    pub(crate) cursor: Template,
    #[serde(rename = "type", default)]
    pub(crate) kind: CursorType,
    /// How the system writes times, as chrono has it (`%Y-%m-%d %H:%M:%S`): for `cursor.start` and `cursor.end`, and
    /// for reading the cursor. RFC 3339 if there is none.
    #[serde(default)]
    pub(crate) format: Option<String>,
    /// Where the first load begins; `cursor.start` is null then if there is none.
    #[serde(default)]
    pub(crate) initial: Option<Template>,
    /// How far before the last position the next load begins: a duration, or a number for a counter.
    #[serde(default)]
    pub(crate) lag: Option<Distance>,
    /// The longest range that is asked for at once; needs `initial`.
    #[serde(default)]
    pub(crate) window: Option<Distance>,
    /// Whether records come sorted by the cursor.
    #[serde(default)]
    pub(crate) order: Order,
    /// Whether each parent has a position of its own.
    #[serde(default)]
    pub(crate) per_parent: bool,
}

/// What positions are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CursorType {
    #[default]
    Datetime,
    Date,
    /// Milliseconds since 1970.
    EpochMs,
    /// Seconds since 1970.
    EpochS,
    /// Whole numbers that only grow.
    Counter,
    /// Texts in the order of their bytes.
    String,
}

impl CursorType {
    /// Whether positions are points in time.
    pub(crate) fn is_time(self) -> bool {
        !matches!(self, CursorType::Counter | CursorType::String)
    }
}

/// A way along the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distance {
    Time(Span),
    Count(i64),
}

impl<'de> Deserialize<'de> for Distance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Json::deserialize(deserializer)?;
        let distance = match &value {
            Json::Number(number) => number.as_i64().filter(|count| *count >= 0).map(Distance::Count),
            Json::String(text) => text
                .parse()
                .ok()
                .filter(|count| *count >= 0)
                .map(Distance::Count)
                .or_else(|| Span::parse(text).map(Distance::Time)),
            _ => None,
        };
        distance.ok_or_else(|| serde::de::Error::custom("expected a duration like 5m or 30d, or a whole number"))
    }
}

/// Whether records come sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    #[default]
    None,
    /// By the cursor, so that a load that ends early can go on from there.
    Ascending,
}

/// The stream whose records this one is asked for by.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parent {
    pub(crate) stream: String,
    /// `parent.NAME` in templates, and where it is in the parent's record (a dotted path).
    pub(crate) fields: BTreeMap<String, String>,
    /// Which of `fields` are added to each record.
    #[serde(default)]
    pub(crate) include: Vec<String>,
    /// Whether only the parents that changed since the last load are gone through (the parent has to be incremental).
    #[serde(default)]
    pub(crate) incremental: bool,
}

/// Something that the system has to be asked for before a stream can be: which fields there are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookup {
    pub(crate) request: Request,
    /// Where it is in the answer.
    pub(crate) at: Pointer,
    /// Whether the stream can do without: it is null then, as where it may not be looked at.
    #[serde(default)]
    pub(crate) optional: bool,
}

/// An export that the system prepares while we wait.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Job {
    pub(crate) submit: Request,
    /// Where its id is in the response to `submit`: `job.id` in templates.
    #[serde(default)]
    pub(crate) id: Option<Pointer>,
    pub(crate) poll: Request,
    #[serde(default = "Job::every")]
    pub(crate) every: Span,
    #[serde(default = "Job::timeout")]
    pub(crate) timeout: Span,
    /// Where its state is in the response to `poll`.
    pub(crate) status: Pointer,
    pub(crate) done: Vec<String>,
    #[serde(default)]
    pub(crate) failed: Vec<String>,
    /// Where the address of the result is in the response to `poll`; a null is an empty result. It is asked for
    /// without credentials when it is on another host.
    #[serde(default)]
    pub(crate) url: Option<Pointer>,
    /// Or the request for the result.
    #[serde(default)]
    pub(crate) download: Option<Request>,
    /// NDJSON, CSV or a list in JSON.
    #[serde(default = "Job::ndjson")]
    pub(crate) format: Format,
    /// The header that says where the next part of the result begins: `job.locator` in templates.
    #[serde(default)]
    pub(crate) locator_header: Option<String>,
    /// The largest result.
    #[serde(default = "Job::max_result")]
    pub(crate) max_result: Size,
}

impl Job {
    fn every() -> Span {
        Span::seconds(5)
    }

    fn timeout() -> Span {
        Span::seconds(3600)
    }

    fn ndjson() -> Format {
        Format::Ndjson
    }

    fn max_result() -> Size {
        Size::megabytes(20_000)
    }
}
