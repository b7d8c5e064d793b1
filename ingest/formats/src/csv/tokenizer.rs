//! Records and fields of CSV (RFC 4180), without copying.
//!
//! A quote opens a quoted field only as the field's first character; elsewhere it is a character like any other.
//! After the closing quote the field has to end. A record that breaks this rule, or is never closed, costs its first
//! line only: reading goes on at the next one, so one stray quote cannot swallow a file.

/// The characters with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub delimiter: u8,
    /// `None` if the files have no quoting at all.
    pub quote: Option<u8>,
}

/// Where a field's value is in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    /// The highest bit says that the value has doubled quotes in it.
    end: u32,
}

const ESCAPED: u32 = 1 << 31;

impl Span {
    fn new(start: usize, end: usize, escaped: bool) -> Self {
        Self {
            start: start as u32,
            end: end as u32 | if escaped { ESCAPED } else { 0 },
        }
    }

    /// The value; doubled quotes are made single in `scratch`.
    #[inline]
    pub fn value<'a>(self, data: &'a [u8], quote: Option<u8>, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let raw = &data[self.start as usize..(self.end & !ESCAPED) as usize];
        match quote {
            Some(quote) if self.end & ESCAPED != 0 => {
                scratch.clear();
                let mut doubled = false;
                for byte in raw {
                    doubled = *byte == quote && !doubled;
                    if !doubled || *byte != quote {
                        scratch.push(*byte);
                    }
                }
                scratch
            }
            _ => raw,
        }
    }
}

/// One record's place in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its first byte.
    pub start: u32,
    /// One past its last byte, its line end included.
    pub end: u32,
    /// The line it begins on, counted from 0 where the data begins.
    pub line: u32,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub row: Row,
    pub reason: String,
}

/// What a stretch of data holds.
#[derive(Debug, Default)]
pub struct Records {
    /// The fields of all rows, one row after the other.
    pub spans: Vec<Span>,
    pub rows: Vec<Row>,
    pub broken: Vec<Broken>,
    /// Where the next record begins.
    pub next: usize,
    /// Line ends before it.
    pub lines: u32,
}

impl Records {
    /// Keeps the rows for which `reason` has none, and moves the others to the broken ones.
    pub fn reject(&mut self, width: usize, mut reason: impl FnMut(&Row, &[Span]) -> Option<String>) {
        let mut kept = 0;
        for row in 0..self.rows.len() {
            let fields = row * width..(row + 1) * width;
            match reason(&self.rows[row], &self.spans[fields.clone()]) {
                Some(reason) => self.broken.push(Broken {
                    row: self.rows[row],
                    reason,
                }),
                None => {
                    self.rows[kept] = self.rows[row];
                    self.spans.copy_within(fields, kept * width);
                    kept += 1;
                }
            }
        }
        self.rows.truncate(kept);
        self.spans.truncate(kept * width);
    }
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
}

/// What comes after a quoted field, and where.
enum After {
    Field(usize),
    Record(usize),
}

impl Dialect {
    /// Reads the records of `width` fields that begin before `limit`, from `records.next` on.
    ///
    /// `at_end` says that nothing follows `data`: its last record needs no line end then.
    pub fn tokenize(self, data: &[u8], limit: usize, at_end: bool, width: usize, records: &mut Records) -> Stop {
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
                    records.finish_row(data, row, fields, width);
                    records.next = next;
                    records.lines += scan.newlines;
                }
                End::Beyond => {
                    records.spans.truncate(fields);
                    return Stop::Incomplete;
                }
                End::Broken => {
                    records.spans.truncate(fields);
                    if !at_end && memchr::memchr(b'\n', &data[start..]).is_none() {
                        return Stop::Incomplete;
                    }
                    records.skip_line(data);
                    scan = Scan::new(self, data, records.next);
                }
            }
        }
        Stop::Done
    }

    /// The record at the start of `data`, as a header: its fields, and where the next record begins.
    ///
    /// `None` if the data end before it does.
    pub fn header(self, data: &[u8], at_end: bool) -> Option<(Vec<String>, Records)> {
        let mut scan = Scan::new(self, data, 0);
        let mut spans = Vec::new();
        let next = match scan.record(0, at_end, &mut spans) {
            End::Record(next) => next,
            End::Beyond | End::Broken => return None,
        };
        let mut scratch = Vec::new();
        let mut name = |span: &Span| {
            String::from_utf8_lossy(span.value(data, self.quote, &mut scratch))
                .trim()
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
        for newline in memchr::memchr_iter(b'\n', &data[from.saturating_sub(1)..]).take(CANDIDATES) {
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

impl Records {
    /// Gives up on the record at `next`: its first line is broken, and reading goes on after it.
    pub fn skip_line(&mut self, data: &[u8]) {
        let start = self.next;
        self.next = memchr::memchr(b'\n', &data[start..]).map_or(data.len(), |at| start + at + 1);
        let row = Row {
            start: start as u32,
            end: self.next as u32,
            line: self.lines,
        };
        self.broken.push(Broken {
            row,
            reason: "its quotes do not match".to_owned(),
        });
        self.lines += u32::from(data[..self.next].last() == Some(&b'\n'));
    }

    #[inline]
    fn finish_row(&mut self, data: &[u8], row: Row, fields: usize, width: usize) {
        let found = self.spans.len() - fields;
        if found == width && (width > 1 || !is_blank(data, row)) {
            self.rows.push(row);
            return;
        }
        self.spans.truncate(fields);
        if !is_blank(data, row) {
            self.broken.push(Broken {
                row,
                reason: format!("{found} fields instead of {width}"),
            });
        }
    }
}

fn is_blank(data: &[u8], row: Row) -> bool {
    data[row.start as usize..row.end as usize]
        .iter()
        .all(|byte| matches!(byte, b'\r' | b'\n'))
}

/// Finds the delimiters, quotes and line ends of the data one after the other, eight bytes at a time.
struct Scan<'a> {
    data: &'a [u8],
    dialect: Dialect,
    patterns: [u64; 3],
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
        let quote = dialect.quote.unwrap_or(b'\n');
        let patterns = [repeat(dialect.delimiter), repeat(b'\n'), repeat(quote)];
        let mut scan = Self {
            data,
            dialect,
            patterns,
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
        loop {
            let Some(at) = self.next() else {
                return self.end_of_data(field, at_end, spans);
            };
            let byte = self.data[at];
            if byte == self.dialect.delimiter {
                spans.push(Span::new(field, at, false));
                field = at + 1;
            } else if byte == b'\n' {
                let return_before = at > field && self.data[at - 1] == b'\r';
                spans.push(Span::new(field, at - usize::from(return_before), false));
                self.newlines += 1;
                return End::Record(at + 1);
            } else if at == field {
                match self.quoted(at, at_end, spans) {
                    Ok(After::Field(next)) => field = next,
                    Ok(After::Record(next)) => return End::Record(next),
                    Err(end) => return end,
                }
            }
        }
    }

    /// The last field of the data has no line end.
    fn end_of_data(&self, field: usize, at_end: bool, spans: &mut Vec<Span>) -> End {
        if !at_end {
            return End::Beyond;
        }
        let end = self.data.len();
        let return_before = end > field && self.data[end - 1] == b'\r';
        spans.push(Span::new(field, end - usize::from(return_before), false));
        End::Record(end)
    }

    /// Reads the quoted field whose opening quote is at `open`.
    fn quoted(&mut self, open: usize, at_end: bool, spans: &mut Vec<Span>) -> Result<After, End> {
        let quote = self.data[open];
        let mut escaped = false;
        loop {
            let Some(at) = self.next() else {
                return Err(if at_end { End::Broken } else { End::Beyond });
            };
            match self.data[at] {
                b'\n' => self.newlines += 1,
                byte if byte != quote => {}
                _ if self.data.get(at + 1) == Some(&quote) => {
                    escaped = true;
                    self.next();
                }
                _ => {
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
        let line_end = at + usize::from(self.data.get(at) == Some(&b'\r'));
        match self.data.get(line_end) {
            Some(b'\n') => {
                self.next();
                self.newlines += 1;
                Ok(After::Record(line_end + 1))
            }
            None if at_end => Ok(After::Record(self.data.len())),
            None => Err(End::Beyond),
            Some(_) => Err(End::Broken),
        }
    }
}
