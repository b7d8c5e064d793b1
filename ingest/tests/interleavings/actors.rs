//! Who acts on the lake: loads as `ingest` runs them, builds as `build` publishes them, clients that write tables of
//! their own, rollbacks, maintenance, readers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch};
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use cordada_core::progress::Silent;
use cordada_core::{Context, Result, TableName};
use cordada_ingest::{JOURNALS, SourceFile, ingest};
use cordada_ingest_source::extract::{Chunk, Extraction, Request, Rows};
use cordada_ingest_source::options::{Disposition, Options};
use cordada_ingest_source::{Landed, Source};
use cordada_lake::maintain::Effort;
use cordada_lake::{Base, Draft, Lake, Mode, Relation, Release, Settings, Write};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// The table that loads land in, that of its lists, the mart that is made of it, the views over the mart and over what
/// has landed, and the table that clients write.
pub(super) const RAW: &str = "raw_s.t";
pub(super) const LISTS: &str = "raw_s.t__items";
pub(super) const MART: &str = "marts.m";
pub(super) const VIEW: &str = "marts.v";
pub(super) const RAW_VIEW: &str = "marts.w";
pub(super) const CLIENTS: &str = "crm.c";

/// What a build writes.
pub(super) const BUILT: [&str; 3] = [MART, VIEW, RAW_VIEW];

/// The id from which on a mart's rows are wrong.
const WRONG: i64 = 1000;

/// Rows of a chunk of the source.
const ROWS: usize = 2;

/// How a source knows what has landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knows {
    /// By a cursor in the stream's state, as a database.
    Cursor,
    /// By a transaction each, as files.
    Files,
    /// As files, which are let go of once they have landed, as the log of a collector.
    Log,
}

/// A source of so many chunks of two rows, the same for ever.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    pub(super) knows: Knows,
    pub(super) chunks: usize,
    /// Whether its rows have lists that become a table of their own.
    pub(super) lists: bool,
}

impl Numbers {
    /// The ids of its rows.
    pub(super) fn ids(self) -> Vec<String> {
        (0..self.chunks * ROWS).map(|id| id.to_string()).collect()
    }

    fn chunk(self, number: usize) -> RecordBatch {
        let ids = (number * ROWS..(number + 1) * ROWS).map(|id| id as i64);
        let lists = ids.clone().map(|id| Some([Some(id), Some(-id)]));
        let ids: ArrayRef = Arc::new(ids.collect::<Int64Array>());
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
        let columns = [("id", ids), ("items", lists)];
        let columns = columns.into_iter().take(if self.lists { 2 } else { 1 });
        RecordBatch::try_from_iter(columns).expect("columns of one length")
    }
}

/// A source over the numbers; what it has let go of is an object in the store, so that it is as durable as that.
struct NumbersSource {
    numbers: Numbers,
    store: Arc<dyn ObjectStore>,
}

#[async_trait]
impl Source for NumbersSource {
    fn streams(&self) -> BTreeMap<String, Options> {
        let mut options = Options {
            key: vec!["id".to_owned()],
            disposition: Some(Disposition::Append),
            ..Options::default()
        };
        if self.numbers.lists {
            options.unnest.insert("items".to_owned(), None);
        }
        [("t".to_owned(), options)].into()
    }

    fn is_unrepeatable(&self, _: &str) -> bool {
        self.numbers.knows == Knows::Log
    }

    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>> {
        let cursor = request.state.as_ref().and_then(serde_json::Value::as_u64);
        let mut waiting = Vec::new();
        for number in 0..self.numbers.chunks {
            let is_known = match self.numbers.knows {
                Knows::Cursor => cursor.is_some_and(|cursor| number < cursor as usize),
                Knows::Files | Knows::Log => has_landed(&*request.landed, number).await?,
            };
            if is_known && self.numbers.knows == Knows::Log {
                self.let_go(number).await?;
            }
            if !is_known && self.store.head(&gone(number)).await.is_err() {
                waiting.push(number);
            }
        }
        waiting.reverse();
        Ok(Box::new(NumbersExtraction {
            source: self,
            waiting,
            given: None,
        }))
    }

    async fn check(&self, _: &Path, _: &str, _: &str, _: &CancellationToken) -> Result<()> {
        Ok(())
    }
}

impl NumbersSource {
    async fn let_go(&self, number: usize) -> Result<()> {
        self.store
            .put(&gone(number), Vec::new().into())
            .await
            .doing(|| "letting go")?;
        Ok(())
    }
}

async fn has_landed(landed: &dyn Landed, number: usize) -> Result<bool> {
    let known = landed.transactions(&[file(number)]).await?;
    Ok(known.get(&file(number)) == Some(&1))
}

fn file(number: usize) -> String {
    format!("file-{number}")
}

fn gone(number: usize) -> object_store::path::Path {
    format!("source/gone-{number}").into()
}

struct NumbersExtraction<'a> {
    source: &'a NumbersSource,
    /// The chunks that have not been given, last first.
    waiting: Vec<usize>,
    given: Option<usize>,
}

#[async_trait]
impl Extraction for NumbersExtraction<'_> {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        self.given = self.waiting.pop();
        let Some(number) = self.given else {
            return Ok(None);
        };
        let numbers = self.source.numbers;
        let rows = numbers.chunk(number);
        let typed = Rows::Typed {
            schema: rows.schema(),
            partitions: vec![stream(&rows)],
            origin: "numbers".to_owned(),
            deleted: None,
            misfits: false,
        };
        let mut chunk = Chunk::new(typed, None, 0);
        match numbers.knows {
            Knows::Cursor => chunk.state = Some(json!(number + 1)),
            Knows::Files | Knows::Log => chunk.transactions = vec![(file(number), 1)],
        }
        chunk.last = self.waiting.is_empty();
        Ok(Some(chunk))
    }

    async fn landed(&mut self) -> Result<()> {
        match (self.source.numbers.knows, self.given) {
            (Knows::Log, Some(number)) => self.source.let_go(number).await,
            _ => Ok(()),
        }
    }
}

fn stream(rows: &RecordBatch) -> SendableRecordBatchStream {
    let batches = futures::stream::iter([Ok(rows.clone())]);
    Box::pin(RecordBatchStreamAdapter::new(rows.schema(), batches))
}

/// What an actor did.
#[derive(Debug)]
pub(super) enum Did {
    /// A load, and the release that it published.
    Landed(Option<u64>),
    /// A build over release `base`, what its tests saw, and the release that it published.
    Built { base: u64, tested: Contents, release: u64 },
    /// A build whose tests failed.
    Refused,
    /// A client's rows, and the release that it was told of.
    Wrote { rows: Vec<String>, release: u64 },
    /// Put files together.
    Maintained,
    /// A rollback, in that release.
    RolledBack { release: u64 },
    /// Read releases, and this was in each.
    Read(Vec<(u64, Contents)>),
}

/// The rows of the relations that matter, each row its values with `|` between them; those that a release has.
pub(super) type Contents = BTreeMap<&'static str, Vec<String>>;

/// The lake in a store, as a process that begins finds it.
pub(super) fn lake(store: Arc<dyn ObjectStore>) -> Result<Lake> {
    let settings = Settings {
        parallelism: Some(1),
        memory: Some(64 << 20),
        journals: JOURNALS.to_vec(),
        ..Settings::default()
    };
    Lake::over(store, &settings)
}

/// `cordada ingest`.
pub(super) async fn load(store: Arc<dyn ObjectStore>, numbers: Numbers) -> Result<Did> {
    let lake = lake(store.clone())?;
    let sources = [SourceFile::new(
        "s".to_owned(),
        Box::new(NumbersSource { numbers, store }),
    )?];
    let loading = ingest(
        &lake,
        Path::new("."),
        &sources,
        &[],
        None,
        Arc::new(Silent),
        CancellationToken::new(),
    );
    Ok(Did::Landed(loading.await?.release))
}

/// What a build makes of the mart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Build {
    /// All of it anew.
    Anew,
    /// What is new.
    Incremental,
    /// Something wrong, which its test finds.
    Wrong,
}

/// `cordada build`, of a mart, a view over it and one over what has landed: what `marts` asks of the lake.
pub(super) async fn build(store: Arc<dyn ObjectStore>, what: Build) -> Result<Did> {
    let lake = lake(store)?;
    let drafted = lake.with_pending_writes();
    let base = lake.releases().newest().await?;
    let mut draft = Draft::new(base.clone(), "build", "run");
    let (raw, mart): (TableName, TableName) = (RAW.parse()?, MART.parse()?);
    let path = lake.path_of(&mart);
    let id = match what {
        Build::Anew | Build::Incremental => "id".to_owned(),
        Build::Wrong => format!("id + {WRONG} as id"),
    };
    let sql = format!("select {id}, _load_id from raw_s.t");
    let rows = drafted.session(&base).sql(&sql).await;
    let rows = rows.doing(|| "reading the base")?;
    let schema: SchemaRef = rows.schema().inner().clone();
    let rows = rows.execute_stream_partitioned().await.doing(|| "reading the base")?;
    let published = base.published_version(&mart, &path);
    let write = match published.filter(|_| what == Build::Incremental) {
        Some(version) => Write {
            base: Base::Version(version),
            ..Write::new(
                Mode::Upsert {
                    key: vec!["id".to_owned()],
                    deleted: None,
                },
                schema,
            )
        },
        None => Write {
            base: Base::Nothing,
            ..Write::new(Mode::Overwrite, schema)
        },
    };
    let written = drafted.write(&mart, write, rows).await?;
    draft.set(mart, Relation::table(path, written.version));
    draft.read(raw);
    for (name, sql) in [
        (VIEW, "select count(*) as n from lake.marts.m"),
        (RAW_VIEW, "select count(*) as n from lake.raw_s.t"),
    ] {
        let view = drafted.pinned_view(sql, &draft.preview())?;
        draft.set(name.parse()?, view);
    }
    let mut tested = contents(&drafted, &draft.preview(), &mut Known::default()).await?;
    tested.retain(|name, _| BUILT.contains(name));
    if tested[MART].iter().any(|row| is_wrong(row)) {
        drafted.discard_pending().await;
        return Ok(Did::Refused);
    }
    drafted.commit_pending(&mut draft).await?;
    let base = base.number;
    let release = match draft.is_unchanged() {
        true => base,
        false => lake.releases().publish(&draft).await?.number,
    };
    Ok(Did::Built { base, tested, release })
}

/// Whether a row is one that a build's test refuses.
pub(super) fn is_wrong(row: &str) -> bool {
    let id = row.split('|').next().and_then(|id| id.parse::<i64>().ok());
    id.is_none_or(|id| id >= WRONG)
}

/// A client of that number that adds two rows to a table of its own, by way of a server of its own: what `query` asks of
/// the lake.
pub(super) async fn write(store: Arc<dyn ObjectStore>, client: i64) -> Result<Did> {
    let lake = lake(store)?;
    let table: TableName = CLIENTS.parse()?;
    let path = lake.path_of(&table);
    let ids = [client * 10, client * 10 + 1];
    let column: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    let rows = RecordBatch::try_from_iter([("id", column)]).doing(|| "making rows")?;
    let base = lake.releases().newest().await?;
    let write = match base.published_version(&table, &path) {
        None => Write::new(Mode::Overwrite, rows.schema()),
        Some(version) => Write {
            base: Base::Version(version),
            ..Write::new(Mode::Append, rows.schema())
        },
    };
    let written = lake.write(&table, write, vec![stream(&rows)]).await?;
    let mut draft = Draft::new(base, "bulk ingest", format!("client {client}"));
    draft.set(table, Relation::table(path, written.version));
    let release = lake.releases().publish(&draft).await?.number;
    let rows = ids.iter().map(i64::to_string).collect();
    Ok(Did::Wrote { rows, release })
}

/// `cordada maintain`; with `keep`, what is older than that goes, which nobody may need meanwhile.
pub(super) async fn maintain(store: Arc<dyn ObjectStore>, keep: Option<Duration>) -> Result<Did> {
    let lake = lake(store)?;
    let tables = [RAW, LISTS, MART, CLIENTS].map(str::parse::<TableName>);
    let tables = tables.into_iter().collect::<Result<Vec<TableName>>>()?;
    let mut reports = vec![lake.compact(tables, Effort::Full).await?];
    if let Some(keep) = keep {
        reports.push(lake.clean_up(keep).await?);
    }
    match reports.into_iter().flat_map(|report| report.left).next() {
        Some((_, error)) => Err(error),
        None => Ok(Did::Maintained),
    }
}

/// `cordada rollback`.
pub(super) async fn rollback(store: Arc<dyn ObjectStore>, to: u64) -> Result<Did> {
    let done = lake(store)?.rollback(to, "run").await?;
    let release = done.release.number;
    Ok(Did::RolledBack { release })
}

/// A server that looks for the newest release now and then.
pub(super) async fn read(store: Arc<dyn ObjectStore>) -> Result<Did> {
    let lake = lake(store)?;
    let mut read = Vec::new();
    for _ in 0..3 {
        let release = lake.releases().newest().await?;
        read.push((release.number, contents(&lake, &release, &mut Known::default()).await?));
    }
    Ok(Did::Read(read))
}

/// What has been read of relations: a version of a table, or a view of such, is the same in every release.
#[derive(Default)]
pub(super) struct Known(Vec<(Relation, Vec<String>)>);

/// What is in a release.
pub(super) async fn contents(lake: &Lake, release: &Arc<Release>, known: &mut Known) -> Result<Contents> {
    let mut contents = Contents::new();
    for (name, sql) in [
        (RAW, "select id, _load_id from raw_s.t"),
        (LISTS, "select _parent_id, value from raw_s.t__items"),
        (MART, "select id, _load_id from marts.m"),
        (VIEW, "select n from marts.v"),
        (RAW_VIEW, "select n from marts.w"),
        (CLIENTS, "select id from crm.c"),
    ] {
        let Some(relation) = release.relation(&name.parse()?) else {
            continue;
        };
        let found = known.0.iter().find(|(known, _)| known.kind == relation.kind);
        let rows = match found {
            Some((_, rows)) => rows.clone(),
            None => {
                let rows = rows(lake, release, sql).await?;
                known.0.push((relation.clone(), rows.clone()));
                rows
            }
        };
        contents.insert(name, rows);
    }
    Ok(contents)
}

async fn rows(lake: &Lake, release: &Arc<Release>, sql: &str) -> Result<Vec<String>> {
    let frame = lake.session(release).sql(sql).await.doing(|| "planning")?;
    let batches = frame.collect().await.doing(|| "reading")?;
    let options = FormatOptions::new();
    let mut rows = Vec::new();
    for batch in &batches {
        let columns: Result<Vec<_>, _> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect();
        let columns = columns.doing(|| "reading")?;
        rows.extend((0..batch.num_rows()).map(|row| {
            let values = columns.iter().map(|column| column.value(row).to_string());
            values.collect::<Vec<_>>().join("|")
        }));
    }
    rows.sort();
    Ok(rows)
}
