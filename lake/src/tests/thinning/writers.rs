//! Files of writers of all kinds.

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use serde_json::Value;

use super::tables::{Numbers, every_type};
use super::*;

/// A manner of writing, most of it ours, so that what is not is met in the middle of what is.
fn manner(numbers: &mut Numbers) -> WriterProperties {
    let writer = numbers.one_of(&[
        "cordada 0.1.0",
        "cordada 0.1.0",
        "parquet-mr version 1.15",
        "parquet-cpp-arrow",
    ]);
    let mut properties = WriterProperties::builder()
        .set_created_by(writer.to_owned())
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(ColumnPath::from("email"), EnabledStatistics::None)
        .set_dictionary_page_size_limit(numbers.one_of(&[1 << 20, 1000, 50]))
        .set_data_page_size_limit(numbers.one_of(&[1 << 20, 2000, 100]))
        .set_data_page_row_count_limit(numbers.one_of(&[20_000, 100, 1]))
        .set_write_batch_size(numbers.one_of(&[1024, 64, 1]))
        .set_statistics_truncate_length(numbers.one_of(&[Some(64), Some(3), None]))
        .set_bloom_filter_enabled(numbers.once_in(3))
        .set_write_page_header_statistics(numbers.once_in(3))
        .set_offset_index_disabled(numbers.once_in(9));
    if numbers.once_in(6) {
        properties = properties.set_writer_version(WriterVersion::PARQUET_2_0);
    }
    if numbers.once_in(6) {
        properties = properties.set_max_row_group_row_count(Some(100));
    }
    if numbers.once_in(9) {
        properties =
            properties.set_statistics_enabled(numbers.one_of(&[EnabledStatistics::None, EnabledStatistics::Page]));
    }
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ];
    let texts = [
        Encoding::PLAIN,
        Encoding::DELTA_BYTE_ARRAY,
        Encoding::DELTA_LENGTH_BYTE_ARRAY,
    ];
    let wholes = [
        Encoding::PLAIN,
        Encoding::DELTA_BINARY_PACKED,
        Encoding::BYTE_STREAM_SPLIT,
    ];
    let floats = [Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT];
    let columns: [(&str, &[Encoding]); 10] = [
        ("flag", &[Encoding::PLAIN, Encoding::RLE]),
        ("whole", &wholes),
        ("large", &wholes),
        ("double", &floats),
        ("text", &texts),
        ("long", &texts),
        ("bytes", &texts),
        ("_origin", &texts),
        ("list.list.element", &texts),
        ("deep.list.element.number", &wholes),
    ];
    for (name, encodings) in columns {
        let column = || ColumnPath::new(name.split('.').map(str::to_owned).collect());
        if numbers.once_in(2) {
            properties = properties
                .set_column_dictionary_enabled(column(), false)
                .set_column_encoding(column(), numbers.one_of(encodings));
        }
        if numbers.once_in(6) {
            properties = properties.set_column_compression(column(), numbers.one_of(&codecs));
        }
    }
    properties.build()
}

/// A file of the folder that somebody wrote in that manner.
async fn foreign(folder: &Folder, batch: &RecordBatch, properties: WriterProperties, with_schema: bool) -> DataFile {
    let mut bytes = Vec::new();
    let options = ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(!with_schema);
    let mut writer = ArrowWriter::try_new_with_options(&mut bytes, batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    put_file(folder, bytes).await
}

/// Whether what one file's statistics say holds for another's rows, whose own are exact.
fn hold(statistics: &str, exact: &str) {
    let [ours, exact] = [statistics, exact].map(|text| serde_json::from_str::<Value>(text).unwrap());
    for what in ["numRecords", "nullCount"] {
        assert_eq!(ours[what], exact[what], "{what}");
    }
    let no_more = |low: &Value, high: &Value| match (low, high) {
        (Value::Number(low), Value::Number(high)) => low.as_f64() <= high.as_f64(),
        (Value::String(low), Value::String(high)) => low <= high,
        _ => false,
    };
    for (bounds, below) in [("minValues", true), ("maxValues", false)] {
        for (column, ours) in ours[bounds].as_object().unwrap() {
            let exact = &exact[bounds][column];
            // Rows of nothing but NaN have no bounds.
            let holds = exact.is_null()
                || if below {
                    no_more(ours, exact)
                } else {
                    no_more(exact, ours)
                };
            assert!(holds, "{bounds} of {column}: {ours}, but is {exact}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_writers_files_keep_their_rows(
        rows in prop_oneof![1_usize..40, 1_usize..1500],
        seed: u64,
        distinct in prop_oneof![Just(1_u64), 1_u64..9, 1_u64..100_000],
        nulls in prop_oneof![Just(0_u64), Just(1), 2_u64..9],
        stays in 1_u64..200,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut numbers = Numbers(seed);
        let batch = every_type(rows, seed, distinct, nulls);
        let keep: BooleanBuffer = (0..rows).map(|_| numbers.below(stays + 1) > 0).collect();
        prop_assume!(keep.has_true());
        runtime.block_on(async {
            let (_folder, lake) = temporary().await;
            let folder = Folder::new(&lake, "raw_a/t", &batch.schema());
            let file = foreign(&folder, &batch, manner(&mut numbers), numbers.once_in(2)).await;
            let kept = filter_record_batch(&batch, &BooleanArray::new(keep.clone(), None)).unwrap();
            let [found] = &read(&folder, folder.keep_rows(&file, &keep).await.unwrap()).await[..] else {
                panic!("there is more than one file");
            };
            let [exact] = &read(&folder, written(&folder, &kept).await).await[..] else {
                panic!("there is more than one file");
            };
            same_rows(&found.rows(&batch.schema(), None), &kept);
            found.same_picked_rows(&kept);
            hold(&found.statistics, &exact.statistics);
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_has_become_personal_loses_its_bounds() {
    let batch = every_type(500, 1, 50, 5);
    let keep: BooleanBuffer = (0..500).map(|row| row % 50 > 0).collect();
    let (_folder, lake) = temporary().await;
    let [file] = &written(&Folder::new(&lake, "raw_a/t", &batch.schema()), &batch).await[..] else {
        panic!("there is more than one file");
    };
    let fields = batch
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let personal = [(types::PII.to_owned(), "name".to_owned())];
            let metadata = if field.name() == "text" {
                personal.into()
            } else {
                field.metadata().clone()
            };
            field.as_ref().clone().with_metadata(metadata)
        })
        .collect::<Vec<_>>();
    let schema = Arc::new(Schema::new(fields));
    let folder = Folder::new(&lake, "raw_a/t", &schema);
    let file = DataFile::new("raw_a/t", file.clone(), &schema);
    let found = read(&folder, folder.keep_rows(&file, &keep).await.unwrap()).await;
    let metadata = found[0].reader().metadata().clone();
    let columns = metadata.row_group(0).columns().iter();
    let with_bounds: Vec<_> = columns
        .filter(|column| column.statistics().is_some())
        .map(|column| column.column_path().string())
        .collect();
    assert!(with_bounds.contains(&"long".to_owned()) && !with_bounds.contains(&"text".to_owned()));
}
