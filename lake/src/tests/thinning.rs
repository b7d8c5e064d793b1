//! Files that lose rows where they are encoded.

use arrow::array::{
    BinaryArray, Date32Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, ListBuilder, MapBuilder,
    StringBuilder, StructArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::Fields;
use deltalake::kernel::Add;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;

use super::*;
use crate::table::data_file::FileWriter;
use crate::table::snapshot::DataFile;
use crate::table::stage::Folder;

/// A simple generator, so that a table of any size comes from one number.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// One value of `distinct` different ones for each row, and about one null in `nulls` (none if 0).
    fn column(&mut self, rows: usize, distinct: u64, nulls: u64) -> Vec<Option<i64>> {
        let mut next = || (nulls == 0 || self.below(nulls) > 0).then(|| self.below(distinct) as i64);
        // What would be a borrow of both.
        std::iter::repeat_with(&mut next).take(rows).collect()
    }
}

/// A column of every type that tables store.
fn every_type(rows: usize, seed: u64, distinct: u64, nulls: u64) -> RecordBatch {
    let mut numbers = Numbers(seed);
    let mut column = || numbers.column(rows, distinct, nulls);
    let ids = Int64Array::from_iter_values(0..rows as i64);
    let text = |value: Option<i64>| value.map(|value| format!("text {value}"));
    let mut lists = ListBuilder::new(StringBuilder::new());
    for value in column() {
        for item in 0..value.unwrap_or(0) % 4 {
            lists
                .values()
                .append_option((item != 1).then(|| format!("item {item}")));
        }
        lists.append(value.is_some());
    }
    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for value in column() {
        for item in 0..value.unwrap_or(0) % 3 {
            maps.keys().append_value(format!("key {item}"));
            maps.values().append_option(text(value).filter(|_| item == 0));
        }
        maps.append(value.is_some()).unwrap();
    }
    let inner: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(column())),
        Arc::new(column().into_iter().map(text).collect::<StringArray>()),
    ];
    let fields = Fields::from(vec![
        Field::new("number", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]);
    let valid = column().iter().map(Option::is_some).collect();
    let struct_ = StructArray::new(fields, inner, Some(valid));
    let floats = column();
    let float = |value: i64| match value % 5 {
        0 => f64::NAN,
        1 => 0.0,
        2 => -0.0,
        _ => value as f64 / 3.0 - 7.0,
    };
    let as_ = |values: Vec<Option<i64>>| values.into_iter();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(ids)),
        (
            "flag",
            Arc::new(as_(column()).map(|v| v.map(|v| v % 2 == 0)).collect::<BooleanArray>()),
        ),
        (
            "tiny",
            Arc::new(as_(column()).map(|v| v.map(|v| v as i8)).collect::<Int8Array>()),
        ),
        (
            "small",
            Arc::new(as_(column()).map(|v| v.map(|v| v as i16)).collect::<Int16Array>()),
        ),
        (
            "whole",
            Arc::new(as_(column()).map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        ),
        (
            "large",
            Arc::new(as_(column()).map(|v| v.map(|v| v - 5)).collect::<Int64Array>()),
        ),
        (
            "single",
            Arc::new(
                as_(column())
                    .map(|v| v.map(|v| float(v) as f32))
                    .collect::<Float32Array>(),
            ),
        ),
        (
            "double",
            Arc::new(floats.into_iter().map(|v| v.map(float)).collect::<Float64Array>()),
        ),
        (
            "day",
            Arc::new(as_(column()).map(|v| v.map(|v| v as i32)).collect::<Date32Array>()),
        ),
        (
            "time",
            Arc::new(TimestampMicrosecondArray::from(column()).with_timezone("UTC")),
        ),
        ("cents", decimal(column(), 7)),
        ("money", decimal(column(), 17)),
        ("huge", decimal(column(), 38)),
        ("text", Arc::new(as_(column()).map(text).collect::<StringArray>())),
        (
            "long",
            Arc::new(
                as_(column())
                    .map(|v| v.map(|v| format!("{v:>99}")))
                    .collect::<StringArray>(),
            ),
        ),
        (
            "bytes",
            Arc::new(BinaryArray::from_iter(as_(column()).map(|v| v.map(i64::to_le_bytes)))),
        ),
        ("email", Arc::new(as_(column()).map(text).collect::<StringArray>())),
        (
            "same",
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n("same", rows))),
        ),
        ("none", new_null_array(&DataType::Utf8, rows)),
        (
            "_origin",
            Arc::new(
                as_(column())
                    .enumerate()
                    .map(|(row, v)| v.map(|_| format!("a.csv:{row}")))
                    .collect::<StringArray>(),
            ),
        ),
        ("list", Arc::new(lists.finish())),
        ("map", Arc::new(maps.finish())),
        ("struct", Arc::new(struct_)),
    ];
    let fields = columns.iter().map(|(name, values)| {
        let metadata = (*name == "email").then(|| (types::PII.to_owned(), "email".to_owned()));
        Field::new(*name, values.data_type().clone(), true).with_metadata(metadata.into_iter().collect())
    });
    let schema = Arc::new(types::storable(&Schema::new(fields.collect::<Vec<_>>())));
    let columns = schema.fields().iter().zip(columns);
    let columns = columns.map(|(field, (_, values))| arrow::compute::cast(&values, field.data_type()).unwrap());
    RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
}

fn decimal(values: Vec<Option<i64>>, precision: u8) -> ArrayRef {
    let values: Decimal128Array = values
        .into_iter()
        .map(|value| value.map(|value| i128::from(value) - 3))
        .collect();
    Arc::new(values.with_precision_and_scale(precision, 2).unwrap())
}

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
    let store = folder.lake.object_store().clone();
    let mut writer = FileWriter::new(store, &folder.path, batch.schema()).unwrap();
    for start in (0..batch.num_rows()).step_by(16_384) {
        let rows = batch.num_rows().min(start + 16_384) - start;
        writer.write(&batch.slice(start, rows)).await.unwrap();
    }
    writer.end().await.unwrap();
    writer.into_files()
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
            .map(|batch| types::conform(&batch.unwrap(), schema).unwrap());
        concat_batches(schema, &batches.collect::<Vec<_>>()).unwrap()
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
        // Rows that are picked are found through the index of pages.
        let rows = theirs.num_rows();
        let picked = (0..rows / 7).flat_map(|_| [RowSelector::skip(5), RowSelector::select(2)]);
        let picked = RowSelection::from(picked.collect::<Vec<_>>());
        assert!(thinned.rows(&schema, Some(picked.clone())) == encoded.rows(&schema, Some(picked)));
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
async fn what_is_not_as_we_write_it_is_decoded() {
    let rows = 3000;
    let batch = every_type(rows, 3, 50, 7);
    let keep: BooleanBuffer = (0..rows).map(|row| row % 90 > 0).collect();
    let kept = filter_record_batch(&batch, &BooleanArray::new(keep.clone(), None)).unwrap();
    let properties = || {
        let properties = WriterProperties::builder().set_created_by("cordada 0.1.0".to_owned());
        properties.set_compression(Compression::SNAPPY)
    };
    let each = ["flag", "whole", "large", "text", "bytes"].map(ColumnPath::from);
    let delta = [
        Encoding::RLE,
        Encoding::DELTA_BINARY_PACKED,
        Encoding::BYTE_STREAM_SPLIT,
    ];
    let delta = delta
        .into_iter()
        .chain([Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY]);
    let others = [
        WriterProperties::builder().set_created_by("parquet-mr version 1.15".to_owned()),
        properties().set_writer_version(WriterVersion::PARQUET_2_0),
        properties().set_compression(Compression::LZ4_RAW),
        properties().set_compression(Compression::UNCOMPRESSED),
        properties()
            .set_bloom_filter_enabled(true)
            .set_statistics_enabled(EnabledStatistics::Page),
        properties()
            .set_offset_index_disabled(true)
            .set_statistics_enabled(EnabledStatistics::Chunk),
        properties().set_dictionary_enabled(false),
        each.into_iter().zip(delta).fold(
            properties().set_dictionary_enabled(false),
            |properties, (column, encoding)| properties.set_column_encoding(column, encoding),
        ),
    ];
    for (number, properties) in others.into_iter().enumerate() {
        let (_folder, lake) = temporary().await;
        let folder = Folder::new(&lake, "raw_a/t", &batch.schema());
        let mut bytes = Vec::new();
        let options = ArrowWriterOptions::new().with_properties(properties.build());
        let options = options.with_skip_arrow_metadata(number % 2 == 0);
        let mut writer = ArrowWriter::try_new_with_options(&mut bytes, batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let add = Add {
            path: "other.parquet".into(),
            size: bytes.len() as i64,
            ..Add::default()
        };
        lake.object_store()
            .put(&Path::from("raw_a/t/other.parquet"), bytes.into())
            .await
            .unwrap();
        let file = DataFile::new("raw_a/t", add, &batch.schema());
        let found = read(&folder, folder.keep_rows(&file, &keep).await.unwrap()).await;
        same_rows(&found[0].rows(&batch.schema(), None), &kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_groups_that_lost_most_of_their_rows_become_one() {
    let rows = 300_000;
    let batch = pairs(&vec![(1, "a"); rows]);
    let batch = types::conform(&batch, &Arc::new(types::storable(&batch.schema()))).unwrap();
    let keep: BooleanBuffer = (0..rows).map(|row| row % 3 == 0).collect();
    let [thinned, _] = both_ways(&batch, &keep).await;
    assert_eq!(thinned[0].reader().metadata().num_row_groups(), 1);
}
