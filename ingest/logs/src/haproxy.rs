//! HAProxy's HTTP log format, with or without the prefix that syslog writes before it.
//! Source: HAProxy Configuration Manual, 8.2.3 "HTTP log format".

use super::record::{Host, Reason, Record};
use super::time;
use super::tokens::Cursor;

/// Writes the fields of a line.
///
/// # Errors
/// It is none of this format.
pub(crate) fn write(line: &[u8], record: &mut Record<'_>) -> Result<(), Reason> {
    const SHORT: &str = "there are too few fields";
    // The process id of the prefix is in brackets as well.
    let (open, stamp, mut rest) = memchr::memchr_iter(b'[', line)
        .find_map(|open| {
            let mut rest = Cursor::new(&line[open..]);
            let stamp = time::bracketed(rest.bracketed()?)?;
            Some((open, stamp, rest))
        })
        .ok_or("there is no time in brackets")?;
    let client = line[..open].trim_ascii_end().rsplit(|byte| *byte == b' ').next();
    let client = client
        .filter(|client| client.contains(&b':'))
        .ok_or("there is no client's address")?;
    record.time(stamp);
    record.address("remote_host", client);
    let mut word = || rest.word().ok_or(SHORT);
    record.text("frontend", word()?);
    let backend = word()?;
    let slash = memchr::memchr(b'/', backend).ok_or("there is no backend/server")?;
    record.text("backend", &backend[..slash]);
    record.text("server", &backend[slash + 1..]);
    let timers = word()?;
    if timers.iter().filter(|byte| **byte == b'/').count() != 4 {
        return Err("these are not the timers of HTTP".into());
    }
    record.text("timers", timers);
    let total = timers.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    record.scaled("request_time", total.strip_prefix(b"+").unwrap_or(total), 3)?;
    // -1: the client went away before there was one.
    let status = word()?;
    record.number("status", if status == b"-1" { b"-" } else { status })?;
    let bytes = word()?;
    record.number("bytes", bytes.strip_prefix(b"+").unwrap_or(bytes))?;
    record.text_if_any("captured_request_cookie", word()?);
    record.text_if_any("captured_response_cookie", word()?);
    record.text("termination_state", word()?);
    record.text("connections", word()?);
    record.text("queues", word()?);
    let mut captured = Vec::new();
    while let Some(inner) = rest.rest().strip_prefix(b"{") {
        let end = memchr::memchr(b'}', inner).ok_or("a captured header does not end")?;
        captured.push(&inner[..end]);
        rest = Cursor::new(&inner[end + 1..]);
    }
    let addresses = record.policy.addresses;
    for (headers, name) in captured
        .into_iter()
        .zip(["captured_request_headers", "captured_response_headers"])
    {
        let headers = String::from_utf8_lossy(headers);
        record.text_if_any(name, addresses.mask(&headers).as_bytes());
    }
    // A request that is too long is cut off with its closing quote.
    let request = rest.rest().strip_prefix(b"\"").ok_or("there is no request in quotes")?;
    record.request(request.strip_suffix(b"\"").unwrap_or(request), Host::FromTarget);
    Ok(())
}
