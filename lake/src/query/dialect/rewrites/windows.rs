//! Window functions: named windows wherever they stand, EXCLUDE, and functions that are expressions of others.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, NamedWindowExpr, Query, SetExpr, Statement,
    VisitorMut, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use super::build;
use super::templates;
use crate::query::dialect::tokens::windows::Excluded;
use crate::query::walk;

/// Resolves windows by name, and replaces what the engine's window functions lack.
///
/// # Errors
/// Plan: a window is not defined, or asks for what the engine cannot compute.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::rewrite(statement, &mut Windows)
}

fn flow(result: Result<()>) -> ControlFlow<DataFusionError> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

struct Windows;

impl VisitorMut for Windows {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        flow(name_windows(query))
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        flow(replace(expr))
    }
}

/// Writes the definition of each window where its name stands: the engine knows names in the select list only.
fn name_windows(query: &mut Query) -> Result<()> {
    let SetExpr::Select(select) = &mut *query.body else {
        return Ok(());
    };
    if select.named_window.is_empty() {
        return Ok(());
    }
    let mut names = Named::default();
    for definition in std::mem::take(&mut select.named_window) {
        let window = match definition.1 {
            NamedWindowExpr::NamedWindow(name) => names.get(&name)?,
            NamedWindowExpr::WindowSpec(window) => names.complete(window)?,
        };
        if names.windows.insert(key(&definition.0), window).is_some() {
            return plan_err!("window {} is defined twice", definition.0);
        }
    }
    walk::rewrite(&mut **select, &mut names)?;
    walk::rewrite(&mut query.order_by, &mut names)
}

/// Names as SQL compares them.
fn key(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// The windows that a select defines.
#[derive(Default)]
struct Named {
    windows: BTreeMap<String, WindowSpec>,
    /// How many subqueries deep the visitor is: a subquery has windows of its own.
    subqueries: usize,
}

impl Named {
    fn get(&self, name: &Ident) -> Result<WindowSpec> {
        match self.windows.get(&key(name)) {
            Some(window) => Ok(window.clone()),
            None => plan_err!("window {name} is not defined"),
        }
    }

    /// A window that begins with the name of another: `over (w order by a)` (PostgreSQL, "Window Function Calls").
    fn complete(&self, window: WindowSpec) -> Result<WindowSpec> {
        let Some(name) = window
            .window_name
            .as_ref()
            .filter(|name| Excluded::named(name).is_none())
        else {
            return Ok(window);
        };
        let base = self.get(name)?;
        if !window.partition_by.is_empty() {
            return plan_err!("a window that begins with {name} has the PARTITION BY of that one");
        }
        if !base.order_by.is_empty() && !window.order_by.is_empty() {
            return plan_err!("window {name} has an ORDER BY already");
        }
        if base.window_frame.is_some() {
            return plan_err!("window {name} has a frame, so that no other window can begin with it");
        }
        Ok(WindowSpec {
            window_name: None,
            partition_by: base.partition_by,
            order_by: match window.order_by.is_empty() {
                true => base.order_by,
                false => window.order_by,
            },
            window_frame: window.window_frame,
        })
    }
}

impl VisitorMut for Named {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<DataFusionError> {
        self.subqueries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<DataFusionError> {
        self.subqueries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        let Expr::Function(Function { over: Some(over), .. }) = expr else {
            return ControlFlow::Continue(());
        };
        if self.subqueries > 0 {
            return ControlFlow::Continue(());
        }
        let window = match &*over {
            WindowType::NamedWindow(name) => self.get(name),
            WindowType::WindowSpec(window) => self.complete(window.clone()),
        };
        match window {
            Ok(window) => {
                *over = WindowType::WindowSpec(window);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// Replaces a call of a window function by what the engine computes.
fn replace(expr: &mut Expr) -> Result<()> {
    let Expr::Function(call) = expr else {
        return Ok(());
    };
    if call.over.is_none() {
        return Ok(());
    }
    if let Some(WindowType::WindowSpec(window)) = &mut call.over
        && let Some(name) = &window.window_name
    {
        match Excluded::named(name) {
            Some(excluded) => {
                window.window_name = None;
                *expr = without(call.clone(), excluded)?;
                return Ok(());
            }
            None => return plan_err!("window {name} is not defined"),
        }
    }
    if call.name.to_string().eq_ignore_ascii_case("ratio_to_report") {
        *expr = share(call.clone())?;
    }
    Ok(())
}

/// `ratio_to_report(x) over w`: x / sum(x) over w, as a double. (Amazon Redshift, "RATIO_TO_REPORT window function".)
fn share(call: Function) -> Result<Expr> {
    let FunctionArguments::List(arguments) = &call.args else {
        return plan_err!("ratio_to_report takes an expression");
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = arguments.args.as_slice() else {
        return plan_err!("ratio_to_report takes one expression");
    };
    let value = build::nested(value.clone());
    templates::expression("(cast($1 as double) / nullif($2, 0))", &[value, named(call, "sum")])
}

/// The call without the rows that its frame excludes, from the frames before and after them.
fn without(call: Function, excluded: Excluded) -> Result<Expr> {
    let refused = |why: &str| plan_err!("EXCLUDE {} is not supported {why}", excluded.name());
    let Some(WindowType::WindowSpec(WindowSpec {
        window_frame: Some(frame),
        ..
    })) = &call.over
    else {
        return refused("without a frame");
    };
    if excluded != Excluded::CurrentRow || frame.units != WindowFrameUnits::Rows {
        return refused("here: EXCLUDE CURRENT ROW is, in a frame of ROWS");
    }
    let (before, after) = around_current_row(frame);
    let within = |function: &str, frame: &Option<WindowFrame>| {
        let mut call = named(call.clone(), function);
        if let Expr::Function(Function {
            over: Some(WindowType::WindowSpec(window)),
            ..
        }) = &mut call
        {
            window.window_frame = frame.clone();
        }
        frame.as_ref().map(|_| call)
    };
    let both = |function: &str, joined: &str, alone: &str| -> Result<Expr> {
        match (within(function, &before), within(function, &after)) {
            (Some(before), Some(after)) => templates::expression(joined, &[before, after]),
            (Some(one), None) | (None, Some(one)) => templates::expression(alone, &[one]),
            (None, None) => refused("in a frame of the current row alone"),
        }
    };
    let name = call.name.to_string().to_ascii_lowercase();
    match name.as_str() {
        "count" => both("count", "($1 + $2)", "$1"),
        "sum" => both("sum", "coalesce($1 + $2, $1, $2)", "$1"),
        "min" => both("min", "least($1, $2)", "$1"),
        "max" => both("max", "greatest($1, $2)", "$1"),
        "avg" => {
            let sum = both("sum", "coalesce($1 + $2, $1, $2)", "$1")?;
            let count = both("count", "($1 + $2)", "$1")?;
            templates::expression("(1.0 * $1 / nullif($2, 0))", &[sum, count])
        }
        _ => refused("in this function: it is in count, sum, avg, min and max"),
    }
}

/// The parts of a frame of rows before and after the current row.
fn around_current_row(frame: &WindowFrame) -> (Option<WindowFrame>, Option<WindowFrame>) {
    let one = || Some(Box::new(build::number("1")));
    let end = frame.end_bound.clone().unwrap_or(WindowFrameBound::CurrentRow);
    let part = |start_bound: WindowFrameBound, end_bound: WindowFrameBound| WindowFrame {
        units: WindowFrameUnits::Rows,
        start_bound,
        end_bound: Some(end_bound),
    };
    let before = match (&frame.start_bound, &end) {
        (start @ WindowFrameBound::Preceding(_), end @ WindowFrameBound::Preceding(Some(_))) => {
            Some(part(start.clone(), end.clone()))
        }
        (start @ WindowFrameBound::Preceding(_), _) => Some(part(start.clone(), WindowFrameBound::Preceding(one()))),
        _ => None,
    };
    let after = match (&frame.start_bound, &end) {
        (start @ WindowFrameBound::Following(Some(_)), end @ WindowFrameBound::Following(_)) => {
            Some(part(start.clone(), end.clone()))
        }
        (_, end @ WindowFrameBound::Following(_)) => Some(part(WindowFrameBound::Following(one()), end.clone())),
        _ => None,
    };
    (before, after)
}

/// The same call of another function.
fn named(mut call: Function, function: &str) -> Expr {
    call.name = vec![Ident::new(function)].into();
    Expr::Function(call)
}
