//! Maintenance changes where rows are, and never which there are.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::maintain::Effort;

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
    assert_eq!(lake.snapshot("raw_a/t", version).await.unwrap().files().len(), 1);
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
    let cleaned = lake.clean_up(Duration::ZERO).await.unwrap();
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
    let cleaned = lake.clean_up(Duration::ZERO).await.unwrap();
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
    let cleaned = lake.clean_up(Duration::ZERO).await.unwrap();
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
