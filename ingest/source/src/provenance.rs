//! The columns that landing adds: which load a row came with, when, and from where.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use chrono::{DateTime, Utc};
pub use cordada_core::names::LOADED_AT;
use cordada_core::names::ORIGIN;
use cordada_core::{Context, Error, Result};
use cordada_ingest_formats::values::evidence::timestamp;

/// The load that a row came with.
pub const LOAD_ID: &str = "_load_id";

/// Whether a row is gone from the source. It never lands.
pub const DELETED: &str = "_deleted";

/// The names that landing keeps for itself.
pub const OURS: [&str; 4] = [LOAD_ID, LOADED_AT, ORIGIN, DELETED];

/// Whether a column of that name is one of those that landing adds.
pub fn is_ours(name: &str) -> bool {
    OURS.contains(&name)
}

/// The columns that landing adds.
pub fn fields() -> [Field; 3] {
    [
        Field::new(LOAD_ID, DataType::Utf8, true),
        Field::new(LOADED_AT, timestamp(), true),
        Field::new(ORIGIN, DataType::Utf8, true),
    ]
}

/// One load.
#[derive(Debug, Clone)]
pub struct Load {
    /// Its id.
    pub id: String,
    /// When it began.
    pub at: DateTime<Utc>,
}

impl Load {
    /// The values of [`fields`] for rows that begin on `lines` of the file `name`.
    pub fn columns(&self, name: &str, lines: &[u64]) -> Result<[ArrayRef; 3]> {
        let rows = lines.len();
        let id = repeated(&self.id, rows)?;
        let at = TimestampMicrosecondArray::from_value(self.at.timestamp_micros(), rows).with_timezone("UTC");
        Ok([Arc::new(id), Arc::new(at), Arc::new(origins(name, lines)?)])
    }

    /// The values of [`fields`] for rows that have no place of their own within `origin`.
    pub fn same_origin(&self, origin: &str, rows: usize) -> Result<[ArrayRef; 3]> {
        let at = TimestampMicrosecondArray::from_value(self.at.timestamp_micros(), rows).with_timezone("UTC");
        Ok([
            Arc::new(repeated(&self.id, rows)?),
            Arc::new(at),
            Arc::new(repeated(origin, rows)?),
        ])
    }
}

/// The file and the line that an `_origin` names; line 0 if it names none.
pub fn place(origin: &str) -> (&str, u64) {
    let place = origin.rsplit_once(':');
    let place = place.and_then(|(file, line)| Some((file, line.parse().ok()?)));
    place.unwrap_or((origin, 0))
}

fn repeated(text: &str, rows: usize) -> Result<StringArray> {
    let length = text.len();
    let offsets = (0..=rows)
        .map(|row| i32::try_from(row * length))
        .collect::<Result<Vec<_>, _>>();
    strings(text.repeat(rows).into_bytes(), offsets.map_err(|_| too_long())?)
}

/// `name:line` for each line, written digit by digit: formatting would cost more than reading the row did.
fn origins(name: &str, lines: &[u64]) -> Result<StringArray> {
    let mut bytes = Vec::with_capacity(lines.len() * (name.len() + 10));
    let mut offsets = Vec::with_capacity(lines.len() + 1);
    offsets.push(0);
    for line in lines {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b':');
        let mut digits = [0; 20];
        let mut first = digits.len();
        let mut rest = *line;
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        bytes.extend_from_slice(&digits[first..]);
        offsets.push(i32::try_from(bytes.len()).map_err(|_| too_long())?);
    }
    strings(bytes, offsets)
}

fn strings(bytes: Vec<u8>, offsets: Vec<i32>) -> Result<StringArray> {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    StringArray::try_new(offsets, Buffer::from_vec(bytes), None).doing(|| "adding the columns of the load")
}

fn too_long() -> Error {
    Error::failed(
        "adding the columns of the load",
        "one batch holds more than 2 GiB of them",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn origins_name_file_and_line() {
        let origins = origins("a.csv", &[0, 7, 10, u64::MAX]).unwrap();
        let expected = ["a.csv:0", "a.csv:7", "a.csv:10", "a.csv:18446744073709551615"];
        assert_eq!(origins.iter().flatten().collect::<Vec<_>>(), expected);
        assert_eq!(repeated("x", 2).unwrap().value(1), "x");
    }
}
