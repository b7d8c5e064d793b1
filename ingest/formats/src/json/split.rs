//! Where the records of a JSON file are, without reading what is in them.

use std::ops::Range;

use cordada_core::{Error, Result};

use crate::text::{MARK, Plain};

/// Bytes a piece, about.
pub const BLOCK: u64 = 1 << 20;

/// Bytes that one record may have.
const MAX_RECORD: usize = 64 << 20;

/// How records are set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One a line.
    Lines,
    /// Items of one array.
    Array,
    /// Objects one after the other.
    Sequence,
}

impl Layout {
    /// The layout of a `json` file, told by its first character, and where its first record may begin.
    pub fn of_json(text: &Plain) -> Result<(Layout, u64)> {
        let mut head = Vec::new();
        text.read(text.start(), text.start() + BLOCK, &mut head)?;
        // Files that were put together have more than one mark.
        let first = head
            .iter()
            .position(|byte| !byte.is_ascii_whitespace() && !MARK.contains(byte));
        Ok(match first {
            Some(at) if head[at] == b'[' => (Layout::Array, text.start() + at as u64 + 1),
            _ => (Layout::Sequence, text.start()),
        })
    }

    /// The layout of an `ndjson` file: lines that end with nothing but a carriage return are read as a sequence.
    pub fn of_ndjson(text: &Plain) -> Result<Layout> {
        let mut head = Vec::new();
        text.read(text.start(), text.start() + BLOCK, &mut head)?;
        let returns = memchr::memchr(b'\r', head.trim_ascii_end()).is_some();
        Ok(match returns && memchr::memchr(b'\n', &head).is_none() {
            true => Layout::Sequence,
            false => Layout::Lines,
        })
    }

    /// Cuts the file from `start` on into pieces of whole records, of about `block` bytes.
    ///
    /// # Errors
    /// Failed: a record is too long, or the array is not closed.
    pub fn pieces(self, text: &Plain, start: u64, block: u64) -> Result<Vec<Range<u64>>> {
        let doing = || format!("reading {}", text.name());
        let mut pieces = Vec::new();
        let mut data = Vec::new();
        let mut splitter = Splitter::new(self);
        // The piece begins at `piece`, `data` begins there too, and the splitter has seen `seen` bytes of it.
        let (mut piece, mut seen) = (start, 0);
        while piece < text.end() {
            let known = piece + data.len() as u64;
            text.read(known, known + block, &mut data)?;
            let at_end = piece + data.len() as u64 >= text.end();
            let mut last = None;
            while let Some(end) = splitter.next_end(&data, seen) {
                seen = end;
                // A piece begins within the array, as the file does.
                if !splitter.outside {
                    last = Some(end);
                }
            }
            seen = data.len();
            if at_end {
                pieces.push(piece..text.end());
                break;
            }
            match last {
                Some(end) => {
                    pieces.push(piece..piece + end as u64);
                    data.drain(..end);
                    piece += end as u64;
                    seen -= end;
                }
                None if data.len() > MAX_RECORD => {
                    let why = format!("a record is longer than {} MiB", MAX_RECORD >> 20);
                    return Err(Error::failed(doing(), why).hint("check its brackets and quotes, and the `format:`"));
                }
                None => {}
            }
        }
        if self == Layout::Array && !splitter.outside {
            let why = "its array is not closed: the file breaks off, or a bracket or a quote within it is missing";
            return Err(Error::failed(doing(), why).hint("get the file again: nothing of it was landed"));
        }
        Ok(pieces)
    }

    /// The records of a piece, without the space, commas and byte order marks around them.
    pub fn records(self, data: &[u8]) -> Vec<Part> {
        let mut records = Vec::new();
        let mut splitter = Splitter::new(self);
        let mut start = 0;
        loop {
            let outside = splitter.outside;
            let end = splitter.next_end(data, start);
            // An item of an array is followed by a separator, which is the byte before its end.
            let separator = usize::from(self == Layout::Array && end.is_some());
            let item = &data[start..end.unwrap_or(data.len()) - separator];
            let mut record = item.trim_ascii();
            while let Some(rest) = record.strip_prefix(MARK) {
                record = rest.trim_ascii_start();
            }
            let is_next_array = outside && end.is_some();
            if !record.is_empty() && !is_next_array {
                let after = item.len() - item.trim_ascii_end().len();
                let place = start + item.len() - after - record.len()..start + item.len() - after;
                records.push(Part { place, outside });
            }
            match end {
                Some(end) => start = end,
                None => return records,
            }
        }
    }
}

/// A record, or what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its bytes.
    pub place: Range<usize>,
    /// Whether it is behind the end of the array.
    pub outside: bool,
}

/// Follows brackets and strings to where records end.
struct Splitter {
    layout: Layout,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Whether the array has ended; another one may begin.
    outside: bool,
    /// Whether something else has begun there, which goes on to the end of the file.
    is_over: bool,
}

impl Splitter {
    fn new(layout: Layout) -> Self {
        Self {
            layout,
            depth: 0,
            in_string: false,
            escaped: false,
            outside: false,
            is_over: false,
        }
    }

    /// One past the end of the record that goes on at `from`, its separator included.
    fn next_end(&mut self, data: &[u8], from: usize) -> Option<usize> {
        if self.layout == Layout::Lines {
            return memchr::memchr(b'\n', &data[from..]).map(|at| from + at + 1);
        }
        if self.is_over {
            return None;
        }
        for (at, byte) in data.iter().enumerate().skip(from) {
            if self.outside {
                match byte {
                    b' ' | b'\n' | b'\r' | b'\t' | b',' => continue,
                    byte if MARK.contains(byte) => continue,
                    b'[' => {
                        self.outside = false;
                        return Some(at + 1);
                    }
                    _ => {
                        self.is_over = true;
                        return None;
                    }
                }
            }
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b',' | b']' if self.depth == 0 && self.layout == Layout::Array => {
                    self.outside = *byte == b']';
                    return Some(at + 1);
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 && self.layout == Layout::Sequence {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(layout: Layout, text: &str) -> Vec<&str> {
        layout
            .records(text.as_bytes())
            .into_iter()
            .map(|part| &text[part.place])
            .collect()
    }

    #[test]
    fn records_are_found_without_what_is_between_them() {
        assert_eq!(
            records(Layout::Lines, "{\"a\":1}\r\n\n {\"b\":\n"),
            ["{\"a\":1}", "{\"b\":"]
        );
        let items = " {\"a\": \"]},\\\"\"} , {\"b\": [1, 2]}\n, 3 ]\n";
        assert_eq!(
            records(Layout::Array, items),
            ["{\"a\": \"]},\\\"\"}", "{\"b\": [1, 2]}", "3"]
        );
        assert_eq!(records(Layout::Array, "{\"a\": [1]}"), ["{\"a\": [1]}"]);
        assert_eq!(records(Layout::Array, "]"), Vec::<&str>::new());
        assert_eq!(records(Layout::Array, "[1], [2]]"), ["[1]", "[2]"]);
        assert_eq!(records(Layout::Array, "{}]\n[{}, 1]"), ["{}", "{}", "1"]);
        assert_eq!(
            records(Layout::Lines, "\u{feff}{}\n \u{feff}{}\u{feff}"),
            ["{}", "{}\u{feff}"]
        );
        assert_eq!(records(Layout::Sequence, "{\"a\": {}}\n{\n}"), ["{\"a\": {}}", "{\n}"]);
        assert_eq!(records(Layout::Sequence, "{} {\"a\""), ["{}", "{\"a\""]);
    }

    #[test]
    fn what_stands_behind_an_array_is_told_from_its_items() {
        let parts = Layout::Array.records(b"{}] {\"error\": \"[x\"} [ {} ]]");
        let outside: Vec<_> = parts.iter().map(|part| part.outside).collect();
        assert_eq!(outside, [false, true]);
        let parts = Layout::Array.records(b"{}],\n[{}]\n");
        assert!(parts.len() == 2 && parts.iter().all(|part| !part.outside));
    }
}
