//! Rows whose file is landed anew.

use super::*;

/// Rows of those files' lines, landed at that time.
fn landed(origins: &[&str], at: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new((0..origins.len() as i64).map(|row| at + row).collect::<Int64Array>());
    let from: ArrayRef = Arc::new(StringArray::from_iter_values(origins));
    let times = TimestampMicrosecondArray::from(vec![at; origins.len()]).with_timezone("UTC");
    RecordBatch::try_from_iter([("id", ids), ("_origin", from), ("_loaded_at", Arc::new(times))]).unwrap()
}

async fn land(lake: &Lake, mode: Mode, rows: RecordBatch, supersedes: &[(&str, i64)]) -> WriteReport {
    let supersedes = supersedes.iter().map(|(file, since)| Superseded {
        file: (*file).to_owned(),
        since: *since,
        until: (*file == "until.csv").then_some(2 * since),
    });
    let write = Write {
        supersedes: supersedes.collect(),
        ..Write::new(mode, rows.schema())
    };
    let rows = vec![stream(vec![rows.clone()], &rows.schema())];
    lake.write(&name("raw_a.t"), write, rows).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_that_may_have_such_rows_are_read_and_written_again() {
    for mode in [Mode::Append, upsert()] {
        let (folder, lake) = temporary().await;
        land(&lake, Mode::Append, landed(&["a.csv:1", "b.csv:2"], 1_000_000), &[]).await;
        let lines = ["a.csv:1", "a.csv:1:2", "aa.csv:3", "b.csv:2", "a.csv:"];
        land(&lake, Mode::Append, landed(&lines, 2_000_000), &[]).await;
        // Who looks into it fails.
        let old = files_at(&lake, 0).await[0].clone();
        let path = folder.path().join(old.location.as_ref());
        let length = std::fs::metadata(&path).unwrap().len();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, vec![0; length as usize]).unwrap();
        let gone = [("a.csv", 1_500_000), ("b.csv", 3_000_000), ("a.csv", 9_000_000)];
        let report = land(&lake, mode, landed(&["a.csv:9"], 4_000_000), &gone).await;
        assert_eq!((report.rows_added, report.rows_removed), (1, 1));
        std::fs::write(&path, whole).unwrap();
        let release = publish(&lake, report.version).await;
        let rows = query(&lake, &release, "select _origin from raw_a.t order by id")
            .await
            .unwrap();
        assert_eq!(
            rows,
            "|a.csv:1| |b.csv:2| |a.csv:1:2| |aa.csv:3| |b.csv:2| |a.csv:| |a.csv:9|"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_landed_under_the_name_afterwards_stays() {
    let (_folder, lake) = temporary().await;
    for at in [1, 2, 3, 4] {
        land(&lake, Mode::Append, landed(&["until.csv:1"], at * 1_000_000), &[]).await;
    }
    let rows = landed(&["x.csv:9"], 9_000_000);
    let report = land(&lake, Mode::Append, rows, &[("until.csv", 2_000_000)]).await;
    assert_eq!(report.rows_removed, 2);
    let release = publish(&lake, report.version).await;
    let rows = query(&lake, &release, "select id from raw_a.t order by id")
        .await
        .unwrap();
    assert_eq!(rows, "|1000000| |4000000| |9000000|");
}
