//! What is joined: the columns of relations, and of all that are joined by names, as `*` shows them.

use datafusion::common::{Result, plan_err};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, Select, SelectItem, SetExpr,
    TableAlias, TableFactor, TableWithJoins, Value,
};

use super::meanings::Meanings;
use crate::query::select_lists::scope::Scope;
use crate::query::select_lists::{columns, normal, plan, wildcards};
use crate::query::{dialect, walk};

/// A column that `*` shows.
#[derive(Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) expr: Expr,
    /// Whether it is two columns that were joined by.
    pub(super) is_merged: bool,
}

/// A relation of FROM, or some that are joined.
struct Side {
    columns: Vec<Column>,
    /// How many columns the relations have of their own.
    width: usize,
}

/// A place in a statement where relations can be planned.
pub(super) struct Within<'a> {
    session: &'a SessionContext,
    scope: &'a Scope,
    /// A select of nothing.
    bare: Select,
    /// How many subqueries without a name have been given one.
    subqueries: usize,
}

impl<'a> Within<'a> {
    pub(super) fn new(session: &'a SessionContext, scope: &'a Scope, bare: Select) -> Self {
        Self {
            session,
            scope,
            bare,
            subqueries: 0,
        }
    }

    /// FROM with its joins rewritten, and the columns that `*` shows.
    pub(super) async fn of_from(
        &mut self,
        mut from: Vec<TableWithJoins>,
    ) -> Result<(Vec<TableWithJoins>, Vec<Column>)> {
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
    pub(super) fn part(&self) -> (&str, Expr) {
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

/// What a join is by.
pub(super) fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
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
