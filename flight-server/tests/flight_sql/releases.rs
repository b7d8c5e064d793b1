//! The newest release, pinned ones, and what is published meanwhile.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use cordada_query_contract::lines;
use tonic::Code;

use crate::fixture::{Fixture, answer, fetch, query, status};

const COUNT: &str = "select count(*) from warehouse.fct_sale";

#[tokio::test]
async fn what_is_published_is_served_and_what_is_not_is_not() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    assert_eq!(answer(&mut client, COUNT).await, ["5"]);
    let written = fixture.shop.append_sales(&[60.0]).await;
    assert_eq!(answer(&mut client, COUNT).await, ["5"]);

    let planned = client.execute(COUNT.to_owned(), None).await.unwrap();
    let first: serde_json::Value = serde_json::from_slice(&planned.app_metadata).unwrap();
    let second = fixture.shop.publish(vec![("warehouse.fct_sale", written)]).await;
    assert_eq!(first["release"], second - 1);
    assert_eq!(answer(&mut client, COUNT).await, ["6"]);
    // What was planned before runs on the release it was planned on.
    assert_eq!(lines(&fetch(&mut client, &planned).await.unwrap().1), ["5"]);

    let as_of = format!("{COUNT} version as of 1");
    assert_eq!(answer(&mut client, &as_of).await, ["5"]);
    client.set_header("release", "1");
    assert_eq!(answer(&mut client, COUNT).await, ["5"]);
    client.set_header("release", "newest");
    assert_eq!(answer(&mut client, COUNT).await, ["6"]);
    client.set_header("release", "77");
    assert_eq!(
        query(&mut client, COUNT).await.unwrap_err().code(),
        Code::InvalidArgument
    );

    fixture.shop.lake.rollback(1, "run").await.unwrap();
    client.set_header("release", "newest");
    assert_eq!(answer(&mut client, COUNT).await, ["5"]);
}

#[tokio::test]
async fn a_prepared_statement_moves_with_the_releases_until_its_columns_change() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let mut count = client.prepare(COUNT.to_owned(), None).await.unwrap();
    let mut all = client
        .prepare("select * from raw_shop.orders".to_owned(), None)
        .await
        .unwrap();
    let sales = fixture.shop.append_sales(&[60.0]).await;
    let wider = ["secret", "shop"].map(|name| (name, Arc::new(StringArray::from(vec!["x"])) as _));
    let wider = RecordBatch::try_from_iter(wider).unwrap();
    let orders = fixture.shop.write("raw_shop.orders", wider).await;
    fixture
        .shop
        .publish(vec![("warehouse.fct_sale", sales), ("raw_shop.orders", orders)])
        .await;
    let info = count.execute().await.unwrap();
    assert_eq!(lines(&fetch(&mut client, &info).await.unwrap().1), ["6"]);
    // To a driver that prepares what it executes that is one statement: its columns are those that were told.
    let info = all.execute().await.unwrap();
    assert_eq!(fetch(&mut client, &info).await.unwrap().0.fields().len(), 1);
    let refused = status(all.execute().await.unwrap_err());
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("prepare it again"), "{refused}");
}
