use arrow::array::{
    BinaryArray, Date64Array, Decimal128Array, Decimal256Array, DictionaryArray, DurationMicrosecondArray,
    FixedSizeListArray, Float64Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, Time64NanosecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::datatypes::{Field, Int32Type, IntervalMonthDayNanoType, i256};
use arrow::util::display::array_value_to_string;
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;

const EXACT: Conversion = Conversion {
    zone: Zone::everywhere(Tz::Europe__Madrid),
    cuts: false,
};

fn array(values: impl Array + 'static) -> ArrayRef {
    Arc::new(values)
}

/// The values as they are shown, `-` for null, and which rows do not fit.
fn converted(array: &ArrayRef, target: &DataType) -> (String, Vec<usize>) {
    let converted = convert(array, target, EXACT).unwrap();
    assert_eq!(converted.array.data_type(), target);
    let shown = (0..array.len()).map(|row| match converted.array.is_null(row) {
        true => "-".to_owned(),
        false => array_value_to_string(&converted.array, row).unwrap(),
    });
    (shown.collect::<Vec<_>>().join(" "), converted.misfits)
}

#[test]
fn what_fits_is_exact_and_the_rest_is_named() {
    let money = DataType::Decimal128(10, 2);
    let floats = array(Float64Array::from(vec![
        Some(2.0),
        Some(1.7),
        None,
        Some(1e18),
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(9_223_372_036_854_775_808.0),
    ]));
    let odd = vec![1, 4, 5, 6];
    assert_eq!(
        converted(&floats, &DataType::Int64),
        ("2 - - 1000000000000000000 - - -".into(), odd)
    );
    assert_eq!(
        converted(&floats, &money),
        ("2.00 1.70 - - - - -".into(), vec![3, 4, 5, 6])
    );
    let decimals = Decimal128Array::from(vec![12_300, 99_999, -50]).with_precision_and_scale(20, 4);
    let decimals = array(decimals.unwrap());
    assert_eq!(converted(&decimals, &money), ("1.23 - -".into(), vec![1, 2]));
    assert_eq!(
        converted(&decimals, &DataType::Float64),
        ("1.23 9.9999 -0.005".into(), vec![])
    );
    let large = array(Int64Array::from(vec![9_007_199_254_740_993, 7, 1]));
    assert_eq!(converted(&large, &DataType::Float64), ("- 7.0 1.0".into(), vec![0]));
    assert_eq!(converted(&large, &DataType::Int32), ("- 7 1".into(), vec![0]));
    assert_eq!(converted(&large, &DataType::Boolean), ("- - true".into(), vec![0, 1]));
    assert_eq!(converted(&large, &timestamp()), ("- - -".into(), vec![0, 1, 2]));
    let unsigned = array(UInt64Array::from(vec![u64::MAX, 1]));
    assert_eq!(
        converted(&unsigned, &DataType::Decimal128(20, 0)),
        ("18446744073709551615 1".into(), vec![])
    );
    let long = Decimal256Array::from(vec![i256::from_i128(i128::MAX), i256::from_i128(5)]);
    let long = array(long.with_precision_and_scale(60, 1).unwrap());
    assert_eq!(
        converted(&long, &DataType::Decimal128(38, 1)),
        ("- 0.5".into(), vec![0])
    );
    assert_eq!(
        converted(&long, &DataType::Utf8).0,
        "17014118346046923173168730371588410572.7 0.5"
    );
    let texts = array(StringArray::from(vec!["12", "x", "1.5", "2024-02-29", "true"]));
    assert_eq!(
        converted(&texts, &DataType::Int64),
        ("12 - - - -".into(), vec![1, 2, 3, 4])
    );
    assert_eq!(
        converted(&texts, &DataType::Date32),
        ("- - - 2024-02-29 -".into(), vec![0, 1, 2, 4])
    );
    assert_eq!(converted(&texts, &DataType::Boolean).1, [0, 1, 2, 3]);
    let bytes = array(BinaryArray::from(vec![b"a".as_slice(), b"\xff"]));
    assert_eq!(converted(&bytes, &DataType::Utf8), ("a -".into(), vec![1]));
}

#[test]
fn times_are_of_their_zone_and_not_cut() {
    let noon = 1_782_993_600;
    let local = array(TimestampSecondArray::from(vec![noon, i64::MAX]));
    assert_eq!(
        converted(&local, &timestamp()),
        ("2026-07-02T10:00:00Z -".into(), vec![1])
    );
    assert_eq!(converted(&local.slice(0, 1), &DataType::Date32), ("-".into(), vec![0]));
    let midnight = array(TimestampSecondArray::from(vec![noon - 43_200]).with_timezone("+00:00"));
    assert_eq!(converted(&midnight, &DataType::Date32), ("2026-07-02".into(), vec![]));
    let days = array(Date64Array::from(vec![86_400_000, 86_400_001]));
    assert_eq!(converted(&days, &DataType::Date32), ("1970-01-02 -".into(), vec![1]));
    let nanos = array(TimestampNanosecondArray::from(vec![-1, 2_000]).with_timezone("UTC"));
    assert_eq!(
        converted(&nanos, &timestamp()),
        ("- 1970-01-01T00:00:00.000002Z".into(), vec![0])
    );
    assert_eq!(
        converted(&nanos, &DataType::Utf8).0.split(' ').next(),
        Some("1969-12-31T23:59:59.999999999Z")
    );
    let cuts = Conversion { cuts: true, ..EXACT };
    let cut = convert(&nanos, &timestamp(), cuts).unwrap();
    assert_eq!((cut.cut, cut.misfits), (true, vec![]));
    assert_eq!(
        array_value_to_string(&cut.array, 0).unwrap(),
        "1969-12-31T23:59:59.999999Z"
    );
    let clock = array(Time64NanosecondArray::from(vec![34_215_250_000_001]));
    assert_eq!(converted(&clock, &DataType::Utf8).0, "09:30:15.250000001");
    let took = array(DurationMicrosecondArray::from(vec![1_500_000]));
    assert_eq!(converted(&took, &DataType::Utf8).0, "PT1.5S");
    let every = IntervalMonthDayNanoType::make_value(1, 2, 3_000_000_000);
    let every = array(IntervalMonthDayNanoArray::from(vec![every]));
    assert_eq!(converted(&every, &DataType::Utf8).0, "1 mons 2 days 3.000000000 secs");
}

#[test]
fn what_is_within_counts_for_its_row() {
    let item = |data_type| Arc::new(Field::new("element", data_type, true));
    let words = DictionaryArray::<Int32Type>::from_iter([Some("1"), None, Some("x"), Some("2")]);
    assert_eq!(
        converted(&array(words.clone()), &DataType::Utf8),
        ("1 - x 2".into(), vec![])
    );
    let list = FixedSizeListArray::new(item(words.data_type().clone()), 2, Arc::new(words), None);
    let target = DataType::List(item(DataType::Int64));
    let whole = array(list);
    assert_eq!(converted(&whole, &target), ("[1, ] [, 2]".into(), vec![1]));
    assert_eq!(converted(&whole.slice(1, 1), &target).1, [0]);
    let fields = vec![Field::new("n", DataType::Float64, true)].into();
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.5, 2.5]));
    let present = NullBuffer::from(vec![true, true, false]);
    let record = array(StructArray::new(fields, vec![numbers], Some(present)));
    let target = DataType::Struct(
        vec![
            Field::new("more", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
        ]
        .into(),
    );
    assert_eq!(
        converted(&record, &target),
        ("{more: , n: 1} {more: , n: } -".into(), vec![1])
    );
    assert_eq!(converted(&record, &DataType::Utf8).0, "{\"n\":1} {\"n\":2.5} -");
    let keys = array(UInt64Array::from(vec![1, 2]));
    let values = array(Float64Array::from(vec![1.0, 0.5]));
    let pair = |key: &ArrayRef, value: &ArrayRef| {
        let key = Field::new("key", key.data_type().clone(), false);
        Arc::new(Field::new_struct(
            "key_value",
            vec![key, Field::new("value", value.data_type().clone(), true)],
            false,
        ))
    };
    let entries = StructArray::try_from(vec![("key", keys.clone()), ("value", values.clone())]).unwrap();
    let from = pair(&keys, &values);
    let entries = StructArray::new(
        entries_of(&DataType::Map(from.clone(), false)).unwrap().clone(),
        entries.columns().to_vec(),
        None,
    );
    let map = array(MapArray::new(
        from,
        OffsetBuffer::from_lengths([1, 1]),
        entries,
        None,
        false,
    ));
    let key = Decimal128Array::from(vec![0]).with_precision_and_scale(20, 0);
    let (key, value) = (array(key.unwrap()), array(Int32Array::from(vec![0])));
    let target = DataType::Map(pair(&key, &value), false);
    assert_eq!(converted(&map, &target), ("{1: 1} {2: }".into(), vec![1]));
}

proptest! {
    #[test]
    fn a_double_becomes_the_number_that_it_is_written_as_or_nothing(
        values in proptest::collection::vec(
            prop_oneof![any::<f64>(), (-10_000i32..10_000).prop_map(|n| f64::from(n) / 8.0)],
            1..20,
        ),
        scale in 0i8..20,
    ) {
        let floats = array(Float64Array::from(values.clone()));
        for target in [DataType::Int64, DataType::Decimal128(38, scale), DataType::Utf8] {
            let found = convert(&floats, &target, EXACT).unwrap();
            for (row, value) in values.iter().enumerate() {
                if found.misfits.contains(&row) {
                    prop_assert!(found.array.is_null(row));
                    continue;
                }
                let shown = array_value_to_string(&found.array, row).unwrap();
                let again: f64 = shown.parse().unwrap();
                prop_assert!(again == *value || again.is_nan() && value.is_nan(), "{} {} {}", target, value, shown);
            }
        }
    }
}
