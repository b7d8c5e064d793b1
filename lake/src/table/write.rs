//! Writing a table: batches in, one Delta commit out.
//!
//! The incoming rows become files ([`stage`]); where the write goes by key they then meet the rows that are there
//! ([`upsert`], [`history`]), of which only files that change are written again; one commit puts the new files in the
//! place of the old ([`commit`]).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use cordada_core::{Context, Error, Result, TableName, types};
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;

use super::mode::{Base, Evolution, Mode, Write, WriteReport};
use super::outcome::Outcome;
use crate::lake::Lake;
use crate::table::constraints::Constraints;
use crate::table::files::Files;
use crate::table::history::{self, History};
use crate::table::keys::Key;
use crate::table::protocol::{self, Change};
use crate::table::rival::Entries;
use crate::table::snapshot::{DataFile, TableSnapshot};
use crate::table::stage::{self, Folder};
use crate::table::superseded::Gone;
use crate::table::tip::Tip;
use crate::table::upsert::{self, Effect};
use crate::table::{clock, commit, data_file, tags};

impl Lake {
    /// Writes the rows of all partitions, each partition in a task of its own, as one commit.
    ///
    /// Creates the table when there is none. Columns, and fields within them, that the table lacks are added to it; those
    /// that the rows lack become null. If anything fails, or the future is dropped, the table is as it was.
    ///
    /// # Errors
    /// Config for a type that does not fit, a key column that is missing; conflict when another writer came first.
    pub async fn write(
        &self,
        table: &TableName,
        write: Write,
        partitions: Vec<SendableRecordBatchStream>,
    ) -> Result<WriteReport> {
        self.write_after(table, write, partitions, std::future::ready(Ok(())))
            .await
    }

    /// [`Lake::write`] that awaits `before_commit` once all rows are in files and nothing but the commit is left: for
    /// what must be on record no later than the rows. If it fails, nothing is committed. It may write other tables,
    /// and must not write this one, whose turn is taken.
    ///
    /// # Errors
    /// Those of [`Lake::write`] and of `before_commit`.
    pub async fn write_after(
        &self,
        table: &TableName,
        write: Write,
        partitions: Vec<SendableRecordBatchStream>,
        before_commit: impl Future<Output = Result<()>>,
    ) -> Result<WriteReport> {
        let path = self.path_of(table);
        let turn = self.writer(&path);
        let _turn = turn.lock().await;
        let writer = TableWriter::begin(self, table, &path, write).await?;
        let mut outcome = Outcome::default();
        let staged = async {
            writer.produce(partitions, &mut outcome).await?;
            if let Mode::History { trust_clock: false, .. } = &writer.write.mode {
                clock::check_store(self, table, &path, &outcome.added).await?;
            }
            before_commit.await
        };
        if let Err(error) = staged.await {
            data_file::discard(self.object_store(), &path, &outcome.added).await;
            return Err(error);
        }
        if let Some(pending) = self.pending() {
            return pending.keep(writer, outcome);
        }
        // From here on nothing is discarded: a commit that reports an error may be durable all the same (its
        // checkpoint failed, its answer was lost), and then the files are the table's. Otherwise they are garbage.
        writer.commit(outcome).await
    }

    /// The text that the newest write with a [`Write::state`] left in the table, as of its newest version.
    pub async fn state(&self, table: &TableName) -> Result<Option<String>> {
        match self.latest_version(table).await? {
            Some(version) => self.state_at(&self.path_of(table), version).await,
            None => Ok(None),
        }
    }

    /// [`Lake::state`] as of one version of the table at `path`, such as a release has it.
    pub async fn state_at(&self, path: &str, version: u64) -> Result<Option<String>> {
        let snapshot = self.snapshot(path, version).await?;
        Ok(snapshot.property(commit::STATE).map(str::to_owned))
    }
}

/// A write in progress.
pub(crate) struct TableWriter {
    pub(crate) lake: Lake,
    pub(crate) table: TableName,
    pub(crate) path: String,
    pub(crate) write: Write,
    /// The newest version, if the table exists.
    pub(crate) latest: Option<Arc<TableSnapshot>>,
    /// The files that the write builds on; none if it leaves those that are there as they are.
    pub(crate) base: Vec<Arc<DataFile>>,
    /// The files of the newest version, if the write does not build on that one.
    pub(crate) overruled: Option<Arc<Files>>,
    /// The columns that the table will have.
    pub(crate) schema: SchemaRef,
    /// Those of them that no row has a value of yet.
    pub(crate) open: Vec<String>,
    /// Whether the base's files must be rewritten because a column became wider.
    pub(crate) widened: bool,
    /// The columns that get their first values.
    pub(crate) closed: Vec<String>,
    /// The columns that were not known to hold personal data before.
    pub(crate) personal: Vec<String>,
    history: Option<Arc<History>>,
    constraints: Arc<Constraints>,
}

impl TableWriter {
    async fn begin(lake: &Lake, table: &TableName, path: &str, write: Write) -> Result<Self> {
        let latest = lake.newest_at(path).await?;
        let newest = latest.as_ref().map(|latest| latest.version());
        let moved = match write.base {
            Base::Tip(tip) if tip.newest != newest => !only_moved(lake, table, path, tip, newest).await?,
            _ => false,
        };
        if moved {
            return Err(Error::conflict(
                format!("writing {table}"),
                "somebody else wrote it since its state was read",
            )
            .hint("run again"));
        }
        let version = match write.base {
            Base::Latest => newest,
            Base::Tip(tip) if tip.undoes() => tip.version,
            Base::Tip(_) => newest,
            Base::Version(version) => Some(version),
            Base::Nothing => None,
        };
        let base = match (&write.mode, version, &latest) {
            (Mode::Overwrite, ..) | (_, None, _) | (_, _, None) => None,
            (_, Some(version), Some(latest)) if version == latest.version() => Some(latest.clone()),
            (_, Some(version), Some(_)) => Some(lake.snapshot(path, version).await?),
        };
        let mut incoming = stored(&write.schema);
        if let Some(deleted) = write.mode.deleted() {
            incoming = stage::without_deleted(table, &incoming, deleted)?;
        }
        check_names(table, &incoming)?;
        let mut history = None;
        if let Mode::History {
            ignored,
            at,
            missing,
            trust_clock,
            ..
        } = &write.mode
        {
            if let Some(base) = base.as_ref().filter(|_| !trust_clock) {
                clock::check_history(table, *at, base).await?;
            }
            history = Some(Arc::new(History::new(&incoming, ignored, *at, *missing)));
            incoming = history::with_columns(table, &incoming)?;
        }
        let Evolved {
            schema,
            open,
            mut widened,
            closed,
        } = match &base {
            None => Evolved::anew(&incoming),
            Some(base) => evolve(table, base, &incoming, &write.evolution)?,
        };
        if let Some(base) = base.as_ref().filter(|_| !widened) {
            widened = any_file_has(lake, base, &closed).await?;
        }
        let mut constraints = Constraints::default();
        if let Some(latest) = &latest {
            let undoes = version != newest;
            let rewrites = widened || base.is_some() && !write.supersedes.is_empty();
            protocol::check(table, latest, Change::of(&write.mode, rewrites, undoes))?;
            constraints = Constraints::of(table, latest, &schema)?;
        }
        let overruled = match &latest {
            Some(latest) if base.as_ref().is_none_or(|base| base.version() != latest.version()) => {
                Some(latest.files().await?)
            }
            _ => None,
        };
        let personal = match &latest {
            Some(latest) => tags::newly_personal(latest.schema(), &schema),
            None => Vec::new(),
        };
        let only_adds = write.mode.key().is_none()
            && !widened
            && write.supersedes.is_empty()
            && overruled.is_none()
            && personal.is_empty();
        let base = match base.filter(|_| !only_adds) {
            Some(base) => base.files().await?.to_vec(),
            None => Vec::new(),
        };
        Ok(Self {
            lake: lake.clone(),
            table: table.clone(),
            path: path.to_owned(),
            write,
            latest,
            base,
            overruled,
            schema,
            open,
            widened,
            closed,
            personal,
            history,
            constraints: Arc::new(constraints),
        })
    }

    /// Writes all files that the commit will add, into `outcome` as they come, so that a failure can discard them.
    async fn produce(&self, partitions: Vec<SendableRecordBatchStream>, outcome: &mut Outcome) -> Result<()> {
        let place = Folder {
            open: self.open.clone(),
            former: self.write.evolution.former(),
            ..Folder::new(&self.lake, &self.path, &self.schema)
        };
        let admission = stage::Admission {
            constraints: self.constraints.clone(),
            broken: self.write.broken.clone(),
        };
        let Some((columns, duplicates)) = self.write.mode.key() else {
            stage::stage(&place, &self.table, partitions, &admission, None, &mut outcome.added).await?;
            let superseded = Gone::new(&self.write.supersedes);
            if !superseded.is_empty() && !self.widened {
                superseded.take_out(&place, &self.base, outcome).await?;
            }
            if self.widened {
                for (index, file) in self.base.iter().enumerate() {
                    let rewritten = place.rewrite(file, |_, batch| {
                        let stay = superseded.stay(&batch);
                        outcome.rows_removed += stay.false_count() as u64;
                        filter_record_batch(&batch, &stay).doing(|| format!("rewriting {}", file.location))
                    });
                    let rewritten = rewritten.await?;
                    outcome.added.extend(rewritten);
                    outcome.replaced.push(index);
                }
            }
            return Ok(());
        };
        let rules = stage::Rules {
            key: Key::new(&self.table, columns, &self.schema)?,
            duplicates,
            deleted: self.write.mode.deleted().map(str::to_owned),
            history: self.history.clone(),
        };
        let staged = stage::stage(
            &place,
            &self.table,
            partitions,
            &admission,
            Some(&rules),
            &mut outcome.added,
        );
        let staged = staged.await?;
        let Some(incoming) = staged.incoming else {
            return Ok(());
        };
        let upsert = upsert::Upsert {
            place: place.clone(),
            key: rules.key,
            incoming: Arc::new(incoming),
            superseded: Arc::new(match self.history {
                // It keeps them.
                Some(_) => Gone::default(),
                None => Gone::new(&self.write.supersedes),
            }),
            effect: match (&self.write.mode, &self.history) {
                (_, Some(history)) => Effect::History(history.clone()),
                (Mode::Insert { .. }, _) => Effect::Yields,
                _ => Effect::Replaces,
            },
        };
        let mut findings = upsert.apply(&self.base, self.widened, outcome).await?;
        findings.unwanted.extend(staged.superseded);
        if self.history.is_some() {
            clock::say_if_ahead(&self.table, &findings);
        }
        stage::settle(&place, &staged.files, findings, &mut outcome.added).await
    }
}

/// Whether those who committed since `tip` was read only put the same rows into other files.
async fn only_moved(lake: &Lake, table: &TableName, path: &str, tip: Tip, newest: Option<u64>) -> Result<bool> {
    let (Some(then), Some(now)) = (tip.newest, newest) else {
        return Ok(false);
    };
    let since = Entries::read(table, &lake.log(path), then + 1..=now).await?;
    Ok(then <= now && since.keep_rows())
}

/// The new rows' columns as the table stores them, with the type Null where no row has a value.
fn stored(incoming: &Schema) -> Schema {
    let stored = types::storable(incoming);
    let fields = stored.fields().iter().zip(incoming.fields());
    let fields = fields.map(|(stored, incoming)| match incoming.data_type() {
        DataType::Null => stored.as_ref().clone().with_data_type(DataType::Null),
        _ => stored.as_ref().clone(),
    });
    Schema::new(fields.collect::<Vec<Field>>())
}

/// A table's columns after rows joined it.
struct Evolved {
    schema: SchemaRef,
    /// The columns that no row has a value of yet.
    open: Vec<String>,
    /// Whether any became wider.
    widened: bool,
    /// Those that were open.
    closed: Vec<String>,
}

impl Evolved {
    /// The columns of rows that nothing was there before.
    fn anew(columns: &Schema) -> Self {
        let open = columns
            .fields()
            .iter()
            .filter(|field| *field.data_type() == DataType::Null);
        Self {
            schema: Arc::new(types::storable(columns)),
            open: open.map(|field| field.name().clone()).collect(),
            widened: false,
            closed: Vec::new(),
        }
    }
}

/// The table's columns after rows of `incoming` joined it.
fn evolve(table: &TableName, base: &TableSnapshot, incoming: &Schema, evolution: &Evolution) -> Result<Evolved> {
    let ours = types::with_open(base.schema(), &base.open_columns());
    let join = match evolution {
        Evolution::Decided(_) => types::decided,
        Evolution::Refuse | Evolution::Widen => types::widest,
    };
    let merged = types::joined(ours.fields(), incoming.fields(), join);
    let changed = ours.fields().iter().zip(&merged);
    let changed = changed.filter(|(old, new)| !types::only_grows(old.data_type(), new.data_type()));
    let (closed, wider): (Vec<_>, Vec<_>) = changed.partition(|(old, _)| *old.data_type() == DataType::Null);
    if !wider.is_empty() && matches!(evolution, Evolution::Refuse) {
        let names: Vec<_> = wider
            .iter()
            .map(|(old, new)| format!("{} ({} cannot hold {})", old.name(), old.data_type(), new.data_type()))
            .collect();
        return Err(Error::config(
            format!("writing {table}"),
            format!("types do not fit: {}", names.join(", ")),
        )
        .hint("cast the columns, or rebuild the table with --full-refresh"));
    }
    Ok(Evolved {
        widened: !wider.is_empty(),
        closed: closed.iter().map(|(old, _)| old.name().clone()).collect(),
        ..Evolved::anew(&Schema::new(merged))
    })
}

/// Whether a file of `base` has one of those columns all the same: other engines write what the table has.
pub(crate) async fn any_file_has(lake: &Lake, base: &TableSnapshot, columns: &[String]) -> Result<bool> {
    if columns.is_empty() {
        return Ok(false);
    }
    let files = base.files().await?;
    let mut found = std::pin::pin!(data_file::columns_of(lake.object_store(), &files));
    while let Some(has) = found.try_next().await? {
        if has.iter().any(|column| columns.contains(column)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn check_names(table: &TableName, schema: &Schema) -> Result<()> {
    check_distinct(table, schema.fields())?;
    if schema.fields().is_empty() {
        return Err(Error::config(format!("writing {table}"), "there are no columns"));
    }
    Ok(())
}

/// Names that differ only in the case of their letters are one to Delta's readers, of fields within records as well.
fn check_distinct(table: &TableName, fields: &Fields) -> Result<()> {
    let mut seen = HashMap::new();
    for field in fields {
        if let Some(other) = seen.insert(field.name().to_lowercase(), field.name()) {
            return Err(Error::config(
                format!("writing {table}"),
                format!("the columns `{other}` and `{}` have the same name", field.name()),
            )
            .hint("rename one of them"));
        }
        let mut data_type = field.data_type();
        while let DataType::List(inner) | DataType::Map(inner, _) = data_type {
            data_type = inner.data_type();
        }
        if let DataType::Struct(inner) = data_type {
            check_distinct(table, inner)?;
        }
    }
    Ok(())
}
