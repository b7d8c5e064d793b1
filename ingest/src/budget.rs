//! What streams that land at the same time share: a bound on memory.

use cordada_core::{Error, Result};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Memory that rows of one partition take on their way into a file, in MiB: batches that wait, a row group that is
/// being encoded, its dictionaries. An estimate for rows of some hundred bytes; wider rows take more.
const PARTITION: usize = 64;

/// How many streams land at the same time at least: while one waits for its source, another one works.
const STREAMS: usize = 2;

/// Room for chunks that land.
pub(crate) struct Budget {
    room: Semaphore,
    /// All of it, in MiB.
    total: u32,
    /// Partitions that a chunk is written in.
    partitions: usize,
    /// Streams at a time.
    pub(crate) streams: usize,
}

impl Budget {
    /// A budget of half of `memory`, in bytes, for chunks that are written in so many partitions; the other half is for
    /// what is sorted, joined and compared.
    pub(crate) fn new(memory: usize, partitions: usize) -> Self {
        let total = (memory / 2) >> 20;
        let chunks = total / (PARTITION * partitions);
        Self {
            room: Semaphore::new(total),
            total: u32::try_from(total).unwrap_or(u32::MAX),
            partitions,
            streams: chunks.clamp(1, partitions.max(STREAMS)),
        }
    }

    /// Waits for the room that a chunk takes. A chunk that is larger than the budget has all of it.
    ///
    /// # Errors
    /// None that a user could cause.
    pub(crate) async fn chunk(&self) -> Result<SemaphorePermit<'_>> {
        let wanted = u32::try_from(PARTITION * self.partitions).unwrap_or(u32::MAX);
        let room = self.room.acquire_many(wanted.min(self.total)).await;
        room.map_err(|error| Error::failed("waiting for memory", error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn chunks_wait_for_room() {
        let budget = Budget::new((2 * 3 * 64) << 20, 2);
        assert_eq!(budget.streams, 1);
        let first = budget.chunk().await.unwrap();
        let mut second = Box::pin(budget.chunk());
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        assert!(futures::poll!(&mut second).is_ready());
    }

    #[tokio::test]
    async fn one_chunk_always_fits() {
        for memory in [0, 1 << 20, 4 << 30] {
            let budget = Budget::new(memory, 8);
            assert!(budget.streams >= 1);
            drop(budget.chunk().await.unwrap());
        }
        assert_eq!(Budget::new(64 << 30, 8).streams, 8);
        assert_eq!(Budget::new(64 << 30, 1).streams, 2);
    }
}
