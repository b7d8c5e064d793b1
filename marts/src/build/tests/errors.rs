//! What is wrong is told with its place in the user's files, and what to do.

use std::path::Path;

use super::*;

#[tokio::test]
async fn what_is_wrong_is_named_with_its_place() {
    let shop = shop();
    for (path, text, place, why) in [
        (
            "marts/totals.sql",
            "select\n  sum(spnt) as s\nfrom {{ ref('dim_customer') }}",
            "marts/totals.sql:2:7: ",
            "no column `spnt`; did you mean `spent`? the columns are: spent,",
        ),
        (
            "marts/totals.sql",
            "select c.spent, c.mail\nfrom {{ ref('dim_customer') }} as c",
            "marts/totals.sql:1:17: ",
            "no column `mail` in `c`; did you mean `email`?",
        ),
        (
            "marts/totals.sql",
            "select a from {{ ref('dim_custmer') }}",
            "marts/totals.sql:1:18: ",
            "did you mean `dim_customer`?",
        ),
        (
            "marts/totals.sql",
            "select 1 as a\nfrom lake.marts.nothing",
            "marts/totals.sql:2:",
            "no relation `marts.nothing`",
        ),
        (
            "marts/totals.sql",
            "select spent\nfrom warehouse.dim_customer",
            "marts/totals.sql:2:",
            "without a ref",
        ),
        (
            "marts/totals.sql",
            "select spent from\nwhere 1 = 1",
            "marts/totals.sql:2:",
            "Expected",
        ),
        (
            "marts/totals.sql",
            "select 1 as a, 2 as a",
            "marts/totals.sql:1:",
            "`a`",
        ),
        (
            "marts/totals.sql",
            "select no_such(spent) as a from {{ ref('dim_customer') }}",
            "marts/totals.sql:1:8: ",
            "no_such",
        ),
        (
            "marts/totals.sql",
            "{{ config(materialized='tabel') }}select 1 as a",
            "marts/totals.sql:1:11: ",
            "did you mean `table`?",
        ),
        (
            "marts/totals.sql",
            "-- nothing yet\n{{ source('shop', 'orders') }}",
            "marts/totals.sql:2:4: ",
            "unknown source `shop`",
        ),
        (
            "marts/totals.sql",
            "{{ config(materialized='incremental', unique_key='spnt') }}select spent from {{ ref('dim_customer') }}",
            "marts/totals.sql:1:4: ",
            "did you mean `spent`?",
        ),
        ("marts/totals.sql", "   \n", "marts/totals.sql: ", "the model is empty"),
        (
            "staging/stg_orders.sql",
            "select * from {{ ref('totals') }}",
            "",
            "in a cycle: ",
        ),
        (
            "staging/schema.yml",
            "models:\n  - name: stg_orders\n    colums: []\n",
            "staging/schema.yml:3:5: ",
            "did you mean `columns`?",
        ),
        (
            "staging/schema.yml",
            "models:\n  - name: stg_ordrs\n",
            "staging/schema.yml:2:11: ",
            "did you mean `stg_orders`?",
        ),
        (
            "staging/schema.yml",
            "models:\n  - name: stg_orders\n    columns:\n      - name: status\n        tests:\n          - uniqe\n",
            "staging/schema.yml:6:13: ",
            "did you mean `unique`?",
        ),
        (
            "staging/schema.yml",
            "models:\n  - name: stg_orders\n    columns:\n      - name: statuz\n        tests:\n          - unique\n",
            "staging/schema.yml:6:13: ",
            "no column `statuz`; did you mean `status`?",
        ),
        (
            "staging/schema.yml",
            "models:\n  - name: stg_orders\n    columns:\n      - name: statuz\n        meta: {pii: name}\n",
            "staging/schema.yml:4:15: ",
            "tagged as personal data",
        ),
        (
            "staging/schema.yml",
            "sources:\n  - name: shop\n    tables: [{name: carts}]\n  - name: erp\n    tables: [{name: x, freshnes: 1}]\n",
            "staging/schema.yml:5:",
            "did you mean `freshness`?",
        ),
        (
            "staging/schema.yml",
            "models:\n  - name: stg_orders\n    config: {materialized: vew}\n",
            "staging/schema.yml:2:11: ",
            "did you mean `view`?",
        ),
        (
            "staging/schema.yml",
            "models:\n  - name: stg_orders\n    config: {contract: {enforced: true}}\n    columns: [{name: order_id, data_type: bigint}, {name: customer_id, data_type: bigint}, {name: amount, data_type: int}, {name: status, data_type: varchar}]\n",
            "staging/schema.yml:4:",
            "the column `amount` is Decimal128(10, 2) and not int",
        ),
        (
            "seeds/orders.csv",
            "a,b\n1,2\n3\n",
            "seeds/orders.csv:3: ",
            "1 fields, the header 2",
        ),
        (
            "dbt_project.yml",
            "name: acme\nmodel_paths: [staging]\n",
            "dbt_project.yml:2:1: ",
            "did you mean `model-paths`?",
        ),
        (
            "dbt_project.yml",
            "name: acme\nmodel-paths: [staging, warehouse, marts]\nvars: {minimum: 0}\nmodels:\n  marts:\n    +materialised: view\n",
            "dbt_project.yml:6:6: ",
            "did you mean `materialized`?",
        ),
        (
            "macros/positive.sql",
            "{% test positive(model) %}\nselect {{ 1 +\n{% endtest %}",
            "macros/positive.sql:",
            "loading the macros",
        ),
        (
            "tests/total_is_right.sql",
            "select *\nfrom {{ ref('totals') }}\nwhere spnt > 1",
            "tests/total_is_right.sql:3:7: ",
            "no column `spnt`",
        ),
    ] {
        let house = House::with(&shop).await;
        house.write(path, text);
        let error = house.error().await;
        assert!(error.starts_with(place) && error.contains(why), "{text}\n=> {error}");
    }
}

#[tokio::test]
async fn a_source_that_was_never_landed_says_what_to_do() {
    let house = House::with(&[
        (
            "staging/sources.yml",
            "sources:\n  - name: shop\n    tables: [{name: orders}]\n",
        ),
        ("staging/stg.sql", "select *\nfrom {{ source('shop', 'orders') }}"),
    ])
    .await;
    let error = house.error().await;
    assert!(error.starts_with("staging/stg.sql:2:9: "), "{error}");
    assert!(
        error.contains("raw_shop.orders") && error.contains("cordada ingest shop"),
        "{error}"
    );
}

#[tokio::test]
async fn a_missing_project_says_where() {
    let error = Project::load(Path::new("/nowhere/sql"), &LoadOptions::default()).unwrap_err();
    assert!(
        error.kind() == ErrorKind::Config && error.to_string().contains("dbt_project.yml"),
        "{error}"
    );
}
