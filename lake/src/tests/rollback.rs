//! What was undone stays undone, and can be landed again; whoever wrote on what was undone does not publish.

use super::*;

fn table() -> TableName {
    name("raw_a.t")
}

/// Appends a row as a load does that read the table's state at `tip`, with its state and the transaction of its file.
async fn load(lake: &Lake, tip: Tip, row: (i64, &str)) -> Result<WriteReport> {
    let batch = pairs(&[row]);
    let write = Write {
        base: Base::Tip(tip),
        state: Some(row.1.to_owned()),
        transactions: vec![(format!("file-{}", row.0), row.0)],
        ..Write::new(Mode::Append, batch.schema())
    };
    let rows = stream(vec![batch.clone()], &batch.schema());
    lake.write(&table(), write, vec![rows]).await
}

/// A load from its beginning to its release.
async fn land(lake: &Lake, row: (i64, &str)) -> u64 {
    let written = load(lake, lake.tip(&table()).await.unwrap(), row).await.unwrap();
    publish(lake, written.version).await.number
}

async fn ids(lake: &Lake) -> String {
    let newest = lake.releases().newest().await.unwrap();
    query(lake, &newest, "select string_agg(id, ',' order by id) from raw_a.t")
        .await
        .unwrap()
}

/// The file of that row, if it is known to have landed.
async fn seen(lake: &Lake, id: i64) -> bool {
    let tip = lake.tip(&table()).await.unwrap();
    let known = lake
        .transactions_at("raw_a/t", tip.version.unwrap(), &[format!("file-{id}")])
        .await
        .unwrap();
    known.values().any(|version| *version == id)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_undone_does_not_come_back_and_can_land_again() {
    let (_folder, lake) = temporary().await;
    let good = land(&lake, (1, "a")).await;
    land(&lake, (2, "bad")).await;
    assert!(seen(&lake, 2).await);
    lake.rollback(good, "run").await.unwrap();
    let tip = lake.tip(&table()).await.unwrap();
    assert_eq!((tip.version, tip.timeline), (Some(0), 3));
    assert_eq!(lake.state_of(&table(), tip).await.unwrap().unwrap(), "a");
    assert!(!seen(&lake, 2).await);
    land(&lake, (3, "c")).await;
    assert_eq!(ids(&lake).await, "|1,3|");
    assert!(seen(&lake, 1).await && seen(&lake, 3).await);
    assert!(!seen(&lake, 2).await, "the file can land again");
    land(&lake, (2, "mended")).await;
    assert_eq!(ids(&lake).await, "|1,2,3|");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_first_load_was_undone_begins_anew() {
    let (_folder, lake) = temporary().await;
    let mut other = Draft::new(lake.releases().newest().await.unwrap(), "test", "run");
    other.set(name("marts.other"), Relation::view("select 1 as one"));
    let before = lake.releases().publish(&other).await.unwrap().number;
    land(&lake, (1, "a")).await;
    lake.rollback(before, "run").await.unwrap();
    let tip = lake.tip(&table()).await.unwrap();
    assert_eq!(tip.version, None);
    assert_eq!(lake.state_of(&table(), tip).await.unwrap(), None);
    land(&lake, (2, "b")).await;
    assert_eq!(ids(&lake).await, "|2|");
    assert!(!seen(&lake, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_came_to_publish_is_gone_on_from() {
    let (_folder, lake) = temporary().await;
    land(&lake, (1, "a")).await;
    load(&lake, lake.tip(&table()).await.unwrap(), (2, "b")).await.unwrap();
    let tip = lake.tip(&table()).await.unwrap();
    assert_eq!(lake.state_of(&table(), tip).await.unwrap().unwrap(), "b");
    land(&lake, (3, "c")).await;
    assert_eq!(ids(&lake).await, "|1,2,3|");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_ran_during_a_rollback_is_built_over() {
    let (_folder, lake) = temporary().await;
    let good = land(&lake, (1, "a")).await;
    land(&lake, (2, "bad")).await;
    let begun = lake.tip(&table()).await.unwrap();
    lake.rollback(good, "run").await.unwrap();
    load(&lake, begun, (3, "on what was undone")).await.unwrap();
    let tip = lake.tip(&table()).await.unwrap();
    assert_eq!((tip.version, tip.timeline), (Some(0), 3));
    land(&lake, (4, "d")).await;
    assert_eq!(ids(&lake).await, "|1,4|");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_loads_from_one_state_the_later_is_a_conflict() {
    let (_folder, lake) = temporary().await;
    let tip = lake.tip(&table()).await.unwrap();
    load(&lake, tip, (1, "a")).await.unwrap();
    let refused = load(&lake, tip, (1, "a")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let tip = lake.tip(&table()).await.unwrap();
    assert_eq!(load(&lake, tip, (2, "b")).await.unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_on_what_a_rollback_took_away_does_not_publish() {
    let (_folder, lake) = temporary().await;
    let good = land(&lake, (1, "a")).await;
    let base = lake.releases().newest().await.unwrap();
    let built = |base: &Arc<Release>| {
        let mut draft = Draft::new(base.clone(), "build", "run");
        draft.set(name("marts.sum"), Relation::view("select 1 as one"));
        draft.read(table());
        draft
    };
    let beside = built(&base);
    land(&lake, (2, "b")).await;
    lake.releases().publish(&beside).await.unwrap();
    let base = lake.releases().newest().await.unwrap();
    let mut late = built(&base);
    late.set(name("marts.other"), Relation::view("select 2 as two"));
    lake.rollback(good, "run").await.unwrap();
    let refused = lake.releases().publish(&late).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    land(&lake, (3, "c")).await;
    land(&lake, (4, "d")).await;
    assert!(
        lake.releases().publish(&late).await.is_err(),
        "however far the table goes on"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_had_again_stay() {
    let (_folder, lake) = temporary().await;
    let good = land(&lake, (1, "a")).await;
    let batch = pairs(&[(2, "b")]);
    let write = Write {
        base: Base::Tip(lake.tip(&table()).await.unwrap()),
        unrepeatable: true,
        ..Write::new(Mode::Append, batch.schema())
    };
    let rows = stream(vec![batch.clone()], &batch.schema());
    let written = lake.write(&table(), write, vec![rows]).await.unwrap();
    publish(&lake, written.version).await;
    let done = lake.rollback(good, "run").await.unwrap();
    assert_eq!(done.left, [table()]);
    assert_eq!(ids(&lake).await, "|1,2|");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_files_are_gone_is_not_brought_back() {
    let (folder, lake) = temporary().await;
    let first = put(&lake, Mode::Append, &[(1, "a")]).await;
    let good = publish(&lake, first.version).await.number;
    let second = put(&lake, Mode::Overwrite, &[(2, "b")]).await;
    publish(&lake, second.version).await;
    let gone = files_at(&lake, first.version).await[0].location.to_string();
    std::fs::remove_file(folder.path().join(gone)).unwrap();
    let refused = lake.rollback(good, "run").await.unwrap_err();
    assert!(refused.to_string().contains("were removed"), "{refused}");
    assert_eq!(ids(&lake).await, "|2|");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_goes_on_with_the_rows_that_it_was_tested_on() {
    let (_folder, lake) = temporary().await;
    land(&lake, (1, "a")).await;
    let base = lake.releases().newest().await.unwrap();
    let mut draft = Draft::new(base.clone(), "build", "run");
    let inner = lake.pinned_view("select id from lake.raw_a.t", &base).unwrap();
    draft.set(name("staging.v"), inner);
    let outer = lake
        .pinned_view("select count(*) as n from lake.staging.v", &draft.preview())
        .unwrap();
    draft.set(name("marts.w"), outer);
    lake.releases().publish(&draft).await.unwrap();
    land(&lake, (2, "b")).await;
    let newest = lake.releases().newest().await.unwrap();
    for (sql, expected) in [
        ("select count(*) from raw_a.t", "|2|"),
        ("select count(*) from staging.v", "|1|"),
        ("select n from marts.w", "|1|"),
    ] {
        assert_eq!(query(&lake, &newest, sql).await.unwrap(), expected, "{sql}");
    }
}
