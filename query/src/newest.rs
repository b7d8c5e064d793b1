//! The newest release, and how the server moves to it without a restart.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cordada_core::Result;
use cordada_lake::{Lake, Release, ReleaseLog};
use tokio::sync::{Mutex, watch};
use tokio::time::MissedTickBehavior;

/// How often the log is looked at when no statement does.
const INTERVAL: Duration = Duration::from_secs(1);
/// A look that can be done in less is done at every statement too: a local lake is read at the release that was just
/// published.
const CHEAP: Duration = Duration::from_millis(2);
/// Looks that tell at the beginning whether they are cheap.
const FIRST_LOOKS: usize = 3;

/// Follows the release log.
#[derive(Debug)]
pub(crate) struct NewestRelease {
    log: Arc<ReleaseLog>,
    known: watch::Sender<Arc<Release>>,
    /// Whose turn it is to look.
    turn: Mutex<()>,
    /// The number of the look that began last.
    begun: AtomicU64,
    /// The number of the look that came to its end last: who asked for one may leave meanwhile.
    done: AtomicU64,
    /// Microseconds that the fastest look took: a busy machine makes a look slow, only the store makes all of them so.
    fastest: AtomicU64,
}

impl NewestRelease {
    /// Looks for the first time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn open(lake: &Lake) -> Result<Self> {
        let log = lake.releases().clone();
        let known = watch::Sender::new(log.newest().await?);
        let newest = Self {
            log,
            known,
            turn: Mutex::new(()),
            begun: AtomicU64::new(0),
            done: AtomicU64::new(0),
            fastest: AtomicU64::new(u64::MAX),
        };
        for _ in 0..FIRST_LOOKS {
            newest.look().await;
        }
        Ok(newest)
    }

    /// The newest release: looked for now if that is cheap, else as of the last look.
    pub(crate) async fn get(&self) -> Arc<Release> {
        if u128::from(self.fastest.load(Ordering::Relaxed)) < CHEAP.as_micros() {
            self.look().await;
        }
        self.known()
    }

    /// The newest release as of the last look.
    pub(crate) fn known(&self) -> Arc<Release> {
        self.known.borrow().clone()
    }

    /// Tells of each newer release that is found.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Release>> {
        self.known.subscribe()
    }

    /// Looks again and again, until it is dropped.
    pub(crate) async fn follow(&self) -> Infallible {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look().await;
        }
    }

    /// Looks once, or waits for somebody's look that begins after this call. While the store cannot be read, the server
    /// stays at the release that it knows.
    pub(crate) async fn look(&self) {
        let before = self.begun.load(Ordering::Acquire);
        let _turn = self.turn.lock().await;
        if self.done.load(Ordering::Acquire) > before {
            return;
        }
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let began = Instant::now();
        let found = self.log.newest().await;
        match found {
            Ok(newest) => {
                let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.fastest.fetch_min(took, Ordering::Relaxed);
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
        self.done.store(number, Ordering::Release);
    }
}
