//! The rows of Snowflake's FLATTEN, of a list or of JSON.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StringArray, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::super::define::{section, text_of};
use super::super::json::scan::Value;

/// `flatten_rows(input, outer)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Flatten {
    signature: Signature,
    documentation: Documentation,
}

impl Flatten {
    pub fn new() -> Self {
        let documentation = Documentation::builder(
            section("Lists"),
            "The items of a list, or the items or members of JSON, as a list of `seq`, `key`, `path`, `index`, `value` and \
             `this`: what `lateral flatten(input => …)` calls. If the second argument is true, there is a row for what has \
             none.",
            "flatten_rows(list | json, outer)",
        );
        Self {
            signature: Signature::any(2, Volatility::Immutable),
            documentation: documentation
                .with_sql_example("(select count(*) from table(flatten(input => parse_json('[1, 2]')))) = 2")
                .build(),
        }
    }
}

/// What a row has, for items of a type of an input of a type.
fn fields(item: DataType, this: DataType) -> Fields {
    Fields::from(vec![
        Field::new("seq", DataType::Int64, true),
        Field::new("key", DataType::Utf8, true),
        Field::new("path", DataType::Utf8, true),
        Field::new("index", DataType::Int64, true),
        Field::new("value", item, true),
        Field::new("this", this, true),
    ])
}

fn fields_of(input: &DataType) -> Result<Fields> {
    match input {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Ok(fields(item.data_type().clone(), DataType::List(item.clone())))
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
            Ok(fields(DataType::Utf8, DataType::Utf8))
        }
        other => plan_err!("flatten takes a list or JSON, not {other}"),
    }
}

impl ScalarUDFImpl for Flatten {
    fn name(&self) -> &str {
        "flatten_rows"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given.first() {
            Some(input) => Ok(DataType::new_list(DataType::Struct(fields_of(input)?), true)),
            None => plan_err!("flatten takes a list or JSON"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [input, outer] = arrays.as_slice() else {
            return exec_err!("flatten takes a list or JSON");
        };
        let outer = cast(outer, &DataType::Boolean)?;
        let outer = |row: usize| outer.as_boolean().is_valid(row) && outer.as_boolean().value(row);
        let types = fields_of(input.data_type())?;
        let mut rows = Rows::default();
        let (values, this): (ArrayRef, ArrayRef) = match input.data_type() {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                let lists = cast(input, &DataType::List(item.clone()))?;
                let list = lists.as_list::<i32>();
                let mut taken = Vec::new();
                for (row, offsets) in list.offsets().windows(2).enumerate() {
                    let (start, end) = match offsets {
                        [start, end] if list.is_valid(row) => (*start, *end),
                        _ => (0, 0),
                    };
                    for (index, place) in (start..end).enumerate() {
                        taken.push(u32::try_from(place).ok());
                        rows.item(row, None, i64::try_from(index).ok());
                    }
                    if start == end && outer(row) {
                        taken.push(None);
                        rows.item(row, None, None);
                    }
                    rows.end();
                }
                (take(list.values(), &UInt32Array::from(taken), None)?, lists.clone())
            }
            _ => {
                let texts = cast(input, &DataType::Utf8)?;
                let mut values: Vec<Option<String>> = Vec::new();
                for row in 0..texts.len() {
                    let text = if texts.is_null(row) { None } else { text_of(&texts, row) };
                    let before = values.len();
                    if let Some(text) = text {
                        let value = Value::parse(text)?;
                        for (index, item) in value.items().enumerate() {
                            values.push(Some(item.raw().to_owned()));
                            rows.item(row, None, i64::try_from(index).ok());
                        }
                        for (name, member) in value.unique_members() {
                            values.push(Some(member.raw().to_owned()));
                            rows.item(row, Some(name.into_owned()), None);
                        }
                    }
                    if values.len() == before && outer(row) {
                        values.push(None);
                        rows.item(row, None, None);
                    }
                    rows.end();
                }
                (Arc::new(StringArray::from(values)), texts)
            }
        };
        let this = take(&this, &UInt32Array::from(rows.of.clone()), None)?;
        let item = Arc::new(Field::new_list_field(DataType::Struct(types.clone()), true));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(
                rows.of
                    .iter()
                    .map(|&row| Some(i64::from(row) + 1))
                    .collect::<Int64Array>(),
            ),
            Arc::new(StringArray::from(rows.keys)),
            Arc::new(StringArray::from(rows.paths)),
            Arc::new(Int64Array::from(rows.indexes)),
            values,
            this,
        ];
        let structs = StructArray::try_new(types, columns, None)?;
        let offsets = OffsetBuffer::from_lengths(rows.lengths.iter().copied());
        Ok(ColumnarValue::Array(Arc::new(ListArray::try_new(
            item,
            offsets,
            Arc::new(structs),
            None,
        )?)))
    }
}

/// The rows of all inputs, one after the other.
#[derive(Default)]
struct Rows {
    /// The input that each is of.
    of: Vec<u32>,
    keys: Vec<Option<String>>,
    paths: Vec<Option<String>>,
    indexes: Vec<Option<i64>>,
    /// How many each input has.
    lengths: Vec<usize>,
    /// How many those inputs have together that are complete.
    ended: usize,
}

impl Rows {
    fn item(&mut self, row: usize, key: Option<String>, index: Option<i64>) {
        self.of.push(u32::try_from(row).unwrap_or(u32::MAX));
        self.paths
            .push(key.clone().or_else(|| index.map(|index| format!("[{index}]"))));
        self.keys.push(key);
        self.indexes.push(index);
    }

    /// The rows of an input are complete.
    fn end(&mut self) {
        self.lengths.push(self.of.len() - self.ended);
        self.ended = self.of.len();
    }
}
