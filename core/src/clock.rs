//! The clocks of a time zone, and UTC.

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

/// Microseconds in a quarter of an hour.
const QUARTER: i64 = 15 * 60 * 1_000_000;

/// Turns the clocks of one zone into UTC, and back.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: Tz,
    /// The quarter of an hour asked for last and its offset: no zone changes its clocks within one.
    last: Option<(i64, i64)>,
}

impl Clock {
    /// A clock of that zone.
    pub fn new(zone: Tz) -> Self {
        Self { zone, last: None }
    }

    /// Microseconds UTC when a clock of this zone shows `local`.
    ///
    /// A time that the clocks show twice is the first of the two; one that they skip is read as if they had not
    /// changed yet.
    #[inline]
    pub fn utc_of_local(&mut self, local: i64) -> i64 {
        if self.zone == Tz::UTC {
            return local;
        }
        let quarter = local.div_euclid(QUARTER);
        let offset = match self.last {
            Some((known, offset)) if known == quarter => offset,
            _ => {
                let offset = self.offset(local);
                self.last = Some((quarter, offset));
                offset
            }
        };
        local - offset
    }

    /// What a clock of this zone shows at `utc`, in microseconds.
    pub fn local_of_utc(&self, utc: i64) -> i64 {
        let naive = DateTime::from_timestamp_micros(utc).map(|time| time.naive_utc());
        let offset = naive.map(|naive| self.zone.offset_from_utc_datetime(&naive).fix().local_minus_utc());
        utc + offset.map_or(0, |seconds| i64::from(seconds) * 1_000_000)
    }

    /// How far the zone is ahead of UTC when its clocks show `local`.
    fn offset(&self, local: i64) -> i64 {
        let of = |local: NaiveDateTime| match self.zone.offset_from_local_datetime(&local) {
            LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => Some(offset),
            LocalResult::None => None,
        };
        let naive = DateTime::from_timestamp_micros(local).map(|time| time.naive_utc());
        let offset = naive.and_then(|naive| of(naive).or_else(|| of(naive - chrono::Duration::hours(3))));
        offset.map_or(0, |offset| i64::from(offset.fix().local_minus_utc()) * 1_000_000)
    }
}
