//! PIVOT and UNPIVOT, as SQL Server, Snowflake, BigQuery and Databricks write them.
//!
//! `pivot(sum(x) for k in ('a', 'b' as c))` groups by the columns that are named neither by the aggregates nor behind FOR,
//! with an aggregate of each kind for each value. `unpivot(x for k in (a, b))` makes a row of each of the columns.

use std::sync::Arc;

use datafusion::common::{Column, NullHandling, Result, UnnestOptions, not_impl_err, plan_err};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, ExprWithAlias, NullInclusion, PivotValueSource, TableFactor, Value, ValueWithSpan,
};

/// Plans PIVOT and UNPIVOT.
#[derive(Debug)]
pub(super) struct Pivots;

impl RelationPlanner for Pivots {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (plan, alias) = match relation {
            TableFactor::Pivot {
                table,
                aggregate_functions,
                value_column,
                value_source,
                default_on_null,
                alias,
            } => {
                let input = context.plan(*table)?;
                let PivotValueSource::List(values) = value_source else {
                    return not_impl_err!(
                        "PIVOT needs the list of values: a query's columns do not depend on its rows"
                    );
                };
                let plan = pivot(
                    input,
                    aggregate_functions,
                    value_column,
                    values,
                    default_on_null,
                    context,
                )?;
                (plan, alias)
            }
            TableFactor::Unpivot {
                table,
                value,
                name,
                columns,
                null_inclusion,
                alias,
            } => {
                let input = context.plan(*table)?;
                let name = context.normalize_ident(name);
                let keeps_nulls = matches!(null_inclusion, Some(NullInclusion::IncludeNulls));
                (unpivot(input, value, name, columns, keeps_nulls, context)?, alias)
            }
            other => return Ok(RelationPlanning::Original(Box::new(other))),
        };
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

fn pivot(
    input: LogicalPlan,
    aggregates: Vec<ExprWithAlias>,
    keys: Vec<ast::Expr>,
    values: Vec<ExprWithAlias>,
    default: Option<ast::Expr>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let schema = input.schema().clone();
    let mut used: Vec<Column> = Vec::new();
    for key in &keys {
        used.extend(
            context
                .sql_to_expr(key.clone(), &schema)?
                .column_refs()
                .into_iter()
                .cloned(),
        );
    }
    let several = aggregates.len() > 1;
    let mut measures = Vec::new();
    for value in &values {
        let (wanted, own) = wanted(value)?;
        if wanted.len() != keys.len() {
            return plan_err!(
                "PIVOT has {} columns behind FOR, and {} values for them",
                keys.len(),
                wanted.len()
            );
        }
        let is_wanted = |(key, wanted): (&ast::Expr, ast::Expr)| ast::Expr::BinaryOp {
            left: Box::new(key.clone()),
            op: BinaryOperator::Eq,
            right: Box::new(wanted),
        };
        let conditions = keys.iter().zip(wanted).map(is_wanted);
        let mut filters = Vec::new();
        for condition in conditions {
            filters.push(context.sql_to_expr(condition, &schema)?);
        }
        let Some(filter) = conjunction(filters) else { continue };
        for aggregate in &aggregates {
            let name = match (&aggregate.alias, several) {
                (Some(alias), _) => format!("{own}_{}", context.normalize_ident(alias.clone())),
                (None, true) => format!("{own}_{}", aggregate.expr.to_string().to_lowercase()),
                (None, false) => own.clone(),
            };
            let expr = context.sql_to_expr(aggregate.expr.clone(), &schema)?.unalias();
            let Expr::AggregateFunction(mut function) = expr else {
                return plan_err!("PIVOT takes aggregates, and {} is not one", aggregate.expr);
            };
            for argument in function.params.args.iter().chain(function.params.filter.as_deref()) {
                used.extend(argument.column_refs().into_iter().cloned());
            }
            let own_filter = function.params.filter.take().map(|filter| *filter);
            function.params.filter = conjunction([filter.clone()].into_iter().chain(own_filter)).map(Box::new);
            measures.push((Expr::AggregateFunction(function), name));
        }
    }
    let groups: Vec<Expr> = schema
        .iter()
        .map(Column::from)
        .filter(|column| {
            !used
                .iter()
                .any(|used| used.name == column.name && same_relation(used, column))
        })
        .map(Expr::Column)
        .collect();
    let aggregated = measures.iter().map(|(measure, _)| measure.clone()).collect();
    let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), groups.clone(), aggregated)?);
    let columns: Vec<Expr> = plan
        .schema()
        .iter()
        .map(|field| Expr::Column(Column::from(field)))
        .collect();
    let (kept, made) = columns.split_at(groups.len());
    let default = default
        .map(|default| context.sql_to_expr(default, &schema))
        .transpose()?;
    let made = made.iter().zip(&measures).map(|(column, (_, name))| match &default {
        Some(default) => {
            let args = vec![column.clone(), default.clone()];
            datafusion::functions::core::expr_fn::coalesce(args).alias(name)
        }
        None => column.clone().alias(name),
    });
    let shown = kept.iter().cloned().chain(made).collect::<Vec<_>>();
    LogicalPlanBuilder::from(plan).project(shown)?.build()
}

fn same_relation(a: &Column, b: &Column) -> bool {
    a.relation.is_none() || b.relation.is_none() || a.relation == b.relation
}

/// The values that a column of a pivot is for, and its name: the alias, or what the values say. A name in brackets is a text.
fn wanted(value: &ExprWithAlias) -> Result<(Vec<ast::Expr>, String)> {
    let one = |expr: &ast::Expr| match expr {
        ast::Expr::Identifier(name) => {
            let text = Value::SingleQuotedString(name.value.clone());
            (ast::Expr::Value(text.into()), name.value.clone())
        }
        ast::Expr::Value(ValueWithSpan { value, .. }) => {
            let text = value.clone().into_string();
            (expr.clone(), text.unwrap_or_else(|| value.to_string()))
        }
        other => (other.clone(), other.to_string()),
    };
    let (wanted, names): (Vec<_>, Vec<_>) = match &value.expr {
        ast::Expr::Tuple(values) => values.iter().map(one).unzip(),
        value => [one(value)].into_iter().unzip(),
    };
    let name = value
        .alias
        .as_ref()
        .map_or_else(|| names.join("_"), |alias| alias.value.clone());
    Ok((wanted, name))
}

fn unpivot(
    input: LogicalPlan,
    value: ast::Expr,
    name: String,
    columns: Vec<ExprWithAlias>,
    keeps_nulls: bool,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let schema = input.schema().clone();
    let parts = |expr: &ast::Expr| match expr {
        ast::Expr::Tuple(parts) => parts.clone(),
        ast::Expr::Nested(inner) => vec![inner.as_ref().clone()],
        one => vec![one.clone()],
    };
    let mut value_names = Vec::new();
    for value in parts(&value) {
        match value {
            ast::Expr::Identifier(name) => value_names.push(context.normalize_ident(name)),
            other => return plan_err!("UNPIVOT makes columns of names, and {other} is not one"),
        }
    }
    let mut labels = Vec::new();
    let mut lists: Vec<Vec<Expr>> = vec![Vec::new(); value_names.len()];
    let mut used: Vec<Column> = Vec::new();
    for column in &columns {
        let sources = parts(&column.expr);
        if sources.len() != value_names.len() {
            return plan_err!(
                "UNPIVOT makes {} columns, and {} names {}",
                value_names.len(),
                column.expr,
                sources.len()
            );
        }
        let mut own = Vec::new();
        for (source, list) in sources.into_iter().zip(&mut lists) {
            let expr = context.sql_to_expr(source, &schema)?;
            let Expr::Column(source) = &expr else {
                return plan_err!("UNPIVOT takes columns, and {expr} is not one");
            };
            own.push(source.name.clone());
            used.push(source.clone());
            list.push(expr);
        }
        labels.push(lit(column
            .alias
            .as_ref()
            .map_or_else(|| own.join("_"), |alias| alias.value.clone())));
    }
    let Some(make_array) = context.context_provider().get_function_meta("make_array") else {
        return plan_err!("lists are not there");
    };
    let kept: Vec<Expr> = schema
        .iter()
        .map(Column::from)
        .filter(|column| !used.contains(column))
        .map(Expr::Column)
        .collect();
    let made: Vec<String> = [name].into_iter().chain(value_names.iter().cloned()).collect();
    let arrays = [labels]
        .into_iter()
        .chain(lists)
        .zip(&made)
        .map(|(list, name)| make_array.call(list).alias(name));
    let made: Vec<Column> = made.iter().map(Column::new_unqualified).collect();
    let options = UnnestOptions::new().with_null_handling(NullHandling::Drop);
    let plan = LogicalPlanBuilder::from(input)
        .project(kept.into_iter().chain(arrays).collect::<Vec<_>>())?
        .unnest_columns_with_options(made, options)?;
    let not_null = value_names
        .iter()
        .map(|name| Expr::Column(Column::new_unqualified(name)).is_not_null());
    let some = not_null.reduce(Expr::or).filter(|_| !keeps_nulls);
    match some {
        Some(some) => plan.filter(some)?.build(),
        None => plan.build(),
    }
}
