//! The kind `database` against real servers; those that are not installed are skipped, loudly.

#[cfg(feature = "postgres")]
mod changes;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
pub(crate) mod servers;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow::array::AsArray;
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use async_trait::async_trait;
use cordada_core::progress::Silent;
use cordada_core::source_names::SourceNames;
use cordada_core::{Context, Result, TableName, yaml};
use cordada_ingest_formats::reading::{Declared, Reading};
use cordada_ingest_source::extract::{Chunk, Request, Rows, State};
use cordada_ingest_source::misfits;
use cordada_ingest_source::options::{Disposition, Options};
use cordada_ingest_source::transform::Transforms;
use cordada_ingest_source::{Environment, Landed, Source as _};
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;
use tokio_util::sync::CancellationToken;

use crate::config::{DatabaseSource, DatabaseStream};
use crate::driver::{SessionRequest, driver_of};
use crate::session::Session;

/// What a load has read: the rows of all chunks, and the state after the last one.
pub(crate) struct Load {
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) state: Option<State>,
}

impl Load {
    /// As [`lines`].
    pub(crate) fn lines(&self) -> Vec<String> {
        lines(&self.batches)
    }

    pub(super) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The only value of the column in the only row.
    pub(super) fn text(&self, column: &str) -> String {
        let batch = concat_batches(&self.batches[0].schema(), &self.batches).unwrap();
        let column = batch.column_by_name(column).unwrap();
        array_value_to_string(column, 0).unwrap()
    }
}

/// A table of rows that are there, as the lake would have them.
#[derive(Default)]
pub(crate) struct Table {
    rows: Mutex<Option<RecordBatch>>,
    /// Which of the lake's targets it is in.
    target: Option<String>,
}

impl Table {
    /// Those rows are all there is.
    pub(crate) fn fill(&self, rows: RecordBatch) {
        *self.rows.lock().unwrap() = Some(rows);
    }
}

#[async_trait]
impl Landed for Table {
    async fn schema(&self) -> Result<Option<SchemaRef>> {
        Ok(self.rows.lock().unwrap().as_ref().map(RecordBatch::schema))
    }

    async fn transactions(&self, _ids: &[String]) -> Result<HashMap<String, i64>> {
        Ok(HashMap::new())
    }

    async fn transactions_of(&self, _prefix: &str) -> Result<HashMap<String, i64>> {
        Ok(HashMap::new())
    }

    async fn keys(&self, columns: &[String]) -> Result<Option<SendableRecordBatchStream>> {
        let Some(rows) = self.rows.lock().unwrap().clone() else {
            return Ok(None);
        };
        let indexes: Vec<_> = columns
            .iter()
            .map(|name| rows.schema().index_of(name).unwrap())
            .collect();
        let rows = rows.project(&indexes).unwrap();
        let stream = futures::stream::iter([Ok(rows.clone())]);
        Ok(Some(Box::pin(RecordBatchStreamAdapter::new(rows.schema(), stream))))
    }

    async fn environment(&self) -> Result<Environment> {
        Ok(Environment {
            lake: "lake".to_owned(),
            target: self.target.clone(),
        })
    }
}

/// A source with one stream, and the table that it lands in.
pub(crate) struct Source {
    pub(super) source: DatabaseSource,
    pub(crate) landed: Arc<Table>,
    table: TableName,
    folder: tempfile::TempDir,
}

impl Source {
    pub(crate) async fn new(url: &str, stream: &str) -> Self {
        let head = format!("kind: database\nconnection: '{url}'\nparallelism: 3\ntimeout: 10s\n");
        let source: DatabaseSource = parse(&format!("{head}streams: {{sales: {stream}}}\n")).unwrap();
        source.validate(Path::new("erp.yml")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self {
            source,
            landed: Arc::default(),
            table: TableName::new("raw_erp", "sales").unwrap(),
            folder,
        }
    }

    /// The same, landing in a target.
    pub(crate) fn in_target(mut self, target: &str) -> Self {
        self.landed = Arc::new(Table {
            target: Some(target.to_owned()),
            ..Table::default()
        });
        self
    }

    /// What the columns of a new table are called.
    fn columns(&self) -> Arc<SourceNames> {
        let given = self.source.streams()["sales"].given_names();
        Arc::new(SourceNames::new(given, Vec::new()))
    }

    pub(super) fn request(&self, state: Option<State>) -> Request<'_> {
        Request {
            project: self.folder.path(),
            source: "erp",
            stream: "sales",
            table: &self.table,
            landed: self.landed.clone(),
            columns: self.columns(),
            parallelism: 2,
            rehearsal: false,
            state,
            replace: self.source.streams()["sales"].disposition() == Disposition::Replace,
            transforms: Arc::new(Transforms::new(&Options::default(), None).unwrap()),
            records: Arc::new(Reading::of_records(Declared::new(), chrono_tz::UTC)),
            load_at: chrono::Utc::now(),
            progress: &Silent,
            task: Arc::new(Silent),
            cancel: CancellationToken::new(),
        }
    }

    /// A session for the stream.
    pub(crate) async fn session(&self, cancel: &CancellationToken) -> Result<Box<dyn Session>> {
        let driver = driver_of(self.source.connection.url())?;
        let request = SessionRequest {
            source: &self.source,
            stream: self.source.stream("sales")?,
            names: ("erp", "sales"),
            project: self.folder.path(),
            known: Arc::new(Schema::empty()),
            columns: self.columns(),
            parallelism: 2,
            task: Arc::new(Silent),
            cancel: cancel.clone(),
        };
        driver.open(request).await
    }

    /// One load after `state`.
    pub(crate) async fn load(&self, state: Option<State>) -> Result<Load> {
        let mut extraction = self.source.extract(self.request(state.clone())).await?;
        let mut load = Load {
            batches: Vec::new(),
            state,
        };
        while let Some(chunk) = extraction.next().await? {
            let Chunk { rows, state, .. } = chunk;
            load.batches.extend(batches(rows).await?);
            load.state = state.or(load.state);
            extraction.landed().await?;
        }
        Ok(load)
    }
}

/// The rows, each with commas between its values, sorted.
pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        let text = |row| {
            let values = batch.columns().iter();
            let values = values.map(|column| array_value_to_string(column, row).unwrap());
            values.collect::<Vec<_>>().join(",")
        };
        lines.extend((0..batch.num_rows()).map(text));
    }
    lines.sort();
    lines
}

/// All of a chunk's rows.
pub(super) async fn batches(rows: Rows) -> Result<Vec<RecordBatch>> {
    match rows {
        Rows::Typed {
            partitions, misfits, ..
        } => match misfits {
            true => read(partitions).await,
            false => all(partitions).await,
        },
        _ => panic!("a database's rows have types"),
    }
}

/// All rows of these streams that land, of their own columns; see [`misfits_of`] for the others.
pub(crate) async fn read(partitions: Vec<SendableRecordBatchStream>) -> Result<Vec<RecordBatch>> {
    let all = all(partitions).await?;
    let landing = all.iter().map(|batch| {
        let (rows, misfits) = misfits::split(batch).unwrap();
        let lands = (0..rows.num_rows()).map(|row| Some(!misfits.contains_key(&row)));
        filter_record_batch(&rows, &lands.collect()).unwrap()
    });
    Ok(landing.collect())
}

/// The values of these streams that cannot land: `column: value`.
pub(crate) async fn misfits_of(partitions: Vec<SendableRecordBatchStream>) -> Vec<String> {
    let mut said = Vec::new();
    for batch in all(partitions).await.unwrap() {
        let (rows, misfits) = misfits::split(&batch).unwrap();
        said.extend(misfits.into_values().flatten().map(|misfit| {
            let schema = rows.schema();
            let column = schema.field(misfit.column).name();
            format!("{column}: {}", misfit.value)
        }));
    }
    said
}

async fn all(partitions: Vec<SendableRecordBatchStream>) -> Result<Vec<RecordBatch>> {
    let mut all = Vec::new();
    for partition in partitions {
        let batches: Vec<_> = partition.try_collect().await.doing(|| "reading")?;
        all.extend(batches);
    }
    Ok(all)
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    yaml::parse(Path::new("erp.yml"), text)
}

/// The column's values, as text.
pub(super) fn column(load: &Load, name: &str) -> Vec<Option<String>> {
    let batch = concat_batches(&load.batches[0].schema(), &load.batches).unwrap();
    let column = arrow::compute::cast(batch.column_by_name(name).unwrap(), &arrow::datatypes::DataType::Utf8).unwrap();
    column
        .as_string::<i32>()
        .iter()
        .map(|value| value.map(str::to_owned))
        .collect()
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (text, expected) in [
        ("cursor: id", "neither a `table` nor a `query`"),
        ("{table: a, query: select 1}", "both"),
        ("{table: a, lag: 5m, cursor: t}", "`lag` does not go"),
        ("{table: a, initial: 5}", "need a cursor"),
        (
            "{table: a, cursor: [t, Email], key: [id], columns: {email: {transform: hash}}}",
            "the cursor `Email` has a `transform`",
        ),
        (
            "{table: a, cursor: phone, key: [id], columns: {phone: {transform: drop}}}",
            "has a `transform`",
        ),
        ("{table: a, deletes: compare}", "`deletes: compare` needs"),
        ("{query: select 1, key: [id], changes: logical}", "`table` alone"),
        ("{table: a, slot: b}", "belong to"),
        (
            "{table: a, key: [id], changes: logical, columns: {ID: {transform: hash}}}",
            "cannot be compared",
        ),
        ("{table: a, disposition: append}", "append the whole table again"),
    ] {
        let stream: DatabaseStream = parse(text).unwrap();
        let (why, _) = stream.validate().unwrap_err();
        assert!(why.contains(expected), "{why}");
    }
    assert!(parse::<DatabaseStream>("{table: a, lag: soon}").is_err());
    assert!(
        parse::<DatabaseStream>("{table: a, cursr: b}")
            .unwrap_err()
            .to_string()
            .contains("did you mean `cursor`")
    );
    let stream: DatabaseStream = parse("{table: a, cursor: [t, id], initial: 7}").unwrap();
    assert_eq!((stream.cursor.len(), stream.initial.as_deref()), (2, Some("7")));
    let disposition = |text: &str| parse::<DatabaseStream>(text).unwrap().rows().disposition();
    assert_eq!(disposition("{table: a}"), Disposition::Replace);
    assert_eq!(disposition("{table: a, cursor: id}"), Disposition::Append);
    assert_eq!(disposition("{table: a, cursor: id, key: [id]}"), Disposition::Merge);
}
