//! Replacing rows by key, copy-on-write: hash the incoming keys, pass over files whose statistics exclude them, and
//! rewrite only the files that hold one.
//!
//! delta-rs MERGE is a full outer join that cannot spill; here memory holds the incoming keys' hashes (up to 100 bytes
//! each) and a few batches, whatever the size of the table. Keys are told apart by 128 bits of two independently
//! seeded hashes: for a billion keys against a billion rows the odds of one mistaken row are below 10⁻²⁰.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use deltalake::kernel::Add;
use futures::StreamExt;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::data_file::{self, FileWriter};
use crate::error::{Context, Error, Result};
use crate::lake::Lake;
use crate::names::TableName;
use crate::snapshot::{DataFile, data_file};
use crate::types;

/// The columns that identify a row, and how they are hashed. Seeds are new for each write, so nobody can prepare
/// keys that collide.
#[derive(Clone)]
pub(crate) struct Key {
    columns: Vec<String>,
    seeds: [RandomState; 2],
}

impl Key {
    pub(crate) fn new(table: &TableName, columns: &[String], schema: &Schema) -> Result<Self> {
        for column in columns {
            let field = schema.field_with_name(column).map_err(|_| {
                let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                Error::config(
                    format!("upserting into {table}"),
                    format!("there is no key column `{column}`"),
                )
                .hint(format!("the columns are: {}", names.join(", ")))
            })?;
            if field.data_type().is_nested() {
                return Err(Error::config(
                    format!("upserting into {table}"),
                    format!("the key column `{column}` is a {}", field.data_type()),
                )
                .hint("use columns of plain values"));
            }
        }
        if columns.is_empty() {
            return Err(Error::config(format!("upserting into {table}"), "there is no key").hint("name its columns"));
        }
        let (one, two) = Uuid::new_v4().as_u64_pair();
        let seeds = [RandomState::with_seed(one), RandomState::with_seed(two)];
        Ok(Self {
            columns: columns.to_vec(),
            seeds,
        })
    }

    /// A hash for each row's key. Null is a value like others.
    pub(crate) fn hashes(&self, batch: &RecordBatch) -> Result<impl Iterator<Item = u128> + use<>> {
        let columns: Vec<ArrayRef> = self
            .columns
            .iter()
            .filter_map(|column| batch.column_by_name(column).cloned())
            .collect();
        let hash = |seed: &RandomState| -> Result<Vec<u64>> {
            let mut hashes = vec![0; batch.num_rows()];
            create_hashes(&columns, seed, &mut hashes).doing(|| "hashing keys")?;
            Ok(hashes)
        };
        let (high, low) = (hash(&self.seeds[0])?, hash(&self.seeds[1])?);
        Ok(high
            .into_iter()
            .zip(low)
            .map(|(high, low)| (u128::from(high) << 64) | u128::from(low)))
    }
}

/// The keys of one partition's rows: for each key the last row that has it, and the rows that those supersede.
#[derive(Default)]
pub(crate) struct PartitionKeys {
    last: HashMap<u128, u64, RandomState>,
    superseded: Vec<u64>,
    rows: u64,
}

impl PartitionKeys {
    pub(crate) fn extend(&mut self, hashes: impl Iterator<Item = u128>) {
        for hash in hashes {
            self.superseded.extend(self.last.insert(hash, self.rows));
            self.rows += 1;
        }
    }
}

/// The keys of all incoming rows, and which staged rows are superseded by a later one.
#[derive(Default)]
pub(crate) struct KeyIndex {
    /// By key: the last row, counted over all partitions in their order.
    last: HashMap<u128, u64, RandomState>,
    superseded: Vec<u64>,
    rows: u64,
    /// The staged files: index into the list of added files, and the number of its first row.
    files: Vec<(usize, u64)>,
}

impl KeyIndex {
    /// Adds the next partition, whose rows went into `files`, the first of which is number `first_file`.
    pub(crate) fn add_partition(&mut self, keys: PartitionKeys, files: &[Add], first_file: usize) {
        let start = self.rows;
        if self.last.is_empty() {
            self.last = keys.last;
        } else {
            for (hash, row) in keys.last {
                self.superseded.extend(self.last.insert(hash, start + row));
            }
        }
        self.superseded
            .extend(keys.superseded.into_iter().map(|row| start + row));
        let mut row = start;
        for (number, file) in files.iter().enumerate() {
            self.files.push((first_file + number, row));
            row += data_file("", file.clone(), &Schema::empty()).rows().unwrap_or_default();
        }
        self.rows += keys.rows;
    }
}

/// What a rewritten file became.
pub(crate) struct Rewritten {
    pub(crate) files: Vec<Add>,
    pub(crate) rows_removed: u64,
}

/// The table that is written to.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) lake: Lake,
    pub(crate) path: String,
    pub(crate) schema: SchemaRef,
    pub(crate) key: Key,
}

impl Target {
    /// Takes rows that a later incoming row supersedes out of the staged files.
    pub(crate) async fn drop_superseded(&self, index: &KeyIndex, added: &mut Vec<Add>) -> Result<()> {
        if index.superseded.is_empty() {
            return Ok(());
        }
        let mut superseded = index.superseded.clone();
        superseded.sort_unstable();
        let mut replaced = Vec::new();
        let mut replacements = Vec::new();
        for (position, &(number, start)) in index.files.iter().enumerate() {
            let end = index.files.get(position + 1).map_or(index.rows, |next| next.1);
            let from = superseded.partition_point(|row| *row < start);
            let to = superseded.partition_point(|row| *row < end);
            if from == to {
                continue;
            }
            let mut keep = BooleanBufferBuilder::new(0);
            keep.append_n((end - start) as usize, true);
            for row in &superseded[from..to] {
                keep.set_bit((row - start) as usize, false);
            }
            let file = data_file(&self.path, added[number].clone(), &self.schema);
            replacements.extend(rewrite(&self.lake, &self.path, &self.schema, &file, Some(keep.finish())).await?);
            replaced.push(added[number].path.clone());
        }
        let (old, mut kept): (Vec<_>, Vec<_>) = added.drain(..).partition(|add| replaced.contains(&add.path));
        kept.extend(replacements);
        *added = kept;
        data_file::discard(self.lake.object_store(), &self.path, &old).await;
        Ok(())
    }

    /// Rewrites the files of `base` that hold a key of `staged`, as many at a time as there are cores; all of them
    /// if `always`, because a column became wider. Says which files were replaced by what.
    pub(crate) async fn replace(
        &self,
        index: KeyIndex,
        staged: &[Add],
        base: &[DataFile],
        always: bool,
    ) -> Result<Vec<(usize, Rewritten)>> {
        let index = Arc::new(index);
        let bounds = Bounds::of(staged, self);
        let candidates = base
            .iter()
            .enumerate()
            .filter(|(_, file)| always || bounds.may_hold(file));
        let rewrites = futures::stream::iter(candidates.map(|(number, file)| {
            let (target, index, file) = (self.clone(), index.clone(), file.clone());
            async move {
                // A task set of one: dropped with the write, so that a cancelled write stops its work.
                let mut task = JoinSet::new();
                task.spawn(async move { target.replace_in(&index, &file, always).await });
                let Some(rewritten) = task.join_next().await else {
                    return Ok(None);
                };
                let rewritten = rewritten.map_err(|error| Error::failed("rewriting a data file", error))??;
                Ok::<_, Error>(rewritten.map(|rewritten| (number, rewritten)))
            }
        }));
        let mut rewrites = rewrites.buffer_unordered(self.lake.parallelism());
        let mut replaced = Vec::new();
        while let Some(rewritten) = rewrites.next().await {
            replaced.extend(rewritten?);
        }
        Ok(replaced)
    }

    /// The file without the rows whose key is incoming; `None` if it holds none of them (and need not change).
    async fn replace_in(&self, index: &KeyIndex, file: &DataFile, always: bool) -> Result<Option<Rewritten>> {
        let fields: Vec<_> = self
            .key
            .columns
            .iter()
            .filter_map(|column| self.schema.field_with_name(column).ok().cloned())
            .collect();
        let key_schema = Arc::new(Schema::new(fields));
        let size = u64::try_from(file.add.size).unwrap_or_default();
        let store = self.lake.object_store();
        let mut batches = data_file::read(store, &file.location, size, Some(&self.key.columns)).await?;
        let mut keep = BooleanBufferBuilder::new(0);
        let mut rows_removed = 0;
        while let Some(batch) = batches.next().await {
            for hash in self.key.hashes(&types::conform(&batch?, &key_schema)?)? {
                let incoming = index.last.contains_key(&hash);
                keep.append(!incoming);
                rows_removed += u64::from(incoming);
            }
        }
        if rows_removed == 0 && !always {
            return Ok(None);
        }
        let files = rewrite(&self.lake, &self.path, &self.schema, file, Some(keep.finish())).await?;
        Ok(Some(Rewritten { files, rows_removed }))
    }
}

/// Writes the file's rows again under `schema`, those that `keep` says or all of them.
pub(crate) async fn rewrite(
    lake: &Lake,
    path: &str,
    schema: &SchemaRef,
    file: &DataFile,
    keep: Option<BooleanBuffer>,
) -> Result<Vec<Add>> {
    let store = lake.object_store();
    let mut writer = FileWriter::new(store.clone(), path, schema.clone())?;
    let size = u64::try_from(file.add.size).unwrap_or_default();
    let mut batches = data_file::read(store, &file.location, size, None).await?;
    let mut row = 0;
    while let Some(batch) = batches.next().await {
        let mut batch = types::conform(&batch?, schema)?;
        let rows = batch.num_rows();
        if let Some(keep) = &keep {
            let keep = BooleanArray::new(keep.slice(row, rows), None);
            batch = filter_record_batch(&batch, &keep).doing(|| format!("rewriting {}", file.location))?;
        }
        row += rows;
        writer.write(&batch).await?;
    }
    writer.finish().await
}

/// Least and greatest incoming value of each key column; `None` where that is not known or nulls are among them.
struct Bounds(Vec<(usize, Option<(ScalarValue, ScalarValue)>)>);

impl Bounds {
    fn of(staged: &[Add], target: &Target) -> Self {
        let files: Vec<_> = staged
            .iter()
            .map(|add| data_file(&target.path, add.clone(), &target.schema))
            .collect();
        let columns = target
            .key
            .columns
            .iter()
            .filter_map(|column| target.schema.index_of(column).ok());
        Self(columns.map(|column| (column, range(&files, column))).collect())
    }

    /// Whether the file may hold one of the keys, as far as its statistics tell.
    fn may_hold(&self, file: &DataFile) -> bool {
        self.0.iter().all(
            |(column, incoming)| match (incoming, range(std::slice::from_ref(file), *column)) {
                (Some((least, greatest)), Some((low, high))) => {
                    !(greatest.partial_cmp(&low) == Some(Ordering::Less)
                        || least.partial_cmp(&high) == Some(Ordering::Greater))
                }
                _ => true,
            },
        )
    }
}

fn range(files: &[DataFile], column: usize) -> Option<(ScalarValue, ScalarValue)> {
    let mut range: Option<(ScalarValue, ScalarValue)> = None;
    for file in files {
        let column = file.statistics.column_statistics.get(column)?;
        if column.null_count.get_value() != Some(&0) {
            return None;
        }
        let (low, high) = (column.min_value.get_value()?, column.max_value.get_value()?);
        range = Some(match range {
            None => (low.clone(), high.clone()),
            Some((least, greatest)) => (
                if low.partial_cmp(&least)? == Ordering::Less {
                    low.clone()
                } else {
                    least
                },
                if high.partial_cmp(&greatest)? == Ordering::Greater {
                    high.clone()
                } else {
                    greatest
                },
            ),
        });
    }
    range
}
