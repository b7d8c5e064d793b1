//! Which rows go on into the table: those that have their key and keep the contract. The others are rejected.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use cordada_core::names::ORIGIN;
use cordada_core::{Context, Error, Result};
use cordada_ingest_formats::record::records;
use cordada_ingest_formats::rejected::Rejected;
use cordada_ingest_formats::values::zones::Zones;
use cordada_ingest_source::contract::{Breach, Check};
use cordada_ingest_source::provenance;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

use crate::far_times;
use crate::keyless::keyed;
use crate::rejected::Rejects;

/// What the rows of a chunk pass through.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) check: Check,
    /// The columns that every row needs a value in.
    pub(crate) key: Vec<String>,
    /// The zones of times that carry none.
    pub(crate) zones: Zones,
    pub(crate) rejects: Arc<Rejects>,
    pub(crate) far_times: far_times::Counter,
    /// Rows that went on.
    pub(crate) passed: Arc<AtomicU64>,
}

impl Gate {
    /// The rows that go on.
    pub(crate) fn admit(self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = self.check.schema.clone();
        let rows = rows.and_then(move |batch| std::future::ready(self.admit_batch(batch).map_err(Error::into)));
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }

    fn admit_batch(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let (keyed, keyless) = keyed(batch.clone(), &self.key)?;
        record(&self.rejects, &batch, &keyless)?;
        let (landing, breaches) = self.check.apply(keyed.clone(), &self.zones)?;
        record(&self.rejects, &keyed, &breaches)?;
        self.far_times.count(&landing);
        self.passed.fetch_add(landing.num_rows() as u64, Ordering::Relaxed);
        Ok(landing)
    }

    /// Rows that went on until now.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

/// Takes down the rows that broke the contract or a constraint, as JSON.
pub(crate) fn record(rejects: &Rejects, batch: &RecordBatch, breaches: &[Breach]) -> Result<()> {
    let doing = || "recording rejected rows";
    for breach in breaches {
        let row = batch.slice(breach.row, 1);
        let source_columns: Vec<_> = (0..row.num_columns())
            .filter(|column| !provenance::is_ours(row.schema().field(*column).name()))
            .collect();
        let source = row.project(&source_columns).doing(doing)?;
        let record = records(&source, &[0])?.pop().unwrap_or_default();
        let origin = row
            .column_by_name(ORIGIN)
            .and_then(|column| column.as_string_opt::<i32>().cloned());
        let origin = origin.as_ref().map_or("", |origin| origin.value(0));
        let (file, line) = provenance::place(origin);
        let rejected = Rejected {
            line,
            reason: breach.reason.clone(),
            record,
        };
        rejects.add(file, &[rejected])?;
    }
    Ok(())
}
