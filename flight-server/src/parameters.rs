//! The parameters of a prepared statement: what a client is told, and the values that it sends.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use futures::{Stream, TryStreamExt};
use tonic::Status;

use crate::wire;

/// The parameters as a client is told them: text where only the value will tell the type.
pub(crate) fn schema(types: &[Option<DataType>]) -> Schema {
    let fields = types.iter().enumerate().map(|(index, data_type)| {
        let data_type = data_type.as_ref().map_or(DataType::Utf8, |data_type| {
            wire::plain_type(data_type, wire::Types::default())
        });
        Field::new(format!("${}", index + 1), data_type, true)
    });
    Schema::new(fields.collect::<Fields>())
}

/// The row of values that a client sends for the parameters of a statement; `None` for no columns.
pub(crate) async fn receive(
    messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
) -> Result<Option<RecordBatch>, Status> {
    let damaged = |error| Status::invalid_argument(format!("the values of the parameters cannot be read: {error}"));
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages.map_err(Into::into));
    let mut values: Option<RecordBatch> = None;
    while let Some(batch) = batches.try_next().await.map_err(damaged)? {
        let rows = values.map_or(Ok(batch.clone()), |values| {
            concat_batches(&batch.schema(), [&values, &batch])
        });
        let rows = rows.map_err(|error| damaged(error.into()))?;
        if rows.num_rows() > 1 {
            return Err(Status::invalid_argument(
                "bind one row of values; run the statement once for each",
            ));
        }
        values = Some(rows);
    }
    let values = values.filter(|values| values.num_columns() > 0);
    if values.as_ref().is_some_and(|values| values.num_rows() == 0) {
        return Err(Status::invalid_argument("no row of values was sent for the parameters"));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_plain_types() {
        let schema = schema(&[Some(DataType::Utf8View), None, Some(DataType::Int64)]);
        let types: Vec<_> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!(types, [DataType::Utf8, DataType::Utf8, DataType::Int64]);
        assert_eq!(schema.field(1).name(), "$2");
    }
}
