//! What to say of a file that is not written as is assumed: which delimiter would split it, which line names its
//! columns.

use super::records::{Records, Width};
use super::tokenizer::Dialect;

/// Delimiters that a file may have instead, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Bytes of a file that are looked at.
pub const LOOKED_AT: u64 = 1 << 16;

/// Lines that may stand above a header.
const ABOVE: usize = 30;

/// Records that are looked at.
const SAMPLE: usize = 100;

/// What is odd about a file, and the key to set.
#[derive(Debug, PartialEq, Eq)]
pub struct Advice {
    pub why: String,
    pub hint: String,
    /// Whether the header says it too, so that it cannot be a matter of what the values hold.
    pub is_certain: bool,
}

/// A table as it looks from one of the lines on.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    columns: usize,
    records: usize,
}

impl Advice {
    /// What to say of a file that begins with `head`, on line `line`; `None` if it looks as well as it could.
    pub fn of(dialect: Dialect, head: &[u8], line: u64) -> Option<Self> {
        if let Some((delimiter, table)) = other_delimiter(dialect, head, 0) {
            let columns = table.columns;
            return Some(Self {
                why: format!("with {} between its fields it has {columns} columns", named(delimiter)),
                hint: format!("set `csv: {{delimiter: {}}}`", quoted(delimiter)),
                is_certain: true,
            });
        }
        let width = fields(dialect, head);
        let mut at = 0;
        for above in 1..=ABOVE {
            at = memchr::memchr(dialect.line_end, &head[at..]).map(|end| at + end + 1)?;
            let own = table(dialect, &head[at..]).map(|table| (dialect.delimiter, table));
            let found = own.or_else(|| other_delimiter(dialect, head, at));
            let Some((delimiter, table)) = found.filter(|(_, table)| table.records > 1) else {
                continue;
            };
            let columns = table.columns;
            if above == 1 && delimiter == dialect.delimiter && width * 2 > columns {
                return Some(Self {
                    why: format!("the header has {width} fields, the records {columns}"),
                    hint: format!(
                        "mend the header, or set `csv: {{header: false, skip: {line}}}`: columns are named by their numbers"
                    ),
                    is_certain: false,
                });
            }
            let row = line + above as u64;
            let other = match delimiter == dialect.delimiter {
                true => String::new(),
                false => format!("delimiter: {}, ", quoted(delimiter)),
            };
            return Some(Self {
                why: format!("from line {row} on it has {columns} columns"),
                hint: format!("set `csv: {{{other}header_row: {row}}}`, the line that names the columns"),
                is_certain: false,
            });
        }
        None
    }
}

/// The delimiter that splits what begins at `at` into more columns than the dialect's own does.
fn other_delimiter(dialect: Dialect, head: &[u8], at: usize) -> Option<(u8, Table)> {
    let others = DELIMITERS.into_iter().filter(|other| *other != dialect.delimiter);
    let tables =
        others.filter_map(|delimiter| Some((delimiter, table(Dialect { delimiter, ..dialect }, &head[at..])?)));
    tables.max_by_key(|(_, table)| table.columns)
}

/// The table that `head` is if its records have as many fields as its first one, and more than one.
fn table(dialect: Dialect, head: &[u8]) -> Option<Table> {
    let columns = fields(dialect, head);
    if columns < 2 {
        return None;
    }
    let mut records = Records::default();
    let width = Width {
        columns,
        required: columns,
    };
    let whole = (head.len() as u64) < LOOKED_AT;
    dialect.tokenize(head, head.len(), whole, width, &mut records);
    let seen = records.rows.len().min(SAMPLE);
    let end = records.rows.get(seen.checked_sub(1)?)?.end;
    let broken = records.broken.iter().any(|broken| broken.row.end <= end);
    (!broken).then_some(Table {
        columns,
        // The first one names the columns.
        records: seen - 1,
    })
}

/// The fields of the first record.
fn fields(dialect: Dialect, head: &[u8]) -> usize {
    match head.is_empty() {
        true => 0,
        false => dialect.header(head, true).map_or(0, |(names, _)| names.len()),
    }
}

fn named(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tabs".to_owned(),
        other => format!("`{}`", char::from(other)),
    }
}

fn quoted(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "\"\\t\"".to_owned(),
        other => format!("\"{}\"", char::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(head: &str) -> Option<String> {
        let dialect = Dialect {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            line_end: b'\n',
            max_record: 1 << 20,
        };
        Advice::of(dialect, head.as_bytes(), 1).map(|advice| advice.hint)
    }

    #[test]
    fn the_key_to_set_is_found() {
        let says = |head: &str, expected: &str| {
            let hint = hint(head).unwrap_or_default();
            assert!(hint.contains(expected), "{head:?}: {hint}");
        };
        says("a;b\n1;2,5\n2;3\n", "{delimiter: \";\"}");
        says("a;b\n", "{delimiter: \";\"}");
        says("a\tb\n1\t2\n", "{delimiter: \"\\t\"}");
        says("Report\n\nid,name,at\n1,a,x\n2,b,y\n", "{header_row: 3}");
        says(
            "Report\nof May\nid;name\n1;a\n2;b\n",
            "{delimiter: \";\", header_row: 3}",
        );
        says("id,name\n1,a,x\n2,b,y\n3,c,z\n", "{header: false, skip: 1}");
        assert_eq!(hint("note\na;b\nc\nd;e;f\n"), None);
        assert_eq!(hint("note\n"), None);
    }
}
