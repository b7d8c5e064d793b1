//! Rows as files and people take them: intervals, which CSV, JSON and Parquet do not have, as their text.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use super::functions::casts::{OnFailure, cast_array};

/// The rows with intervals as PostgreSQL writes them: `1 day 02:00:00`.
pub fn intervals_as_text(rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = rows.schema();
    if !schema.fields().iter().any(|field| is_interval(field.data_type())) {
        return rows;
    }
    let fields = schema
        .fields()
        .iter()
        .map(|field| match is_interval(field.data_type()) {
            true => Arc::new(Field::new(field.name(), DataType::Utf8, field.is_nullable())),
            false => field.clone(),
        });
    let readable = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let of_batch = {
        let readable = readable.clone();
        move |batch: Result<RecordBatch>| batch.and_then(|batch| as_text(&batch, &readable))
    };
    Box::pin(RecordBatchStreamAdapter::new(readable, rows.map(of_batch)))
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

fn as_text(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| match is_interval(column.data_type()) {
        true => cast_array(column, field.data_type(), OnFailure::Error),
        false => Ok(column.clone()),
    });
    Ok(RecordBatch::try_new(schema.clone(), columns.collect::<Result<_>>()?)?)
}
