//! What time it is: the machine's, or in tests the one that they set.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells how much time has passed since a beginning.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// Since 1970: what is written down, and read by others.
    pub(crate) fn of_the_wall() -> Self {
        Self(Arc::new(|| {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
        }))
    }

    /// Since now: what nobody can set back.
    pub(crate) fn of_the_process() -> Self {
        let start = Instant::now();
        Self(Arc::new(move || start.elapsed()))
    }

    pub(crate) fn now(&self) -> Duration {
        (self.0)()
    }

    /// [`Self::now`] in milliseconds.
    pub(crate) fn millis(&self) -> u64 {
        millis(self.now())
    }
}

/// A duration in milliseconds, or as many as there can be.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// A clock that tests set.
#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    pub(crate) struct Hands(Arc<Mutex<Duration>>);

    impl Hands {
        /// Hands that show a time long after 1970.
        pub(crate) fn new() -> Self {
            Self(Arc::new(Mutex::new(Duration::from_secs(1_800_000_000))))
        }

        pub(crate) fn clock(&self) -> Clock {
            let hands = self.clone();
            Clock(Arc::new(move || *cordada_core::threads::locked(&hands.0)))
        }

        pub(crate) fn pass(&self, time: Duration) {
            *cordada_core::threads::locked(&self.0) += time;
        }
    }
}
