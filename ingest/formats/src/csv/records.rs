//! What the tokenizer finds: where records and their fields are, and which of them cannot be read.

use super::tokenizer::Dialect;

/// How many fields a row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// Columns.
    pub columns: usize,
    /// Those that a row needs to have: the last ones may have neither a name nor a field.
    pub required: usize,
}

/// Where a field's value is in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    /// The highest bit says that the value has doubled quotes or escapes in it.
    end: u32,
}

const ESCAPED: u32 = 1 << 31;

impl Span {
    pub fn new(start: usize, end: usize, escaped: bool) -> Self {
        Self {
            start: start as u32,
            end: end as u32 | if escaped { ESCAPED } else { 0 },
        }
    }

    /// The value; doubled quotes are made single in `scratch`, and escapes what they stand for.
    #[inline(always)]
    pub fn value<'a>(self, data: &'a [u8], dialect: &Dialect, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        match self.end & ESCAPED {
            0 => self.raw(data),
            _ => self.unescaped(data, dialect, scratch),
        }
    }

    #[cold]
    fn unescaped<'a>(self, data: &[u8], dialect: &Dialect, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        // A quoted field has its quote before it, where others have a delimiter or a line end.
        let before = (self.start as usize).checked_sub(1).map(|at| data[at]);
        let quote = dialect.quote.filter(|quote| before == Some(*quote));
        scratch.clear();
        let mut bytes = self.raw(data).iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            let escapes = Some(byte) == dialect.escape && bytes.peek().is_some();
            let doubles = Some(byte) == quote && bytes.peek() == Some(&byte);
            match escapes || doubles {
                true => scratch.extend(bytes.next()),
                false => scratch.push(byte),
            }
        }
        scratch
    }

    /// The value as it is written, without the quotes around it.
    #[inline]
    pub fn raw(self, data: &[u8]) -> &[u8] {
        &data[self.start as usize..(self.end & !ESCAPED) as usize]
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
    /// Of these, the ones with a quote that is not closed within the bytes that a record may have.
    pub too_long: u64,
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

impl Records {
    /// Gives up on the record at `next`: its first line is broken, and reading goes on after it.
    pub fn skip_line(&mut self, data: &[u8], dialect: Dialect) {
        let start = self.next;
        let end = dialect.line_end_after(data, start);
        self.next = end.map_or(data.len(), |end| end + 1);
        let feed = dialect.line_end == b'\r' && end.is_some() && data.get(self.next) == Some(&b'\n');
        self.next += usize::from(feed);
        let row = Row {
            start: start as u32,
            end: self.next as u32,
            line: self.lines,
        };
        self.broken.push(Broken {
            row,
            reason: "its quotes do not match".to_owned(),
        });
        let skipped = &data[start..end.map_or(self.next, |end| end + 1)];
        self.lines += memchr::memchr_iter(dialect.line_end, skipped).count() as u32;
    }

    #[inline]
    pub fn finish_row(&mut self, data: &[u8], row: Row, fields: usize, width: Width, dialect: Dialect) {
        let found = self.spans.len() - fields;
        if found == width.columns && (found > 1 || !is_blank(data, row)) {
            self.rows.push(row);
            return;
        }
        self.finish_odd_row(data, row, fields, width, dialect);
    }

    /// A row of more or fewer fields than there are columns, which lands all the same if what it has too much is empty
    /// and what it lacks has no name.
    #[cold]
    fn finish_odd_row(&mut self, data: &[u8], row: Row, fields: usize, width: Width, dialect: Dialect) {
        let found = self.spans.len() - fields;
        let columns = width.columns;
        if is_blank(data, row) {
            self.spans.truncate(fields);
            return;
        }
        let surplus = self.spans.get(fields + columns..).unwrap_or_default();
        if found >= width.required && surplus.iter().all(|span| span.raw(data).is_empty()) {
            let nothing = self.spans[self.spans.len() - 1].after();
            self.spans.resize(fields + columns, nothing);
            self.rows.push(row);
            return;
        }
        self.spans.truncate(fields);
        let mut reason = format!("{found} fields instead of {columns}");
        let content = data[row.start as usize..row.end as usize].trim_ascii_end();
        if dialect.line_end == b'\n' && content.contains(&b'\r') {
            reason.push_str(", with a carriage return within it: not all lines end with a line feed");
        }
        self.broken.push(Broken { row, reason });
    }
}

impl Span {
    /// Nothing, where this one ends.
    fn after(self) -> Self {
        let end = self.end & !ESCAPED;
        Self { start: end, end }
    }
}

fn is_blank(data: &[u8], row: Row) -> bool {
    data[row.start as usize..row.end as usize]
        .iter()
        .all(|byte| matches!(byte, b'\r' | b'\n'))
}
