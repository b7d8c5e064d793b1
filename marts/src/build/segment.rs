//! Building a segment: whoever lacks something else than before becomes a row of its history, of which its members are
//! a view. Persons are looked at again if rows about them may have changed, or all of them if that cannot be told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use chrono::Utc;
use cordada_core::conform::conform;
use cordada_core::spelling::Former;
use cordada_core::{Context, Error, Result, TableName, types};
use cordada_lake::query::sql;
use cordada_lake::{Base, Mode, PinnedReference, Relation, RelationKind, Write};
use datafusion::catalog::TableProvider;
use datafusion::common::stats::Precision;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::MemTable;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execute_stream_partitioned;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::arrivals::Arrived;
use super::canonical::Canonical;
use super::fingerprint;
use super::materialize::{BuiltNode, BuiltRelation, Goal, Materialize, anew, found};
use crate::jinja::{quoted, quoted_part};
use crate::segment::{HISTORY, SCHEMA};
use crate::segment_sql::{Later, Moment, SegmentWork};

/// Of how many rows one may have changed: where more have, all persons are looked at, which is as fast.
const ONE_IN: u64 = 5;

/// What an evaluation was made of. The history keeps it as its state, in the same commit as the rows.
#[derive(Debug, Serialize, Deserialize)]
struct Evaluated {
    /// How its rows are made; nodes that read them look at it.
    definition: String,
    /// The segment's own part in that.
    query: String,
    at: i64,
    evaluation: i64,
    /// The tables that it read, by name.
    inputs: BTreeMap<String, PinnedReference>,
}

/// The history as it is published, and the evaluation that wrote it.
struct Last {
    relation: Relation,
    path: String,
    version: u64,
    evaluated: Evaluated,
}

/// Who is looked at again.
enum Again {
    /// Everybody, and why.
    All(String),
    Nobody,
    Some(Changed),
}

/// An evaluation that is to be done.
struct Evaluation {
    session: SessionContext,
    /// The rows that it adds to the history.
    sql: String,
    write: Write,
    evaluated: Evaluated,
    fingerprint: Option<String>,
    /// Who is looked at.
    how: String,
}

/// The persons about whom rows may have changed.
struct Changed {
    /// Their keys, under the name of [`Materialize::changed_table`], and the population if all of it that matters is known.
    overlay: BTreeMap<TableName, Arc<dyn TableProvider>>,
    population_is_narrow: bool,
    persons: u64,
}

/// The rows of one table that may have changed.
struct ChangedRows {
    /// How many there are.
    count: u64,
    now: Arc<dyn TableProvider>,
    /// Those that are no more as they were.
    before: Option<Arc<dyn TableProvider>>,
}

impl Materialize<'_> {
    /// Builds a segment. Its history is never built from scratch: what it knows of the past is nowhere else.
    pub(super) async fn segment(&self, work: &SegmentWork) -> Result<BuiltNode> {
        let none = || Error::failed(self.doing(), "it has no history");
        let history = self.goals.further.get(HISTORY).ok_or_else(none)?;
        let session = self.lake.session(&self.release);
        // The same text whatever the time is: only then can it be told whether something else changed.
        let query = work.evaluation(&Moment::new(0), None, false);
        let plan = sql::plan(self.lake, &session, &query).await?;
        self.note_reads([&plan])?;
        let canonical = Canonical::of(plan, &session.state(), &self.node().table).doing(|| self.doing())?;
        let canonical = [canonical];
        let config = &self.source.config;
        let definition = fingerprint::of_queries(self.lake, &canonical, config).await?;
        let inputs = fingerprint::of_inputs(&canonical, &self.release);
        let fingerprint = inputs.map(|inputs| fingerprint::of_nodes([history.node], config, &definition, &inputs));
        let [canonical] = canonical;
        let asks_consent_until = work.consent.as_ref().is_some_and(|consent| consent.until.is_some());
        if let Some(relation) = fingerprint::reusable(self.base, history.node, fingerprint.as_deref())
            && !self.full_refresh
            && !asks_consent_until
        {
            return self.unchanged(work, history, relation.clone()).await;
        }
        let last = self.last(work, history).await?;
        let now = Utc::now().timestamp_micros();
        let evaluated = Evaluated {
            definition,
            query: fingerprint::hash([&*query]),
            at: now,
            evaluation: last.as_ref().map_or(1, |last| last.evaluated.evaluation + 1),
            inputs: canonical
                .tables
                .iter()
                .map(|(name, table)| (name.to_string(), table.clone()))
                .collect(),
        };
        let Some(last) = last else {
            let evaluation = Evaluation {
                session,
                sql: work.first(&Moment::new(now)),
                write: anew(history.node),
                evaluated,
                fingerprint,
                how: "everybody for the first time".to_owned(),
            };
            return self.evaluate(work, history, evaluation).await;
        };
        let again = self
            .again(work, &session, &canonical, &last.evaluated, &evaluated)
            .await?;
        let (session, changed, how) = match again {
            Again::Nobody => {
                let relation = Relation {
                    fingerprint,
                    ..last.relation
                };
                return self.unchanged(work, history, relation).await;
            }
            Again::All(why) => (session, None, format!("everybody, because {why}")),
            Again::Some(changed) => {
                let how = format!("{} persons about whom something may have changed", changed.persons);
                let session = self.lake.session_with(&self.release, changed.overlay);
                (session, Some(changed.population_is_narrow), how)
            }
        };
        let (own, changed_table) = (quoted(&history.node.table), quoted(&self.changed_table("")?));
        let later = Later {
            history: &own,
            evaluation: evaluated.evaluation,
            defined_anew: last.evaluated.query != evaluated.query,
            changed: changed.map(|_| changed_table.as_str()),
            population_is_narrow: changed.unwrap_or_default(),
        };
        let mut sql = work.later(&Moment::new(now), &later);
        let mut write = anew(history.node);
        if last.path == self.lake.path_of(&history.node.table) {
            write.mode = Mode::Append;
            write.base = Base::Version(last.version);
        } else {
            // In another environment it goes on from production's.
            let columns = history.node.work.schema.fields().iter();
            let columns: Vec<_> = columns.map(|field| quoted_part(field.name())).collect();
            sql = format!("select {} from {own}\nunion all\n({sql})", columns.join(", "));
        }
        let evaluation = Evaluation {
            session,
            sql,
            write,
            evaluated,
            fingerprint,
            how,
        };
        self.evaluate(work, history, evaluation).await
    }

    /// Adds the rows of an evaluation to the history.
    async fn evaluate(&self, work: &SegmentWork, history: &Goal<'_>, evaluation: Evaluation) -> Result<BuiltNode> {
        let Evaluation { session, evaluated, .. } = evaluation;
        let plan = sql::plan(self.lake, &session, &evaluation.sql).await?;
        let frame = DataFrame::new(session.state(), plan);
        let context = Arc::new(frame.task_ctx());
        let physical = frame.create_physical_plan().await.doing(|| self.doing())?;
        let partitions = execute_stream_partitioned(physical, context).doing(|| self.doing())?;
        let changes = Arc::new(Changes::default());
        let partitions = partitions
            .into_iter()
            .map(|rows| changes.counting(rows, evaluated.evaluation));
        let write = Write {
            state: Some(serde_json::to_string(&evaluated).doing(|| self.doing())?),
            ..evaluation.write
        };
        let written = self
            .write(history, write, partitions.collect(), evaluation.fingerprint)
            .await?;
        let mut built = BuiltNode::one(self.members(work, history, &written.relation).await?);
        built.relations.push(written);
        built.note = Some(format!("looked at {}: {changes}", evaluation.how));
        Ok(built)
    }

    /// The segment as it is published.
    async fn unchanged(&self, work: &SegmentWork, history: &Goal<'_>, relation: Relation) -> Result<BuiltNode> {
        let mut built = BuiltNode::one(self.members(work, history, &relation).await?);
        built.relations.push(found(history, &relation));
        built.reused = true;
        Ok(built)
    }

    /// The view of the members.
    async fn members(&self, work: &SegmentWork, history: &Goal<'_>, written: &Relation) -> Result<BuiltRelation> {
        let table = &history.node.table;
        let mut release = (*self.release).clone();
        release.relations.insert(table.clone(), written.clone());
        let release = Arc::new(release);
        let query = work.members(&quoted(table));
        sql::plan(self.lake, &self.lake.session(&release), &query).await?;
        let relation = Relation {
            docs: self.goals.main.docs.clone(),
            ..self.lake.pinned_view(&query, &release)?
        };
        Ok(BuiltRelation {
            node: self.node().id,
            relation,
            rows: None,
        })
    }

    /// The history as it is published; `None` if it is of persons who were told apart otherwise, or of no segment.
    async fn last(&self, work: &SegmentWork, history: &Goal<'_>) -> Result<Option<Last>> {
        let Some(relation) = self.base.relation(&history.node.table) else {
            return Ok(None);
        };
        let RelationKind::Table { path, version, .. } = &relation.kind else {
            return Ok(None);
        };
        let snapshot = self.lake.snapshot(path, *version).await?;
        let type_of = |schema: &SchemaRef, column: &String| {
            let field = schema.field_with_name(column).ok()?;
            Some(types::storable_type(field.data_type()))
        };
        let has = |column: &String| {
            let written = type_of(snapshot.schema(), column);
            written.is_some() && written == type_of(&history.node.work.schema, column)
        };
        let state = self.lake.state_at(path, *version).await?;
        let evaluated = state.and_then(|state| serde_json::from_str(&state).ok());
        let last = evaluated.filter(|_| work.key.iter().all(has)).map(|evaluated| Last {
            relation: relation.clone(),
            path: path.clone(),
            version: *version,
            evaluated,
        });
        if last.is_none() {
            tracing::warn!(
                segment = self.node().name,
                "its history begins anew: it is not of the same persons"
            );
        }
        Ok(last)
    }

    /// Who is to be looked at again.
    async fn again(
        &self,
        work: &SegmentWork,
        session: &SessionContext,
        canonical: &Canonical,
        last: &Evaluated,
        now: &Evaluated,
    ) -> Result<Again> {
        if let Some(why) = self.why_all(work, canonical, last, now) {
            return Ok(Again::All(why));
        }
        let Some(population) = &work.table else {
            return Ok(Again::All("it chooses from a query".to_owned()));
        };
        let mut overlay = BTreeMap::new();
        let mut queries = Vec::new();
        // The rows of the population that matter, if nothing else changed.
        let mut only_population = None;
        let mut others_changed = false;
        let (mut changed, mut all) = (0_u64, 0);
        // A view may read a table several times.
        let tables: BTreeMap<_, _> = canonical.tables.iter().map(|(name, table)| (name, table)).collect();
        for (name, reference) in tables {
            let Some(before) = last.inputs.get(&name.to_string()) else {
                return Ok(Again::All(format!("{name} was another relation")));
            };
            let snapshot = self.lake.snapshot(&reference.path, reference.version).await?;
            if name == population {
                all = snapshot.files().await?.rows().unwrap_or_default();
            }
            let is_same = before.version == self.release.rows_version(name, reference.version);
            if before == reference || (before.path == reference.path && is_same) {
                continue;
            }
            let key = key_in(work, name);
            let Some(rows) = self.changed_rows(name, before, reference, key).await? else {
                return Ok(Again::All(format!("{name} was written anew")));
            };
            // An evaluation that found nothing new is a version, too.
            if rows.count == 0 {
                continue;
            }
            changed = changed.saturating_add(rows.count);
            for (rows, side) in [(Some(&rows.now), "now"), (rows.before.as_ref(), "before")] {
                let Some(rows) = rows else { continue };
                let table = self.changed_table(&format!("_{}_{side}", queries.len()))?;
                queries.push(keys_of(&work.key, key, &quoted(&table)));
                overlay.insert(table, rows.clone());
            }
            match name == population {
                true => only_population = Some(rows.now),
                false => others_changed = true,
            }
        }
        if changed.saturating_mul(ONE_IN) > all {
            return Ok(Again::All("more than a fifth of the rows may have changed".to_owned()));
        }
        let ended = work.consents_that_ended(&Moment::new(last.at), &Moment::new(now.at));
        if let Some(query) = ended {
            let keys = self.collected(session, &query).await?;
            if !keys.1.is_empty() {
                let table = self.changed_table("_ended")?;
                queries.push(keys_of(&work.key, &work.key, &quoted(&table)));
                overlay.insert(table, memory(keys.0, keys.1)?);
                others_changed = true;
            }
        }
        let only_population = only_population.filter(|_| !others_changed);
        if queries.is_empty() {
            return Ok(Again::Nobody);
        }
        let keys: Vec<_> = work.key.iter().map(|key| quoted_part(key)).collect();
        let known: Vec<_> = keys.iter().map(|key| format!("{key} is not null")).collect();
        let query = format!(
            "select distinct {} from (\n{}\n) as keys where {}",
            keys.join(", "),
            queries.join("\nunion all\n"),
            known.join(" and ")
        );
        let (schema, batches) = self
            .collected(&self.lake.session_with(&self.release, overlay), &query)
            .await?;
        let persons: u64 = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        if persons == 0 {
            return Ok(Again::Nobody);
        }
        if persons.saturating_mul(ONE_IN) > all {
            return Ok(Again::All(
                "rows about more than a fifth of them may have changed".to_owned(),
            ));
        }
        let mut overlay = BTreeMap::from([(self.changed_table("")?, memory(schema, batches)?)]);
        let population_is_narrow = only_population.is_some();
        overlay.extend(only_population.map(|rows| (population.clone(), rows)));
        Ok(Again::Some(Changed {
            overlay,
            population_is_narrow,
            persons,
        }))
    }

    /// Why everybody has to be looked at, whatever changed.
    fn why_all(&self, work: &SegmentWork, canonical: &Canonical, last: &Evaluated, now: &Evaluated) -> Option<String> {
        if self.full_refresh {
            return Some("that was asked for".to_owned());
        }
        if last.query != now.query {
            return Some("it is defined anew".to_owned());
        }
        if last.definition != now.definition {
            return Some("what it reads is made otherwise".to_owned());
        }
        if let Some(why) = &work.not_by_row {
            return Some(why.clone());
        }
        if canonical.is_volatile {
            return Some("a condition asks for the time or for chance".to_owned());
        }
        if now.at < last.at {
            return Some("the clock was put back".to_owned());
        }
        let tables = &canonical.tables;
        let mut others = tables
            .iter()
            .filter(|(name, _)| !inputs(work).any(|(input, _)| input == name));
        if let Some((other, _)) = others.next() {
            return Some(format!("it reads {other} through a view"));
        }
        let differs = |(name, table): &&(TableName, PinnedReference)| now.inputs.get(&name.to_string()) != Some(table);
        let twice = tables.iter().find(differs);
        twice.map(|(name, _)| format!("it reads {name} at two versions"))
    }

    /// The rows of a table that changed from `before` to `now`; `None` if that cannot be told.
    async fn changed_rows(
        &self,
        name: &TableName,
        before: &PinnedReference,
        now: &PinnedReference,
        key: &[String],
    ) -> Result<Option<ChangedRows>> {
        if before.path != now.path {
            return Ok(None);
        }
        if let Some(arrived) = self.arrivals.of(name)
            && (arrived.from, arrived.to) == (before.version, now.version)
            && arrived.key == key
        {
            let rows = self.arrived(&arrived, now).await?;
            return Ok(Some(ChangedRows {
                count: arrived.rows.iter().map(|batch| batch.num_rows() as u64).sum(),
                now: rows,
                before: None,
            }));
        }
        let changes = self.lake.changes(&now.path, before.version, now.version).await?;
        Ok(changes.map(|changes| ChangedRows {
            count: count(&changes.came).saturating_add(changes.went.as_ref().map_or(0, count)),
            now: changes.came,
            before: changes.went,
        }))
    }

    /// The rows as the table has them.
    async fn arrived(&self, arrived: &Arrived, table: &PinnedReference) -> Result<Arc<dyn TableProvider>> {
        let snapshot = self.lake.snapshot(&table.path, table.version).await?;
        let schema = types::readable(snapshot.schema());
        let rows = arrived.rows.iter().map(|batch| {
            let stored = conform(batch, snapshot.schema(), &Former::default())?;
            let columns = stored.columns().iter().zip(schema.fields());
            let columns = columns.map(|(column, field)| cast(column, field.data_type()));
            let columns = columns
                .collect::<std::result::Result<Vec<_>, _>>()
                .doing(|| self.doing())?;
            RecordBatch::try_new(schema.clone(), columns).doing(|| self.doing())
        });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        memory(schema, rows)
    }

    async fn collected(&self, session: &SessionContext, query: &str) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let plan = sql::plan(self.lake, session, query).await?;
        let planned = Arc::new(plan.schema().as_arrow().clone());
        let frame = DataFrame::new(session.state(), plan);
        let mut batches = frame.collect().await.doing(|| self.doing())?;
        batches.retain(|batch| batch.num_rows() > 0);
        let schema = batches.first().map_or(planned, RecordBatch::schema);
        Ok((schema, batches))
    }

    /// The name under which queries find what changed.
    fn changed_table(&self, part: &str) -> Result<TableName> {
        TableName::new(SCHEMA, format!("{}__changed{part}", self.node().name))
    }
}

/// The tables of which a change is one about the persons with the keys that it has there.
fn inputs(work: &SegmentWork) -> impl Iterator<Item = (&TableName, &[String])> {
    let population = work.table.iter().map(|table| (table, work.key.as_slice()));
    let consent = work
        .consent
        .iter()
        .map(|consent| (&consent.table, consent.key.as_slice()));
    let others = work.include.iter().chain(&work.exclude);
    let others = others.map(|other| (other.history.as_ref().unwrap_or(&other.table), work.key.as_slice()));
    population.chain(consent).chain(others)
}

fn key_in<'a>(work: &'a SegmentWork, table: &TableName) -> &'a [String] {
    let found = inputs(work).find(|(input, _)| *input == table);
    found.map_or(work.key.as_slice(), |(_, key)| key)
}

/// The keys of a relation that has them under the names `there`.
fn keys_of(key: &[String], there: &[String], relation: &str) -> String {
    let named = key.iter().zip(there);
    let named = named.map(|(own, there)| format!("{} as {}", quoted_part(there), quoted_part(own)));
    format!("select {} from {relation}", named.collect::<Vec<_>>().join(", "))
}

fn memory(schema: SchemaRef, rows: Vec<RecordBatch>) -> Result<Arc<dyn TableProvider>> {
    let rows = MemTable::try_new(schema, vec![rows]).doing(|| "keeping what changed")?;
    Ok(Arc::new(rows))
}

/// How many rows there are in files; more than any table has if they do not say.
fn count(files: &Arc<dyn TableProvider>) -> u64 {
    match files.statistics().map(|statistics| statistics.num_rows) {
        Some(Precision::Exact(rows)) => rows as u64,
        _ => u64::MAX,
    }
}

/// How many entered and left in an evaluation.
#[derive(Debug, Default)]
struct Changes {
    entered: AtomicU64,
    left: AtomicU64,
}

impl Changes {
    /// The stream, of which the rows of that evaluation are counted as they go by.
    fn counting(self: &Arc<Self>, rows: SendableRecordBatchStream, evaluation: i64) -> SendableRecordBatchStream {
        let (schema, changes) = (rows.schema(), self.clone());
        let rows = rows.inspect_ok(move |batch| changes.count(batch, evaluation));
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }

    fn count(&self, batch: &RecordBatch, evaluation: i64) {
        let column = |name: &str, data_type| cast(batch.column_by_name(name)?, data_type).ok();
        let (Some(change), Some(number)) = (
            column("change", &DataType::Utf8),
            column("evaluation", &DataType::Int64),
        ) else {
            return;
        };
        let numbers = number.as_primitive::<Int64Type>().values();
        for (change, number) in change.as_string::<i32>().iter().zip(numbers.iter()) {
            let counter = match change {
                Some("entered") => &self.entered,
                Some(_) => &self.left,
                None => continue,
            };
            if *number == evaluation {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [entered, left] = [&self.entered, &self.left].map(|count| count.load(Ordering::Relaxed));
        write!(f, "{entered} entered, {left} left")
    }
}
