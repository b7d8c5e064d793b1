//! Chunks of rows with state, from a source that does as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use cordada_core::progress::Silent;
use cordada_core::{Error, Result};
use cordada_ingest::{IngestReport, SourceFile, ingest};
use cordada_ingest_formats::reading::{Declared, Reading};
use cordada_ingest_formats::spool::Spool;
use cordada_ingest_source::Source;
use cordada_ingest_source::extract::{Chunk, Extraction, Request, Rows, State};
use cordada_ingest_source::options::Options;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Project;

/// What the source yields next.
pub(super) enum Step {
    Chunk(Box<Chunk>),
    Fails,
    Panics,
}

/// A source whose extractions follow a script, and which remembers the states that it was asked from.
#[derive(Default)]
pub(super) struct Script {
    pub(super) options: Options,
    pub(super) loads: Mutex<VecDeque<Vec<Step>>>,
    pub(super) states: Arc<Mutex<Vec<Option<State>>>>,
}

struct ScriptedExtraction {
    steps: VecDeque<Step>,
    landed: usize,
}

#[async_trait]
impl Extraction for ScriptedExtraction {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        match self.steps.pop_front() {
            None => Ok(None),
            Some(Step::Chunk(chunk)) => Ok(Some(*chunk)),
            Some(Step::Fails) => Err(Error::unavailable("reading the script", "it ends here")),
            Some(Step::Panics) => panic!("the script says so"),
        }
    }

    async fn landed(&mut self) -> Result<()> {
        self.landed += 1;
        Ok(())
    }
}

#[async_trait]
impl Source for Script {
    fn streams(&self) -> BTreeMap<String, Options> {
        [("people".to_owned(), self.options.clone())].into()
    }

    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>> {
        self.states.lock().unwrap().push(request.state);
        let steps = self.loads.lock().unwrap().pop_front().unwrap_or_default().into();
        Ok(Box::new(ScriptedExtraction { steps, landed: 0 }))
    }

    async fn check(&self, _: &Path, _: &str, _: &str, _: &CancellationToken) -> Result<()> {
        Ok(())
    }
}

/// Rows of `id`, `name` and whether they are gone.
fn typed(rows: &[(i64, &str, bool)], state: Option<State>) -> Chunk {
    let column = |values: ArrayRef| values;
    let batch = RecordBatch::try_from_iter([
        (
            "ID",
            column(Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)))),
        ),
        (
            "Name",
            column(Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)))),
        ),
        (
            "gone",
            column(Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.2))))),
        ),
    ])
    .unwrap();
    let schema = batch.schema();
    let rows = RecordBatchStreamAdapter::new(schema.clone(), futures::stream::iter([Ok(batch)]));
    let rows = Rows::Typed {
        schema,
        partitions: vec![Box::pin(rows)],
        origin: "public.people".to_owned(),
        deleted: Some("gone".to_owned()),
        misfits: false,
    };
    Chunk::new(rows, state, 10)
}

pub(super) fn records(records: &[&str], state: Option<State>) -> Chunk {
    let mut spool = Spool::new("people", &Reading::of_records(Declared::new(), chrono_tz::UTC)).unwrap();
    for record in records {
        spool.push(record.as_bytes()).unwrap();
    }
    Chunk::new(Rows::Records(vec![spool]), state, 10)
}

pub(super) fn more(chunk: Chunk) -> Step {
    Step::Chunk(Box::new(chunk))
}

pub(super) fn last(chunk: Chunk) -> Step {
    more(Chunk { last: true, ..chunk })
}

/// What the stream says about its rows, in YAML.
pub(super) fn options(text: &str) -> Options {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("shop.yml");
    let source = format!("kind: files\nstreams: {{people: {{path: x.csv, {text}}}}}\n");
    std::fs::write(&file, source).unwrap();
    let source = (cordada_ingest_files::KIND.load)(&file).unwrap();
    source.streams().remove("people").unwrap()
}

pub(super) struct Run {
    pub(super) project: Project,
    source: [SourceFile; 1],
    states: Arc<Mutex<Vec<Option<State>>>>,
}

impl Run {
    pub(super) async fn new(text: &str, loads: Vec<Vec<Step>>) -> Run {
        let script = Script {
            options: options(text),
            loads: Mutex::new(loads.into()),
            ..Script::default()
        };
        let states = script.states.clone();
        Run {
            project: Project::new("{}").await,
            source: [SourceFile::new("shop".to_owned(), Box::new(script)).unwrap()],
            states,
        }
    }

    pub(super) async fn load(&self) -> Result<IngestReport> {
        let (lake, path) = (&self.project.lake, self.project.path());
        ingest(
            lake,
            path,
            &self.source,
            &[],
            None,
            Arc::new(Silent),
            CancellationToken::new(),
        )
        .await
    }

    pub(super) async fn rows(&self) -> Vec<String> {
        self.project
            .sql("select id, name from raw_shop.people order by id, name")
            .await
    }
}

#[tokio::test]
async fn deletes_and_changes_are_merged_and_the_state_comes_back() {
    let first = vec![
        more(typed(&[(1, "a", false), (2, "b", false)], Some(json!({"at": 1})))),
        last(typed(&[(3, "c", false)], Some(json!({"at": 2})))),
    ];
    let second = vec![last(typed(
        &[(1, "", true), (2, "B", false), (9, "", true)],
        Some(json!({"at": 3})),
    ))];
    let run = Run::new("key: [ID], disposition: merge", vec![first, second, vec![]]).await;
    run.load().await.unwrap();
    assert_eq!(run.rows().await, ["1|a", "2|b", "3|c"]);
    run.load().await.unwrap();
    assert_eq!(run.rows().await, ["2|B", "3|c"]);
    let report = run.load().await.unwrap();
    assert_eq!((report.release, report.streams[0].rows), (None, 0));
    let states = run.states.lock().unwrap().clone();
    assert_eq!(states, [None, Some(json!({"at": 2})), Some(json!({"at": 3}))]);
    let columns = run.project.columns("raw_shop.people").await;
    assert_eq!(columns, ["id Int64", "name Utf8"]);
    let origin = run.project.sql("select distinct _origin from raw_shop.people").await;
    assert_eq!(origin, ["public.people"]);
    let journal = "select rows, state from ops.loads order by started_at";
    assert_eq!(run.project.sql(journal).await[0], r#"3|{"at":2}"#);
}

#[tokio::test]
async fn a_declared_type_is_that_of_typed_rows_too() {
    let load = |name: &str| vec![last(typed(&[(1, name, false)], None))];
    let loads = vec![load("12.5"), load("twelve")];
    let run = Run::new(
        "disposition: replace, columns: {Name: {type: \"decimal(10,2)\"}}",
        loads,
    )
    .await;
    run.load().await.unwrap();
    assert_eq!(run.rows().await, ["1|12.50"]);
    let _ = run.load().await;
    let rejected = run
        .project
        .sql("select file, reason, record from ops.rejected_rows")
        .await;
    let expected = "public.people|name: a value does not fit the type decimal(10,2)|{\"id\":1,\"name\":\"twelve\"}";
    assert_eq!(rejected, [expected]);
}

#[tokio::test]
async fn what_had_landed_before_a_failure_is_kept_and_gone_on_from() {
    let first = vec![more(typed(&[(1, "a", false)], Some(json!(1)))), Step::Fails];
    let second = vec![last(typed(&[(2, "b", false)], Some(json!(2))))];
    let run = Run::new("key: [ID], disposition: merge", vec![first, second]).await;
    assert_eq!(run.load().await.unwrap_err().exit_code(), 3);
    assert_eq!(run.load().await.unwrap().streams[0].rows, 1);
    assert_eq!(run.rows().await, ["1|a", "2|b"]);
    assert_eq!(*run.states.lock().unwrap(), [None, Some(json!(1))]);
}

#[tokio::test]
async fn half_a_replacement_is_never_published() {
    let whole = |names: [&'static str; 2]| {
        vec![
            more(typed(&[(1, names[0], false)], None)),
            more(typed(&[(2, names[1], false)], None)),
        ]
    };
    let half = vec![more(typed(&[(1, "half", false)], None)), Step::Fails];
    let nothing_new = vec![Step::Fails];
    let loads = vec![whole(["a", "b"]), half, nothing_new, whole(["c", "d"])];
    let run = Run::new("disposition: replace", loads).await;
    run.load().await.unwrap();
    assert_eq!(run.rows().await, ["1|a", "2|b"]);
    for _ in 0..2 {
        assert!(run.load().await.is_err());
        assert_eq!(run.rows().await, ["1|a", "2|b"]);
    }
    run.load().await.unwrap();
    assert_eq!(run.rows().await, ["1|c", "2|d"]);
}

#[tokio::test]
async fn insert_only_keeps_the_first_and_scd2_keeps_all() {
    let loads = || {
        vec![
            vec![last(records(
                &[r#"{"id": 1, "name": "a"}"#, r#"{"id": 2, "name": "b"}"#],
                None,
            ))],
            vec![last(records(
                &[r#"{"id": 1, "name": "A"}"#, r#"{"id": 3, "name": "c"}"#],
                None,
            ))],
        ]
    };
    let insert = Run::new("key: [id], disposition: insert-only", loads()).await;
    insert.load().await.unwrap();
    insert.load().await.unwrap();
    assert_eq!(insert.rows().await, ["1|a", "2|b", "3|c"]);

    let history = Run::new("key: [id], disposition: scd2", loads()).await;
    history.load().await.unwrap();
    history.load().await.unwrap();
    let all = "select id, name, _valid_to is null from raw_shop.people order by id, _valid_from";
    let expected = ["1|a|false", "1|A|true", "2|b|false", "3|c|true"];
    assert_eq!(history.project.sql(all).await, expected);
}

#[tokio::test]
async fn a_column_of_the_source_can_say_that_a_row_is_gone() {
    let loads = vec![
        vec![last(records(
            &[
                r#"{"id": 1, "name": "a", "deleted_at": null}"#,
                r#"{"id": 2, "name": "b", "deleted_at": null}"#,
            ],
            Some(json!(1)),
        ))],
        vec![last(records(
            &[r#"{"id": 1, "name": "a", "deleted_at": "2026-01-01T00:00:00Z"}"#],
            Some(json!(2)),
        ))],
    ];
    let run = Run::new("key: [id], disposition: merge, deleted: deleted_at", loads).await;
    run.load().await.unwrap();
    run.load().await.unwrap();
    assert_eq!(run.rows().await, ["2|b"]);
}

#[tokio::test]
async fn rows_that_break_the_contract_are_kept_aside_whole() {
    let loads = vec![
        vec![last(records(&[r#"{"id": 1, "name": "a"}"#], Some(json!(1))))],
        vec![last(records(
            &[
                r#"{"id": "x", "name": "b"}"#,
                r#"{"id": 3, "name": "c", "extra": {"deep": [1]}}"#,
                r#"{"id": 4}"#,
            ],
            Some(json!(2)),
        ))],
    ];
    let run = Run::new("contract: discard_row", loads).await;
    run.load().await.unwrap();
    let report = run.load().await.unwrap();
    assert_eq!((report.streams[0].rows, report.streams[0].rejected), (1, 2));
    assert_eq!(run.rows().await, ["1|a", "4|null"]);
    let rejected = run
        .project
        .sql("select file, line, reason, record from ops.rejected_rows order by line")
        .await;
    assert_eq!(
        rejected[0],
        r#"people|1|id has a value of another type|{"id":"x","name":"b"}"#
    );
    assert_eq!(
        rejected[1],
        r#"people|2|extra would be new|{"id":"3","name":"c","extra":{"deep":[1]}}"#
    );
}

#[tokio::test]
async fn a_frozen_table_does_not_change_and_the_state_stays() {
    let loads = vec![
        vec![last(records(&[r#"{"id": 1, "name": "a"}"#], Some(json!(1))))],
        vec![last(records(&[r#"{"id": 2, "name": "b", "new": 1}"#], Some(json!(2))))],
        vec![],
    ];
    let run = Run::new("contract: {columns: freeze}", loads).await;
    run.load().await.unwrap();
    let error = run.load().await.unwrap_err();
    assert!(error.to_string().contains("column new would be new"), "{error}");
    run.load().await.unwrap();
    assert_eq!(run.rows().await, ["1|a"]);
    assert_eq!(run.states.lock().unwrap()[2], Some(json!(1)));
}

#[tokio::test]
async fn lists_become_tables_that_follow_their_parents() {
    let load = |text: &[&str], state: i64| vec![last(records(text, Some(json!(state))))];
    let one = r#"{"id": 1, "name": "a", "items": [{"sku": "x", "n": 1}, {"sku": "y", "n": 2}], "tags": ["t"]}"#;
    let two = r#"{"id": 2, "name": "b", "items": [], "tags": null}"#;
    let two_later = r#"{"id": 2, "name": "b", "items": [{"sku": "z", "n": 3}], "tags": ["u"]}"#;
    let one_later = r#"{"id": 1, "name": "a", "items": [{"sku": "w", "n": 1}], "tags": []}"#;
    let items = "select _parent_id, _position, sku, n from raw_shop.people__items order by 1, 2, 3";
    for (disposition, expected) in [
        ("append", vec!["1|1|w|1", "1|1|x|1", "1|2|y|2", "2|1|z|3"]),
        ("merge", vec!["1|1|w|1", "2|1|z|3"]),
    ] {
        let loads = vec![load(&[one, two], 1), load(&[two_later, one_later], 2), vec![]];
        let text = format!("key: [id], disposition: {disposition}, unnest: {{items: , tags: labels}}");
        let run = Run::new(&text, loads).await;
        run.load().await.unwrap();
        assert_eq!(run.project.sql(items).await, ["1|1|x|1", "1|2|y|2"]);
        run.load().await.unwrap();
        assert_eq!(run.project.sql(items).await, expected, "{disposition}");
        assert_eq!(run.load().await.unwrap().release, None);
        let labels = run.project.sql("select value from raw_shop.labels order by 1").await;
        assert_eq!(labels.last().map(String::as_str), Some("u"));
    }
}

#[tokio::test]
async fn a_source_that_became_empty_empties_its_table() {
    let loads = vec![
        vec![last(records(&[r#"{"id": 1, "name": "a"}"#], None))],
        vec![last(records(&[], None))],
    ];
    let run = Run::new("disposition: replace", loads).await;
    run.load().await.unwrap();
    run.load().await.unwrap();
    assert!(run.rows().await.is_empty());
}

#[tokio::test]
async fn what_cannot_land_is_on_record_for_every_chunk_of_every_load() {
    let unreadable = |line| {
        let mut chunk = records(&[r#"{"id": 1, "name": "a"}"#], None);
        if let Rows::Records(spools) = &mut chunk.rows {
            spools[0].reject(line, "it is broken".to_owned(), String::new());
        }
        chunk
    };
    let load = |line| vec![more(unreadable(line)), last(unreadable(line + 1))];
    let run = Run::new("disposition: replace", vec![load(1), load(3)]).await;
    for recorded in [vec!["1", "2"], vec!["1", "2", "3", "4"]] {
        run.load().await.unwrap();
        let lines = run.project.sql("select line from ops.rejected_rows order by 1").await;
        assert_eq!(lines, recorded);
    }
}

#[tokio::test]
async fn nothing_new_makes_no_version() {
    let one = || last(records(&[r#"{"id": 1, "name": "a"}"#], Some(json!(1))));
    let run = Run::new("", vec![vec![one()], vec![last(records(&[], Some(json!(1))))]]).await;
    run.load().await.unwrap();
    let report = run.load().await.unwrap();
    assert_eq!((report.release, report.streams[0].version), (None, None));
}

#[tokio::test]
async fn items_go_with_a_parent_that_the_source_deleted() {
    let load = |text: &str, state: i64| vec![last(records(&[text], Some(json!(state))))];
    let loads = vec![
        load(r#"{"id": 1, "gone": false, "items": [1, 2]}"#, 1),
        load(r#"{"id": 2, "gone": false, "items": [3]}"#, 2),
        load(r#"{"id": 1, "gone": true, "items": []}"#, 3),
    ];
    let run = Run::new("key: [id], disposition: merge, deleted: gone, unnest: {items: }", loads).await;
    for expected in [vec!["1", "2"], vec!["1", "2", "3"], vec!["3"]] {
        run.load().await.unwrap();
        let items = run
            .project
            .sql("select value from raw_shop.people__items order by 1")
            .await;
        assert_eq!(items, expected);
    }
}
