//! Prepared statements and their parameters.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use cordada_query_contract::lines;
use tonic::Code;

use crate::fixture::{Client, Fixture, fetch, status};

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
    let two_rows = RecordBatch::try_from_iter([("1", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    statement.set_parameters(two_rows).unwrap();
    let refused = status(statement.execute().await.unwrap_err());
    assert!(refused.message().contains("one row"), "{refused}");
    let update = status(statement.execute_update().await.unwrap_err());
    assert_eq!(update.code(), Code::InvalidArgument, "{update}");
}
