//! The text that a table keeps in the commits of its rows.

use super::*;

async fn put_with(lake: &Lake, mode: Mode, schema: SchemaRef, state: Option<&str>) -> WriteReport {
    let write = Write {
        state: state.map(str::to_owned),
        widen: true,
        ..Write::new(mode, schema)
    };
    let rows = stream(vec![RecordBatch::new_empty(write.schema.clone())], &write.schema);
    lake.write(&name("raw_a.t"), write, vec![rows]).await.unwrap()
}

async fn state(lake: &Lake) -> Option<String> {
    lake.state(&name("raw_a.t")).await.unwrap()
}

/// The actions of that version that describe the table.
fn metadata(lake: &std::path::Path, version: u64) -> Vec<serde_json::Value> {
    let log = std::fs::read_to_string(lake.join(format!("raw_a/t/_delta_log/{version:020}.json"))).unwrap();
    let actions = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    actions.filter_map(|action| action.get("metaData").cloned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_state_outlives_writes_without_one() {
    let (folder, lake) = temporary().await;
    let schema = pairs(&[]).schema();
    assert_eq!(state(&lake).await, None);
    put_with(&lake, Mode::Append, schema.clone(), Some("{\"lsn\": \"0/1\"}")).await;
    assert_eq!(state(&lake).await.unwrap(), "{\"lsn\": \"0/1\"}");
    put(&lake, Mode::Append, &[(1, "a")]).await;
    put(&lake, upsert(), &[(1, "b")]).await;
    put(&lake, Mode::Overwrite, &[(1, "c")]).await;
    put_on(&lake, Mode::Append, Base::Version(1), &[(1, "d")]).await;
    assert_eq!(state(&lake).await.unwrap(), "{\"lsn\": \"0/1\"}");
    let wide = Schema::new(vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("new", DataType::Date32, true),
    ]);
    put_with(&lake, Mode::Append, Arc::new(wide.clone()), None).await;
    assert_eq!(state(&lake).await.unwrap(), "{\"lsn\": \"0/1\"}");
    let same = put_with(&lake, upsert(), Arc::new(wide.clone()), Some("{\"lsn\": \"0/1\"}")).await;
    assert_eq!(same.version, 5, "nothing new, no commit");
    let next = put_with(&lake, Mode::Overwrite, Arc::new(wide), Some("é\n\"2\"")).await;
    assert_eq!(state(&lake).await.unwrap(), "é\n\"2\"");
    let (first, last) = (metadata(folder.path(), 0), metadata(folder.path(), next.version));
    assert_eq!((first.len(), last.len()), (1, 1), "state and columns are one action");
    assert_eq!(first[0]["id"], last[0]["id"]);
    assert_eq!(first[0]["name"], last[0]["name"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_outlives_the_log_before_a_checkpoint_and_leaves_other_properties_alone() {
    let (folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    checkpoint_every(3, folder.path());
    let lake = another(folder.path()).await;
    put_with(&lake, Mode::Append, pairs(&[]).schema(), Some("kept")).await;
    put(&lake, Mode::Append, &[(2, "b")]).await;
    put(&lake, Mode::Append, &[(3, "c")]).await;
    let log = folder.path().join("raw_a/t/_delta_log");
    assert!(log.join("00000000000000000002.checkpoint.parquet").exists());
    for version in 0..3 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    let lake = another(folder.path()).await;
    assert_eq!(state(&lake).await.unwrap(), "kept");
    put_with(&lake, Mode::Append, pairs(&[]).schema(), Some("newer")).await;
    assert_eq!(state(&lake).await.unwrap(), "newer");
    let properties = metadata(folder.path(), 4)[0]["configuration"].clone();
    assert_eq!(properties["delta.checkpointInterval"], "3");
    assert_eq!(rows_at(&lake, 4).await, "|1|a| |2|b| |3|c|");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_environment_has_its_own_state() {
    let (_folder, lake) = temporary().await;
    put_with(&lake, Mode::Append, pairs(&[]).schema(), Some("production")).await;
    let dev = lake.in_target(Some("dev")).unwrap();
    assert_eq!(state(&dev).await, None);
    put_with(&dev, Mode::Append, pairs(&[]).schema(), Some("dev")).await;
    assert_eq!(
        (state(&lake).await.unwrap(), state(&dev).await.unwrap()),
        ("production".into(), "dev".into())
    );
}
