//! The SQL of sessions: every `tests/sql/*.slt`, on a lake with two small tables in two releases.
//!
//! Adding a test costs no Rust: write a file in sqllogictest's format.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use cordada_lake::{Draft, Error, Lake, Mode, Relation, Settings, TableName, Write, sql};
use datafusion::arrow::datatypes::DataType;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

struct Session {
    lake: Lake,
}

#[async_trait]
impl AsyncDB for Session {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, statement: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        use cordada_lake::Context;
        let session = self.lake.session(&self.lake.releases().newest().await?);
        let plan = sql::plan(&self.lake, &session, statement).await?;
        let types = plan
            .schema()
            .fields()
            .iter()
            .map(|field| column_type(field.data_type()))
            .collect();
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

/// Release 1: three sales. Release 2: a fourth, and a view over them.
async fn fixture(folder: &std::path::Path) -> Lake {
    let settings = Settings {
        parallelism: Some(2),
        ..Settings::default()
    };
    let lake = Lake::open(folder.to_str().unwrap(), &settings).await.unwrap();
    let first = sales(&[1, 2, 3], &[1999, -250, 10], &[Some("Ana"), Some(""), None]);
    let second = sales(&[4], &[123_456_789], &[Some("Zoë")]);
    for (batch, view) in [
        (first, None),
        (
            second,
            Some("select customer, sum(amount) as amount from lake.raw_shop.sales group by customer"),
        ),
    ] {
        let table: TableName = "raw_shop.sales".parse().unwrap();
        let schema = batch.schema();
        let rows = RecordBatchStreamAdapter::new(schema.clone(), futures::stream::iter([Ok(batch)]));
        let written = lake
            .write(&table, Write::new(Mode::Append, schema), vec![Box::pin(rows)])
            .await
            .unwrap();
        let mut draft = Draft::new(lake.releases().newest().await.unwrap(), "test", "test");
        draft.set(table.clone(), Relation::table(lake.path_of(&table), written.version));
        if let Some(view) = view {
            draft.set("marts.customers".parse().unwrap(), Relation::view(view));
        }
        lake.releases().publish(&draft).await.unwrap();
    }
    lake
}

fn sales(ids: &[i64], cents: &[i128], customers: &[Option<&str>]) -> RecordBatch {
    let amounts = Decimal128Array::from_iter_values(cents.iter().copied())
        .with_precision_and_scale(18, 2)
        .unwrap();
    let days = Date32Array::from_iter_values(ids.iter().map(|id| 20_000 + *id as i32));
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(Int64Array::from(ids.to_vec()))),
        ("amount", Arc::new(amounts)),
        ("customer", Arc::new(StringArray::from(customers.to_vec()))),
        ("day", Arc::new(days)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_answer_as_their_files_say() {
    let folder = tempfile::tempdir().unwrap();
    let lake = fixture(folder.path()).await;
    let mut files: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sql"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let mut runner = Runner::new(|| async { Ok(Session { lake: lake.clone() }) });
        runner
            .run_file_async(&file)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }
}
