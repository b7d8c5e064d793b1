//! Compiling a project: every query is planned by the planner that will run it, before a row is read.

mod indicators;
mod model;
mod segment;
mod unit_test;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use cordada_core::suggest::did_you_mean;
use cordada_core::{Context, Error, Result, TableName, types};
use cordada_lake::estimator::Estimators;
use cordada_lake::query::session::{CATALOG, DEFAULT_SCHEMA};
use cordada_lake::query::sql;
use cordada_lake::{Lake, PinnedReference, PinnedTable, RelationKind, Release, journal};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use minijinja::Value;

use crate::compiled::{CompiledNode, CompiledProject, CompiledTest, SnapshotWork, Work};
use crate::config::Materialization;
use crate::data_test::{Body, DataTest};
use crate::jinja::{NodeContext, Render, Target, Uses, quoted, quoted_part};
use crate::load::configs;
use crate::node::{Node, NodeId};
use crate::planned::PlannedTables;
use crate::project::{Project, ProjectContents};
use crate::{contract, plan_error, seed, snapshot_sql};

/// Compiles the project against the newest release of the lake.
///
/// Queries are planned in graph order over the planned columns of what they read, so that a wrong column anywhere
/// is found before anything runs.
///
/// # Errors
/// Config, with file, line and column: a column, function or relation that does not exist, types that do not fit,
/// a source that was never landed, an unknown estimator or parameter, Jinja that fails.
pub async fn compile(project: &Project, lake: &Lake, estimators: &Estimators) -> Result<CompiledProject> {
    let base = lake.releases().newest().await?;
    let loaded = &*project.0;
    let relations = loaded
        .nodes
        .iter()
        .filter(|node| node.materialization() != Materialization::Ephemeral);
    let planned = PlannedTables::new(relations.map(|node| node.table.clone()));
    let session = lake.session_with(&base, planned.providers().collect());
    session
        .state_ref()
        .write()
        .config_mut()
        .options_mut()
        .sql_parser
        .collect_spans = true;
    let compiler = Compiler {
        project: loaded,
        lake,
        estimators,
        base: &base,
        session,
        planned,
    };
    let mut nodes: Vec<Option<CompiledNode>> = vec![None; loaded.nodes.len()];
    for id in &loaded.order {
        nodes[id.0] = Some(compiler.node(&loaded.nodes[id.0], &nodes).await?);
    }
    let mut nodes: Vec<CompiledNode> = nodes.into_iter().flatten().collect();
    let mut tests = Vec::with_capacity(loaded.tests.len());
    for test in &loaded.tests {
        let compiled = compiler.test(test).await?;
        // Its macro may say that it is not.
        if !compiled.settings.enabled {
            continue;
        }
        if let Some(node) = test.node {
            nodes[node.0].tests.push(test.name.clone());
        }
        tests.push(compiled);
    }
    for test in &loaded.unit_tests {
        nodes[test.model.0].tests.push(test.name.clone());
        tests.push(compiler.unit_test(test, &nodes).await?);
    }
    Ok(CompiledProject {
        project: project.clone(),
        base: base.clone(),
        nodes,
        tests,
    })
}

struct Compiler<'a> {
    project: &'a ProjectContents,
    lake: &'a Lake,
    estimators: &'a Estimators,
    base: &'a Arc<Release>,
    session: SessionContext,
    planned: PlannedTables,
}

impl Compiler<'_> {
    /// Compiles a node; `before` are those that it reads.
    async fn node(&self, node: &Node, before: &[Option<CompiledNode>]) -> Result<CompiledNode> {
        self.check_sources(node)?;
        let work = match node.materialization() {
            Materialization::Seed => self.seed(node).await?,
            Materialization::Output => self.output(node, before).await?,
            Materialization::Segment => self.segment(node).await?,
            _ => self.model(node).await?,
        };
        let name_of = |id: &NodeId| self.project.nodes[id.0].name.clone();
        Ok(CompiledNode {
            id: node.id,
            name: node.name.clone(),
            table: node.table.clone(),
            materialization: node.materialization(),
            file: node.file.path.clone(),
            sql: match (&work.incremental, work.published) {
                (Some(incremental), Some(_)) => incremental.clone(),
                _ => work.full.clone(),
            },
            columns: work
                .schema
                .fields()
                .iter()
                .map(|f| (f.name().clone(), f.data_type().clone()))
                .collect(),
            depends_on: node.depends_on.iter().map(name_of).collect(),
            tests: Vec::new(),
            work,
        })
    }

    /// Every source that a node reads must have been landed.
    fn check_sources(&self, node: &Node) -> Result<()> {
        for used in &node.sources {
            if used.table.schema() == journal::SCHEMA || self.base.relation(&used.table).is_some() {
                continue;
            }
            let place = node.file.find_call("source", used.table.name());
            let why = format!(
                "there is no table `{}`: the source `{}` was not landed yet",
                used.table, used.source
            );
            return Err(place
                .mark(Error::config(format!("compiling {}", node.name), why))
                .hint(format!(
                    "run `cordada ingest {}`, or correct the source's `schema`",
                    used.source
                )));
        }
        Ok(())
    }

    async fn seed(&self, node: &Node) -> Result<Work> {
        let mut configured = BTreeMap::new();
        for (column, sql_type) in &node.config.column_types {
            let data_type = contract::data_type(self.lake, &self.session, sql_type)
                .await
                .map_err(|error| {
                    let error = Error::config(format!("reading the seed {}", node.name), error.why());
                    node.file
                        .whole()
                        .mark(error)
                        .with("column", column)
                        .with("type", sql_type)
                })?;
            let name = match node.config.quote_columns {
                true => column.clone(),
                false => cordada_core::names::snake_case(column),
            };
            configured.insert(name, data_type);
        }
        let reading = seed::Reading {
            delimiter: node.config.delimiter,
            names_as_written: node.config.quote_columns,
            type_of: |name: &str| configured.get(name).cloned(),
        };
        let seed = seed::read(&node.file, &reading)?;
        if let Some(unknown) = configured
            .keys()
            .find(|name| seed.schema.field_with_name(name).is_err())
        {
            let why = format!("`column_types` names the column `{unknown}`, which the file has not");
            return Err(node
                .file
                .whole()
                .mark(Error::config(format!("reading the seed {}", node.name), why)));
        }
        let schema = documented(node, &seed.schema)?;
        self.set_planned(node, types::readable(&schema));
        Ok(Work {
            seed: Some(Arc::new(seed)),
            ..Work::new(String::new(), schema)
        })
    }

    async fn model(&self, node: &Node) -> Result<Work> {
        let (query, uses) = self.render(node, false)?;
        let query = self.with_indicators(node, query).await?;
        let full = match &node.config.snapshot {
            Some(snapshot) => snapshot_sql::first(snapshot, &query),
            None => query.clone(),
        };
        let plan = self.plan(node, &full).await?;
        let mut schema = self.columns(node, &plan)?;
        let mut estimated = None;
        if let Some(model) = &node.config.model {
            let (main, further) = self.estimated(node, model, &uses.config, schema).await?;
            (schema, estimated) = (main, Some(further));
        }
        if node.config.contract {
            contract::check(self.lake, &self.session, node, &schema).await?;
        }
        let (key, columns) = node.config.meeting_columns();
        if let Some(missing) = columns.iter().find(|name| schema.field_with_name(name).is_err()) {
            let why = format!("the `{key}` column `{missing}` is not selected");
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let error = Error::config(format!("compiling {}", node.name), why);
            return Err(node
                .file
                .find_call("config", missing)
                .mark(error)
                .hint(did_you_mean(missing, "columns", names)));
        }
        let schema = documented(node, &schema)?;
        let mut work = Work {
            estimated,
            ..Work::new(full, schema.clone())
        };
        match node.materialization() {
            Materialization::Ephemeral => {
                if let Some(Target::Ephemeral(sql)) = self.project.names.refs.get(&node.name) {
                    sql.get_or_init(|| work.full.as_str().into());
                }
            }
            Materialization::View => self.set_planned(node, schema),
            Materialization::Incremental => {
                let path = self.lake.path_of(&node.table);
                if let Some(version) = self.base.published_version(&node.table, &path) {
                    work.published = Some(version);
                    work.existing = Some(types::readable(self.lake.snapshot(&path, version).await?.schema()));
                }
                self.set_planned(
                    node,
                    with_new_columns(work.existing.as_ref(), &types::readable(&schema)),
                );
                let incremental = if uses.asks_incremental {
                    self.render(node, true)?.0
                } else {
                    work.full.clone()
                };
                // Planned from the first run on, so that the second one does not fail.
                let plan = self.plan(node, &incremental).await?;
                if uses.asks_incremental {
                    let later = self.columns(node, &plan)?;
                    self.check_same_columns(node, &work.schema, &later)?;
                }
                work.incremental = Some(incremental);
            }
            Materialization::Snapshot => self.snapshot(node, query, &mut work).await?,
            Materialization::Table
            | Materialization::Model
            | Materialization::Output
            | Materialization::Seed
            | Materialization::Segment => {
                self.set_planned(node, types::readable(&schema));
            }
        }
        Ok(work)
    }

    /// The queries of a snapshot of `query`, and its columns: those that it has, and those that the query has more.
    async fn snapshot(&self, node: &Node, query: String, work: &mut Work) -> Result<()> {
        let Some(config) = &node.config.snapshot else {
            return Ok(());
        };
        let mut snapshot = SnapshotWork {
            repeated_keys: snapshot_sql::repeated_keys(config, &query),
            later: None,
            query,
        };
        let path = self.lake.path_of(&node.table);
        let rows = work.schema.clone();
        // In another environment it goes on from production's.
        let existing = match self.base.relation(&node.table).map(|relation| &relation.kind) {
            Some(RelationKind::Table { path, version, .. }) => Some(self.lake.snapshot(path, *version).await?),
            _ => None,
        };
        if let Some(existing) = existing {
            let existing = types::readable(existing.schema());
            work.published = self.base.published_version(&node.table, &path);
            work.schema = documented(node, &with_new_columns(Some(&existing), &rows))?;
            let own = quoted(&node.table);
            let readable = types::readable(&work.schema);
            let (query, all) = (&snapshot.query, &readable);
            snapshot.later = Some(snapshot_sql::later(config, query, &own, &existing, &rows, all));
        }
        self.set_planned(node, types::readable(&work.schema));
        if let Some(later) = &snapshot.later {
            self.plan(node, later).await?;
        }
        work.snapshot = Some(snapshot);
        Ok(())
    }

    /// What an incremental model selects must not depend on whether it is the first run.
    fn check_same_columns(&self, node: &Node, first: &Schema, later: &Schema) -> Result<()> {
        let names = |schema: &Schema| -> BTreeSet<String> {
            schema.fields().iter().map(|field| field.name().clone()).collect()
        };
        let (first, later) = (names(first), names(later));
        match first.symmetric_difference(&later).next() {
            None => Ok(()),
            Some(column) => {
                let why = format!("the first run and later ones do not both have the column `{column}`");
                Err(node
                    .file
                    .find_call("is_incremental", "")
                    .mark(Error::config(format!("compiling {}", node.name), why)))
            }
        }
    }

    fn set_planned(&self, node: &Node, schema: SchemaRef) {
        if let Some(table) = self.planned.get(&node.table) {
            table.set_schema(schema);
        }
    }

    /// The model's SQL, and what its template uses.
    fn render(&self, node: &Node, incremental: bool) -> Result<(String, Uses)> {
        let render = Render {
            node: Some(NodeContext::of(node)),
            incremental,
            ..self.outside()
        };
        let (sql, uses) = self.project.jinja.render(&node.file, render)?;
        let sql = without_semicolon(&sql);
        if sql.is_empty() {
            let error = Error::config(format!("compiling {}", node.name), "the model is empty").hint("write a SELECT");
            return Err(node.file.whole().mark(error));
        }
        Ok((sql.to_owned(), uses))
    }

    /// The checked plan of a node's SQL.
    async fn plan(&self, node: &Node, sql: &str) -> Result<LogicalPlan> {
        let plan = self.checked_plan(sql).await;
        let doing = || format!("compiling {}", node.name);
        let by_name = |table: &TableName| {
            let hint = "use ref('…'), so that it is built first";
            let place = node.file.find(table.name());
            place.mark(
                Error::config(
                    doing(),
                    format!("it reads {table}, which the project makes, without a ref"),
                )
                .hint(hint),
            )
        };
        if let Some(early) = self.planned.take_read_too_early() {
            return Err(by_name(early));
        }
        let plan = plan.map_err(|error| plan_error::explain(error, &node.file, sql))?;
        let made_before = |table: &&TableName| {
            let makes = self.project.nodes.iter().find(|other| other.table == **table);
            makes.is_some_and(|other| other.id != node.id && !self.reads(node, other.id))
        };
        let scanned = scanned(&plan).doing(doing)?;
        match scanned.iter().map(|(table, _)| table).find(made_before) {
            Some(table) => Err(by_name(table)),
            None => Ok(plan),
        }
    }

    /// Whether a node reads another, itself or by ephemeral models.
    fn reads(&self, node: &Node, other: NodeId) -> bool {
        node.depends_on.iter().any(|id| {
            let parent = &self.project.nodes[id.0];
            *id == other || (parent.materialization() == Materialization::Ephemeral && self.reads(parent, other))
        })
    }

    /// Plans SQL and checks its types as running it would.
    async fn checked_plan(&self, sql: &str) -> Result<LogicalPlan> {
        let plan = sql::plan(self.lake, &self.session, sql).await?;
        let state = self.session.state();
        let checked = state
            .analyzer()
            .execute_and_check(plan.clone(), state.config_options(), |_, _| {})
            .doing(|| "checking the query")?;
        // Not every plan can be run: some subqueries that refer to the query around them cannot.
        state.create_physical_plan(&plan).await.doing(|| "checking the query")?;
        Ok(checked)
    }

    /// The columns of a query; each must have a name of its own.
    fn columns(&self, node: &Node, plan: &LogicalPlan) -> Result<SchemaRef> {
        let mut names = BTreeSet::new();
        for field in plan.schema().fields() {
            if !names.insert(field.name()) {
                let why = format!("two columns are named `{}`", field.name());
                let error = Error::config(format!("compiling {}", node.name), why).hint("give one of them an alias");
                return Err(node.file.find(field.name()).mark(error));
            }
        }
        Ok(Arc::new(plan.schema().as_arrow().clone()))
    }

    /// A column that the YAML names, as SQL names it: in quotes if the relation has a column that is called exactly so
    /// and needs them. Anything else is SQL already, such as the way into a record.
    async fn column_in_sql(&self, column: &str, relation: &str) -> String {
        let quoted = quoted_part(column);
        if quoted == column {
            return quoted;
        }
        let plan = sql::plan(self.lake, &self.session, &format!("select * from {relation}")).await;
        let is_there = plan.is_ok_and(|plan| plan.schema().fields().iter().any(|field| field.name() == column));
        if is_there { quoted } else { column.to_owned() }
    }

    async fn test(&self, test: &DataTest) -> Result<CompiledTest> {
        let mut settings = test.settings.clone();
        let found = match &test.body {
            Body::Singular(file) => self.project.jinja.render(file, self.outside())?.0,
            Body::Generic(generic) => {
                let mut arguments = BTreeMap::new();
                let given = serde_json::Value::Object(generic.arguments.clone());
                let rendered = configs::render(
                    &self.project.jinja,
                    &given,
                    &test.place,
                    &|| self.outside(),
                    &mut |_| {},
                )?;
                if let serde_json::Value::Object(given) = rendered {
                    arguments.extend(
                        given
                            .into_iter()
                            .map(|(key, value)| (key, Value::from_serialize(&value))),
                    );
                }
                let tested = self.project.names.tested(&generic.tested).unwrap_or_default();
                let model = match &test.settings.only {
                    Some(condition) => format!("(select * from {tested} where {condition}) as tested"),
                    None => tested,
                };
                arguments.insert("model".to_owned(), Value::from(model.as_str()));
                if let Some(column) = &generic.column {
                    let column = self.column_in_sql(column, &model).await;
                    arguments.insert("column_name".to_owned(), Value::from(column));
                }
                let name = (generic.package.as_str(), generic.macro_name.as_str());
                let (sql, uses) = self.project.jinja.call(name, arguments, &test.place, self.outside())?;
                if !uses.config.is_empty() {
                    settings = test.settings_with(uses.config)?;
                }
                sql
            }
        };
        let found = without_semicolon(&found);
        let found = match settings.limit {
            Some(limit) => format!("select * from (\n{found}\n) as found limit {limit}"),
            None => found.to_owned(),
        };
        let calculated = match &settings.fail_calc {
            Some(calculation) => format!("cast(coalesce({calculation}, 0) as bigint)"),
            None => "count(*)".to_owned(),
        };
        let sql = format!("select {calculated} as failures from (\n{found}\n) as failing");
        let planned = self.checked_plan(&sql).await;
        self.planned.take_read_too_early();
        planned.map_err(|error| match &test.body {
            Body::Singular(file) => plan_error::explain(error, file, &sql),
            Body::Generic(_) => {
                plan_error::explain_at(error, &test.place, &format!("compiling the test {}", test.name))
            }
        })?;
        Ok(CompiledTest {
            name: test.name.clone(),
            node: test.node.map(|id| self.project.nodes[id.0].name.clone()),
            severity: settings.severity,
            sql,
            depends_on: test.depends_on.clone(),
            settings,
            overlay: BTreeMap::new(),
        })
    }

    /// How templates outside of any node are rendered.
    fn outside(&self) -> Render {
        Render {
            names: self.project.names.clone(),
            node: None,
            execute: true,
            incremental: false,
            overrides: Default::default(),
        }
    }
}

/// The relations of the lake that a plan reads, views taken apart, each as the plan has it if it is a table; one may be
/// there at several versions.
pub(crate) fn scanned(plan: &LogicalPlan) -> datafusion::error::Result<BTreeSet<(TableName, Option<PinnedReference>)>> {
    let mut tables = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let name = scan.table_name.clone().resolve(CATALOG, DEFAULT_SCHEMA);
            if &*name.catalog == CATALOG
                && let Ok(table) = TableName::new(&*name.schema, &*name.table)
            {
                let provider = source_as_provider(&scan.source)?;
                let pinned = (provider.as_ref() as &dyn Any).downcast_ref::<PinnedTable>();
                tables.insert((table, pinned.map(PinnedTable::reference)));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(tables)
}

/// The columns with what the project's YAML says about them.
fn documented(node: &Node, schema: &Schema) -> Result<SchemaRef> {
    let missing = |column: &&crate::node::Column| schema.field_with_name(&column.name).is_err();
    for column in node.columns.iter().filter(missing) {
        if column.docs.pii.is_some() {
            let why = format!(
                "`{}` is tagged as personal data, but {} has no such column",
                column.name, node.name
            );
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let hint = did_you_mean(&column.name, "columns", names);
            return Err(column
                .place
                .mark(Error::config(format!("compiling {}", node.name), why))
                .hint(hint));
        }
        tracing::warn!(
            model = node.name,
            column = column.name,
            "the YAML describes a column that is not there"
        );
    }
    let fields = schema.fields().iter().map(|field| {
        let docs = node
            .columns
            .iter()
            .find(|column| column.name == *field.name())
            .map(|column| &column.docs);
        let comment = docs
            .and_then(|docs| docs.description.clone())
            .map(|text| (types::COMMENT.to_owned(), text));
        let pii = docs
            .and_then(|docs| docs.pii.clone())
            .map(|kind| (types::PII.to_owned(), kind));
        Field::new(field.name(), field.data_type().clone(), field.is_nullable())
            .with_metadata(comment.into_iter().chain(pii).collect())
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The columns of a table once new ones were added.
pub(crate) fn with_new_columns(existing: Option<&SchemaRef>, rows: &SchemaRef) -> SchemaRef {
    let Some(existing) = existing else { return rows.clone() };
    let new = rows
        .fields()
        .iter()
        .filter(|field| existing.field_with_name(field.name()).is_err());
    Arc::new(Schema::new(
        existing.fields().iter().chain(new).cloned().collect::<Vec<_>>(),
    ))
}

fn without_semicolon(sql: &str) -> &str {
    sql.trim_end_matches(|c: char| c.is_whitespace() || c == ';')
        .trim_start_matches(['\n', '\r'])
}
