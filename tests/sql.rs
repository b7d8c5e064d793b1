//! The SQL of sessions: every `tests/sql/*.slt`, on a lake with two small tables in three releases, and the staging
//! views of web events that ship with the binary over one of them.
//!
//! Adding a test costs no Rust: write a file in sqllogictest's format.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use cordada_core::{Error, TableName};
use cordada_lake::query::sql;
use cordada_lake::{Draft, Lake, Mode, Relation, Settings, Write};
use cordada_marts::{LoadOptions, Project};
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
        use cordada_core::Context;
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
        journals: [cordada_ingest::JOURNALS, cordada_marts::JOURNALS].concat(),
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
        let mut draft = Draft::new(lake.releases().newest().await.unwrap(), "test", "test");
        append(&lake, &mut draft, "raw_shop.sales", batch).await;
        if let Some(view) = view {
            draft.set("marts.customers".parse().unwrap(), Relation::view(view));
        }
        lake.releases().publish(&draft).await.unwrap();
    }
    let mut draft = Draft::new(lake.releases().newest().await.unwrap(), "test", "test");
    append(&lake, &mut draft, "raw_web.snowplow", hits()).await;
    lake.releases().publish(&draft).await.unwrap();
    publish_web_staging(&lake).await;
    lake
}

async fn append(lake: &Lake, draft: &mut Draft, table: &str, batch: RecordBatch) {
    let table: TableName = table.parse().unwrap();
    let schema = batch.schema();
    let rows = RecordBatchStreamAdapter::new(schema.clone(), futures::stream::iter([Ok(batch)]));
    let write = Write::new(Mode::Append, schema);
    let written = lake.write(&table, write, vec![Box::pin(rows)]).await.unwrap();
    draft.set(table.clone(), Relation::table(lake.path_of(&table), written.version));
}

/// Publishes `sql/staging/stg_web__*.sql`, compiled as a build does.
async fn publish_web_staging(lake: &Lake) {
    let shipped = root().join("sql");
    let project = tempfile::tempdir().unwrap();
    let copy = |folder: &str, belongs: &dyn Fn(&str) -> bool| {
        std::fs::create_dir_all(project.path().join(folder)).unwrap();
        for entry in std::fs::read_dir(shipped.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = Path::new(folder).join(&name);
            if belongs(&name) {
                std::fs::copy(shipped.join(&path), project.path().join(&path)).unwrap();
            }
        }
    };
    copy("", &|name| name == "dbt_project.yml");
    copy("macros", &|_| true);
    copy("staging", &|name| name.starts_with("stg_web__"));
    let sources = "version: 2\nsources: [{name: web, tables: [{name: snowplow}]}]\n";
    std::fs::write(project.path().join("staging/_web.yml"), sources).unwrap();
    let project = Project::load(project.path(), &LoadOptions::default()).unwrap();
    let compiled = cordada_marts::compile(&project, lake, &cordada_models::estimators())
        .await
        .unwrap();
    let mut draft = Draft::new(lake.releases().newest().await.unwrap(), "test", "test");
    for node in compiled.nodes() {
        draft.set(node.table.clone(), Relation::view(&node.sql));
    }
    lake.releases().publish(&draft).await.unwrap();
}

/// Hits of two devices: the first one's tracker names its visits, and sent the purchase twice; the second's does not.
fn hits() -> RecordBatch {
    const LINES: &str = "
        a1 | a | s1 | 10:00:00 | page_view   | /        |      |       | newsletter
        a2 | a | s1 | 10:00:40 | page_view   | /p/MILK  |      |       |
        a3 | a | s1 | 10:01:00 | struct/cart/add      | /p/MILK | MILK |  |
        a4 | a | s1 | 10:40:00 | struct/account/login | /login  |      | 17 |
        a5 | a | s1 | 10:41:00 | transaction | /thanks  |      | 17    |
        a5 | a | s1 | 10:41:00 | transaction | /thanks  |      | 17    |
        a6 | a | s2 | 10:45:00 | page_view   | /        |      |       |
        b1 | b |    | 10:00:00 | page_view   | /        |      |       |
        b2 | b |    | 10:30:00 | page_view   | /search  |      |       |
        b3 | b |    | 11:00:01 | page_view   | /p/BREAD |      |       | social
        b4 | b |    | 11:20:00 | page_ping   | /p/BREAD |      |       |";
    let rows: Vec<Vec<&str>> = LINES
        .lines()
        .skip(1)
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let text = |of: &dyn Fn(&[&'static str]) -> &'static str| -> ArrayRef {
        let values = rows.iter().map(|row| Some(of(row)).filter(|value| !value.is_empty()));
        Arc::new(StringArray::from_iter(values))
    };
    let part = |row: &[&'static str], n: usize| row[4].split('/').nth(n).unwrap_or_default();
    let seconds = |row: &[&str]| {
        let clock = chrono::NaiveTime::parse_from_str(row[3], "%H:%M:%S").unwrap();
        clock.signed_duration_since(chrono::NaiveTime::MIN).num_seconds()
    };
    let times = |arrival: bool| -> ArrayRef {
        let day = 1_760_000_400 / 86_400 * 86_400;
        let late = |number: usize| if arrival { number as i64 } else { 0 };
        let micros = rows
            .iter()
            .enumerate()
            .map(|(n, row)| (day + seconds(row) + late(n)) * 1_000_000);
        Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
    };
    RecordBatch::try_from_iter_with_nullable([
        ("event_id", text(&|row| row[0]), true),
        ("event", text(&|row| part(row, 0)), true),
        ("se_category", text(&|row| part(row, 1)), true),
        ("se_action", text(&|row| part(row, 2)), true),
        ("se_label", text(&|row| row[6]), true),
        ("derived_tstamp", times(false), true),
        ("collector_tstamp", times(true), true),
        ("_loaded_at", times(true), true),
        ("domain_userid", text(&|row| row[1]), true),
        ("domain_sessionid", text(&|row| row[2]), true),
        ("user_id", text(&|row| row[7]), true),
        (
            "useragent",
            text(&|row| {
                if row[1] == "a" {
                    "Mozilla/5.0 (Linux; Android 14) Mobile"
                } else {
                    "Mozilla/5.0 (Macintosh)"
                }
            }),
            true,
        ),
        ("page_urlhost", text(&|_| "www.colmado.example"), true),
        ("page_urlpath", text(&|row| row[5]), true),
        ("page_title", text(&|_| ""), true),
        ("refr_urlhost", text(&|_| ""), true),
        ("mkt_source", text(&|row| row[8]), true),
        ("mkt_medium", text(&|_| ""), true),
        ("mkt_campaign", text(&|_| ""), true),
        (
            "tr_orderid",
            text(&|row| if row[4] == "transaction" { "W1" } else { "" }),
            true,
        ),
    ])
    .unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap())
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
    let mut files: Vec<_> = std::fs::read_dir(root().join("tests/sql"))
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
