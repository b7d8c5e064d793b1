//! Records and fields of CSV (RFC 4180), without copying.
//!
//! A quote opens a quoted field only as the field's first character; elsewhere it is a character like any other.
//! After the closing quote the field has to end. A record that breaks this rule, or is never closed, costs its first
//! line only: reading goes on at the next one, so one stray quote cannot swallow a file.
//!
//! Carriage returns before a line feed belong to the line end, however many there are. Fields beyond the last column
//! that are empty are passed over: many programs end each row with a delimiter. A byte order mark where a record begins
//! is one that files had which were put together.

use super::records::{Records, Row, Span, Width};
use crate::text::MARK;

/// The characters with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub delimiter: u8,
    /// `None` if the files have no quoting at all.
    pub quote: Option<u8>,
    /// The character that takes the meaning of the one after it.
    pub escape: Option<u8>,
    /// A line feed; a carriage return in files that end their lines with nothing else.
    pub line_end: u8,
    /// Bytes that one record may have: a quote that is not closed within them is taken for a broken one.
    pub max_record: usize,
}

/// Why tokenizing stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All records that begin before the limit have been read.
    Done,
    /// The record at [`Records::next`] goes on beyond the data: call again with more of it.
    Incomplete,
}

/// How the record at a position ends.
enum End {
    /// At this position, one past its line end.
    Record(usize),
    /// Not within the data.
    Beyond,
    /// It breaks the rules.
    Broken,
    /// It has a quote that is not closed within the bytes that a record may have.
    TooLong,
}

/// What comes after a quoted field, and where.
enum After {
    Field(usize),
    Record(usize),
}

impl Dialect {
    /// Reads the records of `width` that begin before `limit`, from `records.next` on.
    ///
    /// `at_end` says that nothing follows `data`: its last record needs no line end then.
    pub fn tokenize(self, data: &[u8], limit: usize, at_end: bool, width: Width, records: &mut Records) -> Stop {
        let mut scan = Scan::new(self, data, records.next);
        while records.next < limit && records.next < data.len() {
            let start = records.next;
            let fields = records.spans.len();
            scan.newlines = 0;
            match scan.record(start, at_end, &mut records.spans) {
                End::Record(next) => {
                    let row = Row {
                        start: start as u32,
                        end: next as u32,
                        line: records.lines,
                    };
                    records.finish_row(data, row, fields, width, self);
                    records.next = next;
                    records.lines += scan.newlines;
                }
                End::Beyond => {
                    records.spans.truncate(fields);
                    return Stop::Incomplete;
                }
                broken @ (End::Broken | End::TooLong) => {
                    records.spans.truncate(fields);
                    // A line feed that follows a carriage return belongs to it, and may not be there yet.
                    let is_known = |end: usize| self.line_end == b'\n' || end + 1 < data.len();
                    if !at_end && !self.line_end_after(data, start).is_some_and(is_known) {
                        return Stop::Incomplete;
                    }
                    records.too_long += u64::from(matches!(broken, End::TooLong));
                    records.skip_line(data, self);
                    scan = Scan::new(self, data, records.next);
                }
            }
        }
        Stop::Done
    }

    /// Where the line that `start` is in ends; an escape takes the meaning of a line end too.
    pub fn line_end_after(self, data: &[u8], start: usize) -> Option<usize> {
        memchr::memchr_iter(self.line_end, &data[start..])
            .map(|at| start + at)
            .find(|end| match self.escape {
                None => true,
                Some(escape) => {
                    let before = data[start..*end].iter().rev();
                    before.take_while(|byte| **byte == escape).count() % 2 == 0
                }
            })
    }

    /// The record at the start of `data`, as a header: its fields, and where the next record begins.
    ///
    /// `None` if the data end before it does.
    pub fn header(self, data: &[u8], at_end: bool) -> Option<(Vec<String>, Records)> {
        let mut scan = Scan::new(self, data, 0);
        let mut spans = Vec::new();
        let next = match scan.record(0, at_end, &mut spans) {
            End::Record(next) => next,
            End::Beyond | End::Broken | End::TooLong => return None,
        };
        let mut scratch = Vec::new();
        let mut name = |span: &Span| {
            String::from_utf8_lossy(span.value(data, &self, &mut scratch))
                .trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
                .to_owned()
        };
        let names = spans.iter().map(&mut name).collect();
        Some((
            names,
            Records {
                next,
                lines: scan.newlines,
                ..Records::default()
            },
        ))
    }

    /// Where a record probably begins at or after `from`: at the first line of which two records of `width` fields
    /// follow each other. Only a guess, because a quoted field may hold whole lines; whoever uses it verifies it.
    pub fn guess_start(self, data: &[u8], from: usize, width: usize) -> usize {
        const CANDIDATES: usize = 64;
        let mut first = None;
        for newline in memchr::memchr_iter(self.line_end, &data[from.saturating_sub(1)..]).take(CANDIDATES) {
            let start = from.saturating_sub(1) + newline + 1;
            first.get_or_insert(start);
            let mut scan = Scan::new(self, data, start);
            let mut spans = Vec::new();
            if let End::Record(second) = scan.record(start, false, &mut spans)
                && spans.len() == width
                && let End::Record(_) = scan.record(second, false, &mut spans)
                && spans.len() == 2 * width
            {
                return start;
            }
        }
        first.unwrap_or(data.len())
    }
}

/// Finds the delimiters, quotes and line ends of the data one after the other, eight bytes at a time.
struct Scan<'a> {
    data: &'a [u8],
    dialect: Dialect,
    patterns: [u64; 3],
    escape: Option<u64>,
    /// The word that `hits` is of.
    base: usize,
    /// The highest bit of every byte of the word that has a meaning and was not taken yet.
    hits: u64,
    /// Line ends passed since it was set to zero.
    newlines: u32,
}

const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// The highest bit of each byte of `word` that equals the pattern's.
#[inline(always)]
fn matches_of(word: u64, pattern: u64) -> u64 {
    let difference = word ^ pattern;
    !(((difference & LOW_BITS) + LOW_BITS) | difference | LOW_BITS)
}

impl<'a> Scan<'a> {
    fn new(dialect: Dialect, data: &'a [u8], from: usize) -> Self {
        let repeat = |byte: u8| u64::from_le_bytes([byte; 8]);
        let quote = dialect.quote.unwrap_or(dialect.line_end);
        let patterns = [repeat(dialect.delimiter), repeat(dialect.line_end), repeat(quote)];
        let mut scan = Self {
            data,
            dialect,
            patterns,
            escape: dialect.escape.map(repeat),
            base: from,
            hits: 0,
            newlines: 0,
        };
        scan.load();
        scan
    }

    #[inline(always)]
    fn load(&mut self) {
        let rest = self.data.get(self.base..).unwrap_or_default();
        let word = match rest.first_chunk::<8>() {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => {
                let mut bytes = [0; 8];
                bytes[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(bytes)
            }
        };
        let [delimiter, newline, quote] = self.patterns;
        self.hits = matches_of(word, delimiter) | matches_of(word, newline) | matches_of(word, quote);
        if let Some(escape) = self.escape {
            self.hits |= matches_of(word, escape);
        }
    }

    /// Passes over the byte at `at`, which follows one that was taken and has no meaning.
    fn pass(&mut self, at: usize) {
        if at >= self.base + 8 {
            self.base += 8;
            self.load();
        }
        self.hits &= !(0x80 << ((at - self.base) * 8));
        self.newlines += u32::from(self.data.get(at) == Some(&self.dialect.line_end));
    }

    /// The next byte with a meaning; it is taken.
    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.hits == 0 {
            self.base += 8;
            if self.base >= self.data.len() {
                return None;
            }
            self.load();
        }
        let at = self.base + (self.hits.trailing_zeros() / 8) as usize;
        self.hits &= self.hits - 1;
        Some(at)
    }

    /// Reads the record at `start`, where the scan is, and appends its fields.
    #[inline(always)]
    fn record(&mut self, start: usize, at_end: bool, spans: &mut Vec<Span>) -> End {
        let mut field = start;
        if self.data.get(start) == Some(&MARK[0]) && self.data[start..].starts_with(MARK) {
            field += MARK.len();
        }
        let mut escaped = false;
        loop {
            let Some(at) = self.next() else {
                return self.end_of_data(field, at_end, escaped, spans);
            };
            let byte = self.data[at];
            if byte == self.dialect.delimiter {
                spans.push(Span::new(field, at, std::mem::take(&mut escaped)));
                field = at + 1;
            } else if byte == self.dialect.line_end {
                self.newlines += 1;
                let Some(next) = self.next_line(at, at_end) else {
                    return End::Beyond;
                };
                spans.push(Span::new(field, self.without_returns(field, at), escaped));
                return End::Record(next);
            } else if Some(byte) == self.dialect.escape {
                if at + 1 >= self.data.len() && !at_end {
                    return End::Beyond;
                }
                escaped = true;
                self.pass(at + 1);
            } else if at == field {
                match self.quoted(at, at_end, spans) {
                    Ok(After::Field(next)) => field = next,
                    Ok(After::Record(next)) => return End::Record(next),
                    Err(end) => return end,
                }
            }
        }
    }

    /// Where the line after the line end at `at` begins; `None` if that is not known yet.
    #[inline(always)]
    fn next_line(&mut self, at: usize, at_end: bool) -> Option<usize> {
        if self.dialect.line_end == b'\n' {
            return Some(at + 1);
        }
        match self.data.get(at + 1) {
            Some(b'\n') => Some(at + 2),
            None if !at_end => None,
            _ => Some(at + 1),
        }
    }

    /// The end of a field before the line end at `end`.
    #[inline(always)]
    fn without_returns(&self, field: usize, end: usize) -> usize {
        let mut end = end;
        while end > field && self.data[end - 1] == b'\r' {
            end -= 1;
        }
        end
    }

    /// The last field of the data has no line end.
    fn end_of_data(&self, field: usize, at_end: bool, escaped: bool, spans: &mut Vec<Span>) -> End {
        if !at_end {
            return End::Beyond;
        }
        let end = self.data.len();
        let mut last = self.without_returns(field, end);
        // The one line feed that a program has put behind lines which end otherwise.
        if self.dialect.line_end == b'\r' && last > field && self.data[last - 1] == b'\n' {
            last -= 1;
        }
        spans.push(Span::new(field, last, escaped));
        End::Record(end)
    }

    /// Reads the quoted field whose opening quote is at `open`.
    fn quoted(&mut self, open: usize, at_end: bool, spans: &mut Vec<Span>) -> Result<After, End> {
        let quote = self.data[open];
        let mut escaped = false;
        loop {
            let next = self.next();
            if next.unwrap_or(self.data.len()) - open > self.dialect.max_record {
                return Err(End::TooLong);
            }
            let Some(at) = next else {
                return Err(if at_end { End::Broken } else { End::Beyond });
            };
            let byte = self.data[at];
            if byte == self.dialect.line_end {
                self.newlines += 1;
            } else if Some(byte) == self.dialect.escape {
                escaped = true;
                self.pass(at + 1);
            } else if byte == quote {
                if self.data.get(at + 1) == Some(&quote) {
                    escaped = true;
                    self.pass(at + 1);
                } else {
                    spans.push(Span::new(open + 1, at, escaped));
                    return self.after_quoted(at + 1, at_end);
                }
            }
        }
    }

    /// What follows the closing quote, at `at`.
    fn after_quoted(&mut self, at: usize, at_end: bool) -> Result<After, End> {
        if self.data.get(at) == Some(&self.dialect.delimiter) {
            self.next();
            return Ok(After::Field(at + 1));
        }
        let mut line_end = at;
        while self.dialect.line_end == b'\n' && self.data.get(line_end) == Some(&b'\r') {
            line_end += 1;
        }
        match self.data.get(line_end) {
            Some(byte) if *byte == self.dialect.line_end => {
                self.next();
                self.newlines += 1;
                self.next_line(line_end, at_end).map(After::Record).ok_or(End::Beyond)
            }
            // As in `end_of_data`.
            Some(b'\n') if at_end && line_end + 1 == self.data.len() => Ok(After::Record(self.data.len())),
            None if at_end => Ok(After::Record(self.data.len())),
            None => Err(End::Beyond),
            Some(_) => Err(End::Broken),
        }
    }
}
