//! Functions of lists: counters of their items, and what Snowflake's FLATTEN gives.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, exec_err};
use datafusion::functions_nested::replace::array_replace_all_udf;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::Functions;
use super::define::{functions, section};

mod bounds;
mod flatten;
pub(in crate::query) mod order;
pub(in crate::query) mod remove;
mod series;
mod signed;
mod trim;

/// The functions of lists.
pub(super) fn all() -> Functions {
    let mut scalar = functions("Lists", bounds::DEFINITIONS);
    scalar.extend(signed::all());
    scalar.extend(series::all());
    scalar.extend([
        Arc::new(ScalarUDF::new_from_impl(Counter::new("list_ordinals", 1))),
        Arc::new(ScalarUDF::new_from_impl(Counter::new("list_offsets", 0))),
        Arc::new(ScalarUDF::new_from_impl(flatten::Flatten::new())),
        order::function(),
        remove::function(),
        trim::function(),
        // Of the first equal item alone is the engine's function of this name.
        other_names(&array_replace_all_udf(), &["array_replace", "list_replace"]),
    ]);
    Functions {
        scalar,
        ..Functions::default()
    }
}

fn other_names(function: &ScalarUDF, names: &[&'static str]) -> Arc<ScalarUDF> {
    Arc::new(function.clone().with_aliases(names.iter().copied()))
}

/// The places of the items of lists, as many as the longest of them has.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Counter {
    name: &'static str,
    first: i64,
    signature: Signature,
    documentation: Documentation,
}

impl Counter {
    fn new(name: &'static str, first: i64) -> Self {
        let what = format!("The places of the items of lists, from {first} on, as many as the longest list has.");
        let documentation = Documentation::builder(section("Lists"), what, format!("{name}(list, …)"));
        Self {
            name,
            first,
            signature: Signature::variadic_any(Volatility::Immutable),
            documentation: documentation
                .with_sql_example(format!("{name}(['a', 'b']) = [{first}, {}]", first + 1))
                .build(),
        }
    }
}

impl ScalarUDFImpl for Counter {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::new_list(DataType::Int64, true))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lists = ColumnarValue::values_to_arrays(&args.args)?;
        let rows = lists.first().map_or(args.number_rows, |list| list.len());
        let mut lengths = vec![None; rows];
        for list in &lists {
            for (row, length) in lengths.iter_mut().enumerate() {
                *length = (*length).max(length_of(list, row)?);
            }
        }
        let places = lengths
            .iter()
            .flat_map(|length| (self.first..).take(length.unwrap_or_default()));
        let item = Arc::new(Field::new_list_field(DataType::Int64, true));
        Ok(ColumnarValue::Array(Arc::new(ListArray::try_new(
            item,
            OffsetBuffer::from_lengths(lengths.iter().map(|length| length.unwrap_or_default())),
            Arc::new(places.collect::<Int64Array>()),
            Some(lengths.iter().map(Option::is_some).collect::<NullBuffer>()),
        )?)))
    }
}

/// The number of items of a list, nothing if it is null.
fn length_of(list: &ArrayRef, row: usize) -> Result<Option<usize>> {
    if list.is_null(row) {
        return Ok(None);
    }
    Ok(Some(match list.data_type() {
        DataType::List(_) => list.as_list::<i32>().value(row).len(),
        DataType::LargeList(_) => list.as_list::<i64>().value(row).len(),
        DataType::FixedSizeList(_, length) => usize::try_from(*length).unwrap_or_default(),
        DataType::ListView(_) => list.as_list_view::<i32>().value(row).len(),
        DataType::LargeListView(_) => list.as_list_view::<i64>().value(row).len(),
        DataType::Null => return Ok(None),
        other => return exec_err!("a list is wanted, not {other}"),
    }))
}
