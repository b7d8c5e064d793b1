//! What cannot land costs its row, and not the load: values that no type holds, rows without a key, faults of ours.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use cordada_core::ErrorKind;
use cordada_core::progress::Silent;
use cordada_ingest::{SourceFile, ingest};
use cordada_ingest_source::extract::{Chunk, Rows};
use cordada_ingest_source::misfits::{self, Misfit, Misfits};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Project;
use super::chunks::{Run, Script, Step, last, more, options, records};

/// Rows of `id` and `name`; a name in capitals cannot land.
fn typed(rows: &[(i64, &str)], state: i64) -> Step {
    let cannot = |name: &str| name.chars().all(char::is_uppercase);
    let mut misfits = Misfits::default();
    for (row, (_, name)) in rows.iter().enumerate().filter(|(_, (_, name))| cannot(name)) {
        let misfit = Misfit {
            column: 1,
            reason: "it is loud".to_owned(),
            value: (*name).to_owned(),
        };
        misfits.add(row, misfit);
    }
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let names = rows.iter().map(|(_, name)| Some(*name).filter(|name| !cannot(name)));
    let names: ArrayRef = Arc::new(names.collect::<StringArray>());
    let own = RecordBatch::try_from_iter_with_nullable([("ID", ids, true), ("Name", names, true)]).unwrap();
    let schema = misfits::schema(&own.schema());
    let columns = own
        .columns()
        .iter()
        .cloned()
        .chain([misfits.finish(rows.len()).unwrap()]);
    let batch = RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
    let rows = RecordBatchStreamAdapter::new(schema.clone(), futures::stream::iter([Ok(batch)]));
    let rows = Rows::Typed {
        schema,
        partitions: vec![Box::pin(rows)],
        origin: "public.people".to_owned(),
        deleted: None,
        misfits: true,
    };
    last(Chunk::new(rows, Some(json!(state)), 0))
}

/// A row that changes into one that cannot land, and is mended.
fn loads() -> Vec<Vec<Step>> {
    vec![
        vec![typed(&[(1, "a"), (2, "b")], 1)],
        vec![typed(&[(1, "A"), (3, "c"), (4, "D"), (4, "d")], 2)],
        vec![typed(&[(1, "again")], 3)],
    ]
}

#[tokio::test]
async fn a_row_that_cannot_land_takes_its_older_version_with_it_until_it_is_mended() {
    let run = Run::new("key: [id], disposition: merge", loads()).await;
    run.load().await.unwrap();
    let report = run.load().await.unwrap();
    assert_eq!((report.streams[0].rows, report.streams[0].rejected), (2, 2));
    assert_eq!(run.rows().await, ["2|b", "3|c", "4|d"]);
    let rejected = run
        .project
        .sql("select file, reason, record from ops.rejected_rows order by record")
        .await;
    let expected = [
        r#"public.people|name: it is loud|{"id":1,"name":"A"}"#,
        r#"public.people|name: it is loud|{"id":4,"name":"D"}"#,
    ];
    assert_eq!(rejected, expected);
    run.load().await.unwrap();
    assert_eq!(run.rows().await, ["1|again", "2|b", "3|c", "4|d"]);
}

#[tokio::test]
async fn its_older_version_is_history_or_stays_where_versions_do() {
    let run = Run::new("key: [id], disposition: scd2", loads()).await;
    for _ in 0..3 {
        run.load().await.unwrap();
    }
    let all = "select id, name, _valid_to is null from raw_shop.people where id = 1 order by _valid_from";
    assert_eq!(run.project.sql(all).await, ["1|a|false", "1|again|true"]);
    for disposition in ["append", "insert-only"] {
        let run = Run::new(&format!("key: [id], disposition: {disposition}"), loads()).await;
        run.load().await.unwrap();
        run.load().await.unwrap();
        assert_eq!(run.rows().await, ["1|a", "2|b", "3|c", "4|d"], "{disposition}");
    }
}

#[tokio::test]
async fn rows_without_a_key_are_rejected() {
    let loads = || {
        let rows = [
            r#"{"id": 1, "name": "a"}"#,
            r#"{"id": null, "name": "b"}"#,
            r#"{"name": "c"}"#,
        ];
        vec![
            vec![last(records(&rows, Some(json!(1))))],
            vec![last(records(&rows[2..], Some(json!(2))))],
        ]
    };
    for disposition in ["merge", "insert-only", "scd2"] {
        let run = Run::new(&format!("key: [id], disposition: {disposition}"), loads()).await;
        run.load().await.unwrap();
        let error = run.load().await.unwrap_err().to_string();
        assert!(error.contains("every row was rejected"), "{disposition}: {error}");
        assert_eq!(run.rows().await, ["1|a"], "{disposition}");
        let rejected = "select reason, record from ops.rejected_rows order by record, rejected_at";
        let expected = [r#"{"name":"b"}"#, r#"{"name":"c"}"#, r#"{"name":"c"}"#];
        let expected = expected.map(|record| format!("id: the key has no value|{record}"));
        assert_eq!(run.project.sql(rejected).await, expected, "{disposition}");
    }
}

#[tokio::test]
async fn a_file_without_the_key_is_an_error_that_names_both() {
    let project = Project::new("{people: {path: 'in/*.csv', key: [ID], disposition: merge}}").await;
    project.write("in/1.csv", "ID,Name\n1,a\n");
    project.ingest().await;
    project.write("in/2.csv", "Ident,Name\n2,b\n");
    let error = project.try_ingest(&[]).await.unwrap_err();
    let said = error.to_string();
    assert_eq!(error.exit_code(), 2, "{said}");
    assert!(
        said.contains("2.csv") && said.contains("`id`") && said.contains("ident"),
        "{said}"
    );
    assert_eq!(project.sql("select id, name from raw_shop.people").await, ["1|a"]);
    project.write("in/2.csv", "ID,Name\n2,b\n,c\n");
    assert_eq!(project.ingest().await.streams[0].rejected, 1);
    assert_eq!(
        project.sql("select id, name from raw_shop.people order by id").await,
        ["1|a", "2|b"]
    );
}

#[tokio::test]
async fn a_fault_in_one_stream_is_told_and_does_not_stop_the_others() {
    let project = Project::new("{}").await;
    let source = |name: &str, step| {
        let script = Script {
            options: options(""),
            loads: Mutex::new(VecDeque::from([vec![step]])),
            ..Script::default()
        };
        SourceFile::new(name.to_owned(), Box::new(script)).unwrap()
    };
    let fine = last(records(&[r#"{"id": 1, "name": "a"}"#], Some(json!(1))));
    let sources = [source("erp", Step::Panics), source("shop", fine)];
    let cancel = CancellationToken::new();
    let error = ingest(
        &project.lake,
        project.path(),
        &sources,
        &[],
        None,
        Arc::new(Silent),
        cancel,
    )
    .await;
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::Internal, 1));
    assert!(error.to_string().contains("raw_erp.people"), "{error}");
    assert_eq!(project.sql("select name from raw_shop.people").await, ["a"]);
    let journal = "select source, status, error from ops.loads order by source";
    assert_eq!(project.sql(journal).await, ["erp|failed|internal", "shop|landed|null"]);
}

#[tokio::test]
async fn a_replacement_in_chunks_of_which_no_row_can_land_leaves_what_is_there() {
    let broken = |line| {
        let mut chunk = records(&[], None);
        if let Rows::Records(spools) = &mut chunk.rows {
            spools[0].reject(line, "it is broken".to_owned(), String::new());
        }
        chunk
    };
    let loads = vec![
        vec![last(records(&[r#"{"id": 1, "name": "a"}"#], None))],
        vec![more(broken(1)), last(broken(2))],
        vec![more(broken(3)), more(broken(4))],
        vec![more(broken(5)), last(records(&[r#"{"id": 2, "name": "b"}"#], None))],
    ];
    let run = Run::new("disposition: replace", loads).await;
    run.load().await.unwrap();
    for _ in 0..2 {
        let error = run.load().await.unwrap_err();
        assert!(error.to_string().contains("every row was rejected"), "{error}");
        assert_eq!(run.rows().await, ["1|a"]);
    }
    run.load().await.unwrap();
    assert_eq!(run.rows().await, ["2|b"]);
}
