//! How much a system may be asked, and what to do when it refuses.

use cordada_core::units::{Size, Span};
use cordada_ingest_formats::json::pointer::Pointer;
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

/// What is never exceeded.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests in flight.
    pub concurrency: usize,
    /// Requests in a time; all of them hold.
    pub budgets: Vec<Budget>,
    /// Where a GraphQL server tells its costs.
    pub graphql_cost: Option<GraphqlCost>,
    /// The header with the number of requests that are left. At 0 we wait until `reset_header` says.
    pub remaining_header: Option<String>,
    /// The header with the time of the next budget: seconds from now, seconds since 1970, or a date.
    pub reset_header: Option<String>,
    /// Bytes of one response, decompressed.
    pub max_response: Size,
    /// How long a system may be silent: until a connection is made, until a response begins, between its bytes.
    pub timeout: Span,
    /// How long one response may take altogether; not for the result of a job.
    pub deadline: Span,
    /// Pages of one stream, or of one parent's.
    pub max_pages: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 4,
            budgets: Vec::new(),
            graphql_cost: None,
            remaining_header: None,
            reset_header: None,
            max_response: Size::megabytes(64),
            timeout: Span::seconds(60),
            deadline: Span::seconds(600),
            max_pages: 100_000,
        }
    }
}

/// So many requests in so long.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// How many.
    pub requests: usize,
    /// In how long.
    pub per: Span,
    /// How that time is counted.
    #[serde(default)]
    pub window: Window,
}

/// How the time of a budget is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// In any stretch of that length.
    #[default]
    Moving,
    /// From the first request on, and anew after that length.
    Fixed,
}

/// Where a GraphQL server says what a query cost and what is left. The bucket fills by `restore_rate` a second.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphqlCost {
    /// What the query cost.
    pub requested: Pointer,
    /// What is left.
    pub available: Pointer,
    /// What comes back in a second.
    pub restore_rate: Pointer,
}

/// How failed requests are repeated. `Retry-After` always wins.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Times that a request is sent at most.
    pub attempts: u32,
    /// How waits grow.
    pub backoff: Backoff,
    /// The first wait.
    pub first: Span,
    /// The longest wait; if the system asks for more, the load fails.
    pub max: Span,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 6,
            backoff: Backoff::Exponential,
            first: Span::seconds(1),
            max: Span::seconds(60),
        }
    }
}

/// How waits grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// Each wait is twice the one before.
    Exponential,
    /// All waits are the first.
    Constant,
}

/// What to do with responses like this. All that is given has to match.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// One status or several; all if there is none.
    #[serde(default, deserialize_with = "one_or_many")]
    pub status: Vec<u16>,
    /// A place in the body that has to be there and not null…
    #[serde(default)]
    pub body: Option<Pointer>,
    /// …and to be this value, or one of these…
    #[serde(default)]
    pub equals: Option<Json>,
    /// …and to contain this text.
    #[serde(default)]
    pub contains: Option<String>,
    /// What is done then.
    pub action: Action,
    /// How long to wait before the next attempt.
    #[serde(default)]
    pub wait: Option<Span>,
    /// How long it is tried again, instead of `retry.attempts` times: for what the system is busy with for hours.
    #[serde(default, rename = "for")]
    pub lasting: Option<Span>,
    /// What a user can do about it.
    #[serde(default)]
    pub hint: Option<String>,
}

/// What to do with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It holds no records.
    Ignore,
    /// It is sent again.
    Retry,
    /// The load fails.
    Fail,
    /// The credentials are wrong: they are not shown again.
    Refuse,
    /// Takes it as it is, whatever its status.
    Accept,
}

/// Where an error's code and message are: a place or several, of which the first that is there counts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorBody {
    /// The error's code; where systems usually have it if there is none.
    #[serde(deserialize_with = "places")]
    pub code: Vec<Pointer>,
    /// The error's message; it is not shown if there is none, as messages may quote data.
    #[serde(deserialize_with = "places")]
    pub message: Vec<Pointer>,
}

/// Limits that a user sets in place of a manifest's; what is left out stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "they are those of Limits")]
pub struct OwnLimits {
    pub concurrency: Option<usize>,
    pub budgets: Option<Vec<Budget>>,
    pub remaining_header: Option<String>,
    pub reset_header: Option<String>,
    pub max_response: Option<Size>,
    pub timeout: Option<Span>,
    pub deadline: Option<Span>,
    pub max_pages: Option<u64>,
}

impl OwnLimits {
    /// `limits`, with these in their places.
    pub fn over(self, limits: Limits) -> Limits {
        Limits {
            concurrency: self.concurrency.unwrap_or(limits.concurrency),
            budgets: self.budgets.unwrap_or(limits.budgets),
            graphql_cost: limits.graphql_cost,
            remaining_header: self.remaining_header.or(limits.remaining_header),
            reset_header: self.reset_header.or(limits.reset_header),
            max_response: self.max_response.unwrap_or(limits.max_response),
            timeout: self.timeout.unwrap_or(limits.timeout),
            deadline: self.deadline.unwrap_or(limits.deadline),
            max_pages: self.max_pages.unwrap_or(limits.max_pages),
        }
    }
}

/// What a user says of repeating in place of a manifest; what is left out stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "they are those of Retry")]
pub struct OwnRetry {
    pub attempts: Option<u32>,
    pub backoff: Option<Backoff>,
    pub first: Option<Span>,
    pub max: Option<Span>,
}

impl OwnRetry {
    /// `retry`, with these in their places.
    pub fn over(self, retry: Retry) -> Retry {
        Retry {
            attempts: self.attempts.unwrap_or(retry.attempts),
            backoff: self.backoff.unwrap_or(retry.backoff),
            first: self.first.unwrap_or(retry.first),
            max: self.max.unwrap_or(retry.max),
        }
    }
}

fn places<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pointer>, D::Error> {
    let wrong = || serde::de::Error::custom("expected a JSON pointer like /error/code, or a list of them");
    let place = |value: &Json| Pointer::new(value.as_str().ok_or_else(wrong)?).map_err(serde::de::Error::custom);
    match Json::deserialize(deserializer)? {
        Json::Array(items) => items.iter().map(place).collect(),
        one => Ok(vec![place(&one)?]),
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u16>, D::Error> {
    let wrong = || serde::de::Error::custom("expected a status like 404, or a list of them");
    let status = |value: &Json| {
        let status = value.as_u64().and_then(|status| u16::try_from(status).ok());
        status.filter(|status| (100..600).contains(status)).ok_or_else(wrong)
    };
    match Json::deserialize(deserializer)? {
        Json::Array(items) => items.iter().map(status).collect(),
        one => Ok(vec![status(&one)?]),
    }
}
