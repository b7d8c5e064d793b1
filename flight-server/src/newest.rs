//! The newest release, and how the server moves to it without a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cordada_lake::{Lake, Release, ReleaseLog, Result};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the log is looked at when no statement does.
const INTERVAL: Duration = Duration::from_secs(1);
/// A look that takes less is done at every statement too: a local lake is read at the release that was just published.
const CHEAP: Duration = Duration::from_millis(2);

/// Follows the release log.
#[derive(Debug)]
pub(crate) struct Newest {
    log: Arc<ReleaseLog>,
    known: watch::Sender<Arc<Release>>,
    is_cheap: AtomicBool,
}

impl Newest {
    /// Looks for the first time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn open(lake: &Lake) -> Result<Self> {
        let log = lake.releases().clone();
        let known = watch::Sender::new(log.newest().await?);
        Ok(Self { log, known, is_cheap: AtomicBool::new(true) })
    }

    /// The newest release: looked for now if that is cheap, else as of the last look.
    pub(crate) async fn get(&self) -> Arc<Release> {
        if self.is_cheap.load(Ordering::Relaxed) {
            self.look().await;
        }
        self.known.borrow().clone()
    }

    /// Looks again and again, until told to stop.
    pub(crate) async fn follow(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.look().await;
        }
    }

    /// Looks once. While the store cannot be read, the server stays at the release that it knows.
    async fn look(&self) {
        let began = Instant::now();
        let found = self.log.newest().await;
        self.is_cheap.store(found.is_ok() && began.elapsed() < CHEAP, Ordering::Relaxed);
        match found {
            Ok(newest) => {
                self.known.send_if_modified(|known| {
                    let moves = newest.number > known.number;
                    if moves {
                        tracing::info!(release = newest.number, "serving a new release");
                        *known = newest;
                    }
                    moves
                });
            }
            Err(error) => tracing::warn!(%error, "cannot look for a new release; staying at the one before"),
        }
    }
}
