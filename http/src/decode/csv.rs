//! CSV with a header: every record an object. What looks like a number or a boolean is one, as in a file of CSV, and an
//! empty field is null.

use std::io::{BufRead, BufReader, Read};

use cordada_core::{Context, Result};
use cordada_ingest_formats::headings::Headings;

use super::numbers::{is_fraction, is_whole};
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

    let body = CsvBody {
        body,
        quoted: false,
        last: b'\n',
        over: false,
    };
    let mut reader = ::csv::ReaderBuilder::new().delimiter(delimiter).from_reader(body);
    let header = reader.headers().map_err(wrong)?.clone();
    let headings: Vec<_> = header.iter().map(|name| name.trim().to_owned()).collect();
    let names = Headings::of(&headings, |at| format!("column_{}", at + 1));
    let names = names.iter().map(|name| {
        let mut text = Vec::new();
        push_string(&mut text, name);
        text
    });
    let names: Vec<_> = names.collect();
    let mut record = ::csv::StringRecord::new();
    let mut object = Vec::new();
    while reader.read_record(&mut record).map_err(wrong)? {
        if reader.get_ref().is_cut_off() {
            return Err(malformed("CSV", "it ends within a field").hint("the answer may be cut off"));
        }
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
                plain if is_whole(plain) || is_fraction(plain) || matches!(plain, "true" | "false") => {
                    object.extend_from_slice(plain.as_bytes());
                }
                text => push_string(&mut object, text),
            }
        }
        object.push(b'}');
        each(&object)?;
    }
    Ok(())
}

/// The body of an answer in CSV, which knows how it ended.
struct CsvBody<R> {
    body: R,
    /// Whether there was an odd number of quotes.
    quoted: bool,
    last: u8,
    over: bool,
}

impl<R> CsvBody<R> {
    /// Whether it ended within quotes. A field may hold one quote by itself, but then its line ends.
    fn is_cut_off(&self) -> bool {
        self.over && self.quoted && self.last != b'\n'
    }
}

impl<R: Read> Read for CsvBody<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.body.read(buffer)?;
        let bytes = &buffer[..read];
        self.quoted ^= memchr::memchr_iter(b'"', bytes).count() % 2 == 1;
        self.last = bytes.last().copied().unwrap_or(self.last);
        self.over = read == 0 && !buffer.is_empty();
        Ok(read)
    }
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

fn wrong(error: ::csv::Error) -> cordada_core::Error {
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
        _ => malformed("CSV", "it is not a table").with("line", line),
    }
}
