//! Access logs in JSON, one object a line: nginx (with fields that its administrator names), Traefik, Caddy.

use std::borrow::Cow;
use std::fmt;

use cordada_ingest_formats::values::time::Time;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::address::{Addresses, is_address};
use super::fields::{Role, own_name, write_field};
use super::record::{Host, Reason, Record};
use super::time;

/// Whose JSON it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Any fields that are known by their names.
    Nginx,
    Traefik,
    Caddy,
}

/// The entries of an object, their values as they are written.
struct Entries<'l>(Vec<(Cow<'l, str>, &'l RawValue)>);

impl<'l> Entries<'l> {
    fn read(text: &'l str) -> Option<Self> {
        struct EntriesVisitor;
        impl<'l> Visitor<'l> for EntriesVisitor {
            type Value = Entries<'l>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'l>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::with_capacity(24);
                while let Some((Key(name), value)) = map.next_entry::<Key<'l>, &'l RawValue>()? {
                    entries.push((name, value));
                }
                Ok(Entries(entries))
            }
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let entries = json.deserialize_map(EntriesVisitor).ok()?;
        json.end().ok()?;
        Some(entries)
    }

    fn get(&self, name: &str) -> Option<&'l RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

/// A key, borrowed from the line where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'l>(#[serde(borrow)] Cow<'l, str>);

/// What a value says, without its quotes; nothing for null.
fn text(value: &RawValue) -> Cow<'_, str> {
    match value.get() {
        "null" => "".into(),
        json if json.starts_with('"') => match serde_json::from_str::<Key<'_>>(json) {
            Ok(Key(text)) => text,
            Err(_) => "".into(),
        },
        json => json.into(),
    }
}

impl Dialect {
    /// Writes the fields of a line.
    ///
    /// # Errors
    /// It is none of this format.
    pub(crate) fn write(self, line: &[u8], record: &mut Record<'_>) -> Result<(), Reason> {
        if !line.trim_ascii_start().starts_with(b"{") {
            return Err("the line is not a JSON object".into());
        }
        let line = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8")?;
        let mended;
        let entries = match Entries::read(line) {
            Some(entries) => entries,
            None => {
                mended = without_byte_escapes(line);
                Entries::read(&mended).ok_or("the line is not a JSON object")?
            }
        };
        match self {
            Dialect::Nginx => flat(&entries, record),
            Dialect::Traefik => match entries
                .get("RequestMethod")
                .and(entries.get("RouterName").or(entries.get("RequestPath")))
            {
                Some(_) => flat(&entries, record),
                None => Err("these are not the fields of Traefik".into()),
            },
            Dialect::Caddy => caddy(&entries, record),
        }
    }
}

/// The line with the escapes of JSON where nginx has written `\xFA`, as it does without `escape=json`: for each byte that
/// is not plain ASCII, for quotes and for backslashes. Bytes that are not UTF-8 are taken for Latin-1.
fn without_byte_escapes(line: &str) -> String {
    let escaped = |rest: &str| {
        let digits = rest.strip_prefix("\\x")?.get(..2)?;
        u8::from_str_radix(digits, 16).ok()
    };
    let mut mended = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        mended.push_str(&rest[..at]);
        rest = &rest[at..];
        let mut bytes = Vec::new();
        while let Some(byte) = escaped(rest) {
            bytes.push(byte);
            rest = &rest[4..];
        }
        if bytes.is_empty() {
            // An escape of JSON, of which a backslash may be the second character.
            let end = rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end);
            mended.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        for chunk in bytes.utf8_chunks() {
            let latin1 = chunk.invalid().iter().map(|byte| char::from(*byte));
            for character in chunk.valid().chars().chain(latin1) {
                match character {
                    '"' | '\\' => mended.extend(['\\', character]),
                    control if control < ' ' => mended.push_str(&format!("\\u{:04x}", u32::from(control))),
                    other => mended.push(other),
                }
            }
        }
    }
    mended.push_str(rest);
    mended
}

/// The time of the line, and which entry it was.
fn time_of(entries: &Entries<'_>) -> Option<(usize, Time)> {
    // Those that say their zone come first.
    const NAMES: [&str; 11] = [
        "StartUTC",
        "time_iso8601",
        "msec",
        "ts",
        "date",
        "time_local",
        "@timestamp",
        "timestamp",
        "datetime",
        "time",
        "StartLocal",
    ];
    NAMES.iter().find_map(|name| {
        let at = entries.0.iter().position(|(known, _)| known == name)?;
        let value = text(entries.0[at].1);
        let time = match Role::named(name) {
            Role::Epoch => time::epoch(value.as_bytes()),
            _ => time::bracketed(value.as_bytes()).or_else(|| time::epoch(value.as_bytes())),
        };
        Some((at, time?))
    })
}

fn flat(entries: &Entries<'_>, record: &mut Record<'_>) -> Result<(), Reason> {
    let (stamp, time) = time_of(entries).ok_or("there is no time that can be read")?;
    record.time(time);
    let mut seen: Vec<Role> = Vec::with_capacity(entries.0.len());
    let has_host = entries.0.iter().any(|(name, _)| Role::named(name) == Role::Host);
    let host = if has_host { Host::Elsewhere } else { Host::FromTarget };
    let has_query = entries.0.iter().any(|(name, _)| Role::named(name) == Role::Query);
    // A line that has the request as a whole and in parts has it once.
    let has_target = entries.0.iter().any(|(name, _)| Role::named(name) == Role::Target);
    for (at, (name, value)) in entries.0.iter().enumerate() {
        if at == stamp {
            continue;
        }
        let mut role = match (name.as_ref(), Role::named(name)) {
            // Matomo's guide puts the seconds of nginx's $request_time under this name.
            ("generation_time_milli", _) => Role::Duration(0),
            (_, Role::Request) if has_target => Role::Text(own_name(name).into()),
            (_, role) => role,
        };
        if role.is_time() || seen.iter().any(|before| before.collides(&role)) {
            role = Role::other(name);
        }
        field(&role, value, host, has_query, record)?;
        seen.push(role);
    }
    Ok(())
}

fn field(role: &Role, value: &RawValue, host: Host, has_query: bool, record: &mut Record<'_>) -> Result<(), Reason> {
    match role {
        // The port of an address tells more of a visitor than the network does.
        Role::Text(name) if name.ends_with("port") && is_client(name) && record.policy.addresses != Addresses::Full => {
        }
        Role::Text(name) | Role::Number(name) => record.raw(name, value.get()),
        role => write_field(role, text(value).as_bytes(), host, has_query, record)?,
    }
    Ok(())
}

fn is_client(name: &str) -> bool {
    name.contains("client") || name.contains("remote")
}

/// Caddy nests what was asked for, with all of its headers.
fn caddy(entries: &Entries<'_>, record: &mut Record<'_>) -> Result<(), Reason> {
    const OTHERS: &str = "these are not the fields of Caddy";
    let request = entries
        .get("request")
        .and_then(|request| Entries::read(request.get()))
        .ok_or(OTHERS)?;
    request.get("uri").ok_or(OTHERS)?;
    let (stamp, time) = time_of(entries).ok_or("there is no time that can be read")?;
    record.time(time);
    let mut seen = Vec::new();
    // The proxies between Caddy and the visitor are not the visitor.
    let client = if request.get("client_ip").is_some() {
        "client_ip"
    } else {
        "remote_ip"
    };
    for (name, value) in &request.0 {
        if name == "headers" {
            headers(value, record);
            continue;
        }
        let role = match (Role::named(name), name.as_ref()) {
            (Role::Remote, name) if name != client => Role::Address(own_name(name).into()),
            (role, _) => role,
        };
        field(&role, value, Host::Elsewhere, false, record)?;
        seen.push(role);
    }
    for (at, (name, value)) in entries.0.iter().enumerate() {
        if at == stamp || name == "request" {
            continue;
        }
        if name == "resp_headers" {
            let addresses = record.policy.addresses;
            record.text("response_headers", addresses.mask(value.get()).as_bytes());
            continue;
        }
        let role = Role::named(name);
        let taken = role.is_time() || seen.iter().any(|before| before.collides(&role));
        let role = if taken {
            Role::Text(format!("log_{}", own_name(name)).into())
        } else {
            role
        };
        field(&role, value, Host::Elsewhere, false, record)?;
        seen.push(role);
    }
    Ok(())
}

/// Headers are whatever visitors send: two of them are columns, the others one text.
fn headers(headers: &RawValue, record: &mut Record<'_>) {
    let entries = Entries::read(headers.get()).unwrap_or(Entries(Vec::new()));
    let first = |name: &str| {
        let value = entries.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?.1;
        let values: Vec<Key<'_>> = serde_json::from_str(value.get()).ok()?;
        values.into_iter().next().map(|Key(value)| value)
    };
    let said = |value: Option<Cow<'_, str>>| value.map(|value| value.as_bytes().to_vec()).unwrap_or_default();
    record.referrer(&said(first("referer")));
    record.text("user_agent", &said(first("user-agent")));
    let addresses = record.policy.addresses;
    let mut rest = String::from("{");
    for (name, value) in &entries.0 {
        let told = ["referer", "user-agent"]
            .iter()
            .any(|told| name.eq_ignore_ascii_case(told));
        if told || (is_address(name) && addresses == Addresses::Drop) {
            continue;
        }
        let separator = if rest.len() > 1 { "," } else { "" };
        let value = if is_address(name) {
            addresses.mask(value.get())
        } else {
            value.get().into()
        };
        let name = serde_json::Value::from(name.as_ref());
        rest.push_str(&format!("{separator}{name}:{value}"));
    }
    rest.push('}');
    record.text("request_headers", rest.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_nginx_escapes_are_read() {
        for (line, expected) in [
            (
                r#"{"a": "F\xFAtbol (\x22q\x22) \x5C"}"#,
                r#"{"a": "Fútbol (\"q\") \\"}"#,
            ),
            (r#"{"a": "\xC3\xBA\xE2\x82\xAC\x0A"}"#, r#"{"a": "ú€\u000a"}"#),
            (r#"{"a": "\\x22 \n \x2"}"#, r#"{"a": "\\x22 \n \x2"}"#),
            ("plain\\", "plain\\"),
        ] {
            assert_eq!(without_byte_escapes(line), expected);
        }
    }
}
