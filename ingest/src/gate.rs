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
    if breaches.is_empty() {
        return Ok(());
    }
    let fields = batch.schema_ref().fields().iter().enumerate();
    let own = fields.filter(|(_, field)| !provenance::is_ours(field.name()));
    let own: Vec<_> = own.map(|(column, _)| column).collect();
    let source = batch.project(&own).doing(|| "recording rejected rows")?;
    let rows: Vec<_> = breaches.iter().map(|breach| breach.row).collect();
    let origins = batch
        .column_by_name(ORIGIN)
        .and_then(|column| column.as_string_opt::<i32>());
    let rejected = breaches.iter().zip(records(&source, &rows)?).map(|(breach, record)| {
        let origin = origins.map_or("", |origins| origins.value(breach.row));
        let (file, line) = provenance::place(origin);
        let reason = breach.reason.clone();
        (file, Rejected { line, reason, record })
    });
    let rejected: Vec<_> = rejected.collect();
    for of_file in rejected.chunk_by(|(one, _), (other, _)| one == other) {
        let (file, _) = of_file[0];
        let of_file: Vec<_> = of_file.iter().map(|(_, rejected)| rejected.clone()).collect();
        rejects.add(file, &of_file)?;
    }
    Ok(())
}
