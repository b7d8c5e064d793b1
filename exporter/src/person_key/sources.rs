//! What a query reads: tables, and queries in their place.

use sqlparser::ast::Query;
use sqlparser::ast::{
    JoinConstraint, JoinOperator, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, Values,
};

use super::{Column, Origin, Scope, Search, folded, is_unclear, output, wildcard};

/// Columns of one query that are kept in mind, at most.
const COLUMNS: usize = 2000;

/// The columns of a query, as far as it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Columns {
    /// Up to the first of a table, of which only the server knows the columns.
    pub(super) names: Vec<Option<String>>,
    /// Whether there are more.
    pub(super) is_open: bool,
}

impl Columns {
    pub(super) fn open() -> Self {
        Self {
            names: Vec::new(),
            is_open: true,
        }
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|column| column.as_deref() == Some(name))
    }

    fn extend(&mut self, more: Columns) {
        if !self.is_open {
            self.names.extend(more.names);
            self.is_open = more.is_open || self.names.len() > COLUMNS;
        }
    }
}

/// What is read from, with what is joined to it.
///
/// # Errors
/// A join in parentheses that has a name.
pub(super) fn sources(from: &[TableWithJoins]) -> Result<Vec<&TableFactor>, String> {
    let mut all = Vec::new();
    for table in from {
        for factor in std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)) {
            match factor {
                TableFactor::NestedJoin { alias: Some(_), .. } => {
                    return Err("comes from a join with a name, which cannot be followed".to_owned());
                }
                TableFactor::NestedJoin { table_with_joins, .. } => {
                    all.extend(sources(std::slice::from_ref(table_with_joins))?);
                }
                other => all.push(other),
            }
        }
    }
    Ok(all)
}

/// Whether a wildcard stands for fewer columns than the sources have: those that are joined by have one for both.
pub(super) fn merges(from: &[TableWithJoins]) -> bool {
    let of_join = |operator: &JoinOperator| {
        matches!(
            constraint(operator),
            Some(JoinConstraint::Using(_) | JoinConstraint::Natural)
        ) || !is_wide(operator)
    };
    let of_factor = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => merges(std::slice::from_ref(table_with_joins)),
        _ => false,
    };
    from.iter().any(|table| {
        of_factor(&table.relation)
            || table
                .joins
                .iter()
                .any(|join| of_join(&join.join_operator) || of_factor(&join.relation))
    })
}

/// Whether the columns of both sides are in the result.
fn is_wide(operator: &JoinOperator) -> bool {
    !matches!(
        operator,
        JoinOperator::Semi(_)
            | JoinOperator::LeftSemi(_)
            | JoinOperator::RightSemi(_)
            | JoinOperator::Anti(_)
            | JoinOperator::LeftAnti(_)
            | JoinOperator::RightAnti(_)
    )
}

/// What a join is by.
pub(super) fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(by)
        | JoinOperator::Inner(by)
        | JoinOperator::Left(by)
        | JoinOperator::LeftOuter(by)
        | JoinOperator::Right(by)
        | JoinOperator::RightOuter(by)
        | JoinOperator::FullOuter(by)
        | JoinOperator::CrossJoin(by)
        | JoinOperator::Semi(by)
        | JoinOperator::LeftSemi(by)
        | JoinOperator::RightSemi(by)
        | JoinOperator::Anti(by)
        | JoinOperator::LeftAnti(by)
        | JoinOperator::RightAnti(by)
        | JoinOperator::StraightJoin(by) => Some(by),
        JoinOperator::AsOf { constraint, .. } => Some(constraint),
        _ => None,
    }
}

/// What a source is called within its query.
pub(super) fn name_of(source: &TableFactor) -> Option<String> {
    match (alias_of(source), source) {
        (Some(alias), _) => Some(folded(&alias.name)),
        (None, TableFactor::Table { name, .. }) => name.0.last().and_then(|part| part.as_ident()).map(folded),
        _ => None,
    }
}

fn alias_of(source: &TableFactor) -> Option<&TableAlias> {
    match source {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. } => alias.as_ref(),
        _ => None,
    }
}

/// The column that is called so behind an alias, which may name the columns anew: `as a (id, email)`.
fn renamed(alias: Option<&TableAlias>, column: &Column) -> Column {
    let Column::Name(name) = column else {
        return column.clone();
    };
    let place = alias.and_then(|alias| alias.columns.iter().position(|column| folded(&column.name) == *name));
    place.map_or_else(|| column.clone(), Column::Place)
}

fn named_anew(columns: Columns, alias: Option<&TableAlias>) -> Columns {
    let names: Vec<_> = alias.into_iter().flat_map(|alias| &alias.columns).collect();
    let mut columns = columns;
    for (at, column) in names.into_iter().enumerate() {
        match columns.names.get_mut(at) {
            Some(name) => *name = Some(folded(&column.name)),
            None => columns.names.push(Some(folded(&column.name))),
        }
    }
    columns
}

impl Search {
    /// Where a column of a source comes from.
    pub(super) fn source(
        &mut self,
        source: &TableFactor,
        column: &Column,
        scope: &Scope<'_>,
    ) -> Result<Origin, String> {
        let alias = alias_of(source);
        let column = renamed(alias, column);
        match source {
            TableFactor::Derived { subquery, .. } => self.query(subquery, &column, scope),
            TableFactor::Table { name, args: None, .. } => {
                let with = match name.0.as_slice() {
                    [part] => part.as_ident().and_then(|name| scope.find(&folded(name))),
                    _ => None,
                };
                let Some((cte, within)) = with else {
                    return Ok(Some([of_table(name, column)].into()));
                };
                let column = renamed(Some(&cte.alias), &column);
                let known = (std::ptr::from_ref(cte).addr(), column.clone());
                if let Some(origin) = self.known.get(&known) {
                    return origin.clone();
                }
                // One that reads itself has nothing from there that it has not from elsewhere.
                self.known.insert(known.clone(), Ok(Some([].into())));
                let origin = self.query(&cte.query, &column, &within);
                self.known.insert(known, origin.clone());
                origin
            }
            // What a function makes is not a person's key; another column of the same name may be.
            TableFactor::Table { .. }
            | TableFactor::Function { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::TableFunction { .. }
                if alias.is_some_and(|alias| !alias.columns.is_empty()) && matches!(column, Column::Name(_)) =>
            {
                Ok(None)
            }
            _ => Err("may come from something that is not a table: say of which table it is".to_owned()),
        }
    }

    /// The columns of a source.
    pub(super) fn columns_of(&mut self, source: &TableFactor, scope: &Scope<'_>) -> Result<Columns, String> {
        let columns = match source {
            TableFactor::Derived { subquery, .. } => self.columns_of_query(subquery, scope)?,
            TableFactor::Table { name, args: None, .. } => {
                let with = match name.0.as_slice() {
                    [part] => part.as_ident().and_then(|name| scope.find(&folded(name))),
                    _ => None,
                };
                match with {
                    Some((cte, within)) => named_anew(self.columns_of_query(&cte.query, &within)?, Some(&cte.alias)),
                    None => Columns::open(),
                }
            }
            _ => Columns::open(),
        };
        Ok(named_anew(columns, alias_of(source)))
    }

    fn columns_of_query(&mut self, query: &Query, outer: &Scope<'_>) -> Result<Columns, String> {
        self.enter()?;
        let columns = self.columns(&query.body, &Scope::of(query, outer));
        self.depth -= 1;
        columns
    }

    /// The columns of a query, in order.
    pub(super) fn columns(&mut self, body: &SetExpr, scope: &Scope<'_>) -> Result<Columns, String> {
        match body {
            SetExpr::Select(select) => {
                let sources = sources(&select.from)?;
                let mut columns = Columns::default();
                for item in &select.projection {
                    match item {
                        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) if merges(&select.from) => {
                            columns.extend(Columns::open());
                        }
                        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                            for at in wildcard(item, &sources)? {
                                if let Some(source) = sources.get(at) {
                                    columns.extend(self.columns_of(source, scope)?);
                                }
                            }
                        }
                        item if is_unclear(item) => {
                            return Err("is in a union with a column without a name: name them with `as`".to_owned());
                        }
                        item => columns.extend(Columns {
                            names: vec![output(item)],
                            is_open: false,
                        }),
                    }
                }
                Ok(columns)
            }
            SetExpr::Query(query) => self.columns_of_query(query, scope),
            SetExpr::SetOperation { left, .. } => self.columns(left, scope),
            SetExpr::Values(Values { .. }) => Ok(Columns::default()),
            _ => Ok(Columns::open()),
        }
    }
}

/// The name of a table's column; by its place in the table, if it was given another name.
fn of_table(table: &sqlparser::ast::ObjectName, column: Column) -> String {
    match column {
        Column::Name(name) => name,
        Column::Place(place) => format!("{} of {table}", place + 1),
    }
}
