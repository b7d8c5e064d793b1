//! Views that stay as they were tested, and their plans, which releases share.

use super::*;

async fn draft(lake: &Lake) -> Draft {
    Draft::new(lake.releases().newest().await.unwrap(), "test", "run")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_planned_once_for_all_releases_that_have_it() {
    const READ: &str = "select * from staging.v order by 1";
    let (_folder, lake) = temporary().await;
    let version = put(&lake, Mode::Append, &[(1, "a")]).await.version;
    let base = publish(&lake, version).await;
    let mut with_view = draft(&lake).await;
    let view = |query: &str, release: &Arc<Release>| lake.pinned_view(query, release).unwrap();
    with_view.set(name("staging.v"), view("select id from lake.raw_a.t", &base));
    let first = lake.releases().publish(&with_view).await.unwrap();
    assert_eq!(query(&lake, &first, READ).await.unwrap(), "|1|");
    assert_eq!(lake.views().kept(), 1);

    let version = put(&lake, Mode::Append, &[(2, "b")]).await.version;
    let second = publish(&lake, version).await;
    assert_eq!(query(&lake, &second, READ).await.unwrap(), "|1|");
    assert_eq!(lake.views().kept(), 1, "it is the same view");

    let mut moved = draft(&lake).await;
    moved.set(name("staging.v"), view("select id from lake.raw_a.t", &second));
    let third = lake.releases().publish(&moved).await.unwrap();
    assert_eq!(query(&lake, &third, READ).await.unwrap(), "|1| |2|");
    assert_eq!(query(&lake, &first, READ).await.unwrap(), "|1|");
    assert_eq!(lake.views().kept(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_a_journal_has_its_new_rows() {
    const READ: &str = "select * from staging.v";
    let (_folder, lake) = temporary().await;
    let base = publish(&lake, put(&lake, Mode::Append, &[(1, "a")]).await.version).await;
    let mut with_view = draft(&lake).await;
    let counted = "select (select count(*) from lake.ops.notes) + count(*) as n from lake.raw_a.t";
    with_view.set(name("staging.v"), lake.pinned_view(counted, &base).unwrap());
    let release = lake.releases().publish(&with_view).await.unwrap();
    assert_eq!(query(&lake, &release, READ).await.unwrap(), "|1|");
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC"));
    let notes: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let rows = RecordBatch::try_new(NOTES.schema(), vec![times, notes]).unwrap();
    lake.journal(NOTES, rows).await.unwrap();
    assert_eq!(query(&lake, &release, READ).await.unwrap(), "|2|");
    assert_eq!(lake.views().kept(), 0);
}
