//! `kind: csv`: a file of comma-separated values.
//!
//! Options: `path` (relative to the project, and in it unless `allow_outside: true` says that it may be elsewhere),
//! `delimiter` (one ASCII character, `,` by default), and `formulas`.
//!
//! A spreadsheet takes a cell, the name of a column as well, that begins with `=`, `+`, `-`, `@`, a tab or a line break
//! for a formula, so that whoever chose their own name can run code on the desk of whoever opens the file. `formulas:
//! escape`, the default, puts an apostrophe before such text, as OWASP advises ("CSV Injection"); text that is a signed
//! number or a phone number (`+34 600 123 456`) can do no harm and stays. `formulas: keep` writes all as it is, for files
//! that no person opens. Null is an empty cell.
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

use super::options::{Options, Problem, read, resolve};
use super::{Channel, Delivery, Description, Failure, Receipt};

#[derive(Debug, Deserialize)]
struct CsvOptions {
    path: String,
    #[serde(default)]
    allow_outside: bool,
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
    /// As the campaign names it.
    name: String,
    path: PathBuf,
    format: Format,
}

#[derive(Debug, Clone, Copy)]
struct Format {
    delimiter: u8,
    formulas: Formulas,
}

pub(super) fn open(options: Options, project: &Path) -> Result<Box<dyn Channel>, Problem> {
    let options: CsvOptions = read(options, &["path", "allow_outside", "delimiter", "formulas"])?;
    let delimiter = match u8::try_from(options.delimiter) {
        Ok(delimiter) if delimiter.is_ascii() && !b"\"\r\n".contains(&delimiter) => delimiter,
        _ => {
            return Err(Problem::new(
                "channel.delimiter",
                "it has to be one ASCII character and no quote or line break",
            ));
        }
    };
    Ok(Box::new(CsvFile {
        path: resolve(project, &options.path, options.allow_outside)?,
        name: options.path,
        format: Format {
            delimiter,
            formulas: options.formulas,
        },
    }))
}

#[async_trait]
impl Channel for CsvFile {
    fn describe(&self) -> Description {
        Description {
            kind: "csv",
            destination: self.name.clone(),
        }
    }

    fn manifest(&self) -> Option<PathBuf> {
        let mut name = self.path.clone().into_os_string();
        name.push(".manifest.json");
        Some(name.into())
    }

    async fn begin(&self, fields: &Schema) -> Result<Box<dyn Delivery>> {
        let mut file = AtomicFile::create(self.path.clone()).await?;
        file.write(&self.format.header(fields)?).await?;
        Ok(Box::new(CsvDelivery {
            name: self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            file,
            format: self.format,
        }))
    }
}

struct CsvDelivery {
    /// The file's name, without its folder.
    name: String,
    file: AtomicFile,
    format: Format,
}

#[async_trait]
impl Delivery for CsvDelivery {
    async fn write(&mut self, rows: &RecordBatch) -> Result<Vec<Failure>> {
        self.file.write(&self.format.encode(rows)?).await?;
        Ok(Vec::new())
    }

    async fn seal(&mut self) -> Result<()> {
        self.file.sync().await
    }

    async fn publish(self: Box<Self>) -> Result<Receipt> {
        let written = self.file.rename().await?;
        Ok(Receipt::default()
            .with("file", self.name)
            .with("bytes", written.bytes)
            .with("sha256", written.sha256))
    }
}

impl Format {
    fn writer(self) -> Writer<Vec<u8>> {
        WriterBuilder::new().delimiter(self.delimiter).from_writer(Vec::new())
    }

    fn header(self, fields: &Schema) -> Result<Vec<u8>> {
        let names = fields.fields().iter().map(|field| match self.formulas {
            Formulas::Escape => without_formula(field.name()),
            Formulas::Keep => Cow::Borrowed(field.name().as_str()),
        });
        let mut writer = self.writer();
        writer.write_record(names.map(Cow::into_owned)).map_err(failed)?;
        writer.into_inner().map_err(failed)
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
/// for the plain ones in East Asian locales; what cannot be seen before a sign (a byte order mark, spaces) is nothing
/// to some.
fn without_formula(cell: &str) -> Cow<'_, str> {
    let is_number = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || " .,()-".contains(c));
    let is_unseen = |c: char| c == ' ' || c == '\u{a0}' || c == '\u{feff}' || ('\u{200b}'..='\u{200f}').contains(&c);
    match cell.trim_start_matches(is_unseen).chars().next() {
        Some('+' | '-') if is_number(cell.trim_start_matches(is_unseen).get(1..).unwrap_or_default()) => {
            Cow::Borrowed(cell)
        }
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
mod tests;
