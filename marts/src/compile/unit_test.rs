//! Compiling a unit test: the model's SQL over the rows that are given, and how many rows differ from those expected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use cordada_core::{Context, Error, Result, TableName, types};
use cordada_lake::query::session::CATALOG;
use cordada_lake::query::sql;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::{MemTable, ViewTable};

use super::{Compiler, without_semicolon};
use crate::compiled::{CompiledNode, CompiledTest};
use crate::data_test::Settings;
use crate::jinja::{Names, NodeContext, Render, Target, quoted, quoted_part};
use crate::node::Node;
use crate::plan_error;
use crate::properties::RowsProperties;
use crate::severity::Severity;
use crate::unit_test::{UnitTest, Written, batch};

/// Relations of a test alone, by name.
type Overlay = BTreeMap<TableName, Arc<dyn TableProvider>>;

impl Compiler<'_> {
    pub(super) async fn unit_test(&self, test: &UnitTest, nodes: &[CompiledNode]) -> Result<CompiledTest> {
        let node = &self.project.nodes[test.model.0];
        let doing = || format!("compiling the unit test {}", test.name);
        let mut overlay = Overlay::new();
        for rows in &test.given {
            let table = self.input(test, node, rows)?;
            let columns = self.columns_of(&table, nodes).await?;
            let given = self.given(test, rows, &columns).await?;
            overlay.insert(table, given);
        }
        self.check_given(test, node, &overlay)?;
        let (found, _) = self
            .project
            .jinja
            .render(&node.file, self.of_test(test, node, &overlay))?;
        let found = without_semicolon(&found);
        let columns = types::readable(&nodes[test.model.0].work.schema);
        let (expected, names) = self.expected(test, &columns, &mut overlay).await?;
        let names: Vec<String> = names.iter().map(|name| quoted_part(name)).collect();
        let names = names.join(", ");
        let sql = format!(
            "select cast(coalesce(sum(abs(n)), 0) as bigint) as failures from (\n\
             select {names}, sum(n) as n from (\n\
             select {names}, 1 as n from (\n{found}\n) as found\n\
             union all\nselect {names}, -1 as n from {expected} as expected\n\
             ) as compared group by {names} having sum(n) <> 0\n) as differing"
        );
        let relations = self.planned.providers().chain(overlay.clone());
        let session = self.lake.session_with(self.base, relations.collect());
        let plan = sql::plan(self.lake, &session, &sql).await;
        let plan = plan.map_err(|error| plan_error::explain_at(error, &test.place, &doing()))?;
        let planned = session.state().create_physical_plan(&plan).await.doing(doing);
        planned.map_err(|error| plan_error::explain_at(error, &test.place, &doing()))?;
        Ok(CompiledTest {
            name: test.name.clone(),
            node: Some(node.name.clone()),
            severity: Severity::Error,
            sql,
            depends_on: vec![node.id],
            settings: Settings::of_unit_test(),
            overlay,
        })
    }

    /// The relation that rows are given for.
    fn input(&self, test: &UnitTest, node: &Node, rows: &RowsProperties) -> Result<TableName> {
        let wrong = |why: &str| {
            let error = Error::config(format!("compiling the unit test {}", test.name), why);
            test.place
                .mark(error)
                .hint("write input: ref('…'), source('…', '…') or this")
        };
        let input = rows
            .input
            .as_deref()
            .ok_or_else(|| wrong("given rows have no `input`"))?;
        if input.trim() == "this" {
            return Ok(node.table.clone());
        }
        let render = self.of_test(test, node, &Overlay::new());
        let (_, uses) = self.project.jinja.render_value(input, &test.place, render)?;
        if let [(_, table)] = &uses.sources[..] {
            return Ok(table.clone());
        }
        let is_it = |node: &&Node| uses.refs == [node.name.as_str()];
        let found = self.project.nodes.iter().find(is_it);
        found
            .map(|node| node.table.clone())
            .ok_or_else(|| wrong("an `input` is not a relation"))
    }

    /// The columns of a relation that the project makes or reads.
    async fn columns_of(&self, table: &TableName, nodes: &[CompiledNode]) -> Result<SchemaRef> {
        if let Some(node) = nodes.iter().find(|node| node.table == *table) {
            return Ok(types::readable(&node.work.schema));
        }
        let name = TableReference::full(CATALOG, table.schema(), table.name());
        let provider = self.session.table_provider(name).await;
        Ok(provider.doing(|| format!("reading the columns of {table}"))?.schema())
    }

    async fn given(
        &self,
        test: &UnitTest,
        rows: &RowsProperties,
        columns: &SchemaRef,
    ) -> Result<Arc<dyn TableProvider>> {
        let doing = || format!("compiling the unit test {}", test.name);
        match Written::read(rows, &test.place)? {
            Written::Values(rows) => {
                let rows = batch(&rows, columns, |_| true, &test.place)?;
                let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).doing(doing)?;
                Ok(Arc::new(table))
            }
            Written::Query(query) => {
                let plan = sql::plan(self.lake, &self.session, &query).await;
                let plan = plan.map_err(|error| plan_error::explain_at(error, &test.place, &doing()))?;
                Ok(Arc::new(ViewTable::new(plan, Some(query))))
            }
        }
    }

    /// The expected rows as SQL, and the columns that count.
    async fn expected(
        &self,
        test: &UnitTest,
        columns: &SchemaRef,
        overlay: &mut Overlay,
    ) -> Result<(String, Vec<String>)> {
        let doing = || format!("compiling the unit test {}", test.name);
        match Written::read(&test.expect, &test.place)? {
            Written::Values(rows) => {
                let said: BTreeSet<&str> = rows.iter().flat_map(BTreeMap::keys).map(String::as_str).collect();
                let rows = batch(
                    &rows,
                    columns,
                    |name| said.is_empty() || said.contains(name),
                    &test.place,
                )?;
                let names = rows
                    .schema()
                    .fields()
                    .iter()
                    .map(|field| field.name().clone())
                    .collect();
                let table = TableName::new("unit_tests", "expected")?;
                let rows = MemTable::try_new(rows.schema(), vec![vec![rows]]).doing(doing)?;
                overlay.insert(table.clone(), Arc::new(rows));
                Ok((quoted(&table), names))
            }
            Written::Query(query) => {
                let plan = sql::plan(self.lake, &self.session, &query).await;
                let plan = plan.map_err(|error| plan_error::explain_at(error, &test.place, &doing()))?;
                let names = plan
                    .schema()
                    .fields()
                    .iter()
                    .map(|field| field.name().clone())
                    .collect();
                Ok((format!("(\n{query}\n)"), names))
            }
        }
    }

    /// Every relation that the model reads must be given: its real rows are no part of the test.
    fn check_given(&self, test: &UnitTest, node: &Node, overlay: &Overlay) -> Result<()> {
        let of_nodes = node.depends_on.iter().map(|id| &self.project.nodes[id.0].table);
        match of_nodes
            .chain(node.sources())
            .find(|table| !overlay.contains_key(table))
        {
            None => Ok(()),
            Some(missing) => {
                let why = format!("it gives no rows of {missing}, which the model reads");
                let error = Error::config(format!("compiling the unit test {}", test.name), why);
                Err(test.place.mark(error).hint("give it `rows: []` if they do not matter"))
            }
        }
    }

    /// How the model is rendered for the test: ephemeral models that are given are relations.
    fn of_test(&self, test: &UnitTest, node: &Node, overlay: &Overlay) -> Render {
        let known = &self.project.names;
        let table_of = |name: &str| {
            let node = self.project.nodes.iter().find(|node| node.name == name);
            node.map(|node| node.table.clone())
                .filter(|table| overlay.contains_key(table))
        };
        let refs = known.refs.iter().map(|(name, target)| {
            let target = match (target, table_of(name)) {
                (Target::Ephemeral(_), Some(table)) => Target::Relation(table),
                (target, _) => target.clone(),
            };
            (name.clone(), target)
        });
        let names = Names {
            project: known.project.clone(),
            refs: refs.collect(),
            sources: known.sources.clone(),
        };
        let says_incremental = test.overrides.macros.get("is_incremental");
        Render {
            names: Arc::new(names),
            node: Some(NodeContext::of(node)),
            execute: true,
            incremental: says_incremental.and_then(serde_json::Value::as_bool).unwrap_or(false),
            overrides: test.overrides.clone(),
        }
    }
}
