//! How rewrites and questions walk a statement's syntax.
//!
//! sqlparser compiles its whole walk anew for each type of visitor, half a megabyte of code each. Here it is compiled once
//! for those that read and once for those that write: visitors are called through a pointer.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Select, Statement, TableFactor, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};

/// Lets the visitor see the tree, until it breaks off.
pub(in crate::query) fn see(tree: &impl Visit, visitor: &mut dyn Visitor<Break = ()>) -> ControlFlow<()> {
    tree.visit(&mut Eyes(visitor))
}

/// Whether an expression of the tree is so.
pub(in crate::query) fn any(tree: &impl Visit, is_so: impl FnMut(&Expr) -> bool) -> bool {
    struct Any<F>(F);

    impl<F: FnMut(&Expr) -> bool> Visitor for Any<F> {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match (self.0)(expr) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
    }

    see(tree, &mut Any(is_so)).is_break()
}

/// Lets the visitor change the tree, until it breaks off.
pub(in crate::query) fn change<V: VisitorMut>(tree: &mut impl VisitMut, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut noted = Noted { visitor, why: None };
    let _ = tree.visit(&mut Hands(&mut noted));
    match noted.why {
        Some(why) => ControlFlow::Break(why),
        None => ControlFlow::Continue(()),
    }
}

/// Lets the visitor change the tree.
///
/// # Errors
/// The visitor's first.
pub(in crate::query) fn rewrite(
    tree: &mut impl VisitMut,
    visitor: &mut impl VisitorMut<Break = DataFusionError>,
) -> Result<()> {
    match change(tree, visitor) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Changes all expressions, the inner ones first.
///
/// # Errors
/// The first of `change`.
pub(in crate::query) fn each(tree: &mut impl VisitMut, change: impl FnMut(&mut Expr) -> Result<()>) -> Result<()> {
    struct Each<F>(F);

    impl<F: FnMut(&mut Expr) -> Result<()>> VisitorMut for Each<F> {
        type Break = DataFusionError;

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
            match (self.0)(expr) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            }
        }
    }

    rewrite(tree, &mut Each(change))
}

struct Eyes<'a>(&'a mut dyn Visitor<Break = ()>);

struct Hands<'a>(&'a mut dyn VisitorMut<Break = ()>);

/// Keeps why its visitor broke off, so that all visitors break off with the same type.
struct Noted<'a, V: VisitorMut> {
    visitor: &'a mut V,
    why: Option<V::Break>,
}

impl<V: VisitorMut> Noted<'_, V> {
    fn note(&mut self, flow: ControlFlow<V::Break>) -> ControlFlow<()> {
        match flow {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(why) => {
                self.why = Some(why);
                ControlFlow::Break(())
            }
        }
    }
}

/// Forwards each method of a visitor.
macro_rules! forward {
    ($($method:ident($node:ty)),* $(,)?) => {
        impl Visitor for Eyes<'_> {
            type Break = ();

            $(fn $method(&mut self, node: &$node) -> ControlFlow<()> {
                self.0.$method(node)
            })*
        }

        impl VisitorMut for Hands<'_> {
            type Break = ();

            $(fn $method(&mut self, node: &mut $node) -> ControlFlow<()> {
                self.0.$method(node)
            })*
        }

        impl<V: VisitorMut> VisitorMut for Noted<'_, V> {
            type Break = ();

            $(fn $method(&mut self, node: &mut $node) -> ControlFlow<()> {
                let flow = self.visitor.$method(node);
                self.note(flow)
            })*
        }
    };
}

forward! {
    pre_visit_query(Query),
    post_visit_query(Query),
    pre_visit_select(Select),
    post_visit_select(Select),
    pre_visit_relation(ObjectName),
    post_visit_relation(ObjectName),
    pre_visit_table_factor(TableFactor),
    post_visit_table_factor(TableFactor),
    pre_visit_expr(Expr),
    post_visit_expr(Expr),
    pre_visit_statement(Statement),
    post_visit_statement(Statement),
    pre_visit_value(ValueWithSpan),
    post_visit_value(ValueWithSpan),
}
