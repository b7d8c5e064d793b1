//! `kind: csv`: a file of comma-separated values.
//!
//! Options: `path` (relative to the project), `delimiter` (one ASCII character, `,` by default), and `formulas`.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break for a formula, so that
//! whoever chose their own name can run code on the desk of whoever opens the file. `formulas: escape`, the default,
//! puts an apostrophe before such text, as OWASP advises ("CSV Injection"); text that is a signed number or a phone
//! number (`+34 600 123 456`) can do no harm and stays. `formulas: keep` writes all as it is, for files that no
//! person opens. Null is an empty cell.
//! The file can be read by its owner only.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use cordada_core::atomic_file::AtomicFile;
use cordada_core::{Error, Result};
use csv::{Writer, WriterBuilder};
use serde::Deserialize;

use super::{Channel, Delivery, Options, Problem, Written, read, resolve};

#[derive(Debug, Deserialize)]
struct CsvOptions {
    path: String,
    #[serde(default = "comma")]
    delimiter: char,
    #[serde(default)]
    formulas: Formulas,
}

fn comma() -> char {
    ','
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Formulas {
    #[default]
    Escape,
    Keep,
}

/// A CSV file to be written.
#[derive(Debug)]
struct CsvFile {
    path: PathBuf,
    format: Format,
}

#[derive(Debug, Clone, Copy)]
struct Format {
    delimiter: u8,
    formulas: Formulas,
}

pub(super) fn open(options: Options, project: &Path) -> Result<Box<dyn Channel>, Problem> {
    let options: CsvOptions = read(options, &["path", "delimiter", "formulas"])?;
    let delimiter = match u8::try_from(options.delimiter) {
        Ok(delimiter) if delimiter.is_ascii() && !b"\"\r\n".contains(&delimiter) => delimiter,
        _ => {
            return Err(Problem::new(
                "channel.delimiter",
                "it has to be one ASCII character and no quote or line break",
            ));
        }
    };
    let path = resolve(project, &options.path)?;
    Ok(Box::new(CsvFile {
        path,
        format: Format {
            delimiter,
            formulas: options.formulas,
        },
    }))
}

#[async_trait]
impl Channel for CsvFile {
    fn file(&self) -> &Path {
        &self.path
    }

    async fn begin(&self, fields: &Schema) -> Result<Box<dyn Delivery>> {
        let mut file = AtomicFile::create(self.path.clone()).await?;
        let mut header = self.format.writer();
        header
            .write_record(fields.fields().iter().map(|field| field.name()))
            .map_err(failed)?;
        file.write(&header.into_inner().map_err(failed)?).await?;
        Ok(Box::new(CsvDelivery {
            file,
            format: self.format,
        }))
    }
}

struct CsvDelivery {
    file: AtomicFile,
    format: Format,
}

#[async_trait]
impl Delivery for CsvDelivery {
    async fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        self.file.write(&self.format.encode(rows)?).await
    }

    async fn seal(&mut self) -> Result<()> {
        self.file.sync().await
    }

    async fn publish(self: Box<Self>) -> Result<Written> {
        self.file.rename().await
    }
}

impl Format {
    fn writer(self) -> Writer<Vec<u8>> {
        WriterBuilder::new().delimiter(self.delimiter).from_writer(Vec::new())
    }

    fn encode(self, rows: &RecordBatch) -> Result<Vec<u8>> {
        let options = FormatOptions::default();
        let columns: Vec<(ArrayFormatter, bool)> = rows
            .columns()
            .iter()
            .map(|column| {
                let escape = self.formulas == Formulas::Escape && can_hold_text(column.data_type());
                Ok((
                    ArrayFormatter::try_new(column.as_ref(), &options).map_err(failed)?,
                    escape,
                ))
            })
            .collect::<Result<_>>()?;
        let mut writer = self.writer();
        let mut cell = String::new();
        for row in 0..rows.num_rows() {
            for (column, escape) in &columns {
                cell.clear();
                column.value(row).write(&mut cell).map_err(failed)?;
                let safe = if *escape {
                    without_formula(&cell)
                } else {
                    Cow::Borrowed(cell.as_str())
                };
                writer.write_field(safe.as_ref()).map_err(failed)?;
            }
            writer.write_record(None::<&[u8]>).map_err(failed)?;
        }
        writer.into_inner().map_err(failed)
    }
}

/// Whether values can be text that somebody chose.
fn can_hold_text(data_type: &DataType) -> bool {
    !(data_type.is_numeric() || data_type.is_temporal() || matches!(data_type, DataType::Boolean | DataType::Null))
}

/// The text, with an apostrophe before what a spreadsheet would compute. The wide signs are those that Excel takes
/// for the plain ones in East Asian locales.
fn without_formula(cell: &str) -> Cow<'_, str> {
    let is_number = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || " .,()-".contains(c));
    match cell.chars().next() {
        Some('+' | '-') if is_number(&cell[1..]) => Cow::Borrowed(cell),
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => {
            Cow::Owned(format!("'{cell}"))
        }
        _ => Cow::Borrowed(cell),
    }
}

/// Encoding failed; the cause may quote a value, so it is not told.
fn failed<E>(_: E) -> Error {
    Error::failed("encoding rows as CSV", "a value has no textual form")
        .hint("cast columns that are not plain values to text in the audience")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{
        ArrayRef, Date32Array, Decimal128Array, Int64Array, StringArray, StringViewArray, TimestampMicrosecondArray,
    };
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::Arc;

    fn format(formulas: Formulas) -> Format {
        Format {
            delimiter: b',',
            formulas,
        }
    }

    fn encode(format: Format, columns: Vec<(&str, ArrayRef)>) -> String {
        String::from_utf8(format.encode(&RecordBatch::try_from_iter(columns).unwrap()).unwrap()).unwrap()
    }

    fn refused(options: serde_json::Value) -> String {
        let problem = open(options.as_object().unwrap().clone(), Path::new("")).err().unwrap();
        problem.of_campaign("x").to_string()
    }

    #[test]
    fn values_of_all_types_are_written_plainly() {
        let money = Decimal128Array::from(vec![Some(-1050), None])
            .with_precision_and_scale(12, 2)
            .unwrap();
        let time = TimestampMicrosecondArray::from(vec![0, 1]).with_timezone("UTC");
        let text = encode(
            format(Formulas::Escape),
            vec![
                (
                    "name",
                    Arc::new(StringArray::from(vec!["O'Neil, \"Al\"", "two\nlines"])) as ArrayRef,
                ),
                ("orders", Arc::new(Int64Array::from(vec![Some(-3), None]))),
                ("spent", Arc::new(money)),
                ("since", Arc::new(Date32Array::from(vec![0, 19_000]))),
                ("seen", Arc::new(time)),
            ],
        );
        assert_eq!(
            text,
            "\"O'Neil, \"\"Al\"\"\",-3,-10.50,1970-01-01,1970-01-01T00:00:00Z\n\
             \"two\nlines\",,,2022-01-08,1970-01-01T00:00:00.000001Z\n"
        );
    }

    #[test]
    fn formulas_are_escaped_unless_kept() {
        let cells = [
            "=1+1",
            "@SUM(A1)",
            "+cmd|' /C calc'!A0",
            "-2+3",
            "＝1",
            "+34 (600) 123-456",
            "-5.20",
            "a=b",
            "",
        ];
        let column = || vec![("x", Arc::new(StringViewArray::from(cells.to_vec())) as ArrayRef)];
        assert_eq!(
            encode(format(Formulas::Escape), column()),
            "'=1+1\n'@SUM(A1)\n'+cmd|' /C calc'!A0\n'-2+3\n'＝1\n+34 (600) 123-456\n-5.20\na=b\n\"\"\n"
        );
        assert!(encode(format(Formulas::Keep), column()).starts_with("=1+1\n@SUM(A1)\n"));
    }

    #[test]
    fn wrong_options_are_named() {
        assert!(
            refused(json!({})).contains("`channel`: missing field `path`"),
            "{}",
            refused(json!({}))
        );
        assert!(refused(json!({"pth": "a"})).contains("`channel.pth`: there is no such option; did you mean `path`?"));
        assert!(refused(json!({"path": "a", "delimiter": "é"})).contains("`channel.delimiter`"));
        assert!(refused(json!({"path": "a", "formulas": "x"})).contains("`escape` or `keep`"));
        assert!(refused(json!({"path": "out/.."})).contains("`channel.path`"));
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read_again(
            cells in prop::collection::vec((any::<Option<String>>(), "[=+@'\",;\n\r\t a-c-]{0,6}"), 1..20),
        ) {
            let (first, second): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("a", Arc::new(StringArray::from(first.clone()))),
                ("b", Arc::new(StringArray::from(second.clone()))),
            ];
            for formulas in [Formulas::Keep, Formulas::Escape] {
                let text = encode(format(formulas), columns.clone());
                let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
                let read: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
                prop_assert_eq!(read.len(), first.len());
                for (row, (a, b)) in read.iter().zip(first.iter().zip(&second)) {
                    let a = a.as_deref().unwrap_or("");
                    let expected = match formulas {
                        Formulas::Keep => (Cow::Borrowed(a), Cow::Borrowed(b.as_str())),
                        Formulas::Escape => (without_formula(a), without_formula(b)),
                    };
                    prop_assert_eq!((&row[0], &row[1]), (expected.0.as_ref(), expected.1.as_ref()));
                }
            }
        }
    }
}
