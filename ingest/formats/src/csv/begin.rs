//! Where the table begins in a CSV file: how its lines end, and what stands above the header.

use cordada_core::{Error, Result};

use super::tokenizer::Dialect;
use crate::reading::CsvOptions;
use crate::text::{MARK, Plain};

/// Bytes at the beginning of a file that tell how it is written.
pub const HEAD: u64 = 1 << 20;

/// Where the records of a file begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// Its byte.
    pub at: u64,
    /// Its line, from 1.
    pub line: u64,
}

impl Begin {
    /// Where the table of the file begins whose records are written in `dialect`, and how its lines end and its
    /// fields are set apart, as far as the file says it.
    ///
    /// # Errors
    /// Failed: the line that is to name the columns is not there.
    pub fn of(text: &Plain, options: &CsvOptions, mut dialect: Dialect) -> Result<(Begin, Dialect)> {
        let mut head = Vec::new();
        text.read(text.start(), text.start() + HEAD, &mut head)?;
        dialect.line_end = line_end(&head, dialect.quote);
        let (mut at, mut line) = (0, 0);
        if let Some(delimiter) = separator(&head, &dialect) {
            dialect.delimiter = options.delimiter.map_or(delimiter, |_| dialect.delimiter);
            (at, line) = (next_line(&head, 0, dialect.line_end), 1);
        }
        let above = match options.header_row {
            Some(row) => u64::from(row.saturating_sub(1)),
            None => u64::from(options.skip),
        };
        while line < above && at < head.len() {
            at = next_line(&head, at, dialect.line_end);
            line += 1;
        }
        if at >= head.len() && above > 0 {
            let doing = format!("reading {}", text.name());
            let why = format!("there is nothing after its first {above} lines");
            return Err(Error::failed(doing, why).hint("check `csv: {header_row: …, skip: …}`"));
        }
        while at < head.len() {
            let next = next_line(&head, at, dialect.line_end);
            if !head[at..next].iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                break;
            }
            (at, line) = (next, line + 1);
        }
        let begin = Begin {
            at: text.start() + at as u64,
            line: line + 1,
        };
        Ok((begin, dialect))
    }
}

/// What ends the lines: a carriage return where more of them stand by themselves than there are line feeds, those
/// within quotes aside.
fn line_end(head: &[u8], quote: Option<u8>) -> u8 {
    if memchr::memchr(b'\r', head).is_none() {
        return b'\n';
    }
    let (mut feeds, mut returns, mut quoted) = (0_usize, 0_usize, false);
    for (at, byte) in head.iter().enumerate() {
        match byte {
            byte if Some(*byte) == quote => quoted = !quoted,
            b'\n' if !quoted => feeds += 1,
            b'\r' if !quoted && !matches!(head.get(at + 1), Some(b'\r' | b'\n')) => returns += 1,
            _ => {}
        }
    }
    if returns > feeds { b'\r' } else { b'\n' }
}

/// The delimiter that a first line `sep=;` tells, as spreadsheets read and write it. What has another meaning in
/// `dialect` is none.
fn separator(head: &[u8], dialect: &Dialect) -> Option<u8> {
    let line = &head[..next_line(head, 0, dialect.line_end)];
    let line = line.strip_prefix(MARK).unwrap_or(line);
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = &line[..line.len() - line.iter().rev().take_while(|byte| **byte == b'\r').count()];
    let line = line
        .strip_prefix(b"\"")
        .and_then(|line| line.strip_suffix(b"\""))
        .unwrap_or(line);
    let is_delimiter = |byte: u8| {
        let other_meanings = [dialect.quote, dialect.escape, Some(0), Some(b'\r'), Some(b'\n')];
        byte.is_ascii() && !other_meanings.contains(&Some(byte))
    };
    match line {
        [name @ .., byte] if name.eq_ignore_ascii_case(b"sep=") && is_delimiter(*byte) => Some(*byte),
        _ => None,
    }
}

/// Where the line after the one at `at` begins.
fn next_line(head: &[u8], at: usize, line_end: u8) -> usize {
    let next = memchr::memchr(line_end, &head[at..]).map_or(head.len(), |end| at + end + 1);
    let feed = line_end == b'\r' && head.get(next) == Some(&b'\n');
    next + usize::from(feed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_told() {
        let told = |head: &str| line_end(head.as_bytes(), Some(b'"'));
        assert_eq!(told("a,b\r1,2\r"), b'\r');
        assert_eq!(told("a,b\r1,2\r3,4\n"), b'\r');
        assert_eq!(told("a,b\r\n1,2\r\n"), b'\n');
        assert_eq!(told("a,b\r\r\n1,2\r\r\n"), b'\n');
        assert_eq!(told("a,b\n1,\"x\ry\rz\"\n"), b'\n');
        assert_eq!(told("a,b\r1,\"x\ny\nz\nw\"\r"), b'\r');
        assert_eq!(told("a,b"), b'\n');
    }

    #[test]
    fn a_first_line_may_tell_the_delimiter() {
        let dialect = Dialect {
            delimiter: b',',
            quote: Some(b'"'),
            escape: Some(b'\\'),
            line_end: b'\n',
            max_record: 1 << 20,
        };
        for (head, told) in [
            ("sep=;\r\na;b\r\n", Some(b';')),
            ("sep=\0\na\0b\n", None),
            ("sep=\"\na\"b\n", None),
            ("\"sep=\"\"\na\"b\n", None),
            ("sep=\\\na\\b\n", None),
            ("sep=\r\r\na,b\n", None),
            ("\u{feff}SEP=\t\na\tb\n", Some(b'\t')),
            ("\"sep=|\"\n", Some(b'|')),
            ("sep=\n", None),
            ("sep=ab\n", None),
            ("a,b\n", None),
        ] {
            assert_eq!(separator(head.as_bytes(), &dialect), told, "{head:?}");
        }
    }
}
