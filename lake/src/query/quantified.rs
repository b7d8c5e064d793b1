//! `x = any (list)`, `x > all (list)` and their kind: a comparison with each item of a list. (PostgreSQL, "Row and Array
//! Comparisons".) The engine has them from the smallest and the greatest item, which know of no nulls.
//!
//! ANY is true if a comparison is true, else null if one is null, else false; ALL is false if one is false, else null if
//! one is null, else true. Of a list that is null the answer is null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, UInt32Array, make_comparator};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::cmp;
use arrow::compute::{SortOptions, take};
use arrow::datatypes::DataType;
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// How many of the comparisons are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Quantifier {
    Any,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The comparisons by the names that rewrites write and that errors show.
const NAMES: [(&str, Quantifier, Comparison); 12] = [
    ("= any", Quantifier::Any, Comparison::Equal),
    ("<> any", Quantifier::Any, Comparison::Unequal),
    ("< any", Quantifier::Any, Comparison::Less),
    ("<= any", Quantifier::Any, Comparison::LessOrEqual),
    ("> any", Quantifier::Any, Comparison::Greater),
    (">= any", Quantifier::Any, Comparison::GreaterOrEqual),
    ("= all", Quantifier::All, Comparison::Equal),
    ("<> all", Quantifier::All, Comparison::Unequal),
    ("< all", Quantifier::All, Comparison::Less),
    ("<= all", Quantifier::All, Comparison::LessOrEqual),
    ("> all", Quantifier::All, Comparison::Greater),
    (">= all", Quantifier::All, Comparison::GreaterOrEqual),
];

/// Plans them, from operators of those names.
#[derive(Debug)]
pub(super) struct Planner;

impl ExprPlanner for Planner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let BinaryOperator::Custom(name) = &expr.op else {
            return Ok(PlannerResult::Original(expr));
        };
        let Some(function) = Quantified::named(name) else {
            return Ok(PlannerResult::Original(expr));
        };
        let RawBinaryExpr { left, right, .. } = expr;
        if let Ok(data_type) = right.get_type(schema)
            && !may_be_list(&data_type)
        {
            return plan_err!("{name} takes a list or a subquery behind it, not {data_type}");
        }
        Ok(PlannerResult::Planned(function.call(vec![left, right])))
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn may_be_list(data_type: &DataType) -> bool {
    item(data_type).is_some() || is_text(data_type) || data_type.is_null()
}

fn item(list: &DataType) -> Option<&DataType> {
    match list {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(item.data_type()),
        _ => None,
    }
}

/// A comparison of a value with the items of a list.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantified {
    name: &'static str,
    quantifier: Quantifier,
    comparison: Comparison,
    /// Whether it stays what it is, where IN would do too.
    stays: bool,
    signature: Signature,
}

impl Quantified {
    fn named(name: &str) -> Option<Arc<ScalarUDF>> {
        Self::function(name, false)
    }

    fn function(name: &str, stays: bool) -> Option<Arc<ScalarUDF>> {
        let (name, quantifier, comparison) = NAMES.into_iter().find(|(known, ..)| *known == name)?;
        Some(Arc::new(ScalarUDF::from(Self {
            name,
            quantifier,
            comparison,
            stays,
            signature: Signature::user_defined(Volatility::Immutable),
        })))
    }
}

/// IN as a comparison with a list, which no rule of the engine's merges with others. None: its items are no constants of
/// one type.
pub(super) fn of_in_list(list: &InList) -> Result<Option<Expr>> {
    let simplifier = ExprSimplifier::new(SimplifyContext::default());
    let mut items = Vec::with_capacity(list.list.len());
    for item in &list.list {
        match simplifier.simplify(item.clone())? {
            Expr::Literal(value, _) => items.push(value),
            _ => return Ok(None),
        }
    }
    let Some(data_type) = items.first().map(ScalarValue::data_type) else {
        return Ok(None);
    };
    let function = Quantified::function(if list.negated { "<> all" } else { "= any" }, true);
    let is_one_type = items.iter().all(|item| item.data_type() == data_type);
    Ok(function.filter(|_| is_one_type).map(|function| {
        let items = ScalarValue::List(ScalarValue::new_list(&items, &data_type, true));
        function.call(vec![list.expr.as_ref().clone(), Expr::Literal(items, None)])
    }))
}

impl ScalarUDFImpl for Quantified {
    fn name(&self) -> &str {
        self.name
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        let [value, list] = take_function_args(self.name, args)?;
        Ok(format!("{value} {} ({list})", self.name))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [value, list] = take_function_args(self.name, args)?;
        Ok(format!(
            "{} {} ({})",
            value.schema_name(),
            self.name,
            list.schema_name()
        ))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [value, list] = take_function_args(self.name, arg_types)?;
        let item = match item(list) {
            Some(item) => item,
            // A list that is written as a text, `'{1,2}'`, or a null.
            None if may_be_list(list) => value,
            None => return plan_err!("{} takes a list or a subquery behind it, not {list}", self.name),
        };
        match common(value, item) {
            Some(common) => Ok(vec![common.clone(), DataType::new_list(common, true)]),
            None => plan_err!("{value} {} {list}: they cannot be compared", self.name),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    /// `x = any (list)` of constants is IN, by which files can be passed over.
    fn simplify(&self, args: Vec<Expr>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let negated = match (self.quantifier, self.comparison) {
            (Quantifier::Any, Comparison::Equal) => false,
            (Quantifier::All, Comparison::Unequal) => true,
            _ => return Ok(ExprSimplifyResult::Original(args)),
        };
        match args.as_slice() {
            [value, Expr::Literal(ScalarValue::List(list), metadata)] if !self.stays && list.is_valid(0) => {
                let items = list.value(0);
                let item = |place| {
                    Ok(Expr::Literal(
                        ScalarValue::try_from_array(&items, place)?,
                        metadata.clone(),
                    ))
                };
                let items = (0..items.len()).map(item).collect::<Result<Vec<_>>>()?;
                let list = InList::new(Box::new(value.clone()), items, negated);
                Ok(ExprSimplifyResult::Simplified(Expr::InList(list)))
            }
            _ => Ok(ExprSimplifyResult::Original(args)),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [values, lists] = arrays.as_slice() else {
            return exec_err!("{} compares a value with a list", self.name);
        };
        let Some(lists) = lists.as_list_opt::<i32>() else {
            return exec_err!("{} compares with a list", self.name);
        };
        let answers = self.answers(values, lists)?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&answers, 0)?),
            false => ColumnarValue::Array(Arc::new(answers)),
        })
    }
}

impl Quantified {
    fn answers(&self, values: &ArrayRef, lists: &ListArray) -> Result<BooleanArray> {
        let offsets = lists.value_offsets();
        let (first, last) = (
            offsets.first().copied().unwrap_or_default() as usize,
            offsets.last().copied().unwrap_or_default() as usize,
        );
        let items = lists.values().slice(first, last - first);
        let rows = (0..lists.len()).flat_map(|row| std::iter::repeat_n(row as u32, lists.value_length(row) as usize));
        let values = take(values, &UInt32Array::from_iter_values(rows), None)?;
        let compared = compare(self.comparison, &values, &items)?;
        let mut next = 0;
        let answers = (0..lists.len()).map(|row| {
            let items = next..next + lists.value_length(row) as usize;
            next = items.end;
            match lists.is_null(row) {
                true => None,
                false => self
                    .quantifier
                    .of(items.map(|item| compared.is_valid(item).then(|| compared.value(item)))),
            }
        });
        Ok(answers.collect())
    }
}

impl Quantifier {
    fn of(self, mut answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
        let decisive = self == Self::Any;
        let mut is_unknown = false;
        let is_decided = answers.any(|answer| {
            is_unknown |= answer.is_none();
            answer == Some(decisive)
        });
        match (is_decided, is_unknown) {
            (true, _) => Some(decisive),
            (false, true) => None,
            (false, false) => Some(!decisive),
        }
    }
}

/// The type in which two are compared: a double and a decimal as doubles.
fn common(left: &DataType, right: &DataType) -> Option<DataType> {
    let is_decimal = |data_type: &DataType| matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..));
    if left.is_floating() && is_decimal(right) || is_decimal(left) && right.is_floating() {
        return Some(DataType::Float64);
    }
    Some(match comparison_coercion(left, right)? {
        DataType::Null => DataType::Boolean,
        common => common,
    })
}

fn compare(comparison: Comparison, left: &ArrayRef, right: &ArrayRef) -> Result<BooleanArray> {
    use Comparison as C;
    if left.data_type().is_nested() {
        let order = make_comparator(left, right, SortOptions::default())?;
        let holds = BooleanBuffer::collect_bool(left.len(), |row| {
            let order = order(row, row);
            match comparison {
                C::Equal => order.is_eq(),
                C::Unequal => order.is_ne(),
                C::Less => order.is_lt(),
                C::LessOrEqual => order.is_le(),
                C::Greater => order.is_gt(),
                C::GreaterOrEqual => order.is_ge(),
            }
        });
        let nulls = NullBuffer::union(left.logical_nulls().as_ref(), right.logical_nulls().as_ref());
        return Ok(BooleanArray::new(holds, nulls));
    }
    let compare = match comparison {
        C::Equal => cmp::eq,
        C::Unequal => cmp::neq,
        C::Less => cmp::lt,
        C::LessOrEqual => cmp::lt_eq,
        C::Greater => cmp::gt,
        C::GreaterOrEqual => cmp::gt_eq,
    };
    Ok(compare(left, right)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::datatypes::Int64Type;

    use super::*;

    fn answer(name: &str, value: Option<i64>, list: Option<Vec<Option<i64>>>) -> Option<bool> {
        let function = Quantified::named(name).unwrap();
        let function = function.inner().downcast_ref::<Quantified>().unwrap();
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(9); 3]), list]);
        let values: ArrayRef = Arc::new(Int64Array::from(vec![None, value]));
        let answers = function.answers(&values, &lists).unwrap();
        // What a list is a slice of does not count.
        let alone = function.answers(&values.slice(1, 1), &lists.slice(1, 1)).unwrap();
        assert_eq!(alone, answers.slice(1, 1));
        answers.iter().next_back().flatten()
    }

    #[test]
    fn nulls_are_unknown() {
        for (name, value, list, right) in [
            ("= any", Some(1), Some(vec![Some(1), None]), Some(true)),
            ("= any", Some(2), Some(vec![Some(1), None]), None),
            ("= any", Some(2), Some(vec![Some(1)]), Some(false)),
            ("= any", None, Some(vec![]), Some(false)),
            ("> any", Some(0), Some(vec![Some(1), None]), None),
            ("> any", Some(2), Some(vec![Some(1), None]), Some(true)),
            ("<> all", Some(2), Some(vec![Some(1), None]), None),
            ("<> all", Some(1), Some(vec![Some(1), None]), Some(false)),
            ("< all", None, Some(vec![]), Some(true)),
            ("< all", None, Some(vec![Some(1)]), None),
            ("< all", Some(0), None, None),
        ] {
            assert_eq!(answer(name, value, list.clone()), right, "{value:?} {name} {list:?}");
        }
    }
}
