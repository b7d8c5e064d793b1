//! Keys of windows and orders that compare what functions give: `partition by upper(a) > b`. To the engine the values of a
//! function are in a range of no type, which cannot be compared with another, so that it loses the order of such a key and
//! refuses its own plan. Such keys are columns before they are keys.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Sort, Window};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Makes columns of them.
#[derive(Debug)]
pub(super) struct KeysAsColumns;

impl OptimizerRule for KeysAsColumns {
    fn name(&self) -> &str {
        "keys_as_columns"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Window(window) => of_window(window),
            LogicalPlan::Sort(sort) => of_sort(sort),
            plan => Ok(Transformed::no(plan)),
        }
    }
}

/// The columns of an input, and those that keys become.
struct Columns {
    input: Arc<LogicalPlan>,
    keys: Vec<Expr>,
}

impl Columns {
    fn of(input: &Arc<LogicalPlan>) -> Self {
        Self {
            input: input.clone(),
            keys: Vec::new(),
        }
    }

    /// Makes a column of the key, if the engine would compute the range of a part of it.
    fn take(&mut self, key: &mut Expr) -> Result<()> {
        if key.exists(|part| Ok(matches!(part, Expr::BinaryExpr(_))))? {
            let column = Column::new_unqualified(format!("_key_{}", self.keys.len()));
            let computed = std::mem::replace(key, Expr::Column(column.clone()));
            self.keys.push(computed.alias(column.name));
        }
        Ok(())
    }

    /// The input with the columns.
    fn with_keys(self) -> Result<Arc<LogicalPlan>> {
        let columns = all(&self.input).chain(self.keys).collect();
        Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(
            columns, self.input,
        )?)))
    }
}

fn all(plan: &LogicalPlan) -> impl Iterator<Item = Expr> {
    plan.schema().columns().into_iter().map(Expr::Column)
}

fn of_window(window: Window) -> Result<Transformed<LogicalPlan>> {
    let mut columns = Columns::of(&window.input);
    let mut functions = window.window_expr.clone();
    for function in &mut functions {
        let function = match function {
            Expr::Alias(alias) => alias.expr.as_mut(),
            function => function,
        };
        if let Expr::WindowFunction(function) = function {
            let WindowFunction { params, .. } = function.as_mut();
            let order = params.order_by.iter_mut().map(|key| &mut key.expr);
            for key in params.partition_by.iter_mut().chain(order) {
                columns.take(key)?;
            }
        }
    }
    if columns.keys.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    // Each under the name that it had.
    let named = functions.iter().zip(&window.window_expr).map(|(function, before)| {
        let (_, name) = before.qualified_name();
        let (_, computed) = function.qualified_name();
        Expr::Column(Column::new_unqualified(computed)).alias(name)
    });
    let kept = all(&window.input).chain(named).collect();
    let computed = Window::try_new(functions, columns.with_keys()?)?;
    let plan = Projection::try_new(kept, Arc::new(LogicalPlan::Window(computed)))?;
    Ok(Transformed::yes(LogicalPlan::Projection(plan)))
}

fn of_sort(sort: Sort) -> Result<Transformed<LogicalPlan>> {
    let mut columns = Columns::of(&sort.input);
    let mut keys = sort.expr.clone();
    for key in &mut keys {
        columns.take(&mut key.expr)?;
    }
    if columns.keys.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Sort(sort)));
    }
    let kept = all(&sort.input).collect();
    let sorted = Sort {
        expr: keys,
        input: columns.with_keys()?,
        fetch: sort.fetch,
    };
    let plan = Projection::try_new(kept, Arc::new(LogicalPlan::Sort(sorted)))?;
    Ok(Transformed::yes(LogicalPlan::Projection(plan)))
}
