//! Time: for waiting, and for what a clock on the wall says. Tests have one that jumps.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use cordada_core::{Error, Result};
use tokio_util::sync::CancellationToken;

/// A clock.
#[derive(Clone)]
pub enum Clock {
    /// The machine's, since it was made.
    System(Instant),
    /// One on which waiting takes no time: the time that has passed, for tests.
    Virtual(std::sync::Arc<std::sync::Mutex<Duration>>),
}

impl Clock {
    /// The machine's.
    pub fn system() -> Self {
        Self::System(Instant::now())
    }

    /// Time that has passed since the clock was made.
    pub fn elapsed(&self) -> Duration {
        match self {
            Self::System(start) => start.elapsed(),
            Self::Virtual(elapsed) => *elapsed.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        }
    }

    /// What the clock on the wall says.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::System(_) => Utc::now(),
            Self::Virtual(_) => DateTime::UNIX_EPOCH + chrono::Duration::days(20_000) + self.elapsed(),
        }
    }

    /// Waits until `at`, counted as [`elapsed`](Self::elapsed).
    ///
    /// # Errors
    /// Cancelled.
    pub async fn wait_until(&self, at: Duration, cancel: &CancellationToken) -> Result<()> {
        let cancelled = || Err(Error::cancelled("waiting for the system"));
        match self {
            Self::System(start) => tokio::select! {
                () = tokio::time::sleep_until((*start + at).into()) => Ok(()),
                () = cancel.cancelled() => cancelled(),
            },
            Self::Virtual(elapsed) => {
                tokio::task::yield_now().await;
                let mut elapsed = elapsed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                *elapsed = at.max(*elapsed);
                if cancel.is_cancelled() { cancelled() } else { Ok(()) }
            }
        }
    }

    /// Waits so long.
    ///
    /// # Errors
    /// Cancelled.
    pub async fn wait(&self, time: Duration, cancel: &CancellationToken) -> Result<()> {
        self.wait_until(self.elapsed() + time, cancel).await
    }
}
