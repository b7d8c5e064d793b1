//! Columns that change, and what the log says of their values.

use arrow::array::{Float64Array, NullArray, StructArray};

use super::*;

async fn append(lake: &Lake, columns: Vec<(&str, ArrayRef)>) -> u64 {
    let columns = columns.into_iter().map(|(name, values)| (name, values, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let write = Write {
        evolution: Evolution::Widen,
        ..Write::new(Mode::Append, batch.schema())
    };
    let rows = stream(vec![batch.clone()], &batch.schema());
    lake.write(&name("raw_a.t"), write, vec![rows]).await.unwrap().version
}

fn record(fields: Vec<(&str, ArrayRef)>) -> ArrayRef {
    Arc::new(StructArray::try_from(fields).unwrap())
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

async fn open_columns(lake: &Lake, version: u64) -> Vec<String> {
    lake.snapshot("raw_a/t", version).await.unwrap().open_columns()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_grow_beside_old_files_and_become_text_in_new_ones() {
    let (folder, lake) = temporary().await;
    append(&lake, vec![("id", ints(&[1])), ("c", record(vec![("a", ints(&[1]))]))]).await;
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let grown = record(vec![("b", text.clone()), ("a", ints(&[2]))]);
    let version = append(&lake, vec![("id", ints(&[2])), ("c", grown)]).await;
    assert_eq!(data_files(folder.path()), 2);
    let release = publish(&lake, version).await;
    let rows = query(&lake, &release, "select c['a'], c['b'] from raw_a.t order by id").await;
    assert_eq!(rows.unwrap(), "|1|| |2|x|");
    let version = append(&lake, vec![("id", ints(&[3])), ("c", text)]).await;
    let release = publish(&lake, version).await;
    let rows = query(&lake, &release, "select c from raw_a.t order by id").await;
    assert_eq!(rows.unwrap(), "|{\"a\":1}| |{\"a\":2,\"b\":\"x\"}| |x|");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_without_values_gets_its_type_from_the_first() {
    let (folder, lake) = temporary().await;
    let nothing: ArrayRef = Arc::new(NullArray::new(1));
    let version = append(&lake, vec![("id", ints(&[1])), ("v", nothing)]).await;
    assert_eq!(open_columns(&lake, version).await, ["v"]);
    let version = append(&lake, vec![("id", ints(&[2])), ("v", ints(&[7]))]).await;
    assert!(open_columns(&lake, version).await.is_empty());
    assert_eq!(data_files(folder.path()), 2);
    let release = publish(&lake, version).await;
    let rows = query(
        &lake,
        &release,
        "select id, v + 1 from raw_a.t where v is null or v > 0 order by id",
    )
    .await;
    assert_eq!(rows.unwrap(), "|1|| |2|8|");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_other_letters_is_the_same_column_and_keeps_its_values() {
    let (_folder, lake) = temporary().await;
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    append(&lake, vec![("id", ints(&[1])), ("Name", text("a"))]).await;
    let version = append(&lake, vec![("ID", ints(&[2])), ("NAME", text("b"))]).await;
    let release = publish(&lake, version).await;
    let rows = query(&lake, &release, "select id, \"Name\" from raw_a.t order by id").await;
    assert_eq!(rows.unwrap(), "|1|a| |2|b|");
    let both = RecordBatch::try_from_iter([("c", record(vec![("Id", ints(&[1])), ("ID", ints(&[2]))]))]).unwrap();
    let write = Write {
        evolution: Evolution::Widen,
        ..Write::new(Mode::Append, both.schema())
    };
    let rows = stream(vec![both.clone()], &both.schema());
    let error = lake.write(&name("raw_a.t"), write, vec![rows]).await.unwrap_err();
    assert!(error.to_string().contains("same name"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_beyond_nanoseconds_and_nan_are_found() {
    let (_folder, lake) = temporary().await;
    let day = 86_400_000_000_i64;
    let far = TimestampMicrosecondArray::from(vec![0, 2_932_896 * day, -200_000 * day]).with_timezone("UTC");
    let doubles = Float64Array::from(vec![1.0, f64::NAN, 2.0]);
    let columns = vec![("at", Arc::new(far) as ArrayRef), ("x", Arc::new(doubles) as ArrayRef)];
    let version = append(&lake, columns).await;
    let release = publish(&lake, version).await;
    for (filter, expected) in [
        ("at > '9999-01-01'", "|1|"),
        ("at > date '9999-01-01'", "|1|"),
        ("at = timestamp '9999-12-31 00:00:00'", "|1|"),
        (
            "at between timestamp '1000-01-01 00:00:00' and timestamp '2000-01-01 00:00:00'",
            "|2|",
        ),
        ("at in ('1970-01-01', '9999-12-31')", "|2|"),
        ("at > now()", "|1|"),
        ("x > 100", "|1|"),
        (
            "timestamp '9999-06-01 00:00:00' between timestamp '9999-01-01 00:00:00' and at",
            "|1|",
        ),
        ("'9999-12-31' in (at, now())", "|1|"),
        ("100.5 between 5.5 and x", "|1|"),
        ("2.0 in (x, 7.5)", "|1|"),
        ("not (x <= 2)", "|1|"),
    ] {
        let sql = format!("select count(*) from raw_a.t where {filter}");
        assert_eq!(query(&lake, &release, &sql).await.unwrap(), expected, "{filter}");
    }
}
