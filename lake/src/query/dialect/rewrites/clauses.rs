//! Clauses that the parser reads and the engine passes over, as if they were not there: made into what they mean, or
//! refused by name.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, GroupByWithModifier, Ident, LimitClause, OrderBy, OrderByKind, Query, Select, SelectFlavor,
    SelectItem, SetExpr, Statement, TableAlias, TableFactor, TableSample, TableSampleKind, TableSampleMethod,
    TableSampleQuantity, TableSampleUnit, VisitorMut, WildcardAdditionalOptions,
};

use super::build;
use super::templates;
use crate::query::walk;

/// Leaves no clause that the engine would pass over.
///
/// # Errors
/// Plan: a clause is not supported.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::rewrite(statement, &mut Clauses)
}

struct Clauses;

fn flow(result: Result<()>) -> ControlFlow<DataFusionError> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

impl VisitorMut for Clauses {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        flow(of_query(query))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<DataFusionError> {
        flow(of_select(select))
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<DataFusionError> {
        flow(of_table(factor))
    }
}

fn refused<T>(what: &str) -> Result<T> {
    plan_err!("{what} is not supported")
}

fn of_query(query: &mut Query) -> Result<()> {
    if query.for_clause.is_some() {
        return refused("FOR XML, FOR JSON or FOR BROWSE");
    }
    if query.settings.is_some() || query.format_clause.is_some() {
        return refused("SETTINGS or FORMAT");
    }
    let keys = match &query.order_by {
        Some(OrderBy {
            kind: OrderByKind::Expressions(keys),
            ..
        }) => keys.as_slice(),
        _ => &[],
    };
    if keys.iter().any(|key| key.with_fill.is_some()) {
        return refused("WITH FILL");
    }
    Ok(())
}

fn of_select(select: &mut Select) -> Result<()> {
    if select.exclude.is_some() {
        return refused("EXCLUDE after a select list; write `* exclude (…)`");
    }
    if select.prewhere.is_some() {
        return refused("PREWHERE");
    }
    if !select.connect_by.is_empty() {
        return refused("CONNECT BY; write WITH RECURSIVE");
    }
    if !select.distribute_by.is_empty() {
        return refused("DISTRIBUTE BY");
    }
    if select.value_table_mode.is_some() {
        return refused("SELECT AS STRUCT or AS VALUE");
    }
    // `from t` alone has all columns.
    if select.flavor == SelectFlavor::FromFirstNoSelect && select.projection.is_empty() {
        select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
    }
    group_modifiers(&mut select.group_by)?;
    of_all_rows(select)?;
    super::grouping::rewrite(&mut select.group_by)
}

/// `group by ()` is of all rows, as without it, but for a select list that has no aggregate: it is of one row too.
fn of_all_rows(select: &mut Select) -> Result<()> {
    let GroupByExpr::Expressions(keys, _) = &mut select.group_by else {
        return Ok(());
    };
    let is_empty = |key: &Expr| match key {
        Expr::Tuple(parts) => parts.is_empty(),
        Expr::GroupingSets(sets) => matches!(sets.as_slice(), [set] if set.is_empty()),
        _ => false,
    };
    let before = keys.len();
    keys.retain(|key| !is_empty(key));
    if before > 0 && keys.is_empty() {
        select.having = Some(match select.having.take() {
            None => templates::expression("count(*) >= 0", &[])?,
            Some(having) => templates::expression("count(*) >= 0 and $1", &[build::nested(having)])?,
        });
    }
    Ok(())
}

/// `group by a, b with rollup` is `group by rollup (a, b)` (MySQL, "GROUP BY Modifiers").
fn group_modifiers(group_by: &mut GroupByExpr) -> Result<()> {
    let (GroupByExpr::Expressions(_, modifiers) | GroupByExpr::All(modifiers)) = &*group_by;
    let Some(modifier) = modifiers.first().cloned() else {
        return Ok(());
    };
    let GroupByExpr::Expressions(keys, modifiers) = group_by else {
        return refused("a modifier of GROUP BY ALL");
    };
    if modifiers.len() > 1 {
        return refused("more than one modifier of GROUP BY");
    }
    let sets = std::mem::take(keys).into_iter().map(|key| vec![key]).collect();
    *keys = vec![match modifier {
        GroupByWithModifier::Rollup => Expr::Rollup(sets),
        GroupByWithModifier::Cube => Expr::Cube(sets),
        other => return refused(&format!("GROUP BY … {other}")),
    }];
    modifiers.clear();
    Ok(())
}

fn of_table(factor: &mut TableFactor) -> Result<()> {
    match factor {
        TableFactor::Table {
            with_hints,
            version,
            partitions,
            json_path,
            index_hints,
            ..
        } => {
            // What a table is read with (`with (nolock)`, `use index`) has no meaning here, and changes no answer.
            with_hints.clear();
            index_hints.clear();
            if let Some(version) = version {
                return refused(&format!("{version}; write `version as of` a release's number"));
            }
            if !partitions.is_empty() {
                return refused("PARTITION of a table");
            }
            if json_path.is_some() {
                return refused("a path after a table's name");
            }
            let TableFactor::Table {
                sample, name, alias, ..
            } = factor
            else {
                return Ok(());
            };
            let Some(sample) = sample.take() else {
                return Ok(());
            };
            let named = alias.take().or_else(|| {
                let last = name.0.last()?.as_ident()?.clone();
                Some(alone(last))
            });
            sampled(factor, sample, named)
        }
        TableFactor::Derived { sample, alias, .. } => {
            let Some(sample) = sample.take() else {
                return Ok(());
            };
            let named = alias.take();
            sampled(factor, sample, named)
        }
        _ => Ok(()),
    }
}

fn alone(name: Ident) -> TableAlias {
    TableAlias {
        explicit: true,
        name,
        columns: Vec::new(),
        at: None,
    }
}

/// A part of the rows: each with the same chance, or so many of them. (SQL:2016, 7.6, "sample clause".)
fn sampled(factor: &mut TableFactor, sample: TableSampleKind, named: Option<TableAlias>) -> Result<()> {
    let (TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) = sample;
    let TableSample {
        name,
        quantity: Some(TableSampleQuantity { value, unit, .. }),
        seed: None,
        bucket: None,
        offset: None,
        ..
    } = *sample
    else {
        return refused("TABLESAMPLE with a seed (REPEATABLE), a bucket or an offset");
    };
    let mut query = *templates::query("select * from (select 1) t")?;
    let SetExpr::Select(select) = &mut *query.body else {
        return Ok(());
    };
    match (unit, name) {
        (Some(TableSampleUnit::Rows), Some(TableSampleMethod::Bernoulli)) => {
            return refused("TABLESAMPLE BERNOULLI of ROWS");
        }
        (Some(TableSampleUnit::Rows), _) => {
            query.order_by = templates::query("select 1 order by random()")?.order_by;
            query.limit_clause = Some(LimitClause::LimitOffset {
                limit: Some(value),
                offset: None,
                limit_by: Vec::new(),
            });
        }
        _ => select.selection = Some(templates::expression("random() * 100 < $1", &[build::nested(value)])?),
    }
    for table in &mut select.from {
        table.relation = factor.clone();
    }
    *factor = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias: named,
        sample: None,
    };
    Ok(())
}
