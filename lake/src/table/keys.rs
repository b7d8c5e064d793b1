//! Keys of rows: how they are told apart, which incoming row counts for each, and which files may hold one.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, BooleanArray, BooleanBufferBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use cordada_core::threads::locked;
use cordada_core::{Context, Error, Result, TableName};
use datafusion::common::ScalarValue;
use datafusion::common::hash_utils::{QualityRandomState, create_hashes};
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::Accumulator;
use uuid::Uuid;

use crate::table::snapshot::DataFile;

/// Parts of the index: enough that partitions seldom wait for each other, and that one part's growth costs little.
const SHARDS: usize = 64;

/// Bits of [`Marks`] for each key: of the rows whose key is not incoming, one in as many is looked up nevertheless.
const MARKS_A_KEY: usize = 16;

/// What the hash so far is multiplied by before the next column's is added: odd, so that nothing of it is lost.
const NEXT_COLUMN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The columns that identify a row, and how they are hashed: 128 bits of two hashes, whose seeds are new for each
/// write, so nobody can prepare keys that collide.
#[derive(Clone)]
pub(crate) struct Key {
    columns: Vec<String>,
    seeds: [QualityRandomState; 2],
}

impl Key {
    /// The key of those columns of `schema`.
    pub(crate) fn new(table: &TableName, columns: &[String], schema: &Schema) -> Result<Self> {
        let doing = || format!("writing {table} by key");
        for column in columns {
            let field = schema.field_with_name(column).map_err(|_| {
                let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                Error::config(doing(), format!("there is no key column `{column}`"))
                    .hint(format!("the columns are: {}", names.join(", ")))
            })?;
            if field.data_type().is_nested() {
                let why = format!("the key column `{column}` is a {}", field.data_type());
                return Err(Error::config(doing(), why).hint("use columns of plain values"));
            }
        }
        if columns.is_empty() {
            return Err(Error::config(doing(), "there is no key").hint("name its columns"));
        }
        let (one, two) = Uuid::new_v4().as_u64_pair();
        Ok(Self {
            columns: columns.to_vec(),
            seeds: [one, two].map(QualityRandomState::with_seed),
        })
    }

    /// The key's columns.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// A hash for each row's key. Null is a value like others.
    pub(crate) fn hashes(&self, batch: &RecordBatch) -> Result<Vec<KeyHash>> {
        let columns: Vec<_> = self.arrays(batch).cloned().collect();
        let halves = self.half(0, &columns)?.into_iter().zip(self.half(1, &columns)?);
        Ok(halves.map(|(one, two)| KeyHash([one, two])).collect())
    }

    /// That half of the hash for each row of the key's columns.
    fn half(&self, half: usize, columns: &[ArrayRef]) -> Result<Vec<u64>> {
        let rows = columns.first().map_or(0, |column| column.len());
        let (mut hashes, mut values) = (vec![0_u64; rows], vec![0; rows]);
        for column in columns {
            // Column by column, because hashing them at once passes over nulls: (null, 1) would be (1, null).
            values.fill(0);
            create_hashes([column], &self.seeds[half], &mut values).doing(|| "hashing keys")?;
            for (hash, value) in hashes.iter_mut().zip(&values) {
                *hash = hash.wrapping_mul(NEXT_COLUMN).wrapping_add(*value);
            }
        }
        Ok(hashes)
    }

    fn arrays<'b>(&self, batch: &'b RecordBatch) -> impl Iterator<Item = &'b ArrayRef> {
        self.columns.iter().filter_map(|column| batch.column_by_name(column))
    }
}

/// The hash of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash([u64; 2]);

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
    }
}

/// A [`KeyHash`] needs no more hashing.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type RowPositions = HashMap<KeyHash, RowPosition, BuildHasherDefault<KeyHasher>>;

/// Where an incoming row was staged: its partition and its number among those of the partition that landed. Or that
/// the row only says that its key's row goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowPosition(u64);

impl RowPosition {
    const ROW_BITS: u32 = 48;
    const DELETES: u64 = (1 << Self::ROW_BITS) - 1;

    /// That row of the partition.
    pub(crate) fn row(partition: u16, row: u64) -> Self {
        Self(u64::from(partition) << Self::ROW_BITS | row)
    }

    /// A row of the partition that only deletes.
    pub(crate) fn deletes(partition: u16) -> Self {
        Self::row(partition, Self::DELETES)
    }

    /// The partition, and the row unless it only deletes.
    pub(crate) fn parts(self) -> (u16, Option<u64>) {
        let row = self.0 & Self::DELETES;
        let partition = (self.0 >> Self::ROW_BITS) as u16;
        (partition, (row != Self::DELETES).then_some(row))
    }
}

/// Which of the incoming rows with one key stays. A later partition's rows come after an earlier one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duplicates {
    /// The last one, whether it is a row or a deletion.
    LastStays,
    /// The first one.
    FirstStays,
    /// All of them.
    AllStay,
}

/// The keys of the incoming rows while they come in, from all partitions at once.
pub(crate) struct KeyIndex {
    duplicates: Duplicates,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    positions: RowPositions,
    superseded: Vec<RowPosition>,
}

impl KeyIndex {
    /// An index without keys.
    pub(crate) fn new(duplicates: Duplicates) -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { duplicates, shards }
    }

    /// Adds a row; those of one partition must come in order.
    pub(crate) fn add(&self, key: KeyHash, position: RowPosition) {
        let mut shard = locked(&self.shards[shard(key)]);
        let Shard { positions, superseded } = &mut *shard;
        match positions.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(position);
            }
            Entry::Occupied(mut entry) => {
                let later = position.parts().0 >= entry.get().parts().0;
                let loser = match (self.duplicates, later) {
                    (Duplicates::AllStay, _) => return,
                    (Duplicates::LastStays, true) | (Duplicates::FirstStays, false) => entry.insert(position),
                    (Duplicates::LastStays, false) | (Duplicates::FirstStays, true) => position,
                };
                superseded.extend(loser.parts().1.map(|_| loser));
            }
        }
    }

    /// The keys, once all are there, and the staged rows that others superseded.
    pub(crate) fn finish(self) -> (Keys, Vec<RowPosition>) {
        let mut all = Vec::new();
        let shards = self.shards.into_iter().map(|shard| {
            let shard = shard.into_inner().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.superseded);
            shard.positions
        });
        (Keys::new(shards.collect()), all)
    }
}

fn shard(key: KeyHash) -> usize {
    key.0[1] as usize % SHARDS
}

/// The keys of all incoming rows: 30 to 60 bytes each.
pub(crate) struct Keys {
    shards: Vec<RowPositions>,
    marks: Marks,
}

impl Keys {
    fn new(shards: Vec<RowPositions>) -> Self {
        let keys = shards.iter().map(HashMap::len).sum();
        let mut marks = Marks::new(keys);
        shards
            .iter()
            .flat_map(HashMap::keys)
            .for_each(|key| marks.add(key.0[0]));
        Self { shards, marks }
    }

    /// For each row of the batch the one that counts for its key, if that is incoming.
    pub(crate) fn find(&self, key: &Key, batch: &RecordBatch) -> Result<Vec<Option<RowPosition>>> {
        let columns: Vec<_> = key.arrays(batch).cloned().collect();
        let first = key.half(0, &columns)?;
        let may_be = BooleanBuffer::collect_bool(first.len(), |row| self.marks.may_have(first[row]));
        let mask = BooleanArray::new(may_be, None);
        let few = columns.iter().map(|column| filter(column, &mask));
        let few = few.collect::<Result<Vec<_>, _>>().doing(|| "looking keys up")?;
        let mut found = vec![None; first.len()];
        for (row, second) in mask.values().set_indices().zip(key.half(1, &few)?) {
            found[row] = self.get(KeyHash([first[row], second]));
        }
        Ok(found)
    }

    fn get(&self, key: KeyHash) -> Option<RowPosition> {
        self.shards[shard(key)].get(&key).copied()
    }
}

/// Which first halves of hashes are among the keys', as far as a bit tells that some of them share: small enough for a
/// processor's cache, which the keys are not, and most rows' keys are not incoming.
struct Marks {
    bits: BooleanBufferBuilder,
    /// How many of a hash's first bits number the bit.
    width: u32,
}

impl Marks {
    /// Marks for so many keys.
    fn new(keys: usize) -> Self {
        let width = (keys.max(1) * MARKS_A_KEY).next_power_of_two().ilog2();
        let mut bits = BooleanBufferBuilder::new(1 << width);
        bits.append_n(1 << width, false);
        Self { bits, width }
    }

    fn add(&mut self, hash: u64) {
        self.bits.set_bit(self.place(hash), true);
    }

    fn may_have(&self, hash: u64) -> bool {
        self.bits.get_bit(self.place(hash))
    }

    fn place(&self, hash: u64) -> usize {
        (hash >> (u64::BITS - self.width)) as usize
    }
}

/// Least and greatest incoming value of each key column, deletions included.
#[derive(Clone, Default)]
pub(crate) struct KeyBounds(Vec<Range>);

#[derive(Clone)]
enum Range {
    Within(ScalarValue, ScalarValue),
    /// Nulls are among the values, or their order is none that statistics keep.
    Anything,
}

impl KeyBounds {
    /// Takes in the rows of a batch.
    pub(crate) fn extend(&mut self, key: &Key, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let ranges = key.arrays(batch).map(Range::of).collect::<Result<Vec<_>>>()?;
        self.merge(Self(ranges));
        Ok(())
    }

    /// Takes in what another partition's rows are within.
    pub(crate) fn merge(&mut self, other: Self) {
        if self.0.is_empty() {
            *self = other;
        } else {
            for (ours, theirs) in self.0.iter_mut().zip(other.0) {
                ours.merge(theirs);
            }
        }
    }

    /// Whether the file, whose statistics are for columns of `schema`, may hold one of the keys.
    pub(crate) fn may_hold(&self, key: &Key, schema: &Schema, file: &DataFile) -> bool {
        let columns = key.columns.iter().zip(&self.0);
        !self.0.is_empty()
            && columns.into_iter().all(|(column, range)| match range {
                Range::Anything => true,
                Range::Within(least, greatest) => {
                    let index = schema.index_of(column).ok();
                    let column = index.and_then(|index| file.column(index));
                    let low = column.as_ref().and_then(|column| column.min_value.get_value());
                    let high = column.as_ref().and_then(|column| column.max_value.get_value());
                    let below = low.is_some_and(|low| greatest.partial_cmp(low) == Some(Ordering::Less));
                    let above = high.is_some_and(|high| least.partial_cmp(high) == Some(Ordering::Greater));
                    !below && !above
                }
            })
    }
}

impl Range {
    fn of(values: &ArrayRef) -> Result<Self> {
        let ordered = match values.data_type() {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Decimal128(..) => true,
            // Not of floats: statistics leave NaN out.
            DataType::Utf8 | DataType::Date32 | DataType::Timestamp(..) => true,
            _ => false,
        };
        if !ordered || values.null_count() > 0 {
            return Ok(Range::Anything);
        }
        let doing = || "comparing keys";
        let mut least = MinAccumulator::try_new(values.data_type()).doing(doing)?;
        let mut greatest = MaxAccumulator::try_new(values.data_type()).doing(doing)?;
        least.update_batch(std::slice::from_ref(values)).doing(doing)?;
        greatest.update_batch(std::slice::from_ref(values)).doing(doing)?;
        let bound = |value: &mut dyn Accumulator| value.evaluate().map(as_in_statistics).doing(doing);
        Ok(Range::Within(bound(&mut least)?, bound(&mut greatest)?))
    }

    fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (Range::Within(least, greatest), Range::Within(low, high)) => {
                if low.partial_cmp(least) == Some(Ordering::Less) {
                    *least = low;
                }
                if high.partial_cmp(greatest) == Some(Ordering::Greater) {
                    *greatest = high;
                }
            }
            (ours, _) => *ours = Range::Anything,
        }
    }
}

fn as_in_statistics(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Utf8(text) => ScalarValue::Utf8View(text),
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use proptest::prelude::*;

    use super::*;

    /// A batch of keys of two columns.
    fn batch(keys: &[(Option<i64>, i64)]) -> RecordBatch {
        let one: Int64Array = keys.iter().map(|key| key.0).collect();
        let two: Int64Array = keys.iter().map(|key| Some(key.1)).collect();
        let columns: [(&str, ArrayRef); 2] = [("one", Arc::new(one)), ("two", Arc::new(two))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn some_keys() -> impl Strategy<Value = Vec<(Option<i64>, i64)>> {
        prop::collection::vec((prop::option::of(0_i64..30), 0_i64..30), 0..400)
    }

    proptest! {
        #[test]
        fn incoming_keys_are_found_and_no_others(incoming in some_keys(), there in some_keys()) {
            let rows = batch(&there);
            let columns = ["one".to_owned(), "two".to_owned()];
            let key = Key::new(&"raw_a.t".parse().unwrap(), &columns, &rows.schema()).unwrap();
            let index = KeyIndex::new(Duplicates::LastStays);
            for (row, hash) in key.hashes(&batch(&incoming)).unwrap().into_iter().enumerate() {
                index.add(hash, RowPosition::row(0, row as u64));
            }
            let expected = there.iter().map(|key| incoming.iter().rposition(|other| other == key));
            let expected: Vec<_> = expected.map(|row| row.map(|row| RowPosition::row(0, row as u64))).collect();
            prop_assert_eq!(index.finish().0.find(&key, &rows).unwrap(), expected);
        }
    }
}
