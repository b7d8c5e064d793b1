//! Landing one stream: chunk by chunk, its columns, its rows, one commit each.

mod incoming;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use cordada_core::progress::{Progress, Task};
use cordada_core::source_names::SourceNames;
use cordada_core::{Context, Error, ErrorKind, Result, TableName};
use cordada_ingest_formats::reading::Reading;
use cordada_ingest_formats::spool::Spool;

use cordada_ingest_source::contract::Breach;
use cordada_ingest_source::extract::{Chunk, Request, Rows, State};
use cordada_ingest_source::landed::Landed as _;
use cordada_ingest_source::options::{Disposition, Options};
use cordada_ingest_source::provenance::{self, Load};
use cordada_ingest_source::seen;
use cordada_ingest_source::transform::{PiiKey, Transforms};
use cordada_lake::{Base, Evolution, Lake, MissingKey, Mode, Superseded, TakeBroken, Tip, Write};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::budget::Budget;
use crate::cut_times::CutTimes;
use crate::far_times::{self, FarTimes};
use crate::gate::{Gate, record};
use crate::kept::{KeptState, Shapes};
use crate::known::{Known, landing_as};
use crate::landed::LandedTable;
use crate::naming::{names_of, renamed_fields};
use crate::rejected::Rejects;
use crate::sources::SourceFile;
use crate::unnest;

/// A stream to land, and what to land it with.
pub(crate) struct Landing<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) project: &'a Path,
    pub(crate) source: &'a SourceFile,
    pub(crate) stream: &'a str,
    pub(crate) options: Options,
    pub(crate) table: TableName,
    pub(crate) load: Load,
    pub(crate) key: Option<&'a PiiKey>,
    pub(crate) budget: &'a Budget,
    pub(crate) cut_times: CutTimes,
    pub(crate) cancel: CancellationToken,
}

/// What landed of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) files: usize,
    pub(crate) skipped_files: usize,
    pub(crate) rows: u64,
    /// Rows that could land, though the table may have had them.
    pub(crate) passed: u64,
    pub(crate) rejected: u64,
    /// Why the first of those cannot land.
    pub(crate) first_reason: Option<String>,
    pub(crate) bytes: u64,
    pub(crate) version: Option<u64>,
    /// What the stream remembers now.
    pub(crate) state: Option<State>,
    /// Where its table goes on.
    pub(crate) tip: Option<Tip>,
    /// The tables that its lists became, and where they go on.
    pub(crate) children: Vec<(TableName, Tip)>,
    /// What the values look like that have landed.
    shapes: Shapes,
    /// Times that not all readers can hold.
    far_times: FarTimes,
}

/// What an attempt goes on with from chunk to chunk.
struct Attempt {
    table: Arc<LandedTable>,
    /// The names of the table's columns.
    names: SourceNames,
    transforms: Transforms,
    task: Arc<dyn Task>,
    /// Whether a row has landed.
    any_landed: bool,
    /// Rows that could not.
    rejected: u64,
}

/// Loads that begin again, at most, because another one wrote the table meanwhile.
const ATTEMPTS: usize = 5;

impl Landing<'_> {
    /// Lands what is new. If another load of the stream comes first, this one goes on from what that has left.
    pub(crate) async fn run(&self, progress: &dyn Progress) -> Result<Outcome> {
        let mut landed = Outcome::default();
        let mut attempt = 1;
        while let Err(error) = self.attempt(progress, &mut landed).await {
            if error.kind() != ErrorKind::Conflict || attempt == ATTEMPTS || self.cancel.is_cancelled() {
                return Err(error);
            }
            tracing::info!(table = %self.table, %error, "another writer came first; the load goes on from there");
            attempt += 1;
        }
        landed.far_times.warn(&self.table);
        self.cut_times.warn(&self.table);
        Ok(landed)
    }

    async fn attempt(&self, progress: &dyn Progress, landed: &mut Outcome) -> Result<()> {
        let table = Arc::new(LandedTable::open(self.lake, &self.table).await?);
        self.tag(&table, landed).await?;
        let kept = KeptState::of(self.lake, &self.table, table.tip()).await?;
        let names = names_of(&self.options, table.schema().await?.as_deref(), kept.renamed.as_ref());
        let transforms = Transforms::new(&self.options, self.key)?;
        let replace = self.options.disposition() == Disposition::Replace;
        let task: Arc<dyn Task> = match self.source.source().shows_progress() {
            true => Arc::new(cordada_core::progress::Silent),
            false => progress.start(&self.table.to_string(), None, "bytes").into(),
        };
        let request = Request {
            project: self.project,
            source: self.source.name(),
            stream: self.stream,
            table: &self.table,
            landed: table.clone(),
            columns: Arc::new(names.clone()),
            parallelism: self.lake.parallelism(),
            rehearsal: !self.lake.is_production(),
            state: kept.state.clone().filter(|_| !replace),
            replace,
            transforms: Arc::new(transforms.named(&names)),
            records: Arc::new(Reading::of_records(
                self.options.declared_types(&names),
                self.options.named(&names).zones(self.source.source().timezone()),
            )),
            load_at: self.load.at,
            progress,
            task: task.clone(),
            cancel: self.cancel.clone(),
        };
        landed.state = request.state.clone();
        landed.shapes = kept.shapes;
        let mut extraction = self.cancellable(self.source.source().extract(request)).await?;
        let mut attempt = Attempt {
            table: table.clone(),
            names,
            transforms,
            task: task.clone(),
            any_landed: false,
            rejected: 0,
        };
        let (mut first, mut complete) = (true, true);
        while let Some(chunk) = self.cancellable(extraction.next()).await? {
            complete = chunk.last;
            let room = self.cancellable(self.budget.chunk()).await?;
            let wrote = self.land(chunk, first, &mut attempt, landed).await?;
            first &= !wrote;
            drop(room);
            self.cancellable(extraction.landed()).await?;
        }
        landed.skipped_files = extraction.skipped_files();
        drop(extraction);
        if replace && !complete {
            self.complete(&attempt, landed).await?;
        }
        landed.tip = Some(table.tip());
        let options = self.options.named(&attempt.names);
        landed.children = unnest::run(self.lake, &self.table, table.tip(), &options, &self.cancel).await?;
        task.finish(&match landed.rows + landed.rejected {
            0 => "nothing new".to_owned(),
            _ => summary(landed.rows, landed.rejected),
        });
        Ok(())
    }

    async fn cancellable<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = work => done,
            () = self.cancel.cancelled() => Err(Error::cancelled(format!("landing {}", self.table))),
        }
    }

    /// Lands a chunk, as one commit; whether there is something to commit.
    async fn land(&self, chunk: Chunk, first: bool, attempt: &mut Attempt, landed: &mut Outcome) -> Result<bool> {
        // Nothing new leaves no trace.
        let is_empty = matches!(&chunk.rows, Rows::Records(spools) if spools.iter().all(Spool::is_empty));
        let unchanged = chunk.state.is_none() || chunk.state == landed.state;
        let unchanged = unchanged && chunk.transactions.is_empty();
        if is_empty && unchanged && self.options.disposition() != Disposition::Replace {
            landed.bytes += chunk.bytes;
            return Ok(false);
        }
        let table = attempt.table.clone();
        let own_task = chunk.task.is_some();
        let task = chunk.task.clone().unwrap_or_else(|| attempt.task.clone());
        let withhold = !attempt.transforms.is_empty();
        let rejects = Arc::new(Rejects::new(
            self.load.clone(),
            self.source.name(),
            self.stream,
            withhold,
        ));
        // A later chunk of a replacement lands beside those before it.
        let existing = match self.options.disposition() {
            Disposition::Replace if first => None,
            _ => table.schema().await?,
        };
        if existing.is_none() {
            landed.shapes.clear();
        }
        let others = self.chunk_id(&chunk);
        let whole = first && chunk.last && chunk.state.is_none() && chunk.transactions.is_empty();
        let known = Known {
            columns: existing.as_ref(),
            shapes: &landed.shapes,
        };
        let incoming = self.incoming(chunk.rows, attempt, known, &rejects, &task).await?;
        let (files, bytes) = (landed.files + chunk.files, landed.bytes + chunk.bytes);
        let state = chunk.state.or_else(|| landed.state.clone());
        let Some(incoming) = incoming else {
            // A file without even a header says nothing about a table, and there is no place for a state without one.
            rejects.journal(self.lake, &HashMap::new(), &others).await?;
            landed.rejected += rejects.rows();
            attempt.rejected += rejects.rows();
            landed.first_reason = landed.first_reason.take().or_else(|| rejects.first_reason());
            (landed.files, landed.bytes) = (files, bytes);
            return Ok(false);
        };
        let contract = self.options.contract;
        let before = existing
            .as_deref()
            .filter(|_| self.options.disposition() != Disposition::Replace);
        let check = contract.apply(&self.table, &incoming.schema, before)?;
        let options = self.options.named(&attempt.names);
        let zones = options.zones(self.source.source().timezone());
        let evolution = match &incoming.shapes {
            Some(_) => Evolution::Decided(Arc::new(known.former(&zones))),
            None => Evolution::Widen,
        };
        let columns = existing.iter().chain([&check.schema]).map(|schema| schema.as_ref());
        let kept = KeptState {
            state,
            incomplete: self.options.disposition() == Disposition::Replace && !chunk.last,
            renamed: Some(renamed_fields(&attempt.names, columns)),
            shapes: match incoming.shapes {
                Some(shapes) => landing_as(shapes, &check.schema),
                None => landed.shapes.clone(),
            },
        };
        let key = options.key();
        let partitions = incoming.partitions.into_iter();
        let gate = Gate {
            check: check.clone(),
            key: match options.disposition().needs_key() {
                true => key.clone(),
                false => Vec::new(),
            },
            zones,
            rejects: rejects.clone(),
            far_times: far_times::Counter::default(),
            passed: Arc::default(),
        };
        let ends_a_replacement = self.options.disposition() == Disposition::Replace && chunk.last;
        let any_before = attempt.any_landed;
        let partitions = partitions.map(|rows| gate.clone().admit(rows)).collect();
        let superseded = chunk.supersedes.into_iter();
        let superseded = superseded.map(|rows| Superseded {
            file: rows.file,
            since: rows.since,
            until: rows.until,
        });
        let dated = chunk.dated.into_iter();
        let dated = dated.map(|id| (id, self.load.at.timestamp_micros()));
        let write = Write {
            evolution,
            transactions: chunk.transactions.into_iter().chain(dated).collect(),
            state: Some(serde_json::to_string(&kept).doing(|| format!("landing {}", self.table))?),
            base: Base::Tip(table.tip()),
            supersedes: superseded.collect(),
            unrepeatable: self.source.source().is_unrepeatable(self.stream),
            broken: Some(rejecting(&rejects)),
            ..Write::new(self.mode(first, whole, key, &check.schema), check.schema.clone())
        };
        let reason = landed.first_reason.clone();
        let journal = async {
            rejects.journal(self.lake, &incoming.contents, &others).await?;
            let rejected = attempt.rejected + rejects.rows();
            let none_is_left = ends_a_replacement && !any_before && gate.passed() == 0 && rejected > 0;
            match none_is_left {
                // What is there, or what was published before, is better than nothing.
                true => Err(self.all_rejected(rejected, reason.or_else(|| rejects.first_reason()).as_deref())),
                false => Ok(()),
            }
        };
        let writing = self.lake.write_after(&self.table, write, partitions, journal);
        let written = self.cancellable(writing).await?;
        table.wrote(written.version);
        (landed.files, landed.bytes) = (files, bytes);
        landed.version = Some(written.version);
        (landed.state, landed.shapes) = (kept.state, kept.shapes);
        let (rows, rejected) = (written.rows_added, rejects.rows());
        (landed.rows, landed.rejected) = (landed.rows + rows, landed.rejected + rejected);
        // Of a merge, what is rejected is passed on too, as gone: its row from before would not be true any more.
        if self.options.disposition() != Disposition::Merge {
            landed.passed += gate.passed();
        }
        landed.first_reason = landed.first_reason.take().or_else(|| rejects.first_reason());
        attempt.any_landed |= gate.passed() > 0;
        attempt.rejected += rejected;
        landed.far_times.merge(&gate.far_times.counted());
        if own_task {
            task.finish(&summary(rows, rejected));
        }
        Ok(true)
    }

    /// Tells the table which of its columns are known to be personal by now, whether or not anything new lands.
    async fn tag(&self, table: &LandedTable, landed: &mut Outcome) -> Result<()> {
        // What is built on a version that was undone says it with its first rows.
        let Some(existing) = table.schema().await?.filter(|_| !table.tip().undoes()) else {
            return Ok(());
        };
        let tagged = self.options.tagged(&existing);
        if tagged == *existing {
            return Ok(());
        }
        let write = Write {
            base: Base::Tip(table.tip()),
            ..Write::new(Mode::Append, Arc::new(tagged))
        };
        let written = self.lake.write(&self.table, write, Vec::new()).await?;
        table.wrote(written.version);
        landed.version = Some(written.version);
        Ok(())
    }

    /// The error about rows of which none could land.
    pub(crate) fn all_rejected(&self, rows: u64, first_reason: Option<&str>) -> Error {
        let why = match first_reason {
            Some(reason) => format!("every row was rejected, the first because: {reason}"),
            None => "every row was rejected".to_owned(),
        };
        let hint = "mend the source, or what `sources/` says of it: a file that is read another way lands again; the \
                    rows are in ops.rejected_rows";
        let error = Error::failed(format!("landing {}", self.table), why).hint(hint);
        error.with("rejected", rows).with("load_id", &self.load.id)
    }

    /// Says that all chunks of a replacement have landed.
    async fn complete(&self, attempt: &Attempt, landed: &mut Outcome) -> Result<()> {
        if !attempt.any_landed && attempt.rejected > 0 {
            return Err(self.all_rejected(attempt.rejected, landed.first_reason.as_deref()));
        }
        let table = &attempt.table;
        let Some(existing) = table.schema().await? else {
            return Ok(());
        };
        let kept = KeptState {
            state: landed.state.clone(),
            incomplete: false,
            renamed: Some(renamed_fields(&attempt.names, [existing.as_ref()])),
            shapes: landed.shapes.clone(),
        };
        let write = Write {
            state: Some(serde_json::to_string(&kept).doing(|| format!("landing {}", self.table))?),
            base: Base::Tip(table.tip()),
            ..Write::new(Mode::Append, existing)
        };
        let written = self.lake.write(&self.table, write, Vec::new()).await?;
        table.wrote(written.version);
        landed.version = Some(written.version);
        Ok(())
    }

    /// Stands for what a chunk brings: the same chunk, extracted again after a crash, has the same. One with neither
    /// state nor transactions cannot be told from others, so that it has one of its own.
    fn chunk_id(&self, chunk: &Chunk) -> (String, i64) {
        let digest = match (&chunk.state, chunk.transactions.as_slice()) {
            (None, []) => Sha256::digest(Uuid::now_v7()),
            (state, transactions) => Sha256::digest(format!("{state:?} {transactions:?}")),
        };
        let prefix = seen::Seen::prefix(self.source.name(), self.stream);
        (format!("{prefix}{}", seen::REJECTED), seen::number(digest))
    }

    /// What the write does with the rows that are there. `whole` says that the chunk is all that the source has.
    fn mode(&self, first: bool, whole: bool, key: Vec<String>, schema: &Schema) -> Mode {
        let deleted = schema.field_with_name(provenance::DELETED).is_ok();
        let deleted = deleted.then(|| provenance::DELETED.to_owned());
        match self.options.disposition() {
            Disposition::Replace if first => Mode::Overwrite,
            Disposition::Append | Disposition::Replace => Mode::Append,
            Disposition::Merge => Mode::Upsert { key, deleted },
            Disposition::InsertOnly => Mode::Insert { key },
            Disposition::Scd2 => Mode::History {
                key,
                deleted,
                ignored: provenance::fields().iter().map(|field| field.name().clone()).collect(),
                at: self.load.at.timestamp_micros(),
                missing: if whole { MissingKey::Close } else { MissingKey::Keep },
                trust_clock: self.options.trust_clock,
            },
        }
    }
}

fn summary(rows: u64, rejected: u64) -> String {
    format!("{rows} rows, {rejected} rejected")
}

/// What `change` makes of the batches, which are of `schema` then.
pub(crate) fn mapped(
    schema: SchemaRef,
    partitions: Vec<SendableRecordBatchStream>,
    change: impl Fn(RecordBatch) -> Result<RecordBatch> + Clone + Send + 'static,
) -> (SchemaRef, Vec<SendableRecordBatchStream>) {
    let partitions = partitions.into_iter().map(|rows| -> SendableRecordBatchStream {
        let change = change.clone();
        let rows = rows.and_then(move |batch| std::future::ready(change(batch).map_err(Into::into)));
        Box::pin(RecordBatchStreamAdapter::new(schema.clone(), rows))
    });
    let partitions = partitions.collect();
    (schema, partitions)
}

/// What rejects the rows that break a constraint of the table.
fn rejecting(rejects: &Arc<Rejects>) -> TakeBroken {
    let rejects = rejects.clone();
    TakeBroken::new(move |batch, broken| {
        let breaches = broken.iter().map(|broken| Breach {
            row: broken.row,
            reason: broken.reason.clone(),
        });
        record(&rejects, batch, &breaches.collect::<Vec<_>>())
    })
}
