//! Casts that the engine does in another way than PostgreSQL become calls of `cast_as`.
//!
//! Before the engine fits types to each other, for what was written; and after it, for the casts that it put in itself, as in
//! `'at ' || at`.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, TryCast};
use datafusion::optimizer::AnalyzerRule;

use super::expressions::rewrite;
use super::functions::casts::{OnFailure, cast_as, differs, type_name};

/// Puts PostgreSQL's casts in the place of the engine's.
#[derive(Debug)]
pub(super) struct PostgresCasts {
    /// Whether the casts are those of the statement: what PostgreSQL refuses is refused.
    pub written: bool,
}

impl AnalyzerRule for PostgresCasts {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| self.of_plan(plan))
            .map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        if self.written {
            "postgres_casts"
        } else {
            "postgres_coercions"
        }
    }
}

impl PostgresCasts {
    fn of_plan(&self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let has_casts = plan.expressions().iter().any(|expr| {
            let is_cast = |expr: &Expr| Ok(matches!(expr, Expr::Cast(_) | Expr::TryCast(_)));
            expr.exists(is_cast).unwrap_or(true)
        });
        if !has_casts {
            return Ok(Transformed::no(plan));
        }
        let mut schema = merge_schema(&plan.inputs());
        if let LogicalPlan::TableScan(scan) = &plan {
            schema.merge(&scan.projected_schema);
        }
        rewrite(plan, |expr| expr.transform_up(|expr| self.of_expression(expr, &schema)))
    }

    fn of_expression(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let (value, to, on_failure) = match &expr {
            Expr::Cast(Cast { expr, field }) => (expr, field.data_type(), OnFailure::Error),
            Expr::TryCast(TryCast { expr, field }) => (expr, field.data_type(), OnFailure::Null),
            _ => return Ok(Transformed::no(expr)),
        };
        let Ok(from) = value.get_type(schema) else {
            return Ok(Transformed::no(expr));
        };
        if self.written && is_refused(&from, to) {
            return plan_err!(
                "cannot cast type {} to {}: to_timestamp(seconds) and extract(epoch from at) convert",
                type_name(&from),
                type_name(to)
            );
        }
        if !differs(&from, to) {
            return Ok(Transformed::no(expr));
        }
        let of_type = Expr::Literal(ScalarValue::try_from(to)?, None);
        let value = value.as_ref().clone();
        let call = ScalarFunction::new_udf(cast_as(on_failure), vec![value, of_type]);
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    }
}

/// Numbers are not times: in which unit would they be?
fn is_refused(from: &DataType, to: &DataType) -> bool {
    let is_time =
        |data_type: &DataType| matches!(data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
    from.is_numeric() && is_time(to) || is_time(from) && to.is_numeric()
}
