//! What a second load does.

use cordada_ingest::{Selection, load_sources};
use serde_json::json;

use super::chunks::{Run, last, records};
use super::{KINDS, Project};

const ALL: &str = "select id, name from raw_shop.people order by id, name";

#[tokio::test]
async fn what_landed_does_not_land_again() {
    for disposition in ["append", "replace", "merge"] {
        let streams = format!("{{people: {{path: 'p-*.csv', key: [id], disposition: {disposition}}}}}");
        let project = Project::new(&streams).await;
        project.write("p-1.csv", "id,name\n1,a\nbroken\n");
        let first = project.ingest().await;
        assert_eq!((first.streams[0].files, first.release), (1, Some(1)));
        let again = project.ingest().await;
        assert_eq!(
            (again.streams[0].files, again.streams[0].skipped_files, again.release),
            (0, 1, None)
        );
        assert_eq!((again.streams[0].version, again.streams[0].rows), (None, 0));
        // Touched, with the same content.
        let file = std::fs::File::options()
            .append(true)
            .open(project.path().join("p-1.csv"))
            .unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(project.ingest().await.streams[0].files, 0, "{disposition}");
        // One more file.
        project.write("p-2.csv", "id,name\n2,b\n");
        let more = project.ingest().await;
        assert_eq!(more.streams[0].files, if disposition == "replace" { 2 } else { 1 });
        assert_eq!(project.sql(ALL).await, ["1|a", "2|b"], "{disposition}");
        assert_eq!(
            project.sql("select record from ops.rejected_rows").await,
            ["broken"],
            "{disposition}"
        );
        let loads = project
            .sql("select status, files, rows from ops.loads order by started_at")
            .await;
        assert_eq!(loads.len(), 4);
        assert_eq!(&loads[..3], ["landed|1|1", "unchanged|0|0", "unchanged|0|0"]);
    }
}

#[tokio::test]
async fn a_changed_file_follows_the_disposition() {
    let expected: [(&str, &[&str]); 3] = [
        ("append", &["1|a", "1|a", "2|b", "2|c", "3|d"]),
        ("replace", &["1|a", "2|c", "3|d"]),
        ("merge", &["1|a", "2|c", "3|d"]),
    ];
    for (disposition, rows) in expected {
        let streams = format!("{{people: {{path: p.csv, key: [ID], disposition: {disposition}}}}}");
        let project = Project::new(&streams).await;
        project.write("p.csv", "ID,name\n1,a\n2,b\n");
        project.ingest().await;
        project.write("p.csv", "ID,name\n1,a\n2,c\n3,d\n");
        project.ingest().await;
        assert_eq!(project.sql(ALL).await, rows, "{disposition}");
    }
}

#[tokio::test]
async fn of_rows_with_one_key_the_last_stays() {
    let project = Project::new("{people: {path: 'p-*.csv', key: [id], disposition: merge}}").await;
    project.write("p-1.csv", "id,name\n1,old\n1,older\n2,b\n");
    project.write("p-2.csv", "id,name\n1,new\n");
    project.ingest().await;
    assert_eq!(project.sql(ALL).await, ["1|new", "2|b"]);
}

#[tokio::test]
async fn columns_come_go_and_widen_without_loss() {
    let project = Project::new("{people: {path: 'p-*.csv'}}").await;
    project.write("p-1.csv", "id,code,amount,gone\n1,100,1.50,x\n");
    project.ingest().await;
    project.write(
        "p-2.csv",
        "id,code,amount,new\n2,85123A,12345678901234567.125,y\n3,5,,\n",
    );
    project.ingest().await;
    let rows = project
        .sql("select id, code, amount, gone, new from raw_shop.people order by id")
        .await;
    assert_eq!(
        rows,
        [
            "1|100|1.500|x|null",
            "2|85123A|12345678901234567.125|null|y",
            "3|5|null|null|null"
        ]
    );
    let columns = project.columns("raw_shop.people").await;
    assert_eq!(
        columns,
        [
            "id Int64",
            "code Utf8",
            "amount Decimal128(38, 3)",
            "gone Utf8",
            "new Utf8"
        ]
    );
    // What fits changes no type.
    project.write("p-3.csv", "id,code,amount\n4,7,8\n");
    project.ingest().await;
    assert_eq!(project.columns("raw_shop.people").await, columns);
}

#[tokio::test]
async fn replacing_forgets_old_columns_and_types() {
    let project = Project::new("{people: {path: p.csv, disposition: replace}}").await;
    project.write("p.csv", "id,name\nx,a\n");
    project.ingest().await;
    project.write("p.csv", "id\n7\n");
    project.ingest().await;
    assert_eq!(project.columns("raw_shop.people").await, ["id Int64"]);
}

#[tokio::test]
async fn a_run_killed_before_its_release_is_published_by_the_next() {
    let project = Project::new("{people: {path: p.csv}}").await;
    project.write("p.csv", "id,name\n1,a\nbroken\n");
    let killed = project.ingest().await;
    // As if it had been killed between the commit of the rows and the release.
    project.unpublish(1);
    let project = project.reopened().await;
    let report = project.ingest().await;
    assert_eq!((report.streams[0].files, report.release), (0, Some(1)));
    assert_eq!(project.sql(ALL).await, ["1|a"]);
    assert_eq!(
        project.sql("select load_id, record from ops.rejected_rows").await,
        [format!("{}|broken", killed.load_id)]
    );
    // A rollback is not a crash: what it undid is not published again. Its file may be mended, and lands again.
    project.write("p.csv", "id,name\n2,wrong\n");
    project.ingest().await;
    project.lake.rollback(1, "test").await.unwrap();
    project.write("p.csv", "id,name\n3,c\n");
    project.ingest().await;
    assert_eq!(project.sql(ALL).await, ["1|a", "3|c"]);
    project.write("p.csv", "id,name\n2,wrong\n");
    let again = project.ingest().await;
    assert_eq!(again.streams[0].files, 1, "it was taken back, and is new therefore");
}

#[tokio::test]
async fn one_failing_stream_does_not_keep_the_others_from_landing() {
    let project = Project::new("{bad: {path: missing.csv}, people: {path: p.csv}}").await;
    project.write("p.csv", "id,name\n1,a\n");
    let error = project.try_ingest(&[]).await.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().ends_with(" source=shop stream=bad"), "{error}");
    assert_eq!(project.sql(ALL).await, ["1|a"]);
    let one: Selection = "shop.people".parse().unwrap();
    assert_eq!(project.try_ingest(&[one]).await.unwrap().streams.len(), 1);
}

#[tokio::test]
async fn a_cancelled_run_leaves_nothing_behind() {
    let project = Project::new("{people: {path: p.csv}}").await;
    project.write("p.csv", "id,name\n1,a\n");
    let sources = load_sources(&project.path().join("sources"), KINDS).unwrap();
    let cancel = tokio_util::sync::CancellationToken::new();
    cancel.cancel();
    let silent = std::sync::Arc::new(cordada_core::progress::Silent);
    let result = cordada_ingest::ingest(&project.lake, project.path(), &sources, &[], None, silent, cancel).await;
    assert_eq!(result.unwrap_err().kind(), cordada_core::ErrorKind::Cancelled);
    assert_eq!(
        project
            .lake
            .latest_version(&"raw_shop.people".parse().unwrap())
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn an_empty_file_lands_nothing_and_a_header_an_empty_table() {
    let project = Project::new("{people: {path: p.csv}}").await;
    project.write("p.csv", "");
    assert_eq!(project.ingest().await.streams[0].version, None);
    project.write("p.csv", "id,name\n");
    assert_eq!(project.ingest().await.streams[0].rows, 0);
    assert!(project.sql(ALL).await.is_empty());
}

#[tokio::test]
async fn a_flag_that_became_text_says_what_it_said() {
    let load = |text: &[&str], state: i64| vec![last(records(text, Some(json!(state))))];
    let loads = vec![
        load(
            &[
                r#"{"id": 1, "name": "a", "gone": false}"#,
                r#"{"id": 2, "name": "b", "gone": false}"#,
            ],
            1,
        ),
        load(
            &[
                r#"{"id": 1, "name": "c", "gone": false}"#,
                r#"{"id": 2, "name": "b", "gone": "yes"}"#,
            ],
            2,
        ),
        load(&[r#"{"id": 1, "name": "d", "gone": false}"#], 3),
        load(&[r#"{"id": 1, "name": "d", "gone": true}"#], 4),
    ];
    let run = Run::new("key: [id], disposition: merge, deleted: gone", loads).await;
    for expected in [vec!["1|a", "2|b"], vec!["1|c"], vec!["1|d"], vec![]] {
        run.load().await.unwrap();
        assert_eq!(run.rows().await, expected);
    }
}

#[tokio::test]
async fn a_number_and_a_text_say_that_a_row_is_gone_or_not() {
    for (no, yes) in [
        ("0", "1"),
        ("0.0", "0.5"),
        ("\"N\"", "\"Y\""),
        ("\"\"", "\"X\""),
        ("null", "\"2026-01-01\""),
    ] {
        let load = |state: i64, gone: &str| {
            let texts = [
                format!("{{\"id\": 1, \"name\": \"a\", \"gone\": {gone}}}"),
                format!("{{\"id\": 2, \"name\": \"b\", \"gone\": {no}}}"),
            ];
            vec![last(records(&[&texts[0], &texts[1]], Some(json!(state))))]
        };
        let run = Run::new(
            "key: [id], disposition: merge, deleted: gone",
            vec![load(1, no), load(2, yes)],
        )
        .await;
        run.load().await.unwrap();
        assert_eq!(run.rows().await, ["1|a", "2|b"], "{no}");
        run.load().await.unwrap();
        assert_eq!(run.rows().await, ["2|b"], "{yes}");
    }
}

#[tokio::test]
async fn the_first_record_that_is_gone_brings_its_flag() {
    let load = |text: &[&str], state: i64| vec![last(records(text, Some(json!(state))))];
    let loads = vec![
        load(&[r#"{"id": 1, "name": "a"}"#, r#"{"id": 2, "name": "b"}"#], 1),
        load(&[r#"{"id": 1, "gone": true}"#, r#"{"id": 2, "name": "c"}"#], 2),
        load(&[r#"{"id": 2, "name": "d"}"#], 3),
    ];
    let run = Run::new("key: [id], disposition: merge, deleted: gone", loads).await;
    for expected in [vec!["1|a", "2|b"], vec!["2|c"], vec!["2|d"]] {
        run.load().await.unwrap();
        assert_eq!(run.rows().await, expected);
    }
}

#[tokio::test]
async fn a_row_that_is_there_already_has_not_been_rejected() {
    for disposition in ["insert-only", "scd2", "merge"] {
        let streams = format!(
            "{{people: {{path: 'p-*.csv', key: [id], disposition: {disposition}, columns: {{id: {{type: integer}}}}}}}}"
        );
        let project = Project::new(&streams).await;
        project.write("p-1.csv", "id,name\n1,a\n");
        project.ingest().await;
        project.write("p-2.csv", "id,name\n1,a\nx,b\n");
        assert_eq!(project.ingest().await.streams[0].rejected, 1, "{disposition}");
        project.write("p-3.csv", "id,name\ny,b\n");
        project.try_ingest(&[]).await.unwrap_err();
        assert_eq!(project.sql(ALL).await, ["1|a"], "{disposition}");
    }
}

#[tokio::test]
async fn a_list_that_is_none_any_more_leaves_its_table_as_it_was() {
    let load = |text: &str, state: i64| vec![last(records(&[text], Some(json!(state))))];
    let loads = vec![
        load(r#"{"id": 1, "name": "a", "items": [1]}"#, 1),
        load(r#"{"id": 2, "name": "b", "items": "x"}"#, 2),
        load(r#"{"id": 3, "name": "c", "items": [2]}"#, 3),
    ];
    let run = Run::new("key: [id], unnest: {items: }", loads).await;
    for (number, rows) in [vec!["1|a"], vec!["1|a", "2|b"], vec!["1|a", "2|b", "3|c"]]
        .into_iter()
        .enumerate()
    {
        run.load().await.unwrap();
        assert_eq!(run.rows().await, rows, "{number}");
        let items = "select value from raw_shop.people__items order by 1";
        assert_eq!(run.project.sql(items).await, ["1"]);
    }
}
