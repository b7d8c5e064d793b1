//! The tables that statements are tried on. Each is in a file as a lake has it; views stand over them.
//!
//! | relation | columns | rows |
//! |---|---|---|
//! | `marts.numbers` | `id`, integers `tiny small i big`, floats `r f`, decimals `d` (10,2) and `wide` (38,10) | 6: nulls, zeros, extremes, NaN |
//! | `marts.texts` | `id`, `t`, `flag` | 6: null, empty, accents, patterns |
//! | `marts.times` | `id`, `day`, `at` (UTC), `local` (no zone) | 5: null, 1969, leap day, 9999 |
//! | `marts.customers` | `customer_id`, `name`, `country`, `since` | 4 |
//! | `marts.orders` | `order_id`, `customer_id`, `amount` (10,2), `ordered_at` (UTC), `status` | 7: one without a customer |
//! | `marts.nothing` | as `marts.numbers` | 0 |
//! | `marts.spent` | a view: `customer_id`, `amount` | 4 |

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use cordada_core::TableName;
use cordada_lake::{Draft, Lake, Mode, Relation, Settings, Write};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

/// A lake in that folder with all of them published.
pub async fn lake(folder: &std::path::Path) -> Lake {
    let settings = Settings {
        parallelism: Some(2),
        ..Settings::default()
    };
    let lake = Lake::open(folder.to_str().unwrap(), &settings).await.unwrap();
    let mut draft = Draft::new(lake.releases().newest().await.unwrap(), "test", "test");
    let numbers = numbers();
    for (table, batch) in [
        ("marts.nothing", numbers.slice(0, 0)),
        ("marts.numbers", numbers),
        ("marts.texts", texts()),
        ("marts.times", times()),
        ("marts.customers", customers()),
        ("marts.orders", orders()),
    ] {
        write(&lake, &mut draft, table, batch).await;
    }
    let spent = "select customer_id, sum(amount) as amount from marts.orders group by customer_id";
    draft.set("marts.spent".parse().unwrap(), Relation::view(spent));
    lake.releases().publish(&draft).await.unwrap();
    lake
}

async fn write(lake: &Lake, draft: &mut Draft, table: &str, batch: RecordBatch) {
    let table: TableName = table.parse().unwrap();
    let schema = batch.schema();
    let rows = RecordBatchStreamAdapter::new(schema.clone(), futures::stream::iter([Ok(batch)]));
    let written = lake
        .write(&table, Write::new(Mode::Append, schema), vec![Box::pin(rows)])
        .await
        .unwrap();
    draft.set(table.clone(), Relation::table(lake.path_of(&table), written.version));
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn decimals(values: Vec<Option<i128>>, precision: u8, scale: i8) -> ArrayRef {
    let values = Decimal128Array::from(values).with_precision_and_scale(precision, scale);
    Arc::new(values.unwrap())
}

fn numbers() -> RecordBatch {
    let one = 10_i128.pow(10);
    let widest = 10_i128.pow(38) - 1;
    let f = [Some(1.5), Some(-2.5), Some(0.0), Some(1.7e308), Some(f64::NAN), None];
    batch([
        ("id", Arc::new(Int64Array::from_iter_values(1..=6))),
        (
            "tiny",
            Arc::new(Int8Array::from(vec![
                Some(1),
                Some(-2),
                Some(0),
                Some(127),
                Some(-128),
                None,
            ])),
        ),
        (
            "small",
            Arc::new(Int16Array::from(vec![
                Some(1),
                Some(-2),
                Some(0),
                Some(32_767),
                Some(-32_768),
                None,
            ])),
        ),
        (
            "i",
            Arc::new(Int32Array::from(vec![
                Some(1),
                Some(-2),
                Some(0),
                Some(i32::MAX),
                Some(i32::MIN),
                None,
            ])),
        ),
        (
            "big",
            Arc::new(Int64Array::from(vec![
                Some(1),
                Some(-2),
                Some(0),
                Some(i64::MAX),
                Some(i64::MIN),
                None,
            ])),
        ),
        ("r", Arc::new(Float32Array::from_iter(f.map(|f| f.map(|f| f as f32))))),
        ("f", Arc::new(Float64Array::from_iter(f))),
        (
            "d",
            decimals(
                vec![
                    Some(150),
                    Some(-250),
                    Some(0),
                    Some(9_999_999_999),
                    Some(-9_999_999_999),
                    None,
                ],
                10,
                2,
            ),
        ),
        (
            "wide",
            decimals(
                vec![
                    Some(3 * one / 2),
                    Some(-5 * one / 2),
                    Some(0),
                    Some(widest),
                    Some(-widest),
                    None,
                ],
                38,
                10,
            ),
        ),
    ])
}

fn texts() -> RecordBatch {
    let t = [
        Some("Ana"),
        Some(""),
        Some("Zoë"),
        Some("50%_\\x"),
        Some(" two words "),
        None,
    ];
    let flags = [Some(true), Some(false), None, Some(true), Some(false), None];
    batch([
        ("id", Arc::new(Int64Array::from_iter_values(1..=6))),
        ("t", Arc::new(StringArray::from_iter(t))),
        ("flag", Arc::new(BooleanArray::from_iter(flags))),
    ])
}

/// Days and microseconds since 1970: a leap day at noon, the second before 1970, the first day, the last moment of 9999.
fn times() -> RecordBatch {
    let micros = [
        Some(1_709_208_000_123_456),
        Some(-1_000_000),
        Some(0),
        Some(253_402_300_799_999_999),
        None,
    ];
    let days = [Some(19_782), Some(-1), Some(0), Some(2_932_896), None];
    batch([
        ("id", Arc::new(Int64Array::from_iter_values(1..=5))),
        ("day", Arc::new(Date32Array::from_iter(days))),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from_iter(micros).with_timezone("UTC")),
        ),
        ("local", Arc::new(TimestampMicrosecondArray::from_iter(micros))),
    ])
}

fn customers() -> RecordBatch {
    batch([
        ("customer_id", Arc::new(StringArray::from(vec!["c1", "c2", "c3", "c4"]))),
        ("name", Arc::new(StringArray::from(vec!["Ana", "Ben", "Zoë", "Ben"]))),
        (
            "country",
            Arc::new(StringArray::from(vec![Some("ES"), Some("DE"), Some("ES"), None])),
        ),
        (
            "since",
            Arc::new(Date32Array::from(vec![Some(19_000), Some(19_365), Some(19_782), None])),
        ),
    ])
}

fn orders() -> RecordBatch {
    let customers = [
        Some("c1"),
        Some("c1"),
        Some("c2"),
        Some("c3"),
        Some("c1"),
        None,
        Some("c2"),
    ];
    let cents = [
        Some(1999),
        Some(500),
        Some(12_345),
        Some(-500),
        None,
        Some(100),
        Some(500),
    ];
    let statuses = ["paid", "paid", "open", "returned", "open", "paid", "paid"];
    let day = |n: i64| 1_704_067_200_000_000 + n * 86_400_000_000;
    batch([
        ("order_id", Arc::new(Int64Array::from_iter_values(1..=7))),
        ("customer_id", Arc::new(StringArray::from_iter(customers))),
        ("amount", decimals(cents.to_vec(), 10, 2)),
        (
            "ordered_at",
            Arc::new(TimestampMicrosecondArray::from_iter_values((0..7).map(day)).with_timezone("UTC")),
        ),
        ("status", Arc::new(StringArray::from_iter_values(statuses))),
    ])
}
