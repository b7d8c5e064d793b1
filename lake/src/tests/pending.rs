//! What a build makes is seen by its own sessions only, until it is committed.

use super::*;
use crate::Relation;

fn table() -> TableName {
    name("raw_a.t")
}

/// A draft of the newest release, with the table as `written` says.
async fn drafted(lake: &Lake, written: &WriteReport) -> Draft {
    let mut draft = Draft::new(lake.releases().newest().await.unwrap(), "build", "run");
    draft.set(table(), Relation::table(lake.path_of(&table()), written.version));
    draft
}

async fn rows(lake: &Lake, release: &Arc<Release>) -> Result<String> {
    query(lake, release, "select string_agg(id, ',' order by id) from raw_a.t").await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_sees_what_is_pending() {
    let (folder, lake) = temporary().await;
    let published = put(&lake, Mode::Append, &[(1, "a")]).await;
    publish(&lake, published.version).await;
    for mode in [Mode::Append, Mode::Overwrite, upsert()] {
        let build = lake.with_pending_writes();
        let before = lake.releases().newest().await.unwrap();
        let written = put(&build, mode.clone(), &[(2, "b")]).await;
        let draft = drafted(&build, &written).await;
        let expected = if mode == Mode::Overwrite { "|2|" } else { "|1,2|" };
        assert_eq!(rows(&build, &draft.preview()).await.unwrap(), expected, "{mode:?}");
        assert_eq!(lake.latest_version(&table()).await.unwrap(), Some(0));
        assert_eq!(rows(&lake, &before).await.unwrap(), "|1|");
        assert!(rows(&lake, &draft.preview()).await.is_err(), "there is no such version");
        build.discard_pending().await;
        let files = std::fs::read_dir(folder.path().join("raw_a/t")).unwrap();
        let files = files.filter(|file| {
            file.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "parquet")
        });
        assert_eq!(files.count(), 1, "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_what_was_pending() {
    let (_folder, lake) = temporary().await;
    let build = lake.with_pending_writes();
    let written = put(&build, Mode::Append, &[(1, "a")]).await;
    let mut draft = drafted(&build, &written).await;
    assert_eq!(rows(&build, &draft.preview()).await.unwrap(), "|1|");
    assert_eq!(lake.latest_version(&table()).await.unwrap(), None);
    build.commit_pending(&mut draft).await.unwrap();
    let release = lake.releases().publish(&draft).await.unwrap();
    assert_eq!(rows(&lake, &release).await.unwrap(), "|1|");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_in_between_is_a_conflict() {
    let (_folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    let build = lake.with_pending_writes();
    let written = put_on(&build, Mode::Append, Base::Version(0), &[(2, "b")]).await;
    put(&lake, Mode::Append, &[(3, "c")]).await;
    let mut draft = drafted(&build, &written).await;
    let refused = build.commit_pending(&mut draft).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(rows_at(&lake, 1).await, "|1|a| |3|c|");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_follows_a_table_that_was_compacted_meanwhile() {
    let (_folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    let published = put(&lake, Mode::Append, &[(2, "b")]).await;
    publish(&lake, published.version).await;
    for (mode, expected) in [(Mode::Append, "|1,2,3|"), (Mode::Overwrite, "|3|")] {
        let build = lake.with_pending_writes();
        let base = lake.latest_version(&table()).await.unwrap().unwrap();
        let written = put_on(&build, mode, Base::Version(base), &[(3, "c")]).await;
        let mut draft = drafted(&build, &written).await;
        draft.set(
            name("marts.v"),
            build
                .pinned_view("select id from lake.raw_a.t", &draft.preview())
                .unwrap(),
        );
        let done = lake.compact([table()], crate::maintain::Effort::Full).await.unwrap();
        assert!(done.compacted > 1);
        build.commit_pending(&mut draft).await.unwrap();
        let release = lake.releases().publish(&draft).await.unwrap();
        assert_eq!(rows(&lake, &release).await.unwrap(), expected);
        let view = query(&lake, &release, "select string_agg(id, ',' order by id) from marts.v").await;
        assert_eq!(view.unwrap(), expected);
        if expected == "|1,2,3|" {
            lake.rollback(1, "run").await.unwrap();
            let mut again = Draft::new(lake.releases().newest().await.unwrap(), "test", "run");
            let undone = put_on(&lake, Mode::Append, Base::Version(1), &[]).await;
            again.set(table(), Relation::table(lake.path_of(&table()), undone.version));
            lake.releases().publish(&again).await.unwrap();
        }
    }
}
