//! CSV: types inferred over the whole file, then read into columns.

mod advice;
mod begin;
mod records;
mod scan;
mod tokenizer;

use arrow::datatypes::DataType;
use cordada_core::Result;

use self::begin::Begin;
use self::records::{Records, Span, Width};
use self::tokenizer::Dialect;
use super::piece::{Decoded, Piece, TextPlan};
use super::reading::{CsvOptions, Format};
use super::text::Plain;
use crate::rejected::Rejected;
use crate::values::build::{self, Notation, Values};
use crate::values::zones::Zones;

/// How to read a CSV file.
#[derive(Debug, Clone)]
pub struct Csv {
    dialect: Dialect,
    /// Where the header is, or the first row.
    begin: Begin,
    header: bool,
    /// Whether a user has said what is between fields.
    told: bool,
    nulls: Nulls,
    point: u8,
    zones: Zones,
}

impl Csv {
    /// The reader of a file of `format` (CSV or TSV).
    ///
    /// # Errors
    /// Failed: the line that is to name the columns is not there.
    pub fn of(text: &Plain, options: &CsvOptions, format: Format, zones: &Zones) -> Result<Self> {
        let dialect = Dialect {
            delimiter: options.delimiter(format),
            quote: options.quote(),
            escape: options.escape(),
            line_end: b'\n',
            max_record: options.max_record(),
        };
        let (begin, dialect) = Begin::of(text, options, dialect)?;
        Ok(Self {
            dialect,
            begin,
            header: options.has_header(),
            told: options.delimiter.is_some(),
            nulls: Nulls::new(&options.nulls),
            point: options.point(),
            zones: zones.clone(),
        })
    }

    /// What is between fields.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn delimiter(&self) -> u8 {
        self.dialect.delimiter
    }

    /// Reads a piece into columns of `types`, one for each of the file's.
    pub fn decode(&self, text: &Plain, piece: &Piece, plan: &TextPlan, types: &[DataType]) -> Result<Decoded> {
        let width = types.len();
        let mut data = Vec::new();
        text.read(piece.start, piece.end, &mut data)?;
        let mut records = Records::default();
        self.dialect
            .tokenize(&data, data.len(), true, width_of(plan), &mut records);
        self.reject(&data, plan, &mut records);
        let columns = types.iter().enumerate().map(|(column, data_type)| {
            let values = Column {
                csv: self,
                data: &data,
                records: &records,
                width,
                column,
            };
            build::column(&values, data_type, self.notation(&plan.names[column]))
                .map_err(|error| error.with("file", text.name()).with("column", &plan.names[column]))
        });
        let line = |line: u32| piece.first + u64::from(line);
        let rejected = records.broken.iter().map(|broken| Rejected {
            line: line(broken.row.line),
            reason: broken.reason.clone(),
            record: String::from_utf8_lossy(&data[broken.row.start as usize..broken.row.end as usize])
                .trim_end_matches(['\r', '\n'])
                .to_owned(),
        });
        Ok(Decoded {
            rejected: rejected.collect(),
            lines: records.rows.iter().map(|row| line(row.line)).collect(),
            columns: columns.collect::<Result<_>>()?,
            cut: Vec::new(),
        })
    }

    fn notation(&self, column: &str) -> Notation {
        Notation {
            point: self.point,
            zone: self.zones.column(column).tz,
        }
    }

    /// Moves the rows that cannot land to the broken ones: wrong bytes, and values that are not of their column's
    /// declared type.
    fn reject(&self, data: &[u8], plan: &TextPlan, records: &mut Records) {
        let width = plan.names.len();
        if std::str::from_utf8(data).is_err() {
            records.reject(width, |row, _| {
                let record = &data[row.start as usize..row.end as usize];
                std::str::from_utf8(record)
                    .is_err()
                    .then(|| "bytes that are not of the file's encoding".to_owned())
            });
        }
        for (column, declared) in plan.declared.iter().enumerate() {
            let Some(declared) = declared.as_ref().filter(|declared| **declared != DataType::Utf8) else {
                continue;
            };
            let mut scratch = Vec::new();
            records.reject(width, |_, spans| {
                let value = self.value(data, spans[column], &mut scratch)?;
                let readable = build::is_readable(value, declared, self.notation(&plan.names[column]));
                (!readable).then(|| format!("{} is not of the declared type", plan.names[column]))
            });
        }
    }

    #[inline]
    fn value<'a>(&self, data: &'a [u8], span: Span, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        // Whoever escapes writes null as an escape, `\\N`.
        let is_null = self.dialect.escape.is_some() && self.nulls.contains(span.raw(data));
        let value = span.value(data, &self.dialect, scratch);
        (!is_null && !self.nulls.contains(value)).then_some(value)
    }
}

/// How many fields rows have.
fn width_of(plan: &TextPlan) -> Width {
    let columns = plan.originals.len();
    Width {
        columns,
        required: columns - plan.unnamed.min(columns),
    }
}

/// One column of some records.
struct Column<'d> {
    csv: &'d Csv,
    data: &'d [u8],
    records: &'d Records,
    width: usize,
    column: usize,
}

impl Values for Column<'_> {
    fn rows(&self) -> usize {
        self.records.rows.len()
    }

    #[inline]
    fn get<'a>(&'a self, row: usize, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        self.csv
            .value(self.data, self.records.spans[row * self.width + self.column], scratch)
    }
}

/// The values that mean null.
#[derive(Debug, Clone)]
struct Nulls {
    empty: bool,
    tokens: Vec<Vec<u8>>,
}

impl Nulls {
    fn new(tokens: &[String]) -> Self {
        let (empty, tokens): (Vec<_>, Vec<_>) = tokens.iter().partition(|token| token.is_empty());
        Self {
            empty: !empty.is_empty(),
            tokens: tokens.into_iter().map(|token| token.clone().into_bytes()).collect(),
        }
    }

    #[inline]
    fn contains(&self, value: &[u8]) -> bool {
        if value.is_empty() {
            self.empty
        } else {
            self.tokens.iter().any(|token| token == value)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
