//! What the fields of a line mean: the columns that all formats share, and those of one alone.

use std::borrow::Cow;

use cordada_ingest_formats::values::time::Time;

use super::address::is_address;
use super::record::{Host, Reason, Record};
use super::time;

/// What a field is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// A date and a time of day together.
    Stamp,
    /// Seconds since 1970.
    Epoch,
    /// A date; in the source's zone rather than UTC if true.
    Date(bool),
    /// A time of day, likewise.
    TimeOfDay(bool),
    /// The visitor's address, with or without a port.
    Remote,
    User,
    Method,
    /// A path or URL, with or without a query string.
    Target,
    /// A path beside a query string of its own.
    Path,
    Query,
    /// Method, target and protocol together.
    Request,
    Protocol,
    Status,
    /// Bytes of the answer.
    Bytes,
    Referrer,
    UserAgent,
    Host,
    /// How long the answer took, in seconds times 10 to this power.
    Duration(u8),
    /// Another address of a visitor.
    Address(Cow<'static, str>),
    Number(Cow<'static, str>),
    Text(Cow<'static, str>),
}

/// The columns that roles stand for: no other field may have one of these names.
const COMMON: [&str; 14] = [
    "time",
    "remote_host",
    "user",
    "method",
    "path",
    "query",
    "request",
    "protocol",
    "status",
    "bytes",
    "referrer",
    "user_agent",
    "host",
    "request_time",
];

impl Role {
    /// The role of a field of its own name, in formats whose fields a user names.
    pub(crate) fn named(name: &str) -> Role {
        match name {
            "date" | "time" | "time_local" | "time_iso8601" | "timestamp" | "@timestamp" | "datetime" | "StartUTC" => {
                Role::Stamp
            }
            "msec" | "ts" => Role::Epoch,
            "ip" | "remote_host" | "remote_addr" | "remote_ip" | "client_ip" | "ClientHost" => Role::Remote,
            "userid" | "user" | "remote_user" | "user_id" | "ClientUsername" => Role::User,
            "method" | "request_method" | "RequestMethod" => Role::Method,
            "path" | "request_uri" | "uri" | "url" | "RequestPath" => Role::Target,
            "query" | "query_string" | "args" => Role::Query,
            "request" => Role::Request,
            "protocol" | "server_protocol" | "proto" | "RequestProtocol" => Role::Protocol,
            "status" | "DownstreamStatus" => Role::Status,
            "length" | "bytes" | "body_bytes_sent" | "bytes_sent" | "size" | "DownstreamContentSize" => Role::Bytes,
            "referrer" | "referer" | "http_referer" | "http_referrer" | "request_Referer" => Role::Referrer,
            "user_agent" | "http_user_agent" | "request_User-Agent" => Role::UserAgent,
            "host" | "http_host" | "server_name" | "RequestHost" => Role::Host,
            "request_time" | "duration" | "generation_time_secs" => Role::Duration(0),
            "generation_time_milli" => Role::Duration(3),
            "generation_time_micro" => Role::Duration(6),
            "Duration" => Role::Duration(9),
            other => Role::other(other),
        }
    }

    /// The role of a field that only one format has.
    pub(crate) fn other(name: &str) -> Role {
        let column = Cow::Owned(own_name(name));
        if is_address(name) {
            Role::Address(column)
        } else {
            Role::Text(column)
        }
    }

    /// Whether it is a part of the line's time.
    pub(crate) fn is_time(&self) -> bool {
        matches!(self, Role::Stamp | Role::Epoch | Role::Date(_) | Role::TimeOfDay(_))
    }

    /// Whether both would fill the same column.
    pub(crate) fn collides(&self, other: &Role) -> bool {
        let path = |role: &Role| matches!(role, Role::Target | Role::Path);
        let whole = |role: &Role| matches!(role, Role::Stamp | Role::Epoch);
        let duration = |role: &Role| matches!(role, Role::Duration(_));
        self == other
            || (path(self) && path(other))
            || (whole(self) && other.is_time())
            || (whole(other) && self.is_time())
            || (duration(self) && duration(other))
    }
}

/// The name of a column of one format's own: no other than those that all formats share.
pub(crate) fn own_name(name: &str) -> String {
    // CloudFront's documentation, and what is copied out of it, has invisible characters.
    let name = name.trim_matches(|c: char| !c.is_ascii_graphic());
    let column = cordada_core::names::snake_case(name);
    if COMMON.contains(&column.as_str()) {
        return format!("log_{column}");
    }
    if column.is_empty() { "field".to_owned() } else { column }
}

/// Writes the fields of a line. `date` is that of lines that have only a time of day.
pub(crate) fn write(
    roles: &[Role],
    values: &[&[u8]],
    date: Option<&[u8]>,
    record: &mut Record<'_>,
) -> Result<(), Reason> {
    let time = time_of(roles, values, date).ok_or("the time cannot be read")?;
    record.time(time);
    let host = if roles.contains(&Role::Host) {
        Host::Elsewhere
    } else {
        Host::FromTarget
    };
    let has_query = roles.contains(&Role::Query);
    for (role, value) in roles.iter().zip(values) {
        write_field(role, value, host, has_query, record)?;
    }
    Ok(())
}

/// Writes one field; those of the time are written before all others.
pub(crate) fn write_field(
    role: &Role,
    value: &[u8],
    host: Host,
    has_query: bool,
    record: &mut Record<'_>,
) -> Result<(), Reason> {
    match role {
        Role::Stamp | Role::Epoch | Role::Date(_) | Role::TimeOfDay(_) => {}
        Role::Remote => record.address("remote_host", value),
        Role::User => record.text("user", value),
        Role::Method => record.text("method", value),
        Role::Target | Role::Path if has_query => record.text("path", path_of(value)),
        Role::Target | Role::Path => record.target(value, host),
        Role::Query => record.query(value),
        Role::Request => record.request(value, host),
        Role::Protocol => record.text("protocol", value),
        Role::Status => record.number("status", value)?,
        Role::Bytes => record.number("bytes", value)?,
        Role::Referrer => record.referrer(value),
        Role::UserAgent => record.text("user_agent", value),
        Role::Host => record.text("host", value),
        Role::Duration(places) => record.scaled("request_time", value, usize::from(*places))?,
        Role::Address(name) => record.address(name, value),
        Role::Number(name) => record.scaled(name, value, 0)?,
        Role::Text(name) => record.text(name, value),
    }
    Ok(())
}

/// A path whose query string has a field of its own.
fn path_of(target: &[u8]) -> &[u8] {
    target.split(|byte| *byte == b'?').next().unwrap_or_default()
}

fn time_of(roles: &[Role], values: &[&[u8]], default_date: Option<&[u8]>) -> Option<Time> {
    let (mut date, mut time_of_day) = (default_date, None);
    for (role, value) in roles.iter().zip(values) {
        match role {
            Role::Stamp => return time::bracketed(value),
            Role::Epoch => return time::epoch(value),
            Role::Date(_) => date = Some(value),
            Role::TimeOfDay(local) => time_of_day = Some((value, *local)),
            _ => {}
        }
    }
    let (time, local) = time_of_day?;
    time::of_parts(date?, time, local)
}
