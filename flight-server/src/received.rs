//! Batches that a client sends, decoded as they come, and none that would be too large once it is written out.
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

use crate::expanded;

/// Bytes that the values of a batch may take once each stands for itself: several times the largest message.
const MOST_BYTES: usize = 256 << 20;
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
    let decoded = AssertUnwindSafe(decoded.map(|batch| batch.and_then(bounded))).catch_unwind();
    decoded.map(|batch| batch.unwrap_or_else(|_| Err(damaged())))
}

fn bounded(batch: RecordBatch) -> Result<RecordBatch, FlightError> {
    match expanded::bytes(&batch) > MOST_BYTES {
        false => Ok(batch),
        true => Err(FlightError::DecodeError(format!(
            "the values of a message take more than {} MiB; send fewer rows at a time",
            MOST_BYTES >> 20
        ))),
    }
}

fn damaged() -> FlightError {
    FlightError::DecodeError(DAMAGED.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, NullArray};
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

    #[test]
    fn a_few_bytes_do_not_become_terabytes() {
        let nothing: ArrayRef = Arc::new(NullArray::new(1 << 40));
        let batch = RecordBatch::try_from_iter_with_nullable([("a", nothing, true)]).unwrap();
        let refused = bounded(batch).unwrap_err();
        assert!(refused.to_string().contains("fewer rows"), "{refused}");
    }
}
