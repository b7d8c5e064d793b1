//! One log line as a JSON record, written straight from the bytes of the line.

use std::borrow::Cow;

use chrono_tz::Tz;
use cordada_ingest_formats::values::time::{Clock, Time};

use super::address::Addresses;
use super::query::Queries;
use super::time;

/// Why a line is none of its format: said without anything out of the line.
pub(crate) type Reason = Cow<'static, str>;

/// What may land of visitors, and the zone of times that carry none.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) addresses: Addresses,
    pub(crate) queries: Queries,
    pub(crate) zone: Tz,
}

impl Policy {
    /// A line that does not parse, for people to read: without the addresses that would not land either, and
    /// nothing at all where parts of it that cannot be told apart would not land.
    pub(crate) fn rejected(&self, line: &[u8]) -> String {
        if self.queries != Queries::Keep {
            return String::new();
        }
        let text = String::from_utf8_lossy(line);
        self.addresses.mask(&text).into_owned()
    }
}

/// Writes one record at a time.
pub(crate) struct Record<'p> {
    pub(crate) policy: &'p Policy,
    clock: Clock,
    json: Vec<u8>,
}

impl<'p> Record<'p> {
    pub(crate) fn new(policy: &'p Policy) -> Self {
        Self {
            policy,
            clock: Clock::new(policy.zone),
            json: Vec::with_capacity(1024),
        }
    }

    /// Forgets what has been written.
    pub(crate) fn begin(&mut self) {
        self.json.clear();
        self.json.push(b'{');
    }

    /// The record.
    pub(crate) fn end(&mut self) -> &[u8] {
        self.json.push(b'}');
        &self.json
    }

    fn name(&mut self, name: &str) {
        if self.json.len() > 1 {
            self.json.push(b',');
        }
        write_string(name.as_bytes(), &mut self.json);
        self.json.push(b':');
    }

    /// A text; null for `-` and for nothing.
    pub(crate) fn text(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        match value {
            b"" | b"-" => self.json.extend_from_slice(b"null"),
            value => write_string(value, &mut self.json),
        }
    }

    /// A text that is there only in some lines.
    pub(crate) fn text_if_any(&mut self, name: &str, value: &[u8]) {
        if !matches!(value, b"" | b"-") {
            self.text(name, value);
        }
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.json.extend_from_slice(json.as_bytes());
    }

    /// A number as it is written; nothing for `-`.
    ///
    /// # Errors
    /// It is not a number.
    pub(crate) fn number(&mut self, name: &'static str, value: &[u8]) -> Result<(), Reason> {
        self.scaled(name, value, 0)
    }

    /// A number divided by 10 to the power of `places`, exactly; nothing for `-`.
    ///
    /// # Errors
    /// It is not a number.
    pub(crate) fn scaled(&mut self, name: &str, value: &[u8], places: usize) -> Result<(), Reason> {
        if matches!(value, b"" | b"-") {
            return Ok(());
        }
        let (sign, digits) = match value.strip_prefix(b"-") {
            Some(digits) => (&b"-"[..], digits),
            None => (&b""[..], value),
        };
        let (whole, fraction) = match memchr::memchr(b'.', digits) {
            Some(point) => (&digits[..point], &digits[point + 1..]),
            None => (digits, &b""[..]),
        };
        let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
        if whole.is_empty() || digits.len() > 30 || !all_digits || digits.ends_with(b".") {
            return Err(format!("{name} is not a number").into());
        }
        self.name(name);
        self.json.extend_from_slice(sign);
        if places == 0 {
            let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
            self.json.extend_from_slice(&whole[zeros.min(whole.len() - 1)..]);
        } else {
            let padding = (places + 1).saturating_sub(whole.len());
            let padded = [&vec![b'0'; padding], whole].concat();
            let (units, rest) = padded.split_at(padded.len() - places);
            let zeros = units.iter().take_while(|digit| **digit == b'0').count();
            self.json.extend_from_slice(&units[zeros.min(units.len() - 1)..]);
            self.json.push(b'.');
            self.json.extend_from_slice(rest);
        }
        if !fraction.is_empty() {
            if places == 0 {
                self.json.push(b'.');
            }
            self.json.extend_from_slice(fraction);
        }
        Ok(())
    }

    /// The time of the line.
    pub(crate) fn time(&mut self, time: Time) {
        self.name("time");
        time::write(time, &mut self.clock, &mut self.json);
    }

    /// An address of a visitor, as much of it as may land.
    pub(crate) fn address(&mut self, name: &str, value: &[u8]) {
        let text = String::from_utf8_lossy(value);
        match text.as_ref() {
            "" | "-" => self.text(name, b""),
            text => {
                if let Some(address) = self.policy.addresses.apply(text) {
                    self.text(name, address.as_bytes());
                }
            }
        }
    }

    /// A request line: `GET /path?query HTTP/1.1`. One that is not made like that (a port scan, a TLS handshake on
    /// the wrong port) stays whole as `request`.
    pub(crate) fn request(&mut self, line: &[u8], host: Host) {
        let parts = split_request(line);
        let (method, target, protocol) = parts.unwrap_or_default();
        self.text("method", method);
        self.target(target, host);
        self.text("protocol", protocol);
        if parts.is_none() && !matches!(line.trim_ascii(), b"" | b"-") {
            let raw = self.policy.queries.apply_to_url(line);
            self.text("request", &raw);
        }
    }

    /// What was asked for: a path, or a whole URL, with its query string.
    pub(crate) fn target(&mut self, target: &[u8], host: Host) {
        let (authority, target) = split_authority(target);
        if let (Host::FromTarget, Some(authority)) = (host, authority) {
            self.text("host", authority);
        }
        match memchr::memchr(b'?', target) {
            None => {
                self.text("path", target);
                self.text("query", b"");
            }
            Some(mark) => {
                self.text("path", &target[..mark]);
                self.query(&target[mark + 1..]);
            }
        }
    }

    /// A query string, as much of it as may land.
    pub(crate) fn query(&mut self, query: &[u8]) {
        let policy = self.policy;
        match policy.queries.apply(query) {
            Some(query) => self.text("query", &query),
            None => self.text("query", b""),
        }
    }

    /// The page that the visitor came from, as much of it as may land.
    pub(crate) fn referrer(&mut self, url: &[u8]) {
        let policy = self.policy;
        self.text("referrer", &policy.queries.apply_to_url(url));
    }
}

/// Where the host of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// In a field of its own, or nowhere.
    Elsewhere,
    /// In the URL that was asked for.
    FromTarget,
}

/// Method, target and protocol.
fn split_request(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let line = line.trim_ascii();
    let method_end = memchr::memchr(b' ', line)?;
    let (method, rest) = (&line[..method_end], line[method_end..].trim_ascii());
    let is_method = !method.is_empty() && method.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    if !is_method {
        return None;
    }
    let is_protocol = |word: &[u8]| {
        memchr::memchr(b'/', word).is_some_and(|slash| {
            slash > 0
                && word[..slash].iter().all(u8::is_ascii_uppercase)
                && word[slash + 1..]
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'.')
        })
    };
    match memchr::memrchr(b' ', rest) {
        Some(at) if is_protocol(&rest[at + 1..]) => Some((method, rest[..at].trim_ascii_end(), &rest[at + 1..])),
        // HTTP/0.9 has none.
        None if !rest.is_empty() => Some((method, rest, b"")),
        _ => None,
    }
}

/// `https://host:443/path` as `host:443` and `/path`; a path alone as itself.
fn split_authority(target: &[u8]) -> (Option<&[u8]>, &[u8]) {
    if target.first().is_none_or(|byte| *byte == b'/') {
        return (None, target);
    }
    let Some(at) = memchr::memmem::find(target, b"://") else {
        return (None, target);
    };
    if !target[..at].iter().all(|byte| byte.is_ascii_alphanumeric()) {
        return (None, target);
    }
    let rest = &target[at + 3..];
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    (Some(&rest[..end]), if end == rest.len() { b"/" } else { &rest[end..] })
}

/// Writes a JSON string. Bytes that are not UTF-8 become `\xNN`, as Apache and nginx themselves write them.
pub(crate) fn write_string(value: &[u8], target: &mut Vec<u8>) {
    target.push(b'"');
    for chunk in value.utf8_chunks() {
        escape(chunk.valid().as_bytes(), target);
        for byte in chunk.invalid() {
            target.extend_from_slice(format!("\\\\x{byte:02X}").as_bytes());
        }
    }
    target.push(b'"');
}

fn escape(text: &[u8], target: &mut Vec<u8>) {
    let mut done = 0;
    for (at, byte) in text.iter().enumerate() {
        if *byte >= b' ' && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        target.extend_from_slice(&text[done..at]);
        done = at + 1;
        match byte {
            b'"' => target.extend_from_slice(b"\\\""),
            b'\\' => target.extend_from_slice(b"\\\\"),
            byte => target.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
    }
    target.extend_from_slice(&text[done..]);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            addresses: Addresses::Truncate,
            queries: Queries::Keep,
            zone: Tz::UTC,
        }
    }

    fn record(write: impl FnOnce(&mut Record<'_>)) -> serde_json::Value {
        let policy = policy();
        let mut record = Record::new(&policy);
        record.begin();
        write(&mut record);
        serde_json::from_slice(record.end()).unwrap()
    }

    #[test]
    fn requests_are_taken_apart() {
        let request = |line: &'static [u8]| record(move |record| record.request(line, Host::FromTarget));
        let parts = request(b"GET https://www.example.com:443/a b/c?x=1?2 HTTP/1.1");
        assert_eq!(parts["host"], "www.example.com:443");
        assert_eq!((&parts["path"], &parts["query"]), (&"/a b/c".into(), &"x=1?2".into()));
        assert_eq!(
            (&parts["method"], &parts["protocol"]),
            (&"GET".into(), &"HTTP/1.1".into())
        );
        let scan = request(b"\\x16\\x03\\x01");
        assert_eq!(scan["request"], "\\x16\\x03\\x01");
        assert!(scan["method"].is_null() && request(b"-").get("request").is_none());
        assert!(request(b"- - - ").get("request").is_some());
        assert_eq!(request(b"OPTIONS * HTTP/1.0")["path"], "*");
    }

    #[test]
    fn strings_are_json_whatever_is_in_them() {
        let every: Vec<u8> = (0..=255).collect();
        let value = record(|record| record.text("x", &every));
        assert!(value["x"].as_str().unwrap().ends_with("\\xFE\\xFF"));
        assert!(value["x"].as_str().unwrap().starts_with('\0'));
    }

    #[test]
    fn numbers_are_scaled_exactly() {
        let scaled = |value: &'static [u8], places| {
            let value = record(move |record| record.scaled("x", value, places).unwrap());
            value.get("x").map(ToString::to_string)
        };
        assert_eq!(scaled(b"214", 3).as_deref(), Some("0.214"));
        assert_eq!(scaled(b"1687", 3).as_deref(), Some("1.687"));
        assert_eq!(scaled(b"007", 0).as_deref(), Some("7"));
        assert_eq!(scaled(b"1.5", 3).as_deref(), Some("0.0015"));
        assert_eq!(scaled(b"-1", 0).as_deref(), Some("-1"));
        assert_eq!(scaled(b"-", 0), None);
        let policy = policy();
        assert!(Record::new(&policy).number("status", b"2x0").is_err());
    }
}
