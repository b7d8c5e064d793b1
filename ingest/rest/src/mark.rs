//! Positions along a cursor: read from records, kept in the state, written into requests.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use cordada_core::{Error, Result};
use cordada_http::moment;
use cordada_ingest_formats::json::pointer::Pointer;
use serde_json::{Value as Json, json};

use super::manifest::{CursorType, Distance, Incremental};

/// A position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    Time(DateTime<Utc>),
    Count(i64),
    Text(String),
}

/// How positions of one stream are read and written.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    kind: CursorType,
    format: Option<String>,
    zone: Tz,
    /// As the manifest names it.
    name: String,
    pub(crate) pointer: Pointer,
    lag: Option<Distance>,
}

impl Cursor {
    /// The cursor of a stream whose times without a zone are of `zone`; its name has been filled in.
    pub(crate) fn new(incremental: &Incremental, zone: Tz) -> Self {
        let name = incremental.cursor.source();
        Self {
            kind: incremental.kind,
            format: incremental.format.clone(),
            // A date is not a point in time; as one of UTC it is the same everywhere.
            zone: if incremental.kind == CursorType::Date {
                Tz::UTC
            } else {
                zone
            },
            name: name.to_owned(),
            pointer: Pointer::dotted(name),
            lag: incremental.lag,
        }
    }

    /// The position that a record's value is; none for null.
    ///
    /// # Errors
    /// Failed for what is not a position. The message does not hold the value.
    pub(crate) fn read(&self, value: &Json) -> Result<Option<Mark>> {
        let text = match value {
            Json::Null => return Ok(None),
            Json::String(text) if text.is_empty() => return Ok(None),
            Json::String(text) => text.clone(),
            Json::Number(number) => number.to_string(),
            _ => return Err(self.unreadable()),
        };
        self.parse(&text).map(Some).ok_or_else(|| self.unreadable())
    }

    fn unreadable(&self) -> Error {
        Error::failed(
            format!("reading the cursor `{}`", self.name),
            format!("the value in a record is not of the type {:?}", self.kind).to_lowercase(),
        )
        .hint("check `incremental.type` and `incremental.format` in the manifest")
    }

    /// The position that a text writes: a record's, the manifest's `initial`, or the state's.
    pub(crate) fn parse(&self, text: &str) -> Option<Mark> {
        let text = text.trim();
        let epoch = |unit: i64| -> Option<Mark> {
            let micros = match text.parse::<i64>() {
                Ok(number) => number.checked_mul(unit)?,
                // With a fraction, or the manifest's `initial` as a date.
                Err(_) => match text.parse::<f64>() {
                    Ok(number) => (number * unit as f64) as i64,
                    Err(_) => return moment::parse(text, None, self.zone).map(Mark::Time),
                },
            };
            DateTime::from_timestamp_micros(micros).map(Mark::Time)
        };
        match self.kind {
            CursorType::Datetime | CursorType::Date => {
                moment::parse(text, self.format.as_deref(), self.zone).map(Mark::Time)
            }
            CursorType::EpochMs => epoch(1_000),
            CursorType::EpochS => epoch(1_000_000),
            CursorType::Counter => text.parse().ok().map(Mark::Count),
            CursorType::String => Some(Mark::Text(text.to_owned())),
        }
    }

    /// A position as the system writes it.
    pub(crate) fn write(&self, mark: &Mark) -> String {
        let format = self.format.as_deref();
        match (mark, self.kind) {
            (Mark::Time(at), CursorType::EpochMs) => at.timestamp_millis().to_string(),
            (Mark::Time(at), CursorType::EpochS) => at.timestamp().to_string(),
            (Mark::Time(at), CursorType::Date) => {
                moment::format(*at, format.unwrap_or("%Y-%m-%d"), self.zone).unwrap_or_default()
            }
            (Mark::Time(at), _) => match format {
                Some(format) => moment::format(*at, format, self.zone).unwrap_or_default(),
                None => at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            },
            (Mark::Count(count), _) => count.to_string(),
            (Mark::Text(text), _) => text.clone(),
        }
    }

    /// A position as the state keeps it: whatever the system's format, times are RFC 3339 with all their digits.
    pub(crate) fn keep(mark: &Mark) -> String {
        match mark {
            Mark::Time(at) => at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            Mark::Count(count) => count.to_string(),
            Mark::Text(text) => text.clone(),
        }
    }

    /// The position that the state keeps.
    pub(crate) fn kept(&self, text: &str) -> Option<Mark> {
        match self.kind.is_time() {
            true => DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|at| Mark::Time(at.to_utc())),
            false => self.parse(text),
        }
    }

    /// `cursor` in templates.
    pub(crate) fn scope(&self, start: Option<&Mark>, end: Option<&Mark>) -> Json {
        let text = |mark: Option<&Mark>| mark.map(|mark| self.write(mark));
        json!({"start": text(start), "end": text(end)})
    }

    /// The position that the next load begins at, after one that has come to `mark`.
    pub(crate) fn before(&self, mark: &Mark) -> Mark {
        let back = self.lag.and_then(|lag| match (mark, lag) {
            (Mark::Time(at), Distance::Time(span)) => Some(Mark::Time(
                at.checked_sub_signed(chrono::Duration::from_std(span.0).ok()?)?,
            )),
            (Mark::Count(count), Distance::Count(by)) => Some(Mark::Count(count.saturating_sub(by))),
            _ => None,
        });
        back.unwrap_or_else(|| mark.clone())
    }

    /// Where a load that began at `at` ends, if positions are times.
    pub(crate) fn end(&self, at: DateTime<Utc>) -> Option<Mark> {
        self.kind.is_time().then_some(Mark::Time(at))
    }
}

/// The ranges that lie between two positions, none longer than `window`.
pub(crate) fn ranges(
    start: Option<Mark>,
    end: Option<Mark>,
    window: Option<Distance>,
) -> Vec<(Option<Mark>, Option<Mark>)> {
    let (Some(Mark::Time(from)), Some(Mark::Time(to)), Some(Distance::Time(window))) = (&start, &end, window) else {
        return vec![(start, end)];
    };
    let window = chrono::Duration::from_std(window.0).unwrap_or(chrono::Duration::MAX);
    let (mut ranges, mut from) = (Vec::new(), *from);
    while let Some(next) = from.checked_add_signed(window).filter(|next| next < to) {
        ranges.push((Some(Mark::Time(from)), Some(Mark::Time(next))));
        from = next;
    }
    ranges.push((Some(Mark::Time(from)), end));
    ranges
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn cursor(spec: Json) -> Cursor {
        Cursor::new(&serde_json::from_value(spec).unwrap(), Tz::Europe__Madrid)
    }

    #[test]
    fn positions_are_compared_as_what_they_mean() {
        let times = cursor(json!({"cursor": "at", "lag": "5m"}));
        let read = |text: &str| times.read(&json!(text)).unwrap().unwrap();
        assert!(read("2026-01-01T10:00:00+02:00") < read("2026-01-01T09:30:00Z"));
        assert_eq!(read("2026-01-01 10:00:00"), read("2026-01-01T09:00:00.000Z"));
        assert_eq!(
            times.write(&times.before(&read("2026-01-01T10:00:00.5Z"))),
            "2026-01-01T09:55:00.500Z"
        );
        assert_eq!(times.read(&Json::Null).unwrap(), None);
        let error = times.read(&json!("ana@example.org")).unwrap_err().to_string();
        assert!(error.contains("`at`") && !error.contains("ana"), "{error}");
        let numbers = cursor(json!({"cursor": "id", "type": "counter", "lag": 3}));
        let ten = numbers.read(&json!("10")).unwrap().unwrap();
        assert!(numbers.read(&json!(9)).unwrap().unwrap() < ten);
        assert_eq!(numbers.write(&numbers.before(&ten)), "7");
    }

    #[test]
    fn positions_survive_being_kept_and_written() {
        for (spec, value, written) in [
            (
                json!({"cursor": "a"}),
                json!("2026-07-01T12:00:00.123456Z"),
                "2026-07-01T12:00:00.123456Z",
            ),
            (
                json!({"cursor": "a", "format": "%Y-%m-%d %H:%M:%S"}),
                json!("2026-07-01 12:00:00"),
                "2026-07-01 12:00:00",
            ),
            (
                json!({"cursor": "a", "type": "date"}),
                json!("2026-07-01"),
                "2026-07-01",
            ),
            (
                json!({"cursor": "a", "type": "epoch_ms"}),
                json!(1_782_907_200_123_i64),
                "1782907200123",
            ),
            (
                json!({"cursor": "a", "type": "epoch_s"}),
                json!("1782907200"),
                "1782907200",
            ),
            (json!({"cursor": "a", "type": "string"}), json!("0x1f"), "0x1f"),
        ] {
            let cursor = cursor(spec);
            let mark = cursor.read(&value).unwrap().unwrap();
            assert_eq!(cursor.write(&mark), written);
            assert_eq!(cursor.kept(&Cursor::keep(&mark)), Some(mark));
        }
    }

    #[test]
    fn long_ranges_are_split_without_gaps() {
        let day = |day: i64| Some(Mark::Time(DateTime::UNIX_EPOCH + chrono::Duration::days(day)));
        let window = Some(Distance::Time(cordada_core::units::Span::seconds(30 * 86_400)));
        let split = ranges(day(0), day(70), window);
        assert_eq!(split, [(day(0), day(30)), (day(30), day(60)), (day(60), day(70))]);
        assert_eq!(ranges(day(0), day(30), window).len(), 1);
        assert_eq!(ranges(day(9), day(3), window), [(day(9), day(3))]);
        assert_eq!(ranges(None, day(3), window), [(None, day(3))]);
    }
}
