//! Records of a message: what its payload says, with its topic.
//!
//! Payloads are copied byte for byte: no number is read and written again, so that each keeps all its digits.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use cordada_core::Result;
use cordada_ingest_formats::json::parts::{entries, items, string};
use cordada_ingest_formats::record;
use cordada_ingest_formats::spool::Spool;
use cordada_ingest_source::transform::Transforms;

use crate::config::{CsvPayload, MqttStream, PayloadFormat};
use crate::topics::TopicFilter;

/// The topic of a message.
pub(crate) const TOPIC: &str = "mqtt_topic";
/// When it was taken from the broker.
pub(crate) const RECEIVED_AT: &str = "mqtt_received_at";
/// Whether the broker had retained it before anybody asked for it.
pub(crate) const RETAINED: &str = "mqtt_retained";
/// What a payload says that is neither an object nor a row.
const VALUE: &str = "value";

/// Characters of a rejected payload that are kept.
const KEPT: usize = 16 << 10;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) retained: bool,
    pub(crate) at: DateTime<Utc>,
}

/// Why a payload, or one of its rows, is none.
type Reason = Cow<'static, str>;

/// Makes records of the messages of a stream.
pub(crate) struct RecordBuilder {
    filters: Vec<TopicFilter>,
    format: PayloadFormat,
    csv: CsvPayload,
}

impl RecordBuilder {
    /// That of a stream.
    ///
    /// # Errors
    /// Config, which validation has found before.
    pub(crate) fn new(stream: &MqttStream) -> Result<Self> {
        Ok(Self {
            filters: stream.filters()?,
            format: stream.format,
            csv: stream.csv.clone(),
        })
    }

    /// Puts what a message says into `spool`. `number` is the number of the last record or rejected one, and goes on.
    ///
    /// # Errors
    /// A full disk.
    pub(crate) fn push(
        &self,
        message: &Message,
        transforms: &Transforms,
        spool: &mut Spool,
        number: &mut u64,
    ) -> Result<()> {
        let mut captured = self.filters.iter().filter_map(|filter| filter.captures(&message.topic));
        // What came by a filter that is no longer there has the topic alone.
        let captured = captured.next().unwrap_or_default();
        let envelope = Envelope::new(message, &captured);
        for taken in self.records(&message.payload, &envelope) {
            *number += 1;
            let rejected = match taken {
                Ok(record) if transforms.is_empty() => {
                    spool.push(record.as_bytes())?;
                    continue;
                }
                Ok(record) => match transforms.apply_json(record.as_bytes())? {
                    Some(record) => {
                        spool.push(&record)?;
                        continue;
                    }
                    None => ("what is to be transformed cannot be told apart in it".into(), record),
                },
                Err((reason, text)) => (reason, text),
            };
            let (reason, mut text) = rejected;
            // What could not be read cannot be transformed either.
            if !transforms.is_empty() {
                "withheld: the stream has columns with a transform".clone_into(&mut text);
            }
            text.truncate(text.floor_char_boundary(KEPT));
            spool.reject(*number, reason.into_owned(), text);
            spool.pass()?;
        }
        Ok(())
    }

    /// The records of a payload, each as JSON, or why there is none and what there is instead. An empty payload, by which
    /// a retained message is taken back, is none.
    fn records(&self, payload: &[u8], envelope: &Envelope<'_>) -> Vec<Result<String, (Reason, String)>> {
        let refused = |reason: &'static str| vec![Err((reason.into(), String::from_utf8_lossy(payload).into_owned()))];
        if payload.is_empty() {
            return Vec::new();
        }
        let Ok(text) = std::str::from_utf8(payload) else {
            return refused("the payload is not UTF-8");
        };
        match self.format {
            PayloadFormat::Text => vec![Ok(envelope.around([(VALUE, record::text(text).as_str())]))],
            PayloadFormat::Csv => self.rows(text, envelope),
            PayloadFormat::Json => match text.trim_start().as_bytes().first() {
                Some(b'[') => match items(payload) {
                    Ok(items) => items.into_iter().map(|item| value(item, envelope)).collect(),
                    Err(_) => refused("the payload is not JSON"),
                },
                _ => vec![value(payload, envelope)],
            },
        }
    }

    fn rows(&self, text: &str, envelope: &Envelope<'_>) -> Vec<Result<String, (Reason, String)>> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(u8::try_from(self.csv.delimiter).unwrap_or(b','))
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut columns = self.csv.columns.clone();
        let mut rows = Vec::new();
        for row in reader.records() {
            let Ok(row) = row else {
                rows.push(Err(("the payload is not CSV".into(), text.to_owned())));
                break;
            };
            if columns.is_empty() {
                columns = row.iter().map(str::to_owned).collect();
                continue;
            }
            if row.len() != columns.len() {
                let reason = format!("it has {} fields where there are {} columns", row.len(), columns.len());
                let fields: Vec<_> = row.iter().collect();
                rows.push(Err((reason.into(), fields.join(&self.csv.delimiter.to_string()))));
                continue;
            }
            let values: Vec<_> = row.iter().map(field).collect();
            let values = columns.iter().zip(&values);
            rows.push(Ok(
                envelope.around(values.map(|(name, value)| (name.as_str(), &**value)))
            ));
        }
        rows
    }
}

/// A value of JSON as a record.
fn value(json: &[u8], envelope: &Envelope<'_>) -> Result<String, (Reason, String)> {
    let refused = |reason: &'static str| (reason.into(), String::from_utf8_lossy(json).into_owned());
    let Ok(text) = std::str::from_utf8(json) else {
        return Err(refused("the payload is not UTF-8"));
    };
    if text.trim_start().starts_with('{') {
        let entries = entries(json).map_err(|_| refused("the payload is not JSON"))?;
        return envelope.joined(&entries).map_err(refused);
    }
    // Whatever it is, a list of one item tells whether it is one value.
    let listed = [b"[", json, b"]"].concat();
    match items(&listed) {
        Ok(items) if items.len() == 1 => Ok(envelope.around([(VALUE, text.trim())])),
        _ => Err(refused("the payload is not JSON")),
    }
}

/// A field of CSV as JSON: nothing is null, a number written as JSON writes them is one, everything else is text.
fn field(text: &str) -> Cow<'_, str> {
    match text {
        "" => "null".into(),
        number if is_number(number) => number.into(),
        text => record::text(text).into(),
    }
}

/// Whether it is a number and no code: without an exponent or zeros in front.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(all_digits)
}

/// What each record of a message has besides its payload.
struct Envelope<'m> {
    named: &'m [(&'m str, &'m str)],
    /// Names and values, which are JSON.
    columns: Vec<(&'m str, String)>,
}

impl<'m> Envelope<'m> {
    fn new(message: &Message, named: &'m [(&'m str, &'m str)]) -> Self {
        let at = message.at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let named_columns = named.iter().map(|(name, level)| (*name, record::text(level)));
        let columns = named_columns.chain([
            (TOPIC, record::text(&message.topic)),
            (RECEIVED_AT, record::text(&at)),
            (RETAINED, message.retained.to_string()),
        ]);
        Self {
            named,
            columns: columns.collect(),
        }
    }

    fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.columns.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// A record with those values, which are JSON.
    fn around<'v>(&'v self, values: impl IntoIterator<Item = (&'v str, &'v str)>) -> String {
        record::record(self.columns().chain(values))
    }

    /// A record with the entries of an object, which stay as they are. A level of the topic that the payload has too is
    /// there once if both say the same.
    ///
    /// # Errors
    /// Why they do not go together.
    fn joined(&self, entries: &[(&[u8], &[u8])]) -> Result<String, &'static str> {
        let mut named = self.named.to_vec();
        for (key, value) in entries {
            let Some(name) = string(key) else {
                return Err("the payload is not JSON");
            };
            if [TOPIC, RECEIVED_AT, RETAINED].contains(&&*name) {
                return Err("the payload has a field with the name of a column of the message");
            }
            if let Some(at) = named.iter().position(|(known, _)| *known == name) {
                let said = match string(value) {
                    Some(text) => text,
                    None => String::from_utf8_lossy(value),
                };
                if said != named[at].1 {
                    return Err("the topic and the payload differ in a column that both have");
                }
                named.remove(at);
            }
        }
        let kept = self.columns().filter(|(name, _)| {
            let is_level = self.named.iter().any(|(known, _)| known == name);
            !is_level || named.iter().any(|(known, _)| known == name)
        });
        let mut joined = record::record(kept);
        joined.pop();
        for (key, value) in entries {
            joined.push(',');
            joined.push_str(&String::from_utf8_lossy(key));
            joined.push(':');
            joined.push_str(&String::from_utf8_lossy(value));
        }
        joined.push('}');
        Ok(joined)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cordada_ingest_formats::reading::{Declared, Reading};
    use proptest::prelude::*;

    use super::*;

    fn builder(format: PayloadFormat, csv: CsvPayload) -> RecordBuilder {
        RecordBuilder {
            filters: vec![TopicFilter::parse("plants/{plant}/#").unwrap()],
            format,
            csv,
        }
    }

    /// What a payload becomes: the records without what the envelope brings, and the reasons.
    fn records(builder: &RecordBuilder, payload: &[u8]) -> (Vec<String>, Vec<String>) {
        let message = Message {
            topic: "plants/7/oven".to_owned(),
            payload: Bytes::copy_from_slice(payload),
            retained: false,
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
        };
        let reading = Reading::of_records(Declared::new(), chrono_tz::UTC);
        let mut spool = Spool::new("iot/1", &reading).unwrap();
        let mut number = 0;
        builder
            .push(&message, &Transforms::default(), &mut spool, &mut number)
            .unwrap();
        let mut reasons = Vec::new();
        for taken in builder.records(payload, &Envelope::new(&message, &[])) {
            reasons.extend(taken.err().map(|(reason, _)| reason.into_owned()));
        }
        let text = spool.text().unwrap();
        assert_eq!(text.lines().count() as u64, number);
        let own = "\"mqtt_topic\":\"plants/7/oven\",\"mqtt_received_at\":\"2026-01-01T00:00:00.000000Z\",\
                   \"mqtt_retained\":false";
        let lines = text.lines().filter(|line| !line.is_empty());
        (lines.map(|line| line.replace(own, "…")).collect(), reasons)
    }

    #[test]
    fn payloads_of_json_stay_as_they_are() {
        let json = builder(PayloadFormat::Json, CsvPayload::default());
        for (payload, expected) in [
            (
                r#"{"t": 1.10, "n":12345678901234567890123}"#,
                vec![r#"{"plant":"7",…,"t":1.10,"n":12345678901234567890123}"#],
            ),
            (
                r#"[{"t":1}, {"t":2}]"#,
                vec![r#"{"plant":"7",…,"t":1}"#, r#"{"plant":"7",…,"t":2}"#],
            ),
            ("[]", vec![]),
            ("", vec![]),
            (" 21.50 ", vec![r#"{"plant":"7",…,"value":21.50}"#]),
            (r#""on""#, vec![r#"{"plant":"7",…,"value":"on"}"#]),
            (r#"{"plant":"7","t":1}"#, vec![r#"{…,"plant":"7","t":1}"#]),
            (r#"{"plant":7}"#, vec![r#"{…,"plant":7}"#]),
            ("{}", vec![r#"{"plant":"7",…}"#]),
        ] {
            assert_eq!(
                records(&json, payload.as_bytes()),
                (expected.iter().map(|text| (*text).to_owned()).collect(), vec![]),
                "{payload}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_rejected() {
        let json = builder(PayloadFormat::Json, CsvPayload::default());
        for payload in [
            &b"{"[..],
            b"{} {}",
            b"1,2",
            b"on",
            b"[1",
            b"{\"a\":}",
            b"\xff",
            b"{\"mqtt_topic\":1}",
            b"  ",
        ] {
            let (records, reasons) = records(&json, payload);
            assert_eq!(
                (records.len(), reasons.len()),
                (0, 1),
                "{}",
                String::from_utf8_lossy(payload)
            );
        }
        assert_eq!(records(&json, br#"[{"a":1},{"plant":"8"}]"#).0.len(), 1);
    }

    #[test]
    fn lines_of_csv_are_rows() {
        let named = CsvPayload {
            delimiter: ';',
            columns: vec!["id".to_owned(), "t".to_owned()],
        };
        let csv = builder(PayloadFormat::Csv, named);
        let (found, reasons) = records(&csv, b"007;1.50\r\n\"a;b\";\n12E4;-3\nx\n");
        let expected = [
            r#"{"plant":"7",…,"id":"007","t":1.50}"#,
            r#"{"plant":"7",…,"id":"a;b","t":null}"#,
            r#"{"plant":"7",…,"id":"12E4","t":-3}"#,
        ];
        assert_eq!(found, expected);
        assert_eq!(reasons, ["it has 1 fields where there are 2 columns"]);
        let (found, _) = records(&builder(PayloadFormat::Csv, CsvPayload::default()), b"a,b\n1,2\n");
        assert_eq!(found, [r#"{"plant":"7",…,"a":1,"b":2}"#]);
    }

    proptest! {
        #[test]
        fn whatever_a_payload_is_it_lands_or_is_rejected(
            payload in prop_oneof!["[\\[\\]{}\",:0-9.e+\\-tfn\\\\u ]{0,24}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..24)],
        ) {
            for format in [PayloadFormat::Json, PayloadFormat::Text] {
                let (records, reasons) = records(&builder(format, CsvPayload::default()), &payload);
                let is_list = payload.trim_ascii_start().starts_with(b"[") && format == PayloadFormat::Json;
                prop_assert!(is_list || records.len() + reasons.len() == usize::from(!payload.is_empty()));
                for record in records {
                    prop_assert!(serde_json::from_str::<serde_json::Value>(&record.replace('…', "\"x\":0")).is_ok());
                }
            }
        }
    }
}
