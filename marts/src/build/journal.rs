//! The build's rows in `ops.runs` and `ops.test_results`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use cordada_core::{Context, Result};
use cordada_lake::JournalType::{Integer, Text, Time};
use cordada_lake::{Journal, Lake};

use super::report::{NodeReport, TestReport};

/// The journals that a build writes.
pub const JOURNALS: [Journal; 2] = [RUNS, TEST_RESULTS];

/// One row a node and build.
const RUNS: Journal = Journal::new(
    "runs",
    &[
        ("run_id", Text),
        ("node", Text),
        ("materialization", Text),
        ("started_at", Time),
        ("ended_at", Time),
        ("status", Text),
        ("rows", Integer),
        ("version", Integer),
        ("message", Text),
    ],
);

/// One row a test and build.
const TEST_RESULTS: Journal = Journal::new(
    "test_results",
    &[
        ("run_id", Text),
        ("test", Text),
        ("node", Text),
        ("severity", Text),
        ("status", Text),
        ("failures", Integer),
        ("executed_at", Time),
        ("sql", Text),
    ],
);

/// Records the nodes.
pub(super) async fn record_nodes(lake: &Lake, run_id: &str, nodes: &[NodeReport]) -> Result<()> {
    let ended = |node: &NodeReport| node.started_at + chrono::Duration::milliseconds((node.seconds * 1e3) as i64);
    let columns = vec![
        text(nodes, |_| Some(run_id)),
        text(nodes, |node| Some(&node.name)),
        text(nodes, |node| Some(node.materialization.name())),
        time(nodes, |node| node.started_at),
        time(nodes, ended),
        text(nodes, |node| Some(node.status.name())),
        number(nodes, |node| node.rows),
        number(nodes, |node| node.version),
        text(nodes, |node| node.message.as_deref()),
    ];
    record(lake, RUNS, columns).await
}

/// Records the tests.
pub(super) async fn record_tests(lake: &Lake, run_id: &str, tests: &[TestReport]) -> Result<()> {
    let now = Utc::now();
    let columns = vec![
        text(tests, |_| Some(run_id)),
        text(tests, |test| Some(&test.name)),
        text(tests, |test| test.node.as_deref()),
        text(tests, |test| Some(test.severity.name())),
        text(tests, |test| Some(test.status.name())),
        number(tests, |test| Some(test.failures)),
        time(tests, |_| now),
        text(tests, |test| Some(&test.sql)),
    ];
    record(lake, TEST_RESULTS, columns).await
}

async fn record(lake: &Lake, journal: Journal, columns: Vec<ArrayRef>) -> Result<()> {
    let rows =
        RecordBatch::try_new(journal.schema(), columns).doing(|| format!("recording in ops.{}", journal.name()))?;
    lake.journal(journal, rows).await
}

fn text<'a, T>(items: &'a [T], get: impl Fn(&'a T) -> Option<&'a str>) -> ArrayRef {
    Arc::new(items.iter().map(get).collect::<StringArray>())
}

fn number<T>(items: &[T], get: impl Fn(&T) -> Option<u64>) -> ArrayRef {
    Arc::new(
        items
            .iter()
            .map(|item| get(item).and_then(|n| i64::try_from(n).ok()))
            .collect::<Int64Array>(),
    )
}

fn time<T>(items: &[T], get: impl Fn(&T) -> DateTime<Utc>) -> ArrayRef {
    let micros = items.iter().map(|item| Some(get(item).timestamp_micros()));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}
