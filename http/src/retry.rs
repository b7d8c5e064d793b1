//! How long to wait before the next attempt.

use std::time::Duration;

use chrono::{DateTime, Utc};
use ring::rand::{SecureRandom, SystemRandom};

use super::system::limits::{Backoff, Retry};

impl Retry {
    /// The wait after so many attempts, from 1: a random time between half and all of what the backoff says, so that
    /// those who failed together do not come back together.
    pub fn wait(&self, attempts: u32) -> Duration {
        let doublings = match self.backoff {
            Backoff::Constant => 0,
            Backoff::Exponential => attempts.saturating_sub(1).min(20),
        };
        let longest = self.first.0.saturating_mul(1 << doublings).min(self.max.0);
        longest / 2 + longest.mul_f64(random() / 2.0)
    }
}

/// A number from 0 to 1.
fn random() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

/// The wait that `Retry-After` asks for (RFC 9110, 10.2.3): seconds, or a date.
pub fn retry_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => Some((http_date(text)? - now).to_std().unwrap_or_default()),
    }
}

/// The wait until a budget is renewed: seconds from now, seconds or milliseconds since 1970, or a date.
pub fn reset(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    let Ok(number) = text.parse::<f64>() else {
        let at = http_date(text).or_else(|| super::moment::parse(text, None, chrono_tz::Tz::UTC))?;
        return Some((at - now).to_std().unwrap_or_default());
    };
    let now = now.timestamp_millis() as f64 / 1000.0;
    let seconds = match number {
        // A number of seconds that is more than thirty years is a time.
        millis if millis >= 1e11 => millis / 1000.0 - now,
        seconds if seconds >= 1e9 => seconds - now,
        seconds => seconds,
    };
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}

/// A date as HTTP writes it, in any of its forms (RFC 9110, 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<DateTime<Utc>> {
    httpdate::parse_http_date(text).ok().map(DateTime::from)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest() {
        let retry = Retry::default();
        for (attempts, seconds) in [(1, 1.0), (2, 2.0), (4, 8.0), (7, 60.0), (1000, 60.0)] {
            for _ in 0..20 {
                let wait = retry.wait(attempts).as_secs_f64();
                assert!(wait >= seconds / 2.0 && wait <= seconds, "{attempts}: {wait}");
            }
        }
    }

    #[test]
    fn the_system_says_when() {
        let now: DateTime<Utc> = "1994-11-06T08:49:00Z".parse().unwrap();
        let seconds = |wait: Option<Duration>| wait.map(|wait| wait.as_secs());
        assert_eq!(seconds(retry_after(" 120", now)), Some(120));
        assert_eq!(seconds(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now)), Some(37));
        assert_eq!(seconds(retry_after("Sun, 06 Nov 1994 08:48:37 GMT", now)), Some(0));
        assert_eq!(seconds(retry_after("Sunday, 06-Nov-94 08:49:37 GMT", now)), Some(37));
        assert_eq!(seconds(retry_after("soon", now)), None);
        assert_eq!(seconds(retry_after("-5", now)), None);
        let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(seconds(reset("30", now)), Some(30));
        assert_eq!(seconds(reset("1767225630", now)), Some(30));
        assert_eq!(seconds(reset("1767225630000", now)), Some(30));
        assert_eq!(seconds(reset("2026-01-01T00:00:30Z", now)), Some(30));
    }
}
