//! What SQL answers: every `lake/tests/statements/*.slt`, over a lake with a few tables and views of all types.
//!
//! Adding a test costs no Rust: write a file in sqllogictest's format, one a family. An empty text is written `(empty)`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use cordada_core::{Context, Error};
use cordada_lake::Lake;
use cordada_lake::query::sql;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

#[path = "statements/tables.rs"]
mod tables;

struct Session {
    lake: Lake,
}

#[async_trait]
impl AsyncDB for Session {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, statement: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let session = self.lake.session(&self.lake.releases().newest().await?);
        let plan = sql::plan(&self.lake, &session, statement).await?;
        let types = plan.schema().fields().iter();
        let types = types.map(|field| column_type(field.data_type())).collect();
        let frame = session.execute_logical_plan(plan).await.doing(|| "planning")?;
        let batches = frame.collect().await.doing(|| "running the query")?;
        let rows = batches.iter().flat_map(rows).collect();
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "cordada"
    }
}

fn column_type(data_type: &DataType) -> DefaultColumnType {
    match data_type {
        data_type if data_type.is_integer() => DefaultColumnType::Integer,
        data_type if data_type.is_numeric() => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

fn rows(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect();
    let text = |row: usize, column: &ArrayFormatter| match column.value(row).to_string() {
        empty if empty.is_empty() => "(empty)".to_owned(),
        text => text,
    };
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| text(row, column)).collect())
        .collect()
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/statements");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    files.sort();
    files
}

/// `STATEMENTS=numbers` tries the file of that name alone.
#[tokio::test(flavor = "multi_thread")]
async fn statements_answer_as_their_files_say() {
    let folder = tempfile::tempdir().unwrap();
    let lake = tables::lake(folder.path()).await;
    let only = std::env::var("STATEMENTS").unwrap_or_default();
    let mut tried = 0;
    let mut wrong = Vec::new();
    for file in files() {
        if !only.is_empty() && file.file_stem().is_some_and(|name| *name != *only) {
            continue;
        }
        tried += 1;
        let mut runner = Runner::new(|| async { Ok(Session { lake: lake.clone() }) });
        for record in sqllogictest::parse_file::<DefaultColumnType>(&file).unwrap() {
            if let Err(error) = runner.run_async(record).await {
                wrong.push(error.to_string());
            }
        }
    }
    assert!(tried > 0, "there is no file of that name");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What is planned and what is run has one type, whatever the rewrites made of a statement.
#[tokio::test(flavor = "multi_thread")]
async fn answers_have_the_types_that_were_planned() {
    let folder = tempfile::tempdir().unwrap();
    let lake = tables::lake(folder.path()).await;
    let session = lake.session(&lake.releases().newest().await.unwrap());
    for statement in [
        "select i, i + 1, i * d, d / i, f / i, -i, i % 2, avg(d) over (), sum(i) over () from marts.numbers",
        "select d, sum(i), avg(i), avg(d), sum(d) / count(*) from marts.numbers group by d",
        "select round(d, 1), ceil(d), floor(f), abs(i), power(i, 2), greatest(i, d) from marts.numbers where i < 10",
    ] {
        let plan = sql::plan(&lake, &session, statement).await.unwrap();
        let planned: Vec<_> = plan
            .schema()
            .fields()
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let frame = session.execute_logical_plan(plan).await.unwrap();
        let optimized = session.state().optimize(frame.logical_plan()).unwrap();
        let run: Vec<_> = optimized
            .schema()
            .fields()
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        assert_eq!(planned, run, "{statement}");
        let physical = frame.create_physical_plan().await.unwrap();
        let physical: Vec<_> = physical
            .schema()
            .fields()
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        assert_eq!(planned, physical, "{statement}");
    }
}
