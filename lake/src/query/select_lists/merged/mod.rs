//! `join … using (k)` and `natural join`: a column that both sides have is one column of the join. (SQL:2016, 7.10,
//! "joined table".)
//!
//! Of a full join it is whichever of the two is there, of a right join the right one, of others the left one. It comes
//! first in `*`, and is what its name alone means, while `a.k` is the side's own. The engine takes a side's own for it.
//! So before a statement is planned such joins are written with ON, and the column's meaning in the place of its name.

mod meanings;
mod sides;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    self, Expr, Join, JoinConstraint, JoinOperator, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableFactor, TableWithJoins, VisitorMut,
};

use super::scope::Scope;
use super::{bare, collect, inner, names, normal, relations, wildcards};
use crate::query::walk;

use meanings::Meanings;
use sides::{Column, Within, constraint};

/// Writes joins by columns of one name as joins by a condition.
///
/// # Errors
/// Plan: a column is not in both sides, or what FROM holds cannot be planned.
pub(in crate::query) async fn merge(session: &SessionContext, statement: &mut Statement) -> Result<()> {
    let Some(statement) = inner(statement) else {
        return Ok(());
    };
    if !has_merges(statement) {
        return Ok(());
    }
    relations::complete(session, statement)?;
    let mut left = 0;
    while let Some(Found { scope, select }) = next(statement, left) {
        let mut within = Within::new(session, &scope, bare(&select));
        match within.of_from(select.from.clone()).await {
            Ok((from, columns)) => {
                let _ = walk::change(statement, &mut Apply { left, from, columns });
            }
            // FROM reads an outer query, and the engine is right.
            Err(_) if is_left_alone(&select) => left += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether there is such a join anywhere: most statements have none.
fn has_merges(statement: &mut ast::Statement) -> bool {
    struct Has;

    impl VisitorMut for Has {
        type Break = ();

        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            match select.from.iter().any(merges) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
    }

    walk::change(statement, &mut Has).is_break()
}

/// Whether the engine takes the side's column that is meant: the left one, where `*` does not ask for an order.
fn is_left_alone(select: &Select) -> bool {
    fn takes_left(tables: &TableWithJoins) -> bool {
        let within = |factor: &TableFactor| match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => takes_left(table_with_joins),
            _ => true,
        };
        let is_left = |operator: &JoinOperator| {
            !matches!(
                operator,
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_)
            )
        };
        let mut joins = tables.joins.iter();
        within(&tables.relation) && joins.all(|join| is_left(&join.join_operator) && within(&join.relation))
    }
    let is_all = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_));
    select.from.iter().all(takes_left) && !select.projection.iter().any(is_all)
}

/// A select with such a join, inner ones first.
struct Found {
    scope: Scope,
    select: Select,
}

fn next(statement: &mut ast::Statement, left: usize) -> Option<Found> {
    struct Search {
        left: usize,
        scope: Scope,
        found: Option<Select>,
    }

    impl VisitorMut for Search {
        type Break = ();

        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
            self.scope.enter(query);
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
            self.found = first(&mut query.body, &mut self.left).cloned();
            match self.found {
                Some(_) => ControlFlow::Break(()),
                None => {
                    self.scope.leave();
                    ControlFlow::Continue(())
                }
            }
        }
    }

    let mut search = Search {
        left,
        scope: Scope::default(),
        found: None,
    };
    let _ = walk::change(statement, &mut search);
    let Search { scope, found, .. } = search;
    found.map(|select| Found { scope, select })
}

/// The first select of a body that has such a join, after so many that are left alone.
fn first<'a>(body: &'a mut SetExpr, left: &mut usize) -> Option<&'a mut Select> {
    let mut selects = Vec::new();
    collect(body, &mut selects);
    selects.into_iter().find(|select| {
        if !select.from.iter().any(merges) {
            return false;
        }
        let is_it = *left == 0;
        *left = left.saturating_sub(1);
        is_it
    })
}

fn merges(tables: &TableWithJoins) -> bool {
    let within = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => merges(table_with_joins),
        _ => false,
    };
    let by_name = |join: &Join| {
        let constraint = constraint(&join.join_operator);
        matches!(constraint, Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
    };
    within(&tables.relation) || tables.joins.iter().any(|join| by_name(join) || within(&join.relation))
}

/// Puts the rewritten FROM into the select that was found.
struct Apply {
    left: usize,
    from: Vec<TableWithJoins>,
    columns: Vec<Column>,
}

impl VisitorMut for Apply {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let is_select = matches!(&*query.body, SetExpr::Select(_));
        let Some(select) = first(&mut query.body, &mut self.left) else {
            return ControlFlow::Continue(());
        };
        // What a set operation is ordered by are the names of its columns.
        let order_by = query.order_by.as_mut().filter(|_| is_select);
        self.put(select, order_by);
        ControlFlow::Break(())
    }
}

impl Apply {
    fn put(&mut self, select: &mut Select, order_by: Option<&mut OrderBy>) {
        let mut meanings = Meanings::of(&self.columns);
        let mut projection = Vec::with_capacity(select.projection.len());
        for item in std::mem::take(&mut select.projection) {
            match item {
                SelectItem::Wildcard(options) if options.opt_ilike.is_none() => {
                    projection.extend(wildcards::items(&options, self.columns.iter().map(Column::part)));
                }
                // The column keeps its name.
                SelectItem::UnnamedExpr(Expr::Identifier(name)) if meanings.has(&normal(&name)) => {
                    projection.push(SelectItem::ExprWithAlias {
                        expr: Expr::Identifier(name.clone()),
                        alias: name,
                    });
                }
                item => projection.push(item),
            }
        }
        select.projection = projection;
        let shown: BTreeSet<String> = select.projection.iter().filter_map(names::given).collect();
        select.from = Vec::new();
        let _ = walk::change(select, &mut meanings);
        select.from = std::mem::take(&mut self.from);
        if let Some(OrderBy {
            kind: OrderByKind::Expressions(keys),
            ..
        }) = order_by
        {
            // A name alone is that of a column that is shown, if there is one.
            let is_shown = |expr: &Expr| matches!(expr, Expr::Identifier(name) if shown.contains(&normal(name)));
            for key in keys.iter_mut().filter(|key| !is_shown(&key.expr)) {
                let _ = walk::change(&mut key.expr, &mut meanings);
            }
        }
    }
}
