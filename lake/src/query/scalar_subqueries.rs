//! A subquery as a value: null of no row, an error of more than one. (SQL:2016, 7.19, "scalar subquery".)
//!
//! The engine plans it as never null where its column is never null, and then finds `(select 1 where false) is null` false.
//! And it refuses one that reads the outer row and might have more than one row. Both become an aggregate of one value.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Column, Result, ScalarValue, exec_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Limit, LogicalPlan, LogicalPlanBuilder, Signature, Subquery,
    Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::expressions::rewrite;

/// Makes an aggregate of subqueries that may have no row, or more than one.
#[derive(Debug)]
pub(super) struct OneValue;

impl AnalyzerRule for OneValue {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let function = Arc::new(AggregateUDF::from(SingleValue::default()));
        plan.transform_up_with_subqueries(|plan| {
            rewrite(plan, |expr| {
                expr.transform_up(|expr| match expr {
                    Expr::ScalarSubquery(subquery) if !is_one_value(&subquery) => aggregated(subquery, &function),
                    other => Ok(Transformed::no(other)),
                })
            })
        })
        .map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "one_value"
    }
}

/// Whether the engine plans the subquery as it is, and knows where it is null.
fn is_one_value(subquery: &Subquery) -> bool {
    let plan = subquery.subquery.as_ref();
    let Some(field) = plan
        .schema()
        .fields()
        .first()
        .filter(|_| plan.schema().fields().len() == 1)
    else {
        return true;
    };
    match (subquery.outer_ref_columns.is_empty(), rows(plan)) {
        (_, Rows::One) | (false, Rows::OneOrNone) => true,
        (true, _) => field.is_nullable(),
        (false, Rows::Some) => false,
    }
}

/// How many rows a plan has, whatever there is to read.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Rows {
    One,
    OneOrNone,
    Some,
}

fn rows(plan: &LogicalPlan) -> Rows {
    match plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => Rows::One,
        LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => Rows::One,
        LogicalPlan::Projection(projection) => rows(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => rows(&alias.input),
        LogicalPlan::Sort(sort) => rows(&sort.input),
        LogicalPlan::Filter(filter) => match rows(&filter.input) {
            Rows::One => Rows::OneOrNone,
            rows => rows,
        },
        LogicalPlan::Limit(Limit { fetch: Some(fetch), .. }) if **fetch == lit(1_i64) => Rows::OneOrNone,
        _ => Rows::Some,
    }
}

fn aggregated(subquery: Subquery, function: &Arc<AggregateUDF>) -> Result<Transformed<Expr>> {
    let plan = subquery.subquery.as_ref().clone();
    let (relation, field) = plan.schema().qualified_field(0);
    let (relation, name) = (relation.cloned(), field.name().clone());
    let value = Expr::Column(Column::new(relation.clone(), name.clone()));
    let single = function.call(vec![value]);
    let column = Expr::Column(Column::new_unqualified(single.schema_name().to_string()));
    let plan = LogicalPlanBuilder::from(plan)
        .aggregate(Vec::<Expr>::new(), vec![single])?
        .project([column.alias_qualified(relation, name)])?
        .build()?;
    Ok(Transformed::yes(Expr::ScalarSubquery(Subquery {
        outer_ref_columns: plan.all_out_ref_exprs(),
        subquery: Arc::new(plan),
        spans: subquery.spans,
    })))
}

/// The value of the only row.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleValue {
    signature: Signature,
}

impl Default for SingleValue {
    fn default() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for SingleValue {
    fn name(&self) -> &str {
        "single_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let [value] = take_function_args(self.name(), given)?;
        Ok(value.clone())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single {
            value: ScalarValue::try_from(args.return_field.data_type())?,
            is_found: false,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name, data_type: &DataType| {
            Arc::new(Field::new(format_state_name(args.name, name), data_type.clone(), true))
        };
        Ok(vec![
            field("value", args.return_field.data_type()),
            field("found", &DataType::Boolean),
        ])
    }
}

/// The value so far.
#[derive(Debug)]
struct Single {
    value: ScalarValue,
    is_found: bool,
}

impl Single {
    fn take(&mut self, values: &ArrayRef, row: usize) -> Result<()> {
        if self.is_found {
            return exec_err!("more than one row returned by a subquery used as an expression");
        }
        self.value = ScalarValue::try_from_array(values, row)?.compacted();
        self.is_found = true;
        Ok(())
    }
}

impl Accumulator for Single {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [values] = take_function_args("single_value", columns)?;
        // The second row is one too many.
        (0..values.len().min(2)).try_for_each(|row| self.take(values, row))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, found] = take_function_args("single_value", states)?;
        let found = found.as_boolean();
        let mut rows = (0..values.len()).filter(|&row| found.value(row));
        rows.try_for_each(|row| self.take(values, row))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), ScalarValue::Boolean(Some(self.is_found))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size()
    }
}
