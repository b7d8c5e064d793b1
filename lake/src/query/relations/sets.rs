//! An aggregate with grouping sets as one aggregate for each, their rows together: the set of nothing has a row of nothing too,
//! which has to be known of each where the aggregate is made for each of other rows.

use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, LogicalPlan, LogicalPlanBuilder, lit};

/// The rows of an aggregate by its sets, with the columns of `plan`, which is that aggregate. None: it has no sets.
pub(super) fn apart(plan: &LogicalPlan, aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let [Expr::GroupingSet(set)] = aggregate.group_expr.as_slice() else {
        return Ok(None);
    };
    let groups = grouping_set_to_exprlist(&aggregate.group_expr)?;
    let mut all: Option<LogicalPlanBuilder> = None;
    for own in sets(set) {
        let rows = of_set(plan, aggregate, &groups, &own)?;
        all = Some(match all {
            None => LogicalPlanBuilder::from(rows),
            Some(all) => all.union(rows)?,
        });
    }
    let Some(all) = all else { return Ok(None) };
    let named = plan.schema().iter().enumerate().map(|(place, (relation, field))| {
        let column = Expr::Column(Column::new_unqualified(name(place)));
        column.alias_qualified(relation.cloned(), field.name())
    });
    all.project(named.collect::<Vec<_>>())?.build().map(Some)
}

fn sets(set: &GroupingSet) -> Vec<Vec<Expr>> {
    match set {
        GroupingSet::Rollup(exprs) => (0..=exprs.len()).rev().map(|length| exprs[..length].to_vec()).collect(),
        GroupingSet::Cube(exprs) => {
            let chosen = |mask: usize| {
                let kept = exprs
                    .iter()
                    .enumerate()
                    .filter(move |(place, _)| mask & (1 << place) != 0);
                kept.map(|(_, expr)| expr.clone()).collect()
            };
            (0..1_usize << exprs.len()).rev().map(chosen).collect()
        }
        GroupingSet::GroupingSets(sets) => sets.clone(),
    }
}

fn name(place: usize) -> String {
    format!("__set_{place}")
}

/// The rows of one set: what is not in it is null.
fn of_set(plan: &LogicalPlan, aggregate: &Aggregate, groups: &[&Expr], own: &[Expr]) -> Result<LogicalPlan> {
    let measured = aggregate.aggr_expr.iter().filter(|expr| grouping(expr).is_none());
    // There is one measure at least.
    let measures = measured.cloned().chain([count(lit(1_i64)).alias("__rows")]);
    let grouped = Aggregate::try_new(aggregate.input.clone(), own.to_vec(), measures.collect())?;
    let columns = grouped.schema.columns();
    let (of_groups, of_measures) = columns.split_at(own.len());
    let mut of_measures = of_measures.iter();
    let number = |exprs: Vec<&Expr>| {
        let bits = exprs.into_iter().map(|expr| u64::from(!own.contains(expr)));
        bits.fold(0, |number, bit| number << 1 | bit)
    };
    let mut shown = Vec::new();
    for (place, (_, field)) in plan.schema().iter().enumerate() {
        let literal = |number: u64| -> Result<Expr> {
            let number = ScalarValue::from(number).cast_to(field.data_type())?;
            Ok(Expr::Literal(number, None))
        };
        let value = match groups.get(place) {
            Some(group) => match own
                .iter()
                .position(|expr| expr == *group)
                .and_then(|at| of_groups.get(at))
            {
                Some(column) => Expr::Column(column.clone()),
                None => Expr::Literal(ScalarValue::try_from(field.data_type())?, None),
            },
            // Behind the groups is the number of the set.
            None if place == groups.len() => literal(number(groups.to_vec()))?,
            None => match aggregate.aggr_expr.get(place - groups.len() - 1).and_then(grouping) {
                Some(args) => literal(number(args.iter().collect()))?,
                None => match of_measures.next() {
                    Some(column) => Expr::Column(column.clone()),
                    None => Expr::Literal(ScalarValue::try_from(field.data_type())?, None),
                },
            },
        };
        shown.push(value.alias(name(place)));
    }
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(grouped))
        .project(shown)?
        .build()
}

/// The arguments of `grouping(…)`, which says what is not in a set.
fn grouping(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::Alias(alias) => grouping(&alias.expr),
        Expr::AggregateFunction(call) if call.func.name() == "grouping" => Some(&call.params.args),
        _ => None,
    }
}
