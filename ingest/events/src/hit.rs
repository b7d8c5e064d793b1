//! What all protocols have in common: what is known of a request, and what becomes of the hits in it.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::record::{Record, scalar_text};

/// What the collector knows of a request, apart from what the tracker says.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestInfo {
    /// When it arrived.
    pub(crate) at: DateTime<Utc>,
    /// Who sent it.
    pub(crate) address: Option<IpAddr>,
    /// The header User-Agent.
    pub(crate) user_agent: Option<String>,
    /// The visitor's identifier in the collector's own cookie, if the source sets one.
    pub(crate) cookie: Option<String>,
}

/// A hit: a record, or what was sent and why it is none.
#[derive(Debug, PartialEq)]
pub(crate) enum Hit {
    Record(Box<Record>),
    /// The reason never quotes a value: it goes where personal data does not.
    Malformed {
        reason: String,
        sent: Value,
    },
}

impl Hit {
    /// A hit from its decoding.
    pub(crate) fn new(decoded: Result<Record, String>, sent: impl FnOnce() -> Value) -> Self {
        match decoded {
            Ok(record) => Hit::Record(Box::new(record)),
            Err(reason) => Hit::Malformed { reason, sent: sent() },
        }
    }
}

/// A protocol's parameters, in their order.
pub(crate) type Parameters = Vec<(String, String)>;

/// The parameters of a query string or of a form.
pub(crate) fn parameters(query: &str) -> Parameters {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect()
}

/// The parameters in an object, whose values trackers should but do not always write as text.
pub(crate) fn parameters_of(object: &Map<String, Value>) -> Parameters {
    object
        .iter()
        .map(|(key, value)| (key.clone(), scalar_text_or_json(value)))
        .collect()
}

fn scalar_text_or_json(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => value.to_string(),
        scalar => scalar_text(scalar),
    }
}

/// The parameters as an object, to keep what was sent.
pub(crate) fn object_of(parameters: &Parameters) -> Value {
    parameters
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect()
}

/// Puts each parameter that has a column in it and returns the others. A parameter that is there twice counts once:
/// its last value.
pub(crate) fn put_known(record: &mut Record, parameters: Parameters, table: &[(&str, &str)]) -> Parameters {
    let mut others = Parameters::new();
    for (name, value) in parameters {
        match table.iter().find(|(parameter, _)| *parameter == name) {
            Some((_, column)) => record.put(column, &name, &value),
            None => others.push((name, value)),
        }
    }
    others
}

/// `1440x900`: the width and the height.
pub(crate) fn put_size(record: &mut Record, columns: [&str; 2], parameter: &str, text: &str) {
    let is_number = |text: &str| text.parse::<i64>().is_ok();
    match text.split_once('x') {
        Some((width, height)) if is_number(width) && is_number(height) => {
            record.put(columns[0], parameter, width);
            record.put(columns[1], parameter, height);
        }
        _ if text.is_empty() => {}
        _ => record.extra(parameter, Value::from(text)),
    }
}
