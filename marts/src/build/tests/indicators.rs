//! Indicators: figures of YAML that become columns of a mart.

use super::*;

const CUSTOMERS: &str = "{{ config(materialized='table') }}\nselect customer_id, sum(amount) as spent from {{ ref('orders') }} group by customer_id -- all of them";
const YAML: &str = "indicators:\n\
  \u{20} - name: orders\n    grain: customers\n    unit: orders\n    owner: crm\n    description: Purchases.\n    default: 0\n\
  \u{20}   sql: select customer_id, count(*) as orders from {{ ref('orders') }} where status = 'shipped' group by customer_id\n\
  \u{20}   data_tests: [not_null]\n\
  \u{20} - {name: spends_much, grain: customers, sql: spent > 5 and orders > 0}\n";

async fn house(indicators: &str) -> House {
    House::with(&[
        ("seeds/orders.csv", ORDERS_CSV),
        ("marts/customers.sql", CUSTOMERS),
        ("indicators/customers.yml", indicators),
    ])
    .await
}

#[tokio::test]
async fn an_indicator_is_a_column_of_its_mart_with_its_definition() {
    let house = house(YAML).await;
    let report = house.build().await;
    assert!(
        report.tests.iter().any(|test| test.name == "not_null_customers_orders"),
        "{:?}",
        report.tests
    );
    let rows = house
        .query("select customer_id, orders, spends_much from marts.customers order by 1")
        .await;
    assert_eq!(rows, "10 1 true\n20 0 false");
    let release = house.lake.releases().newest().await.unwrap();
    let relation = release.relation(&"marts.customers".parse().unwrap()).unwrap();
    let docs = house.lake.docs(&relation.docs).await.unwrap();
    let said = docs.columns["orders"].description.clone().unwrap();
    assert!(
        said.starts_with("Purchases. Unit: orders. Owner: crm. Defined as: select customer_id, count(*) as orders from {{ ref('orders') }}"),
        "{said}"
    );
    house.write("indicators/customers.yml", &YAML.replace("shipped", "placed"));
    house.build().await;
    assert_eq!(
        house
            .query("select orders from marts.customers order by customer_id")
            .await,
        "1\n1"
    );
}

#[tokio::test]
async fn what_is_wrong_with_an_indicator_is_said_with_its_place() {
    for (text, place, why) in [
        (
            "{name: a, grain: custmers, sql: '1'}",
            "indicators/customers.yml:1:",
            "did you mean `customers`?",
        ),
        (
            "{name: a, grain: customers, sql: spnt > 1}",
            "indicators/customers.yml:1:",
            "did you mean `spent`?",
        ),
        (
            "{name: spent, grain: customers, sql: '1'}",
            "indicators/customers.yml:1:",
            "selects a column `spent` itself",
        ),
        (
            "{name: a, grain: customers, sql: 'select customer_id from {{ ref(''orders'') }}'}",
            "indicators/customers.yml:1:",
            "its query has no column `a`",
        ),
        (
            "{name: a, grain: customers, sql: 'select order_id, 1 as a from {{ ref(''orders'') }}'}",
            "indicators/customers.yml:1:",
            "customers has no column `order_id`",
        ),
        (
            "{name: a, grain: customers, sql: 'select customer_id, 1 as a from {{ ref(''customers'') }}'}",
            "",
            "in a cycle: ",
        ),
    ] {
        let house = house(&format!("indicators: [{text}]\n")).await;
        let error = house.error().await;
        assert!(error.contains(place) && error.contains(why), "{text}: {error}");
    }
}
