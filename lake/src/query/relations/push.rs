//! Taking rows of an outer query into a plan that reads them.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, NullEquality, Result, TableReference};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Aggregate, Case, Distinct, Expr, ExprFunctionExt, FetchType, Join, Limit, LogicalPlan, LogicalPlanBuilder,
    Operator, SkipType, SortExpr, Subquery, Values, binary_expr, lit,
};

use super::sets;
use crate::query::set_operations::counts_rows;

/// The rows of the outer query, each column by a name that no other relation has.
pub(super) struct Domain {
    rows: LogicalPlan,
    outer: Vec<Column>,
    /// The columns by their names here, each of an outer one.
    keys: Vec<Column>,
    /// What is kept beside the columns of a plan that the rows are taken into.
    kept: Vec<Column>,
}

impl Domain {
    /// The columns of a plan, or their distinct values.
    pub fn new(plan: &LogicalPlan, outer: Vec<Column>, distinct: bool, number: usize) -> Result<Self> {
        let relation = TableReference::bare(format!("__outer_{number}"));
        let named = outer
            .iter()
            .enumerate()
            .map(|(place, column)| Expr::Column(column.clone()).alias(key(place)));
        let rows = LogicalPlanBuilder::from(plan.clone()).project(named)?;
        let rows = if distinct { rows.distinct()? } else { rows };
        let keys: Vec<_> = (0..outer.len())
            .map(|place| Column::new(Some(relation.clone()), key(place)))
            .collect();
        Ok(Self {
            rows: rows.alias(relation)?.build()?,
            outer,
            kept: keys.clone(),
            keys,
        })
    }

    /// The same rows after they have been taken into a plan: they go on with its columns.
    fn after(&self, rows: LogicalPlan) -> Self {
        Self {
            kept: rows.schema().iter().map(Column::from).collect(),
            rows,
            outer: self.outer.clone(),
            keys: self.keys.clone(),
        }
    }

    /// The columns by their names here.
    pub fn keys(&self) -> &[Column] {
        &self.keys
    }

    /// The columns by their names in the outer query.
    pub fn restored(&self) -> Vec<Expr> {
        let restored = |(column, key): (&Column, &Column)| {
            Expr::Column(key.clone()).alias_qualified(column.relation.clone(), column.name.clone())
        };
        self.outer.iter().zip(&self.keys).map(restored).collect()
    }

    fn key_exprs(&self) -> Vec<Expr> {
        self.kept.iter().cloned().map(Expr::Column).collect()
    }

    fn key_of(&self, outer: &Column) -> Option<Column> {
        let place = self.outer.iter().position(|column| column == outer)?;
        self.keys.get(place).cloned()
    }

    /// The expression, which reads the rows here instead of in the outer query.
    fn read_here(&self, expr: &Expr) -> Result<Expr> {
        let read = expr.clone().transform_up(|expr| {
            Ok(match &expr {
                Expr::OuterReferenceColumn(_, column) => match self.key_of(column) {
                    Some(key) => Transformed::yes(Expr::Column(key)),
                    None => Transformed::no(expr),
                },
                Expr::ScalarSubquery(subquery) => Transformed::yes(Expr::ScalarSubquery(self.within(subquery)?)),
                Expr::Exists(exists) => {
                    let mut exists = exists.clone();
                    exists.subquery = self.within(&exists.subquery)?;
                    Transformed::yes(Expr::Exists(exists))
                }
                Expr::InSubquery(list) => {
                    let mut list = list.clone();
                    list.subquery = self.within(&list.subquery)?;
                    Transformed::yes(Expr::InSubquery(list))
                }
                Expr::SetComparison(comparison) => {
                    let mut comparison = comparison.clone();
                    comparison.subquery = self.within(&comparison.subquery)?;
                    Transformed::yes(Expr::SetComparison(comparison))
                }
                _ => Transformed::no(expr),
            })
        })?;
        Ok(read.data)
    }

    /// A subquery of an expression, which is further in: it reads the rows of the query around it.
    fn within(&self, subquery: &Subquery) -> Result<Subquery> {
        let rename = |expr: Expr| {
            expr.transform(|expr| {
                Ok(match &expr {
                    Expr::OuterReferenceColumn(field, column) => match self.key_of(column) {
                        Some(key) => Transformed::yes(Expr::OuterReferenceColumn(field.clone(), key)),
                        None => Transformed::no(expr),
                    },
                    _ => Transformed::no(expr),
                })
            })
        };
        let plan = subquery.subquery.as_ref().clone();
        let plan = plan.transform_up_with_subqueries(|plan| plan.map_expressions(rename))?;
        let outer = subquery
            .outer_ref_columns
            .iter()
            .cloned()
            .map(|expr| Ok(rename(expr)?.data));
        Ok(Subquery {
            subquery: Arc::new(plan.data),
            outer_ref_columns: outer.collect::<Result<_>>()?,
            spans: subquery.spans.clone(),
        })
    }

    /// Whether the plan, or an expression in it, reads the outer rows.
    fn is_read(&self, plan: &LogicalPlan) -> Result<bool> {
        let mut found = false;
        plan.apply_with_subqueries(|plan| {
            plan.apply_expressions(|expr| {
                expr.apply(|expr| {
                    found |= matches!(expr, Expr::OuterReferenceColumn(_, column) if self.key_of(column).is_some());
                    Ok(if found {
                        TreeNodeRecursion::Stop
                    } else {
                        TreeNodeRecursion::Continue
                    })
                })
            })
        })?;
        Ok(found)
    }
}

/// Whether what comes out for a row of the left does not depend on how many such rows there are.
pub(super) fn is_by_row(plan: &LogicalPlan) -> Result<bool> {
    let mut by_row = true;
    plan.apply(|node| {
        if !node.all_out_ref_exprs().is_empty() {
            by_row &= match node {
                LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::Subquery(_)
                | LogicalPlan::Values(_)
                | LogicalPlan::Unnest(_) => true,
                LogicalPlan::Join(join) => join.join_type == JoinType::Inner,
                LogicalPlan::Sort(sort) => sort.fetch.is_none(),
                _ => false,
            };
        }
        Ok(if by_row {
            TreeNodeRecursion::Continue
        } else {
            TreeNodeRecursion::Stop
        })
    })?;
    Ok(by_row)
}

fn key(place: usize) -> String {
    format!("__key_{place}")
}

/// The plan for each of the outer rows: its columns, and those of the rows. Nothing if that is not known of such a plan.
pub(super) fn push(plan: &LogicalPlan, domain: &Domain) -> Result<Option<LogicalPlan>> {
    if !domain.is_read(plan)? {
        if matches!(plan, LogicalPlan::EmptyRelation(empty) if empty.produce_one_row) {
            return Ok(Some(domain.rows.clone()));
        }
        return LogicalPlanBuilder::from(domain.rows.clone())
            .cross_join(plan.clone())?
            .build()
            .map(Some);
    }
    match plan {
        LogicalPlan::Projection(projection) => {
            let Some(input) = push(&projection.input, domain)? else {
                return Ok(None);
            };
            projected(input, plan, &projection.expr, domain).map(Some)
        }
        LogicalPlan::Filter(filter) => {
            let Some(input) = push(&filter.input, domain)? else {
                return Ok(None);
            };
            let predicate = domain.read_here(&filter.predicate)?;
            LogicalPlanBuilder::from(input).filter(predicate)?.build().map(Some)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(input) = push(&alias.input, domain)? else {
                return Ok(None);
            };
            let columns = alias
                .input
                .schema()
                .iter()
                .map(|field| Expr::Column(Column::from(field)));
            projected(input, plan, &columns.collect::<Vec<_>>(), domain).map(Some)
        }
        LogicalPlan::Subquery(subquery) => push(&subquery.subquery, domain),
        LogicalPlan::Values(values) => listed(values, domain).map(Some),
        LogicalPlan::Unnest(unnest) => {
            let Some(input) = push(&unnest.input, domain)? else {
                return Ok(None);
            };
            let columns = unnest.exec_columns.clone();
            let plan = LogicalPlanBuilder::from(input).unnest_columns_with_options(columns, unnest.options.clone())?;
            plan.build().map(Some)
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let Some(input) = push(input, domain)? else {
                return Ok(None);
            };
            LogicalPlanBuilder::from(input).distinct()?.build().map(Some)
        }
        // Without a limit the order of a subquery means nothing.
        LogicalPlan::Sort(sort) => match sort.fetch {
            None => push(&sort.input, domain),
            Some(fetch) => first_rows(&sort.input, &sort.expr, 0, Some(fetch), domain),
        },
        LogicalPlan::Limit(limit) => limited(limit, domain),
        LogicalPlan::Aggregate(aggregate) => aggregated(plan, aggregate, domain),
        LogicalPlan::Window(window) => {
            let Some(input) = push(&window.input, domain)? else {
                return Ok(None);
            };
            let own = |expr: &Expr| {
                let expr = domain.read_here(expr)?.transform_up(|expr| {
                    Ok(match expr {
                        Expr::WindowFunction(mut function) => {
                            partitioned(&mut function, domain);
                            Transformed::yes(Expr::WindowFunction(function))
                        }
                        other => Transformed::no(other),
                    })
                })?;
                Ok(expr.data)
            };
            let count = window.input.schema().fields().len();
            let added = window.schema.iter().skip(count).map(|(_, field)| field.name().clone());
            let exprs = window.window_expr.iter().map(own).collect::<Result<Vec<_>>>()?;
            let names: Vec<String> = exprs.iter().map(|expr| expr.schema_name().to_string()).collect();
            let with = LogicalPlanBuilder::from(input).window(exprs)?.build()?;
            let kept = window
                .input
                .schema()
                .iter()
                .map(|field| Expr::Column(Column::from(field)));
            let added = names
                .into_iter()
                .zip(added)
                .map(|(name, old)| Expr::Column(Column::new_unqualified(name)).alias(old));
            let shown = kept.chain(added).chain(domain.key_exprs()).collect::<Vec<_>>();
            LogicalPlanBuilder::from(with).project(shown)?.build().map(Some)
        }
        LogicalPlan::Union(union) => {
            let mut inputs = Vec::new();
            for input in &union.inputs {
                let Some(pushed) = push(input, domain)? else {
                    return Ok(None);
                };
                let own = input.schema().iter().map(|field| Expr::Column(Column::from(field)));
                let named = own
                    .zip(union.schema.fields())
                    .map(|(column, field)| column.alias(field.name()));
                let keys = domain.kept.iter().map(|column| {
                    let name = column.name.clone();
                    Expr::Column(column.clone()).alias(name)
                });
                let shown = named.chain(keys).collect::<Vec<_>>();
                inputs.push(LogicalPlanBuilder::from(pushed).project(shown)?.build()?);
            }
            let mut inputs = inputs.into_iter();
            let Some(first) = inputs.next() else { return Ok(None) };
            let all = inputs
                .try_fold(LogicalPlanBuilder::from(first), LogicalPlanBuilder::union)?
                .build()?;
            let own = union.schema.iter().map(|(relation, field)| {
                Expr::Column(Column::new_unqualified(field.name())).alias_qualified(relation.cloned(), field.name())
            });
            let keys = domain.kept.iter().map(|column| {
                let name = column.name.clone();
                Expr::Column(Column::new_unqualified(&name)).alias_qualified(column.relation.clone(), name)
            });
            let shown = own.chain(keys).collect::<Vec<_>>();
            LogicalPlanBuilder::from(all).project(shown)?.build().map(Some)
        }
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => of_join(join, domain),
            JoinType::LeftSemi | JoinType::LeftAnti => of_semi_join(join, domain),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The rows of VALUES for each of the outer rows.
fn listed(values: &Values, domain: &Domain) -> Result<LogicalPlan> {
    const ROW: &str = "__row";
    let numbers = (0..values.values.len()).map(|row| vec![lit(row as u64)]).collect();
    let numbers = LogicalPlanBuilder::values(numbers)?;
    let number = numbers.schema().columns().into_iter().map(Expr::Column);
    let numbers = numbers
        .clone()
        .project(number.map(|number| number.alias(ROW)).collect::<Vec<_>>())?;
    let rows = LogicalPlanBuilder::from(domain.rows.clone()).cross_join(numbers.build()?)?;
    let mut shown = Vec::new();
    for (place, (relation, field)) in values.schema.iter().enumerate() {
        let cells = values.values.iter().enumerate().filter_map(|(row, cells)| {
            let cell = cells.get(place)?;
            Some(
                domain
                    .read_here(cell)
                    .map(|cell| (Box::new(lit(row as u64)), Box::new(cell))),
            )
        });
        let number = Box::new(Expr::Column(Column::new_unqualified(ROW)));
        let cell = Expr::Case(Case::new(Some(number), cells.collect::<Result<_>>()?, None));
        shown.push(cell.alias_qualified(relation.cloned(), field.name()));
    }
    shown.extend(domain.key_exprs());
    rows.project(shown)?.build()
}

fn of_join(join: &Join, domain: &Domain) -> Result<Option<LogicalPlan>> {
    let same = |(left, right): &(Expr, Expr)| binary_expr(left.clone(), Operator::Eq, right.clone());
    let on = join.on.iter().map(same).chain(join.filter.clone());
    let mut on = on.map(|expr| domain.read_here(&expr)).collect::<Result<Vec<_>>>()?;
    let is_inner = join.join_type == JoinType::Inner;
    let (left, right) = match (domain.is_read(&join.left)?, domain.is_read(&join.right)?) {
        (_, false) if is_inner || join.join_type == JoinType::Left => match push(&join.left, domain)? {
            Some(left) => (left, join.right.as_ref().clone()),
            None => return Ok(None),
        },
        (false, true) if is_inner || join.join_type == JoinType::Right => match push(&join.right, domain)? {
            Some(right) => (join.left.as_ref().clone(), right),
            None => return Ok(None),
        },
        // The rows go through the left side, and with its columns through the right one.
        (true, true) if is_inner && is_by_row(&join.right)? => {
            let Some(left) = push(&join.left, domain)? else {
                return Ok(None);
            };
            let Some(both) = push(&join.right, &domain.after(left))? else {
                return Ok(None);
            };
            let both = LogicalPlanBuilder::from(both);
            return match conjunction(on) {
                Some(on) => both.filter(on)?.build().map(Some),
                None => both.build().map(Some),
            };
        }
        // They go through both sides, and what belongs to the same is joined.
        _ => {
            let (Some(left), Some(right)) = (push(&join.left, domain)?, push(&join.right, domain)?) else {
                return Ok(None);
            };
            let (right, others) = with_other_keys(right, &join.right, domain)?;
            let pairs = domain.kept.iter().cloned().zip(others);
            let pairs: Vec<_> = pairs
                .map(|(key, other)| (Expr::Column(key), Expr::Column(other)))
                .collect();
            let belongs =
                |(key, other): &(Expr, Expr)| binary_expr(key.clone(), Operator::IsNotDistinctFrom, other.clone());
            on.extend(pairs.iter().map(belongs));
            let joined = LogicalPlanBuilder::from(left).join_on(right, join.join_type, on)?;
            let keys = pairs
                .into_iter()
                .zip(&domain.kept)
                .map(|((left, right), Column { relation, name, .. })| {
                    let key = match join.join_type {
                        JoinType::Right => right,
                        JoinType::Full => coalesce(vec![left, right]),
                        _ => left,
                    };
                    key.alias_qualified(relation.clone(), name)
                });
            let own = join.schema.iter().map(|field| Expr::Column(Column::from(field)));
            return joined.project(own.chain(keys).collect::<Vec<_>>())?.build().map(Some);
        }
    };
    LogicalPlanBuilder::from(left)
        .join_on(right, join.join_type, on)?
        .build()
        .map(Some)
}

/// INTERSECT and EXCEPT, and joins that are written so: nulls are equal where they were, and the rows' columns always.
fn of_semi_join(join: &Join, domain: &Domain) -> Result<Option<LogicalPlan>> {
    let Some(left) = push(&join.left, domain)? else {
        return Ok(None);
    };
    let filter = join
        .filter
        .as_ref()
        .map(|filter| domain.read_here(filter))
        .transpose()?;
    let (mut on, mut filters) = (join.on.clone(), filter.into_iter().collect::<Vec<_>>());
    let mut right = join.right.as_ref().clone();
    if domain.is_read(&right)? || counts_rows(join) {
        let Some(pushed) = push(&join.right, domain)? else {
            return Ok(None);
        };
        let (pushed, others) = with_other_keys(pushed, &join.right, domain)?;
        right = pushed;
        let pairs = domain.kept.iter().cloned().zip(others);
        let pairs = pairs.map(|(key, other)| (Expr::Column(key), Expr::Column(other)));
        match join.null_equality {
            NullEquality::NullEqualsNull => on.extend(pairs),
            NullEquality::NullEqualsNothing => {
                filters.extend(pairs.map(|(key, other)| binary_expr(key, Operator::IsNotDistinctFrom, other)))
            }
        }
    }
    let joined = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        conjunction(filters),
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    Ok(Some(LogicalPlan::Join(joined)))
}

/// The right side of a join with the rows' columns by names that the left side has not, and these.
fn with_other_keys(pushed: LogicalPlan, right: &LogicalPlan, domain: &Domain) -> Result<(LogicalPlan, Vec<Column>)> {
    let name = |place: usize| Column::new(Some("__right"), key(place));
    let names: Vec<_> = (0..domain.kept.len()).map(name).collect();
    let own = right.schema().iter().map(|field| Expr::Column(Column::from(field)));
    let keys = domain.key_exprs().into_iter().zip(&names);
    let keys = keys.map(|(key, Column { relation, name, .. })| key.alias_qualified(relation.clone(), name));
    let shown = own.chain(keys).collect::<Vec<_>>();
    Ok((LogicalPlanBuilder::from(pushed).project(shown)?.build()?, names))
}

/// The expressions over the input by the names of the plan's columns, and the rows' columns.
fn projected(input: LogicalPlan, plan: &LogicalPlan, exprs: &[Expr], domain: &Domain) -> Result<LogicalPlan> {
    let mut shown = Vec::with_capacity(exprs.len());
    for (expr, (relation, field)) in exprs.iter().zip(plan.schema().iter()) {
        let expr = domain.read_here(&expr.clone().unalias())?;
        shown.push(expr.alias_qualified(relation.cloned(), field.name()));
    }
    shown.extend(domain.key_exprs());
    LogicalPlanBuilder::from(input).project(shown)?.build()
}

fn partitioned(function: &mut WindowFunction, domain: &Domain) {
    function.params.partition_by.extend(domain.key_exprs());
}

/// A limit is one for each of the outer rows.
fn limited(limit: &Limit, domain: &Domain) -> Result<Option<LogicalPlan>> {
    let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (limit.get_skip_type()?, limit.get_fetch_type()?) else {
        return Ok(None);
    };
    match limit.input.as_ref() {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => first_rows(&sort.input, &sort.expr, skip, fetch, domain),
        // What is computed of each row may be so after the limit.
        LogicalPlan::Projection(projection) if matches!(projection.input.as_ref(), LogicalPlan::Sort(_)) => {
            let inner = LogicalPlan::Limit(Limit {
                input: projection.input.clone(),
                ..limit.clone()
            });
            let Some(input) = push(&inner, domain)? else {
                return Ok(None);
            };
            projected(input, &limit.input, &projection.expr, domain).map(Some)
        }
        input => first_rows(input, &[], skip, fetch, domain),
    }
}

fn first_rows(
    input: &LogicalPlan,
    order: &[SortExpr],
    skip: usize,
    fetch: Option<usize>,
    domain: &Domain,
) -> Result<Option<LogicalPlan>> {
    let Some(pushed) = push(input, domain)? else {
        return Ok(None);
    };
    let order = order.iter().map(|by| Ok(by.with_expr(domain.read_here(&by.expr)?)));
    let order = order.collect::<Result<Vec<_>>>()?;
    let number = row_number().partition_by(domain.key_exprs());
    let number = match order.is_empty() {
        true => number.build()?,
        false => number.order_by(order).build()?,
    };
    let column = Expr::Column(Column::new_unqualified(number.schema_name().to_string()));
    let mut rows = LogicalPlanBuilder::from(pushed).window([number])?;
    if skip > 0 {
        rows = rows.filter(column.clone().gt(lit(skip as u64)))?;
    }
    if let Some(fetch) = fetch {
        rows = rows.filter(column.lt_eq(lit(skip.saturating_add(fetch) as u64)))?;
    }
    let shown = input
        .schema()
        .iter()
        .map(|field| Expr::Column(Column::from(field)))
        .chain(domain.key_exprs());
    rows.project(shown.collect::<Vec<_>>())?.build().map(Some)
}

/// Aggregates are by the outer rows too. Without a GROUP BY there is a row for each of them, also of nothing.
fn aggregated(plan: &LogicalPlan, aggregate: &Aggregate, domain: &Domain) -> Result<Option<LogicalPlan>> {
    if let Some(apart) = sets::apart(plan, aggregate)? {
        return push(&apart, domain);
    }
    let Some(input) = push(&aggregate.input, domain)? else {
        return Ok(None);
    };
    let read = |exprs: &[Expr]| {
        exprs
            .iter()
            .map(|expr| domain.read_here(expr))
            .collect::<Result<Vec<_>>>()
    };
    let (groups, measures) = (read(&aggregate.group_expr)?, read(&aggregate.aggr_expr)?);
    let keys = domain.key_exprs();
    let grouped = LogicalPlan::Aggregate(Aggregate::try_new(
        Arc::new(input),
        groups.iter().cloned().chain(keys.clone()).collect(),
        measures.clone(),
    )?);
    // The columns by their names before the rows went in.
    let columns = grouped
        .schema()
        .iter()
        .map(|field| Expr::Column(Column::from(field)))
        .collect::<Vec<_>>();
    let (group_columns, rest) = columns.split_at(groups.len());
    let measure_columns = rest.get(keys.len()..).unwrap_or_default();
    let mut shown = Vec::new();
    for (column, (relation, field)) in group_columns.iter().chain(measure_columns).zip(plan.schema().iter()) {
        shown.push(column.clone().alias_qualified(relation.cloned(), field.name()));
    }
    shown.extend(keys);
    let grouped = LogicalPlanBuilder::from(grouped).project(shown)?.build()?;
    if !aggregate.group_expr.is_empty() {
        return Ok(Some(grouped));
    }
    const FOUND: &str = "__found";
    let found = domain
        .keys()
        .iter()
        .enumerate()
        .map(|(place, key)| Expr::Column(key.clone()).alias(format!("{FOUND}_{place}")));
    let own = plan.schema().iter().map(|field| Expr::Column(Column::from(field)));
    let grouped = LogicalPlanBuilder::from(grouped)
        .project(own.chain(found).collect::<Vec<_>>())?
        .build()?;
    let same = domain.keys().iter().enumerate().map(|(place, key)| {
        let found = Expr::Column(Column::new_unqualified(format!("{FOUND}_{place}")));
        binary_expr(Expr::Column(key.clone()), Operator::IsNotDistinctFrom, found)
    });
    let joined = LogicalPlanBuilder::from(domain.rows.clone())
        .join_on(grouped, JoinType::Left, same.collect::<Vec<_>>())?
        .build()?;
    let mut shown = Vec::new();
    for (measure, (relation, field)) in measures.iter().zip(plan.schema().iter()) {
        let column = Expr::Column(Column::from((relation, field)));
        // A count of nothing is 0.
        let default = match measure.clone().unalias() {
            Expr::AggregateFunction(function) => function.func.default_value(field.data_type())?,
            _ => datafusion::common::ScalarValue::Null,
        };
        let value = if default.is_null() {
            column
        } else {
            coalesce(vec![column, lit(default)])
        };
        shown.push(value.alias_qualified(relation.cloned(), field.name()));
    }
    shown.extend(domain.key_exprs());
    LogicalPlanBuilder::from(joined).project(shown)?.build().map(Some)
}
