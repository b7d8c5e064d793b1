//! The history of rows in the table itself, as a dimension of type 2: beside each current row its former ones.
//!
//! The table has the incoming columns and three more: `_valid_from` and `_valid_to` say when a row held, the first
//! moment included and the last one not; `_valid_to` of a current row is null, as is `_valid_from` of a row that was
//! there before the table kept a history. `_row_hash` is the hash of the row's content ([`crate::table::row_hash`]), by
//! which a change is told: a row that comes again unchanged does not land again.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::kernels::zip::zip;
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

/// Statistics round times up to milliseconds.
const ROUNDED_BY: i64 = 1000;

/// What a write to a history goes by.
#[derive(Debug)]
pub(crate) struct History {
    at: i64,
    missing: MissingKey,
    /// The columns whose change is a change of the row.
    content: Vec<String>,
}

impl History {
    /// A write of rows of `incoming` at that time; not before the last change that is in the files of `base` and
    /// their schema, so that a clock that was put back makes no periods that overlap.
    pub(crate) fn new(
        incoming: &Schema,
        ignored: &[String],
        at: i64,
        missing: MissingKey,
        base: Option<(&Schema, &[Arc<DataFile>])>,
    ) -> Self {
        let newest = base.and_then(|(schema, files)| newest_change(schema, files));
        let content = incoming.fields().iter().map(|field| field.name().clone());
        Self {
            at: newest.filter(|newest| at <= newest - ROUNDED_BY).unwrap_or(at),
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
    /// changed, or are no more, close. One that began no earlier than it would end never held, and goes.
    pub(crate) fn judge(
        &self,
        batch: &RecordBatch,
        positions: impl Iterator<Item = Option<RowPosition>>,
        incoming: &IncomingRows,
        verdict: &mut Verdict,
    ) -> Result<()> {
        let column = |name: &str| {
            let why = || Error::failed("reading a table's history", format!("there is no column {name}"));
            batch.column_by_name(name).ok_or_else(why)
        };
        let from = column(VALID_FROM)?.as_primitive::<TimestampMicrosecondType>();
        let to = column(VALID_TO)?;
        let hashes = column(ROW_HASH)?.as_string::<i32>();
        for (row, position) in positions.enumerate() {
            let changed = match position {
                Some(position) => {
                    let content = incoming.content(position);
                    let same = hashes.is_valid(row) && content.map(to_text).as_deref() == Some(hashes.value(row));
                    if same && to.is_null(row) {
                        verdict.unwanted.push(position);
                    }
                    !same
                }
                None => self.closes_missing(),
            };
            verdict.next(match (changed && to.is_null(row), from.is_valid(row)) {
                (false, _) => Fate::Stays,
                (true, true) if from.value(row) >= self.at => Fate::Goes,
                (true, _) => Fate::Closes,
            });
        }
        Ok(())
    }

    /// The rows with an end where they close.
    pub(crate) fn close(&self, batch: RecordBatch, fates: &[Fate]) -> Result<RecordBatch> {
        let closes: BooleanArray = fates.iter().map(|fate| Some(*fate == Fate::Closes)).collect();
        let Some(to) = batch.column_by_name(VALID_TO).filter(|_| closes.true_count() > 0) else {
            return Ok(batch);
        };
        let end = arrow::array::Scalar::new(times(vec![self.at]));
        let to = zip(&closes, &end, to).doing(|| "closing rows")?;
        with_column(batch, VALID_TO, to)
    }
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

fn newest_change(schema: &Schema, files: &[Arc<DataFile>]) -> Option<i64> {
    let columns = [VALID_FROM, VALID_TO].map(|name| schema.index_of(name).ok());
    let newest = columns.into_iter().flatten().flat_map(|column| {
        files.iter().filter_map(move |file| {
            let column = file.column(column)?;
            match column.max_value.get_value()? {
                ScalarValue::TimestampMicrosecond(micros, _) => *micros,
                _ => None,
            }
        })
    });
    newest.max()
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
