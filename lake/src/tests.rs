//! Tables, releases and sessions together.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::TableProvider;
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::col;

use cordada_core::{Context, Error, ErrorKind, Result, TableName, types};

use crate::query::sql;
use crate::table::files::Files;
use crate::*;

mod constraints;
mod evolution;
mod history;
mod hot;
mod log;
mod maintain;
mod models;
mod modes;
mod pending;
mod personal;
mod rivals;
mod rollback;
mod state;
mod superseded;
mod thinning;
mod views;

/// A journal of the tests' own.
const NOTES: Journal = Journal::new("notes", &[("noted_at", JournalType::Time), ("note", JournalType::Text)]);

fn name(text: &str) -> TableName {
    text.parse().unwrap()
}

async fn temporary() -> (tempfile::TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        parallelism: Some(2),
        memory: Some(256 << 20),
        journals: vec![NOTES],
        ..Settings::default()
    };
    let lake = Lake::open(folder.path().to_str().unwrap(), &settings).await.unwrap();
    (folder, lake)
}

/// The same lake in another process, which has read nothing yet.
async fn another(folder: &std::path::Path) -> Lake {
    Lake::open(folder.to_str().unwrap(), &Settings::default())
        .await
        .unwrap()
}

fn stream(batches: Vec<RecordBatch>, schema: &SchemaRef) -> SendableRecordBatchStream {
    let batches = futures::stream::iter(batches.into_iter().map(Ok));
    Box::pin(RecordBatchStreamAdapter::new(schema.clone(), batches))
}

fn pairs(rows: &[(i64, &str)]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>());
    let texts: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>());
    RecordBatch::try_from_iter([("id", ids), ("text", texts)]).unwrap()
}

async fn put(lake: &Lake, mode: Mode, rows: &[(i64, &str)]) -> WriteReport {
    put_on(lake, mode, Base::Latest, rows).await
}

async fn put_on(lake: &Lake, mode: Mode, base: Base, rows: &[(i64, &str)]) -> WriteReport {
    let batch = pairs(rows);
    let write = Write {
        base,
        ..Write::new(mode, batch.schema())
    };
    lake.write(
        &name("raw_a.t"),
        write,
        vec![stream(vec![batch.clone()], &batch.schema())],
    )
    .await
    .unwrap()
}

fn upsert() -> Mode {
    Mode::Upsert {
        key: vec!["id".into()],
        deleted: None,
    }
}

async fn publish(lake: &Lake, version: u64) -> Arc<Release> {
    let mut draft = Draft::new(lake.releases().newest().await.unwrap(), "test", "run");
    draft.set(name("raw_a.t"), Relation::table("raw_a/t", version));
    lake.releases().publish(&draft).await.unwrap()
}

async fn query(lake: &Lake, release: &Arc<Release>, sql: &str) -> Result<String> {
    let session = lake.session(release);
    let plan = sql::plan(lake, &session, sql).await?;
    let frame = session.execute_logical_plan(plan).await.doing(|| "planning")?;
    collected(frame).await
}

/// The rows of a table that no release names.
async fn scanned(lake: &Lake, table: PinnedTable) -> String {
    let session = lake.session(&Arc::default());
    let frame = session.read_table(Arc::new(table)).unwrap();
    collected(frame.sort_by(vec![col("id")]).unwrap()).await.unwrap()
}

async fn collected(frame: DataFrame) -> Result<String> {
    Ok(shown(&frame.collect().await.doing(|| "running")?))
}

/// The rows as text.
fn shown(batches: &[RecordBatch]) -> String {
    let table = pretty_format_batches(batches).unwrap().to_string();
    let rows = table
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(1)
        .map(|line| line.replace(' ', ""));
    rows.collect::<Vec<_>>().join(" ")
}

/// The files of the table at that version.
async fn files_at(lake: &Lake, version: u64) -> Arc<Files> {
    lake.snapshot("raw_a/t", version).await.unwrap().files().await.unwrap()
}

/// How many rows the table has at that version, as its log says.
async fn count(lake: &Lake, version: u64) -> usize {
    files_at(lake, version).await.rows().unwrap() as usize
}

async fn rows_at(lake: &Lake, version: u64) -> String {
    let release = publish(lake, version).await;
    query(lake, &release, "select id, text from raw_a.t order by id, text")
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn append_overwrite_and_upsert_keep_what_they_should() {
    let (_folder, lake) = temporary().await;
    let first = put(&lake, Mode::Append, &[(1, "a"), (2, "b")]).await;
    assert_eq!((first.version, first.rows_added, first.rows_removed), (0, 2, 0));
    put(&lake, Mode::Append, &[(3, "c")]).await;
    let upserted = put(&lake, upsert(), &[(2, "x"), (4, "d"), (2, "B")]).await;
    assert_eq!(
        (upserted.version, upserted.rows_added, upserted.rows_removed),
        (2, 2, 1)
    );
    assert_eq!(rows_at(&lake, 2).await, "|1|a| |2|B| |3|c| |4|d|");
    let replaced = put(&lake, Mode::Overwrite, &[(9, "z")]).await;
    assert_eq!((replaced.rows_added, replaced.rows_removed), (1, 4));
    assert_eq!((count(&lake, 2).await, count(&lake, 3).await), (4, 1));
    assert_eq!(rows_at(&lake, 3).await, "|9|z|");
    assert_eq!(
        rows_at(&lake, 1).await,
        "|1|a| |2|b| |3|c|",
        "old versions stay readable"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_rewrites_only_files_that_hold_a_key() {
    let (_folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a"), (2, "b")]).await;
    put(&lake, Mode::Append, &[(11, "k"), (12, "l")]).await;
    let before = files_at(&lake, 1).await;
    put(&lake, upsert(), &[(12, "L")]).await;
    let after = files_at(&lake, 2).await;
    let kept = before
        .iter()
        .filter(|old| after.iter().any(|new| new.add.path == old.add.path));
    assert_eq!(kept.count(), 1);
    assert_eq!(after.rows(), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_on_an_older_version_undoes_what_came_after_it() {
    let (_folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    put(&lake, upsert(), &[(1, "unpublished"), (2, "unpublished")]).await;
    put_on(&lake, Mode::Append, Base::Version(0), &[(3, "c")]).await;
    assert_eq!(rows_at(&lake, 2).await, "|1|a| |3|c|");
    put_on(&lake, upsert(), Base::Version(1), &[(2, "b")]).await;
    assert_eq!(rows_at(&lake, 3).await, "|1|unpublished| |2|b|");
    put_on(&lake, Mode::Append, Base::Nothing, &[(7, "only")]).await;
    assert_eq!(rows_at(&lake, 4).await, "|7|only|");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_join_and_widen_and_nothing_is_lost() {
    let (_folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a"), (2, "b")]).await;
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["85123A"]));
    let extra: ArrayRef = Arc::new(Decimal128Array::from(vec![255]).with_precision_and_scale(5, 2).unwrap());
    let batch = RecordBatch::try_from_iter([("id", ids), ("price", extra)]).unwrap();
    let table = name("raw_a.t");
    let narrow = Write::new(Mode::Append, batch.schema());
    let refused = lake
        .write(
            &table,
            narrow.clone(),
            vec![stream(vec![batch.clone()], &batch.schema())],
        )
        .await;
    let refused = refused.unwrap_err();
    assert!(
        refused.kind() == ErrorKind::Config && refused.to_string().contains("id (Int64"),
        "{refused}"
    );
    let wide = Write {
        evolution: Evolution::Widen,
        ..narrow
    };
    lake.write(&table, wide, vec![stream(vec![batch.clone()], &batch.schema())])
        .await
        .unwrap();
    let release = publish(&lake, 1).await;
    let rows = query(&lake, &release, "select id, text, price from raw_a.t order by id")
        .await
        .unwrap();
    assert_eq!(rows, "|1|a|| |2|b|| |85123A||2.55|");
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_delta_lacks_and_foreign_metadata_are_converted() {
    let (_folder, lake) = temporary().await;
    let fields = Schema::new(vec![
        Field::new("big", DataType::UInt64, false)
            .with_metadata([("PARQUET:field_id".to_owned(), "7".to_owned())].into()),
        Field::new(
            "at",
            DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, None),
            true,
        ),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from(vec![u64::MAX])),
        Arc::new(TimestampNanosecondArray::from(vec![1_500_000_000_123_456_789])),
    ];
    let schema = Arc::new(fields);
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    lake.write(
        &name("raw_a.t"),
        Write::new(Mode::Append, schema.clone()),
        vec![stream(vec![batch], &schema)],
    )
    .await
    .unwrap();
    let stored = lake.snapshot("raw_a/t", 0).await.unwrap();
    assert!(stored.schema().fields().iter().all(|field| field.metadata().is_empty()));
    let release = publish(&lake, 0).await;
    let rows = query(&lake, &release, "select * from raw_a.t").await.unwrap();
    assert_eq!(rows, "|18446744073709551615|2017-07-14T02:40:00.123456Z|");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_read_whole_with_views_and_as_of() {
    let (_folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a"), (2, "b")]).await;
    let mut draft = Draft::new(lake.releases().newest().await.unwrap(), "test", "run");
    draft.set(name("raw_a.t"), Relation::table("raw_a/t", 0));
    draft.set(
        name("staging.v"),
        Relation::view("select id * 10 as id from lake.raw_a.t"),
    );
    draft.set(
        name("marts.w"),
        Relation::view("select max(id) as most from lake.staging.v"),
    );
    let first = lake.releases().publish(&draft).await.unwrap();
    put(&lake, Mode::Append, &[(3, "c")]).await;
    let second = publish(&lake, 1).await;
    assert_eq!(query(&lake, &first, "select most from w").await.unwrap(), "|20|");
    assert_eq!(query(&lake, &second, "select most from marts.w").await.unwrap(), "|30|");
    let as_of = "select a.most, b.most from marts.w a, marts.w version as of 1 b";
    assert_eq!(query(&lake, &second, as_of).await.unwrap(), "|30|20|");
    let missing = query(&lake, &second, "select * from w version as of 9")
        .await
        .unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Config);
    let counted = "select table_schema, table_name from information_schema.tables where table_schema = 'marts'";
    assert_eq!(query(&lake, &second, counted).await.unwrap(), "|marts|w|");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_change_something_are_refused() {
    let (folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    let release = publish(&lake, 0).await;
    for sql in [
        "insert into raw_a.t values (2, 'b')",
        "create table x as select 1",
        "drop table raw_a.t",
        &format!("copy raw_a.t to '{}/out.csv'", folder.path().display()),
        "set datafusion.execution.batch_size = 1",
        "select nothing from raw_a.t",
    ] {
        let error = query(&lake, &release, sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed, "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn journals_are_there_from_the_start_and_read_at_their_newest() {
    let (_folder, lake) = temporary().await;
    let release = lake.releases().newest().await.unwrap();
    assert_eq!(
        query(&lake, &release, "select count(noted_at) from ops.notes")
            .await
            .unwrap(),
        "|0|"
    );
    let unknown = query(&lake, &release, "select * from ops.others").await.unwrap_err();
    assert!(unknown.to_string().contains("others"), "{unknown}");
    let columns = NOTES
        .schema()
        .fields()
        .iter()
        .map(|f| arrow::array::new_null_array(f.data_type(), 1))
        .collect();
    let row = RecordBatch::try_new(NOTES.schema(), columns).unwrap();
    lake.journal(NOTES, row).await.unwrap();
    assert_eq!(
        query(&lake, &release, "select count(*) from ops.notes").await.unwrap(),
        "|1|"
    );
}

/// What a plan that travels to another process needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_table_is_the_same_in_another_process() {
    let (folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a"), (2, "b")]).await;
    let snapshot = lake.snapshot("raw_a/t", 0).await.unwrap();
    let here = PinnedTable::new(snapshot);
    let sent = serde_json::to_string(&here.reference()).unwrap();
    put(&lake, Mode::Append, &[(3, "c")]).await;

    let other = Lake::open(folder.path().to_str().unwrap(), &Settings::default())
        .await
        .unwrap();
    let there = other.pinned(&serde_json::from_str(&sent).unwrap()).await.unwrap();
    assert_eq!(there.schema(), here.schema());
    let expected = "|1|a| |2|b|";
    assert_eq!(scanned(&lake, here).await, expected);
    assert_eq!(scanned(&other, there).await, expected);

    let never = PinnedReference {
        path: "raw_a/t".to_owned(),
        version: 9,
    };
    other.pinned(&never).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_remembered_with_the_data() {
    let (_folder, lake) = temporary().await;
    let batch = pairs(&[(1, "a")]);
    let write = Write {
        transactions: vec![("file:a".into(), 7)],
        ..Write::new(Mode::Append, batch.schema())
    };
    lake.write(
        &name("raw_a.t"),
        write,
        vec![stream(vec![batch.clone()], &batch.schema())],
    )
    .await
    .unwrap();
    let seen = lake
        .transactions(&name("raw_a.t"), &["file:a".into(), "file:b".into()])
        .await
        .unwrap();
    assert_eq!(seen, [("file:a".to_owned(), 7)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_source_leaves_the_table_as_it_was() {
    let (folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    let good = pairs(&[(2, "b")]);
    let schema = good.schema();
    let broken = futures::stream::iter([Ok(good), Err(Error::failed("reading x.csv", "gone").into())]);
    let broken: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), broken));
    let other = stream(vec![pairs(&[(3, "c")])], &schema);
    let error = lake
        .write(&name("raw_a.t"), Write::new(Mode::Append, schema), vec![other, broken])
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "reading x.csv: gone");
    assert_eq!(lake.latest_version(&name("raw_a.t")).await.unwrap(), Some(0));
    assert_eq!(data_files(folder.path()), 1, "nothing half-written stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn years_that_other_readers_cannot_parse_are_not_in_the_log() {
    let (folder, lake) = temporary().await;
    let micros = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
    let near = micros("2026-01-01T00:00:00Z");
    // The last microsecond of 9999 would be rounded up into 10000.
    let far = [near, micros("9999-12-31T23:59:59.999999Z")];
    let far: ArrayRef = Arc::new(TimestampMicrosecondArray::from(far.to_vec()).with_timezone("UTC"));
    let days = |years: [i64; 2]| -> ArrayRef {
        let days = years.map(|year| ((year - 1970) as f64 * 365.2425) as i32);
        Arc::new(Date32Array::from(days.to_vec()))
    };
    let columns = [
        ("at", far),
        ("later", days([2026, 10_001])),
        ("before", days([-5, 2026])),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let rows = stream(vec![batch.clone()], &batch.schema());
    let write = Write::new(Mode::Append, batch.schema());
    lake.write(&name("raw_a.t"), write, vec![rows]).await.unwrap();
    let stats = files_at(&lake, 0).await[0].add.stats.clone().unwrap();
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    let none = serde_json::json!({});
    assert_eq!((&stats["minValues"], &stats["maxValues"]), (&none, &none));
    let release = publish(&lake, 0).await;
    let late = r#"at > arrow_cast('9998-01-01', 'Timestamp(Microsecond, Some("UTC"))')"#;
    for filter in [late, "later > '9998-01-01'", "before < '0001-01-01'"] {
        let sql = format!("select count(*) from raw_a.t where {filter}");
        assert_eq!(query(&lake, &release, &sql).await.unwrap(), "|1|", "{filter}");
    }
    let location = url::Url::from_directory_path(folder.path().join("raw_a/t")).unwrap();
    let table = deltalake::open_table(location).await.unwrap();
    assert_eq!(table.version(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_cannot_be_written_stops_no_commit() {
    let (folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(0, "kept")]).await;
    checkpoint_every(2, folder.path());
    let lake = another(folder.path()).await;
    let checkpoint = "raw_a/t/_delta_log/00000000000000000001.checkpoint.parquet";
    std::fs::create_dir(folder.path().join(checkpoint)).unwrap();
    put(&lake, Mode::Append, &[(1, "committed")]).await;
    put(&lake, Mode::Append, &[(2, "too")]).await;
    let log = folder.path().join("raw_a/t/_delta_log");
    assert!(log.join("00000000000000000002.checkpoint.parquet").is_file());
    assert_eq!(
        rows_at(&another(folder.path()).await, 2).await,
        "|0|kept| |1|committed| |2|too|"
    );
}

/// Makes a table of one version, which nobody has read yet, write a checkpoint at every so many versions.
fn checkpoint_every(versions: u32, lake: &std::path::Path) {
    edit_first_version(lake, "\"configuration\":{", |old| {
        format!("{old}\"delta.checkpointInterval\":\"{versions}\",")
    });
}

/// Replaces a part of the table's first log entry.
fn edit_first_version(lake: &std::path::Path, old: &str, new: impl FnOnce(&str) -> String) {
    let path = lake.join("raw_a/t/_delta_log/00000000000000000000.json");
    let log = std::fs::read_to_string(&path).unwrap();
    assert!(log.contains(old), "{log}");
    std::fs::write(&path, log.replace(old, &new(old))).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_writes_beside_production() {
    let (_folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    publish(&lake, 0).await;
    let dev = lake.in_target(Some("dev")).unwrap();
    let base = dev.releases().newest().await.unwrap();
    assert_eq!(query(&dev, &base, "select id from raw_a.t").await.unwrap(), "|1|");
    put(&dev, Mode::Append, &[(5, "dev")]).await;
    assert_eq!(lake.latest_version(&name("raw_a.t")).await.unwrap(), Some(0));
    assert_eq!(dev.latest_version(&name("raw_a.t")).await.unwrap(), Some(0));
    assert!(lake.in_target(Some("../x")).is_err());
}

/// The data files in the table's folder, its own and others.
fn data_files(lake: &std::path::Path) -> usize {
    let files = std::fs::read_dir(lake.join("raw_a/t")).unwrap();
    let names = files.map(|file| file.unwrap().path());
    names
        .filter(|path| path.extension().is_some_and(|e| e == "parquet"))
        .count()
}

/// A row of a load: its key, its value, and whether it only deletes.
type Row<'a> = (Option<i64>, &'a str, bool);

/// Rows with the columns `id`, `text` and `gone`.
fn loaded(rows: &[Row<'_>]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>());
    let texts: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>());
    let gone: ArrayRef = Arc::new(rows.iter().map(|row| row.2.then_some(true)).collect::<BooleanArray>());
    RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("text", texts, true), ("gone", gone, true)]).unwrap()
}

/// Writes each of the partitions as a batch a row, so that batches end everywhere.
async fn load(lake: &Lake, mode: Mode, partitions: &[&[Row<'_>]]) -> Result<WriteReport> {
    load_after(lake, Write::new(mode, loaded(&[]).schema()), partitions, async {
        Ok(())
    })
    .await
}

async fn load_after(
    lake: &Lake,
    mut write: Write,
    partitions: &[&[Row<'_>]],
    before_commit: impl Future<Output = Result<()>>,
) -> Result<WriteReport> {
    if matches!(&write.mode, Mode::Append | Mode::Overwrite | Mode::Insert { .. }) {
        write.schema = Arc::new(write.schema.project(&[0, 1]).unwrap());
    }
    let streams = partitions.iter().map(|rows| {
        let batches = rows.iter().map(|row| loaded(std::slice::from_ref(row)));
        stream(batches.collect(), &loaded(&[]).schema())
    });
    lake.write_after(&name("raw_a.t"), write, streams.collect(), before_commit)
        .await
}
