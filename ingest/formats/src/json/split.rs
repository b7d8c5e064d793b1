//! Where the records of a JSON file are, without reading what is in them.

use std::ops::Range;

use cordada_core::{Error, Result};

use crate::text::Plain;

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
        Ok(match head.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(at) if head[at] == b'[' => (Layout::Array, text.start() + at as u64 + 1),
            _ => (Layout::Sequence, text.start()),
        })
    }

    /// Cuts the file from `start` on into pieces of whole records, of about `block` bytes.
    pub fn pieces(self, text: &Plain, start: u64, block: u64) -> Result<Vec<Range<u64>>> {
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
                (seen, last) = (end, Some(end));
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
                    return Err(Error::failed(format!("reading {}", text.name()), why)
                        .hint("check its brackets and quotes, and the `format:`"));
                }
                None => {}
            }
        }
        Ok(pieces)
    }

    /// The records of a piece, without the space and commas around them.
    pub fn records(self, data: &[u8]) -> Vec<Range<usize>> {
        let mut records = Vec::new();
        let mut splitter = Splitter::new(self);
        let mut start = 0;
        loop {
            let end = splitter.next_end(data, start);
            // An item of an array is followed by a separator, which is the byte before its end.
            let separator = usize::from(self == Layout::Array && end.is_some());
            let item = &data[start..end.unwrap_or(data.len()) - separator];
            let record = item.trim_ascii();
            if !record.is_empty() {
                let first = start + item.len() - item.trim_ascii_start().len();
                records.push(first..first + record.len());
            }
            match end {
                Some(end) => start = end,
                None => return records,
            }
        }
    }
}

/// Follows brackets and strings to where records end.
struct Splitter {
    layout: Layout,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Splitter {
    fn new(layout: Layout) -> Self {
        Self {
            layout,
            depth: 0,
            in_string: false,
            escaped: false,
        }
    }

    /// One past the end of the record that goes on at `from`, its separator included.
    fn next_end(&mut self, data: &[u8], from: usize) -> Option<usize> {
        if self.layout == Layout::Lines {
            return memchr::memchr(b'\n', &data[from..]).map(|at| from + at + 1);
        }
        for (at, byte) in data.iter().enumerate().skip(from) {
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
                b',' | b']' if self.depth == 0 && self.layout == Layout::Array => return Some(at + 1),
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
            .map(|range| &text[range])
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
        assert_eq!(records(Layout::Sequence, "{\"a\": {}}\n{\n}"), ["{\"a\": {}}", "{\n}"]);
        assert_eq!(records(Layout::Sequence, "{} {\"a\""), ["{}", "{\"a\""]);
    }
}
