//! The rows that a build adds to tables by key, kept for the segments that choose from them: files say which rows may
//! have changed, and after an upsert all of them may have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use arrow::record_batch::RecordBatch;
use cordada_core::TableName;
use cordada_core::threads::locked;
use cordada_lake::{Mode, Relation, RelationKind};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

/// More bytes are not kept: then segments find out what changed by themselves.
const MOST: usize = 64 << 20;

/// What came to which table in one build.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<HashMap<TableName, Arc<Arrived>>>);

/// All that changed from one version of a table to another: the rows with these keys are these now.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) key: Vec<String>,
    pub(super) rows: Vec<RecordBatch>,
}

/// Rows on their way into a table.
pub(super) struct Arriving {
    from: u64,
    key: Vec<String>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    rows: Vec<RecordBatch>,
    bytes: usize,
}

impl Arriving {
    /// Of a write that replaces rows of the version `from` by key.
    pub(super) fn of(mode: &Mode, from: u64) -> Option<Self> {
        let (Mode::Upsert { key, deleted: None } | Mode::ReplaceGroups { key, deleted: None }) = mode else {
            return None;
        };
        Some(Self {
            from,
            key: key.clone(),
            kept: Arc::default(),
        })
    }

    /// The stream, whose rows are kept as they go by.
    pub(super) fn noting(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let (schema, kept) = (rows.schema(), self.kept.clone());
        let rows = rows.inspect_ok(move |batch| {
            let mut kept = locked(&kept);
            kept.bytes += batch.get_array_memory_size();
            match kept.bytes <= MOST {
                true => kept.rows.push(batch.clone()),
                false => kept.rows.clear(),
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}

impl Arrivals {
    /// Keeps what arrived at the table, which is `written` now; nothing if it was too much.
    pub(super) fn add(&self, table: &TableName, written: &Relation, arriving: Arriving) {
        let RelationKind::Table { version, .. } = &written.kind else {
            return;
        };
        let kept = std::mem::take(&mut *locked(&arriving.kept));
        if kept.bytes > MOST {
            return;
        }
        let arrived = Arrived {
            from: arriving.from,
            to: *version,
            key: arriving.key,
            rows: kept.rows,
        };
        locked(&self.0).insert(table.clone(), Arc::new(arrived));
    }

    /// What arrived at the table in this build.
    pub(super) fn of(&self, table: &TableName) -> Option<Arc<Arrived>> {
        locked(&self.0).get(table).cloned()
    }
}
