//! The files of a table at a version, put together when somebody asks for them: whoever adds rows to a table needs none
//! of them, and what that costs must not grow with the table.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{Schema, SchemaRef};
use cordada_core::{Error, Result, types};
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use tokio::sync::OnceCell;

use crate::table::layers::Layers;
use crate::table::log::{AddedFile, Checkpoint, Log};
use crate::table::snapshot::DataFile;

/// Files whose statistics are merged at a time: each of them takes some hundred bytes a column until then.
const MERGED_FILES: usize = 64;

/// The files of a table, oldest first.
#[derive(Debug)]
pub struct Files {
    list: Vec<Arc<DataFile>>,
    /// The table's columns.
    schema: SchemaRef,
    statistics: OnceLock<Statistics>,
    bytes: usize,
}

impl Files {
    fn new(mut list: Vec<Arc<DataFile>>, schema: &SchemaRef) -> Self {
        // The log lists files in no order; that of their arrival is the one people expect.
        list.sort_by(|a, b| (a.add.modification_time, &a.add.path).cmp(&(b.add.modification_time, &b.add.path)));
        Self {
            bytes: list.iter().map(|file| file.bytes()).sum(),
            schema: schema.clone(),
            statistics: OnceLock::new(),
            list,
        }
    }

    /// The number of rows, when every file says how many it has.
    pub fn rows(&self) -> Option<u64> {
        self.list.iter().map(|file| file.rows()).sum()
    }

    /// The statistics of the whole table, for the optimizer.
    pub fn statistics(&self) -> &Statistics {
        self.statistics.get_or_init(|| merged(self.list.iter(), &self.schema))
    }
}

impl Deref for Files {
    type Target = [Arc<DataFile>];

    fn deref(&self) -> &Self::Target {
        &self.list
    }
}

/// The files of one version: those that the table had at an earlier one, and what changed since.
#[derive(Debug)]
pub(crate) struct FileList {
    start: Arc<Start>,
    /// By their paths: what was added, and `None` for those that were taken out.
    since: Layers<Option<Arc<DataFile>>>,
    /// About how much memory those take, in bytes.
    since_bytes: usize,
    all: OnceCell<Arc<Files>>,
}

/// The files at an earlier version.
#[derive(Debug)]
enum Start {
    Known(Arc<Files>),
    /// Those of a checkpoint, once they were read.
    Checkpoint {
        log: Log,
        checkpoint: Checkpoint,
        files: OnceCell<Arc<Files>>,
    },
}

impl Start {
    /// The files, if they are in memory.
    fn known(&self) -> Option<&Arc<Files>> {
        match self {
            Self::Known(files) => Some(files),
            Self::Checkpoint { files, .. } => files.get(),
        }
    }
}

impl FileList {
    /// Of a table that has none yet, with columns of `schema`.
    pub(crate) fn none(schema: &SchemaRef) -> Self {
        Self::from(Start::Known(Arc::new(Files::new(Vec::new(), schema))))
    }

    /// That of a checkpoint.
    pub(crate) fn at(log: Log, checkpoint: Checkpoint) -> Self {
        Self::from(Start::Checkpoint {
            log,
            checkpoint,
            files: OnceCell::new(),
        })
    }

    fn from(start: Start) -> Self {
        Self {
            start: Arc::new(start),
            since: Layers::default(),
            since_bytes: 0,
            all: OnceCell::new(),
        }
    }

    /// The list after `changes`, of files by their paths; the table at `table` has columns of `schema` then.
    pub(crate) fn then(&self, table: &str, changes: HashMap<String, Option<AddedFile>>, schema: &SchemaRef) -> Self {
        // Asked once: somebody may be reading the files.
        let (start, since, since_bytes) = match self.all.get() {
            Some(all) => (Arc::new(Start::Known(all.clone())), Layers::default(), 0),
            None => (self.start.clone(), self.since.clone(), self.since_bytes),
        };
        let file = |added: AddedFile| Arc::new(DataFile::new(table, added.into_add(), schema));
        let changes = changes.into_iter().map(|(path, added)| (path, added.map(file)));
        let changes: HashMap<_, _> = changes.collect();
        let more = changes
            .iter()
            .map(|(path, file)| path.len() + file.as_ref().map_or(0, |file| file.bytes()));
        Self {
            start,
            since_bytes: since_bytes + more.sum::<usize>(),
            since: since.then(changes),
            all: OnceCell::new(),
        }
    }

    /// The same list, once there is that checkpoint of its version: what is not in memory is read from there.
    pub(crate) fn checkpointed(self, log: Log, checkpoint: Checkpoint) -> Self {
        match self.all.initialized() || self.start.known().is_some() {
            true => self,
            false => Self::at(log, checkpoint),
        }
    }

    /// The files of this version, which is that of the table's log that has columns of `schema`.
    ///
    /// # Errors
    /// Neither the checkpoint that the list begins with nor a later one can be read.
    pub(crate) async fn get(&self, version: u64, schema: &SchemaRef) -> Result<&Arc<Files>> {
        let read = || async {
            let (log, checkpoint, files) = match self.start.as_ref() {
                Start::Known(start) => return Ok(self.after(start, schema)),
                Start::Checkpoint { log, checkpoint, files } => (log, checkpoint, files),
            };
            let start = files.get_or_try_init(|| async {
                let files = log.checkpoint_files(checkpoint).await?;
                let files = files
                    .into_iter()
                    .map(|file| DataFile::new(log.table(), file.into_add(), schema));
                Ok(Arc::new(Files::new(files.map(Arc::new).collect(), schema)))
            });
            match start.await {
                Ok(start) => Ok(self.after(start, schema)),
                // It was cleaned up since: a later one, and entries after it, say the same.
                Err::<_, Error>(error) => {
                    tracing::debug!(table = log.table(), version, %error, "the log is read anew");
                    log.files_at(version).await
                }
            }
        };
        self.all.get_or_try_init(read).await
    }

    /// The files, if what they begin with is in memory.
    pub(crate) fn known(&self, schema: &SchemaRef) -> Option<Arc<Files>> {
        let known = self.all.get().cloned();
        known.or_else(|| self.start.known().map(|start| self.after(start, schema)))
    }

    fn after(&self, start: &Arc<Files>, schema: &SchemaRef) -> Arc<Files> {
        let changes = self.since.all();
        if changes.is_empty() && Arc::ptr_eq(&start.schema, schema) {
            return start.clone();
        }
        let kept = start
            .iter()
            .filter(|file| !changes.contains_key(file.add.path.as_str()));
        let files = kept.chain(changes.values().filter_map(|file| file.as_ref()));
        let files = files.map(|file| match file.has(schema) {
            true => file.clone(),
            false => Arc::new(file.with_schema(schema)),
        });
        Arc::new(Files::new(files.collect(), schema))
    }

    /// About how much memory it takes, in bytes, what it shares with other versions included.
    pub(crate) fn bytes(&self) -> usize {
        let known = self.all.get().or_else(|| self.start.known());
        self.since_bytes + known.map_or(0, |files| files.bytes)
    }
}

/// The statistics of those files together, of a table with those columns.
pub(crate) fn merged<'a>(mut files: impl Iterator<Item = &'a Arc<DataFile>>, schema: &Schema) -> Statistics {
    let readable = types::readable(schema);
    let mut all: Option<Statistics> = None;
    loop {
        let some: Vec<Statistics> = files
            .by_ref()
            .take(MERGED_FILES)
            .map(|file| file.statistics())
            .collect();
        if some.is_empty() {
            break;
        }
        all = match Statistics::try_merge_iter(all.iter().chain(&some), &readable) {
            Ok(merged) => Some(merged),
            Err(_) => return Statistics::new_unknown(schema),
        };
    }
    all.unwrap_or_else(|| Statistics {
        num_rows: Precision::Exact(0),
        ..Statistics::new_unknown(schema)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::table::log::Changes;

    /// What an entry of a log says that adds a file.
    fn adds(path: &str) -> HashMap<String, Option<AddedFile>> {
        let add = format!(
            r#"{{"add":{{"path":"{path}","partitionValues":{{}},"size":1,"modificationTime":1,"dataChange":true}}}}"#
        );
        Changes::parse(add.as_bytes()).unwrap().files
    }

    #[test]
    fn a_version_has_its_files_whoever_asks_for_those_of_the_one_before() {
        let schema: SchemaRef = Arc::new(Schema::empty());
        let files = |list: &FileList| -> usize {
            let ready = tokio::runtime::Builder::new_current_thread().build().unwrap();
            ready.block_on(list.get(1, &schema)).unwrap().len()
        };
        for _ in 0..500 {
            let before = FileList::none(&schema).then("t", adds("a"), &schema);
            let together = Barrier::new(2);
            let after = std::thread::scope(|scope| {
                scope.spawn(|| {
                    together.wait();
                    assert_eq!(files(&before), 1);
                });
                together.wait();
                before.then("t", adds("b"), &schema)
            });
            assert_eq!(files(&after), 2);
        }
    }
}
