//! Building a table from a query: from scratch, or what is new joins the rows that are there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;
use cordada_core::{Context, Error, Result, types};
use cordada_lake::query::sql;
use cordada_lake::{Base, Mode, Write};
use datafusion::catalog::TableProvider;
use datafusion::common::Column;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::execute_stream_partitioned;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

use super::arrivals::Arriving;
use super::fingerprint::{self, Made};
use super::materialize::{BuiltNode, MadeOf, Materialize, anew};
use crate::compile::with_new_columns;
use crate::config::{OnSchemaChange, Strategy};

impl Materialize<'_> {
    /// Builds a table or an incremental model.
    pub(super) async fn query(&self) -> Result<BuiltNode> {
        let session = self.lake.session(&self.release);
        let (work, config) = (&self.node().work, &self.source.config);
        let full = sql::plan(self.lake, &session, &work.full).await?;
        self.note_reads([&full])?;
        let MadeOf { definition, mut inputs } = self.made_of([&full], &session).await?;
        if let Some(incremental) = work.incremental.as_ref().filter(|sql| **sql != work.full) {
            // Whichever of the two is run, both count, so that the first run and later ones have one fingerprint.
            let later = self.later(incremental).await?;
            let of_both = |(first, rows): (String, String)| fingerprint::hash([&*first, &*later.definition, &*rows]);
            inputs = inputs.zip(later.inputs).map(of_both);
        }
        let fingerprint = inputs.map(|inputs| fingerprint::of_nodes([self.node()], config, &definition, &inputs));
        if let Some(built) = self.reuse(fingerprint.as_deref()) {
            return Ok(built);
        }
        let adds_to = self.adds_to(&definition).await?;
        let plan = match (&work.incremental, adds_to) {
            (Some(incremental), Some(_)) => sql::plan(self.lake, &session, incremental).await?,
            _ => full,
        };
        self.note_reads([&plan])?;
        let mut frame = DataFrame::new(session.state(), plan);
        let mut write = Write {
            state: Some(serde_json::to_string(&Made { definition }).doing(|| self.doing())?),
            ..anew(self.node())
        };
        if let Some(version) = adds_to {
            self.joins(&mut write, version);
            if let (OnSchemaChange::Ignore, Some(existing)) = (config.on_schema_change(), &work.existing) {
                write.schema = only(&work.schema, existing);
                let columns = write.schema.fields().iter();
                let columns = columns.map(|field| Expr::Column(Column::from_name(field.name())));
                frame = frame.select(columns.collect::<Vec<_>>()).doing(|| self.doing())?;
            }
        }
        let merges = matches!(write.mode, Mode::Upsert { .. });
        let context = Arc::new(frame.task_ctx());
        let physical = frame.create_physical_plan().await.doing(|| self.doing())?;
        let partitions = execute_stream_partitioned(physical, context).doing(|| self.doing())?;
        let new = Arc::new(AtomicU64::new(0));
        let partitions = partitions.into_iter().map(|rows| counting(rows, new.clone()));
        let arriving = adds_to
            .filter(|_| self.is_chosen_from)
            .and_then(|from| Arriving::of(&write.mode, from));
        let partitions: Vec<_> = match &arriving {
            Some(arriving) => partitions.map(|rows| arriving.noting(rows)).collect(),
            None => partitions.collect(),
        };
        let written = self.write(&self.goals.main, write, partitions, fingerprint).await?;
        if let Some(arriving) = arriving {
            self.arrivals.add(&self.node().table, &written.relation, arriving);
        }
        if merges && written.rows.is_some_and(|kept| kept < new.load(Ordering::Relaxed)) {
            let why = "several of its new rows have the same `unique_key`, of which a merge can keep only one";
            let hint = "select one row a key, or set incremental_strategy='delete+insert', which keeps all of them";
            return Err(Error::failed(self.doing(), why).hint(hint));
        }
        Ok(BuiltNode::one(written))
    }

    /// How later runs of an incremental model make rows. Its own table is there without rows, whichever run this is.
    async fn later(&self, incremental: &str) -> Result<MadeOf> {
        let work = &self.node().work;
        let columns = with_new_columns(work.existing.as_ref(), &types::readable(&work.schema));
        let own: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(columns));
        let own = BTreeMap::from([(self.node().table.clone(), own)]);
        let session = self.lake.session_with(&self.release, own);
        let plan = sql::plan(self.lake, &session, incremental).await?;
        self.made_of([&plan], &session).await
    }

    /// The version of its table that an incremental model adds to. `None` if all of it is built: the first time, if that
    /// is asked for, and when `definition` says that the rows that are there would be others if they were made now.
    async fn adds_to(&self, definition: &str) -> Result<Option<u64>> {
        let (work, config) = (&self.node().work, &self.source.config);
        let Some(version) = work.published.filter(|_| !self.full_refresh) else {
            return Ok(None);
        };
        let has_other_columns = work
            .existing
            .as_ref()
            .is_some_and(|existing| !same_names(existing, &work.schema));
        // Rows that must stay stay, and so do those whose model says what becomes of them when its columns change.
        if config.full_refresh == Some(false) || (has_other_columns && config.on_schema_change.is_some()) {
            return Ok(Some(version));
        }
        let made = Made::of(self.lake, &self.lake.path_of(&self.node().table), version).await?;
        if !has_other_columns && made.is_none_or(|made| made.definition == definition) {
            return Ok(Some(version));
        }
        tracing::info!(
            model = self.node().name,
            "built from scratch: what it is made by has changed"
        );
        Ok(None)
    }

    /// Lets the write's rows join those of `version`, as the model's strategy says.
    fn joins(&self, write: &mut Write, version: u64) {
        let config = &self.source.config;
        let groups = |key: &[String]| Mode::ReplaceGroups {
            key: key.to_owned(),
            deleted: None,
        };
        write.mode = match config.strategy {
            Strategy::Append => Mode::Append,
            Strategy::DeleteInsert => groups(&config.unique_key),
            Strategy::Merge => Mode::Upsert {
                key: config.unique_key.clone(),
                deleted: None,
            },
            Strategy::InsertOverwrite if config.partition_by.is_empty() => return,
            Strategy::InsertOverwrite => groups(&config.partition_by),
        };
        write.base = Base::Version(version);
    }
}

fn same_names(one: &SchemaRef, other: &SchemaRef) -> bool {
    let has = |schema: &SchemaRef, names: &SchemaRef| {
        let mut names = names.fields().iter();
        names.all(|field| schema.field_with_name(field.name()).is_ok())
    };
    has(one, other) && has(other, one)
}

/// The columns of `rows` that `existing` has.
fn only(rows: &SchemaRef, existing: &SchemaRef) -> SchemaRef {
    let fields = rows
        .fields()
        .iter()
        .filter(|field| existing.field_with_name(field.name()).is_ok());
    Arc::new(arrow::datatypes::Schema::new(fields.cloned().collect::<Vec<_>>()))
}

/// The stream, adding to `count` how many rows went by.
fn counting(rows: SendableRecordBatchStream, count: Arc<AtomicU64>) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let rows = rows.inspect_ok(move |batch| {
        count.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}
