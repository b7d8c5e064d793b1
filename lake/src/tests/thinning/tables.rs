//! Tables of every type.

use arrow::array::{
    ArrayBuilder, BinaryArray, Date32Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Builder, ListBuilder, MapBuilder, StringBuilder, StructArray, StructBuilder, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::datatypes::Fields;

use crate::tests::*;

/// A simple generator, so that a table of any size comes from one number.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    /// Whether something that happens in one of so many cases does.
    pub(super) fn once_in(&mut self, cases: u64) -> bool {
        self.below(cases) == 0
    }

    pub(super) fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// One value of `distinct` different ones for each row, and about one null in `nulls` (none if 0).
    fn column(&mut self, rows: usize, distinct: u64, nulls: u64) -> Vec<Option<i64>> {
        let mut next = || (nulls == 0 || self.below(nulls) > 0).then(|| self.below(distinct) as i64);
        // What would be a borrow of both.
        std::iter::repeat_with(&mut next).take(rows).collect()
    }
}

/// A column of every type that tables store.
pub(super) fn every_type(rows: usize, seed: u64, distinct: u64, nulls: u64) -> RecordBatch {
    let mut numbers = Numbers(seed);
    let mut column = || numbers.column(rows, distinct, nulls);
    let ids = Int64Array::from_iter_values(0..rows as i64);
    let text = |value: Option<i64>| value.map(|value| format!("text {value}"));
    let mut lists = ListBuilder::new(StringBuilder::new());
    for value in column() {
        for item in 0..value.unwrap_or(0) % 4 {
            lists
                .values()
                .append_option((item != 1).then(|| format!("item {item}")));
        }
        lists.append(value.is_some());
    }
    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for value in column() {
        for item in 0..value.unwrap_or(0) % 3 {
            maps.keys().append_value(format!("key {item}"));
            maps.values().append_option(text(value).filter(|_| item == 0));
        }
        maps.append(value.is_some()).unwrap();
    }
    let deep = deep_lists(&column());
    let inner: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(column())),
        Arc::new(column().into_iter().map(text).collect::<StringArray>()),
    ];
    let fields = Fields::from(vec![
        Field::new("number", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]);
    let valid = column().iter().map(Option::is_some).collect();
    let struct_ = StructArray::new(fields, inner, Some(valid));
    let floats = column();
    let float = |value: i64| match value % 5 {
        0 => f64::NAN,
        1 => 0.0,
        2 => -0.0,
        _ => value as f64 / 3.0 - 7.0,
    };
    let as_ = |values: Vec<Option<i64>>| values.into_iter();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(ids)),
        (
            "flag",
            Arc::new(as_(column()).map(|v| v.map(|v| v % 2 == 0)).collect::<BooleanArray>()),
        ),
        (
            "tiny",
            Arc::new(as_(column()).map(|v| v.map(|v| v as i8)).collect::<Int8Array>()),
        ),
        (
            "small",
            Arc::new(as_(column()).map(|v| v.map(|v| v as i16)).collect::<Int16Array>()),
        ),
        (
            "whole",
            Arc::new(as_(column()).map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        ),
        (
            "large",
            Arc::new(as_(column()).map(|v| v.map(|v| v - 5)).collect::<Int64Array>()),
        ),
        (
            "single",
            Arc::new(
                as_(column())
                    .map(|v| v.map(|v| float(v) as f32))
                    .collect::<Float32Array>(),
            ),
        ),
        (
            "double",
            Arc::new(floats.into_iter().map(|v| v.map(float)).collect::<Float64Array>()),
        ),
        (
            "day",
            Arc::new(as_(column()).map(|v| v.map(|v| v as i32)).collect::<Date32Array>()),
        ),
        (
            "time",
            Arc::new(TimestampMicrosecondArray::from(column()).with_timezone("UTC")),
        ),
        ("cents", decimal(column(), 7)),
        ("money", decimal(column(), 17)),
        ("huge", decimal(column(), 38)),
        ("text", Arc::new(as_(column()).map(text).collect::<StringArray>())),
        (
            "long",
            Arc::new(
                as_(column())
                    .map(|v| v.map(|v| format!("{v:>99}")))
                    .collect::<StringArray>(),
            ),
        ),
        (
            "bytes",
            Arc::new(BinaryArray::from_iter(as_(column()).map(|v| v.map(i64::to_le_bytes)))),
        ),
        ("email", Arc::new(as_(column()).map(text).collect::<StringArray>())),
        (
            "same",
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n("same", rows))),
        ),
        ("none", new_null_array(&DataType::Utf8, rows)),
        (
            "_origin",
            Arc::new(
                as_(column())
                    .enumerate()
                    .map(|(row, v)| v.map(|_| format!("a.csv:{row}")))
                    .collect::<StringArray>(),
            ),
        ),
        ("list", Arc::new(lists.finish())),
        ("map", Arc::new(maps.finish())),
        ("struct", Arc::new(struct_)),
        ("deep", deep),
    ];
    let fields = columns.iter().map(|(name, values)| {
        let metadata = (*name == "email").then(|| (types::PII.to_owned(), "email".to_owned()));
        Field::new(*name, values.data_type().clone(), true).with_metadata(metadata.into_iter().collect())
    });
    let schema = Arc::new(types::storable(&Schema::new(fields.collect::<Vec<_>>())));
    let columns = schema.fields().iter().zip(columns);
    let columns = columns.map(|(field, (_, values))| arrow::compute::cast(&values, field.data_type()).unwrap());
    RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
}

fn decimal(values: Vec<Option<i64>>, precision: u8) -> ArrayRef {
    let values: Decimal128Array = values
        .into_iter()
        .map(|value| value.map(|value| i128::from(value) - 3))
        .collect();
    Arc::new(values.with_precision_and_scale(precision, 2).unwrap())
}

/// Lists of structs that hold lists, of each kind of nothing: no list, an empty one, one of nulls.
fn deep_lists(values: &[Option<i64>]) -> ArrayRef {
    let fields = Fields::from(vec![
        Field::new("number", DataType::Int64, true),
        Field::new("texts", DataType::new_list(DataType::Utf8, true), true),
    ]);
    let mut lists = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    for value in values {
        for item in 0..value.unwrap_or(0) % 5 {
            let record = lists.values();
            let number: &mut Int64Builder = record.field_builder(0).unwrap();
            number.append_option((item != 2).then_some(item));
            let texts: &mut ListBuilder<Box<dyn ArrayBuilder>> = record.field_builder(1).unwrap();
            let texts_of: &mut StringBuilder = texts.values().as_any_mut().downcast_mut().unwrap();
            for text in 0..item {
                texts_of.append_option((text != 1).then(|| format!("text {text}")));
            }
            texts.append(item != 3);
            record.append(item != 4);
        }
        lists.append(value.is_some());
    }
    Arc::new(lists.finish())
}
