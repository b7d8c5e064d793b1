//! How much the shop's API takes, and how it fails: a limit of requests a second, and now and then a moment in which
//! it is overloaded or broken, as real ones are. Which requests meet those is fixed, so every run sees the same.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::failure;

/// What the API takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests that are answered in any one second.
    pub per_second: u32,
    /// Of so many requests, one finds the shop overloaded; none if 0.
    pub overloaded_every: u64,
    /// Of so many requests, one finds it broken; none if 0.
    pub broken_every: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_second: 50,
            overloaded_every: 60,
            broken_every: 40,
        }
    }
}

/// How many requests were answered in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// All requests with a valid key.
    pub requests: u64,
    /// Those that were told to come again later (429).
    pub later: u64,
    /// Those that met an internal error (500).
    pub broken: u64,
}

/// The requests so far.
pub struct Traffic {
    limits: Limits,
    state: Mutex<TrafficState>,
}

#[derive(Default)]
struct TrafficState {
    answered: AnswerCounts,
    /// When the present second began, and how many requests it has seen.
    second: Option<(Instant, u32)>,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Answer,
    ComeLater,
    Break,
}

impl Traffic {
    /// Nothing so far.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
        }
    }

    /// What was answered so far.
    pub fn answered(&self) -> AnswerCounts {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).answered
    }

    fn judge(&self, now: Instant) -> Verdict {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, seen) = state
            .second
            .filter(|(begun, _)| now.duration_since(*begun) < Duration::from_secs(1))
            .unwrap_or((now, 0));
        state.second = Some((begun, seen + 1));
        state.answered.requests += 1;
        let request = state.answered.requests;
        // Early in each round, so that a small company meets both as well.
        if seen >= self.limits.per_second || request.checked_rem(self.limits.overloaded_every) == Some(5) {
            state.answered.later += 1;
            Verdict::ComeLater
        } else if request.checked_rem(self.limits.broken_every) == Some(8) {
            state.answered.broken += 1;
            Verdict::Break
        } else {
            Verdict::Answer
        }
    }
}

/// Lets a request through, or not.
pub async fn control(State(traffic): State<Arc<Traffic>>, request: Request, next: Next) -> Response {
    if request.headers().get("x-api-key").map(HeaderValue::as_bytes) != Some(super::API_KEY.as_bytes()) {
        return failure(401, "unauthorized", "the header X-Api-Key is missing or wrong");
    }
    match traffic.judge(Instant::now()) {
        Verdict::Answer => next.run(request).await,
        Verdict::Break => failure(500, "internal_error", "something went wrong; it may work next time"),
        Verdict::ComeLater => {
            let later = failure(429, "too_many_requests", "come again in a second");
            ([("retry-after", "1")], later).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_takes_so_many_requests() {
        let traffic = Traffic::new(Limits {
            per_second: 2,
            overloaded_every: 0,
            broken_every: 0,
        });
        let start = Instant::now();
        let after = |milliseconds| traffic.judge(start + Duration::from_millis(milliseconds));
        assert_eq!([after(0), after(10)], [Verdict::Answer, Verdict::Answer]);
        assert_eq!(after(20), Verdict::ComeLater);
        assert_eq!(after(999), Verdict::ComeLater);
        assert_eq!([after(1_000), after(1_500)], [Verdict::Answer, Verdict::Answer]);
        assert_eq!(traffic.answered().later, 2);
    }

    #[test]
    fn faults_come_at_fixed_places() {
        let traffic = Traffic::new(Limits {
            per_second: 1_000,
            ..Limits::default()
        });
        let now = Instant::now();
        let verdicts: Vec<Verdict> = (0..120).map(|_| traffic.judge(now)).collect();
        let places = |of: Verdict| -> Vec<usize> { (0..120).filter(|&n| verdicts[n] == of).map(|n| n + 1).collect() };
        assert_eq!(places(Verdict::ComeLater), [5, 65]);
        assert_eq!(places(Verdict::Break), [8, 48, 88]);
    }
}
