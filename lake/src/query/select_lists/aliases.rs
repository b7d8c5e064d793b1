//! Aliases that are used beside their definition: `select a + 1 as b, b * 2 as c`, `where b > 3`.
//! A column of that name in FROM wins. (Snowflake, DuckDB and Redshift, "lateral column aliases".)

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::{Expr, Function, Query, Select, SelectItem, VisitorMut};

use super::{Inputs, normal};
use crate::query::walk;

/// How many expressions a select may have once aliases are written out.
const LARGEST: usize = 100_000;

/// Whether the select uses a name that it gives.
pub(super) fn any(select: &Select) -> bool {
    let mut given = BTreeSet::new();
    for item in &select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            continue;
        };
        if uses(expr, &given) {
            return true;
        }
        if let SelectItem::ExprWithAlias { expr, alias } = item {
            // `a as a` gives no name that is not there.
            let is_itself = matches!(expr, Expr::Identifier(name) if normal(name) == normal(alias));
            if !is_itself {
                given.insert(normal(alias));
            }
        }
    }
    select
        .selection
        .as_ref()
        .is_some_and(|selection| uses(selection, &given))
}

fn uses(expr: &Expr, given: &BTreeSet<String>) -> bool {
    !given.is_empty()
        && walk::any(
            expr,
            |expr| matches!(expr, Expr::Identifier(name) if given.contains(&normal(name))),
        )
}

/// Puts the expression in the place of each alias that is not a column of FROM.
///
/// # Errors
/// Plan: an alias of random values is used, which would be other values there; or the expressions grow too large.
pub(super) fn substitute(select: &mut Select, inputs: &Inputs) -> Result<()> {
    let mut aliases = Substitute {
        inputs,
        aliases: BTreeMap::new(),
        subqueries: 0,
        budget: LARGEST,
    };
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => aliases.within(expr)?,
            SelectItem::ExprWithAlias { expr, alias } => {
                aliases.within(expr)?;
                let size = size(expr);
                aliases.aliases.insert(normal(alias), (expr.clone(), size));
            }
            _ => {}
        }
    }
    match &mut select.selection {
        Some(selection) => aliases.within(selection),
        None => Ok(()),
    }
}

/// How many expressions an expression has.
fn size(expr: &Expr) -> usize {
    let mut size = 0;
    walk::any(expr, |_| {
        size += 1;
        false
    });
    size
}

/// Whether the expression has another value each time.
fn is_volatile(expr: &Expr) -> bool {
    const VOLATILE: [&str; 4] = ["random", "rand", "uuid", "gen_random_uuid"];
    walk::any(expr, |expr| match expr {
        Expr::Function(Function { name, .. }) => VOLATILE.contains(&name.to_string().to_lowercase().as_str()),
        _ => false,
    })
}

struct Substitute<'a> {
    inputs: &'a Inputs,
    aliases: BTreeMap<String, (Expr, usize)>,
    /// How many subqueries deep the visitor is: there, names may mean other columns.
    subqueries: usize,
    budget: usize,
}

impl Substitute<'_> {
    fn within(&mut self, expr: &mut Expr) -> Result<()> {
        match walk::change(expr, self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(why) => plan_err!("{why}"),
        }
    }
}

impl VisitorMut for Substitute<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<String> {
        self.subqueries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<String> {
        self.subqueries -= 1;
        ControlFlow::Continue(())
    }

    // After its children, so that what is put in is not looked through again.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        let Expr::Identifier(name) = &*expr else {
            return ControlFlow::Continue(());
        };
        let key = normal(name);
        if self.subqueries > 0 || self.inputs.names.contains(&key) {
            return ControlFlow::Continue(());
        }
        let Some((defined, size)) = self.aliases.get(&key) else {
            return ControlFlow::Continue(());
        };
        if is_volatile(defined) {
            return ControlFlow::Break(format!(
                "alias {name} is of a random value, so that it cannot be used beside its definition; use a subquery"
            ));
        }
        let Some(budget) = self.budget.checked_sub(*size) else {
            return ControlFlow::Break("aliases that use aliases grow too large; use a subquery".to_owned());
        };
        self.budget = budget;
        *expr = Expr::Nested(Box::new(defined.clone()));
        ControlFlow::Continue(())
    }
}
