//! Files that grow: the end of one that is being written may be the beginning of a record that is still to come. What is
//! before it lands now, and the record once it is there. If it never comes, it is rejected as any other that cannot be
//! read. A file that is new is taken as it is: few are written while a load looks at them, and many have no line feed at
//! their end.

use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, SystemTime};

use cordada_core::scratch::ScratchFile;
use cordada_core::{Context, Result};
use cordada_ingest_formats::local::{Local, whole_lines};
use serde::de::IgnoredAny;

/// How long nobody has to have written to a file for it to be as it will be.
const QUIET: Duration = Duration::from_secs(60 * 60);

/// Bytes of a file's end that are looked at; a longer record is taken as it is.
const END: u64 = 1 << 20;

/// What lines are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lines {
    /// JSON.
    Json,
    /// Fields between delimiters, with quotes around some.
    Fields { delimiter: u8, quote: Option<u8> },
}

/// Whether a file that was written then may be written to at the time of a load.
pub(crate) fn is_recent(modified: Option<SystemTime>, load_at: SystemTime) -> bool {
    // One that was written after the load began is.
    modified.is_some_and(|modified| load_at.duration_since(modified).unwrap_or_default() < QUIET)
}

/// What of a file comes before the record in whose middle it ends; `None` if it does not end so.
///
/// # Errors
/// As [`Local::open`]; a full disk.
pub(crate) fn finished(local: &Local, lines: Lines) -> Result<Option<Local>> {
    let Some(length) = finished_bytes(local, lines)? else {
        return Ok(None);
    };
    let scratch = ScratchFile::new().doing(|| format!("creating a temporary file in {}", folder()))?;
    let copied = std::io::copy(&mut local.open()?.take(length), &mut scratch.file());
    copied.doing(|| format!("copying {} into {}", local.name, folder()))?;
    Local::temporary(scratch, &local.name).map(Some)
}

fn folder() -> String {
    ScratchFile::folder().display().to_string()
}

fn finished_bytes(local: &Local, lines: Lines) -> Result<Option<u64>> {
    let start = local.bytes.saturating_sub(END);
    let (mut file, mut end) = (local.open()?, Vec::new());
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.read_to_end(&mut end))
        .doing(|| format!("reading {}", local.name))?;
    if end.last().is_none_or(|last| *last == b'\n') {
        return Ok(None);
    }
    let line_feed = end.iter().rposition(|byte| *byte == b'\n');
    if line_feed.is_none() && start > 0 {
        return Ok(None);
    }
    let (before, last) = end.split_at(line_feed.map_or(0, |at| at + 1));
    let length = start + before.len() as u64;
    let is_unfinished = match lines {
        Lines::Json => serde_json::from_slice::<IgnoredAny>(last).is_err_and(|error| error.is_eof()),
        // The first line alone says nothing about how many fields there should be.
        Lines::Fields { .. } if before.is_empty() => false,
        Lines::Fields { delimiter, quote } => {
            let former = before[..before.len() - 1].rsplit(|byte| *byte == b'\n').next();
            let expected = former.and_then(|line| fields(line, delimiter, quote));
            let found = fields(last, delimiter, quote);
            // A line break within quotes is none between records.
            found < expected && whole_lines(local, length, quote)?.is_some()
        }
    };
    Ok(is_unfinished.then_some(length))
}

/// How many fields a line has; `None` if it ends within quotes.
fn fields(line: &[u8], delimiter: u8, quote: Option<u8>) -> Option<usize> {
    let (mut fields, mut is_quoted) = (1, false);
    for byte in line {
        if Some(*byte) == quote {
            is_quoted = !is_quoted;
        } else if *byte == delimiter && !is_quoted {
            fields += 1;
        }
    }
    (!is_quoted).then_some(fields)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: &str) -> Local {
        let scratch = ScratchFile::new().unwrap();
        scratch.file().write_all(content.as_bytes()).unwrap();
        Local::temporary(scratch, "x").unwrap()
    }

    #[test]
    fn a_record_that_is_cut_is_not_finished() {
        let csv = Lines::Fields {
            delimiter: b',',
            quote: Some(b'"'),
        };
        let long = format!("{{\"a\": \"{}\"}}\n{{\"a\"", "x".repeat(END as usize));
        for (lines, content, finished) in [
            (Lines::Json, "{\"a\": 1}\n{\"a\"", Some("{\"a\": 1}\n")),
            (Lines::Json, "{\"a\": 1}\n{\"a\": \"ñ\\", Some("{\"a\": 1}\n")),
            (Lines::Json, "{\"a\"", Some("")),
            (Lines::Json, "{\"a\": 1}\n{\"a\": 2}", None),
            (Lines::Json, "{\"a\": 1}\n", None),
            (Lines::Json, "", None),
            // It will not become a record, whatever comes.
            (Lines::Json, "{\"a\": 1}\nbroken", None),
            (Lines::Json, &long, Some(&long[..long.len() - 4])),
            (csv, "id,v\n1,a\n2", Some("id,v\n1,a\n")),
            (csv, "id,v\n1,a\n2,\"b", Some("id,v\n1,a\n")),
            (csv, "id,v\n1,a\n2,b", None),
            (csv, "id,v\n1,a\n2,b,c", None),
            (csv, "id,v\r\n1,a\r\n2", Some("id,v\r\n1,a\r\n")),
            (csv, "id", None),
            (csv, "id,v\n1,\"a\nb", None),
        ] {
            let found = super::finished(&file(content), lines)
                .unwrap()
                .map(|local| local.head(4 << 20));
            let found = found.map(|head| String::from_utf8(head.unwrap()).unwrap());
            let expected = finished.map(|text| text[..text.len().min(4 << 20)].to_owned());
            assert_eq!(found, expected, "{:?}", &content[..content.len().min(40)]);
        }
    }

    #[test]
    fn what_nobody_writes_to_is_as_it_will_be() {
        let now = SystemTime::UNIX_EPOCH + 2 * QUIET;
        for (modified, recent) in [
            (Some(now), true),
            (Some(now + QUIET), true),
            (Some(now - QUIET / 2), true),
            (Some(now - QUIET), false),
            (None, false),
        ] {
            assert_eq!(is_recent(modified, now), recent);
        }
    }
}
