//! `join … using (k)` and `natural join`: a column that both sides have is one column of the join. (SQL:2016, 7.10,
//! "joined table".)
//!
//! Of a full join it is whichever of the two is there, of a right join the right one, of others the left one. It comes
//! first in `*`, and is what its name alone means, while `a.k` is the side's own. The engine takes a side's own for it.
//! So before a statement is planned such joins are written with ON, and the column's meaning in the place of its name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::common::{Result, plan_err};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, OrderBy, OrderByKind, Query,
    Select, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, Value, VisitorMut,
};

use super::scope::Scope;
use super::{bare, collect, columns, inner, names, normal, plan, relations, wildcards};
use crate::query::{dialect, walk};

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
        let mut within = Within {
            session,
            scope: &scope,
            bare: bare(&select),
            subqueries: 0,
        };
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

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator as O;
    match operator {
        O::Join(constraint)
        | O::Inner(constraint)
        | O::Left(constraint)
        | O::LeftOuter(constraint)
        | O::Right(constraint)
        | O::RightOuter(constraint)
        | O::FullOuter(constraint)
        | O::Semi(constraint)
        | O::LeftSemi(constraint)
        | O::RightSemi(constraint)
        | O::Anti(constraint)
        | O::LeftAnti(constraint)
        | O::RightAnti(constraint) => Some(constraint),
        _ => None,
    }
}

/// The same join under another condition.
fn on(operator: &JoinOperator, condition: Expr) -> JoinOperator {
    use JoinOperator as O;
    let condition = JoinConstraint::On(condition);
    match operator {
        O::Left(_) | O::LeftOuter(_) => O::LeftOuter(condition),
        O::Right(_) | O::RightOuter(_) => O::RightOuter(condition),
        O::FullOuter(_) => O::FullOuter(condition),
        O::Semi(_) | O::LeftSemi(_) => O::LeftSemi(condition),
        O::RightSemi(_) => O::RightSemi(condition),
        O::Anti(_) | O::LeftAnti(_) => O::LeftAnti(condition),
        O::RightAnti(_) => O::RightAnti(condition),
        _ => O::Inner(condition),
    }
}

/// A column that `*` shows.
#[derive(Clone)]
struct Column {
    name: String,
    expr: Expr,
    /// Whether it is two columns that were joined by.
    is_merged: bool,
}

/// A relation of FROM, or some that are joined.
struct Side {
    columns: Vec<Column>,
    /// How many columns the relations have of their own.
    width: usize,
}

/// A place in a statement where relations can be planned.
struct Within<'a> {
    session: &'a SessionContext,
    scope: &'a Scope,
    /// A select of nothing.
    bare: Select,
    /// How many subqueries without a name have been given one.
    subqueries: usize,
}

impl Within<'_> {
    /// FROM with its joins rewritten, and the columns that `*` shows.
    async fn of_from(&mut self, mut from: Vec<TableWithJoins>) -> Result<(Vec<TableWithJoins>, Vec<Column>)> {
        let mut columns = Vec::new();
        for tables in &mut from {
            columns.extend(self.of_tables(tables).await?.columns);
        }
        Ok((from, columns))
    }

    /// The columns of a relation and of all that is joined to it. The joins are rewritten.
    async fn of_tables(&mut self, tables: &mut TableWithJoins) -> Result<Side> {
        let TableWithJoins { relation, joins } = tables;
        let mut left = match self.of_nested(relation).await? {
            Some(side) => side,
            None => self.planned(relation.clone(), Vec::new()).await?,
        };
        for number in 0..joins.len() {
            let (before, rest) = joins.split_at_mut(number);
            let Some(join) = rest.first_mut() else { break };
            let right = match self.of_nested(&mut join.relation).await? {
                Some(side) => side,
                // Beside what is joined so far, which it reads if it is lateral.
                None => {
                    let mut joins = before.to_vec();
                    joins.push(Join {
                        relation: join.relation.clone(),
                        global: false,
                        join_operator: JoinOperator::CrossJoin(JoinConstraint::None),
                    });
                    let mut both = self.planned(relation.clone(), joins).await?;
                    both.columns.drain(..left.width.min(both.width));
                    both.width = both.columns.len();
                    both
                }
            };
            left = joined(left, right, &mut join.join_operator)?;
        }
        Ok(left)
    }

    /// The columns of joins in parentheses. With a name they are a subquery, whose columns are of that name.
    async fn of_nested(&mut self, relation: &mut TableFactor) -> Result<Option<Side>> {
        match relation {
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => {
                let side = Box::pin(self.of_tables(table_with_joins)).await?;
                if alias.is_none() {
                    return Ok(Some(side));
                }
                let mut select = self.bare.clone();
                select.from = vec![table_with_joins.as_ref().clone()];
                select.projection = wildcards::items(&Default::default(), side.columns.iter().map(Column::part));
                *relation = TableFactor::Derived {
                    lateral: false,
                    subquery: Box::new(Scope::default().query(SetExpr::Select(Box::new(select)))),
                    alias: alias.take(),
                    sample: None,
                };
            }
            TableFactor::Derived {
                alias: alias @ None, ..
            } => {
                *alias = Some(TableAlias {
                    explicit: true,
                    name: Ident::with_quote('"', format!("\u{1}subquery {}", self.subqueries)),
                    columns: Vec::new(),
                    at: None,
                });
                self.subqueries += 1;
            }
            _ => {}
        }
        Ok(None)
    }

    /// What `select *` shows of relations of which none is joined by a name.
    async fn planned(&self, relation: TableFactor, joins: Vec<Join>) -> Result<Side> {
        let mut select = self.bare.clone();
        select.projection = vec![SelectItem::Wildcard(Default::default())];
        select.from = vec![TableWithJoins { relation, joins }];
        let plan = plan(self.session, &self.scope.query(SetExpr::Select(Box::new(select)))).await?;
        let columns = columns(&plan).into_iter().zip(plan.schema().fields());
        let columns = columns.map(|(parts, field)| Column {
            name: field.name().clone(),
            expr: wildcards::column_of(&parts),
            is_merged: false,
        });
        let columns: Vec<_> = columns.collect();
        Ok(Side {
            width: columns.len(),
            columns,
        })
    }
}

impl Column {
    fn part(&self) -> (&str, Expr) {
        (&self.name, self.expr.clone())
    }
}

/// The columns of two sides that are joined, under a condition from now on.
fn joined(left: Side, right: Side, operator: &mut JoinOperator) -> Result<Side> {
    use JoinOperator as O;
    let names = match constraint(operator) {
        Some(JoinConstraint::Using(names)) => names.iter().map(single).collect::<Result<Vec<_>>>()?,
        Some(JoinConstraint::Natural) => {
            let is_there = |name: &&Column| right.columns.iter().any(|column| column.name == name.name);
            let common = left.columns.iter().filter(is_there);
            common.map(|column| column.name.clone()).collect()
        }
        Some(JoinConstraint::On(condition)) => {
            let mut condition = condition.clone();
            let both: Vec<_> = left.columns.iter().chain(&right.columns).cloned().collect();
            let _ = walk::change(&mut condition, &mut Meanings::of(&both));
            *operator = on(operator, condition);
            Vec::new()
        }
        _ => Vec::new(),
    };
    let mut merged = Vec::with_capacity(names.len());
    let mut condition: Option<Expr> = None;
    for name in &names {
        let (of_left, of_right) = (one(&left, name, "left")?, one(&right, name, "right")?);
        let same = binary(of_left.clone(), BinaryOperator::Eq, of_right.clone());
        condition = Some(match condition {
            Some(condition) => binary(condition, BinaryOperator::And, same),
            None => same,
        });
        merged.push(Column {
            name: name.clone(),
            expr: match operator {
                O::FullOuter(_) => dialect::call("coalesce", [of_left, of_right]),
                O::Right(_) | O::RightOuter(_) | O::RightSemi(_) | O::RightAnti(_) => of_right,
                _ => of_left,
            },
            is_merged: true,
        });
    }
    if matches!(
        constraint(operator),
        Some(JoinConstraint::Using(_) | JoinConstraint::Natural)
    ) {
        let always = Expr::Value(Value::Boolean(true).into());
        *operator = on(operator, condition.unwrap_or(always));
    }
    Ok(match operator {
        O::Semi(_) | O::LeftSemi(_) | O::Anti(_) | O::LeftAnti(_) => left,
        O::RightSemi(_) | O::RightAnti(_) => right,
        _ => {
            let others = left.columns.into_iter().chain(right.columns);
            let others = others.filter(|column| !names.contains(&column.name));
            Side {
                columns: merged.into_iter().chain(others).collect(),
                width: left.width + right.width,
            }
        }
    })
}

fn single(name: &ObjectName) -> Result<String> {
    let part = match name.0.as_slice() {
        [part] => part.as_ident(),
        _ => None,
    };
    match part {
        Some(name) => Ok(normal(name)),
        None => plan_err!("USING takes names of columns, and {name} is not one"),
    }
}

/// What the column of that name is in a side.
fn one(side: &Side, name: &str, which: &str) -> Result<Expr> {
    let mut found = side.columns.iter().filter(|column| column.name == name);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column.expr.clone()),
        (None, _) => plan_err!("column \"{name}\" of USING is not in the {which} side of the join"),
        (Some(_), Some(_)) => plan_err!("column \"{name}\" of USING is more than once in the {which} side of the join"),
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

/// Puts what a merged column is in the place of its name.
struct Meanings {
    meanings: BTreeMap<String, Expr>,
    /// How many subqueries deep the visitor is: there, names may mean other columns.
    subqueries: usize,
}

impl Meanings {
    /// Of the merged columns whose names mean nothing else.
    fn of(columns: &[Column]) -> Self {
        let is_one = |merged: &&Column| columns.iter().filter(|column| column.name == merged.name).count() == 1;
        let merged = columns.iter().filter(|column| column.is_merged).filter(is_one);
        Self {
            meanings: merged
                .map(|column| (column.name.clone(), column.expr.clone()))
                .collect(),
            subqueries: 0,
        }
    }
}

impl VisitorMut for Meanings {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.subqueries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.subqueries -= 1;
        ControlFlow::Continue(())
    }

    // After its children, so that what is put in is not looked through again.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.subqueries == 0
            && let Expr::Identifier(name) = &*expr
            && let Some(meaning) = self.meanings.get(&normal(name))
        {
            *expr = meaning.clone();
        }
        ControlFlow::Continue(())
    }
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
                SelectItem::UnnamedExpr(Expr::Identifier(name)) if meanings.meanings.contains_key(&normal(&name)) => {
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
