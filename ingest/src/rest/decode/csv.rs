//! CSV with a header: every record an object of strings, with null where a field is empty.

use std::io::{BufRead, BufReader, Read};

use cordada_lake::{Context, Result};

use super::{malformed, push_string, without_mark};

/// What may be between fields, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Hands out each record. The delimiter is the one that is most frequent in the header.
pub(super) fn each(body: impl Read, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut body = BufReader::with_capacity(1 << 16, body);
    let start = body.fill_buf().doing(|| "reading the answer")?;
    let mark = start.len() - without_mark(start).len();
    let delimiter = delimiter(&start[mark..]);
    body.consume(mark);

    let mut reader = ::csv::ReaderBuilder::new().delimiter(delimiter).from_reader(body);
    let header = reader.headers().map_err(wrong)?.clone();
    let mut names = Vec::with_capacity(header.len());
    for name in &header {
        let mut text = Vec::new();
        push_string(&mut text, name.trim());
        if names.contains(&text) {
            return Err(malformed("CSV", format!("two columns are named `{}`", name.trim())));
        }
        names.push(text);
    }
    let mut record = ::csv::StringRecord::new();
    let mut object = Vec::new();
    while reader.read_record(&mut record).map_err(wrong)? {
        object.clear();
        object.push(b'{');
        for (name, field) in names.iter().zip(&record) {
            if object.len() > 1 {
                object.push(b',');
            }
            object.extend_from_slice(name);
            object.push(b':');
            match field {
                "" => object.extend_from_slice(b"null"),
                text => push_string(&mut object, text),
            }
        }
        object.push(b'}');
        each(&object)?;
    }
    Ok(())
}

fn delimiter(start: &[u8]) -> u8 {
    let header = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut quoted = false;
    let mut counts = [0; DELIMITERS.len()];
    for byte in header {
        quoted ^= *byte == b'"';
        if let Some(at) = DELIMITERS.iter().position(|delimiter| delimiter == byte && !quoted) {
            counts[at] += 1;
        }
    }
    let mut best = 0;
    for at in 1..counts.len() {
        if counts[at] > counts[best] {
            best = at;
        }
    }
    DELIMITERS[best]
}

fn wrong(error: ::csv::Error) -> cordada_lake::Error {
    let line = error.position().map_or(0, ::csv::Position::line);
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => match Err::<(), _>(error).doing(|| "reading the answer") {
            Err(error) => error,
            Ok(()) => malformed("CSV", "it cannot be read"),
        },
        ::csv::ErrorKind::Utf8 { .. } => malformed("CSV", "a field is not UTF-8").with("line", line),
        ::csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            malformed("CSV", format!("a record has {len} fields, the header {expected_len}")).with("line", line)
        }
        _ => malformed("CSV", "it is no table").with("line", line),
    }
}
