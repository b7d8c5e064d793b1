//! Writes that keep the former rows.

use arrow::array::AsArray;

use super::*;

fn history(at: i64, missing: MissingKey) -> Mode {
    Mode::History {
        key: vec!["id".into()],
        deleted: Some("gone".into()),
        ignored: vec!["load".into()],
        at,
        missing,
    }
}

/// Microseconds of that many hours.
fn hour(hours: i64) -> i64 {
    hours * 3_600_000_000
}

/// The rows of the newest version as `|id|text|from|to|`, times in hours.
pub(super) async fn rows(lake: &Lake) -> String {
    let version = lake.latest_version(&name("raw_a.t")).await.unwrap().unwrap();
    let release = publish(lake, version).await;
    let hours = |column: &str| format!("arrow_cast({column}, 'Int64') / 3600000000");
    let (from, to) = (hours("_valid_from"), hours("_valid_to"));
    let sql = format!("select id, text, {from}, {to} from raw_a.t order by id, _valid_from, _valid_to, text");
    query(lake, &release, &sql).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_closes_the_current_row_and_begins_another() {
    let (_folder, lake) = temporary().await;
    let rows_of = |rows: &'static [Row<'static>]| vec![rows];
    let first = rows_of(&[(Some(1), "a", false), (Some(2), "b", false), (None, "n", false)]);
    load(&lake, history(hour(1), MissingKey::Keep), &first).await.unwrap();
    let again = load(&lake, history(hour(2), MissingKey::Keep), &first).await.unwrap();
    assert_eq!(
        (again.version, again.rows_added, again.rows),
        (0, 0, 3),
        "nothing has changed"
    );
    let second: &[&[Row]] = &[
        &[(Some(2), "x", false), (Some(3), "c", false)],
        &[(Some(1), "a", false), (Some(2), "B", false)],
    ];
    let written = load(&lake, history(hour(3), MissingKey::Keep), second).await.unwrap();
    assert_eq!(
        (
            written.rows_added,
            written.rows_removed,
            written.rows_closed,
            written.rows
        ),
        (2, 0, 1, 5)
    );
    assert_eq!(rows(&lake).await, "|1|a|1|| |2|b|1|3| |2|B|3|| |3|c|3|| ||n|1||");
    let third = rows_of(&[(Some(1), "", true), (Some(7), "", true), (None, "N", false)]);
    load(&lake, history(hour(4), MissingKey::Keep), &third).await.unwrap();
    assert_eq!(
        rows(&lake).await,
        "|1|a|1|4| |2|b|1|3| |2|B|3|| |3|c|3|| ||n|1|4| ||N|4||"
    );
    load(&lake, history(hour(5), MissingKey::Keep), &[&[(Some(1), "a", false)]])
        .await
        .unwrap();
    assert_eq!(
        rows(&lake).await,
        "|1|a|1|4| |1|a|5|| |2|b|1|3| |2|B|3|| |3|c|3|| ||n|1|4| ||N|4||",
        "a key that comes back begins another row, even if nothing differs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_extraction_closes_what_it_lacks() {
    let (_folder, lake) = temporary().await;
    let first: &[Row] = &[(Some(1), "a", false), (Some(2), "b", false), (Some(3), "c", false)];
    load(&lake, history(hour(1), MissingKey::Close), &[first])
        .await
        .unwrap();
    let second: &[Row] = &[(Some(1), "a", false), (Some(4), "d", false)];
    let written = load(&lake, history(hour(2), MissingKey::Close), &[second])
        .await
        .unwrap();
    assert_eq!((written.rows_closed, written.rows), (2, 4));
    assert_eq!(rows(&lake).await, "|1|a|1|| |2|b|1|2| |3|c|1|2| |4|d|2||");
    load(&lake, history(hour(3), MissingKey::Close), &[&[]]).await.unwrap();
    assert_eq!(rows(&lake).await, "|1|a|1|3| |2|b|1|2| |3|c|1|2| |4|d|2|3|");
    let empty = load(&lake, history(hour(4), MissingKey::Close), &[&[]]).await.unwrap();
    assert_eq!(empty.version, 2, "there is nothing left to close");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_with_a_row_that_closes_are_rewritten() {
    let (_folder, lake) = temporary().await;
    load(
        &lake,
        history(hour(1), MissingKey::Keep),
        &[&[(Some(1), "a", false), (Some(2), "b", false)]],
    )
    .await
    .unwrap();
    load(&lake, history(hour(2), MissingKey::Keep), &[&[(Some(11), "k", false)]])
        .await
        .unwrap();
    load(
        &lake,
        history(hour(3), MissingKey::Keep),
        &[&[(Some(11), "K", false), (Some(1), "a", false)]],
    )
    .await
    .unwrap();
    let [before, after] = [
        lake.snapshot("raw_a/t", 1).await.unwrap(),
        lake.snapshot("raw_a/t", 2).await.unwrap(),
    ];
    let stays =
        |file: &&Arc<crate::table::snapshot::DataFile>| after.files().iter().any(|new| new.add.path == file.add.path);
    assert_eq!(before.files().iter().filter(stays).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_at_one_time_make_no_empty_periods_and_a_clock_put_back_none_that_overlap() {
    let (_folder, lake) = temporary().await;
    for text in ["a", "b", "c"] {
        load(&lake, history(hour(1), MissingKey::Keep), &[&[(Some(1), text, false)]])
            .await
            .unwrap();
    }
    assert_eq!(rows(&lake).await, "|1|c|1||");
    load(
        &lake,
        history(hour(5), MissingKey::Keep),
        &[&[(Some(1), "d", false), (Some(2), "x", false)]],
    )
    .await
    .unwrap();
    load(
        &lake,
        history(hour(3), MissingKey::Keep),
        &[&[(Some(2), "y", false), (Some(3), "z", false)]],
    )
    .await
    .unwrap();
    assert_eq!(rows(&lake).await, "|1|c|1|5| |1|d|5|| |2|y|5|| |3|z|5||");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_history_begins_one() {
    let (_folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a"), (2, "b")]).await;
    load(&lake, history(hour(1), MissingKey::Keep), &[&[(Some(1), "A", false)]])
        .await
        .unwrap();
    assert_eq!(rows(&lake).await, "|1|A|1|| |1|a||1| |2|b|||");
}

fn with_load(ids: ArrayRef, load: &str, extra: Option<&str>) -> RecordBatch {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"; ids.len()]));
    let loads: ArrayRef = Arc::new(StringArray::from(vec![load; ids.len()]));
    let gone: ArrayRef = Arc::new(BooleanArray::from(vec![false; ids.len()]));
    let mut columns = vec![
        ("id", ids.clone(), true),
        ("text", texts, true),
        ("load", loads, true),
        ("gone", gone, true),
    ];
    if let Some(extra) = extra {
        let values = vec![Some(extra).filter(|extra| !extra.is_empty()); ids.len()];
        columns.push(("extra", Arc::new(StringArray::from(values)), true));
    }
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_columns_empty_new_ones_and_wider_keys_are_no_change() {
    let (_folder, lake) = temporary().await;
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1", "2", "3x"]));
    for (at, rows, version) in [
        (1, with_load(numbers.clone(), "one", None), 0),
        (2, with_load(numbers.clone(), "two", None), 0),
        (3, with_load(numbers.clone(), "three", Some("")), 1),
        (4, with_load(texts.clone(), "four", None), 2),
        (5, with_load(texts, "five", Some("")), 2),
    ] {
        let write = Write {
            widen: true,
            ..Write::new(history(hour(at), MissingKey::Close), rows.schema())
        };
        let rows = stream(vec![rows.clone()], &rows.schema());
        let written = lake.write(&name("raw_a.t"), write, vec![rows]).await.unwrap();
        assert_eq!((written.version, written.rows_closed), (version, 0), "load {at}");
    }
    assert_eq!(rows(&lake).await, "|1|a|1|| |2|a|1|| |3x|a|4||");
    let release = publish(&lake, 2).await;
    let loads = query(&lake, &release, "select id, load from raw_a.t order by id")
        .await
        .unwrap();
    assert_eq!(loads, "|1|one| |2|one| |3x|four|");
}

#[tokio::test(flavor = "multi_thread")]
async fn widening_and_closing_happen_in_one_commit() {
    let (_folder, lake) = temporary().await;
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["2", "3x"]));
    for (at, rows) in [
        (1, with_load(numbers, "one", None)),
        (2, with_load(texts, "two", Some("new"))),
    ] {
        let write = Write {
            widen: true,
            ..Write::new(history(hour(at), MissingKey::Close), rows.schema())
        };
        let rows = stream(vec![rows.clone()], &rows.schema());
        lake.write(&name("raw_a.t"), write, vec![rows]).await.unwrap();
    }
    assert_eq!(rows(&lake).await, "|1|a|1|2| |2|a|1|2| |2|a|2|| |3x|a|2||");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_with_a_column_of_the_history_are_refused() {
    let (_folder, lake) = temporary().await;
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("id", ids.clone()), ("_valid_to", ids.clone()), ("gone", ids)]).unwrap();
    let mode = Mode::History {
        key: vec!["id".into()],
        deleted: None,
        ignored: vec![],
        at: 0,
        missing: MissingKey::Keep,
    };
    let rows = stream(vec![batch.clone()], &batch.schema());
    let error = lake
        .write(&name("raw_a.t"), Write::new(mode, batch.schema()), vec![rows])
        .await
        .unwrap_err();
    assert!(
        error.kind() == ErrorKind::Config && error.to_string().contains("`_valid_to`"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_the_commit_closes_nothing() {
    let (folder, lake) = temporary().await;
    load(&lake, history(hour(1), MissingKey::Keep), &[&[(Some(1), "a", false)]])
        .await
        .unwrap();
    let write = Write::new(history(hour(2), MissingKey::Close), loaded(&[]).schema());
    let failed = load_after(&lake, write.clone(), &[&[(Some(2), "b", false)]], async {
        Err(Error::failed("x", "y"))
    });
    failed.await.unwrap_err();
    assert_eq!((rows(&lake).await.as_str(), data_files(folder.path())), ("|1|a|1||", 1));
    let other = Lake::open(folder.path().to_str().unwrap(), &Settings::default())
        .await
        .unwrap();
    let meanwhile = async {
        load(&other, history(hour(2), MissingKey::Keep), &[&[(Some(3), "c", false)]])
            .await
            .map(|_| ())
    };
    let late = load_after(&lake, write, &[&[(Some(3), "c", false)]], meanwhile)
        .await
        .unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict);
    assert_eq!(rows(&lake).await, "|1|a|1|| |3|c|2||");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hash_of_a_row_is_text() {
    let (_folder, lake) = temporary().await;
    load(&lake, history(hour(1), MissingKey::Keep), &[&[(Some(1), "a", false)]])
        .await
        .unwrap();
    let session = lake.session(&publish(&lake, 0).await);
    let batches = session
        .sql("select _row_hash from raw_a.t")
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    // The SHA-256 of `id`, `1`, `text` and `a`, each after its length in 32 bits.
    assert_eq!(
        batches[0].column(0).as_string_view().value(0),
        "6936acba0b03e9cf085615da3e5947af"
    );
}
