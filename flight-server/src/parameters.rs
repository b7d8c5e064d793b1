//! The parameters of a prepared statement: what a client is told, and the values that it sends.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use arrow_flight::FlightData;
use futures::{Stream, TryStreamExt};
use tonic::Status;

use crate::{expanded, plain_values, received, wire};

/// Bytes that the values of one execution may take: they travel with its ticket.
const MOST_BYTES: usize = 8 << 20;

/// The parameters as a client is told them: text where only the value will tell the type.
///
/// Times are told in milliseconds, because the driver for JDBC writes milliseconds whatever it is told. Clients that
/// know better send what they have.
pub(crate) fn schema(types: &[Option<DataType>], client: wire::Types) -> Schema {
    let fields = types.iter().enumerate().map(|(index, data_type)| {
        let data_type = data_type.as_ref().map_or(DataType::Utf8, |data_type| {
            match wire::plain_type(data_type, client) {
                DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone),
                DataType::Time64(_) => DataType::Time32(TimeUnit::Millisecond),
                // A client may bind a plain text to what is read as views.
                DataType::Utf8View => DataType::Utf8,
                DataType::BinaryView => DataType::Binary,
                other => other,
            }
        });
        Field::new(format!("${}", index + 1), data_type, true)
    });
    Schema::new(fields.collect::<Fields>())
}

/// The values that a client sends for the parameters of a statement, a column each, in one row or several; `None` for
/// no columns.
pub(crate) async fn receive(
    messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
) -> Result<Option<RecordBatch>, Status> {
    let damaged = |error| Status::invalid_argument(format!("the values of the parameters cannot be read: {error}"));
    let mut received = std::pin::pin!(received::batches(messages));
    let (mut batches, mut bytes) = (Vec::new(), 0);
    while let Some(batch) = received.try_next().await.map_err(damaged)? {
        bytes += expanded::bytes(&batch);
        if bytes > MOST_BYTES {
            return Err(Status::resource_exhausted(format!(
                "the values of the parameters take more than {} MiB; bind fewer rows at a time",
                MOST_BYTES >> 20
            )));
        }
        batches.push(batch);
    }
    let Some(schema) = batches.first().map(RecordBatch::schema) else {
        return Ok(None);
    };
    if schema.fields().is_empty() {
        return Ok(None);
    }
    // As one batch first: what type the values of a union have is to be said of all rows.
    let values = concat_batches(&schema, &batches).and_then(|values| plain_values::plain(&values));
    let values = values.map_err(|error| damaged(error.into()))?;
    if values.num_rows() == 0 {
        return Err(Status::invalid_argument("no row of values was sent for the parameters"));
    }
    Ok(Some(values))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use arrow_flight::encode::FlightDataEncoderBuilder;
    use futures::{StreamExt, stream};
    use tonic::Code;

    use super::*;

    #[test]
    fn parameters_have_plain_types_and_times_in_milliseconds() {
        let zone: Arc<str> = Arc::from("UTC");
        let types = [
            Some(DataType::Utf8View),
            None,
            Some(DataType::Int64),
            Some(DataType::Timestamp(TimeUnit::Microsecond, Some(zone.clone()))),
            Some(DataType::Time64(TimeUnit::Nanosecond)),
        ];
        let told = |client| -> Vec<DataType> {
            let schema = schema(&types, client);
            assert_eq!(schema.field(1).name(), "$2");
            schema.fields().iter().map(|field| field.data_type().clone()).collect()
        };
        let mut expected = vec![
            DataType::Utf8,
            DataType::Utf8,
            DataType::Int64,
            DataType::Timestamp(TimeUnit::Millisecond, Some(zone)),
            DataType::Time32(TimeUnit::Millisecond),
        ];
        assert_eq!(told(wire::Types::default()), expected);
        expected[3] = DataType::Timestamp(TimeUnit::Millisecond, None);
        assert_eq!(
            told(wire::Types {
                no_time_zones: true,
                views: true
            }),
            expected
        );
    }

    async fn sent(batches: Vec<RecordBatch>) -> Result<Option<RecordBatch>, Status> {
        let messages = FlightDataEncoderBuilder::new().build(stream::iter(batches.into_iter().map(Ok)));
        receive(messages.map_err(|error| Status::internal(error.to_string())).boxed()).await
    }

    #[tokio::test]
    async fn rows_of_all_batches_are_received_in_their_order() {
        let batch = |numbers: Vec<i64>| {
            RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(numbers)) as ArrayRef)]).unwrap()
        };
        let values = sent(vec![batch(vec![1, 2]), batch(vec![]), batch(vec![3])])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(values.column(0).as_primitive::<Int64Type>().values(), &[1, 2, 3]);
        // A batch without rows is not sent.
        assert_eq!(sent(vec![batch(vec![])]).await.unwrap(), None);
        let long = StringArray::from(vec!["x".repeat(MOST_BYTES + 1)]);
        let long = RecordBatch::try_from_iter([("a", Arc::new(long) as ArrayRef)]).unwrap();
        assert_eq!(sent(vec![long]).await.unwrap_err().code(), Code::ResourceExhausted);
    }
}
