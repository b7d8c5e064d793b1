//! Writes by key: what each mode leaves in the table.

use super::*;

fn key() -> Vec<String> {
    vec!["id".into()]
}

fn deletes() -> Mode {
    Mode::Upsert {
        key: key(),
        deleted: Some("gone".into()),
    }
}

fn insert() -> Mode {
    Mode::Insert { key: key() }
}

fn groups() -> Mode {
    Mode::ReplaceGroups {
        key: key(),
        deleted: Some("gone".into()),
    }
}

/// The rows of the newest version; the columns are `id` and `text` alone.
async fn rows(lake: &Lake) -> String {
    let version = lake.latest_version(&name("raw_a.t")).await.unwrap().unwrap();
    let snapshot = lake.snapshot("raw_a/t", version).await.unwrap();
    assert_eq!(snapshot.schema().fields().len(), 2);
    rows_at(lake, version).await
}

/// The files of the newest version.
async fn files(lake: &Lake) -> Vec<String> {
    let version = lake.latest_version(&name("raw_a.t")).await.unwrap().unwrap();
    let snapshot = lake.snapshot("raw_a/t", version).await.unwrap();
    snapshot.files().iter().map(|file| file.add.path.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_deletes_where_the_last_row_of_a_key_says_so() {
    let (folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a"), (2, "b"), (3, "c"), (4, "d")]).await;
    let first: &[Row] = &[
        (Some(1), "", true),
        (Some(2), "", true),
        (Some(3), "C", false),
        (Some(9), "", true),
    ];
    let second: &[Row] = &[
        (Some(2), "B", false),
        (Some(3), "", true),
        (Some(5), "e", false),
        (Some(5), "E", false),
    ];
    let written = load(&lake, deletes(), &[first, second]).await.unwrap();
    assert_eq!(rows(&lake).await, "|2|B| |4|d| |5|E|");
    assert_eq!((written.rows_added, written.rows_removed, written.rows), (2, 3, 3));
    let live = files(&lake).await.len();
    assert_eq!(
        data_files(folder.path()),
        live + 1,
        "only the first version's file is left besides"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_alone_reach_the_files_that_hold_them() {
    let (_folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a"), (2, "b")]).await;
    put(&lake, Mode::Append, &[(11, "k")]).await;
    load(&lake, deletes(), &[&[(Some(11), "", true)]]).await.unwrap();
    assert_eq!(rows(&lake).await, "|1|a| |2|b|");
    let before = files(&lake).await;
    let nothing = load(&lake, deletes(), &[&[(Some(7), "", true)], &[]]).await.unwrap();
    assert_eq!(
        (nothing.version, nothing.rows),
        (2, 2),
        "there is no commit that says nothing"
    );
    let with_state = Write {
        state: Some("7".into()),
        ..Write::new(deletes(), loaded(&[]).schema())
    };
    let kept = load_after(&lake, with_state, &[&[(Some(7), "", true)]], async { Ok(()) })
        .await
        .unwrap();
    assert_eq!(kept.version, 3);
    assert_eq!(files(&lake).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_adds_what_is_not_there_and_rewrites_nothing() {
    let (folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a"), (2, "b")]).await;
    put(&lake, Mode::Append, &[(11, "k")]).await;
    let before = files(&lake).await;
    let first: &[Row] = &[(Some(2), "no", false), (Some(3), "c", false), (Some(3), "no", false)];
    let second: &[Row] = &[(Some(3), "no", false), (Some(4), "d", false), (Some(11), "no", false)];
    let written = load(&lake, insert(), &[first, second]).await.unwrap();
    assert_eq!(rows(&lake).await, "|1|a| |2|b| |3|c| |4|d| |11|k|");
    assert_eq!((written.rows_added, written.rows_removed, written.rows), (2, 0, 5));
    let after = files(&lake).await;
    assert!(before.iter().all(|file| after.contains(file)));
    let again = load(&lake, insert(), &[first, second]).await.unwrap();
    assert_eq!((again.version, again.rows_added), (written.version, 0));
    assert_eq!(
        data_files(folder.path()),
        after.len(),
        "no file of rows that nobody wants is left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_replaced_whole() {
    let (_folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a"), (1, "b"), (2, "c"), (3, "d")]).await;
    let first: &[Row] = &[(Some(1), "x", false), (Some(3), "", true)];
    let second: &[Row] = &[
        (Some(1), "y", false),
        (Some(1), "x", false),
        (Some(4), "z", false),
        (Some(8), "", true),
    ];
    let written = load(&lake, groups(), &[first, second]).await.unwrap();
    assert_eq!(rows(&lake).await, "|1|x| |1|x| |1|y| |2|c| |4|z|");
    assert_eq!((written.rows_added, written.rows_removed, written.rows), (4, 3, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn null_is_a_key_like_others() {
    let (_folder, lake) = temporary().await;
    load(&lake, Mode::Append, &[&[(None, "a", false), (Some(0), "b", false)]])
        .await
        .unwrap();
    load(&lake, insert(), &[&[(None, "no", false), (Some(1), "c", false)]])
        .await
        .unwrap();
    assert_eq!(rows(&lake).await, "|0|b| |1|c| ||a|");
    load(&lake, deletes(), &[&[(None, "A", false), (Some(0), "", true)]])
        .await
        .unwrap();
    assert_eq!(rows(&lake).await, "|1|c| ||A|");
    load(&lake, groups(), &[&[(None, "", true)]]).await.unwrap();
    assert_eq!(rows(&lake).await, "|1|c|");
}

/// Hashing all columns of a key at once would pass over nulls, and take the place of one for that of another.
#[tokio::test(flavor = "multi_thread")]
async fn keys_with_nulls_in_different_columns_differ() {
    let (_folder, lake) = temporary().await;
    let column = |values: &[Option<i64>]| -> ArrayRef { Arc::new(values.iter().copied().collect::<Int64Array>()) };
    let (one, null) = (Some(1), None);
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("a", column(&[one, null, null, null, one]), true),
        ("b", column(&[null, one, null, null, one]), true),
        ("c", column(&[null, null, one, null, null]), true),
    ])
    .unwrap();
    let mode = Mode::Upsert {
        key: vec!["a".into(), "b".into(), "c".into()],
        deleted: None,
    };
    for _ in 0..2 {
        let rows = stream(vec![batch.clone()], &batch.schema());
        let write = Write::new(mode.clone(), batch.schema());
        let written = lake.write(&name("raw_a.t"), write, vec![rows]).await.unwrap();
        assert_eq!(written.rows, 5);
    }
}

/// Keys of text and of times have bounds that the statistics cut off or round; both must still find their files.
#[tokio::test(flavor = "multi_thread")]
async fn bounds_that_are_cut_off_hide_no_key() {
    let (_folder, lake) = temporary().await;
    let long = "x".repeat(40);
    let texts: ArrayRef = Arc::new(StringArray::from(vec![format!("{long}1"), format!("{long}2")]));
    let times = [1_500_000_000_123_456_789, 1_500_000_000_123_457_789];
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(times.to_vec()));
    for (column, values) in [("by_text", texts), ("by_time", times)] {
        let table = TableName::new("raw_a", column).unwrap();
        let batch = RecordBatch::try_from_iter([(column, values)]).unwrap();
        for row in [0, 1, 0, 1] {
            let mode = Mode::Insert {
                key: vec![column.into()],
            };
            let rows = stream(vec![batch.slice(row, 1)], &batch.schema());
            lake.write(&table, Write::new(mode, batch.schema()), vec![rows])
                .await
                .unwrap();
        }
        let version = lake.latest_version(&table).await.unwrap().unwrap();
        let snapshot = lake.snapshot(&lake.path_of(&table), version).await.unwrap();
        assert_eq!((version, snapshot.rows()), (1, Some(2)), "{column}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_widens_columns_at_the_same_time() {
    for (mode, expected) in [
        (deletes(), "|2|b| |x|"),
        (insert(), "|1|a| |2|b| |x|"),
        (groups(), "|2|b| |x|"),
    ] {
        let (_folder, lake) = temporary().await;
        put(&lake, Mode::Append, &[(1, "a"), (2, "b")]).await;
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["1", "x"]));
        let gone: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
        let batch = RecordBatch::try_from_iter([("id", ids), ("gone", gone)]).unwrap();
        let schema = match &mode {
            Mode::Insert { .. } => Arc::new(batch.schema().project(&[0]).unwrap()),
            _ => batch.schema(),
        };
        let write = Write {
            widen: true,
            ..Write::new(mode, schema)
        };
        let rows = stream(vec![batch.clone()], &batch.schema());
        lake.write(&name("raw_a.t"), write, vec![rows]).await.unwrap();
        let rows = rows_at(&lake, 1).await;
        assert_eq!(rows.replace("|x||", "|x|"), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_deletions_must_be_one() {
    let (_folder, lake) = temporary().await;
    for (column, why) in [("text", "is a Utf8"), ("none", "there is no column `none`")] {
        let mode = Mode::Upsert {
            key: key(),
            deleted: Some(column.into()),
        };
        let error = load(&lake, mode, &[]).await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::Config && error.to_string().contains(why),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_the_commit_leaves_the_table_as_it_was() {
    for mode in [Mode::Append, Mode::Overwrite, deletes(), insert(), groups()] {
        let (folder, lake) = temporary().await;
        put(&lake, Mode::Append, &[(1, "a"), (2, "b")]).await;
        let write = Write::new(mode.clone(), loaded(&[]).schema());
        let first: &[Row] = &[(Some(2), "B", false), (Some(3), "c", false), (Some(3), "C", false)];
        let new = [first, &[(Some(1), "x", false)]];
        let failed = load_after(&lake, write, &new, async { Err(Error::failed("journaling", "no")) });
        assert_eq!(failed.await.unwrap_err().to_string(), "journaling: no", "{mode:?}");
        assert_eq!(data_files(folder.path()), 1, "{mode:?}");
        assert_eq!(rows(&lake).await, "|1|a| |2|b|", "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_before_the_commit_sees_all_rows_staged_and_may_write_elsewhere() {
    let (folder, lake) = temporary().await;
    let (writer, path) = (lake.clone(), folder.path().to_owned());
    // In a task of its own, which asks of the write and what comes before its commit that they can move.
    let writing = tokio::spawn(async move {
        let before_commit = async {
            assert_eq!(data_files(&path), 2);
            assert_eq!(writer.latest_version(&name("raw_a.t")).await.unwrap(), None);
            let fields = NOTES.schema();
            let columns = fields
                .fields()
                .iter()
                .map(|f| arrow::array::new_null_array(f.data_type(), 1));
            let row = RecordBatch::try_new(fields.clone(), columns.collect()).unwrap();
            writer.journal(NOTES, row).await
        };
        let write = Write::new(Mode::Append, pairs(&[]).schema());
        let streams = [(1, "a"), (2, "b")].map(|row| stream(vec![pairs(&[row])], &pairs(&[]).schema()));
        let table = name("raw_a.t");
        writer.write_after(&table, write, streams.into(), before_commit).await
    });
    writing.await.unwrap().unwrap();
    assert_eq!(rows(&lake).await, "|1|a| |2|b|");
    assert_eq!(lake.latest_version(&NOTES.table().unwrap()).await.unwrap(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_dropped_before_its_commit_leaves_the_table_as_it_was() {
    let (_folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    let staged = tokio::sync::Notify::new();
    let write = Write {
        state: Some("new".into()),
        ..Write::new(deletes(), loaded(&[]).schema())
    };
    let never = async {
        staged.notify_one();
        std::future::pending().await
    };
    tokio::select! {
        _ = load_after(&lake, write, &[&[(Some(1), "", true), (Some(2), "b", false)]], never) => unreachable!(),
        () = staged.notified() => {}
    }
    assert_eq!(rows(&lake).await, "|1|a|");
    assert_eq!(lake.state(&name("raw_a.t")).await.unwrap(), None);
    load(&lake, deletes(), &[&[(Some(1), "A", false)]]).await.unwrap();
    assert_eq!(rows(&lake).await, "|1|A|", "and its turn is given back");
}

/// Another process commits between our reading and our commit: only rows that are merely added may join its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_came_first_is_a_conflict() {
    for (mode, state, joins) in [
        (Mode::Append, None, true),
        (Mode::Append, Some("s"), false),
        (deletes(), None, false),
        (insert(), None, false),
        (groups(), None, false),
    ] {
        let (folder, lake) = temporary().await;
        put(&lake, Mode::Append, &[(1, "a")]).await;
        let other = Lake::open(folder.path().to_str().unwrap(), &Settings::default())
            .await
            .unwrap();
        let write = Write {
            state: state.map(str::to_owned),
            ..Write::new(mode.clone(), loaded(&[]).schema())
        };
        let meanwhile = async {
            put(&other, Mode::Append, &[(2, "theirs")]).await;
            Ok(())
        };
        let written = load_after(&lake, write, &[&[(Some(2), "ours", false)]], meanwhile).await;
        if joins {
            assert_eq!(written.unwrap().version, 2);
            assert_eq!(rows(&lake).await, "|1|a| |2|ours| |2|theirs|");
        } else {
            assert_eq!(written.unwrap_err().kind(), ErrorKind::Conflict, "{mode:?}");
            assert_eq!(rows(&lake).await, "|1|a| |2|theirs|");
            assert_eq!(lake.state(&name("raw_a.t")).await.unwrap(), None);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_mapped_columns_is_refused() {
    let (folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    edit_first_version(folder.path(), "\"configuration\":{", |old| {
        format!("{old}\"delta.columnMapping.mode\":\"name\",")
    });
    edit_first_version(folder.path(), "\"minReaderVersion\":1,\"minWriterVersion\":2", |_| {
        "\"minReaderVersion\":2,\"minWriterVersion\":5".to_owned()
    });
    for (id, column) in ["id", "text"].into_iter().enumerate() {
        let field = format!("\\\"name\\\":\\\"{column}\\\",");
        edit_first_version(folder.path(), &field, |field| {
            let metadata = format!(
                "\\\"delta.columnMapping.id\\\":{id},\\\"delta.columnMapping.physicalName\\\":\\\"col-{id}\\\""
            );
            format!("{field}\\\"metadata\\\":{{{metadata}}},")
        });
    }
    edit_first_version(folder.path(), ",\\\"metadata\\\":{}", |_| String::new());
    let error = another(folder.path()).await.snapshot("raw_a/t", 0).await.unwrap_err();
    assert!(error.to_string().contains("mapped the table's columns"), "{error}");
}
