//! Only what changed is built again: nodes that are reused, models that go on from their own rows.

use super::*;

#[tokio::test]
async fn only_what_changed_is_built_again() {
    let house = House::with(&shop()).await;
    house.build().await;
    let again = house.build().await;
    assert_eq!(again.release, Some(1), "nothing changed, so nothing is published");
    let status = |report: &BuildReport, name: &str| report.nodes.iter().find(|n| n.name == name).unwrap().status;
    for name in ["orders", "dim_customer", "totals"] {
        assert_eq!(status(&again, name), NodeStatus::Reused, "{name}");
    }
    house.write("marts/totals.sql", "{{ config(materialized='table', alias='total') }}\nselect sum(spent) as spent, now() as at from {{ ref('dim_customer') }}");
    for _ in 0..2 {
        let report = house.build().await;
        assert_eq!(status(&report, "dim_customer"), NodeStatus::Reused);
        assert_eq!(status(&report, "totals"), NodeStatus::Built, "time passes");
    }
    house.write("seeds/orders.csv", &format!("{ORDERS_CSV}4,20,-1.00,placed\n"));
    let report = house.build().await;
    assert_eq!(status(&report, "orders"), NodeStatus::Built);
    assert_eq!(status(&report, "dim_customer"), NodeStatus::Built);
    let full = house
        .build_with(BuildOptions {
            full_refresh: true,
            ..BuildOptions::default()
        })
        .await
        .unwrap();
    assert_eq!(status(&full, "orders"), NodeStatus::Built);
}

#[tokio::test]
async fn incremental_models_append_and_merge() {
    const APPEND: &str = "{{ config(materialized='incremental') }}\nselect order_id, amount from {{ ref('orders') }}\n{% if is_incremental() %}where order_id > (select max(order_id) from {{ this }}){% endif %}";
    const MERGE: &str = "{{ config(materialized='incremental', unique_key='order_id') }}\nselect order_id, status from {{ ref('orders') }}";
    let house = House::with(&[
        ("seeds/orders.csv", ORDERS_CSV),
        ("warehouse/appended.sql", APPEND),
        ("warehouse/merged.sql", MERGE),
    ])
    .await;
    house.build().await;
    let later = "OrderID,CustomerID,amount,status\n3,20,9.00,shipped\n4,20,2.00,placed\n";
    house.write("seeds/orders.csv", later);
    let report = house.build().await;
    let rows: Vec<_> = report
        .nodes
        .iter()
        .map(|node| (node.name.as_str(), node.rows))
        .collect();
    assert!(
        rows.contains(&("appended", Some(1))) && rows.contains(&("merged", Some(2))),
        "{rows:?}"
    );
    assert_eq!(
        house
            .query("select count(*), sum(amount) from warehouse.appended")
            .await,
        "4 13.0"
    );
    let merged = house
        .query("select order_id, status from warehouse.merged order by 1")
        .await;
    assert_eq!(merged, "1 placed\n2 shipped\n3 shipped\n4 placed");
    house
        .build_with(BuildOptions {
            full_refresh: true,
            ..BuildOptions::default()
        })
        .await
        .unwrap();
    assert_eq!(house.query("select count(*) from warehouse.merged").await, "2");
}

#[tokio::test]
async fn a_key_may_have_a_dot_in_its_name() {
    const MERGE: &str = "{{ config(materialized='incremental', unique_key='a.b') }}\nselect order_id as \"a.b\", status from {{ ref('orders') }}";
    let house = House::with(&[
        ("seeds/orders.csv", ORDERS_CSV),
        ("warehouse/merged.sql", MERGE),
        (
            "warehouse/schema.yml",
            "models:\n  - name: merged\n    columns:\n      - name: a.b\n        data_tests: [unique, not_null]\n",
        ),
    ])
    .await;
    house.build().await;
    house.write(
        "seeds/orders.csv",
        "OrderID,CustomerID,amount,status\n3,20,9.00,shipped\n4,20,2.00,placed\n",
    );
    let report = house.build().await;
    assert!(report.succeeded() && report.tests.len() == 2, "{report:?}");
    let merged = house
        .query("select \"a.b\", status from warehouse.merged order by 1")
        .await;
    assert_eq!(merged, "1 placed\n2 shipped\n3 shipped\n4 placed");
}

#[tokio::test]
async fn an_unpublished_version_does_not_leak_into_the_next_build() {
    const APPEND: &str = "{{ config(materialized='incremental') }}select order_id from {{ ref('orders') }}";
    let house = House::with(&[("seeds/orders.csv", ORDERS_CSV), ("warehouse/appended.sql", APPEND)]).await;
    house.build().await;
    house.write("seeds/orders.csv", "OrderID\n4\n");
    house.write("tests/never.sql", "select * from {{ ref('appended') }}");
    assert_eq!(house.build().await.release, None);
    house.remove("tests/never.sql");
    house.build().await;
    assert_eq!(
        house
            .query("select count(*), max(order_id) from warehouse.appended")
            .await,
        "4 4"
    );
}

#[tokio::test]
async fn columns_of_an_incremental_model_change_only_as_it_says() {
    let model = |columns: &str, change: &str| {
        format!(
            "{{{{ config(materialized='incremental', unique_key='order_id', on_schema_change='{change}') }}}}select {columns} from {{{{ ref('orders') }}}}"
        )
    };
    let house = House::with(&[
        ("seeds/orders.csv", ORDERS_CSV),
        ("warehouse/inc.sql", &model("order_id", "fail")),
    ])
    .await;
    house.build().await;
    house.write("warehouse/inc.sql", &model("order_id, status", "fail"));
    let refused = house.build_with(BuildOptions::default()).await.unwrap_err().to_string();
    assert!(
        refused.contains("the column `status` is new") && refused.contains("--full-refresh"),
        "{refused}"
    );
    house.write("warehouse/inc.sql", &model("order_id, status", "ignore"));
    house.build().await;
    assert_eq!(house.query("select * from warehouse.inc order by 1 limit 1").await, "1");
    house.write("warehouse/inc.sql", &model("order_id, status", "append_new_columns"));
    house.build().await;
    assert_eq!(
        house
            .query("select order_id, status from warehouse.inc order by 1 limit 1")
            .await,
        "1 placed"
    );
    house.write("warehouse/inc.sql", &model("order_id", "ignore"));
    let refused = house.build_with(BuildOptions::default()).await.unwrap_err().to_string();
    assert!(refused.contains("`status` is no longer selected"), "{refused}");
}

#[tokio::test]
async fn the_second_run_of_an_incremental_model_is_checked_before_the_first() {
    let model = "{{ config(materialized='incremental') }}\nselect order_id from {{ ref('orders') }}\n{% if is_incremental() %}\nwhere order_id > (select max(ordr_id) from {{ this }})\n{% endif %}";
    let house = House::with(&[("seeds/orders.csv", ORDERS_CSV), ("warehouse/inc.sql", model)]).await;
    let error = house.error().await;
    assert!(
        error.starts_with("warehouse/inc.sql:4:30: ") && error.contains("no column `ordr_id`"),
        "{error}"
    );
}
