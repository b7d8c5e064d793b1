//! Which release a statement reads.

use futures::TryStreamExt;

use crate::{Door, Shop, answer, connect};

const COUNT: &str = "select count(*) from warehouse.fct_sale";

/// What is published while a query runs does not change it.
pub async fn a_query_ends_on_the_release_that_it_began_on(shop: &Shop, door: &impl Door) {
    let mut client = connect(door, "root").await;
    // More rows than wait anywhere for a client: the query is at work when the release is published.
    let many = "select sale_id from warehouse.fct_sale cross join generate_series(1, 200000)";
    let mut rows = client.begin(many).await.unwrap();
    let mut count = rows.try_next().await.unwrap().unwrap().num_rows();
    let sales = shop.append_sales(&[60.0]).await;
    shop.publish(vec![("warehouse.fct_sale", sales)]).await;
    assert_eq!(answer(&mut *connect(door, "root").await, COUNT).await, ["6"]);
    while let Some(batch) = rows.try_next().await.unwrap() {
        count += batch.num_rows();
    }
    assert_eq!(count, 5 * 200_000);
}

/// A connection moves to what is published, and to nothing before.
pub async fn the_next_statement_reads_the_newest_release(shop: &Shop, door: &impl Door) {
    let mut client = connect(door, "root").await;
    assert_eq!(answer(&mut *client, COUNT).await, ["5"]);
    let sales = shop.append_sales(&[60.0]).await;
    assert_eq!(answer(&mut *client, COUNT).await, ["5"], "not published yet");
    shop.publish(vec![("warehouse.fct_sale", sales)]).await;
    assert_eq!(answer(&mut *client, COUNT).await, ["6"]);
    assert_eq!(answer(&mut *client, &format!("{COUNT} version as of 1")).await, ["5"]);
    shop.lake.rollback(1, "run").await.unwrap();
    assert_eq!(answer(&mut *client, COUNT).await, ["5"], "rolled back");
}
