//! The log of a table as others leave it: what another reader of Delta makes of it, a power cut, a cleanup.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use deltalake::kernel::EagerSnapshot;
use deltalake::logstore::LogStoreRef;
use proptest::prelude::*;

use super::*;
use crate::table::snapshot::TableSnapshot;

/// What happens to a table, version after version.
#[derive(Debug, Clone)]
enum Step {
    Append(i64, Option<u8>),
    Upsert(i64),
    Overwrite(i64),
    Widen(i64),
    State(String),
    OurCheckpoint,
    TheirCheckpoint,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..50_i64, prop::option::of(0..4_u8)).prop_map(|(row, file)| Step::Append(row, file)),
        3 => (0..50_i64).prop_map(Step::Upsert),
        1 => (0..50_i64).prop_map(Step::Overwrite),
        1 => (0..50_i64).prop_map(Step::Widen),
        1 => "[a-z]{1,5}".prop_map(Step::State),
        1 => Just(Step::OurCheckpoint),
        1 => Just(Step::TheirCheckpoint),
    ]
}

/// What two readers have to agree on.
#[derive(Debug, PartialEq)]
struct Table {
    files: BTreeMap<String, (i64, i64, Option<String>)>,
    schema: SchemaRef,
    properties: BTreeMap<String, String>,
    transactions: Vec<Option<i64>>,
}

fn file(number: u8) -> String {
    format!("file {number}")
}

fn ours(snapshot: &TableSnapshot) -> Table {
    let files = snapshot.files().iter().map(|file| {
        let add = &file.add;
        (add.path.clone(), (add.size, add.modification_time, add.stats.clone()))
    });
    let ids: Vec<String> = (0..4).map(file).collect();
    let known = snapshot.transactions(&ids);
    Table {
        files: files.collect(),
        schema: snapshot.schema().clone(),
        properties: snapshot.metadata().configuration().clone().into_iter().collect(),
        transactions: ids.iter().map(|id| known.get(id).copied()).collect(),
    }
}

async fn theirs(log: &LogStoreRef, version: u64) -> Table {
    let snapshot = EagerSnapshot::try_new(log.as_ref(), Some(version)).await.unwrap();
    let views: Vec<_> = snapshot.log_data().iter().collect();
    let files = views.iter().map(|view| {
        (
            view.path().into_owned(),
            (view.size(), view.modification_time(), view.stats()),
        )
    });
    let mut transactions = Vec::new();
    for number in 0..4 {
        transactions.push(snapshot.transaction_version(log.as_ref(), file(number)).await.unwrap());
    }
    Table {
        files: files.collect(),
        schema: Arc::new(types::storable(&snapshot.arrow_schema())),
        properties: snapshot.metadata().configuration().clone().into_iter().collect(),
        transactions,
    }
}

/// The log as delta-rs sees it.
fn their_log(lake: &Path) -> LogStoreRef {
    let url = deltalake::ensure_table_uri(lake.join("raw_a/t").to_str().unwrap()).unwrap();
    let table = deltalake::DeltaTableBuilder::from_url(url).unwrap().build().unwrap();
    table.log_store()
}

async fn their_checkpoint(lake: &Path) {
    let mut table = deltalake::DeltaTable::new(their_log(lake));
    table.load().await.unwrap();
    deltalake::checkpoints::create_checkpoint(&table, None).await.unwrap();
}

async fn run(lake: &Lake, folder: &Path, step: Step) {
    let append = |rows: &[(i64, &str)]| {
        let batch = pairs(rows);
        (Write::new(Mode::Append, batch.schema()), batch)
    };
    let (write, batch) = match step {
        Step::Append(row, number) => {
            let (mut write, batch) = append(&[(row, "appended")]);
            write.transactions = number.map(|number| (file(number), row)).into_iter().collect();
            (write, batch)
        }
        Step::Upsert(row) => (
            Write::new(upsert(), pairs(&[]).schema()),
            pairs(&[(row, "u"), (row + 1, "ü")]),
        ),
        Step::Overwrite(row) => (Write::new(Mode::Overwrite, pairs(&[]).schema()), pairs(&[(row, "o")])),
        Step::Widen(row) => {
            let (mut write, batch) = append(&[(row, "w")]);
            let more: ArrayRef = Arc::new(Int64Array::from(vec![row]));
            let columns = [batch.column(0).clone(), batch.column(1).clone(), more];
            let names = ["id".to_owned(), "text".to_owned(), format!("more {}", row % 3)];
            let batch = RecordBatch::try_from_iter(names.into_iter().zip(columns)).unwrap();
            write.schema = batch.schema();
            (write, batch)
        }
        Step::State(text) => {
            let (mut write, batch) = append(&[]);
            write.state = Some(text);
            (write, batch)
        }
        Step::OurCheckpoint => {
            if let Some(newest) = lake.newest_at("raw_a/t").await.unwrap() {
                lake.log("raw_a/t").write_checkpoint(&newest).await.unwrap();
            }
            return;
        }
        Step::TheirCheckpoint => {
            if lake.newest_at("raw_a/t").await.unwrap().is_some() {
                their_checkpoint(folder).await;
            }
            return;
        }
    };
    let rows = stream(vec![batch.clone()], &batch.schema());
    lake.write(&name("raw_a.t"), write, vec![rows]).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 64, ..ProptestConfig::default() })]
    #[test]
    fn we_read_every_version_as_another_reader_does(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let (folder, lake) = temporary().await;
            for step in steps.clone() {
                run(&lake, folder.path(), step).await;
            }
            let Some(newest) = another(folder.path()).await.latest_version(&name("raw_a.t")).await.unwrap() else {
                return;
            };
            let log = their_log(folder.path());
            for version in 0..=newest {
                let theirs = theirs(&log, version).await;
                let written = lake.snapshot("raw_a/t", version).await.unwrap();
                assert_eq!(ours(&written), theirs, "as it was written, version {version}");
                let read = another(folder.path()).await.snapshot("raw_a/t", version).await.unwrap();
                assert_eq!(ours(&read), theirs, "as it is read, version {version}");
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_written_in_time_and_stand_for_all_before_them() {
    let (folder, lake) = temporary().await;
    for row in 0..35 {
        run(&lake, folder.path(), Step::Append(row, Some((row % 4) as u8))).await;
        run(&lake, folder.path(), Step::Upsert(row)).await;
    }
    let newest = lake.latest_version(&name("raw_a.t")).await.unwrap().unwrap();
    let checkpoints = log_files(folder.path(), |name| name.ends_with("checkpoint.parquet"));
    assert!((4..=7).contains(&checkpoints.len()), "{checkpoints:?}");
    let kept = ours(&lake.snapshot("raw_a/t", newest).await.unwrap());
    // As another engine cleans the log up.
    let last = version_of(checkpoints.last().unwrap());
    for entry in log_files(folder.path(), |name| name.ends_with(".json")) {
        if version_of(&entry) < last {
            std::fs::remove_file(entry).unwrap();
        }
    }
    let read = another(folder.path()).await;
    assert_eq!(ours(&read.snapshot("raw_a/t", newest).await.unwrap()), kept);
    assert_eq!(theirs(&their_log(folder.path()), newest).await, kept);
    let gone = read.snapshot("raw_a/t", last - 1).await.unwrap_err();
    assert!(gone.to_string().contains("is not in the table's log"), "{gone}");
}

/// The paths of the files in the table's log, by name.
fn log_files(lake: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let files = std::fs::read_dir(lake.join("raw_a/t/_delta_log")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|file| wanted(file.file_name().unwrap().to_str().unwrap()))
        .collect();
    files.sort();
    files
}

fn version_of(file: &Path) -> u64 {
    file.file_name().unwrap().to_str().unwrap()[..20].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_slept_goes_on_where_the_log_begins() {
    let (folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    let other = another(folder.path()).await;
    for row in 2..12 {
        put(&other, Mode::Append, &[(row, "b")]).await;
    }
    let checkpoint = log_files(folder.path(), |name| name.ends_with("checkpoint.parquet"));
    let first = version_of(&checkpoint[0]);
    for entry in log_files(folder.path(), |name| name.ends_with(".json")) {
        if version_of(&entry) < first {
            std::fs::remove_file(entry).unwrap();
        }
    }
    let written = put(&lake, Mode::Append, &[(12, "c")]).await;
    assert_eq!((written.version, written.rows), (11, 12));
}

/// Another engine's ways of writing a checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_in_parts_and_with_files_beside_them_are_read() {
    let (folder, lake) = temporary().await;
    for row in 0..6 {
        run(&lake, folder.path(), Step::Append(row, Some(1))).await;
    }
    let newest = lake.newest_at("raw_a/t").await.unwrap().unwrap();
    lake.log("raw_a/t").write_checkpoint(&newest).await.unwrap();
    let log = folder.path().join("raw_a/t/_delta_log");
    let first = std::fs::read_to_string(log.join("00000000000000000000.json")).unwrap();
    let described = first
        .lines()
        .filter(|line| line.contains("\"metaData\"") || line.contains("\"protocol\""));
    let described: Vec<_> = described.map(str::to_owned).collect();
    for entry in log_files(folder.path(), |name| name.ends_with(".json") || name.starts_with('_')) {
        std::fs::remove_file(entry).unwrap();
    }
    let single = log.join("00000000000000000005.checkpoint.parquet");
    let expected = ours(&newest);

    let parts = [1, 2].map(|part| log.join(format!("00000000000000000005.checkpoint.{part:010}.0000000002.parquet")));
    std::fs::rename(&single, &parts[0]).unwrap();
    let one = another(folder.path()).await.latest_version(&name("raw_a.t")).await;
    assert!(one.is_err() || one.unwrap().is_none(), "a part is not a checkpoint");
    std::fs::copy(&parts[0], &parts[1]).unwrap();
    let read = another(folder.path()).await.snapshot("raw_a/t", 5).await.unwrap();
    assert_eq!(ours(&read), expected);

    std::fs::create_dir(log.join("_sidecars")).unwrap();
    std::fs::remove_file(&parts[1]).unwrap();
    std::fs::rename(&parts[0], log.join("_sidecars/x.parquet")).unwrap();
    let sidecar = r#"{"sidecar":{"path":"x.parquet","sizeInBytes":1,"modificationTime":1}}"#;
    let lines = [described.join("\n"), sidecar.to_owned()].join("\n");
    let named = "00000000000000000005.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json";
    std::fs::write(log.join(named), lines).unwrap();
    let read = another(folder.path()).await.snapshot("raw_a/t", 5).await.unwrap();
    assert_eq!(ours(&read), expected);
}

fn entry(lake: &Path, version: u64) -> PathBuf {
    lake.join(format!("raw_a/t/_delta_log/{version:020}.json"))
}

/// What a power cut makes of an entry.
fn torn(whole: &[u8]) -> [Vec<u8>; 3] {
    [Vec::new(), vec![0; whole.len()], whole[..whole.len() - 7].to_vec()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newest_version_that_is_cut_off_was_never_there() {
    let (folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    for row in [2, 3, 4] {
        let version = lake.latest_version(&name("raw_a.t")).await.unwrap().unwrap();
        put(&another(folder.path()).await, Mode::Append, &[(9, "lost")]).await;
        let next = entry(folder.path(), version + 1);
        let cut = &torn(&std::fs::read(&next).unwrap())[row as usize - 2];
        std::fs::write(&next, cut).unwrap();
        for reader in [&lake, &another(folder.path()).await] {
            assert_eq!(reader.latest_version(&name("raw_a.t")).await.unwrap(), Some(version));
        }
        let written = put(&lake, upsert(), &[(row, "b")]).await;
        assert_eq!(written.version, version + 2);
        let read = another(folder.path()).await;
        assert_eq!(
            read.snapshot("raw_a/t", version + 1).await.unwrap().rows(),
            Some(row as u64 - 1)
        );
        assert_eq!(
            theirs(&their_log(folder.path()), version + 2).await.files.len(),
            row as usize
        );
    }
    assert_eq!(rows_at(&lake, 6).await, "|1|a| |2|b| |3|b| |4|b|");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_version_that_is_cut_off_is_no_table() {
    for mode in [Mode::Append, upsert(), Mode::Overwrite] {
        let (folder, lake) = temporary().await;
        put(&another(folder.path()).await, mode.clone(), &[(9, "lost")]).await;
        std::fs::write(entry(folder.path(), 0), "{\"commitInfo\"").unwrap();
        assert_eq!(lake.latest_version(&name("raw_a.t")).await.unwrap(), None);
        let batch = pairs(&[(1, "a")]);
        let write = Write {
            state: Some("s".into()),
            base: Base::Tip(lake.tip(&name("raw_a.t")).await.unwrap()),
            ..Write::new(mode, batch.schema())
        };
        let rows = stream(vec![batch.clone()], &batch.schema());
        let written = lake.write(&name("raw_a.t"), write, vec![rows]).await.unwrap();
        assert_eq!(written.version, 1);
        assert_eq!(rows_at(&lake, 1).await, "|1|a|");
        let state = |version| lake.state_at("raw_a/t", version);
        assert_eq!(state(0).await.unwrap(), None, "nothing has landed then");
        assert_eq!(state(1).await.unwrap().unwrap(), "s");
        assert_eq!(theirs(&their_log(folder.path()), 1).await.files.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_cut_off_under_later_ones_is_an_error() {
    let (folder, lake) = temporary().await;
    for row in 0..3 {
        put(&lake, Mode::Append, &[(row, "a")]).await;
    }
    std::fs::write(entry(folder.path(), 1), "").unwrap();
    let error = another(folder.path())
        .await
        .latest_version(&name("raw_a.t"))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("version 1 of the table at raw_a/t: it is cut off"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn features_that_we_do_not_know_are_refused() {
    for (protocol, reads) in [
        (
            r#""minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["new"],"writerFeatures":["new"]"#,
            false,
        ),
        (
            r#""minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["new"]"#,
            true,
        ),
        (r#""minReaderVersion":9,"minWriterVersion":9"#, false),
    ] {
        let (folder, lake) = temporary().await;
        put(&lake, Mode::Append, &[(1, "a")]).await;
        edit_first_version(folder.path(), "\"minReaderVersion\":1,\"minWriterVersion\":2", |_| {
            protocol.to_owned()
        });
        let lake = another(folder.path()).await;
        let read = lake.snapshot("raw_a/t", 0).await;
        let batch = pairs(&[(2, "b")]);
        let rows = stream(vec![batch.clone()], &batch.schema());
        let table = name("raw_a.t");
        let refused = lake.write(&table, Write::new(Mode::Append, batch.schema()), vec![rows]);
        let refused = refused.await.unwrap_err().to_string();
        assert_eq!(read.is_ok(), reads, "{protocol}");
        assert!(refused.contains("new") || refused.contains("version 9"), "{refused}");
    }
}
