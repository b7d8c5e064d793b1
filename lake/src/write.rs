//! Writing a table: batches in, one Delta commit out.
//!
//! The incoming rows become files ([`stage`]); where the write goes by key they then meet the rows that are there
//! ([`upsert`], [`history`]), of which only files that change are written again; one commit puts the new files in the
//! place of the old ([`commit`]).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Fields, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use deltalake::kernel::Add;

use crate::commit;
use crate::data_file;
use crate::error::{Error, Result};
use crate::history::{self, History};
use crate::keys::{Duplicates, Key};
use crate::lake::Lake;
use crate::names::TableName;
use crate::snapshot::{DataFile, TableSnapshot};
use crate::stage::{self, Folder};
use crate::types;
use crate::upsert::{self, Effect};

/// What a write does with the rows that are there. Where it goes by key, null equals null, and of the new rows a later
/// partition's come after an earlier one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Keeps them and adds the new ones.
    Append,
    /// Replaces all of them; the schema becomes the new rows' own.
    Overwrite,
    /// Replaces those with the same key. Of new rows with the same key the last one stays.
    Upsert {
        /// The columns that identify a row.
        key: Vec<String>,
        /// A Boolean column of the new rows that the table does not get: where it is true, the row with that key goes
        /// and the new one does not land. If it is the last of its key, the key is gone.
        deleted: Option<String>,
    },
    /// Keeps them and adds those of the new rows whose key is not there. Of new rows with the same key the first one
    /// stays.
    Insert {
        /// The columns that identify a row.
        key: Vec<String>,
    },
    /// Replaces those with one of the new rows' keys by all new rows: many may share a key, such as that of a parent.
    ReplaceGroups {
        /// The columns that identify a group of rows.
        key: Vec<String>,
        /// As of an upsert: where it is true, the new row does not land; the group with its key goes all the same.
        deleted: Option<String>,
    },
    /// Keeps the former rows beside the current ones, as a dimension of type 2: see [`crate::history`].
    History {
        /// The columns that identify a row among the current ones. Of new rows with the same key the last one stays.
        key: Vec<String>,
        /// As of an upsert: where it is true, the current row with that key is closed and none begins.
        deleted: Option<String>,
        /// Columns whose change alone is none, such as `_load_id`. They keep the value that began the row.
        ignored: Vec<String>,
        /// When the new rows begin and the former ones end, in microseconds UTC.
        at: i64,
        /// What becomes of current rows whose key is not among the new ones.
        missing: Missing,
    },
}

impl Mode {
    fn key(&self) -> Option<(&[String], Duplicates)> {
        match self {
            Mode::Append | Mode::Overwrite => None,
            Mode::Insert { key } => Some((key, Duplicates::FirstStays)),
            Mode::ReplaceGroups { key, .. } => Some((key, Duplicates::AllStay)),
            Mode::Upsert { key, .. } | Mode::History { key, .. } => Some((key, Duplicates::LastStays)),
        }
    }

    fn deleted(&self) -> Option<&str> {
        match self {
            Mode::Append | Mode::Overwrite | Mode::Insert { .. } => None,
            Mode::Upsert { deleted, .. } | Mode::ReplaceGroups { deleted, .. } | Mode::History { deleted, .. } => {
                deleted.as_deref()
            }
        }
    }
}

/// What a key that is not among the new rows means to [`Mode::History`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: the new rows are changes.
    Keep,
    /// That its row is no more: the new rows are everything there is, and all in this one write.
    Close,
}

/// Which state of the table the write builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The newest version, published or not.
    Latest,
    /// This version: whatever later versions changed is undone in the same commit.
    Version(u64),
    /// Nothing: as if the table were empty.
    Nothing,
}

/// A write to be done.
#[derive(Debug, Clone)]
pub struct Write {
    /// What to do with the rows that are there.
    pub mode: Mode,
    /// The state to build on.
    pub base: Base,
    /// The new rows' columns, any Arrow types; what Delta cannot hold is converted ([`crate::types::storable`]).
    /// Of the field metadata `comment` (text for people) and `pii` (no statistics for that column) are kept.
    pub schema: SchemaRef,
    /// Whether a column that no longer fits its type makes the table's column wider, rewriting its files in
    /// the same commit. Otherwise such a write is refused.
    pub widen: bool,
    /// Application transactions that go into the same commit: `(application id, version)`.
    pub transactions: Vec<(String, i64)>,
    /// A text that the table keeps with the rows of this commit, in the place of the one before; see [`Lake::state`].
    /// Never a secret: whoever can read the table can read it.
    pub state: Option<String>,
}

impl Write {
    /// A write of rows of `schema` in `mode` on the latest version.
    pub fn new(mode: Mode, schema: SchemaRef) -> Self {
        Self {
            mode,
            base: Base::Latest,
            schema,
            widen: false,
            transactions: Vec::new(),
            state: None,
        }
    }
}

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The Delta version it made; the one there was if nothing changed, for then there is no commit.
    pub version: u64,
    /// Rows that it added, replaced ones included.
    pub rows_added: u64,
    /// Rows of the table that went: replaced by the same key, deleted or overwritten.
    pub rows_removed: u64,
    /// Rows that became former ones ([`Mode::History`]); they are still among the table's.
    pub rows_closed: u64,
    /// Rows that the table has now.
    pub rows: u64,
    /// Bytes of the new files.
    pub bytes_added: u64,
}

impl Lake {
    /// Writes the rows of all partitions, each partition in a task of its own, as one commit.
    ///
    /// Creates the table when there is none. Columns that the table lacks are added to it; columns that the
    /// rows lack become null. If anything fails, or the future is dropped, the table is as it was.
    ///
    /// # Errors
    /// Config for a type that does not fit, a key column that is missing; conflict when another writer came first.
    pub async fn write(
        &self,
        table: &TableName,
        write: Write,
        partitions: Vec<SendableRecordBatchStream>,
    ) -> Result<Written> {
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
    ) -> Result<Written> {
        let path = self.path_of(table);
        let turn = self.writer(&path);
        let _turn = turn.lock().await;
        let writing = Writing::begin(self, table, &path, write).await?;
        let mut outcome = Outcome::default();
        let staged = async {
            writing.produce(partitions, &mut outcome).await?;
            before_commit.await
        };
        if let Err(error) = staged.await {
            data_file::discard(self.object_store(), &path, &outcome.added).await;
            return Err(error);
        }
        // From here on nothing is discarded: a commit that reports an error may be durable all the same (its
        // checkpoint failed, its answer was lost), and then the files are the table's. Otherwise they are garbage.
        writing.commit(&outcome).await
    }

    /// The text that the newest write with a [`Write::state`] left in the table, as of its newest version.
    pub async fn state(&self, table: &TableName) -> Result<Option<String>> {
        let Some(version) = self.latest_version(table).await? else {
            return Ok(None);
        };
        let snapshot = self.snapshot(&self.path_of(table), version).await?;
        Ok(snapshot.property(commit::STATE).map(str::to_owned))
    }
}

/// A write in progress.
pub(crate) struct Writing<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) table: &'a TableName,
    pub(crate) path: &'a str,
    pub(crate) write: Write,
    /// The newest version, if the table exists.
    pub(crate) latest: Option<Arc<TableSnapshot>>,
    /// The files that the write builds on, and their columns.
    pub(crate) base: Vec<DataFile>,
    /// The columns that the table will have.
    pub(crate) schema: SchemaRef,
    /// Whether the base's files must be rewritten because a column became wider.
    pub(crate) widened: bool,
    history: Option<Arc<History>>,
}

/// The files that a write made, and how many rows and files it took from the base.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) added: Vec<Add>,
    /// Indexes into the base.
    pub(crate) replaced: Vec<usize>,
    pub(crate) rows_removed: u64,
    pub(crate) rows_closed: u64,
}

impl<'a> Writing<'a> {
    async fn begin(lake: &'a Lake, table: &'a TableName, path: &'a str, write: Write) -> Result<Self> {
        let latest = match lake.latest_version_at(path).await? {
            Some(version) => Some(lake.snapshot(path, version).await?),
            None => None,
        };
        let base = match (&write.mode, write.base, &latest) {
            (Mode::Overwrite, ..) | (_, Base::Nothing, _) | (_, _, None) => None,
            (_, Base::Latest, Some(latest)) => Some(latest.clone()),
            (_, Base::Version(version), Some(_)) => Some(lake.snapshot(path, version).await?),
        };
        let mut incoming = types::storable(&write.schema);
        if let Some(deleted) = write.mode.deleted() {
            incoming = stage::without_deleted(table, &incoming, deleted)?;
        }
        check_names(table, &incoming)?;
        let mut history = None;
        if let Mode::History {
            ignored, at, missing, ..
        } = &write.mode
        {
            let files = base.as_ref().map(|base| (base.schema().as_ref(), base.files()));
            history = Some(Arc::new(History::new(&incoming, ignored, *at, *missing, files)));
            incoming = history::with_columns(table, &incoming)?;
        }
        let (schema, widened) = match &base {
            None => (Arc::new(incoming), false),
            Some(base) => evolve(table, base.schema(), &incoming, write.widen)?,
        };
        let base = base.map(|base| base.files().to_vec()).unwrap_or_default();
        Ok(Self {
            lake,
            table,
            path,
            write,
            latest,
            base,
            schema,
            widened,
            history,
        })
    }

    /// Writes all files that the commit will add, into `outcome` as they come, so that a failure can discard them.
    async fn produce(&self, partitions: Vec<SendableRecordBatchStream>, outcome: &mut Outcome) -> Result<()> {
        let place = Folder {
            lake: self.lake.clone(),
            path: self.path.to_owned(),
            schema: self.schema.clone(),
        };
        let Some((columns, duplicates)) = self.write.mode.key() else {
            stage::stage(&place, self.table, partitions, None, &mut outcome.added).await?;
            if self.widened {
                for (index, file) in self.base.iter().enumerate() {
                    let rewritten = place.rewrite(file, |_, batch| Ok(batch)).await?;
                    outcome.added.extend(rewritten);
                    outcome.replaced.push(index);
                }
            }
            return Ok(());
        };
        let rules = stage::Rules {
            key: Key::new(self.table, columns, &self.schema)?,
            duplicates,
            deleted: self.write.mode.deleted().map(str::to_owned),
            history: self.history.clone(),
        };
        let staged = stage::stage(&place, self.table, partitions, Some(&rules), &mut outcome.added).await?;
        let Some(incoming) = staged.incoming else {
            return Ok(());
        };
        let meeting = upsert::Meeting {
            place: place.clone(),
            key: rules.key,
            incoming: Arc::new(incoming),
            effect: match (&self.write.mode, &self.history) {
                (_, Some(history)) => Effect::History(history.clone()),
                (Mode::Insert { .. }, _) => Effect::Yields,
                _ => Effect::Replaces,
            },
        };
        let mut unwanted = staged.superseded;
        unwanted.extend(meeting.with(&self.base, self.widened, outcome).await?);
        stage::drop_rows(&place, &staged.files, unwanted, &mut outcome.added).await
    }
}

/// The table's columns after rows of `incoming` joined it, and whether any became wider.
fn evolve(table: &TableName, ours: &SchemaRef, incoming: &Schema, widen: bool) -> Result<(SchemaRef, bool)> {
    let merged = types::merge_fields(ours.fields(), incoming.fields());
    let wider: Vec<_> = ours
        .fields()
        .iter()
        .zip(&merged)
        .filter(|(old, new)| old.data_type() != new.data_type())
        .collect();
    // A struct with a field more reads old files as they are; anything else in them has to be cast.
    let widened = !wider.is_empty();
    if widened && !widen {
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
    let schema = Schema::new(Fields::from(merged));
    Ok((Arc::new(schema), widened))
}

fn check_names(table: &TableName, schema: &Schema) -> Result<()> {
    let mut seen = HashMap::new();
    for field in schema.fields() {
        if let Some(other) = seen.insert(field.name().to_lowercase(), field.name()) {
            return Err(Error::config(
                format!("writing {table}"),
                format!("the columns `{other}` and `{}` have the same name", field.name()),
            )
            .hint("rename one of them"));
        }
    }
    if schema.fields().is_empty() {
        return Err(Error::config(format!("writing {table}"), "there are no columns"));
    }
    Ok(())
}
