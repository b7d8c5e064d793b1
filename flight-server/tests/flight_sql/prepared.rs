//! Prepared statements and their parameters.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Date64Array, Float64Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
    Time32MillisecondArray, TimestampMillisecondArray, UnionArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit, UnionFields};
use cordada_query_contract::lines;
use tonic::Code;

use crate::fixture::{self, Client, Fixture, fetch, query, status};

fn row(values: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_from_iter(
        values
            .into_iter()
            .enumerate()
            .map(|(at, value)| ((at + 1).to_string(), value)),
    )
    .unwrap()
}

fn int(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

async fn run(client: &mut Client, sql: &str, values: Vec<ArrayRef>) -> Vec<String> {
    let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
    if !values.is_empty() {
        statement.set_parameters(row(values)).unwrap();
    }
    let info = statement.execute().await.unwrap();
    let rows = lines(&fetch(client, &info).await.unwrap().1);
    statement.close().await.unwrap();
    rows
}

#[tokio::test]
async fn parameters_are_bound_in_either_style() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    for (sql, values, rows) in [
        (
            "select name from warehouse.dim_customer where customer_id = ?",
            vec![int(1)],
            vec!["Ana"],
        ),
        (
            "select name from warehouse.dim_customer where customer_id = $1",
            vec![int(3)],
            vec!["Señor Ñandú"],
        ),
        ("select $2, $1", vec![int(1), text("a")], vec!["a|1"]),
        ("select ?, '?', ?", vec![int(1), text("a?b")], vec!["1|?|a?b"]),
        ("select 1 + ?", vec![int(2)], vec!["3"]),
        (
            "select count(*) from warehouse.dim_customer where country = ? and balance > ?",
            vec![text("ES"), int(1)],
            vec!["1"],
        ),
        (
            "select sale_id from warehouse.fct_sale order by sale_id limit ? offset ?",
            vec![int(2), int(1)],
            vec!["1", "2"],
        ),
        (
            "select count(*) from warehouse.dim_customer where since >= ?",
            vec![text("2022-04-01")],
            vec!["2"],
        ),
        (
            "select count(*) from warehouse.fct_sale where amount between ? and ?",
            vec![int(20), Arc::new(Float64Array::from(vec![40.5]))],
            vec!["3"],
        ),
        (
            "select name from warehouse.dim_customer where name is not distinct from ?",
            vec![Arc::new(StringArray::from(vec![None::<&str>]))],
            vec!["-"],
        ),
        (
            "select country from marts.sales_by_country where country like ?",
            vec![text("E%")],
            vec!["ES"],
        ),
        ("select 7", vec![], vec!["7"]),
    ] {
        assert_eq!(run(&mut client, sql, values).await, rows, "{sql}");
    }
}

#[tokio::test]
async fn preparing_tells_the_schemas_of_result_and_parameters() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let sql = "select name, amount from warehouse.dim_customer join warehouse.fct_sale using (customer_id) \
               where country = ? and amount > ? limit ?";
    let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
    let parameters = statement.parameter_schema().unwrap();
    let types: Vec<_> = parameters
        .fields()
        .iter()
        .map(|field| field.data_type().clone())
        .collect();
    assert_eq!(types, [DataType::Utf8, DataType::Float64, DataType::Int64]);
    let told = statement.dataset_schema().unwrap().clone();
    let names: Vec<_> = told.fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["name", "amount"]);
    statement
        .set_parameters(row(vec![text("ES"), Arc::new(Float64Array::from(vec![5.0])), int(10)]))
        .unwrap();
    let info = statement.execute().await.unwrap();
    let (schema, rows) = fetch(&mut client, &info).await.unwrap();
    assert_eq!(*schema, told);
    assert_eq!(lines(&rows), ["-|30.0", "Ana|10.0", "Ana|20.0"]);
    // Bound again, the same statement gives other rows.
    statement
        .set_parameters(row(vec![text("FR"), Arc::new(Float64Array::from(vec![5.0])), int(10)]))
        .unwrap();
    let info = statement.execute().await.unwrap();
    assert_eq!(lines(&fetch(&mut client, &info).await.unwrap().1), ["Señor Ñandú|40.0"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_statement_is_said_when_it_is_known() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    for sql in [
        "selec ?",
        "select * from nowhere where a = ?",
        "select $x",
        "drop table x",
        "select $0",
        "select $99999999",
    ] {
        let refused = status(client.prepare(sql.to_owned(), None).await.map(|_| ()).unwrap_err());
        assert_eq!(refused.code(), Code::InvalidArgument, "{sql}: {refused}");
    }
    let mut statement = client.prepare("select ? + ?".to_owned(), None).await.unwrap();
    let missing = status(statement.execute().await.unwrap_err());
    assert!(missing.message().contains("2 parameters"), "{missing}");
    statement.set_parameters(row(vec![int(1)])).unwrap();
    let missing = status(statement.execute().await.unwrap_err());
    assert_eq!(missing.code(), Code::InvalidArgument, "{missing}");
    let none = RecordBatch::try_from_iter([("1", Arc::new(Int64Array::from(Vec::<i64>::new())) as ArrayRef)]).unwrap();
    statement.set_parameters(none).unwrap();
    let refused = status(statement.execute().await.unwrap_err());
    assert!(refused.message().contains("0 values"), "{refused}");
    let update = status(statement.execute_update().await.unwrap_err());
    assert_eq!(update.code(), Code::InvalidArgument, "{update}");
}

/// The rows in the order in which they came.
async fn in_order(client: &mut Client, sql: &str, values: RecordBatch) -> Vec<String> {
    let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
    statement.set_parameters(values).unwrap();
    let info = statement.execute().await.unwrap();
    let (_, batches) = fetch(client, &info).await.unwrap();
    let lines = batches.iter().flat_map(|batch| {
        let rows = (0..batch.num_rows()).map(|row| lines(&[batch.slice(row, 1)]));
        rows.flatten().collect::<Vec<_>>()
    });
    lines.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_rows_of_values_give_the_rows_of_all_of_them_in_order() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![3, 1, 9, 1]));
    let sales = "select customer_id, sale_id from warehouse.fct_sale where customer_id = ? order by sale_id";
    assert_eq!(
        in_order(&mut client, sales, row(vec![ids])).await,
        ["3|3", "1|0", "1|1", "1|0", "1|1"]
    );
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])),
        Arc::new(StringArray::from(vec![Some("a"), Some("b"), None])),
    ];
    let pairs = in_order(&mut client, "select $1, $2 || '!'", row(columns)).await;
    assert_eq!(pairs, ["1|a!", "-|b!", "3|-"]);
    let counts: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let all = in_order(&mut client, "select ? + 1", row(vec![counts])).await;
    assert_eq!(all, (1..=1000).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_error_of_one_row_ends_the_rows() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let mut statement = client
        .prepare("select 10 / cast(? as bigint)".to_owned(), None)
        .await
        .unwrap();
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 0]));
    statement.set_parameters(row(vec![values])).unwrap();
    let info = statement.execute().await.unwrap();
    let refused = fetch(&mut client, &info).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
}

#[tokio::test]
async fn values_mean_the_same_in_whichever_type_they_come() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let ms = |at: i64| TimestampMillisecondArray::from(vec![at]);
    let id = |data_type: &DataType| cast(&int(2), data_type).unwrap();
    let arms = UnionFields::try_new(
        vec![0, 1],
        vec![
            Field::new("text", DataType::Utf8, true),
            Field::new("number", DataType::Int64, true),
        ],
    );
    let union = UnionArray::try_new(
        arms.unwrap(),
        vec![1].into(),
        Some(vec![0].into()),
        vec![text("x"), int(2)],
    );
    let by_id = "select name from warehouse.dim_customer where customer_id + 1 = ?";
    for value in [
        int(2),
        id(&DataType::Int32),
        id(&DataType::UInt8),
        id(&DataType::Float64),
        id(&DataType::Decimal128(10, 0)),
        id(&DataType::Dictionary(
            Box::new(DataType::Int8),
            Box::new(DataType::Int64),
        )),
        Arc::new(union.unwrap()) as ArrayRef,
    ] {
        let of = value.data_type().clone();
        assert_eq!(run(&mut client, by_id, vec![value]).await, ["Ana"], "{of}");
    }
    // The first two sales are at 0 s and 1 s.
    let since = "select count(*) from warehouse.fct_sale where sold_at < ?";
    let zoned = ms(2000).with_timezone("Europe/Madrid");
    for value in [
        Arc::new(ms(2000)) as ArrayRef,
        Arc::new(zoned),
        Arc::new(ms(2000).with_timezone("UTC")),
    ] {
        let of = value.data_type().clone();
        assert_eq!(run(&mut client, since, vec![value]).await, ["2"], "{of}");
    }
    let time: ArrayRef = Arc::new(Time32MillisecondArray::from(vec![36_000_000]));
    assert_eq!(
        run(&mut client, "select time '10:00:00' = ?", vec![time]).await,
        ["true"]
    );
    let born = "select count(*) from warehouse.dim_customer where since >= ?";
    let day: ArrayRef = Arc::new(Date64Array::from(vec![19_100 * 86_400_000]));
    assert_eq!(run(&mut client, born, vec![day]).await, ["2"]);
    let large: ArrayRef = Arc::new(LargeStringArray::from(vec!["ES"]));
    let from = "select count(*) from warehouse.dim_customer where country = ?";
    assert_eq!(run(&mut client, from, vec![large]).await, ["2"]);
}

#[tokio::test]
async fn times_go_out_as_the_client_reads_them() {
    let fixture = Fixture::open().await;
    let sql = "select sold_at from warehouse.fct_sale where sold_at > ?";
    let zone = |data_type: &DataType| match data_type {
        DataType::Timestamp(unit, zone) => (*unit, zone.is_some()),
        other => panic!("{other}"),
    };
    for (agent, zoned) in [
        ("grpc-java-netty/1.71.0", false),
        ("JDBC Flight SQL Driver 19.0.0 grpc-java-netty/1.73.0", true),
        ("grpc-go/1.75.0", true),
    ] {
        let mut client = fixture.driver(agent).await;
        let statement = client.prepare(sql.to_owned(), None).await.unwrap();
        let parameter = statement.parameter_schema().unwrap().field(0).data_type().clone();
        assert_eq!(zone(&parameter), (TimeUnit::Millisecond, zoned), "{agent}");
        let told = statement.dataset_schema().unwrap().field(0).data_type().clone();
        assert_eq!(zone(&told), (TimeUnit::Microsecond, zoned), "{agent}");
        let (schema, _) = query(&mut client, "select sold_at from warehouse.fct_sale")
            .await
            .unwrap();
        assert_eq!(
            zone(schema.field(0).data_type()),
            (TimeUnit::Microsecond, zoned),
            "{agent}"
        );
    }
    let mut client = fixture.driver("grpc-java-netty/1.71.0").await;
    client.set_header("no_time_zones", "false");
    let (schema, _) = query(&mut client, "select sold_at from warehouse.fct_sale")
        .await
        .unwrap();
    assert!(zone(schema.field(0).data_type()).1);
}

#[tokio::test]
async fn an_update_changes_the_session_or_is_refused() {
    let fixture = Fixture::with_users().await;
    let mut client = fixture.client("root").await;
    let set = client.execute_update("use warehouse".to_owned(), None).await.unwrap();
    assert_eq!(set, 0);
    assert_eq!(
        fixture::answer(&mut client, "select count(*) from dim_customer").await,
        ["3"]
    );
    for sql in ["delete from dim_customer", "select 1"] {
        let refused = status(client.execute_update(sql.to_owned(), None).await.unwrap_err());
        assert_eq!(refused.code(), Code::InvalidArgument, "{sql}: {refused}");
    }
}
