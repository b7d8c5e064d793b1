//! CSV: types inferred over the whole file, then read into columns.

mod scan;
mod tokenizer;

use arrow::datatypes::DataType;
use cordada_core::Result;

use self::tokenizer::{Dialect, Records, Span};
use super::piece::{Decoded, Piece, TextPlan};
use super::reading::{CsvOptions, Format};
use super::text::Plain;
use crate::rejected::Rejected;
use crate::values::build::{self, Notation, Values};

/// How to read the CSV files of one stream.
#[derive(Debug, Clone)]
pub struct Csv {
    dialect: Dialect,
    header: bool,
    nulls: Nulls,
    notation: Notation,
}

impl Csv {
    /// The reader of files of `format` (CSV or TSV).
    pub fn new(options: &CsvOptions, format: Format, notation: Notation) -> Self {
        Self {
            dialect: Dialect {
                delimiter: options.delimiter(format),
                quote: options.quote(),
            },
            header: options.header,
            nulls: Nulls::new(&options.nulls),
            notation,
        }
    }

    /// Reads a piece into columns of `types`, one for each of the file's.
    pub fn decode(&self, text: &Plain, piece: &Piece, plan: &TextPlan, types: &[DataType]) -> Result<Decoded> {
        let width = types.len();
        let mut data = Vec::new();
        text.read(piece.start, piece.end, &mut data)?;
        let mut records = Records::default();
        self.dialect.tokenize(&data, data.len(), true, width, &mut records);
        self.reject(&data, plan, &mut records);
        let columns = types.iter().enumerate().map(|(column, data_type)| {
            let values = Column {
                csv: self,
                data: &data,
                records: &records,
                width,
                column,
            };
            build::column(&values, data_type, self.notation)
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
                let readable = build::is_readable(value, declared, self.notation);
                (!readable).then(|| format!("{} is not of the declared type", plan.names[column]))
            });
        }
    }

    #[inline]
    fn value<'a>(&self, data: &'a [u8], span: Span, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let value = span.value(data, self.dialect.quote, scratch);
        (!self.nulls.contains(value)).then_some(value)
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
