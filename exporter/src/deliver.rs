//! Rows on their way from the server to a channel, and what became of them.

use std::pin::pin;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cordada_core::{Error, Result};
use futures::{Stream, TryStreamExt};
use tokio_util::sync::CancellationToken;

use crate::channels::{Channel, Delivery, Failures};
use crate::personalise::Personaliser;

/// Rows that are rendered and handed over at a time at most.
const CHUNK_ROWS: usize = 1024;

/// What became of the rows of an audience.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Rows that were read.
    pub read: u64,
    /// Those that the channel did not take.
    pub failures: Failures,
}

impl Tally {
    /// Rows that the channel took.
    pub(crate) fn taken(&self) -> u64 {
        self.read.saturating_sub(self.failures.total())
    }

    /// Some rows that fail are counted and left out; when all do, the campaign or the channel is at fault.
    pub(crate) fn check(&self, campaign: &str) -> Result<()> {
        if self.read == 0 || self.taken() > 0 {
            return Ok(());
        }
        Err(Error::failed(
            format!("delivering campaign {campaign}"),
            format!("the channel takes none of its rows: {}", self.failures),
        )
        .hint("see that `fields` sends what the channel needs"))
    }
}

/// Checks the fields and begins a delivery of them; a dry run only checks.
pub(crate) async fn begin(
    campaign: &str,
    channel: &dyn Channel,
    fields: &SchemaRef,
    dry_run: bool,
) -> Result<Option<Box<dyn Delivery>>> {
    channel.check(fields).map_err(|problem| problem.of_campaign(campaign))?;
    if dry_run {
        return Ok(None);
    }
    channel.begin(fields).await.map(Some)
}

/// Streams rows of the audience to the delivery, if there is one. `on_rows` is told the number of rows so far. To be
/// cancelled, it need not be waiting for anything.
pub(crate) async fn deliver(
    audience: impl Stream<Item = Result<RecordBatch>>,
    personaliser: &Personaliser<'_>,
    mut delivery: Option<&mut (dyn Delivery + 'static)>,
    on_rows: &(impl Fn(u64) + Sync),
    cancel: &CancellationToken,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut batches = pin!(audience);
    while let Some(batch) = batches.try_next().await? {
        let mut from = 0;
        while from < batch.num_rows() {
            let chunk = batch.slice(from, CHUNK_ROWS.min(batch.num_rows() - from));
            let chunk = personaliser.apply(&chunk, cancel)?;
            from += chunk.num_rows();
            if let Some(delivery) = delivery.as_deref_mut() {
                tally.failures.add(&delivery.write(&chunk).await?);
            }
            tally.read += chunk.num_rows() as u64;
            on_rows(tally.read);
        }
    }
    Ok(tally)
}

#[cfg(test)]
mod tests;
