//! Why a statement ends before its time, and how all that computes for it gets to know.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cordada_core::units::Size;
use cordada_core::{Error, ErrorKind};
use datafusion::error::DataFusionError;
use tokio_util::sync::CancellationToken;

use super::limits::Exceeded;

/// What is being done when a statement ends early.
const DOING: &str = "running the query";

/// Why a statement ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its user stopped it, or left.
    Cancelled,
    /// It took longer than it may.
    Time(Duration),
    /// It gave more rows than it may.
    Rows(u64),
    /// It wrote more to disk than it may, in bytes.
    Spill(u64),
    /// It computes in one piece for so long that nobody waits for it any more.
    Hung(Duration),
    /// Its client has not read for so long, and others need its threads.
    Unread(Duration),
    /// The server ends.
    Closing,
}

/// The interruption of one statement, shared by all that works for it. The first reason holds.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    why: OnceLock<Why>,
    /// Whether there is a reason: what computes looks at every batch.
    is_set: AtomicBool,
    token: CancellationToken,
    signs: AtomicU64,
}

impl Interrupt {
    /// Ends the statement.
    pub fn interrupt(&self, why: Why) {
        if self.0.why.set(why).is_ok() {
            self.0.is_set.store(true, Ordering::Release);
            self.0.token.cancel();
        }
    }

    /// A sign of life of what computes for the statement.
    ///
    /// # Errors
    /// The statement has been ended.
    pub fn check(&self) -> Result<(), DataFusionError> {
        self.0.signs.fetch_add(1, Ordering::Relaxed);
        match self.0.is_set.load(Ordering::Acquire) {
            true => Err(self.error().into()),
            false => Ok(()),
        }
    }

    /// How many signs of life there were.
    pub(crate) fn signs(&self) -> u64 {
        self.0.signs.load(Ordering::Relaxed)
    }

    /// Whether the statement has been ended.
    pub fn is_interrupted(&self) -> bool {
        self.0.is_set.load(Ordering::Acquire)
    }

    /// Waits until the statement is ended.
    pub async fn interrupted(&self) -> Error {
        self.0.token.cancelled().await;
        self.error()
    }

    /// Runs a future until it is done or the statement is ended.
    ///
    /// # Errors
    /// The statement has been ended.
    pub async fn until_interrupted<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            error = self.interrupted() => Err(error),
            done = future => Ok(done),
        }
    }

    /// What to tell whoever waits for the statement.
    pub fn error(&self) -> Error {
        let limit = |why: String, key: &str, exceeded| {
            Error::failed(DOING, why)
                .hint(format!(
                    "ask for less, or have `{key}` raised in `server: {{limits: …}}` or for your role"
                ))
                .caused_by(exceeded)
        };
        match self.0.why.get().copied().unwrap_or(Why::Cancelled) {
            Why::Cancelled => Error::cancelled(DOING),
            Why::Time(most) => limit(
                format!("it took longer than the {} that a statement may take", shown(most)),
                "time",
                Exceeded::Time,
            ),
            Why::Rows(most) => limit(
                format!("it has more than the {most} rows that a statement may give"),
                "rows",
                Exceeded::Resources,
            ),
            Why::Spill(most) => limit(
                format!("it wrote more to disk than the {} that a statement may", Size(most)),
                "spill",
                Exceeded::Resources,
            ),
            Why::Hung(after) => Error::failed(
                DOING,
                format!("it computed for {} in one piece and gave no row", shown(after)),
            )
            .hint("write it in smaller steps")
            .caused_by(Exceeded::Time),
            Why::Unread(after) => Error::failed(
                DOING,
                format!(
                    "its rows were not read for {}, and others wait for its threads",
                    shown(after)
                ),
            )
            .hint("read results to their end, or cancel them")
            .caused_by(Exceeded::Resources),
            Why::Closing => {
                Error::new(ErrorKind::Unavailable, DOING, "the server is closing").hint("ask again once it is back")
            }
        }
    }
}

/// A duration in words: as `units` writes them.
pub(super) fn shown(span: Duration) -> String {
    match span.as_millis() {
        millis if millis % 1000 != 0 => format!("{millis} ms"),
        millis => format!("{} s", millis / 1000),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_is_the_one_that_is_told() {
        let interrupt = Interrupt::default();
        interrupt.check().unwrap();
        assert_eq!(interrupt.until_interrupted(async { 7 }).await.unwrap(), 7);
        interrupt.interrupt(Why::Rows(10));
        interrupt.interrupt(Why::Cancelled);
        let told = interrupt.interrupted().await.to_string();
        assert!(
            told.contains("more than the 10 rows") && told.contains("`rows`"),
            "{told}"
        );
        assert!(interrupt.check().is_err() && interrupt.signs() == 2);
        let never = interrupt.until_interrupted(std::future::pending::<()>()).await;
        assert_eq!(never.unwrap_err().to_string(), told);
    }
}
