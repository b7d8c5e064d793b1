//! One run over sources: each stream lands, then one release publishes what landed.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use cordada_core::progress::Progress;
use cordada_core::suggest::did_you_mean;
use cordada_core::types::{COMMENT, PII};
use cordada_core::{Context, Error, ErrorKind, Result, TableName};
use cordada_ingest_source::options::{Disposition, Options};
use cordada_ingest_source::provenance::Load;
use cordada_ingest_source::transform::PiiKey;
use cordada_lake::JournalType::{Integer, Personal, Text, Time};
use cordada_lake::release::{ColumnDocs, Docs};
use cordada_lake::{Draft, Journal, Lake, Relation, Release, Tip};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::cut_times::CutTimes;
use crate::kept::KeptState;
use crate::landing::{Landing, Outcome};
use crate::naming::options_of;
use crate::sources::{Selection, SourceFile};

/// One row a stream and load.
pub(crate) const LOADS: Journal = Journal::new(
    "loads",
    &[
        ("load_id", Text),
        ("source", Text),
        ("stream", Text),
        ("table_name", Text),
        ("started_at", Time),
        ("ended_at", Time),
        ("files", Integer),
        ("rows", Integer),
        ("rejected", Integer),
        ("bytes", Integer),
        ("version", Integer),
        ("status", Text),
        ("error", Text),
        // What the stream remembers: a cursor, a position in a log.
        ("state", Personal),
        // Why it failed, as it was said.
        ("reason", Personal),
    ],
);

/// Characters of a message that `ops.loads` keeps.
const LONGEST_REASON: usize = 1_000;

/// What a run did.
#[derive(Debug, Clone)]
pub struct IngestReport {
    /// The load's id, in `_load_id` and the journals.
    pub load_id: String,
    /// One report a stream, in the order of the sources.
    pub streams: Vec<StreamReport>,
    /// The release that published what landed; `None` if there was nothing to publish.
    pub release: Option<u64>,
}

/// What a run did with one stream.
#[derive(Debug, Clone)]
pub struct StreamReport {
    /// Where it landed.
    pub table: TableName,
    /// Files that landed.
    pub files: usize,
    /// Files that had landed before.
    pub skipped_files: usize,
    /// Rows that landed.
    pub rows: u64,
    /// Records that went to `ops.rejected_rows` instead.
    pub rejected: u64,
    /// Bytes of the files that landed, as they are where they come from.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// The version of the table that was made; `None` if nothing was new.
    pub version: Option<u64>,
}

/// Lands the selected streams (all if `select` is empty) and publishes a release.
///
/// As many streams land at the same time as memory and cores allow. All are tried. What landed is published even when
/// another stream failed; the error names all that did. A stream of which every row was rejected has failed. Whatever
/// is interrupted, running it again neither loses nor doubles a row.
///
/// # Errors
/// Config for a selection that there is not; else of the kind of the first stream that failed.
pub async fn ingest(
    lake: &Lake,
    project: &Path,
    sources: &[SourceFile],
    select: &[Selection],
    key: Option<&PiiKey>,
    progress: Arc<dyn Progress>,
    cancel: CancellationToken,
) -> Result<IngestReport> {
    let load = Load {
        id: uuid::Uuid::now_v7().to_string(),
        at: Utc::now(),
    };
    let budget = Budget::new(lake.memory(), lake.parallelism());
    let selected = selected(sources, select)?;
    let mut landings = Vec::with_capacity(selected.len());
    for (source, stream, options) in &selected {
        source.source().begin();
        landings.push(Landing {
            lake,
            project,
            source,
            stream,
            options: (*options).clone(),
            table: TableName::new(source.schema(), *stream)?,
            load: load.clone(),
            key,
            budget: &budget,
            cut_times: CutTimes::default(),
            cancel: cancel.clone(),
        });
    }
    let progress = &*progress;
    let landings = landings.iter().enumerate();
    let landings: Vec<_> = landings
        .map(|(number, landing)| numbered(number, landing, progress))
        .collect();
    let landings = futures::stream::iter(landings).buffer_unordered(budget.streams);
    let mut landed: Vec<_> = landings.collect().await;
    // Whatever the order in which they ended, they are told of in the order of the sources.
    landed.sort_by_key(|(number, _)| *number);
    let mut streams = Vec::new();
    let mut failures = Vec::new();
    for ((_, result), (.., options)) in landed.into_iter().zip(&selected) {
        match result {
            Ok(mut told) => {
                failures.extend(told.refused.take());
                streams.push((*options, told));
            }
            Err(error) => failures.push(error),
        }
    }
    let release = publish(lake, &load, &streams).await?;
    match all_of(failures, selected.len()) {
        Some(error) => Err(error),
        None => Ok(IngestReport {
            load_id: load.id,
            streams: streams.into_iter().map(|(_, told)| told.report).collect(),
            release,
        }),
    }
}

/// One error for all streams that failed, out of so many.
fn all_of(mut failures: Vec<Error>, streams: usize) -> Option<Error> {
    if failures.len() <= 1 {
        return failures.pop();
    }
    let kind = failures[0].kind();
    let each: String = failures.iter().map(|error| format!("\n  {error}")).collect();
    let why = format!("{} of {streams} streams failed{each}", failures.len());
    Some(Error::new(kind, "landing", why))
}

/// What landed of a stream.
struct LandedStream {
    /// Where its table goes on.
    tip: Option<Tip>,
    /// The tables of its lists, and where they go on.
    children: Vec<(TableName, Tip)>,
    report: StreamReport,
    /// Why it failed all the same: nothing of it could land.
    refused: Option<Error>,
}

/// [`finished`], with the number of the stream. Boxed because the compiler cannot see that its future is `Send`.
fn numbered<'a>(
    number: usize,
    landing: &'a Landing<'a>,
    progress: &'a dyn Progress,
) -> BoxFuture<'a, (usize, Result<LandedStream>)> {
    Box::pin(async move { (number, finished(landing, progress).await) })
}

/// Lands a stream and takes it down in the journal.
async fn finished(landing: &Landing<'_>, progress: &dyn Progress) -> Result<LandedStream> {
    let table = &landing.table;
    if landing.cancel.is_cancelled() {
        return Err(Error::cancelled(format!("landing {table}")));
    }
    let (started, clock) = (Utc::now(), Instant::now());
    // A fault in one stream must not keep the others from landing; what was being written is not committed.
    let result = AssertUnwindSafe(landing.run(progress)).catch_unwind().await;
    let result = result.unwrap_or_else(|_| Err(Error::panicked(format!("landing {table}"))));
    let refused = result.as_ref().ok().and_then(|landed| all_rejected(landing, landed));
    let journaled = journal(landing, started, &result, refused.as_ref()).await;
    let landed = result
        .and_then(|landed| journaled.map(|()| landed))
        .map_err(|error| {
            error
                .with("source", landing.source.name())
                .with("stream", landing.stream)
        })
        .inspect_err(|error| tracing::debug!(%table, %error, "a stream did not land"))?;
    let (tip, children) = (landed.tip, landed.children.clone());
    let report = report(table.clone(), landed, clock.elapsed().as_secs_f64());
    Ok(LandedStream {
        tip,
        children,
        report,
        refused,
    })
}

/// Why a stream failed of which nothing could land, though there were rows.
fn all_rejected(landing: &Landing<'_>, landed: &Outcome) -> Option<Error> {
    if landed.passed > 0 || landed.rows > 0 || landed.rejected == 0 {
        return None;
    }
    let error = landing.all_rejected(landed.rejected, landed.first_reason.as_deref());
    Some(
        error
            .with("source", landing.source.name())
            .with("stream", landing.stream),
    )
}

fn report(table: TableName, landed: Outcome, seconds: f64) -> StreamReport {
    StreamReport {
        table,
        files: landed.files,
        skipped_files: landed.skipped_files,
        rows: landed.rows,
        rejected: landed.rejected,
        bytes: landed.bytes,
        seconds,
        version: landed.version,
    }
}

/// The streams that are selected, each once, in the order of the sources.
pub(crate) fn selected<'a>(
    sources: &'a [SourceFile],
    select: &[Selection],
) -> Result<Vec<(&'a SourceFile, &'a str, &'a Options)>> {
    for selection in select {
        let names: Vec<_> = sources.iter().map(SourceFile::name).collect();
        let source = sources.iter().find(|source| source.name() == selection.source);
        let source = source.ok_or_else(|| unknown("source", &selection.source, &names))?;
        if let Some(stream) = &selection.stream
            && !source.options().contains_key(stream)
        {
            return Err(unknown(
                &format!("stream of {}", source.name()),
                stream,
                &source.streams(),
            ));
        }
    }
    let is_selected = |source: &SourceFile, stream: &str| {
        let matches = |selection: &Selection| {
            selection.source == source.name() && selection.stream.as_deref().is_none_or(|selected| selected == stream)
        };
        select.is_empty() || select.iter().any(matches)
    };
    let all = sources.iter().flat_map(|source| {
        source
            .options()
            .iter()
            .map(move |(name, options)| (source, name, options))
    });
    Ok(all
        .filter(|(source, name, _)| is_selected(source, name))
        .map(|(source, name, options)| (source, name.as_str(), options))
        .collect())
}

fn unknown(what: &str, name: &str, known: &[&str]) -> Error {
    let hint = match known.is_empty() {
        true => "there are none in sources/".to_owned(),
        false => did_you_mean(name, "there are", known.iter().copied()),
    };
    Error::config("selecting what to ingest", format!("there is no {what} `{name}`")).hint(hint)
}

/// One row of `ops.loads`.
async fn journal(
    landing: &Landing<'_>,
    started: DateTime<Utc>,
    result: &Result<Outcome>,
    refused: Option<&Error>,
) -> Result<()> {
    let nothing = Outcome::default();
    let landed = result.as_ref().unwrap_or(&nothing);
    let failure = result.as_ref().err().or(refused);
    let (status, error) = match result {
        Ok(_) if refused.is_some() => ("failed", Some("failed")),
        Ok(landed) if landed.version.is_some() || landed.files > 0 => ("landed", None),
        Ok(_) => ("unchanged", None),
        Err(error) => match error.kind() {
            ErrorKind::Cancelled => ("cancelled", None),
            ErrorKind::Config => ("failed", Some("config")),
            ErrorKind::Failed => ("failed", Some("failed")),
            ErrorKind::Conflict => ("failed", Some("conflict")),
            ErrorKind::Unavailable => ("failed", Some("unavailable")),
            ErrorKind::Internal => ("failed", Some("internal")),
        },
    };
    let text = |text: Option<&str>| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let time = |time: DateTime<Utc>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![time.timestamp_micros()]).with_timezone("UTC"))
    };
    let number = |number: u64| -> ArrayRef { Arc::new(Int64Array::from(vec![i64::try_from(number).ok()])) };
    let version = landed.version.and_then(|version| i64::try_from(version).ok());
    let columns = vec![
        text(Some(&landing.load.id)),
        text(Some(landing.source.name())),
        text(Some(landing.stream)),
        text(Some(&landing.table.to_string())),
        time(started),
        time(Utc::now()),
        number(landed.files as u64),
        number(landed.rows),
        number(landed.rejected),
        number(landed.bytes),
        Arc::new(Int64Array::from(vec![version])),
        text(Some(status)),
        text(error),
        text(landed.state.as_ref().map(ToString::to_string).as_deref()),
        text(failure.map(|error| shortened(error.to_string())).as_deref()),
    ];
    let row = RecordBatch::try_new(LOADS.schema(), columns).doing(|| "recording the load")?;
    landing.lake.journal(LOADS, row).await
}

/// Of a message that a system wrote, what somebody reads of it.
fn shortened(message: String) -> String {
    match message.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => message[..end].to_owned() + "…",
        None => message,
    }
}

/// Publishes the tables that landed, now or in a run that was killed before it could.
async fn publish(lake: &Lake, load: &Load, streams: &[(&Options, LandedStream)]) -> Result<Option<u64>> {
    loop {
        let draft = draft(lake, load, streams).await?;
        if draft.is_unchanged() {
            return Ok(None);
        }
        match lake.releases().publish(&draft).await {
            Ok(release) => return Ok(Some(release.number)),
            // Another load has published one of the tables since; what is ours is on top of it, or in it.
            Err(error) if error.kind() == ErrorKind::Conflict => tracing::debug!(%error, "publishing again"),
            Err(error) => return Err(error),
        }
    }
}

async fn draft(lake: &Lake, load: &Load, streams: &[(&Options, LandedStream)]) -> Result<Draft> {
    let base = lake.releases().newest().await?;
    let mut draft = Draft::new(base.clone(), "ingest", &load.id);
    let nothing = Options::default();
    for (options, told) in streams {
        let own = told
            .tip
            .map(|tip| (&told.report.table, *options, tip, told.report.version.is_some()));
        let children = told.children.iter().map(|(child, tip)| (child, &nothing, *tip, true));
        for (table, options, tip, landed_now) in own.into_iter().chain(children) {
            let path = lake.path_of(table);
            let published = base.published_version(table, &path);
            let is_older = base.timeline(table) == tip.timeline && published >= tip.version;
            let Some(version) = tip.version.filter(|_| !is_older) else {
                continue;
            };
            if base.timeline(table) != tip.timeline {
                return Err(Error::conflict(
                    format!("publishing {table}"),
                    "it was rolled back while the load was running",
                )
                .hint("run again: what was landed meanwhile is landed once more"));
            }
            // A replacement that was killed half-way waits for the next one.
            if !landed_now && KeptState::of(lake, table, tip).await?.incomplete {
                continue;
            }
            let mut relation = Relation::table(&path, version);
            relation.docs = docs(lake, &base, options, table, version).await?.into();
            draft.set(table.clone(), relation);
        }
    }
    Ok(draft)
}

/// What is known about the table's columns, on top of what was said about them before.
async fn docs(lake: &Lake, base: &Release, options: &Options, table: &TableName, version: u64) -> Result<Docs> {
    let mut docs = match base.relation(table) {
        Some(relation) => Arc::unwrap_or_clone(lake.docs(&relation.docs).await?),
        None => Docs::default(),
    };
    let snapshot = lake.snapshot(&lake.path_of(table), version).await?;
    for field in snapshot.schema().fields() {
        let comment = field
            .metadata()
            .get(COMMENT)
            .map(|original| format!("`{original}` in the source"));
        let pii = field.metadata().get(PII).cloned();
        if comment.is_some() || pii.is_some() {
            docs.columns.insert(
                field.name().clone(),
                ColumnDocs {
                    description: comment,
                    pii,
                },
            );
        }
    }
    if matches!(options.disposition(), Disposition::Merge | Disposition::InsertOnly) {
        docs.primary_key = options_of(options, snapshot.schema()).key();
    }
    Ok(docs)
}
