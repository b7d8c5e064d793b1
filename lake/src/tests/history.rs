//! Writes that keep the former rows.

use arrow::array::AsArray;

use super::*;
use crate::table::clock;

fn history(at: i64, missing: MissingKey) -> Mode {
    Mode::History {
        key: vec!["id".into()],
        deleted: Some("gone".into()),
        ignored: vec!["load".into()],
        at,
        missing,
        trust_clock: false,
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

/// The rows of the newest version as `|id|text|from|to|`, times in microseconds.
pub(super) async fn periods(lake: &Lake) -> String {
    let version = lake.latest_version(&name("raw_a.t")).await.unwrap().unwrap();
    let release = publish(lake, version).await;
    let [from, to] = ["_valid_from", "_valid_to"].map(|column| format!("arrow_cast({column}, 'Int64')"));
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
async fn rows_of_a_key_follow_each_other_whatever_the_clock() {
    let (_folder, lake) = temporary().await;
    for text in ["a", "b", "c"] {
        load(&lake, history(hour(1), MissingKey::Keep), &[&[(Some(1), text, false)]])
            .await
            .unwrap();
    }
    assert_eq!(
        periods(&lake).await,
        format!(
            "|1|a|{0}|{1}| |1|b|{1}|{2}| |1|c|{2}||",
            hour(1),
            hour(1) + 1,
            hour(1) + 2
        )
    );
    for (at, rows) in [
        (5, [(Some(2), "x", false), (Some(3), "p", false)]),
        (3, [(Some(2), "y", false), (Some(4), "z", false)]),
        (2, [(Some(3), "", true), (Some(1), "c", false)]),
        (4, [(Some(3), "q", false), (Some(1), "c", false)]),
    ] {
        load(&lake, history(hour(at), MissingKey::Keep), &[&rows])
            .await
            .unwrap();
    }
    let late = hour(5) + 1;
    assert_eq!(
        periods(&lake).await,
        format!(
            "|1|a|{}|{}| |1|b|{1}|{}| |1|c|{2}|| |2|x|{}|{late}| |2|y|{late}|| |3|p|{3}|{late}| |3|q|{late}|| |4|z|{}||",
            hour(1),
            hour(1) + 1,
            hour(1) + 2,
            hour(5),
            hour(3)
        ),
        "only keys whose rows are ahead begin later than their load"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_more_than_a_day_behind_the_history_is_refused_unless_it_is_trusted() {
    let (folder, lake) = temporary().await;
    let load_at = async |hours, text, trust| {
        let mut mode = history(hour(hours), MissingKey::Keep);
        if let Mode::History { trust_clock, .. } = &mut mode {
            *trust_clock = trust;
        }
        load(&lake, mode, &[&[(Some(1), text, false)]]).await
    };
    load_at(100, "a", false).await.unwrap();
    load_at(77, "b", false).await.unwrap();
    let files = data_files(folder.path());
    let refused = load_at(75, "c", false).await.unwrap_err().to_string();
    assert!(
        refused.contains("the clock says 1970-01-04T03:00:00Z, and the history has changes of 1970-01-05T04:00:00Z"),
        "{refused}"
    );
    assert_eq!(data_files(folder.path()), files);
    load_at(75, "c", true).await.unwrap();
    load_at(24 * 365, "d", false).await.unwrap();
    assert_eq!(
        rows(&lake).await,
        "|1|a|100|100| |1|b|100|100| |1|c|100|8760| |1|d|8760||"
    );
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
        trust_clock: false,
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

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_the_store_contradicts_is_refused() {
    let (folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    let file = lake.snapshot("raw_a/t", 0).await.unwrap().files()[0].clone();
    let table = name("raw_a.t");
    let check = || clock::check_store(&lake, &table, "raw_a/t", std::slice::from_ref(&file.add));
    check().await.unwrap();
    let ours = std::time::UNIX_EPOCH + std::time::Duration::from_millis(file.add.modification_time as u64);
    let day = std::time::Duration::from_secs(24 * 3600);
    for (stored, agrees) in [(ours - day / 2, true), (ours - day * 2, false), (ours + day * 2, false)] {
        let on_disk = std::fs::File::options()
            .append(true)
            .open(folder.path().join(file.location.as_ref()))
            .unwrap();
        on_disk.set_modified(stored).unwrap();
        let checked = check().await;
        assert_eq!(checked.is_ok(), agrees, "{checked:?}");
    }
}
