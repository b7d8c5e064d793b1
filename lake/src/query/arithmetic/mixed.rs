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
            let Some(float) = float_of(results.chain(&case.else_expr).map(|result| result.get_type(schema))) else {
                return Transformed::no(Expr::Case(case));
            };
            for result in case
                .when_then_expr
                .iter_mut()
                .map(|(_, result)| result)
                .chain(&mut case.else_expr)
            {
                **result = in_floats(std::mem::take(&mut **result), &float, schema);
            }
            Transformed::yes(Expr::Case(case))
        }
        Expr::ScalarFunction(mut call) if ONE_OF.contains(&call.func.name()) => {
            let Some(float) = float_of(call.args.iter().map(|arg| arg.get_type(schema))) else {
                return Transformed::no(Expr::ScalarFunction(call));
            };
            let args = call.args.into_iter();
            call.args = args.map(|arg| in_floats(arg, &float, schema)).collect();
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
    let floats: Vec<Option<DataType>> = (0..columns).map(|place| float_of(types(place))).collect();
    if floats.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let inputs = union.inputs.iter().map(|input| {
        let schema = input.schema();
        let columns = schema.columns().into_iter().zip(&floats).map(|(column, float)| {
            let (relation, name) = (column.relation.clone(), column.name.clone());
            let column = Expr::Column(column);
            match float {
                Some(float) => match in_floats(column, float, schema) {
                    cast @ Expr::Cast(_) => cast.alias_qualified(relation, name),
                    column => column,
                },
                None => column,
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

/// The type of floats among which there are decimals: of 32 bits, if all of them are.
fn float_of(types: impl Iterator<Item = Result<DataType>>) -> Option<DataType> {
    let (mut float, mut decimal) = (None, false);
    for data_type in types.flatten() {
        match data_type {
            DataType::Float32 if float.is_none() => float = Some(DataType::Float32),
            DataType::Float16 | DataType::Float64 => float = Some(DataType::Float64),
            DataType::Decimal128(..) => decimal = true,
            _ => {}
        }
    }
    float.filter(|_| decimal)
}

/// A decimal as a float; anything else as it is.
fn in_floats(expr: Expr, float: &DataType, schema: &DFSchema) -> Expr {
    match expr.get_type(schema) {
        Ok(DataType::Decimal128(..)) => Expr::Cast(Cast::new(Box::new(expr), float.clone())),
        _ => expr,
    }
}
