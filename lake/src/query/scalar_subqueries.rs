//! A subquery as a value: null of no row, an error of more than one. (SQL:2016, 7.19, "scalar subquery".)
//!
//! The engine plans it as never null where its column is never null, and then finds `(select 1 where false) is null` false.
//! And it refuses one that reads the outer row and might have more than one row. Both become an aggregate of one value.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Column, Result, ScalarValue, exec_err, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Expr, Limit, LogicalPlan, LogicalPlanBuilder,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Subquery, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::correlation::OuterColumns;
use super::expressions::rewrite;

/// Makes an aggregate of subqueries that may have no row, or more than one.
#[derive(Debug)]
pub(super) struct OneValue;

impl AnalyzerRule for OneValue {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let functions = Functions::new();
        plan.transform_up_with_subqueries(|plan| {
            rewrite(plan, |expr| {
                expr.transform_up(|expr| match expr {
                    Expr::ScalarSubquery(subquery) if !is_one_value(&subquery)? => aggregated(subquery, &functions),
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
fn is_one_value(subquery: &Subquery) -> Result<bool> {
    let plan = subquery.subquery.as_ref();
    let Some(field) = plan
        .schema()
        .fields()
        .first()
        .filter(|_| plan.schema().fields().len() == 1)
    else {
        return Ok(true);
    };
    Ok(match (OuterColumns::of(plan)?.is_empty(), rows(plan)) {
        (_, Rows::One) | (false, Rows::OneOrNone) => true,
        (true, _) => field.is_nullable(),
        (false, Rows::Some) => false,
    })
}

/// How many rows a plan has, whatever there is to read.
#[derive(PartialEq, Eq, Clone, Copy)]
pub(super) enum Rows {
    One,
    OneOrNone,
    Some,
}

pub(super) fn rows(plan: &LogicalPlan) -> Rows {
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

/// The value of the only row, calculated where the subquery stands: of rows that nobody asks for there may be several.
fn aggregated(subquery: Subquery, functions: &Functions) -> Result<Transformed<Expr>> {
    let plan = subquery.subquery.as_ref().clone();
    let (relation, field) = plan.schema().qualified_field(0);
    let (relation, name) = (relation.cloned(), field.name().clone());
    let value = Expr::Column(Column::new(relation.clone(), name.clone()));
    let rows = functions.rows.call(vec![value]);
    let column = Expr::Column(Column::new_unqualified(rows.schema_name().to_string()));
    let plan = LogicalPlanBuilder::from(plan)
        .aggregate(Vec::<Expr>::new(), vec![rows])?
        .project([column.alias_qualified(relation, name)])?
        .build()?;
    let only = match OuterColumns::of(&plan)?.is_empty() {
        true => &functions.only,
        false => &functions.only_where_asked,
    };
    let subquery = Expr::ScalarSubquery(Subquery {
        outer_ref_columns: plan.all_out_ref_exprs(),
        subquery: Arc::new(plan),
        spans: subquery.spans,
    });
    Ok(Transformed::yes(only.call(vec![subquery])))
}

struct Functions {
    rows: Arc<AggregateUDF>,
    only: Arc<ScalarUDF>,
    /// The same, calculated for no rows but those that ask for it.
    only_where_asked: Arc<ScalarUDF>,
}

impl Functions {
    fn new() -> Self {
        Self {
            rows: Arc::new(AggregateUDF::from(FirstRows {
                signature: Signature::any(1, Volatility::Immutable),
            })),
            only: Only::of(Volatility::Immutable),
            only_where_asked: Only::of(Volatility::Volatile),
        }
    }
}

/// The values of the first row and the second, as a list.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FirstRows {
    signature: Signature,
}

impl AggregateUDFImpl for FirstRows {
    fn name(&self) -> &str {
        "first_rows"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let [value] = take_function_args(self.name(), given)?;
        Ok(DataType::new_list(value.clone(), true))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match args.return_field.data_type() {
            DataType::List(item) => Ok(Box::new(Collected {
                values: Vec::new(),
                data_type: item.data_type().clone(),
            })),
            other => internal_err!("rows of a subquery are a list, not {other}"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "rows");
        Ok(vec![Arc::new(Field::new(
            name,
            args.return_field.data_type().clone(),
            true,
        ))])
    }
}

/// The values so far.
#[derive(Debug)]
struct Collected {
    values: Vec<ScalarValue>,
    data_type: DataType,
}

impl Collected {
    fn take(&mut self, values: &ArrayRef) -> Result<()> {
        // The second is one too many.
        for row in 0..values.len().min(2 - self.values.len()) {
            self.values.push(ScalarValue::try_from_array(values, row)?.compacted());
        }
        Ok(())
    }
}

impl Accumulator for Collected {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [values] = take_function_args("first_rows", columns)?;
        self.take(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [lists] = take_function_args("first_rows", states)?;
        let lists = lists.as_list_opt::<i32>().into_iter();
        lists
            .flat_map(|lists| lists.iter().flatten())
            .try_for_each(|values| self.take(&values))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::List(ScalarValue::new_list(
            &self.values,
            &self.data_type,
            true,
        )))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.iter().map(ScalarValue::size).sum::<usize>()
    }
}

/// The only item of a list; null of none.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Only {
    signature: Signature,
}

impl Only {
    fn of(volatility: Volatility) -> Arc<ScalarUDF> {
        let signature = Signature::any(1, volatility);
        Arc::new(ScalarUDF::from(Self { signature }))
    }
}

impl ScalarUDFImpl for Only {
    fn name(&self) -> &str {
        "only_row"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [DataType::List(item)] => Ok(item.data_type().clone()),
            _ => internal_err!("rows of a subquery are a list"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [rows] = take_function_args(self.name(), &args.args)?;
        let rows = rows.to_array(args.number_rows)?;
        let Some(lists) = rows.as_list_opt::<i32>() else {
            return internal_err!("rows of a subquery are a list");
        };
        let first = |row: usize| match lists.is_valid(row).then(|| lists.value_length(row)) {
            None | Some(0) => Ok(None),
            Some(1) => Ok(u64::try_from(lists.value_offsets()[row]).ok()),
            Some(_) => exec_err!("more than one row returned by a subquery used as an expression"),
        };
        let places = (0..lists.len()).map(first).collect::<Result<UInt64Array>>()?;
        Ok(ColumnarValue::Array(take(lists.values(), &places, None)?))
    }
}
