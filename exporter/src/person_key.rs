//! Whether the key of an audience is that of each row's own person.
//!
//! Consent is asked for by the key. A row whose key was made up (`select 1 as customer_id, email from …`) would be sent
//! on the word of somebody else. So the key is followed to where it comes from, through every branch of a union, every
//! subquery and every `with`: it has to be a column of a table, the same one in all of them, as it is or cast; what
//! stands beside it has to be tied to that table ([`ties`]). What cannot be followed is refused. A view whose key is the
//! same for all is found by counting the rows.

mod sources;
mod ties;

use std::collections::{BTreeSet, HashMap};

use sqlparser::ast::{
    BinaryOperator, Cte, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Select, SelectFlavor,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, WildcardAdditionalOptions,
};

use self::sources::{Columns, name_of, sources};

/// Queries within one another, at most.
const DEPTH: usize = 48;
/// Queries that are looked into, at most: what is named twice is looked into twice.
const QUERIES: usize = 5000;

/// Whether the rows of the query have a column `key` that comes from a table; `false` if none is called so in it, as
/// far as the query itself says.
///
/// # Errors
/// Where the key comes from instead.
pub(crate) fn is_of_table(query: &Query, key: &str) -> Result<bool, String> {
    let mut search = Search::default();
    let origin = search.query(query, &Column::Name(key.to_owned()), &Scope::default())?;
    Ok(origin.is_some())
}

/// A column of a query.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Column {
    Name(String),
    Place(usize),
}

/// The names of the columns of tables that a column comes from; `None` if there is no such column.
type Origin = Option<BTreeSet<String>>;

/// The queries that have a name where a query stands.
#[derive(Debug, Clone, Copy, Default)]
struct Scope<'a> {
    with: &'a [Cte],
    is_recursive: bool,
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    fn of(query: &'a Query, outer: &'a Scope<'a>) -> Self {
        Self {
            with: query.with.as_ref().map_or(&[], |with| with.cte_tables.as_slice()),
            is_recursive: query.with.as_ref().is_some_and(|with| with.recursive),
            outer: Some(outer),
        }
    }

    /// The query of that name, and what has a name where it stands: those before it, and itself if it may read itself.
    fn find(&self, name: &str) -> Option<(&'a Cte, Scope<'a>)> {
        let Some(place) = self.with.iter().rposition(|cte| folded(&cte.alias.name) == name) else {
            return self.outer?.find(name);
        };
        let end = place + usize::from(self.is_recursive);
        let within = Scope {
            with: self.with.get(..end).unwrap_or_default(),
            ..*self
        };
        Some((self.with.get(place)?, within))
    }
}

/// Follows a column.
#[derive(Default)]
struct Search {
    /// What is known of the columns of queries with a name, by where these are; of those that are being followed that
    /// they come from nowhere else.
    known: HashMap<(usize, Column), Result<Origin, String>>,
    depth: usize,
    queries: usize,
}

impl Search {
    fn query(&mut self, query: &Query, column: &Column, outer: &Scope<'_>) -> Result<Origin, String> {
        self.enter()?;
        let scope = Scope::of(query, outer);
        let origin = match query.pipe_operators.is_empty() {
            true => self.body(&query.body, column, &scope),
            false => Err("goes through operators with `|>`, which cannot be followed".to_owned()),
        };
        self.depth -= 1;
        let origin = origin?;
        match &origin {
            Some(names) if names.len() > 1 => {
                let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
                Err(format!("mixes the columns {}", names.join(" and ")))
            }
            _ => Ok(origin),
        }
    }

    fn enter(&mut self) -> Result<(), String> {
        self.depth += 1;
        self.queries += 1;
        match self.depth > DEPTH || self.queries > QUERIES {
            true => Err("goes through too many queries".to_owned()),
            false => Ok(()),
        }
    }

    fn body(&mut self, body: &SetExpr, column: &Column, scope: &Scope<'_>) -> Result<Origin, String> {
        match body {
            SetExpr::Select(select) => self.select(select, column, scope),
            SetExpr::Query(query) => self.query(query, column, scope),
            SetExpr::SetOperation {
                op: SetOperator::Union,
                left,
                right,
                set_quantifier,
            } => self.union(left, right, *set_quantifier, column, scope),
            // The rows are those of the first query.
            SetExpr::SetOperation { left, .. } => self.body(left, column, scope),
            SetExpr::Values(_) => Err("is written in `values`".to_owned()),
            _ => Err("comes from a statement that cannot be followed".to_owned()),
        }
    }

    fn union(
        &mut self,
        left: &SetExpr,
        right: &SetExpr,
        quantifier: SetQuantifier,
        column: &Column,
        scope: &Scope<'_>,
    ) -> Result<Origin, String> {
        let first = self.body(left, column, scope)?;
        let is_by_name = matches!(
            quantifier,
            SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName
        );
        // The columns of the second query go by their places, whatever they are called.
        let there = match column {
            Column::Name(name) if !is_by_name => {
                let (columns, others) = (self.columns(left, scope)?, self.columns(right, scope)?);
                match columns.place(name) {
                    Some(place) => Column::Place(place),
                    None if columns.is_open && columns == others => column.clone(),
                    None if columns.is_open => return Err("has no place that is known in a union".to_owned()),
                    None => return Ok(None),
                }
            }
            column => column.clone(),
        };
        let second = self.body(right, &there, scope)?;
        match (first, second) {
            (Some(mut names), Some(others)) => {
                names.extend(others);
                Ok(Some(names))
            }
            (None, None) => Ok(None),
            _ => Err("is not in all parts of a union".to_owned()),
        }
    }

    fn select(&mut self, select: &Select, column: &Column, scope: &Scope<'_>) -> Result<Origin, String> {
        if select.flavor != SelectFlavor::Standard || !select.lateral_views.is_empty() || select.exclude.is_some() {
            return Err("is selected in a way that cannot be followed".to_owned());
        }
        let sources = sources(&select.from)?;
        let mut origin: Origin = None;
        let mut of = BTreeSet::new();
        for (expr, place) in self.items(select, column, &sources, scope)? {
            let (names, from) = match (expr, place) {
                (Some(expr), _) => self.expression(expr, &sources, scope)?,
                (None, Some((at, column))) => match sources.get(at) {
                    Some(source) => match self.source(source, &column, scope)? {
                        Some(names) => (names, BTreeSet::from([at])),
                        None => continue,
                    },
                    None => continue,
                },
                (None, None) => continue,
            };
            origin.get_or_insert_default().extend(names);
            of.extend(from);
        }
        if origin.is_some() {
            ties::check(self, select, &sources, &of, scope)?;
        }
        Ok(origin)
    }

    /// What a column of a select is: expressions, or columns of its sources that a wildcard stands for.
    #[allow(clippy::type_complexity, reason = "one or the other of two things")]
    fn items<'s>(
        &mut self,
        select: &'s Select,
        column: &Column,
        sources: &[&sqlparser::ast::TableFactor],
        scope: &Scope<'_>,
    ) -> Result<Vec<(Option<&'s Expr>, Option<(usize, Column)>)>, String> {
        let mut found = Vec::new();
        match column {
            Column::Name(name) => {
                let named = select
                    .projection
                    .iter()
                    .filter(|item| output(item).as_deref() == Some(name));
                found.extend(named.map(|item| (expression(item), None)));
                if !found.is_empty() {
                    return Ok(found);
                }
                if select.projection.iter().any(is_unclear) {
                    return Err("cannot be told from a column without a name: name them with `as`".to_owned());
                }
                for item in &select.projection {
                    for at in wildcard(item, sources)? {
                        found.push((None, Some((at, column.clone()))));
                    }
                }
            }
            Column::Place(place) => {
                let mut before = 0;
                for item in &select.projection {
                    let is_wildcard = expression(item).is_none();
                    if !is_wildcard && before == *place {
                        return Ok(vec![(expression(item), None)]);
                    }
                    for at in wildcard(item, sources)? {
                        let columns = match sources.get(at) {
                            Some(source) if !sources::merges(&select.from) => self.columns_of(source, scope)?,
                            _ => Columns::open(),
                        };
                        if *place < before + columns.names.len() {
                            return Ok(vec![(None, Some((at, Column::Place(place - before))))]);
                        }
                        if columns.is_open {
                            return Err("has no place that is known in a union".to_owned());
                        }
                        before += columns.names.len();
                    }
                    before += usize::from(!is_wildcard);
                }
            }
        }
        Ok(found)
    }

    /// Where the key comes from that an expression makes, and from which of the sources: it is a column, or keeps all
    /// of them apart.
    fn expression(
        &mut self,
        expr: &Expr,
        sources: &[&sqlparser::ast::TableFactor],
        scope: &Scope<'_>,
    ) -> Result<(BTreeSet<String>, BTreeSet<usize>), String> {
        match expr {
            Expr::Nested(expr) | Expr::Cast { expr, .. } => self.expression(expr, sources, scope),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::StringConcat,
                right,
            } => match (left.as_ref(), right.as_ref()) {
                (Expr::Value(_), one) | (one, Expr::Value(_)) => self.expression(one, sources, scope),
                _ => Err(made()),
            },
            Expr::Function(function) if function.over.is_none() && is_coalesce(&function.name) => {
                let FunctionArguments::List(list) = &function.args else {
                    return Err(made());
                };
                let (mut names, mut from) = (BTreeSet::new(), BTreeSet::new());
                for argument in &list.args {
                    let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else {
                        return Err(made());
                    };
                    let (more, of) = self.expression(expr, sources, scope)?;
                    names.extend(more);
                    from.extend(of);
                }
                Ok((names, from))
            }
            Expr::Identifier(name) => self.named(None, &folded(name), sources, scope),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., of, name] => self.named(Some(&folded(of)), &folded(name), sources, scope),
                _ => Err(made()),
            },
            _ => Err(made()),
        }
    }

    /// The column of that name, of the source called `of` if it is named.
    fn named(
        &mut self,
        of: Option<&str>,
        name: &str,
        sources: &[&sqlparser::ast::TableFactor],
        scope: &Scope<'_>,
    ) -> Result<(BTreeSet<String>, BTreeSet<usize>), String> {
        let column = Column::Name(name.to_owned());
        let (mut names, mut from) = (BTreeSet::new(), BTreeSet::new());
        for (at, source) in sources.iter().enumerate() {
            if of.is_some_and(|of| name_of(source).as_deref() != Some(of)) {
                continue;
            }
            if let Some(more) = self.source(source, &column, scope)? {
                names.extend(more);
                from.insert(at);
            }
        }
        match from.is_empty() {
            true => Err("is not a column of what is read".to_owned()),
            false => Ok((names, from)),
        }
    }
}

fn made() -> String {
    "is made, and not a column of a table".to_owned()
}

fn is_coalesce(name: &sqlparser::ast::ObjectName) -> bool {
    matches!(name.0.as_slice(), [part] if part.as_ident().is_some_and(|name| folded(name) == "coalesce"))
}

/// The sources that a wildcard stands for; none for another item.
fn wildcard(item: &SelectItem, sources: &[&sqlparser::ast::TableFactor]) -> Result<Vec<usize>, String> {
    let (of, options) = match item {
        SelectItem::Wildcard(options) => (None, options),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(of), options) => {
            (of.0.last().and_then(|part| part.as_ident()).map(folded), options)
        }
        SelectItem::QualifiedWildcard(..) => return Err("comes from a wildcard that cannot be followed".to_owned()),
        _ => return Ok(Vec::new()),
    };
    if is_changed(options) {
        return Err("comes from a wildcard that changes columns".to_owned());
    }
    let meant = |source: &sqlparser::ast::TableFactor| of.is_none() || name_of(source) == of;
    Ok((0..sources.len())
        .filter(|at| sources.get(*at).is_some_and(|source| meant(source)))
        .collect())
}

fn is_changed(options: &WildcardAdditionalOptions) -> bool {
    options.opt_replace.is_some() || options.opt_rename.is_some() || options.opt_alias.is_some()
}

fn expression(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr)
        | SelectItem::ExprWithAlias { expr, .. }
        | SelectItem::ExprWithAliases { expr, .. } => Some(expr),
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => None,
    }
}

/// What a column is called in the result; `None` for one that the server names.
fn output(item: &SelectItem) -> Option<String> {
    fn of(expr: &Expr) -> Option<String> {
        match expr {
            Expr::Identifier(name) => Some(folded(name)),
            Expr::CompoundIdentifier(parts) => parts.last().map(folded),
            Expr::Nested(expr) | Expr::Cast { expr, .. } => of(expr),
            _ => None,
        }
    }
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        SelectItem::UnnamedExpr(expr) => of(expr),
        _ => None,
    }
}

/// Whether the server may call it anything: as a subquery's own column.
fn is_unclear(item: &SelectItem) -> bool {
    fn is_clear(expr: &Expr) -> bool {
        match expr {
            Expr::Nested(expr) | Expr::Cast { expr, .. } => is_clear(expr),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => true,
            Expr::Function(_) | Expr::BinaryOp { .. } | Expr::UnaryOp { .. } | Expr::Case { .. } => true,
            _ => false,
        }
    }
    match item {
        SelectItem::UnnamedExpr(expr) => !is_clear(expr),
        SelectItem::ExprWithAliases { .. } => true,
        _ => false,
    }
}

/// A name as it is compared: without quotes, its case does not count.
fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
