use arrow::array::{ArrayRef, Decimal256Array, Float64Array, Int64Array, TimestampNanosecondArray};
use arrow::datatypes::i256;
use arrow::util::display::array_value_to_string;
use parquet::arrow::ArrowWriter;
use parquet::data_type::{Int96, Int96Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::local::Local;
use crate::reading::{Declared, Reading};
use crate::scanned::ScannedFile;

fn scan(content: &[u8], declared: &[(&str, DataType)]) -> ScannedFile {
    let local = Local::holding(content, "t.parquet").unwrap();
    let declared: Declared = declared
        .iter()
        .map(|(name, data_type)| ((*name).to_owned(), data_type.clone()))
        .collect();
    let reading = Reading::of_records(declared, chrono_tz::UTC);
    let reading = Reading {
        format: None,
        ..reading
    };
    ScannedFile::scan(local, &reading, 1, &CancellationToken::new()).unwrap()
}

fn written(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut content = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut content, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    content
}

fn decoded(file: &ScannedFile) -> (Vec<DataType>, Decoded) {
    let types: Vec<_> = file
        .scanned
        .shapes
        .iter()
        .map(|shape| shape.data_type(None).unwrap())
        .collect();
    let mut found = None;
    file.decode(&file.scanned.pieces[0], &types, &mut |decoded| {
        found = Some(decoded);
        Ok(())
    })
    .unwrap();
    (types, found.unwrap())
}

fn shown(column: &ArrayRef) -> Vec<String> {
    (0..column.len())
        .map(|row| array_value_to_string(column, row).unwrap())
        .collect()
}

#[test]
fn a_declared_type_rejects_the_rows_that_do_not_fit() {
    let content = written(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("Qty", Arc::new(Float64Array::from(vec![2.7, 3.0, f64::NAN]))),
    ]);
    let (types, decoded) = decoded(&scan(&content, &[("qty", DataType::Int64)]));
    assert_eq!(types, [DataType::Int64, DataType::Int64]);
    assert_eq!(
        (shown(&decoded.columns[1]), decoded.lines),
        (vec!["3".to_owned()], vec![2])
    );
    let rejected: Vec<_> = decoded
        .rejected
        .iter()
        .map(|row| (row.line, row.record.as_str()))
        .collect();
    assert_eq!(rejected, [(1, r#"{"id":1,"Qty":2.7}"#), (3, r#"{"id":3,"Qty":"NaN"}"#)]);
    assert_eq!(decoded.rejected[0].reason, "qty: a value does not fit the type integer");
}

#[test]
fn nanoseconds_are_cut_and_told_of_unless_a_type_is_declared() {
    let content = written(vec![(
        "at",
        Arc::new(TimestampNanosecondArray::from(vec![1_001, 2_000])),
    )]);
    let (_, undeclared) = decoded(&scan(&content, &[]));
    assert_eq!((undeclared.lines.len(), undeclared.cut), (2, vec![0]));
    let (_, declared) = decoded(&scan(&content, &[("at", crate::values::evidence::timestamp())]));
    assert_eq!((declared.lines, declared.rejected.len()), (vec![2], 1));
}

#[test]
fn decimals_that_no_number_of_the_lake_holds_are_text() {
    let long = Decimal256Array::from(vec![i256::from_i128(15)])
        .with_precision_and_scale(60, 1)
        .unwrap();
    let (types, decoded) = decoded(&scan(&written(vec![("n", Arc::new(long))]), &[]));
    assert_eq!(
        (types, shown(&decoded.columns[0])),
        (vec![DataType::Utf8], vec!["1.5".to_owned()])
    );
}

#[test]
fn old_timestamps_are_of_any_year() {
    // Days of the Julian calendar's count, and nanoseconds of the day: 9999-12-31 12:00:00.
    let message = "message t { required int96 at; required group r { required int32 n; required int96 at; } }";
    let schema = Arc::new(parse_message_type(message).unwrap());
    let mut content = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut content, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let nanos = 43_200_000_000_000u64;
    let mut at = Int96::new();
    at.set_data(nanos as u32, (nanos >> 32) as u32, 5_373_484);
    let mut number = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        match number {
            1 => column
                .typed::<parquet::data_type::Int32Type>()
                .write_batch(&[7], None, None)
                .unwrap(),
            _ => column.typed::<Int96Type>().write_batch(&[at], None, None).unwrap(),
        };
        number += 1;
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    let (_, decoded) = decoded(&scan(&content, &[]));
    assert_eq!(shown(&decoded.columns[0]), ["9999-12-31T12:00:00Z"]);
    assert_eq!(shown(&decoded.columns[1]), ["{n: 7, at: 9999-12-31T12:00:00Z}"]);
}
