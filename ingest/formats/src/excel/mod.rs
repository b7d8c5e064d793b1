//! Workbooks of spreadsheets (xlsx, xlsm, xlsb, xls, ods): one sheet as records, one JSON object a line.
//!
//! The record of row 7 is on line 7, so that what is said of lines holds of rows. Values keep their types: a number
//! without a fraction is an integer, a text of digits stays a text, a date is a date. A formula is its last result; an
//! error (`#N/A`, `#DIV/0!`) is null; of merged cells the first has the value. Blank rows are passed over. A column
//! without a heading is named by its letter, and of equal headings the later ones get a number.
//!
//! Sheets of xlsx and xlsb are read cell by cell, beside the workbook's table of texts, which is in memory; xls and
//! ods are in memory as a whole. What a workbook may take up decompressed is therefore bounded.

mod archive;
mod rows;

use std::io::{BufReader, BufWriter, Read};

use calamine::{Data, DataRef, Ods, Reader, Xls, Xlsb, Xlsx};
use cordada_core::scratch::ScratchFile;
use cordada_core::{Context, Error, Result};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::archive::{instead_of_a_workbook, is_encrypted, parts};
use self::rows::Rows;
use super::local::Local;
use super::text::Plain;

/// Bytes that the parts of a workbook may have decompressed, those of sheets that are read cell by cell aside.
const MAX_MEMORY: u64 = 1 << 30;

/// Bytes that tell what a file is.
const HEAD: u64 = 4096;

/// Which part of a workbook to read.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExcelOptions {
    /// The sheet, by name or by number from 1; the first if `None`.
    pub sheet: Option<Sheet>,
    /// The row that names the columns, from 1; the first that is not blank if `None`. 0: there is none, and the
    /// columns are named by their letters.
    pub header_row: Option<u32>,
    /// Only these cells: `A1:F100`.
    pub range: Option<Area>,
}

/// A sheet by its name or number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Sheet {
    /// By its number, from 1.
    Number(usize),
    /// By its name.
    Name(String),
}

/// A rectangle of cells, counted from 0, its last row and column included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct Area {
    first: (u32, u32),
    last: (u32, u32),
}

impl TryFrom<String> for Area {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a range of cells; write it as A1:F100");
        let (first, last) = text.split_once(':').ok_or_else(wrong)?;
        let cell = |text: &str| {
            let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (letters, row) = text.split_at(letters);
            let row = row.parse::<u32>().ok()?.checked_sub(1)?;
            let digit = |column: u32, letter: u8| column * 26 + u32::from(letter.to_ascii_uppercase() - b'A') + 1;
            let column = (1..=3)
                .contains(&letters.len())
                .then(|| letters.bytes().fold(0, digit))?;
            Some((row, column - 1))
        };
        let (first, last) = (cell(first).ok_or_else(wrong)?, cell(last).ok_or_else(wrong)?);
        let ordered = first.0 <= last.0 && first.1 <= last.1;
        ordered.then_some(Area { first, last }).ok_or_else(wrong)
    }
}

impl Area {
    fn has(&self, row: u32, column: u32) -> bool {
        (self.first.0..=self.last.0).contains(&row) && (self.first.1..=self.last.1).contains(&column)
    }
}

/// The letters of a column, counted from 0: A, B, …, Z, AA.
fn letters(column: u32) -> String {
    let (mut rest, mut letters) = (column + 1, Vec::new());
    while rest > 0 {
        letters.push(char::from(b'A' + ((rest - 1) % 26) as u8));
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().collect()
}

/// A sheet of the workbook as records, in a temporary file.
///
/// # Errors
/// Config for a sheet that there is not, and for one that has a password; failed for a file that is not a workbook.
pub fn records(workbook: &Plain, options: &ExcelOptions, cancel: &CancellationToken) -> Result<Local> {
    let name = workbook.name();
    let doing = || format!("reading {name}");
    let broken = |error: String| Error::failed(doing(), error).hint("is it a workbook of Excel or LibreOffice?");
    let locked =
        || Error::config(doing(), "the workbook is protected by a password").hint("save it without one, and land that");
    let target = ScratchFile::new().doing(doing)?;
    let mut unknown_errors = 0;
    let mut rows = Rows::new(name, options, BufWriter::new(target.file()), cancel);
    let open = || Ok::<_, Error>(BufReader::new(workbook.open()?));
    let mut head = Vec::new();
    open()?.take(HEAD).read_to_end(&mut head).doing(doing)?;
    if let Some((why, hint)) = instead_of_a_workbook(&head) {
        return Err(Error::failed(doing(), why).hint(hint));
    }
    if !head.starts_with(archive::ZIP) {
        bounded(name, workbook.end())?;
        let mut book = match Xls::new(open()?) {
            Ok(book) => book,
            Err(calamine::XlsError::Password) => return Err(locked()),
            Err(_) if is_encrypted(&mut open()?).doing(doing)? => return Err(locked()),
            Err(error) => return Err(broken(error.to_string())),
        };
        let sheet = options.sheet(name, &book.sheet_names())?;
        rows.take_all(
            book.worksheet_range(&sheet)
                .map_err(|error| broken(error.to_string()))?,
        )?;
    } else {
        let parts = parts(&mut open()?).doing(doing)?;
        let size = |wanted: &dyn Fn(&str) -> bool| {
            parts
                .iter()
                .filter(|(part, _)| wanted(part))
                .map(|(_, size)| *size)
                .sum::<u64>()
        };
        let has = |name: &str| parts.iter().any(|(part, _)| part == name);
        bounded(name, size(&|part| !part.contains("worksheets/")))?;
        if has("xl/workbook.bin") {
            let mut book = Xlsb::new(open()?).map_err(|error| match error {
                calamine::XlsbError::Password => locked(),
                error => broken(error.to_string()),
            })?;
            let sheet = options.sheet(name, &book.sheet_names())?;
            let mut cells = book
                .worksheet_cells_reader(&sheet)
                .map_err(|error| broken(error.to_string()))?;
            rows.take_cells(|| {
                let cell = cells.next_cell().map_err(|error| broken(error.to_string()))?;
                Ok(cell.map(|cell| (cell.get_position(), owned(cell.get_value()))))
            })?;
        } else if has("content.xml") {
            let mut book = Ods::new(open()?).map_err(|error| match error {
                calamine::OdsError::Password => locked(),
                error => broken(error.to_string()),
            })?;
            let sheet = options.sheet(name, &book.sheet_names())?;
            rows.take_all(
                book.worksheet_range(&sheet)
                    .map_err(|error| broken(error.to_string()))?,
            )?;
        } else if !parts.iter().any(|(part, _)| part.contains("workbook")) {
            let why = "it is a ZIP archive without a workbook in it";
            return Err(Error::failed(doing(), why).hint("unpack it, and land what is in it"));
        } else {
            let mut book = Xlsx::new(open()?).map_err(|error| broken(error.to_string()))?;
            let sheet = options.sheet(name, &book.sheet_names())?;
            let mut cells = book
                .worksheet_cells_reader(&sheet)
                .map_err(|error| broken(error.to_string()))?;
            rows.take_cells(|| {
                loop {
                    match cells.next_cell() {
                        // One that newer programs have, such as `#SPILL!`.
                        Err(calamine::XlsxError::CellError(_)) => unknown_errors += 1,
                        Err(error) => return Err(broken(error.to_string())),
                        Ok(cell) => return Ok(cell.map(|cell| (cell.get_position(), owned(cell.get_value())))),
                    }
                }
            })?;
        }
    }
    let errors = rows.finish()? + unknown_errors;
    if errors > 0 {
        tracing::warn!(file = name, cells = errors, "cells that hold errors land as null");
    }
    // Whether it is still what was read.
    workbook.open()?;
    Local::temporary(target, name)
}

fn bounded(name: &str, bytes: u64) -> Result<()> {
    if bytes <= MAX_MEMORY {
        return Ok(());
    }
    let why = format!(
        "the workbook takes up {} MiB in memory, which is more than {}",
        bytes >> 20,
        MAX_MEMORY >> 20
    );
    Err(Error::failed(format!("reading {name}"), why).hint("export the sheet as CSV"))
}

fn owned(value: &DataRef<'_>) -> Data {
    Data::from(value.clone())
}

impl ExcelOptions {
    fn sheet(&self, name: &str, sheets: &[String]) -> Result<String> {
        let missing = |what: String| {
            let error = Error::config(format!("reading {name}"), format!("there is no sheet {what}"));
            error.hint(format!("the sheets are: {}", sheets.join(", ")))
        };
        match &self.sheet {
            None => sheets.first().cloned().ok_or_else(|| missing("at all".to_owned())),
            Some(Sheet::Number(number)) => {
                let sheet = number.checked_sub(1).and_then(|at| sheets.get(at));
                sheet.cloned().ok_or_else(|| missing(number.to_string()))
            }
            Some(Sheet::Name(wanted)) => {
                let sheet = sheets.iter().find(|sheet| *sheet == wanted);
                sheet.cloned().ok_or_else(|| missing(format!("`{wanted}`")))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
