//! The table that a stream lands in, in memory: the records, and what is committed with them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use async_trait::async_trait;
use cordada_core::Result;
use cordada_core::threads::locked;
use cordada_ingest_source::extract::State;
use cordada_ingest_source::options::Disposition;
use cordada_ingest_source::{Environment, Landed};
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;

/// A table, which knows its records by one column.
pub(crate) struct Table {
    column: &'static str,
    content: Mutex<Content>,
}

/// What a table holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Content {
    /// Its records, each by the value of the column.
    pub(crate) records: Vec<String>,
    /// Where that was which cannot land.
    pub(crate) rejected: Vec<(String, u64)>,
    pub(crate) state: Option<State>,
    pub(crate) transactions: HashMap<String, i64>,
}

/// What one commit brings.
pub(crate) struct Commit {
    pub(crate) records: Vec<String>,
    /// Records that are gone from the source.
    pub(crate) gone: BTreeSet<String>,
    pub(crate) rejected: Vec<(String, u64)>,
    pub(crate) state: Option<State>,
    pub(crate) transactions: Vec<(String, i64)>,
}

impl Table {
    pub(crate) fn new(column: &'static str) -> Arc<Self> {
        Arc::new(Self {
            column,
            content: Mutex::default(),
        })
    }

    /// What is in it, in order.
    pub(crate) fn content(&self) -> Content {
        let mut content = locked(&self.content).clone();
        content.records.sort();
        content.rejected.sort();
        content
    }

    /// Commits what a chunk brings, which is the `first` of its load or not.
    pub(crate) fn commit(&self, commit: Commit, disposition: Disposition, first: bool) {
        let mut content = locked(&self.content);
        if disposition == Disposition::Replace && first {
            content.records.clear();
            content.rejected.clear();
        }
        let keyed = !matches!(disposition, Disposition::Append | Disposition::Replace);
        let mut known: BTreeSet<String> = match keyed {
            true => content.records.iter().cloned().collect(),
            false => BTreeSet::new(),
        };
        for record in commit.records {
            if !keyed || known.insert(record.clone()) {
                content.records.push(record);
            }
        }
        content.records.retain(|record| !commit.gone.contains(record));
        content.rejected.extend(commit.rejected);
        content.state = commit.state.or(content.state.take());
        content.transactions.extend(commit.transactions);
    }
}

#[async_trait]
impl Landed for Table {
    async fn transactions(&self, ids: &[String]) -> Result<HashMap<String, i64>> {
        let content = locked(&self.content);
        let known = ids
            .iter()
            .filter_map(|id| Some((id.clone(), *content.transactions.get(id)?)));
        Ok(known.collect())
    }

    async fn keys(&self, columns: &[String]) -> Result<Option<SendableRecordBatchStream>> {
        assert_eq!(columns, [self.column], "records are known by this column alone");
        let records: ArrayRef = Arc::new(StringArray::from(self.content().records));
        let batch = RecordBatch::try_from_iter([(self.column, records)]).unwrap();
        let schema = batch.schema();
        let rows = RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(batch)]));
        Ok(Some(Box::pin(rows)))
    }

    async fn environment(&self) -> Result<Environment> {
        Ok(Environment {
            lake: "trial".to_owned(),
            target: None,
        })
    }
}
