//! What is put down of one event, and how it lies in the journal.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use chrono::{DateTime, Utc};
use cordada_core::{Context, Result};
use cordada_lake::Journal;
use cordada_lake::JournalType::{Integer, Text, Time};
use serde::{Deserialize, Serialize};

/// One row an event.
pub const AUDIT: Journal = Journal::new(
    "audit",
    &[
        // A server, from its start to its end.
        ("chain", Text),
        // The place in it, from 1 on.
        ("number", Integer),
        ("recorded_at", Time),
        ("event", Text),
        ("user_name", Text),
        ("door", Text),
        // The hash of the session's id, which itself would let others into it.
        ("session", Text),
        ("sql_hash", Text),
        // Without its literals and comments, 2,000 characters at most; if it was never planned, without what is in quotes.
        ("sql", Text),
        ("release", Integer),
        ("relations", Text),
        // The roles whose policies held.
        ("policies", Text),
        ("outcome", Text),
        // The class of an error, not its words, which may hold values.
        ("error", Text),
        ("rows", Integer),
        ("bytes", Integer),
        ("queued_at", Time),
        ("started_at", Time),
        ("first_batch_at", Time),
        ("ended_at", Time),
        ("previous_hash", Text),
        ("hash", Text),
    ],
);

/// What kind of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A statement.
    Statement,
    /// Rows that a client sent became those of a table.
    Ingest,
    /// Somebody logged in.
    Login,
    /// Somebody was not let in.
    Refusal,
    /// Records were not kept because too many waited: as many as `rows` says.
    Lost,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All that was asked for was sent.
    Done,
    /// It broke off.
    Failed,
    /// It was not allowed.
    Refused,
    /// Whoever asked went away, or cancelled it.
    Cancelled,
    /// The server was killed meanwhile: how much was sent, nobody knows.
    Unknown,
}

/// What is put down of one event.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it was put down.
    pub recorded_at: DateTime<Utc>,
    /// What kind of event it is.
    pub event: Event,
    /// Who asked; of those who were not let in, nothing is known.
    pub user: Option<String>,
    /// The protocol.
    pub door: &'static str,
    /// The hash of the session's id.
    pub session: Option<String>,
    /// SHA-256 of the SQL as it came, in hexadecimal.
    pub sql_hash: Option<String>,
    /// The SQL without its literals and comments; if it was never planned, without what is in quotes too.
    pub sql: Option<String>,
    /// What was read.
    pub release: Option<u64>,
    /// The relations that the plan reads.
    pub relations: Option<String>,
    /// The roles whose policies held for one of them.
    pub policies: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// The class of its error.
    pub error: Option<String>,
    /// Rows that were sent, or that came.
    pub rows: u64,
    /// Bytes that were sent.
    pub bytes: u64,
    /// When it came.
    pub queued_at: Option<DateTime<Utc>>,
    /// When it began to run.
    pub started_at: Option<DateTime<Utc>>,
    /// When its first rows were sent.
    pub first_batch_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl Record {
    /// An event of which nothing more is known.
    pub fn new(event: Event, door: &'static str, outcome: Outcome) -> Self {
        Self {
            recorded_at: Utc::now(),
            event,
            user: None,
            door,
            session: None,
            sql_hash: None,
            sql: None,
            release: None,
            relations: None,
            policies: None,
            outcome,
            error: None,
            rows: 0,
            bytes: 0,
            queued_at: None,
            started_at: None,
            first_batch_at: None,
            ended_at: None,
        }
    }

    /// So many records were not kept.
    pub(super) fn lost(count: u64) -> Self {
        Self {
            rows: count,
            ..Self::new(Event::Lost, "", Outcome::Failed)
        }
    }

    /// Its values, in the order of the journal's columns; those of the chain are around them.
    pub(super) fn values(&self) -> Vec<Value> {
        let text = |text: &str| Value::Text(Some(text.to_owned()));
        let optional = |text: &Option<String>| Value::Text(text.clone());
        let count = |count: u64| Value::Number(Some(i64::try_from(count).unwrap_or(i64::MAX)));
        let time = |time: Option<DateTime<Utc>>| Value::Number(time.map(|time| time.timestamp_micros()));
        vec![
            time(Some(self.recorded_at)),
            text(self.event.name()),
            optional(&self.user),
            text(self.door),
            optional(&self.session),
            optional(&self.sql_hash),
            optional(&self.sql),
            Value::Number(self.release.and_then(|release| i64::try_from(release).ok())),
            optional(&self.relations),
            optional(&self.policies),
            text(self.outcome.name()),
            optional(&self.error),
            count(self.rows),
            count(self.bytes),
            time(self.queued_at),
            time(self.started_at),
            time(self.first_batch_at),
            time(self.ended_at),
        ]
    }
}

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Ingest => "ingest",
            Self::Login => "login",
            Self::Refusal => "refusal",
            Self::Lost => "lost",
        }
    }
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

/// How many values a record has besides those of the chain.
pub(super) const VALUES: usize = 18;

/// A value of a row, as its hash covers it: times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
}

/// The rows, each with as many values as the journal has columns.
pub(super) fn batch(rows: &[Vec<Value>]) -> Result<RecordBatch> {
    let schema = AUDIT.schema();
    let columns = schema.fields().iter().enumerate().map(|(place, field)| -> ArrayRef {
        let values = rows.iter().map(|row| row.get(place));
        let numbers = values.clone().map(|value| match value {
            Some(Value::Number(number)) => *number,
            _ => None,
        });
        match field.data_type() {
            DataType::Int64 => Arc::new(numbers.collect::<Int64Array>()),
            DataType::Timestamp(..) => Arc::new(numbers.collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
            _ => Arc::new(
                values
                    .map(|value| match value {
                        Some(Value::Text(text)) => text.as_deref(),
                        _ => None,
                    })
                    .collect::<StringArray>(),
            ),
        }
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).doing(|| "recording in ops.audit")
}

/// The values of the rows of a batch that was read from the journal.
pub(super) fn rows(batch: &RecordBatch) -> Result<Vec<Vec<Value>>> {
    let doing = || "reading ops.audit";
    let mut rows = vec![Vec::with_capacity(batch.num_columns()); batch.num_rows()];
    for column in batch.columns() {
        match column.data_type() {
            DataType::Int64 | DataType::Timestamp(..) => {
                let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
                let numbers = match column.data_type() {
                    DataType::Int64 => column.clone(),
                    _ => cast(&cast(column, &micros).doing(doing)?, &DataType::Int64).doing(doing)?,
                };
                let numbers = numbers.as_primitive::<Int64Type>().iter();
                rows.iter_mut()
                    .zip(numbers)
                    .for_each(|(row, number)| row.push(Value::Number(number)));
            }
            _ => {
                let texts = cast(column, &DataType::Utf8).doing(doing)?;
                let texts = texts.as_string::<i32>().iter();
                rows.iter_mut()
                    .zip(texts)
                    .for_each(|(row, text)| row.push(Value::Text(text.map(str::to_owned))));
            }
        }
    }
    Ok(rows)
}
