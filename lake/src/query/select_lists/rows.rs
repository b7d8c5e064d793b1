//! The name of a relation as a value: its row, as a struct. `row_to_json(t)`, `json_agg(t)`, `count(t.*)`, `(t).a`.
//! (PostgreSQL, "Using Composite Types in Queries".) A column of that name wins.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Ident, JoinOperator, Query, Select, SelectItem, SetExpr, Statement, TableAlias,
    TableFactor, TableWithJoins, Value, VisitorMut,
};

use super::scope::Scope;
use super::{bare, columns, names, normal, plan, wildcards};
use crate::query::functions::json::records;
use crate::query::{dialect, walk};

/// Writes a struct of its columns in the place of each such name.
///
/// # Errors
/// None that a statement causes.
pub(super) async fn write_out(session: &SessionContext, statement: &mut Statement) -> Result<()> {
    let mut search = Selects::new(Search::default());
    let _ = walk::change(statement, &mut search);
    let wanted = search.work.wanted;
    if wanted.is_empty() {
        return Ok(());
    }
    let mut ask = Selects::new(Ask {
        wanted: &wanted,
        scope: Scope::default(),
        questions: BTreeMap::new(),
    });
    let _ = walk::change(statement, &mut ask);
    let mut known = BTreeMap::new();
    for (number, question) in ask.work.questions {
        known.insert(number, question.answer(session).await);
    }
    let _ = walk::change(statement, &mut Selects::new(Apply { known: &known }));
    Ok(())
}

/// A relation of FROM.
struct Relation {
    name: String,
    /// Whether an outer join may put nulls in the place of its rows.
    is_optional: bool,
    factor: TableFactor,
}

/// The relations of FROM that have a name.
fn relations(from: &[TableWithJoins]) -> Vec<Relation> {
    fn add(tables: &TableWithJoins, is_optional: bool, all: &mut Vec<Relation>) {
        let first = all.len();
        add_factor(&tables.relation, is_optional, all);
        for join in &tables.joins {
            let (before, own) = match join.join_operator {
                JoinOperator::Left(_) | JoinOperator::LeftOuter(_) | JoinOperator::OuterApply => (false, true),
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (true, false),
                JoinOperator::FullOuter(_) => (true, true),
                _ => (false, false),
            };
            if before {
                all.iter_mut().skip(first).for_each(|one| one.is_optional = true);
            }
            add_factor(&join.relation, is_optional || own, all);
        }
    }

    fn add_factor(factor: &TableFactor, is_optional: bool, all: &mut Vec<Relation>) {
        match factor {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => add(table_with_joins, is_optional, all),
            factor => {
                if let Some(name) = known_as(factor) {
                    all.push(Relation {
                        name: normal(name),
                        is_optional,
                        factor: factor.clone(),
                    });
                }
            }
        }
    }

    let mut all = Vec::new();
    for tables in from {
        add(tables, false, &mut all);
    }
    all
}

fn known_as(factor: &TableFactor) -> Option<&Ident> {
    match factor {
        TableFactor::Table { alias: None, name, .. } => name.0.last()?.as_ident(),
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => alias.as_ref().map(|alias| &alias.name),
        _ => None,
    }
}

/// A select that is being visited.
struct Frame {
    number: usize,
    relations: Vec<Relation>,
}

/// Goes through a statement and knows the selects around each place, which are numbered as they begin.
struct Selects<W> {
    work: W,
    next: usize,
    frames: Vec<Frame>,
}

impl<W> Selects<W> {
    fn new(work: W) -> Self {
        Self {
            work,
            next: 0,
            frames: Vec::new(),
        }
    }
}

/// What is done on the way.
trait Work {
    fn enter_query(&mut self, _query: &Query) {}

    fn leave_query(&mut self) {}

    fn select(&mut self, _number: usize, _select: &mut Select, _frames: &[Frame]) {}

    fn expr(&mut self, expr: &mut Expr, frames: &[Frame]);
}

impl<W: Work> VisitorMut for Selects<W> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.work.enter_query(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.work.leave_query();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.frames.push(Frame {
            number: self.next,
            relations: relations(&select.from),
        });
        self.work.select(self.next, select, &self.frames);
        self.next += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.frames.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.work.expr(expr, &self.frames);
        ControlFlow::Continue(())
    }
}

/// The place among the frames of the select that has a relation of that name.
fn found(frames: &[Frame], name: &str) -> Option<usize> {
    let has = |frame: &Frame| frame.relations.iter().any(|relation| relation.name == name);
    frames.iter().rposition(has)
}

/// Finds the selects whose columns are asked for: those in which a name may be a relation's, and those within.
#[derive(Default)]
struct Search {
    wanted: BTreeSet<usize>,
}

impl Work for Search {
    fn expr(&mut self, expr: &mut Expr, frames: &[Frame]) {
        if let Expr::Identifier(name) = expr
            && let Some(place) = found(frames, &normal(name))
        {
            let within = frames.iter().skip(place);
            self.wanted.extend(within.map(|frame| frame.number));
        }
    }
}

/// Writes queries that have the columns of selects.
struct Ask<'a> {
    wanted: &'a BTreeSet<usize>,
    scope: Scope,
    questions: BTreeMap<usize, Question>,
}

struct Question {
    /// All columns of FROM.
    all: Query,
    /// Those of each relation alone, if FROM cannot be planned by itself.
    each: Vec<(String, TableFactor, Query)>,
}

impl Work for Ask<'_> {
    fn enter_query(&mut self, query: &Query) {
        self.scope.enter(query);
    }

    fn leave_query(&mut self) {
        self.scope.leave();
    }

    fn select(&mut self, number: usize, select: &mut Select, frames: &[Frame]) {
        if !self.wanted.contains(&number) {
            return;
        }
        let ask = |from: Vec<TableWithJoins>| {
            let mut asked = bare(select);
            asked.projection = vec![SelectItem::Wildcard(Default::default())];
            asked.from = from;
            self.scope.query(SetExpr::Select(Box::new(asked)))
        };
        let alone = |relation: &Relation| {
            let tables = TableWithJoins {
                relation: relation.factor.clone(),
                joins: Vec::new(),
            };
            (relation.name.clone(), relation.factor.clone(), ask(vec![tables]))
        };
        let relations = frames.last().map(|frame| frame.relations.as_slice());
        let question = Question {
            all: ask(select.from.clone()),
            each: relations.unwrap_or_default().iter().map(alone).collect(),
        };
        self.questions.insert(number, question);
    }

    fn expr(&mut self, _: &mut Expr, _: &[Frame]) {}
}

/// The columns of a select's FROM.
#[derive(Default)]
struct Known {
    names: BTreeSet<String>,
    /// By the names of the relations.
    columns: BTreeMap<String, Vec<Vec<Ident>>>,
}

impl Known {
    fn add(&mut self, plan: &LogicalPlan) {
        for (parts, (table, field)) in columns(plan).into_iter().zip(plan.schema().iter()) {
            self.names.insert(field.name().clone());
            if let Some(table) = table {
                let columns = self.columns.entry(table.table().to_owned()).or_default();
                columns.push(parts);
            }
        }
    }
}

impl Question {
    async fn answer(self, session: &SessionContext) -> Known {
        let mut known = Known::default();
        if let Ok(all) = plan(session, &self.all).await {
            known.add(&all);
            return known;
        }
        for (name, factor, alone) in self.each {
            match plan(session, &alone).await {
                Ok(alone) => known.add(&alone),
                // It reads other relations: what it says of its columns is all that is known.
                Err(_) => {
                    let columns = written(&factor).into_iter();
                    let alias = Ident::with_quote('"', name.replace('"', "\"\""));
                    let columns = columns.map(|column| vec![alias.clone(), column]).collect();
                    known.columns.insert(name, columns);
                }
            }
        }
        known
    }
}

/// The names of the columns of a relation, as its text says them.
fn written(factor: &TableFactor) -> Vec<Ident> {
    let (TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. }) = factor else {
        return Vec::new();
    };
    if let Some(TableAlias { columns, .. }) = alias
        && !columns.is_empty()
    {
        return columns.iter().map(|column| column.name.clone()).collect();
    }
    let TableFactor::Derived { subquery, .. } = factor else {
        return Vec::new();
    };
    let mut body = &*subquery.body;
    while let SetExpr::SetOperation { left, .. } = body {
        body = left;
    }
    let SetExpr::Select(select) = body else {
        return Vec::new();
    };
    let given = select.projection.iter().map(names::given);
    let given = given.collect::<Option<Vec<_>>>().unwrap_or_default();
    given.into_iter().map(|name| Ident::with_quote('"', name)).collect()
}

/// Puts the rows in the places of the names.
struct Apply<'a> {
    known: &'a BTreeMap<usize, Known>,
}

impl Work for Apply<'_> {
    /// What is shown keeps the name that it had.
    fn select(&mut self, number: usize, select: &mut Select, frames: &[Frame]) {
        if !self.known.contains_key(&number) {
            return;
        }
        let is_row = |expr: &Expr| matches!(expr, Expr::Identifier(name) if self.row(name, frames).is_some());
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && walk::any(expr, is_row)
            {
                *item = SelectItem::ExprWithAlias {
                    alias: Ident::with_quote('"', names::text(expr)),
                    expr: expr.clone(),
                };
            }
        }
    }

    fn expr(&mut self, expr: &mut Expr, frames: &[Frame]) {
        if let Expr::Identifier(name) = expr
            && let Some(row) = self.row(name, frames)
        {
            *expr = row;
        }
    }
}

impl Apply<'_> {
    /// The row of the relation of that name, if it is no column's.
    fn row(&self, name: &Ident, frames: &[Frame]) -> Option<Expr> {
        let name = normal(name);
        let place = found(frames, &name)?;
        let mut within = frames.iter().skip(place);
        let is_column = |frame: &Frame| {
            let known = self.known.get(&frame.number);
            known.is_some_and(|known| known.names.contains(&name))
        };
        if within.any(is_column) {
            return None;
        }
        let frame = frames.get(place)?;
        let columns = self.known.get(&frame.number)?.columns.get(&name)?;
        let relation = frame.relations.iter().find(|relation| relation.name == name)?;
        // The row of a function's values is the value.
        if let (TableFactor::UNNEST { .. }, [value]) = (&relation.factor, columns.as_slice()) {
            return Some(wildcards::column_of(value));
        }
        let row = struct_of(columns)?;
        match relation.is_optional {
            true => unless_null(columns, row),
            false => Some(row),
        }
    }
}

fn struct_of(columns: &[Vec<Ident>]) -> Option<Expr> {
    let mut args = Vec::with_capacity(columns.len() * 2);
    for column in columns {
        let name = column.last()?.value.replace("\"\"", "\"");
        args.push(Expr::value(Value::SingleQuotedString(name)));
        args.push(wildcards::column_of(column));
    }
    (!args.is_empty()).then(|| dialect::call(records::NAME, args))
}

/// The row where a column of it is not null: beside a row that an outer join found nothing for, there is none.
fn unless_null(columns: &[Vec<Ident>], row: Expr) -> Option<Expr> {
    let is_there = |column: &Vec<Ident>| Expr::IsNotNull(Box::new(wildcards::column_of(column)));
    let condition = columns.iter().map(is_there).reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::Or,
        right: Box::new(right),
    })?;
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result: row }],
        else_result: None,
    })
}
