//! Files that lose rows where they are encoded.

use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat_batches, filter_record_batch};
use cordada_core::conform::conform;
use cordada_core::spelling::Former;
use deltalake::kernel::Add;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::page_index::offset_index::PageLocation;
use proptest::prelude::*;

use self::tables::{Numbers, every_type};
use super::*;
use crate::table::data_file::FileWriter;
use crate::table::snapshot::DataFile;
use crate::table::stage::Folder;

mod damage;
mod tables;
mod writers;

/// What the batch's file holds without the rows that `keep` does not name: thinned, and decoded and encoded.
async fn both_ways(batch: &RecordBatch, keep: &BooleanBuffer) -> [Vec<WrittenFile>; 2] {
    let (_folder, lake) = temporary().await;
    let folder = Folder::new(&lake, "raw_a/t", &batch.schema());
    let kept = filter_record_batch(batch, &BooleanArray::new(keep.clone(), None)).unwrap();
    let [whole, kept] = [written(&folder, batch).await, written(&folder, &kept).await];
    let mut thinned = Vec::new();
    for add in whole {
        let file = DataFile::new("raw_a/t", add, &batch.schema());
        thinned.extend(folder.keep_rows(&file, keep).await.unwrap());
    }
    [read(&folder, thinned).await, read(&folder, kept).await]
}

/// The batch as files of the folder.
async fn written(folder: &Folder, batch: &RecordBatch) -> Vec<Add> {
    let mut writer = FileWriter::new(&folder.lake, &folder.path, batch.schema()).unwrap();
    for start in (0..batch.num_rows()).step_by(16_384) {
        let rows = batch.num_rows().min(start + 16_384) - start;
        writer.write(&batch.slice(start, rows)).await.unwrap();
    }
    writer.end().await.unwrap();
    writer.into_files()
}

/// A file of those bytes in the folder.
async fn put_file(folder: &Folder, bytes: Vec<u8>) -> DataFile {
    let add = Add {
        path: "other.parquet".into(),
        size: bytes.len() as i64,
        ..Add::default()
    };
    let location = Path::from(folder.path.as_str()).join(add.path.as_str());
    let store = folder.lake.object_store();
    store.put(&location, bytes.into()).await.unwrap();
    DataFile::new(&folder.path, add, &folder.schema)
}

async fn read(folder: &Folder, adds: Vec<Add>) -> Vec<WrittenFile> {
    let mut files = Vec::new();
    for add in adds {
        let location = Path::from(folder.path.as_str()).join(add.path.as_str());
        let bytes = folder
            .lake
            .object_store()
            .get(&location)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(bytes.len() as i64, add.size);
        let statistics = add.stats.unwrap();
        files.push(WrittenFile { bytes, statistics });
    }
    files
}

struct WrittenFile {
    bytes: bytes::Bytes,
    statistics: String,
}

impl WrittenFile {
    fn reader(&self) -> ParquetRecordBatchReaderBuilder<bytes::Bytes> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        ParquetRecordBatchReaderBuilder::try_new_with_options(self.bytes.clone(), options).unwrap()
    }

    fn rows(&self, schema: &SchemaRef, selection: Option<RowSelection>) -> RecordBatch {
        let mut reader = self.reader().with_batch_size(10_000);
        if let Some(selection) = selection {
            reader = reader.with_row_selection(selection);
        }
        let batches = reader
            .build()
            .unwrap()
            .map(|batch| conform(&batch.unwrap(), schema, &Former::default()).unwrap());
        concat_batches(schema, &batches.collect::<Vec<_>>()).unwrap()
    }

    /// Rows that are picked are found through the index of pages.
    fn same_picked_rows(&self, all: &RecordBatch) {
        let selectors = (0..all.num_rows() / 7).flat_map(|_| [RowSelector::skip(5), RowSelector::select(2)]);
        let picked = self.rows(&all.schema(), Some(RowSelection::from(selectors.collect::<Vec<_>>())));
        let which: BooleanArray = (0..all.num_rows())
            .map(|row| Some(row / 7 < all.num_rows() / 7 && row % 7 >= 5))
            .collect();
        same_rows(&picked, &filter_record_batch(all, &which).unwrap());
    }

    /// The first row of each page of each column of each row group.
    fn pages(&self) -> Vec<Vec<Vec<usize>>> {
        let metadata = self.reader().metadata().clone();
        let first_rows = |pages: &[PageLocation]| pages.iter().map(|page| page.first_row_index as usize).collect();
        let groups = metadata.offset_index().unwrap().iter();
        let groups = groups.map(|group| group.iter().map(|index| first_rows(index.page_locations())).collect());
        groups.collect()
    }
}

fn same_rows(ours: &RecordBatch, theirs: &RecordBatch) {
    for (field, (ours, theirs)) in ours
        .schema()
        .fields()
        .iter()
        .zip(ours.columns().iter().zip(theirs.columns()))
    {
        assert!(ours == theirs, "{}", field.name());
    }
}

/// Both ways give the same rows, by all ways of reading, and the same statistics.
async fn check(batch: &RecordBatch, keep: &BooleanBuffer) -> [Vec<WrittenFile>; 2] {
    let files = both_ways(batch, keep).await;
    let [thinned, encoded] = &files;
    assert_eq!(thinned.len(), encoded.len());
    for (thinned, encoded) in thinned.iter().zip(encoded) {
        let schema = batch.schema();
        let (ours, theirs) = (thinned.rows(&schema, None), encoded.rows(&schema, None));
        same_rows(&ours, &theirs);
        let json = |file: &WrittenFile| serde_json::from_str::<serde_json::Value>(&file.statistics).unwrap();
        assert_eq!(json(thinned), json(encoded));
        thinned.same_picked_rows(&theirs);
        let columns = |file: &WrittenFile| -> Vec<_> {
            let metadata = file.reader().metadata().clone();
            let groups = metadata.row_groups().iter().flat_map(|group| group.columns().to_vec());
            groups
                .map(|column| (column.num_values(), column.statistics().cloned()))
                .collect()
        };
        if thinned.reader().metadata().num_row_groups() == 1 {
            assert_eq!(columns(thinned), columns(encoded));
        }
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn files_without_some_rows_are_as_if_encoded_anew(
        rows in prop_oneof![1_usize..40, 1_usize..4000],
        seed: u64,
        distinct in prop_oneof![Just(1_u64), 1_u64..9, 1_u64..100_000],
        nulls in prop_oneof![Just(0_u64), Just(1), 2_u64..9],
        stays in prop_oneof![Just(1_u64), Just(0), 2_u64..200],
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut numbers = Numbers(seed ^ 1);
        let keep = (0..rows).map(|_| stays > 0 && numbers.below(stays + 1) > 0).collect();
        runtime.block_on(check(&every_type(rows, seed, distinct, nulls), &keep));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_groups_keep_their_pages() {
    let rows = 300_000;
    let batch = every_type(rows, 7, 70_000, 11)
        .project(&[0, 1, 5, 7, 13, 14, 19])
        .unwrap();
    let mut numbers = Numbers(1);
    // One in a hundred of the first row group, none of the second, all of the third.
    let keep = (0..rows).map(|row| match row / (128 * 1024) {
        0 => numbers.below(100) > 0,
        1 => true,
        _ => false,
    });
    let keep: BooleanBuffer = keep.collect();
    let [thinned, _] = check(&batch, &keep).await;
    let [whole, _] = both_ways(&batch, &BooleanBuffer::new_set(rows)).await;
    let (thinned, mut whole) = (thinned[0].pages(), whole[0].pages());
    for page in whole[0].iter_mut().flatten() {
        *page = keep.slice(0, *page).count_set_bits();
    }
    assert_eq!(thinned, whole[..2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_groups_that_lost_most_of_their_rows_become_one() {
    let rows = 300_000;
    let batch = pairs(&vec![(1, "a"); rows]);
    let batch = conform(&batch, &Arc::new(types::storable(&batch.schema())), &Former::default()).unwrap();
    let keep: BooleanBuffer = (0..rows).map(|row| row % 3 == 0).collect();
    let [thinned, _] = both_ways(&batch, &keep).await;
    assert_eq!(thinned[0].reader().metadata().num_row_groups(), 1);
}
