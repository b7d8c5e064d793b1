//! Batches that a client sends, decoded as they come.
//!
//! The decoder panics at some damaged messages, such as one with integers of 199 bits. A client must not end more than its
//! own call by that, so a panic in it is an error like any other.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::{Stream, StreamExt, TryStreamExt};
use tonic::Status;

/// What is said of a message that the decoder does not survive.
const DAMAGED: &str = "a message is damaged";

/// The columns that the first message says.
///
/// # Errors
/// It says none, or is damaged.
pub(crate) fn schema(first: &FlightData) -> Result<Schema, FlightError> {
    let decoded = catch_unwind(AssertUnwindSafe(|| Schema::try_from(first)));
    Ok(decoded.map_err(|_| damaged())??)
}

/// The batches of these messages, of which the first says their columns.
pub(crate) fn batches(
    messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
) -> impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static {
    let decoded = FlightRecordBatchStream::new_from_flight_data(messages.map_err(FlightError::from));
    let decoded = AssertUnwindSafe(decoded).catch_unwind();
    decoded.map(|batch| batch.unwrap_or_else(|_| Err(damaged())))
}

fn damaged() -> FlightError {
    FlightError::DecodeError(DAMAGED.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};
    use arrow_flight::encode::FlightDataEncoderBuilder;
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn no_byte_of_the_columns_makes_more_of_them_than_an_error() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter([("a", numbers)]).unwrap();
        let messages = FlightDataEncoderBuilder::new().build(stream::iter([Ok(batch.clone())]));
        let messages: Vec<FlightData> = messages.try_collect().await.unwrap();
        let whole: Vec<_> = batches(stream::iter(messages.clone().into_iter().map(Ok)))
            .try_collect()
            .await
            .unwrap();
        assert_eq!(whole, [batch]);
        let read = async |messages: Vec<FlightData>| -> Result<Vec<RecordBatch>, FlightError> {
            batches(stream::iter(messages.into_iter().map(Ok))).try_collect().await
        };
        let mut refused = 0;
        for at in 0..messages[0].data_header.len() {
            let mut sent = messages.clone();
            let mut header = sent[0].data_header.to_vec();
            header[at] ^= 0xff;
            sent[0].data_header = header.into();
            let columns = schema(&sent[0]);
            refused += usize::from(columns.is_err() || read(sent).await.is_err());
        }
        assert!(refused > 0);
        let mut sent = messages.clone();
        sent[1].data_body = sent[1].data_body.slice(..8);
        assert!(read(sent).await.is_err());
    }
}
