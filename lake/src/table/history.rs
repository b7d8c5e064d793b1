//! The history of rows in the table itself, as a dimension of type 2: beside each current row its former ones.
//!
//! The table has the incoming columns and three more: `_valid_from` and `_valid_to` say when a row held, the first
//! moment included and the last one not; `_valid_to` of a current row is null, as is `_valid_from` of a row that was
//! there before the table kept a history. `_row_hash` is the hash of the row's content ([`crate::table::row_hash`]), by
//! which a change is told: a row that comes again unchanged does not land again.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit, TimestampMicrosecondType};
use cordada_core::{Context, Error, Result, TableName};
use datafusion::common::ScalarValue;

use crate::table::fate::{Fate, Verdict};
use crate::table::incoming::IncomingRows;
use crate::table::keys::RowPosition;
use crate::table::mode::MissingKey;
use crate::table::row_hash::{row_hashes, to_text};
use crate::table::snapshot::DataFile;

/// When a row began to hold.
pub const VALID_FROM: &str = "_valid_from";
/// When it ceased to; null of a current row.
pub const VALID_TO: &str = "_valid_to";
/// The hash of its content: 32 hexadecimal digits.
pub const ROW_HASH: &str = "_row_hash";

/// The columns that a history adds.
pub const COLUMNS: [&str; 3] = [VALID_FROM, VALID_TO, ROW_HASH];

/// What a write to a history goes by.
#[derive(Debug)]
pub(crate) struct History {
    at: i64,
    missing: MissingKey,
    /// The columns whose change is a change of the row.
    content: Vec<String>,
}

impl History {
    /// A write of rows of `incoming` at that time.
    pub(crate) fn new(incoming: &Schema, ignored: &[String], at: i64, missing: MissingKey) -> Self {
        let content = incoming.fields().iter().map(|field| field.name().clone());
        Self {
            at,
            missing,
            content: content.filter(|name| !ignored.contains(name)).collect(),
        }
    }

    /// Whether rows that are not incoming are closed.
    pub(crate) fn closes_missing(&self) -> bool {
        self.missing == MissingKey::Close
    }

    /// The incoming rows as current ones; the hashes of their content go to `contents`.
    pub(crate) fn begin(&self, batch: RecordBatch, contents: &mut Vec<u128>) -> Result<RecordBatch> {
        let hashes = row_hashes(&batch, &self.content)?;
        let texts: StringArray = hashes.iter().map(|hash| Some(to_text(*hash))).collect();
        contents.extend(hashes);
        let begins = times(vec![self.at; batch.num_rows()]);
        let batch = with_column(batch, VALID_FROM, Arc::new(begins))?;
        with_column(batch, ROW_HASH, Arc::new(texts))
    }

    /// Says what becomes of the rows of `batch`, which has the history's columns: those that are current and have
    /// changed, or are no more, close. Whatever the clock, a row ends after it began and before the next of its key
    /// begins.
    pub(crate) fn judge(
        &self,
        batch: &RecordBatch,
        positions: impl Iterator<Item = Option<RowPosition>>,
        incoming: &IncomingRows,
        verdict: &mut Verdict,
    ) -> Result<()> {
        let from = column(batch, VALID_FROM)?.as_primitive::<TimestampMicrosecondType>();
        let to = column(batch, VALID_TO)?.as_primitive::<TimestampMicrosecondType>();
        let hashes = column(batch, ROW_HASH)?.as_string::<i32>();
        for (row, position) in positions.enumerate() {
            let is_current = to.is_null(row);
            let changed = match position {
                Some(position) => {
                    let content = incoming.content(position);
                    let same = hashes.is_valid(row) && content.map(to_text).as_deref() == Some(hashes.value(row));
                    if same && is_current {
                        verdict.findings.unwanted.push(position);
                    }
                    !same
                }
                None => self.closes_missing(),
            };
            let (fate, end) = match is_current {
                false => (Fate::Stays, Some(to.value(row))),
                true if changed => (Fate::Closes, Some(self.end(from, row))),
                true => (Fate::Stays, None),
            };
            if let (Some(position), Some(end)) = (position, end.filter(|end| *end > self.at)) {
                verdict.findings.later.push((position, end));
            }
            verdict.next(fate);
        }
        Ok(())
    }

    /// When a current row ends that closes now.
    fn end(&self, from: &TimestampMicrosecondArray, row: usize) -> i64 {
        match from.is_valid(row) {
            true => self.at.max(from.value(row).saturating_add(1)),
            false => self.at,
        }
    }

    /// The rows with an end where they close.
    pub(crate) fn close(&self, batch: RecordBatch, fates: &[Fate]) -> Result<RecordBatch> {
        if !fates.contains(&Fate::Closes) {
            return Ok(batch);
        }
        let from = column(&batch, VALID_FROM)?.as_primitive::<TimestampMicrosecondType>();
        let to = column(&batch, VALID_TO)?.as_primitive::<TimestampMicrosecondType>();
        let ends = fates.iter().enumerate().map(|(row, fate)| match fate {
            Fate::Closes => Some(self.end(from, row)),
            _ => to.is_valid(row).then(|| to.value(row)),
        });
        let ends: TimestampMicrosecondArray = ends.collect();
        with_column(batch, VALID_TO, Arc::new(ends.with_timezone("UTC")))
    }

    /// Whether the file may hold former rows that end after the write's time, as far as its statistics tell.
    pub(crate) fn may_end_later(&self, schema: &Schema, file: &DataFile) -> bool {
        let column = schema.index_of(VALID_TO).ok();
        let newest = column.and_then(|column| file.column(column)?.max_value.get_value().cloned());
        match newest {
            Some(ScalarValue::TimestampMicrosecond(Some(newest), _)) => newest > self.at,
            _ => true,
        }
    }
}

/// The rows of which some begin later than the write, as `begins` says by their numbers in the batch.
pub(crate) fn begin_later(batch: RecordBatch, begins: impl Iterator<Item = (usize, i64)>) -> Result<RecordBatch> {
    let from = column(&batch, VALID_FROM)?.as_primitive::<TimestampMicrosecondType>();
    let mut from = from.values().to_vec();
    for (row, begin) in begins {
        from[row] = begin;
    }
    with_column(batch, VALID_FROM, Arc::new(times(from)))
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef> {
    let why = || Error::failed("reading a table's history", format!("there is no column {name}"));
    batch.column_by_name(name).ok_or_else(why)
}

/// The incoming columns with those of a history.
pub(crate) fn with_columns(table: &TableName, incoming: &Schema) -> Result<Schema> {
    if let Some(taken) = COLUMNS.iter().find(|name| incoming.field_with_name(name).is_ok()) {
        let why = format!("the rows have a column `{taken}` themselves");
        return Err(Error::config(format!("writing the history of {table}"), why).hint("rename it"));
    }
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let added = COLUMNS.into_iter().zip([time(), time(), DataType::Utf8]);
    let added = added.map(|(name, data_type)| FieldRef::new(Field::new(name, data_type, true)));
    Ok(Schema::new(
        incoming.fields().iter().cloned().chain(added).collect::<Vec<_>>(),
    ))
}

/// Whether the file may hold current rows, as far as its statistics tell.
pub(crate) fn may_have_current(schema: &Schema, file: &DataFile) -> bool {
    let column = schema.index_of(VALID_TO).ok();
    let column = column.and_then(|column| file.column(column));
    column.is_none_or(|column| column.null_count.get_value() != Some(&0))
}

fn times(micros: Vec<i64>) -> TimestampMicrosecondArray {
    TimestampMicrosecondArray::from(micros).with_timezone("UTC")
}

fn with_column(batch: RecordBatch, name: &str, values: ArrayRef) -> Result<RecordBatch> {
    let doing = || format!("setting column {name}");
    let index = batch.schema().index_of(name).doing(doing)?;
    let (schema, mut columns, _) = batch.into_parts();
    columns[index] = values;
    RecordBatch::try_new(schema, columns).doing(doing)
}
