//! A double beside a decimal is a double: `coalesce(x, 0.0)`, a `case` of both, a union. The engine makes decimals of 15
//! digits after the point of them, which 1e-16 is not, and most others are cut to.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Union};
use datafusion::optimizer::AnalyzerRule;

use crate::query::expressions::rewrite;

/// Functions of the engine that answer with one of their arguments, or with all of them in a list.
const ONE_OF: [&str; 7] = ["coalesce", "nvl", "ifnull", "greatest", "least", "nullif", "make_array"];

/// Makes doubles of decimals that stand beside doubles.
#[derive(Debug)]
pub(in crate::query) struct DoublesAmongDecimals;

impl AnalyzerRule for DoublesAmongDecimals {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(of_plan).map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "doubles_among_decimals"
    }
}

fn of_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::Union(union) = plan {
        return of_union(union);
    }
    let schema = merge_schema(&plan.inputs());
    let plan = rewrite(plan, |expr| expr.transform_up(|expr| Ok(of_expression(expr, &schema))))?;
    // A column that was a decimal may be a double now.
    match plan.transformed {
        true => plan.map_data(LogicalPlan::recompute_schema),
        false => Ok(plan),
    }
}

fn of_expression(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::Case(mut case) => {
            let results = case.when_then_expr.iter().map(|(_, result)| result);
            if !is_mixed(results.chain(&case.else_expr).map(|result| result.get_type(schema))) {
                return Transformed::no(Expr::Case(case));
            }
            for result in case
                .when_then_expr
                .iter_mut()
                .map(|(_, result)| result)
                .chain(&mut case.else_expr)
            {
                **result = double(std::mem::take(&mut **result), schema);
            }
            Transformed::yes(Expr::Case(case))
        }
        Expr::ScalarFunction(mut call) if ONE_OF.contains(&call.func.name()) => {
            if !is_mixed(call.args.iter().map(|arg| arg.get_type(schema))) {
                return Transformed::no(Expr::ScalarFunction(call));
            }
            call.args = call.args.into_iter().map(|arg| double(arg, schema)).collect();
            Transformed::yes(Expr::ScalarFunction(call))
        }
        other => Transformed::no(other),
    }
}

fn of_union(union: Union) -> Result<Transformed<LogicalPlan>> {
    let columns = union.inputs.first().map_or(0, |input| input.schema().fields().len());
    let types = |place: usize| {
        let fields = union
            .inputs
            .iter()
            .filter_map(move |input| input.schema().fields().get(place));
        fields.map(|field| Ok(field.data_type().clone()))
    };
    let mixed: Vec<bool> = (0..columns).map(|place| is_mixed(types(place))).collect();
    if !mixed.contains(&true) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let inputs = union.inputs.iter().map(|input| {
        let schema = input.schema();
        let columns = schema.columns().into_iter().zip(&mixed).map(|(column, mixed)| {
            let (relation, name) = (column.relation.clone(), column.name.clone());
            match double(Expr::Column(column), schema) {
                cast @ Expr::Cast(_) if *mixed => cast.alias_qualified(relation, name),
                _ => Expr::Column(datafusion::common::Column::new(relation, name)),
            }
        });
        LogicalPlanBuilder::from(input.as_ref().clone())
            .project(columns)?
            .build()
            .map(Arc::new)
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(
        inputs,
    )?)))
}

fn is_mixed(types: impl Iterator<Item = Result<DataType>>) -> bool {
    let (mut double, mut decimal) = (false, false);
    for data_type in types.flatten() {
        double |= data_type.is_floating();
        decimal |= matches!(data_type, DataType::Decimal128(..));
    }
    double && decimal
}

/// A decimal as a double; anything else as it is.
fn double(expr: Expr, schema: &DFSchema) -> Expr {
    match expr.get_type(schema) {
        Ok(DataType::Decimal128(..)) => Expr::Cast(Cast::new(Box::new(expr), DataType::Float64)),
        _ => expr,
    }
}
