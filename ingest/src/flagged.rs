//! Which rows say that one is gone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use cordada_core::{Context, Error};
use cordada_ingest_source::provenance;
use datafusion::execution::SendableRecordBatchStream;

use crate::landing::mapped;

/// Texts that say no.
const NO: [&str; 6] = ["", "0", "f", "false", "n", "no"];

/// The rows with [`provenance::DELETED`], if the column that says so is there: it holds anything but null, false, 0 or a
/// text that says [`NO`]. What the source has flagged stays flagged.
pub(crate) fn flagged(
    column: Option<String>,
    schema: SchemaRef,
    partitions: Vec<SendableRecordBatchStream>,
) -> (SchemaRef, Vec<SendableRecordBatchStream>) {
    let Some(column) = column.filter(|column| schema.field_with_name(column).is_ok()) else {
        return (schema, partitions);
    };
    let flag = Field::new(provenance::DELETED, DataType::Boolean, true);
    let known = schema.index_of(provenance::DELETED).ok();
    let fields = schema.fields().iter().map(|field| field.as_ref().clone());
    let fields = fields.chain(known.is_none().then_some(flag));
    let result = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    mapped(result.clone(), partitions, move |batch| {
        let doing = || "looking for deleted rows";
        let missing = || Error::failed(doing(), "the column is not there");
        let says = batch.column_by_name(&column).ok_or_else(missing)?;
        let is_true = |flags: &BooleanArray, row: usize| flags.is_valid(row) && flags.value(row);
        let before = known.and_then(|at| batch.column(at).as_boolean_opt());
        let nulls = says.logical_nulls();
        let is_said = |row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        // Numbers and texts say it too: not every source has booleans, and a flag among other values became text.
        let numbers = match says.data_type().is_numeric() {
            true => Some(cast(says, &DataType::Float64).doing(doing)?),
            false => None,
        };
        let is_zero = |row: usize| {
            let numbers = numbers.as_ref().map(|numbers| numbers.as_primitive::<Float64Type>());
            numbers.is_some_and(|numbers| numbers.value(row) == 0.0)
        };
        let texts = says.as_string_opt::<i32>();
        let is_no = |row: usize| {
            let text = texts.map(|texts| texts.value(row).trim());
            is_zero(row) || text.is_some_and(|text| NO.iter().any(|no| text.eq_ignore_ascii_case(no)))
        };
        let gone = (0..says.len()).map(|row| {
            let says_so = || is_said(row) && !is_no(row);
            let said = says.as_boolean_opt().map_or_else(says_so, |flags| is_true(flags, row));
            Some(said || before.is_some_and(|flags| is_true(flags, row)))
        });
        let gone: ArrayRef = Arc::new(gone.collect::<BooleanArray>());
        let mut columns = batch.columns().to_vec();
        match known {
            Some(at) => columns[at] = gone,
            None => columns.push(gone),
        }
        RecordBatch::try_new(result.clone(), columns).doing(doing)
    })
}
