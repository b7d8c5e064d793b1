//! Maintenance changes where rows are, and never which there are.

use std::path::Path;
use std::time::Duration;

use arrow::array::AsArray;
use chrono::{DateTime, Utc};
use object_store::ObjectStoreExt;

use super::*;
use crate::estimator::{Artefact, Provenance};
use crate::maintain::{Effort, MaintenanceReport};
use crate::release::Docs;

fn table() -> TableName {
    name("raw_a.t")
}

/// Lands a row as a collector does, and publishes it.
async fn land(lake: &Lake, id: i64) -> Arc<Release> {
    let batch = pairs(&[(id, "x")]);
    let write = Write {
        base: Base::Tip(lake.tip(&table()).await.unwrap()),
        state: Some(id.to_string()),
        transactions: vec![("log".to_owned(), id)],
        ..Write::new(Mode::Append, batch.schema())
    };
    let rows = stream(vec![batch.clone()], &batch.schema());
    let written = lake.write(&table(), write, vec![rows]).await.unwrap();
    publish(lake, written.version).await
}

/// Keeps only what is newest, of all that was written until now by the clock of the store, which is a coarse one.
async fn clean_up_all(lake: &Lake) -> MaintenanceReport {
    let began = store_time(lake).await;
    while store_time(lake).await <= began {
        tokio::task::yield_now().await;
    }
    lake.clean_up(Duration::ZERO).await.unwrap()
}

async fn store_time(lake: &Lake) -> DateTime<Utc> {
    let file = "_cordada/tick".into();
    lake.object_store().put(&file, "".into()).await.unwrap();
    lake.object_store().head(&file).await.unwrap().last_modified
}

async fn ids(lake: &Lake, release: &Arc<Release>) -> String {
    query(lake, release, "select string_agg(id, ',' order by id) from raw_a.t")
        .await
        .unwrap()
}

fn data_files(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder.join("raw_a/t")).unwrap();
    files
        .filter(|file| {
            file.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "parquet")
        })
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_are_put_together_and_the_load_goes_on() {
    let (_folder, lake) = temporary().await;
    for id in 1..=5 {
        land(&lake, id).await;
    }
    let before = lake.releases().newest().await.unwrap();
    let done = lake.compact([table()], Effort::Full).await.unwrap();
    assert_eq!((done.compacted, done.into), (5, 1));
    let after = lake.releases().newest().await.unwrap();
    assert_eq!(after.by, "maintain");
    let version = after.published_version(&table(), "raw_a/t").unwrap();
    assert_eq!(files_at(&lake, version).await.len(), 1);
    assert_eq!(
        after.rows_version(&table(), version),
        before.published_version(&table(), "raw_a/t").unwrap()
    );
    for release in [&before, &after] {
        assert_eq!(ids(&lake, release).await, "|1,2,3,4,5|");
    }
    let tip = lake.tip(&table()).await.unwrap();
    assert_eq!(lake.state_of(&table(), tip).await.unwrap().unwrap(), "5");
    assert_eq!(
        lake.transactions(&table(), &["log".to_owned()]).await.unwrap()["log"],
        5
    );
    let newest = land(&lake, 6).await;
    assert_eq!(ids(&lake, &newest).await, "|1,2,3,4,5,6|");
    let again = lake.compact([table()], Effort::Needed).await.unwrap();
    assert_eq!(again.compacted, 0, "two files are not many");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_began_before_a_compaction_lands() {
    let (_folder, lake) = temporary().await;
    land(&lake, 1).await;
    land(&lake, 2).await;
    let tip = lake.tip(&table()).await.unwrap();
    lake.compact([table()], Effort::Full).await.unwrap();
    let batch = pairs(&[(3, "x")]);
    let write = Write {
        base: Base::Tip(tip),
        ..Write::new(upsert(), batch.schema())
    };
    let rows = stream(vec![batch.clone()], &batch.schema());
    let written = lake.write(&table(), write, vec![rows]).await.unwrap();
    let release = publish(&lake, written.version).await;
    assert_eq!(ids(&lake, &release).await, "|1,2,3|");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_goes_on_over_a_compaction_of_its_table() {
    let (_folder, lake) = temporary().await;
    land(&lake, 1).await;
    let base = land(&lake, 2).await;
    let mut draft = Draft::new(base.clone(), "build", "run");
    lake.compact([table()], Effort::Full).await.unwrap();
    let version = base.published_version(&table(), "raw_a/t").unwrap();
    let written = put_on(&lake, Mode::Append, Base::Version(version), &[(3, "x")]).await;
    draft.set(table(), Relation::table("raw_a/t", written.version));
    let release = lake.releases().publish(&draft).await.unwrap();
    assert_eq!(ids(&lake, &release).await, "|1,2,3|");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_undone_is_not_put_together() {
    let (_folder, lake) = temporary().await;
    let good = land(&lake, 1).await;
    land(&lake, 2).await;
    lake.rollback(good.number, "run").await.unwrap();
    assert_eq!(lake.compact([table()], Effort::Full).await.unwrap().compacted, 0);
    let release = land(&lake, 3).await;
    assert_eq!(ids(&lake, &release).await, "|1,3|");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_leaves_what_a_release_needs_and_nothing_else() {
    let (folder, lake) = temporary().await;
    for id in 1..=4 {
        land(&lake, id).await;
    }
    let dev = lake.in_target(Some("dev")).unwrap();
    let mut pinned = Draft::new(dev.releases().newest().await.unwrap(), "build", "run");
    let view = dev.pinned_view("select id from lake.raw_a.t", pinned.base()).unwrap();
    pinned.set(name("marts.v"), view);
    dev.releases().publish(&pinned).await.unwrap();
    lake.compact([table()], Effort::Full).await.unwrap();
    let newest = land(&lake, 5).await;
    std::fs::write(folder.path().join("raw_a/t/part-staged.parquet"), "of a load that runs").unwrap();
    assert_eq!(data_files(folder.path()), 7);

    let kept = lake.clean_up(Duration::from_secs(3600)).await.unwrap();
    assert_eq!((kept.releases, kept.removed, kept.log_files), (0, 0, 0));
    // The files of the first four are another environment's.
    let cleaned = clean_up_all(&lake).await;
    assert_eq!((cleaned.releases, cleaned.removed), (5, 0));
    assert!(lake.releases().get(1).await.is_err());
    let seen = query(
        &dev,
        &dev.releases().newest().await.unwrap(),
        "select count(*) from marts.v",
    )
    .await;
    assert_eq!(seen.unwrap(), "|4|");

    let mut dropped = Draft::new(dev.releases().newest().await.unwrap(), "build", "run");
    dropped.remove(name("marts.v"));
    dropped.set(
        table(),
        Relation::table("raw_a/t", newest.published_version(&table(), "raw_a/t").unwrap()),
    );
    dev.releases().publish(&dropped).await.unwrap();
    let cleaned = clean_up_all(&lake).await;
    assert_eq!((cleaned.releases, cleaned.removed), (1, 4));
    assert_eq!(
        data_files(folder.path()),
        3,
        "the file that was not committed yet is among them"
    );
    assert_eq!(ids(&lake, &newest).await, "|1,2,3,4,5|");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_begins_with_the_oldest_version_that_is_needed() {
    let (folder, lake) = temporary().await;
    for id in 1..=230 {
        land(&lake, id).await;
    }
    let newest = lake.releases().newest().await.unwrap();
    let cleaned = clean_up_all(&lake).await;
    assert!(cleaned.log_files >= 130, "{cleaned:?}");
    let entry = |version: u64| folder.path().join(format!("raw_a/t/_delta_log/{version:020}.json"));
    assert!(!entry(0).exists() && entry(229).exists());
    let reopened = Lake::open(folder.path().to_str().unwrap(), &Settings::default())
        .await
        .unwrap();
    let count = query(&reopened, &newest, "select count(*), max(id) from raw_a.t")
        .await
        .unwrap();
    assert_eq!(count, "|230|230|");
    let release = land(&reopened, 231).await;
    assert_eq!(
        query(&reopened, &release, "select count(*) from raw_a.t")
            .await
            .unwrap(),
        "|231|"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compacted_twice_goes_though_the_log_forgot_where_it_came_from() {
    let (folder, lake) = temporary().await;
    let mut first = None;
    for round in 0..3 {
        for id in 1..=30 {
            land(&lake, round * 30 + id).await;
        }
        clean_up_all(&lake).await;
        lake.compact([table()], Effort::Full).await.unwrap();
        first = first.or(lake.latest_version(&table()).await.unwrap());
        clean_up_all(&lake).await;
        assert_eq!(data_files(folder.path()), 1, "after round {round}");
    }
    let log = folder.path().join("raw_a/t/_delta_log");
    assert!(!log.join(format!("{:020}.json", first.unwrap())).exists());
    let newest = lake.releases().newest().await.unwrap();
    assert_eq!(
        query(&lake, &newest, "select count(*) from raw_a.t").await.unwrap(),
        "|90|"
    );
}

/// The files that the newest checkpoint says were taken out.
fn tombstones(folder: &Path) -> Vec<String> {
    let log = std::fs::read_dir(folder.join("raw_a/t/_delta_log")).unwrap();
    let checkpoints = log.map(|file| file.unwrap().path());
    let newest = checkpoints.filter(|file| file.to_str().unwrap().ends_with(".checkpoint.parquet"));
    let file = std::fs::File::open(newest.max().unwrap()).unwrap();
    let batches = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 1024).unwrap();
    let paths = batches.flat_map(|batch| {
        let batch = batch.unwrap();
        let removed = batch.column_by_name("remove").unwrap().as_struct();
        let paths = removed.column_by_name("path").unwrap().as_string::<i32>();
        paths.iter().flatten().map(str::to_owned).collect::<Vec<_>>()
    });
    paths.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_out_is_on_record_until_it_is_gone() {
    let (folder, lake) = temporary().await;
    for id in 1..=5 {
        land(&lake, id).await;
    }
    lake.compact([table()], Effort::Full).await.unwrap();
    let newest = land(&lake, 6).await;
    let checkpoint = || async {
        let newest = lake.newest_at("raw_a/t").await.unwrap().unwrap();
        lake.log("raw_a/t").write_checkpoint(&newest, None).await.unwrap();
    };
    checkpoint().await;
    assert_eq!(tombstones(folder.path()).len(), 5);
    land(&lake, 7).await;
    assert_eq!(clean_up_all(&lake).await.removed, 5);
    assert!(tombstones(folder.path()).is_empty());
    land(&lake, 8).await;
    checkpoint().await;
    assert!(tombstones(folder.path()).is_empty());
    let released = another(folder.path()).await;
    assert!(released.releases().get(newest.number).await.is_err());
    let newest = released.releases().newest().await.unwrap();
    assert_eq!(ids(&released, &newest).await, "|1,2,3,4,5,6,7,8|");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_relations_goes_with_the_releases_that_say_it() {
    let (folder, lake) = temporary().await;
    let say = |said: &'static str| {
        let lake = lake.clone();
        async move {
            let newest = land(&lake, 1).await;
            let docs = Docs {
                description: Some(said.to_owned()),
                ..Docs::default()
            };
            let mut draft = Draft::new(newest.clone(), "test", "run");
            let mut relation = newest.relation(&table()).unwrap().clone();
            relation.docs = docs.into();
            draft.set(table(), relation);
            lake.releases().publish(&draft).await.unwrap()
        }
    };
    let files = || std::fs::read_dir(folder.path().join("_cordada/docs")).unwrap().count();
    say("one").await;
    say("two").await;
    assert_eq!(lake.clean_up(Duration::from_secs(3600)).await.unwrap().contents, 0);
    assert_eq!(clean_up_all(&lake).await.contents, 1);
    assert_eq!(files(), 1);
    let newest = say("one").await;
    assert_eq!(files(), 2, "what was known to be there is stored again");
    let docs = &newest.relation(&table()).unwrap().docs;
    let read = another(folder.path()).await.docs(docs).await.unwrap();
    assert_eq!(read.description.as_deref(), Some("one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn artefacts_go_with_the_releases_whose_rows_were_scored_with_them() {
    let (folder, lake) = temporary().await;
    let put = |text: &str| {
        let provenance = Provenance {
            model: table(),
            estimator: "kmeans".to_owned(),
            version: 1,
            definition: text.to_owned(),
            rows: None,
        };
        let lake = lake.clone();
        async move {
            lake.put_artefact(&provenance, &Artefact(b"fit".to_vec()))
                .await
                .unwrap()
        }
    };
    let score = |artefact: String| {
        let lake = lake.clone();
        async move {
            let batch = pairs(&[(1, "x")]);
            let write = Write {
                state: Some(format!(r#"{{"artefact":"{artefact}"}}"#)),
                ..Write::new(Mode::Overwrite, batch.schema())
            };
            let rows = stream(vec![batch.clone()], &batch.schema());
            let written = lake.write(&table(), write, vec![rows]).await.unwrap();
            publish(&lake, written.version).await
        }
    };
    let (first, second) = (put("first").await, put("second").await);
    score(first.clone()).await;
    score(second.clone()).await;
    assert_eq!(lake.clean_up(Duration::from_secs(3600)).await.unwrap().contents, 0);
    assert_eq!(clean_up_all(&lake).await.contents, 1);
    let folder = folder.path().join("_cordada/artefacts/raw_a.t");
    assert!(folder.join(&second).exists() && !folder.join(&first).exists());
    assert_eq!(put("first").await, first);
    assert!(folder.join(&first).exists());
}
