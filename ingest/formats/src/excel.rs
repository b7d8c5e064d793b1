//! Workbooks of spreadsheets (xlsx, xlsm, xlsb, xls, ods): one sheet as records, one JSON object a line.
//!
//! The record of row 7 is on line 7, so that what is said of lines holds of rows. Values keep their types: a number
//! without a fraction is an integer, a text of digits stays a text, a date is a date. A formula is its last result; an
//! error (`#N/A`, `#DIV/0!`) is null; of merged cells the first has the value. Blank rows are passed over.
//!
//! Sheets of xlsx and xlsb are read cell by cell, beside the workbook's table of texts, which is in memory; xls and
//! ods are in memory as a whole. What a workbook may take up decompressed is therefore bounded.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use calamine::{Data, DataRef, ExcelDateTime, Ods, Reader, Xls, Xlsb, Xlsx};
use cordada_core::scratch::ScratchFile;
use cordada_core::{Context, Error, Result};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::local::Local;
use super::text::Plain;

/// Bytes that the parts of a workbook may have decompressed, those of sheets that are read cell by cell aside.
const MAX_MEMORY: u64 = 1 << 30;

/// Which part of a workbook to read.
#[derive(Debug, Clone, Default, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Sheet {
    /// By its number, from 1.
    Number(usize),
    /// By its name.
    Name(String),
}

/// A rectangle of cells, counted from 0, its last row and column included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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
/// Config for a sheet that there is not, and for two columns of one name; failed for a file that is not a workbook.
pub fn records(workbook: &Plain, options: &ExcelOptions, cancel: &CancellationToken) -> Result<Local> {
    let name = workbook.name();
    let doing = || format!("reading {name}");
    let broken = |error: String| Error::failed(doing(), error).hint("is it a workbook of Excel or LibreOffice?");
    let target = ScratchFile::new().doing(doing)?;
    let mut rows = Rows {
        name,
        options,
        target: BufWriter::new(target.file()),
        line: 0,
        header: None,
        errors: 0,
        cancel,
    };
    let open = || Ok::<_, Error>(BufReader::new(workbook.open()?));
    let mut magic = [0; 4];
    let zipped = open()?.read_exact(&mut magic).is_ok() && magic == *b"PK\x03\x04";
    if !zipped {
        bounded(name, workbook.end())?;
        let mut book = Xls::new(open()?).map_err(|error| match error {
            calamine::XlsError::Password => {
                Error::config(doing(), "the workbook is protected by a password").hint("save it without one")
            }
            error => broken(error.to_string()),
        })?;
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
            let mut book = Xlsb::new(open()?).map_err(|error| broken(error.to_string()))?;
            let sheet = options.sheet(name, &book.sheet_names())?;
            let mut cells = book
                .worksheet_cells_reader(&sheet)
                .map_err(|error| broken(error.to_string()))?;
            rows.take_cells(|| {
                let cell = cells.next_cell().map_err(|error| broken(error.to_string()))?;
                Ok(cell.map(|cell| (cell.get_position(), owned(cell.get_value()))))
            })?;
        } else if has("content.xml") {
            let mut book = Ods::new(open()?).map_err(|error| broken(error.to_string()))?;
            let sheet = options.sheet(name, &book.sheet_names())?;
            rows.take_all(
                book.worksheet_range(&sheet)
                    .map_err(|error| broken(error.to_string()))?,
            )?;
        } else {
            let mut book = Xlsx::new(open()?).map_err(|error| broken(error.to_string()))?;
            let sheet = options.sheet(name, &book.sheet_names())?;
            let mut cells = book
                .worksheet_cells_reader(&sheet)
                .map_err(|error| broken(error.to_string()))?;
            rows.take_cells(|| {
                let cell = cells.next_cell().map_err(|error| broken(error.to_string()))?;
                Ok(cell.map(|cell| (cell.get_position(), owned(cell.get_value()))))
            })?;
        }
    }
    if rows.errors > 0 {
        tracing::warn!(file = name, cells = rows.errors, "cells that hold errors land as null");
    }
    rows.target.flush().doing(doing)?;
    drop(rows);
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

/// Writes rows as records.
struct Rows<'r> {
    name: &'r str,
    options: &'r ExcelOptions,
    target: BufWriter<&'r File>,
    /// Lines written so far.
    line: u32,
    /// The columns that have a name, once the row that names them has been seen.
    header: Option<Vec<(u32, String)>>,
    errors: u64,
    cancel: &'r CancellationToken,
}

impl Rows<'_> {
    fn take_all(&mut self, range: calamine::Range<Data>) -> Result<()> {
        let (first_row, first_column) = range.start().unwrap_or_default();
        for (row, cells) in (first_row..).zip(range.rows()) {
            let cells = (first_column..)
                .zip(cells)
                .map(|(column, value)| (column, value.clone()));
            self.row(row, cells.collect())?;
        }
        Ok(())
    }

    fn take_cells(&mut self, mut next: impl FnMut() -> Result<Option<((u32, u32), Data)>>) -> Result<()> {
        let (mut row, mut cells) = (0, Vec::new());
        while let Some(((at, column), value)) = next()? {
            if at != row {
                self.row(row, std::mem::take(&mut cells))?;
                row = at;
            }
            cells.push((column, value));
        }
        self.row(row, cells)
    }

    fn row(&mut self, row: u32, mut cells: Vec<(u32, Data)>) -> Result<()> {
        let doing = || format!("reading {}", self.name);
        if self.cancel.is_cancelled() {
            return Err(Error::cancelled(doing()));
        }
        if let Some(area) = &self.options.range {
            cells.retain(|(column, _)| area.has(row, *column));
        }
        cells.retain(|(_, value)| {
            !matches!(value, Data::Empty) && !matches!(value, Data::String(text) if text.is_empty())
        });
        let header_row = self.options.header_row;
        if header_row == Some(0) && self.header.is_none() {
            self.header = Some(Vec::new());
        }
        let Some(header) = &self.header else {
            let is_header = match header_row {
                Some(number) => row + 1 == number,
                None => !cells.is_empty(),
            };
            if is_header {
                self.header = Some(self.names(cells)?);
            }
            return Ok(());
        };
        if cells.is_empty() {
            return Ok(());
        }
        if row < self.line {
            return Err(Error::failed(doing(), "its rows are not in order"));
        }
        let mut record = serde_json::Map::new();
        for (_, name) in header {
            record.insert(name.clone(), Value::Null);
        }
        let mut errors = 0;
        for (column, value) in cells {
            let name = header
                .iter()
                .find(|(at, _)| *at == column)
                .map(|(_, name)| name.clone());
            errors += u64::from(matches!(value, Data::Error(_)));
            record.insert(name.unwrap_or_else(|| letters(column)), json(value));
        }
        self.errors += errors;
        while self.line < row {
            self.target.write_all(b"\n").doing(doing)?;
            self.line += 1;
        }
        serde_json::to_writer(&mut self.target, &record).map_err(|error| Error::failed(doing(), error))?;
        self.target.write_all(b"\n").doing(doing)?;
        self.line += 1;
        Ok(())
    }

    fn names(&self, cells: Vec<(u32, Data)>) -> Result<Vec<(u32, String)>> {
        let mut names: Vec<(u32, String)> = Vec::with_capacity(cells.len());
        for (column, value) in cells {
            let name = match json(value) {
                Value::String(text) => text.trim().to_owned(),
                other => other.to_string(),
            };
            if let Some((other, _)) = names.iter().find(|(_, known)| *known == name) {
                let why = format!(
                    "the columns {} and {} are both named `{name}`",
                    letters(*other),
                    letters(column)
                );
                return Err(Error::config(format!("reading {}", self.name), why)
                    .hint("rename one of them, or leave it out with `range:`"));
            }
            names.push((column, name));
        }
        Ok(names)
    }
}

/// A cell as JSON.
fn json(value: Data) -> Value {
    match value {
        Data::Int(number) => number.into(),
        Data::Float(number) => float(number),
        Data::Bool(truth) => truth.into(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.into(),
        Data::DateTime(time) => date(&time).into(),
        Data::Error(_) | Data::Empty => Value::Null,
    }
}

/// Workbooks have one type of numbers: what has no fraction is an integer as far as that type is exact.
fn float(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return (number as i64).into();
    }
    number.into()
}

/// A date, a date with a time, or a time alone: what has no day in it.
fn date(time: &ExcelDateTime) -> String {
    let days = time.as_f64();
    if time.is_duration() || (0.0..1.0).contains(&days) {
        let millis = (days.abs() * 86_400_000.0).round() as u64;
        let sign = if days < 0.0 { "-" } else { "" };
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let whole = format!(
            "{sign}{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        );
        return if millis == 0 {
            whole
        } else {
            format!("{whole}.{millis:03}")
        };
    }
    let (year, month, day, hour, minute, second, milli) = time.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    match (hour, minute, second, milli) {
        (0, 0, 0, 0) => date,
        (_, _, _, 0) => format!("{date}T{hour:02}:{minute:02}:{second:02}"),
        _ => format!("{date}T{hour:02}:{minute:02}:{second:02}.{milli:03}"),
    }
}

/// The parts of a ZIP archive and their sizes, decompressed, as its directory says.
/// Source: PKWARE's APPNOTE, 4.3.12 "Central directory structure" and 4.3.16 "End of central directory record".
fn parts(file: &mut (impl Read + Seek)) -> std::io::Result<Vec<(String, u64)>> {
    const END: u64 = 22;
    let broken = || std::io::Error::new(std::io::ErrorKind::InvalidData, "the archive has no directory");
    let length = file.seek(SeekFrom::End(0))?;
    // A comment of up to 64 KiB may follow the end.
    let tail_start = length.saturating_sub(END + 0xffff);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(tail_start))?;
    file.read_to_end(&mut tail)?;
    let end = memchr::memmem::rfind(&tail, b"PK\x05\x06").ok_or_else(broken)?;
    let number = |bytes: &[u8], at: usize, length: usize| -> std::io::Result<u64> {
        let bytes = bytes.get(at..at + length).ok_or_else(broken)?;
        Ok(bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)))
    };
    let (size, start) = (number(&tail, end + 12, 4)?, number(&tail, end + 16, 4)?);
    file.seek(SeekFrom::Start(start))?;
    let mut directory = Vec::new();
    file.take(size).read_to_end(&mut directory)?;
    let (mut parts, mut at) = (Vec::new(), 0);
    while directory.get(at..at + 4) == Some(b"PK\x01\x02") {
        let size = number(&directory, at + 24, 4)?;
        let name_length = number(&directory, at + 28, 2)? as usize;
        let rest = number(&directory, at + 30, 2)? + number(&directory, at + 32, 2)?;
        let name = directory.get(at + 46..at + 46 + name_length).ok_or_else(broken)?;
        parts.push((String::from_utf8_lossy(name).into_owned(), size));
        at += 46 + name_length + rest as usize;
    }
    Ok(parts)
}

#[cfg(test)]
#[path = "excel_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
