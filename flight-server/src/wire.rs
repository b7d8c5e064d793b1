//! The schema that clients are told, and batches that hold exactly to it.
//!
//! Clients compare the schema of a plan with that of its rows bit for bit. The two differ in an engine: statistics
//! make MIN never null, a rule turns text into views, a function gives back a dictionary. So the schema is computed
//! once, from the logical plan, and every batch is made to fit it.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions, make_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use crate::plain_bytes::plain;
use crate::sql_types;

/// Which of the engine's types a client takes; by default those that every client knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Types {
    /// Text and bytes as the engine has them (Utf8View, BinaryView), uncopied; else Utf8 and Binary.
    pub(crate) views: bool,
    /// Times with a zone as times without one, in UTC: JDBC's `getObject` cannot read those with one.
    pub(crate) no_time_zones: bool,
}

/// What a result with the engine's schema looks like to a client.
///
/// Every column of a result may be null: what the planner proves about nulls changes from one plan of the same
/// query to the next, and only "may be null" is always true.
pub(crate) fn schema(engine: &Schema, types: Types) -> SchemaRef {
    let fields = engine.fields().iter().map(|field| {
        let plain = plain_field(field, types);
        sql_types::describe(plain.with_nullable(true))
    });
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// The batch with the client's schema; columns that have their type already are not copied.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let options = CastOptions {
        safe: false,
        ..Default::default()
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        match (column.data_type(), field.data_type()) {
            (engine, told) if engine == told => Ok(column.clone()),
            (DataType::Timestamp(unit, Some(_)), told @ DataType::Timestamp(to, None)) if unit == to => {
                // The same instants: a cast would turn them into the zone's local times.
                column
                    .to_data()
                    .into_builder()
                    .data_type(told.clone())
                    .build()
                    .map(make_array)
            }
            (DataType::Utf8View, DataType::Utf8) | (DataType::BinaryView, DataType::Binary) => {
                plain(column)?.map_or_else(|| cast_with_options(column, field.data_type(), &options), Ok)
            }
            (_, told) => cast_with_options(column, told, &options),
        }
    });
    let columns = columns.collect::<Result<_, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &rows)
}

/// The type that every client can read for one of the engine's.
pub(crate) fn plain_type(data_type: &DataType, types: Types) -> DataType {
    let inner = |field: &FieldRef| Arc::new(plain_field(field, types));
    match data_type {
        DataType::Utf8View if !types.views => DataType::Utf8,
        DataType::BinaryView if !types.views => DataType::Binary,
        DataType::Timestamp(unit, Some(_)) if types.no_time_zones => DataType::Timestamp(*unit, None),
        // Times of day have the digits that timestamps have: drivers and their languages know no finer ones.
        DataType::Time64(TimeUnit::Nanosecond) => DataType::Time64(TimeUnit::Microsecond),
        // The driver for JDBC has no floats of 16 bits, and no decimals of fewer than 128.
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Dictionary(_, value) => plain_type(value, types),
        DataType::RunEndEncoded(_, value) => plain_type(value.data_type(), types),
        DataType::List(field) | DataType::ListView(field) => DataType::List(inner(field)),
        DataType::LargeList(field) | DataType::LargeListView(field) => DataType::LargeList(inner(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(inner(field), *size),
        DataType::Map(field, sorted) => DataType::Map(inner(field), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| plain_field(field, types)).collect()),
        other => other.clone(),
    }
}

fn plain_field(field: &Field, types: Types) -> Field {
    field.clone().with_data_type(plain_type(field.data_type(), types))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{
        ArrayRef, AsArray, BinaryViewArray, DictionaryArray, Int32Array, StringViewArray, StructArray,
        TimestampSecondArray,
    };
    use arrow::datatypes::{Int32Type, TimestampSecondType};

    use super::*;

    #[test]
    fn a_batch_fits_the_schema_that_was_told_whatever_the_engine_made_of_it() {
        let view: ArrayRef = Arc::new(StringViewArray::from(vec![
            Some("a text longer than twelve bytes"),
            None,
        ]));
        let nested = Field::new("inner", DataType::Utf8View, true);
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("view", view.clone(), true),
            (
                "bytes",
                Arc::new(BinaryViewArray::from(vec![Some(&b"x"[..]), None])),
                true,
            ),
            (
                "dictionary",
                Arc::new(["x", "y"].into_iter().collect::<DictionaryArray<Int32Type>>()),
                false,
            ),
            ("never_null", Arc::new(Int32Array::from(vec![1, 2])), false),
            (
                "nested",
                Arc::new(StructArray::from(vec![(Arc::new(nested), view)])),
                false,
            ),
        ];
        let fields: Fields = columns
            .iter()
            .map(|(name, array, nullable)| Field::new(*name, array.data_type().clone(), *nullable))
            .collect();
        let engine = Arc::new(Schema::new(fields));
        let arrays = columns.into_iter().map(|(_, array, _)| array).collect();
        let batch = RecordBatch::try_new(engine.clone(), arrays).unwrap();

        let told = schema(&engine, Types::default());
        let conformed = conform(&batch, &told).unwrap();
        assert_eq!(conformed.schema(), told);
        let types: Vec<_> = told
            .fields()
            .iter()
            .map(|field| field.data_type().to_string())
            .collect();
        assert_eq!(types[..4], ["Utf8", "Binary", "Utf8", "Int32"]);
        assert!(types[4].contains("Utf8") && !types[4].contains("View"), "{}", types[4]);
        assert!(told.fields().iter().all(|field| field.is_nullable()));

        let raw = schema(
            &engine,
            Types {
                views: true,
                ..Types::default()
            },
        );
        assert_eq!(raw.field(0).data_type(), &DataType::Utf8View);
        assert_eq!(raw.field(2).data_type(), &DataType::Utf8);
        assert_eq!(conform(&batch, &raw).unwrap().schema(), raw);
    }

    #[test]
    fn a_time_without_its_zone_is_the_same_instant_in_utc() {
        let times = TimestampSecondArray::from(vec![Some(1_709_200_800), None]).with_timezone("Europe/Madrid");
        let batch = RecordBatch::try_from_iter([("at", Arc::new(times) as ArrayRef)]).unwrap();
        let told = schema(
            &batch.schema(),
            Types {
                no_time_zones: true,
                ..Types::default()
            },
        );
        let conformed = conform(&batch, &told).unwrap();
        assert_eq!(
            conformed.column(0).as_primitive::<TimestampSecondType>().value(0),
            1_709_200_800
        );
        assert_eq!(conformed.column(0).null_count(), 1);
    }

    #[test]
    fn columns_are_described_in_flight_sqls_words() {
        let engine = Schema::new(vec![Field::new("amount", DataType::Decimal128(12, 2), false)]);
        let told = schema(&engine, Types::default());
        let metadata = told.field(0).metadata();
        assert_eq!(metadata["ARROW:FLIGHT:SQL:TYPE_NAME"], "DECIMAL");
        assert_eq!(metadata["ARROW:FLIGHT:SQL:PRECISION"], "12");
        assert_eq!(metadata["ARROW:FLIGHT:SQL:SCALE"], "2");
    }

    #[test]
    fn rows_without_columns_are_kept() {
        let rows = RecordBatchOptions::new().with_row_count(Some(3));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &rows).unwrap();
        assert_eq!(
            conform(&batch, &schema(&Schema::empty(), Types::default()))
                .unwrap()
                .num_rows(),
            3
        );
    }
}
