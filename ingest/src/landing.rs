//! Landing one stream: chunk by chunk, its columns, its rows, one commit each.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::LineDelimitedWriter;
use arrow::record_batch::RecordBatch;
use cordada_core::names::{ORIGIN, snake_case};
use cordada_core::progress::{Progress, Task};
use cordada_core::suggest::did_you_mean;
use cordada_core::threads::blocking;
use cordada_core::{Context, Error, ErrorKind, Result, TableName};
use cordada_ingest_formats::reading::Reading;
use cordada_ingest_formats::rejected::Rejected;
use cordada_ingest_formats::scanned::ScannedFile;
use cordada_ingest_formats::shape::Shape;
use cordada_ingest_formats::values::build::Notation;
use cordada_ingest_source::contract::{Breach, Check};
use cordada_ingest_source::extract::{Chunk, Request, Rows, State};
use cordada_ingest_source::options::{Disposition, Options, Transform};
use cordada_ingest_source::provenance::{self, Load};
use cordada_ingest_source::transform::{PiiKey, Transforms};
use cordada_lake::{Base, Lake, MissingKey, Mode, TakeBroken, Tip, Write};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::budget::Budget;
use crate::far_times::{self, FarTimes};
use crate::kept::KeptState;
use crate::landed::LandedTable;
use crate::rejected::Rejects;
use crate::rows::{RowReader, described, typed, with_provenance};
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
    pub(crate) cancel: CancellationToken,
}

/// What landed of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) files: usize,
    pub(crate) skipped_files: usize,
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    pub(crate) bytes: u64,
    pub(crate) version: Option<u64>,
    /// What the stream remembers now.
    pub(crate) state: Option<State>,
    /// Where its table goes on.
    pub(crate) tip: Option<Tip>,
    /// The tables that its lists became, and where they go on.
    pub(crate) children: Vec<(TableName, Tip)>,
    /// Times that not all readers can hold.
    far_times: FarTimes,
}

/// Rows on their way into a commit.
struct LandingRows {
    /// The columns that land, before the contract has been looked at.
    schema: SchemaRef,
    partitions: Vec<SendableRecordBatchStream>,
    /// By which transaction a file is known again.
    contents: HashMap<String, (String, i64)>,
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
        Ok(landed)
    }

    async fn attempt(&self, progress: &dyn Progress, landed: &mut Outcome) -> Result<()> {
        let transforms = Arc::new(Transforms::new(&self.options, self.key)?);
        let table = Arc::new(LandedTable::open(self.lake, &self.table).await?);
        let kept = KeptState::of(self.lake, &self.table, table.tip()).await?;
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
            parallelism: self.lake.parallelism(),
            rehearsal: !self.lake.is_production(),
            state: kept.state.filter(|_| !replace),
            replace,
            transforms: transforms.clone(),
            records: Arc::new(Reading::of_records(
                self.options.declared_types(),
                self.source.source().timezone(),
            )),
            load_at: self.load.at,
            progress,
            task: task.clone(),
            cancel: self.cancel.clone(),
        };
        landed.state = request.state.clone();
        let mut extraction = self.cancellable(self.source.source().extract(request)).await?;
        let (mut first, mut complete) = (true, true);
        while let Some(chunk) = self.cancellable(extraction.next()).await? {
            complete = chunk.last;
            let room = self.cancellable(self.budget.chunk()).await?;
            let wrote = self.land(chunk, &table, first, &transforms, &task, landed).await?;
            first &= !wrote;
            drop(room);
            self.cancellable(extraction.landed()).await?;
        }
        landed.skipped_files = extraction.skipped_files();
        drop(extraction);
        if replace && !complete {
            self.complete(&table, landed).await?;
        }
        landed.tip = Some(table.tip());
        landed.children = unnest::run(self.lake, &self.table, table.tip(), &self.options, &self.cancel).await?;
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
    async fn land(
        &self,
        chunk: Chunk,
        table: &LandedTable,
        first: bool,
        transforms: &Arc<Transforms>,
        task: &Arc<dyn Task>,
        landed: &mut Outcome,
    ) -> Result<bool> {
        // Nothing new leaves no trace.
        let is_empty = matches!(&chunk.rows, Rows::Records(spools) if spools.iter().all(|spool| spool.rows() == 0));
        let unchanged = chunk.state.is_none() || chunk.state == landed.state;
        let unchanged = unchanged && chunk.transactions.is_empty();
        if is_empty && unchanged && self.options.disposition() != Disposition::Replace {
            landed.bytes += chunk.bytes;
            return Ok(false);
        }
        let own_task = chunk.task.is_some();
        let task = chunk.task.clone().unwrap_or_else(|| task.clone());
        let withhold = !transforms.is_empty();
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
        let others = self.chunk_id(&chunk);
        let whole = first && chunk.last && chunk.state.is_none() && chunk.transactions.is_empty();
        let incoming = self
            .incoming(chunk.rows, table, existing.as_ref(), transforms, &rejects, &task)
            .await?;
        let (files, bytes) = (landed.files + chunk.files, landed.bytes + chunk.bytes);
        let state = chunk.state.or_else(|| landed.state.clone());
        let Some(incoming) = incoming else {
            // A file without even a header says nothing about a table, and there is no place for a state without one.
            rejects.journal(self.lake, &HashMap::new(), &others).await?;
            landed.rejected += rejects.rows();
            (landed.files, landed.bytes) = (files, bytes);
            return Ok(false);
        };
        let contract = self.options.contract;
        let known = existing
            .as_deref()
            .filter(|_| self.options.disposition() != Disposition::Replace);
        let check = contract.apply(&self.table, &incoming.schema, known)?;
        let kept = KeptState {
            state,
            incomplete: self.options.disposition() == Disposition::Replace && !chunk.last,
        };
        let partitions = incoming.partitions.into_iter();
        let far_times = far_times::Counter::default();
        let partitions = partitions
            .map(|rows| self.checked(rows, &check, &rejects, &far_times))
            .collect();
        let write = Write {
            widen: true,
            transactions: chunk.transactions,
            state: Some(serde_json::to_string(&kept).doing(|| format!("landing {}", self.table))?),
            base: Base::Tip(table.tip()),
            unrepeatable: self.source.source().is_unrepeatable(self.stream),
            broken: Some(rejecting(&rejects)),
            ..Write::new(self.mode(first, whole, &check.schema), check.schema.clone())
        };
        let journal = rejects.journal(self.lake, &incoming.contents, &others);
        let writing = self.lake.write_after(&self.table, write, partitions, journal);
        let written = self.cancellable(writing).await?;
        table.wrote(written.version);
        (landed.files, landed.bytes) = (files, bytes);
        landed.version = Some(written.version);
        landed.state = kept.state;
        let (rows, rejected) = (written.rows_added, rejects.rows());
        (landed.rows, landed.rejected) = (landed.rows + rows, landed.rejected + rejected);
        landed.far_times.merge(&far_times.counted());
        if own_task {
            task.finish(&summary(rows, rejected));
        }
        Ok(true)
    }

    /// Says that all chunks of a replacement have landed.
    async fn complete(&self, table: &LandedTable, landed: &mut Outcome) -> Result<()> {
        let Some(existing) = table.schema().await? else {
            return Ok(());
        };
        let kept = KeptState {
            state: landed.state.clone(),
            incomplete: false,
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
        let first = digest.first_chunk::<8>().copied().unwrap_or_default();
        let id = format!("cordada-ingest:{}.{}:rejected", self.source.name(), self.stream);
        (id, (u64::from_be_bytes(first) >> 1) as i64)
    }

    /// What the write does with the rows that are there. `whole` says that the chunk is all that the source has.
    fn mode(&self, first: bool, whole: bool, schema: &Schema) -> Mode {
        let deleted = schema.field_with_name(provenance::DELETED).is_ok();
        let deleted = deleted.then(|| provenance::DELETED.to_owned());
        let key = self.options.key();
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

    /// The rows of a chunk; `None` if nothing is known of their columns.
    async fn incoming(
        &self,
        rows: Rows,
        table: &LandedTable,
        existing: Option<&SchemaRef>,
        transforms: &Arc<Transforms>,
        rejects: &Arc<Rejects>,
        task: &Arc<dyn Task>,
    ) -> Result<Option<LandingRows>> {
        let (schema, partitions, contents, transforms) = match rows {
            Rows::Typed {
                schema,
                partitions,
                origin,
                deleted,
            } => {
                let origin: Arc<str> = origin.into();
                let rows = typed(
                    &schema,
                    partitions,
                    deleted.as_deref(),
                    &origin,
                    &self.load,
                    &self.options,
                )?;
                (rows.0, rows.1, HashMap::new(), Some(transforms))
            }
            Rows::Records(spools) => {
                let mut files = Vec::with_capacity(spools.len());
                for spool in spools {
                    let (file, rejected) = blocking("writing the records", || spool.finish()).await?;
                    rejects.add(file.name(), &rejected)?;
                    files.push(file);
                }
                // Whoever filled the spool has transformed what is in it.
                let Some((schema, partitions)) = self.scanned(files, existing, rejects, task)? else {
                    return emptied(table).await;
                };
                (schema, partitions, HashMap::new(), None)
            }
            Rows::Files(files) => {
                let content = |file: &ScannedFile| Some((file.name().to_owned(), file.content_id.clone()?));
                let contents = files.iter().filter_map(content).collect();
                let Some((schema, partitions)) = self.scanned(files, existing, rejects, task)? else {
                    return Ok(None);
                };
                (schema, partitions, contents, Some(transforms))
            }
        };
        self.check_names(&schema, existing, transforms.is_none())?;
        let (schema, partitions) = self.flagged(schema, partitions);
        let (schema, partitions) = match transforms.filter(|transforms| !transforms.is_empty()) {
            None => (schema, partitions),
            Some(transforms) => {
                let transforms = transforms.clone();
                let result = transforms.schema(&schema);
                mapped(result, partitions, move |batch| transforms.apply(&batch))
            }
        };
        Ok(Some(LandingRows {
            schema,
            partitions,
            contents,
        }))
    }

    /// The rows of scanned files; `None` if not even a header says what their columns are.
    fn scanned(
        &self,
        files: Vec<ScannedFile>,
        existing: Option<&SchemaRef>,
        rejects: &Arc<Rejects>,
        task: &Arc<dyn Task>,
    ) -> Result<Option<(SchemaRef, Vec<SendableRecordBatchStream>)>> {
        if files.iter().all(|file| file.scanned.shapes.is_empty()) && existing.is_none() {
            return Ok(None);
        }
        let schema = self.columns(&files, existing)?;
        let rows = RowReader {
            files: Arc::new(files),
            schema: schema.clone(),
            load: self.load.clone(),
            rejects: rejects.clone(),
            task: task.clone(),
            cancel: self.cancel.clone(),
        };
        Ok(Some((schema, rows.partitions(self.lake.parallelism()))))
    }

    /// The columns of all files, of types that hold every value of theirs and of the table.
    fn columns(&self, files: &[ScannedFile], existing: Option<&SchemaRef>) -> Result<SchemaRef> {
        let mut columns: Vec<(&str, &str, Shape)> = Vec::new();
        let mut by_name = HashMap::new();
        for file in files {
            let plan = &file.scanned.plan;
            provenance::refuse_ours(file.name(), plan.names.iter().map(String::as_str))?;
            for ((name, original), shape) in plan.names.iter().zip(&plan.originals).zip(&file.scanned.shapes) {
                let at = *by_name.entry(name.as_str()).or_insert_with(|| {
                    columns.push((name, original, Shape::default()));
                    columns.len() - 1
                });
                columns[at].2.merge(shape.clone());
            }
        }
        let fields = columns.into_iter().map(|(name, original, shape)| {
            let existing = existing.and_then(|existing| existing.field_with_name(name).ok());
            let data_type = shape.data_type(existing.map(Field::data_type))?;
            Ok(described(&self.options, name, original, data_type))
        });
        Ok(with_provenance(fields.collect::<Result<Vec<_>>>()?))
    }

    /// The table's columns, if there is one.
    /// Whether the columns that the configuration names are there; `dropped` says that those to drop have gone already.
    fn check_names(&self, incoming: &SchemaRef, existing: Option<&SchemaRef>, dropped: bool) -> Result<()> {
        let known = incoming
            .fields()
            .iter()
            .chain(existing.iter().flat_map(|existing| existing.fields()));
        let known: Vec<_> = known
            .map(|field| field.name().as_str())
            .filter(|name| !provenance::is_ours(name))
            .collect();
        // What a connector says of columns holds for accounts that have them.
        let columns = self
            .options
            .columns
            .iter()
            .filter(|(_, column)| !(dropped && column.transform == Some(Transform::Drop)))
            .map(|(name, _)| name)
            .filter(|_| !self.source.source().is_connector());
        let named = columns
            .chain(&self.options.key)
            .chain(&self.options.deleted)
            .chain(self.options.unnest.keys());
        for name in named {
            let column = snake_case(name.split('.').next().unwrap_or(name));
            if known.is_empty() || known.contains(&column.as_str()) {
                continue;
            }
            let hint = did_you_mean(&column, "the columns are", known.iter().copied());
            let doing = format!("landing {}", self.table);
            return Err(Error::config(doing, format!("there is no column `{name}`")).hint(hint));
        }
        Ok(())
    }

    /// The rows with [`provenance::DELETED`], if the stream has a column that says so.
    fn flagged(
        &self,
        schema: SchemaRef,
        partitions: Vec<SendableRecordBatchStream>,
    ) -> (SchemaRef, Vec<SendableRecordBatchStream>) {
        let column = self.options.deleted.as_deref().map(snake_case);
        let Some(column) = column.filter(|column| schema.field_with_name(column).is_ok()) else {
            return (schema, partitions);
        };
        let flag = Field::new(provenance::DELETED, DataType::Boolean, true);
        let fields = schema.fields().iter().map(|field| field.as_ref().clone()).chain([flag]);
        let result = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        mapped(result.clone(), partitions, move |batch| {
            let doing = || "looking for deleted rows";
            let missing = || Error::failed(doing(), "the column is not there");
            let says = batch.column_by_name(&column).ok_or_else(missing)?;
            let gone: BooleanArray = match says.as_boolean_opt() {
                Some(flags) => flags.iter().map(|flag| Some(flag == Some(true))).collect(),
                None => (0..says.len()).map(|row| Some(says.is_valid(row))).collect(),
            };
            let columns = batch.columns().iter().cloned().chain([Arc::new(gone) as _]);
            RecordBatch::try_new(result.clone(), columns.collect()).doing(doing)
        })
    }

    /// The rows that the contract lets through; the others are rejected.
    fn checked(
        &self,
        rows: SendableRecordBatchStream,
        check: &Check,
        rejects: &Arc<Rejects>,
        far_times: &far_times::Counter,
    ) -> SendableRecordBatchStream {
        let notation = Notation {
            point: b'.',
            zone: self.source.source().timezone(),
        };
        let (check, rejects, far_times) = (check.clone(), rejects.clone(), far_times.clone());
        let schema = check.schema.clone();
        let rows = rows.and_then(move |batch| {
            let checked = check.apply(batch.clone(), notation).and_then(|(landing, breaches)| {
                record(&rejects, &batch, &breaches)?;
                far_times.count(&landing);
                Ok(landing)
            });
            std::future::ready(checked.map_err(Into::into))
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}

/// No rows, of the columns that the table has: the source that it is a copy of has become empty.
async fn emptied(table: &LandedTable) -> Result<Option<LandingRows>> {
    let existing = table.schema().await?;
    Ok(existing.map(|schema| LandingRows {
        schema,
        partitions: Vec::new(),
        contents: HashMap::new(),
    }))
}

fn summary(rows: u64, rejected: u64) -> String {
    format!("{rows} rows, {rejected} rejected")
}

/// What `change` makes of the batches, which are of `schema` then.
fn mapped(
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

/// Takes down the rows that broke the contract or a constraint, as JSON.
fn record(rejects: &Rejects, batch: &RecordBatch, breaches: &[Breach]) -> Result<()> {
    let doing = || "recording rejected rows";
    for breach in breaches {
        let row = batch.slice(breach.row, 1);
        let source_columns: Vec<_> = (0..row.num_columns())
            .filter(|column| !provenance::is_ours(row.schema().field(*column).name()))
            .collect();
        let source = row.project(&source_columns).doing(doing)?;
        let mut writer = LineDelimitedWriter::new(Vec::new());
        writer.write(&source).doing(doing)?;
        writer.finish().doing(doing)?;
        let text = String::from_utf8_lossy(writer.get_ref()).trim_end().to_owned();
        let origin = row
            .column_by_name(ORIGIN)
            .and_then(|column| column.as_string_opt::<i32>().cloned());
        let origin = origin.as_ref().map_or("", |origin| origin.value(0));
        let (file, line) = provenance::place(origin);
        let rejected = Rejected {
            line,
            reason: breach.reason.clone(),
            record: text,
        };
        rejects.add(file, &[rejected])?;
    }
    Ok(())
}
