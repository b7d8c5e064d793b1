//! Never more requests than a system allows: in flight, in a stretch of time, by the cost of queries.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use cordada_core::{Error, Result};
use reqwest::header::HeaderMap;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::retry;
use super::system::limits::{Budget, Limits, Window};

/// The longest wait that a system can ask for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Waits that are told to whoever watches.
pub const TOLD: Duration = Duration::from_secs(10);

/// Lets requests pass when they may.
pub struct Limiter {
    in_flight: Semaphore,
    state: Mutex<State>,
    remaining_header: Option<String>,
    reset_header: Option<String>,
    clock: Clock,
}

struct State {
    budgets: Vec<BudgetUse>,
    /// The system said when to come back.
    paused_until: Duration,
    /// The wait until then has been told.
    told_until: Duration,
    bucket: Option<Bucket>,
}

/// A budget, and when requests were counted against it.
struct BudgetUse {
    budget: Budget,
    times: VecDeque<Duration>,
}

/// What a GraphQL server let us know of its bucket.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    pub available: f64,
    /// A second.
    pub restore_rate: f64,
    /// Of the last query; the next one is taken to cost as much.
    pub cost: f64,
    /// When it was so.
    at: Duration,
}

impl Limiter {
    /// Nothing has been sent.
    pub fn new(limits: &Limits, clock: Clock) -> Self {
        let spent = |budget: &Budget| BudgetUse {
            budget: *budget,
            times: VecDeque::new(),
        };
        Self {
            in_flight: Semaphore::new(limits.concurrency),
            state: Mutex::new(State {
                budgets: limits.budgets.iter().map(spent).collect(),
                paused_until: Duration::ZERO,
                told_until: Duration::ZERO,
                bucket: None,
            }),
            remaining_header: limits.remaining_header.clone(),
            reset_header: limits.reset_header.clone(),
            clock,
        }
    }

    /// Waits until a request may be sent, and counts it. It is in flight as long as the permit lives.
    ///
    /// # Errors
    /// Cancelled; unavailable if the system wants to be left alone for longer than anybody waits.
    pub async fn pass(&self, cancel: &CancellationToken) -> Result<SemaphorePermit<'_>> {
        let cancelled = || Error::cancelled("waiting for the system");
        let permit = tokio::select! {
            permit = self.in_flight.acquire() => permit.map_err(|_| cancelled())?,
            () = cancel.cancelled() => return Err(cancelled()),
        };
        loop {
            let now = self.clock.elapsed();
            let Some(at) = self.state().reserve(now) else {
                return Ok(permit);
            };
            let wait = at.saturating_sub(now);
            if self.state().paused_until > now + LONGEST_WAIT {
                let why = format!("what may be asked of it is used up for {} s more", wait.as_secs());
                return Err(Error::unavailable("asking the system", why).hint("run again later"));
            }
            if wait >= TOLD && std::mem::replace(&mut self.state().told_until, at) < at {
                tracing::warn!(
                    seconds = wait.as_secs(),
                    "waiting, as what may be asked of the system is used up"
                );
            }
            self.clock.wait_until(at, cancel).await?;
        }
    }

    /// Sends nothing more for so long.
    pub fn pause(&self, time: Duration) {
        let until = self.clock.elapsed() + time;
        let mut state = self.state();
        state.paused_until = state.paused_until.max(until);
    }

    /// Takes note of what an answer says of the budget that is left.
    pub fn note(&self, headers: &HeaderMap) {
        let text = |name: &Option<String>| headers.get(name.as_deref()?)?.to_str().ok();
        let none_left = text(&self.remaining_header)
            .and_then(|text| text.trim().parse::<f64>().ok())
            .is_some_and(|left| left < 1.0);
        if let Some(wait) = text(&self.reset_header).and_then(|text| retry::reset(text, self.clock.now()))
            && none_left
        {
            self.pause(wait);
        }
    }

    /// Takes note of what an answer says of the server's bucket.
    pub fn note_cost(&self, cost: f64, available: f64, restore_rate: f64) {
        let at = self.clock.elapsed();
        self.state().bucket = Some(Bucket {
            available,
            restore_rate,
            cost,
            at,
        });
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    /// Counts a request that is sent `now`; or else when to ask again.
    fn reserve(&mut self, now: Duration) -> Option<Duration> {
        let mut at = self.paused_until;
        for spent in &mut self.budgets {
            at = at.max(spent.free_at(now));
        }
        if let Some(bucket) = &self.bucket {
            at = at.max(bucket.free_at(now));
        }
        if at > now {
            return Some(at);
        }
        for spent in &mut self.budgets {
            spent.times.push_back(now);
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.available = bucket.now(now) - bucket.cost;
            bucket.at = now;
        }
        None
    }
}

impl BudgetUse {
    /// When the next request may be sent; forgets what no longer counts.
    fn free_at(&mut self, now: Duration) -> Duration {
        let Budget { requests, per, window } = self.budget;
        match window {
            Window::Moving => {
                while self.times.front().is_some_and(|time| *time + per.0 <= now) {
                    self.times.pop_front();
                }
            }
            Window::Fixed => {
                if self.times.front().is_some_and(|first| *first + per.0 <= now) {
                    self.times.clear();
                }
            }
        }
        match self.times.front() {
            Some(first) if self.times.len() >= requests => *first + per.0,
            _ => now,
        }
    }
}

impl Bucket {
    fn now(&self, now: Duration) -> f64 {
        self.available + now.saturating_sub(self.at).as_secs_f64() * self.restore_rate
    }

    fn free_at(&self, now: Duration) -> Duration {
        let missing = self.cost - self.now(now);
        if missing <= 0.0 || self.restore_rate <= 0.0 {
            return now;
        }
        // A query that costs more than the bucket holds would wait for ever: a minute is enough for any.
        now + Duration::from_secs_f64((missing / self.restore_rate).clamp(0.001, 60.0))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Arc, Mutex};

    use cordada_core::units::Span;

    use super::*;

    fn limiter(window: Window) -> (Limiter, Clock) {
        let clock = Clock::Virtual(Arc::new(Mutex::new(Duration::ZERO)));
        let budget = Budget {
            requests: 3,
            per: Span::seconds(10),
            window,
        };
        let limits = Limits {
            budgets: vec![budget],
            ..Limits::default()
        };
        (Limiter::new(&limits, clock.clone()), clock)
    }

    async fn times(limiter: &Limiter, clock: &Clock, requests: usize) -> Vec<u64> {
        let cancel = CancellationToken::new();
        let mut times = Vec::new();
        for _ in 0..requests {
            drop(limiter.pass(&cancel).await.unwrap());
            times.push(clock.elapsed().as_secs());
            clock.wait(Duration::from_secs(2), &cancel).await.unwrap();
        }
        times
    }

    #[tokio::test]
    async fn a_moving_window_lets_one_in_when_one_has_left() {
        let (limiter, clock) = limiter(Window::Moving);
        assert_eq!(times(&limiter, &clock, 7).await, [0, 2, 4, 10, 12, 14, 20]);
    }

    #[tokio::test]
    async fn a_fixed_window_begins_anew_as_a_whole() {
        let (limiter, clock) = limiter(Window::Fixed);
        assert_eq!(times(&limiter, &clock, 7).await, [0, 2, 4, 10, 12, 14, 20]);
        // Of the requests of one window none is left over for the next.
        let (limiter, clock) = self::limiter(Window::Fixed);
        let cancel = CancellationToken::new();
        drop(limiter.pass(&cancel).await.unwrap());
        clock.wait(Duration::from_secs(8), &cancel).await.unwrap();
        assert_eq!(times(&limiter, &clock, 3).await, [8, 10, 12]);
    }

    #[tokio::test]
    async fn a_pause_holds_everybody() {
        let (limiter, clock) = limiter(Window::Moving);
        limiter.pause(Duration::from_secs(30));
        assert_eq!(times(&limiter, &clock, 1).await, [30]);
    }

    #[tokio::test]
    async fn the_bucket_of_a_graphql_server_is_never_overdrawn() {
        let limits = Limits::default();
        let clock = Clock::Virtual(Arc::new(Mutex::new(Duration::ZERO)));
        let limiter = Limiter::new(&limits, clock.clone());
        let cancel = CancellationToken::new();
        limiter.note_cost(100.0, 150.0, 50.0);
        drop(limiter.pass(&cancel).await.unwrap());
        assert_eq!(clock.elapsed().as_secs(), 0);
        drop(limiter.pass(&cancel).await.unwrap());
        assert_eq!(clock.elapsed().as_secs(), 1);
    }

    #[tokio::test]
    async fn waiting_ends_when_cancelled() {
        let (limiter, _) = limiter(Window::Moving);
        limiter.pause(Duration::from_secs(30));
        let cancel = CancellationToken::new();
        cancel.cancel();
        assert!(limiter.pass(&cancel).await.is_err());
    }
}
