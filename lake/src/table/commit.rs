//! The one Delta commit of a write.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use cordada_core::types::PII;
use cordada_core::{Context, Error, ErrorKind, Result, TableName};
use deltalake::DeltaTableError;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{
    Action, Add, ArrayType, DataType, MapType, Metadata, MetadataExt, Protocol, StructField, StructType, Transaction,
    new_metadata,
};
use deltalake::protocol::{DeltaOperation, SaveMode};

use crate::delta_error::DeltaContext;
use crate::lake::Lake;
use crate::table::log::Put;
use crate::table::mode::{Base, Mode, WriteReport};
use crate::table::outcome::Outcome;
use crate::table::rival::{COMMIT_ID, Entries};
use crate::table::snapshot::{DataFile, OPEN, TableSnapshot};
use crate::table::statistics;
use crate::table::tags;
use crate::table::tip::TIMELINE;
use crate::table::write::{self, TableWriter};

/// The table property that keeps [`crate::Write::state`]. A property, because checkpoints keep it and it holds text:
/// they drop what a commit says of itself, and a `txn` holds a number.
pub(crate) const STATE: &str = "cordada.state";

/// The table property of rows that cannot be had again from where they came.
pub(crate) const UNREPEATABLE: &str = "cordada.unrepeatable";

/// Commits that are tried while others compact the table, or add rows beside ours.
const ATTEMPTS: usize = 15;

/// What a transaction that was undone says: no load gives it, so that what it stood for can be landed again.
const UNDONE: i64 = -1;

/// Properties of our tables that keep other engines from removing what releases hold: the lake's own maintenance knows
/// which versions and files those are.
const PROTECTION: [(&str, &str); 3] = [
    ("delta.enableExpiredLogCleanup", "false"),
    ("delta.logRetentionDuration", "interval 1000 weeks"),
    ("delta.deletedFileRetentionDuration", "interval 1000 weeks"),
];

impl TableWriter {
    /// Puts the files of `outcome` in the place of those they replace. No commit is made that would say nothing.
    pub(crate) async fn commit(mut self, mut outcome: Outcome) -> Result<WriteReport> {
        let id = uuid::Uuid::now_v7().to_string();
        let undone = self.undone().await?;
        let mut attempt = 1;
        loop {
            let error = match self.try_commit(&outcome, &undone, &id).await {
                Err(error) if error.kind() == ErrorKind::Conflict => error,
                other => return other,
            };
            match self.give_way(&mut outcome, &id).await? {
                Rival::Ourselves(version) => return Ok(self.written(&outcome, version)),
                Rival::Bearable if attempt < ATTEMPTS => attempt += 1,
                _ => return Err(error),
            }
        }
    }

    async fn try_commit(&self, outcome: &Outcome, undone: &[Transaction], id: &str) -> Result<WriteReport> {
        let actions = self.actions(outcome)?;
        let version = match &self.latest {
            Some(latest) if self.says_nothing(&actions) => latest.version(),
            _ => self.write_log(actions, undone, id).await?,
        };
        Ok(self.written(outcome, version))
    }

    /// The table as the commit of `outcome` will make it; `None` if it would say nothing.
    pub(crate) fn candidate(&self, outcome: &Outcome) -> Result<Option<TableSnapshot>> {
        let actions = self.actions(outcome)?;
        match &self.latest {
            Some(_) if self.says_nothing(&actions) => Ok(None),
            latest => TableSnapshot::candidate(&self.path, latest.as_deref(), &actions).map(Some),
        }
    }

    fn says_nothing(&self, actions: &[Action]) -> bool {
        actions.is_empty() && self.write.transactions.is_empty()
    }

    /// What the commit does to the table's files and what is known about it.
    fn actions(&self, outcome: &Outcome) -> Result<Vec<Action>> {
        let mut actions = Vec::new();
        self.describe(&mut actions)?;
        let (gone, back) = self.moved(outcome);
        actions.extend(gone.into_iter().map(|file| Action::Remove(file.remove())));
        let forgetting = |file: &Arc<DataFile>| tags::without(&file.add, &self.personal);
        if !self.personal.is_empty() {
            let kept = self.kept(outcome).filter_map(forgetting);
            actions.extend(kept.map(Action::Add));
        }
        // What a version that is being undone had taken away comes back, if it has not just been named.
        let back = back.into_iter().filter(|file| forgetting(file).is_none());
        actions.extend(back.map(|file| Action::Add(file.add.clone())));
        actions.extend(outcome.added.iter().cloned().map(Action::Add));
        Ok(actions)
    }

    /// The files that the newest version loses, and those of the base that it gets back.
    fn moved(&self, outcome: &Outcome) -> (Vec<&Arc<DataFile>>, Vec<&Arc<DataFile>>) {
        let Some(overruled) = &self.overruled else {
            return (self.replaced(outcome).collect(), Vec::new());
        };
        let kept: Vec<_> = self.kept(outcome).collect();
        let stays: HashSet<&str> = kept.iter().map(|file| file.add.path.as_str()).collect();
        let there: HashSet<&str> = overruled.iter().map(|file| file.add.path.as_str()).collect();
        let gone = overruled.iter().filter(|file| !stays.contains(file.add.path.as_str()));
        let back = kept.iter().filter(|file| !there.contains(file.add.path.as_str()));
        (gone.collect(), back.copied().collect())
    }

    /// The files of the base that stay as they are.
    fn kept(&self, outcome: &Outcome) -> impl Iterator<Item = &Arc<DataFile>> {
        let replaced: HashSet<usize> = outcome.replaced.iter().copied().collect();
        let files = self.base.iter().enumerate();
        files
            .filter(move |(file, _)| !replaced.contains(file))
            .map(|(_, file)| file)
    }

    /// The files of the base that others take the place of.
    fn replaced(&self, outcome: &Outcome) -> impl Iterator<Item = &Arc<DataFile>> {
        outcome.replaced.iter().map(|&file| &self.base[file])
    }

    /// What to make of a version that somebody committed instead of ours: if it only put the same rows into other files, or
    /// ours are merely added, this write goes on from it.
    async fn give_way(&mut self, outcome: &mut Outcome, id: &str) -> Result<Rival> {
        let first = self.latest.as_ref().map_or(0, |latest| latest.version() + 1);
        let Some(moved) = self.lake.newest_at(&self.path).await? else {
            return Ok(Rival::Other);
        };
        let entries = Entries::read(&self.table, &self.lake.log(&self.path), first..=moved.version()).await?;
        if let Some(version) = entries.version_of(id) {
            return Ok(Rival::Ourselves(version));
        }
        let bearable = match &self.latest {
            // The same table was made, so far without rows or for rows beside which ours can be.
            None => {
                let agree = moved.schema() == &self.schema && moved.open_columns() == self.open;
                agree && (self.only_adds() || moved.files().await?.is_empty())
            }
            Some(latest) => {
                // Both found out the same about the columns.
                let agree = moved.schema() == &self.schema
                    && moved.metadata().configuration() == latest.metadata().configuration();
                entries.keep_rows() || (self.only_adds() && entries.leave_room(&self.write.transactions, agree))
            }
        };
        // Other engines write columns as text of which no row has a value yet.
        if !bearable || write::any_file_has(&self.lake, &moved, &self.closed).await? {
            return Ok(Rival::Other);
        }
        if let Some(overruled) = &mut self.overruled {
            *overruled = moved.files().await?;
        } else if !self.base.is_empty() || !self.personal.is_empty() {
            let files = moved.files().await?;
            let places = files.iter().enumerate();
            let places: HashMap<&str, usize> = places.map(|(at, file)| (file.add.path.as_str(), at)).collect();
            let replaced = self.replaced(outcome);
            let replaced: Option<Vec<usize>> = replaced
                .map(|file| places.get(file.add.path.as_str()).copied())
                .collect();
            let Some(replaced) = replaced else {
                return Ok(Rival::Other);
            };
            outcome.replaced = replaced;
            self.base = files.to_vec();
        }
        self.latest = Some(moved);
        Ok(Rival::Bearable)
    }

    /// Whether the rows are merely added, to whatever others add meanwhile.
    fn only_adds(&self) -> bool {
        self.write.mode == Mode::Append
            && self.write.base == Base::Latest
            && !self.widened
            && self.write.state.is_none()
            && self.write.supersedes.is_empty()
    }

    /// The transactions of versions that are undone, as they were before.
    async fn undone(&self) -> Result<Vec<Transaction>> {
        let (Base::Tip(tip), Some(latest)) = (self.write.base, &self.latest) else {
            return Ok(Vec::new());
        };
        if !tip.undoes() {
            return Ok(Vec::new());
        }
        let log = self.lake.log(&self.path);
        let since = tip.version.map_or(0, |version| version + 1);
        let entries = Entries::read(&self.table, &log, since..=latest.version()).await?;
        let own = |id: &str| self.write.transactions.iter().any(|(own, _)| own == id);
        let ids: BTreeSet<&str> = entries.applications().filter(|id| !own(id)).collect();
        let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
        let before = match tip.version {
            Some(version) => self.lake.transactions_at(&self.path, version, &ids).await?,
            None => HashMap::new(),
        };
        let restored = ids
            .iter()
            .map(|id| Transaction::new(id, before.get(id).copied().unwrap_or(UNDONE)));
        Ok(restored.collect())
    }

    pub(crate) fn written(&self, outcome: &Outcome, version: u64) -> WriteReport {
        let rows =
            |files: &mut dyn Iterator<Item = &Arc<DataFile>>| -> u64 { files.filter_map(|file| file.rows()).sum() };
        let rows_removed = match &self.overruled {
            Some(overruled) if self.base.is_empty() => rows(&mut overruled.iter()),
            _ => outcome.rows_removed,
        };
        // What a rewritten file keeps was there before.
        let before = rows(&mut self.replaced(outcome));
        WriteReport {
            version,
            // Other writers' files may not say how many they have.
            rows_added: (rows_of(&outcome.added) + outcome.rows_removed).saturating_sub(before),
            rows_removed,
            rows_closed: outcome.rows_closed,
            bytes_added: outcome
                .added
                .iter()
                .map(|add| u64::try_from(add.size).unwrap_or_default())
                .sum(),
        }
    }

    async fn write_log(&self, actions: Vec<Action>, undone: &[Transaction], id: &str) -> Result<u64> {
        let transactions = self
            .write
            .transactions
            .iter()
            .map(|(id, version)| Transaction::new(id, *version))
            .chain(undone.iter().cloned());
        let operation = DeltaOperation::Write {
            mode: match self.write.mode {
                Mode::Append => SaveMode::Append,
                _ => SaveMode::Overwrite,
            },
            partition_by: None,
            predicate: None,
        };
        let said = HashMap::from([(COMMIT_ID.to_owned(), id.into())]);
        let commit = CommitData::new(actions, operation, said, transactions.collect());
        put(&self.lake, &self.table, &self.path, self.latest.as_deref(), commit).await
    }

    /// The protocol of a new table; the columns and the state where they are new, in one action.
    fn describe(&self, actions: &mut Vec<Action>) -> Result<()> {
        let doing = || format!("describing the columns of {}", self.table);
        let columns: StructType = self.schema.as_ref().try_into_kernel().doing(doing)?;
        let (mut metadata, mut changed): (Metadata, bool) = match &self.latest {
            None => {
                let protocol = serde_json::json!({"minReaderVersion": 1, "minWriterVersion": 2});
                let protocol: Protocol = serde_json::from_value(protocol).doing(doing)?;
                actions.push(Action::Protocol(protocol));
                let metadata = new_metadata(&columns, [""; 0], [("", ""); 0]);
                let named = metadata.and_then(|metadata| metadata.with_name(self.table.to_string()));
                (named.doing(doing)?, true)
            }
            Some(latest) => (latest.metadata().clone(), false),
        };
        if let Some(latest) = self.latest.as_ref().filter(|latest| latest.schema() != &self.schema) {
            let columns = described(&columns, &latest.described()?)?;
            (metadata, changed) = (metadata.with_schema(&columns).doing(doing)?, true);
        }
        let mut properties: Vec<(&str, String)> = PROTECTION.map(|(key, value)| (key, value.to_owned())).into();
        properties.extend(self.write.state.clone().map(|state| (STATE, state)));
        if let Base::Tip(tip) = self.write.base {
            properties.push((TIMELINE, tip.timeline.to_string()));
        }
        if self.write.unrepeatable {
            properties.push((UNREPEATABLE, true.to_string()));
        }
        if !self.open.is_empty() || metadata.configuration().contains_key(OPEN) {
            properties.push((OPEN, serde_json::to_string(&self.open).doing(doing)?));
        }
        for (key, value) in properties {
            if metadata.configuration().get(key) != Some(&value) {
                (metadata, changed) = (metadata.add_config_key(key.to_owned(), value).doing(doing)?, true);
            }
        }
        if changed {
            actions.push(Action::Metadata(metadata));
        }
        Ok(())
    }
}

/// Commits the version after `latest`, the first one if there is none, and checkpoints the table if that is due.
///
/// # Errors
/// Conflict: there is a version after `latest`.
pub(crate) async fn put(
    lake: &Lake,
    table: &TableName,
    path: &str,
    latest: Option<&TableSnapshot>,
    commit: CommitData,
) -> Result<u64> {
    let doing = || format!("committing {table}");
    let candidate = TableSnapshot::candidate(path, latest, &commit.actions)?;
    let version = candidate.version();
    let entry = commit.get_bytes().map_err(DeltaTableError::from).doing(doing)?;
    let log = lake.log(path);
    match log.put(version, entry).await? {
        Put::Written => {
            lake.committed(log.checkpoint_if_due(candidate).await);
            return Ok(version);
        }
        Put::Taken => {}
        Put::Torn => log.clear_torn(version, nothing(version, &commit.actions)?).await?,
    }
    Err(Error::conflict(doing(), "another writer changed the table meanwhile").hint("run again"))
}

/// The columns with all that was said of them before, by whomever: comments, invariants, that they are never null.
/// What kind of personal data they hold is for the new rows to say.
fn described(columns: &StructType, before: &StructType) -> Result<StructType> {
    let fields = columns.fields().map(|field| {
        let Some(old) = before.field(&field.name) else {
            return Ok(field.clone());
        };
        let mut metadata = old.metadata.clone();
        metadata.remove(PII);
        metadata.extend(field.metadata.clone());
        Ok(StructField {
            name: field.name.clone(),
            data_type: described_type(&field.data_type, &old.data_type)?,
            nullable: old.nullable,
            metadata,
        })
    });
    let fields = fields.collect::<Result<Vec<_>>>()?;
    StructType::try_new(fields).map_err(|error| Error::failed("describing the columns of a table", error))
}

fn described_type(data_type: &DataType, before: &DataType) -> Result<DataType> {
    Ok(match (data_type, before) {
        (DataType::Struct(new), DataType::Struct(old)) => DataType::Struct(Box::new(described(new, old)?)),
        (DataType::Array(new), DataType::Array(old)) => {
            let element = described_type(&new.element_type, &old.element_type)?;
            DataType::Array(Box::new(ArrayType::new(element, old.contains_null)))
        }
        (DataType::Map(new), DataType::Map(old)) => {
            let value = described_type(&new.value_type, &old.value_type)?;
            let key = new.key_type.clone();
            DataType::Map(Box::new(MapType::new(key, value, old.value_contains_null)))
        }
        (new, _) => new.clone(),
    })
}

/// Who committed instead of us.
enum Rival {
    /// We did, at this version: the store's answer was lost.
    Ourselves(u64),
    /// Somebody whose commit ours can go on from.
    Bearable,
    Other,
}

/// The entry that takes the place of one that was cut off: it changes nothing, or makes the table that those actions would
/// make, without rows and without what they would say of their source.
fn nothing(version: u64, actions: &[Action]) -> Result<Bytes> {
    let doing = || "clearing a version that was cut off";
    let said = serde_json::json!({"commitInfo": {
        "timestamp": chrono::Utc::now().timestamp_millis(),
        "operation": "RECOVERY",
        "engineInfo": concat!("cordada:", env!("CARGO_PKG_VERSION")),
    }});
    let mut lines = vec![said.to_string()];
    for action in actions.iter().filter(|_| version == 0) {
        let action = match action {
            Action::Metadata(metadata) => Action::Metadata(metadata.clone().remove_config_key(STATE).doing(doing)?),
            Action::Protocol(_) => action.clone(),
            _ => continue,
        };
        lines.push(serde_json::to_string(&action).doing(doing)?);
    }
    Ok(lines.join("\n").into())
}

fn rows_of(files: &[Add]) -> u64 {
    let stats = files.iter().filter_map(|add| add.stats.as_deref());
    stats.filter_map(statistics::rows).sum()
}
