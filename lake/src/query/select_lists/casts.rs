//! `sum(x::int), sum(x)` and `group by x::int, x::text`: the engine names a cast as what is cast, and wants names to differ.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, OrderBy, Query, Select, SelectItem, Value, VisitorMut};

use crate::query::{dialect, walk};

/// The function that stands around a cast, whose name has the type.
pub(in crate::query) const CAST: &str = "_cast";

/// Whether there is a cast in what the select shows, groups and orders by.
pub(super) fn any(select: &Select) -> bool {
    let is_cast = |expr: &Expr| matches!(expr, Expr::Cast { .. });
    walk::any(&select.projection, is_cast) || walk::any(&select.group_by, is_cast)
}

/// Gives casts names of their own. Columns keep theirs.
pub(super) fn tell_apart(select: &mut Select, order_by: &mut Option<OrderBy>) {
    let mut apart = Apart { subqueries: 0 };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr @ Expr::Cast { .. }) = item
            && let Some(alias) = name_of(expr)
        {
            let expr = expr.clone();
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
    let _ = walk::change(&mut select.distinct, &mut apart);
    let _ = walk::change(&mut select.projection, &mut apart);
    let _ = walk::change(&mut select.group_by, &mut apart);
    let _ = walk::change(&mut select.having, &mut apart);
    let _ = walk::change(&mut select.qualify, &mut apart);
    let _ = walk::change(order_by, &mut apart);
}

/// The name of the column that is cast.
fn name_of(expr: &Expr) -> Option<Ident> {
    match expr {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => name_of(expr),
        Expr::Identifier(name) => Some(name.clone()),
        Expr::CompoundIdentifier(parts) => parts.last().cloned(),
        _ => None,
    }
}

struct Apart {
    /// How many subqueries deep the visitor is: they have names of their own.
    subqueries: usize,
}

impl VisitorMut for Apart {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.subqueries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.subqueries -= 1;
        ControlFlow::Continue(())
    }

    // After its children, so that a cast is done once.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.subqueries == 0
            && let Expr::Cast { data_type, .. } = &*expr
        {
            let name = Expr::Value(Value::SingleQuotedString(data_type.to_string()).into());
            *expr = dialect::call(CAST, [expr.clone(), name]);
        }
        ControlFlow::Continue(())
    }
}
