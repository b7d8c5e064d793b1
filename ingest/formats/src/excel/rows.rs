//! Rows of a sheet as records, one JSON object a line.

use std::fs::File;
use std::io::{BufWriter, Write};

use calamine::{Data, ExcelDateTime};
use cordada_core::{Context, Error, Result};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{ExcelOptions, letters};
use crate::headings::Headings;

/// Writes rows as records.
pub(super) struct Rows<'r> {
    name: &'r str,
    options: &'r ExcelOptions,
    target: BufWriter<&'r File>,
    /// Lines written so far.
    line: u32,
    /// The columns that have a name, once the row that names them has been seen.
    header: Option<Vec<(u32, String)>>,
    /// Those that have none, with the names that they get, and all names together.
    unnamed: Vec<(u32, String)>,
    names: Headings,
    errors: u64,
    cancel: &'r CancellationToken,
}

impl<'r> Rows<'r> {
    /// None so far.
    pub(super) fn new(
        name: &'r str,
        options: &'r ExcelOptions,
        target: BufWriter<&'r File>,
        cancel: &'r CancellationToken,
    ) -> Self {
        Self {
            name,
            options,
            target,
            line: 0,
            header: None,
            unnamed: Vec::new(),
            names: Headings::default(),
            errors: 0,
            cancel,
        }
    }

    /// Writes what has been taken; how many cells held errors.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.target.flush().doing(|| format!("reading {}", self.name))?;
        Ok(self.errors)
    }

    pub(super) fn take_all(&mut self, range: calamine::Range<Data>) -> Result<()> {
        let (first_row, first_column) = range.start().unwrap_or_default();
        for (row, cells) in (first_row..).zip(range.rows()) {
            let cells = (first_column..)
                .zip(cells)
                .map(|(column, value)| (column, value.clone()));
            self.row(row, cells.collect())?;
        }
        Ok(())
    }

    pub(super) fn take_cells(&mut self, mut next: impl FnMut() -> Result<Option<((u32, u32), Data)>>) -> Result<()> {
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
                self.header = Some(self.headed(cells));
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
        for (column, value) in cells {
            let name = match header.iter().chain(&self.unnamed).find(|(at, _)| *at == column) {
                Some((_, name)) => name.clone(),
                None => {
                    let letters = letters(column);
                    let name = self.names.unnamed(&[letters.clone(), format!("column_{letters}")]);
                    self.unnamed.push((column, name.clone()));
                    name
                }
            };
            self.errors += u64::from(matches!(value, Data::Error(_)));
            record.insert(name, json(value));
        }
        while self.line < row {
            self.target.write_all(b"\n").doing(doing)?;
            self.line += 1;
        }
        serde_json::to_writer(&mut self.target, &record).map_err(|error| Error::failed(doing(), error))?;
        self.target.write_all(b"\n").doing(doing)?;
        self.line += 1;
        Ok(())
    }

    /// The columns that have a heading, with their names.
    fn headed(&mut self, cells: Vec<(u32, Data)>) -> Vec<(u32, String)> {
        let heading = |value| match json(value) {
            Value::String(text) => text.trim().to_owned(),
            // An error says nothing.
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let names = cells
            .into_iter()
            .map(|(column, value)| (column, self.names.heading(&heading(value))));
        names.filter(|(_, name)| !name.is_empty()).collect()
    }
}

/// A cell as JSON.
fn json(value: Data) -> Value {
    match value {
        Data::Int(number) => number.into(),
        Data::Float(number) => float(number),
        Data::Bool(truth) => truth.into(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.into(),
        // A number that has the format of a date, and is none: the first day and the last one have these.
        Data::DateTime(time) if !time.is_duration() && !(0.0..2_958_466.0).contains(&time.as_f64()) => {
            float(time.as_f64())
        }
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
