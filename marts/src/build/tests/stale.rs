//! Tables are built again when their rows would be others, whatever is between them and what changed.

use super::*;

const TABLE: &str = "{{ config(materialized='table') }}select customer_id, spent from {{ ref('spendings') }}";

/// A table over a view over a view, which have a macro and a variable in them.
async fn house() -> House {
    let house = House::with(&[
        ("seeds/orders.csv", ORDERS_CSV),
        ("macros/cents.sql", "{% macro cents(x) %}({{ x }} * 100){% endmacro %}"),
        (
            "staging/stg_orders.sql",
            "select customer_id, {{ cents('amount') }} as cents from {{ ref('orders') }} where amount > {{ var('minimum') }}",
        ),
        (
            "warehouse/spendings.sql",
            "select customer_id, sum(cents) as spent from {{ ref('stg_orders') }} group by customer_id",
        ),
        ("marts/customers.sql", TABLE),
    ])
    .await;
    house.build().await;
    assert_eq!(customers(&house).await, "10 1000.0\n20 100.0");
    house
}

async fn customers(house: &House) -> String {
    house
        .query("select customer_id, spent from marts.customers order by 1")
        .await
}

fn status(report: &BuildReport, name: &str) -> NodeStatus {
    report.nodes.iter().find(|node| node.name == name).unwrap().status
}

#[tokio::test]
async fn a_change_reaches_a_table_through_views() {
    let house = house().await;
    assert_eq!(status(&house.build().await, "customers"), NodeStatus::Reused);
    house.write("macros/cents.sql", "{% macro cents(x) %}({{ x }} * 10){% endmacro %}");
    house.build().await;
    assert_eq!(customers(&house).await, "10 100.0\n20 10.0", "a macro");
    house.write(
        "dbt_project.yml",
        "name: acme\nmodel-paths: [staging, warehouse, marts]\nvars: {minimum: 1}\n",
    );
    house.build().await;
    assert_eq!(customers(&house).await, "10 100.0", "a variable");
    house.write(
        "warehouse/spendings.sql",
        "select customer_id, max(cents) as spent from {{ ref('stg_orders') }} group by customer_id",
    );
    house.build().await;
    assert_eq!(customers(&house).await, "10 55.0", "a view");
    house.write(
        "warehouse/spendings.sql",
        "-- By customer.\nselect o.customer_id,\n  max(o.cents) as spent\nfrom {{ ref('stg_orders') }} as o group by o.customer_id",
    );
    assert_eq!(
        status(&house.build().await, "customers"),
        NodeStatus::Reused,
        "nothing that counts"
    );
}

#[tokio::test]
async fn a_change_reaches_a_table_whose_view_was_built_alone() {
    let house = house().await;
    house.write("macros/cents.sql", "{% macro cents(x) %}({{ x }} * 10){% endmacro %}");
    let views = BuildOptions {
        select: vec!["stg_orders spendings".to_owned()],
        ..BuildOptions::default()
    };
    house.build_with(views).await.unwrap();
    assert_eq!(customers(&house).await, "10 1000.0\n20 100.0");
    house.build().await;
    assert_eq!(customers(&house).await, "10 100.0\n20 10.0");
}

#[tokio::test]
async fn equal_projects_have_equal_fingerprints() {
    let mut fingerprints = Vec::new();
    for _ in 0..2 {
        let house = house().await;
        let release = house.lake.releases().newest().await.unwrap();
        let relation = release.relation(&"marts.customers".parse().unwrap()).unwrap();
        fingerprints.push(relation.fingerprint.clone().unwrap());
    }
    assert_eq!(fingerprints[0], fingerprints[1]);
}

const DOUBLED: &str =
    "{{ config(materialized='table') }}select order_id, amount * 2 as amount from {{ ref('orders') }}";
const ADDED: &str = "{{ config(materialized='incremental') }}\nselect order_id, amount from {{ ref('doubled') }}\n{% if is_incremental() %}where order_id > (select max(order_id) from {{ this }}){% endif %}";

#[tokio::test]
async fn an_incremental_model_is_built_from_scratch_when_its_rows_would_be_others() {
    for (settings, expected) in [
        ("", "1 16.5\n2 13.5\n3 3.0"),
        (", full_refresh=false", "1 11.0\n2 9.0\n3 2.0"),
    ] {
        let added = ADDED.replace("'incremental'", &format!("'incremental'{settings}"));
        let house = House::with(&[
            ("seeds/orders.csv", ORDERS_CSV),
            ("warehouse/doubled.sql", DOUBLED),
            ("marts/added.sql", &added),
        ])
        .await;
        house.build().await;
        let again = house.build().await;
        assert_eq!(
            status(&again, "added"),
            NodeStatus::Reused,
            "the first run is as good as a later one"
        );
        house.write("warehouse/doubled.sql", &DOUBLED.replace("* 2", "* 3"));
        house.build().await;
        let rows = house.query("select order_id, amount from marts.added order by 1").await;
        assert_eq!(rows, expected, "{settings}");
    }
}

#[tokio::test]
async fn a_model_is_fitted_again_when_a_view_makes_its_rows_otherwise() {
    let model = "{{ config(materialized='model', estimator='above_mean', column='amount', refit='never', outputs=['means']) }}\nselect order_id, amount from {{ ref('stg') }}";
    let house = House::with(&[
        ("seeds/orders.csv", ORDERS_CSV),
        ("staging/stg.sql", "select order_id, amount from {{ ref('orders') }}"),
        ("marts/scores.sql", model),
    ])
    .await;
    house.build().await;
    house.write(
        "staging/stg.sql",
        "select order_id, amount from {{ ref('orders') }} where amount > 2",
    );
    house.build().await;
    assert_eq!(house.query("select fitted_on from ml.scores__means").await, "2");
}

#[tokio::test]
async fn a_hash_of_a_time_is_the_same_in_a_view_and_in_a_table() {
    let hash = "select md5(cast(at as varchar)) as hash from {{ ref('times') }} order by 1";
    let house = House::with(&[
        ("seeds/times.csv", "at\n2024-01-31 10:00:00\n2024-01-31T10:00:00.250Z\n"),
        ("staging/as_view.sql", hash),
        (
            "staging/as_table.sql",
            &format!("{{{{ config(materialized='table') }}}}{hash}"),
        ),
        (
            "staging/copy.sql",
            "{{ config(materialized='table') }}select at from {{ ref('times') }}",
        ),
        ("marts/of_copy.sql", &hash.replace("times", "copy")),
    ])
    .await;
    house.build().await;
    let expected = house.query("select hash from staging.as_table order by 1").await;
    for relation in ["staging.as_view", "marts.of_copy"] {
        assert_eq!(
            house.query(&format!("select hash from {relation} order by 1")).await,
            expected,
            "{relation}"
        );
    }
}
