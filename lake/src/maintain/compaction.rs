//! Putting a table's small files together: the same rows in fewer files, as a version of its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cordada_core::conform::conform;
use cordada_core::spelling::Former;
use cordada_core::{ErrorKind, Result, TableName};
use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, Add, Remove};
use deltalake::protocol::DeltaOperation;
use futures::{StreamExt, TryStreamExt};

use super::plan::{self, Effort};
use crate::lake::Lake;
use crate::release::{Draft, Relation};
use crate::table::commit;
use crate::table::data_file::{self, FileWriter};
use crate::table::protocol::{self, Change};
use crate::table::rival::{COMMIT_ID, Entries};
use crate::table::snapshot::{self, DataFile, TableSnapshot};

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compacted {
    /// The version with the new files.
    pub(super) version: u64,
    /// Files that were put together.
    pub(super) files: u64,
    /// Files that they became.
    pub(super) into: u64,
    /// The bytes of those.
    pub(super) bytes: u64,
}

/// Puts the small files of the table together. `None` if there is nothing to do, or others came first.
///
/// Readers keep the files that their release has. Writers are not stopped: what they commit meanwhile stays.
pub(super) async fn compact(lake: &Lake, table: &TableName, effort: Effort) -> Result<Option<Compacted>> {
    let path = lake.path_of(table);
    let tip = lake.tip(table).await?;
    // What was undone by a rollback is taken out by the next load, not put together.
    let Some(version) = tip.newest.filter(|_| !tip.undoes()) else {
        return Ok(None);
    };
    let snapshot = lake.snapshot(&path, version).await?;
    protocol::check(table, &snapshot, Change::Adds)?;
    let all = snapshot.files().await?;
    let sizes: Vec<u64> = all.iter().map(|file| size(file)).collect();
    let mut done: Option<Compacted> = None;
    for group in plan::groups(&sizes, effort) {
        let files: Vec<Arc<DataFile>> = group.iter().map(|&at| all[at].clone()).collect();
        let merged = merge(lake, &snapshot, &files).await?;
        let (count, bytes) = (
            merged.len() as u64,
            merged.iter().map(|add| add.size.unsigned_abs()).sum::<u64>(),
        );
        let Some(version) = commit(lake, table, &files, merged).await? else {
            break;
        };
        let before = done.unwrap_or(Compacted {
            version,
            files: 0,
            into: 0,
            bytes: 0,
        });
        done = Some(Compacted {
            version,
            files: before.files + files.len() as u64,
            into: before.into + count,
            bytes: before.bytes + bytes,
        });
    }
    if let Some(done) = done {
        publish(lake, table, done.version).await?;
    }
    Ok(done)
}

fn size(file: &DataFile) -> u64 {
    u64::try_from(file.add.size).unwrap_or_default()
}

/// The rows of `files`, in their order, in new files.
async fn merge(lake: &Lake, snapshot: &TableSnapshot, files: &[Arc<DataFile>]) -> Result<Vec<Add>> {
    let store = lake.object_store();
    let open = snapshot.open_columns();
    let others = match open.is_empty() {
        true => Vec::new(),
        false => data_file::columns_of(store, files).try_concat().await?,
    };
    let schema = snapshot::written(snapshot.schema(), &open, &others);
    let mut writer = FileWriter::new(lake, snapshot.path(), schema.clone())?;
    let copied = async {
        for file in files {
            let mut batches = data_file::read(store, &file.location, size(file), None).await?;
            while let Some(batch) = batches.next().await {
                writer.write(&conform(&batch?, &schema, &Former::default())?).await?;
            }
        }
        writer.end().await
    };
    let copied = copied.await;
    let mut merged = writer.into_files();
    if let Err(error) = copied {
        data_file::discard(store, snapshot.path(), &merged).await;
        return Err(error);
    }
    merged.iter_mut().for_each(|add| add.data_change = false);
    Ok(merged)
}

/// Commits `merged` in the place of `files`, on top of whatever was committed meanwhile, as long as that left `files` as
/// they are. `None`, and the new files are gone, if it did not.
async fn commit(lake: &Lake, table: &TableName, files: &[Arc<DataFile>], merged: Vec<Add>) -> Result<Option<u64>> {
    let path = lake.path_of(table);
    let id = uuid::Uuid::now_v7().to_string();
    let removed = files.iter().map(|file| Remove {
        data_change: false,
        ..file.remove()
    });
    let actions: Vec<Action> = removed
        .map(Action::Remove)
        .chain(merged.iter().cloned().map(Action::Add))
        .collect();
    loop {
        let turn = lake.writer(&path);
        let _turn = turn.lock().await;
        let Some(newest) = lake.newest_at(&path).await? else {
            return Ok(None);
        };
        let there = newest.files().await?;
        let there: HashSet<&str> = there.iter().map(|file| file.add.path.as_str()).collect();
        if !files.iter().all(|file| there.contains(file.add.path.as_str())) {
            // Ours, if the store's answer was lost.
            if merged.iter().all(|add| there.contains(add.path.as_str())) {
                return Ok(Some(newest.version()));
            }
            data_file::discard(lake.object_store(), &path, &merged).await;
            return Ok(None);
        }
        let operation = DeltaOperation::Optimize {
            predicate: None,
            target_size: plan::GROUP.try_into().unwrap_or(i64::MAX),
        };
        let said = HashMap::from([(COMMIT_ID.to_owned(), id.as_str().into())]);
        let commit = CommitData::new(actions.clone(), operation, said, Vec::new());
        match commit::put(lake, table, &path, Some(&newest), commit).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            committed => return committed.map(Some),
        }
    }
}

/// Publishes `version` if it has the rows that are published. Otherwise whoever publishes the others publishes it too.
async fn publish(lake: &Lake, table: &TableName, version: u64) -> Result<()> {
    let path = lake.path_of(table);
    let base = lake.releases().newest().await?;
    let Some(published) = base
        .published_version(table, &path)
        .filter(|published| *published < version)
    else {
        return Ok(());
    };
    let since = Entries::read(table, &lake.log(&path), published + 1..=version).await?;
    let Some(relation) = base.relation(table).filter(|_| since.keep_rows()) else {
        return Ok(());
    };
    let moved: Relation = relation.in_other_files(version);
    let mut draft = Draft::new(base, "maintain", uuid::Uuid::now_v7().to_string());
    draft.set(table.clone(), moved);
    match lake.releases().publish(&draft).await {
        // Rows were published meanwhile.
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
        published => published.map(|_| ()),
    }
}
