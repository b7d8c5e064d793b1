//! Window functions: named windows wherever they stand, EXCLUDE, and functions that are expressions of others.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, NamedWindowExpr, Query, SetExpr, Statement,
    UnaryOperator, Value, ValueWithSpan, VisitorMut, WindowFrame, WindowFrameBound as Bound, WindowFrameUnits,
    WindowSpec, WindowType,
};

use super::{build, calls, templates};
use crate::query::dialect::tokens::windows::Excluded;
use crate::query::functions::windows::nth as nth_item;
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
                *expr = without(call, excluded)?;
                return Ok(());
            }
            None => return plan_err!("window {name} is not defined"),
        }
    }
    match calls::name_of(&call.name).as_deref() {
        Some("ratio_to_report") => *expr = share(call.clone())?,
        Some("nth_value") => {
            if let Some(item) = nth(call)? {
                *expr = item;
            }
        }
        _ => {}
    }
    Ok(())
}

/// `nth_value(x, n)`, of an n that is not written: the item of that number of the frame as a list. None: the engine has it.
///
/// # Errors
/// Plan: n is not greater than zero.
fn nth(call: &Function) -> Result<Option<Expr>> {
    let args = match &call.args {
        FunctionArguments::List(list) => calls::plain_args(&list.args),
        _ => None,
    };
    let Some([value, place]) = args.as_deref() else {
        return Ok(None);
    };
    match written(place) {
        Some(..1) => return plan_err!("argument of nth_value must be greater than zero"),
        Some(_) => return Ok(None),
        None => {}
    }
    if call.null_treatment.is_some() {
        return plan_err!("nth_value with IGNORE NULLS has a number that is written");
    }
    let mut list = renamed(call.clone(), "array_agg");
    if let FunctionArguments::List(list) = &mut list.args {
        list.args = vec![calls::argument(value.clone())];
    }
    Ok(Some(calls::call(nth_item::NAME, [Expr::Function(list), place.clone()])))
}

/// The whole number that is written.
fn written(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Value(ValueWithSpan {
            value: Value::Number(digits, _),
            ..
        }) => digits.parse().ok(),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => written(expr)?.checked_neg(),
        Expr::Nested(inner) => written(inner),
        _ => None,
    }
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
    templates::expression(
        "(cast($1 as double) / nullif($2, 0))",
        &[value, Expr::Function(renamed(call, "sum"))],
    )
}

/// The call without the rows that its frame excludes, from the parts of the frame that are left.
fn without(call: &Function, excluded: Excluded) -> Result<Expr> {
    const SUM: &str = "coalesce($1 + $2, $1, $2)";
    const COUNT: &str = "($1 + $2)";
    let Some(WindowType::WindowSpec(window)) = &call.over else {
        return refused(excluded, "without a window");
    };
    let parts = parts(window, excluded)?;
    let name = call.name.to_string().to_ascii_lowercase();
    if parts.is_empty() {
        let of_nothing = if name == "count" { "0" } else { "null" };
        return templates::expression(of_nothing, &[]);
    }
    let each = |function: &str| -> Vec<Expr> {
        let call = renamed(call.clone(), function);
        parts.iter().map(|part| part.of_call(call.clone(), window)).collect()
    };
    let added = |function: &str, sign: &str| -> Result<Expr> {
        let mut all = each(function).into_iter();
        let first = all.next().unwrap_or_else(|| build::number("0"));
        all.try_fold(first, |sum, one| templates::expression(sign, &[sum, one]))
    };
    match name.as_str() {
        "count" => added("count", COUNT),
        "sum" => added("sum", SUM),
        "min" => Ok(calls::call("least", each("min"))),
        "max" => Ok(calls::call("greatest", each("max"))),
        "avg" => templates::expression(
            "(1.0 * $1 / nullif($2, 0))",
            &[added("sum", SUM)?, added("count", COUNT)?],
        ),
        "first_value" | "last_value" => {
            let mut values: Vec<_> = each(&name).into_iter().zip(rows_of(call, window, &parts)?).collect();
            if name == "first_value" {
                values.reverse();
            }
            // The value of the first part that has a row, or of the last.
            let none = templates::expression("null", &[])?;
            values.into_iter().try_fold(none, |otherwise, (value, rows)| {
                templates::expression("(case when $1 > 0 then $2 else $3 end)", &[rows, value, otherwise])
            })
        }
        _ => refused(
            excluded,
            "in this function: it is in count, sum, avg, min, max, first_value and last_value",
        ),
    }
}

fn refused<T>(excluded: Excluded, why: &str) -> Result<T> {
    plan_err!("EXCLUDE {} is not supported {why}", excluded.name())
}

/// How many rows each part has for the call.
fn rows_of(call: &Function, window: &WindowSpec, parts: &[Part]) -> Result<Vec<Expr>> {
    let Expr::Function(count) = templates::expression("count(*) over ()", &[])? else {
        return plan_err!("a count is a call");
    };
    let count = Function {
        filter: call.filter.clone(),
        ..count
    };
    Ok(parts.iter().map(|part| part.of_call(count.clone(), window)).collect())
}

/// What a window's frame leaves of itself.
fn parts(window: &WindowSpec, excluded: Excluded) -> Result<Vec<Part>> {
    let Some(frame) = &window.window_frame else {
        return refused(excluded, "without a frame");
    };
    if excluded == Excluded::CurrentRow && frame.units == WindowFrameUnits::Rows {
        return Ok(around_current_row(frame).into_iter().map(Part::of).collect());
    }
    if window.order_by.is_empty() {
        return refused(excluded, "without ORDER BY, for all rows are in one group then");
    }
    let Some((before, after)) = around_group(frame) else {
        return refused(
            excluded,
            "in a frame that begins or ends a number of rows or values away: write UNBOUNDED or CURRENT ROW, or a frame \
             of GROUPS",
        );
    };
    let mut parts: Vec<_> = before.into_iter().map(Part::of).collect();
    match excluded {
        _ if !has_current_row(frame) => {}
        Excluded::Group => {}
        Excluded::Ties => parts.push(Part::of(rows(Bound::CurrentRow, Bound::CurrentRow))),
        Excluded::CurrentRow => {
            let all = rows(Bound::Preceding(None), Bound::Following(None));
            let equals = around_current_row(&all).into_iter();
            parts.extend(equals.map(|frame| Part {
                frame,
                among_equals: true,
            }));
        }
    }
    parts.extend(after.map(Part::of));
    Ok(parts)
}

/// A part of a frame: a frame of its own.
struct Part {
    frame: WindowFrame,
    /// Whether it is of the rows that are equal to the current one in the order.
    among_equals: bool,
}

impl Part {
    fn of(frame: WindowFrame) -> Self {
        Self {
            frame,
            among_equals: false,
        }
    }

    /// The call over this part.
    fn of_call(&self, call: Function, window: &WindowSpec) -> Expr {
        let mut window = window.clone();
        if self.among_equals {
            let keys = window.order_by.iter().map(|by| by.expr.clone());
            window.partition_by.extend(keys);
        }
        window.window_frame = Some(self.frame.clone());
        Expr::Function(Function {
            over: Some(WindowType::WindowSpec(window)),
            ..call
        })
    }
}

fn frame(units: WindowFrameUnits, start_bound: Bound, end_bound: Bound) -> WindowFrame {
    WindowFrame {
        units,
        start_bound,
        end_bound: Some(end_bound),
    }
}

fn rows(start: Bound, end: Bound) -> WindowFrame {
    frame(WindowFrameUnits::Rows, start, end)
}

fn one() -> Option<Box<Expr>> {
    Some(Box::new(build::number("1")))
}

fn end_of(frame: &WindowFrame) -> Bound {
    frame.end_bound.clone().unwrap_or(Bound::CurrentRow)
}

/// Whether the current row is in the frame.
fn has_current_row(frame: &WindowFrame) -> bool {
    !matches!(frame.start_bound, Bound::Following(_)) && !matches!(end_of(frame), Bound::Preceding(_))
}

/// The parts of a frame of rows before and after the current row.
fn around_current_row(frame: &WindowFrame) -> Vec<WindowFrame> {
    let end = end_of(frame);
    let before = match (&frame.start_bound, &end) {
        (start @ Bound::Preceding(_), end @ Bound::Preceding(Some(_))) => Some(rows(start.clone(), end.clone())),
        (start @ Bound::Preceding(_), _) => Some(rows(start.clone(), Bound::Preceding(one()))),
        _ => None,
    };
    let after = match (&frame.start_bound, &end) {
        (start @ Bound::Following(Some(_)), end @ Bound::Following(_)) => Some(rows(start.clone(), end.clone())),
        (_, end @ Bound::Following(_)) => Some(rows(Bound::Following(one()), end.clone())),
        _ => None,
    };
    before.into_iter().chain(after).collect()
}

/// The parts of a frame before and after the rows that are equal to the current one in the order. None: there is no frame of
/// them alone.
fn around_group(whole: &WindowFrame) -> Option<(Option<WindowFrame>, Option<WindowFrame>)> {
    let groups = |start: &Bound, end: &Bound| Some(frame(WindowFrameUnits::Groups, start.clone(), end.clone()));
    let is_groups = whole.units == WindowFrameUnits::Groups;
    let end = end_of(whole);
    let before = match (&whole.start_bound, &end) {
        (start @ Bound::Preceding(_), end @ Bound::Preceding(_)) if is_groups => groups(start, end),
        (_, Bound::Preceding(_)) => return None,
        (start @ Bound::Preceding(distance), _) if is_groups || distance.is_none() => {
            groups(start, &Bound::Preceding(one()))
        }
        (Bound::Preceding(_), _) => return None,
        _ => None,
    };
    let after = match (&whole.start_bound, &end) {
        (start @ Bound::Following(_), end @ Bound::Following(_)) if is_groups => groups(start, end),
        (Bound::Following(_), _) => return None,
        (_, end @ Bound::Following(distance)) if is_groups || distance.is_none() => {
            groups(&Bound::Following(one()), end)
        }
        (_, Bound::Following(_)) => return None,
        _ => None,
    };
    Some((before, after))
}

/// The same call of another function.
fn renamed(call: Function, function: &str) -> Function {
    Function {
        name: vec![Ident::new(function)].into(),
        ..call
    }
}
