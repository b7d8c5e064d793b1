//! Answers that are given again.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow_flight::sql::client::PreparedStatement;
use cordada_query_contract::lines;
use tonic::transport::Channel;

use crate::fixture::{Client, Fixture, answer, fetch, query};

#[tokio::test]
async fn an_answer_that_is_given_again_is_that_of_its_release_its_user_and_its_form() {
    const ALL: &str = "select * from marts.sales_by_country order by country";
    let fixture = Fixture::with_users().await;
    let mut ana = fixture.client("ana").await;
    let first = answer(&mut ana, ALL).await;
    assert_eq!(first.len(), 2);
    assert_eq!(answer(&mut ana, ALL).await, first);

    let mut nobody = fixture.client("nobody").await;
    assert!(
        query(&mut nobody, ALL).await.is_err(),
        "a kept answer is not for those who may not ask"
    );
    let planned = ana.execute(ALL.to_owned(), None).await.unwrap();
    assert!(fetch(&mut nobody, &planned).await.is_err());

    // The schema that was told is the one of the rows, whatever was kept in another form.
    for (option, value) in [
        ("arrow_views", "true"),
        ("no_time_zones", "true"),
        ("compression", "zstd"),
    ] {
        let mut client = fixture.client("ana").await;
        client.set_header(option, value);
        for _ in 0..2 {
            assert_eq!(
                answer(&mut client, "select country, sales, amount from marts.sales_by_country")
                    .await
                    .len(),
                2
            );
            query(&mut client, ALL).await.unwrap();
        }
    }

    let written = fixture.shop.append_sales(&[60.0]).await;
    fixture.shop.publish(vec![("warehouse.fct_sale", written)]).await;
    let second = answer(&mut ana, ALL).await;
    assert_ne!(second, first);
    assert_eq!(
        lines(&fetch(&mut ana, &planned).await.unwrap().1),
        first,
        "on the release it was planned on"
    );
    assert_eq!(answer(&mut ana, ALL).await, second);
    fixture.shop.lake.rollback(1, "run").await.unwrap();
    assert_eq!(answer(&mut ana, ALL).await, first);
}

async fn bound(client: &mut Client, statement: &mut PreparedStatement<Channel>, value: i64) -> Vec<String> {
    let values = Arc::new(Int64Array::from(vec![value]));
    statement
        .set_parameters(RecordBatch::try_from_iter([("1", values as _)]).unwrap())
        .unwrap();
    let info = statement.execute().await.unwrap();
    lines(&fetch(client, &info).await.unwrap().1)
}

#[tokio::test]
async fn the_answer_to_other_values_is_another() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let sql = "select count(*) from warehouse.fct_sale where sale_id < $1";
    let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
    for _ in 0..2 {
        for value in [3, 0, 5] {
            assert_eq!(bound(&mut client, &mut statement, value).await, [value.to_string()]);
        }
    }
}

#[tokio::test]
async fn what_is_different_each_time_is_not_given_again() {
    let fixture = Fixture::with_users().await;
    let (mut ana, mut bea) = (fixture.client("ana").await, fixture.client("bea").await);
    for sql in ["select random()", "select uuid()"] {
        assert_ne!(answer(&mut ana, sql).await, answer(&mut ana, sql).await, "{sql}");
    }
    assert_eq!(answer(&mut ana, "select current_user").await, ["ana"]);
    assert_eq!(answer(&mut bea, "select current_user").await, ["bea"]);
}
