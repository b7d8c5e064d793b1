//! A query's plan as a text that says what its rows are computed of and nothing else, so that equal texts over equal
//! tables give equal rows: views, macros and common table expressions are inlined by then, columns are positions, and
//! relations' aliases are not there.

use std::any::Any;
use std::fmt::Write as _;
use std::sync::Arc;

use cordada_core::TableName;
use cordada_lake::query::session::{CATALOG, DEFAULT_SCHEMA};
use cordada_lake::{PinnedReference, PinnedTable};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchemaRef, ScalarValue};
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::{GroupingSet, Sort};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, Subquery, TableScan, Volatility};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::{Optimizer, OptimizerContext};

/// A plan as text.
#[derive(Debug, Default)]
pub(super) struct Canonical {
    /// What is computed, of tables by their names.
    pub(super) text: String,
    /// The tables that it reads, in the order of the text, at the versions that the plan has: views may read others than
    /// the release's. The node's own table is not among them.
    pub(super) tables: Vec<(TableName, PinnedReference)>,
    /// Whether running it again may give other rows for the same tables: `now()`, `random()`, what is not a table.
    pub(super) is_volatile: bool,
}

impl Canonical {
    /// The text of `plan`, in which the table `own` is what earlier runs have made of it.
    ///
    /// Columns that nobody uses are left out of what is read, so that a new column of a source is not a change.
    pub(super) fn of(plan: LogicalPlan, state: &SessionState, own: &TableName) -> Result<Self> {
        let analysed = state
            .analyzer()
            .execute_and_check(plan, state.config_options(), |_, _| {})?;
        // Of the optimizer's rules this one alone: it always does the same, and its plans are valid for all rows.
        let pruning = Optimizer::with_rules(vec![Arc::new(OptimizeProjections::new())]);
        let pruned = pruning.optimize(analysed.clone(), &OptimizerContext::new(), |_, _| {});
        let mut writer = Writer {
            canonical: Self::default(),
            own,
            outer: Vec::new(),
        };
        for field in analysed.schema().fields() {
            writer.write(format_args!("{:?}", field.name()));
        }
        writer.plan(&pruned.unwrap_or(analysed))?;
        Ok(writer.canonical)
    }
}

/// Writes plans and expressions as lists in parentheses. Names and texts are in quotes, so that nothing reads as another
/// plan.
struct Writer<'a> {
    canonical: Canonical,
    own: &'a TableName,
    /// The columns that subqueries see from around them, the nearest last.
    outer: Vec<Vec<DFSchemaRef>>,
}

impl Writer<'_> {
    fn write(&mut self, text: impl std::fmt::Display) {
        // Writing to a text cannot fail.
        let _ = write!(self.canonical.text, "{text} ");
    }

    fn plan(&mut self, plan: &LogicalPlan) -> Result<()> {
        let scope: Vec<DFSchemaRef> = plan.inputs().iter().map(|input| input.schema().clone()).collect();
        match plan {
            LogicalPlan::SubqueryAlias(alias) => return self.plan(&alias.input),
            LogicalPlan::Repartition(repartition) => return self.plan(&repartition.input),
            LogicalPlan::Subquery(lateral) => return self.plan(&lateral.subquery),
            LogicalPlan::TableScan(scan) => return self.scan(scan),
            LogicalPlan::Projection(projection) => {
                self.write("(projection");
                self.list(&projection.expr, &scope)?;
            }
            LogicalPlan::Filter(filter) => {
                self.write("(filter");
                self.expression(&filter.predicate, &scope)?;
            }
            LogicalPlan::Window(window) => {
                self.write("(window");
                self.list(&window.window_expr, &scope)?;
            }
            LogicalPlan::Aggregate(aggregate) => {
                self.write("(aggregate");
                self.list(&aggregate.group_expr, &scope)?;
                self.list(&aggregate.aggr_expr, &scope)?;
            }
            LogicalPlan::Sort(sort) => {
                self.write(format_args!("(sort {:?}", sort.fetch));
                self.sorts(&sort.expr, &scope)?;
            }
            LogicalPlan::Join(join) => {
                let (kind, nulls, aware) = (join.join_type, join.null_equality, join.null_aware);
                self.write(format_args!("(join {kind:?} {nulls:?} {aware}"));
                let (left, right): (Vec<_>, Vec<_>) = join.on.iter().cloned().unzip();
                self.list(&left, &scope)?;
                self.list(&right, &scope)?;
                self.list(join.filter.as_slice(), &scope)?;
                self.plan(&join.left)?;
                // What is lateral sees the left side.
                self.outer.push(scope);
                self.plan(&join.right)?;
                self.outer.pop();
                self.write(")");
                return Ok(());
            }
            LogicalPlan::Union(_) => self.write("(union"),
            LogicalPlan::EmptyRelation(empty) => self.write(format_args!("(empty {}", empty.produce_one_row)),
            LogicalPlan::Limit(limit) => {
                self.write("(limit");
                self.list(limit.skip.as_deref().map_or(&[], std::slice::from_ref), &scope)?;
                self.list(limit.fetch.as_deref().map_or(&[], std::slice::from_ref), &scope)?;
            }
            LogicalPlan::Values(values) => {
                self.write("(values");
                for row in &values.values {
                    self.list(row, &scope)?;
                }
            }
            LogicalPlan::Distinct(Distinct::All(_)) => self.write("(distinct"),
            LogicalPlan::Distinct(Distinct::On(distinct)) => {
                self.write("(distinct-on");
                self.list(&distinct.on_expr, &scope)?;
                self.list(&distinct.select_expr, &scope)?;
                self.sorts(distinct.sort_expr.as_deref().unwrap_or_default(), &scope)?;
            }
            LogicalPlan::Unnest(unnest) => {
                let lists: Vec<_> = unnest
                    .list_type_columns
                    .iter()
                    .map(|(at, list)| (at, list.depth))
                    .collect();
                let (records, nulls) = (&unnest.struct_type_columns, &unnest.options.null_handling);
                self.write(format_args!("(unnest {lists:?} {records:?} {nulls:?}"));
                for column in &unnest.exec_columns {
                    self.column(column, &scope);
                }
                for recursion in &unnest.options.recursions {
                    self.column(&recursion.input_column, &scope);
                    self.write(recursion.depth);
                }
            }
            LogicalPlan::RecursiveQuery(recursive) => {
                self.write(format_args!(
                    "(recursive {:?} {}",
                    recursive.name, recursive.is_distinct
                ));
            }
            // Nothing that a model is made of today. It is built every time.
            other => {
                self.canonical.is_volatile = true;
                self.write(format_args!("(other {:?}", other.display().to_string()));
            }
        }
        for input in plan.inputs() {
            self.plan(input)?;
        }
        self.write(")");
        Ok(())
    }

    fn scan(&mut self, scan: &TableScan) -> Result<()> {
        let name = scan.table_name.clone().resolve(CATALOG, DEFAULT_SCHEMA);
        let table = TableName::new(&*name.schema, &*name.table).ok();
        let is_here = &*name.catalog == CATALOG;
        let provider = source_as_provider(&scan.source)?;
        let provider = provider.as_ref() as &dyn Any;
        match (provider.downcast_ref::<PinnedTable>(), table) {
            (_, Some(table)) if is_here && table == *self.own => self.write("(own"),
            (Some(pinned), Some(table)) => {
                self.write(format_args!("(table {:?}", format!("{}.{table}", name.catalog)));
                self.canonical.tables.push((table, pinned.reference()));
            }
            _ if provider.is::<CteWorkTable>() => self.write(format_args!("(recursion {:?}", &*name.table)),
            _ => {
                self.canonical.is_volatile = true;
                self.write(format_args!("(rows {:?}", &*name.table));
            }
        }
        for field in scan.projected_schema.fields() {
            self.write(format_args!("{:?}", field.name()));
        }
        self.list(&scan.filters, std::slice::from_ref(&scan.projected_schema))?;
        self.write(format_args!("{:?} )", scan.fetch));
        Ok(())
    }

    fn list(&mut self, expressions: &[Expr], scope: &[DFSchemaRef]) -> Result<()> {
        self.write("[");
        for expression in expressions {
            self.expression(expression, scope)?;
        }
        self.write("]");
        Ok(())
    }

    fn sorts(&mut self, sorts: &[Sort], scope: &[DFSchemaRef]) -> Result<()> {
        self.write(directions(sorts));
        for sort in sorts {
            self.expression(&sort.expr, scope)?;
        }
        Ok(())
    }

    fn expression(&mut self, expression: &Expr, scope: &[DFSchemaRef]) -> Result<()> {
        match expression {
            Expr::Alias(alias) => return self.expression(&alias.expr, scope),
            Expr::Column(column) => {
                self.column(column, scope);
                return Ok(());
            }
            Expr::OuterReferenceColumn(_, column) => {
                self.outer_column(column);
                return Ok(());
            }
            Expr::Literal(value, _) => {
                self.literal(value);
                return Ok(());
            }
            _ => {}
        }
        self.canonical.is_volatile |= is_volatile(expression);
        self.write(format_args!("({} {}", expression.variant_name(), details(expression)));
        expression.apply_children(|child| {
            self.expression(child, scope)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        if let Some(subquery) = subquery(expression) {
            self.outer.push(scope.to_vec());
            self.plan(&subquery.subquery)?;
            self.outer.pop();
        }
        self.write(")");
        Ok(())
    }

    fn column(&mut self, column: &Column, scope: &[DFSchemaRef]) {
        match position(column, scope) {
            Some(at) => self.write(format_args!("#{at}")),
            None => self.write(format_args!("{:?}", column.flat_name())),
        }
    }

    fn outer_column(&mut self, column: &Column) {
        let found = self.outer.iter().rev().enumerate();
        let found = found
            .filter_map(|(level, scope)| Some((level, position(column, scope)?)))
            .next();
        match found {
            Some((level, at)) => self.write(format_args!("^{level}#{at}")),
            None => self.write(format_args!("^{:?}", column.flat_name())),
        }
    }

    fn literal(&mut self, value: &ScalarValue) {
        let data_type = value.data_type();
        match value.try_as_str() {
            Some(text) => self.write(format_args!("{data_type} {text:?}")),
            None => {
                // Lists and records are written without quotes, and a query makes them by functions.
                self.canonical.is_volatile |= data_type.is_nested() && !value.is_null();
                self.write(format_args!("{data_type} {value:?}"));
            }
        }
    }
}

/// The number of the column among those of all inputs.
fn position(column: &Column, scope: &[DFSchemaRef]) -> Option<usize> {
    let mut before = 0;
    for schema in scope {
        if let Some(at) = schema.maybe_index_of_column(column) {
            return Some(before + at);
        }
        before += schema.fields().len();
    }
    None
}

fn subquery(expression: &Expr) -> Option<&Subquery> {
    match expression {
        Expr::ScalarSubquery(subquery) => Some(subquery),
        Expr::Exists(exists) => Some(&exists.subquery),
        Expr::InSubquery(within) => Some(&within.subquery),
        Expr::SetComparison(comparison) => Some(&comparison.subquery),
        _ => None,
    }
}

/// What there is to say of an expression besides its kind and the expressions within.
fn details(expression: &Expr) -> String {
    match expression {
        Expr::BinaryExpr(binary) => format!("{:?}", binary.op),
        Expr::Like(like) | Expr::SimilarTo(like) => {
            format!("{} {:?} {}", like.negated, like.escape_char, like.case_insensitive)
        }
        Expr::Between(between) => between.negated.to_string(),
        Expr::InList(list) => list.negated.to_string(),
        Expr::Exists(exists) => exists.negated.to_string(),
        Expr::InSubquery(within) => within.negated.to_string(),
        Expr::SetComparison(comparison) => format!("{:?} {:?}", comparison.op, comparison.quantifier),
        Expr::Case(case) => format!("{} {}", case.expr.is_some(), case.else_expr.is_some()),
        Expr::Cast(cast) => cast.field.data_type().to_string(),
        Expr::TryCast(cast) => cast.field.data_type().to_string(),
        Expr::ScalarFunction(call) => format!("{:?}", call.name()),
        Expr::HigherOrderFunction(call) => format!("{:?}", call.name()),
        Expr::AggregateFunction(call) => {
            let params = &call.params;
            format!(
                "{:?} {} {} {} {:?} {}",
                call.func.name(),
                params.args.len(),
                params.distinct,
                params.filter.is_some(),
                params.null_treatment,
                directions(&params.order_by)
            )
        }
        Expr::WindowFunction(call) => {
            let params = &call.params;
            let frame = &params.window_frame;
            format!(
                "{:?} {} {} {} {} {:?} {:?} {:?} {:?} {}",
                call.fun.name(),
                params.args.len(),
                params.partition_by.len(),
                params.distinct,
                params.filter.is_some(),
                params.null_treatment,
                frame.units,
                frame.start_bound,
                frame.end_bound,
                directions(&params.order_by)
            )
        }
        Expr::GroupingSet(GroupingSet::Rollup(_)) => "rollup".to_owned(),
        Expr::GroupingSet(GroupingSet::Cube(_)) => "cube".to_owned(),
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
            format!("sets {:?}", sets.iter().map(Vec::len).collect::<Vec<_>>())
        }
        Expr::Unnest(unnest) => unnest.outer.to_string(),
        Expr::Lambda(lambda) => format!("{:?}", lambda.params),
        Expr::LambdaVariable(variable) => format!("{:?}", variable.name),
        Expr::Placeholder(placeholder) => format!("{:?}", placeholder.id),
        Expr::ScalarVariable(_, names) => format!("{names:?}"),
        _ => String::new(),
    }
}

/// Which way each of them sorts.
fn directions(sorts: &[Sort]) -> String {
    let each = sorts.iter().map(|sort| (sort.asc, sort.nulls_first));
    format!("{:?}", each.collect::<Vec<_>>())
}

/// Whether the expression itself gives another value when it is asked again.
fn is_volatile(expression: &Expr) -> bool {
    let volatility = match expression {
        Expr::ScalarFunction(call) => call.func.signature().volatility,
        Expr::HigherOrderFunction(call) => call.func.signature().volatility,
        Expr::AggregateFunction(call) => call.func.signature().volatility,
        Expr::WindowFunction(call) => call.fun.signature().volatility,
        Expr::Placeholder(_) | Expr::ScalarVariable(..) => Volatility::Volatile,
        _ => Volatility::Immutable,
    };
    volatility != Volatility::Immutable
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn canonical(sql: &str) -> Canonical {
        let session = SessionContext::new();
        for table in [
            "create table t (a int, b text, c double)",
            "create table u (a int, d text)",
        ] {
            session.sql(table).await.unwrap();
        }
        let plan = session.state().create_logical_plan(sql).await.unwrap();
        Canonical::of(plan, &session.state(), &"x.own".parse().unwrap()).unwrap()
    }

    async fn text(sql: &str) -> String {
        canonical(sql).await.text
    }

    #[tokio::test]
    async fn time_and_chance_are_volatile() {
        for (sql, expected) in [
            ("select 1 + 1 as x", false),
            ("select upper('a') as x", false),
            ("select now() as x", true),
            ("select 1 as x where random() > 2", true),
            (
                "select 1 as x where 2 in (select extract(year from current_date))",
                true,
            ),
            ("select * from generate_series(1, 3)", true),
        ] {
            assert_eq!(canonical(sql).await.is_volatile, expected, "{sql}");
        }
    }

    #[tokio::test]
    async fn what_cannot_change_rows_does_not_change_the_text() {
        for (one, other) in [
            ("select a from t", "SELECT  a -- the first\nFROM t"),
            ("select x.a from t as x", "select t.a from t"),
            (
                "select x.a + y.a as s from t x join t y on x.a = y.a",
                "select p.a + q.a as s from t p join t q on p.a = q.a",
            ),
            (
                "with w as (select a, b from t) select a from w",
                "select a from (select a from t) z",
            ),
            (
                "select a from t where exists (select 1 from u where u.a = t.a)",
                "select a from t o where exists (select 1 from u i where i.a = o.a)",
            ),
            (
                "select s + 1 as n from (select a as s from t)",
                "select k + 1 as n from (select a as k from t)",
            ),
        ] {
            assert_eq!(text(one).await, text(other).await, "{one}");
        }
    }

    #[tokio::test]
    async fn what_can_change_rows_changes_the_text() {
        let many = |last: &str| format!("select * from (values (1), (2), (3), (4), (5), (6), ({last})) as v(x)");
        let (seven, eight) = (many("7"), many("8"));
        for (one, other) in [
            (
                "select a from t where not (a = 1 and b = 'x')",
                "select a from t where (not a = 1) and b = 'x'",
            ),
            (
                "select x.a from t x join t y on x.a = y.a where x.c > 1",
                "select x.a from t x join t y on x.a = y.a where y.c > 1",
            ),
            (
                "select a from t where b = 'x' or b = 'y'",
                "select a from t where b = 'x\" or b = \"y'",
            ),
            ("select a from t limit 1", "select a from t limit 2"),
            (
                "select a from t order by a limit 1",
                "select a from t order by a desc limit 1",
            ),
            ("select count(a) from t", "select count(distinct a) from t"),
            ("select sum(c) filter (where a > 1) from t", "select sum(c) from t"),
            ("select cast(a as bigint) from t", "select cast(a as smallint) from t"),
            (
                "select a from t intersect select a from u",
                "select a from t except select a from u",
            ),
            (
                "select a from t union select a from u",
                "select a from t union all select a from u",
            ),
            (
                "select sum(c) over (order by a rows 1 preceding) from t",
                "select sum(c) over (order by a rows 2 preceding) from t",
            ),
            (
                "select t.a from t left join u on t.a = u.a",
                "select t.a from t right join u on t.a = u.a",
            ),
            (
                "select a from t where b like 'x!%' escape '!'",
                "select a from t where b like 'x!%'",
            ),
            (
                "select case a when 1 then 2 end from t",
                "select case when a = 1 then 2 end from t",
            ),
            (
                "select a from t where a in (select a from u where d = 'x')",
                "select a from t where a in (select a from u where d = 'z')",
            ),
            (
                "select x'0102030405060708090a0b0c' as v",
                "select x'0102030405060708090a0b0d' as v",
            ),
            ("select a as b, b as a from t", "select a, b from t"),
            (&seven, &eight),
        ] {
            assert_ne!(text(one).await, text(other).await, "{one}");
        }
    }
}
