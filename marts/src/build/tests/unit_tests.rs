//! Unit tests: a model's SQL over rows that the test gives.

use super::*;

const MODEL: &str = "{{ config(materialized='incremental', unique_key='customer_id') }}\nselect customer_id, sum(amount) as spent from {{ ref('big_orders') }}\n{% if is_incremental() %}where customer_id > (select max(customer_id) from {{ this }}){% endif %}\ngroup by customer_id having sum(amount) > {{ var('minimum') }}";

async fn house(test: &str) -> House {
    House::with(&[
        ("seeds/orders.csv", ORDERS_CSV),
        (
            "warehouse/big_orders.sql",
            "{{ config(materialized='ephemeral') }}select customer_id, amount from {{ ref('orders') }}",
        ),
        ("marts/spent.sql", MODEL),
        ("tests/fixtures/some.csv", "customer_id,amount\n1,2.5\n1,\n2,4\n"),
        (
            "marts/unit.yml",
            &format!("unit_tests:\n  - name: adds_up\n    model: spent\n{test}"),
        ),
    ])
    .await
}

#[tokio::test]
async fn a_unit_test_that_fails_fails_the_build() {
    const GIVEN: &str = "    given: [{input: ref('big_orders'), rows: [{customer_id: 1, amount: 2.5}, {customer_id: 1}, {customer_id: 2, amount: 4}]}]\n";
    let fixture = "    given: [{input: ref('big_orders'), format: csv, fixture: some}]\n";
    let sql = "    given: [{input: ref('big_orders'), format: sql, rows: \"select 1 as customer_id, 2.5 as amount union all select 2, 4\"}]\n";
    let later = "    overrides: {macros: {is_incremental: true}, vars: {minimum: 3}}\n";
    let this = GIVEN.replace("given: [", "given: [{input: this, rows: [{customer_id: 1}]}, ");
    for (given, expect, status) in [
        (
            GIVEN,
            "    expect: {rows: [{customer_id: 2, spent: 4}, {customer_id: 1, spent: 2.5}]}\n",
            TestStatus::Passed,
        ),
        (
            GIVEN,
            "    expect: {format: csv, rows: \"customer_id,spent\\n2,4\\n1,2.5\\n\"}\n",
            TestStatus::Passed,
        ),
        (
            fixture,
            "    expect: {rows: [{spent: 4}, {spent: 2.5}]}\n",
            TestStatus::Passed,
        ),
        (
            sql,
            "    expect: {format: sql, rows: select 2 as customer_id union all select 1}\n",
            TestStatus::Passed,
        ),
        (
            GIVEN,
            "    expect: {rows: [{customer_id: 2, spent: 4}]}\n",
            TestStatus::Failed,
        ),
        (
            GIVEN,
            "    expect: {rows: [{spent: 4}, {spent: 4}, {spent: 2.5}]}\n",
            TestStatus::Failed,
        ),
        (
            &format!("{later}{this}"),
            "    expect: {rows: [{customer_id: 2, spent: 4}]}\n",
            TestStatus::Passed,
        ),
    ] {
        let house = house(&format!("{given}{expect}")).await;
        let report = house.build_with(BuildOptions::default()).await.unwrap();
        let test = report.tests.iter().find(|test| test.name == "adds_up").unwrap();
        assert_eq!(test.status, status, "{given}{expect}: {:?}", test.message);
        assert_eq!(
            report.release.is_some(),
            status == TestStatus::Passed,
            "{given}{expect}"
        );
    }
}

#[tokio::test]
async fn what_a_unit_test_says_wrongly_is_named() {
    for (test, why) in [
        ("    given: []\n    expect: {rows: []}\n", "gives no rows of"),
        (
            "    given: [{input: ref('big_order'), rows: []}]\n    expect: {rows: []}\n",
            "did you mean `big_orders`?",
        ),
        (
            "    given: [{input: ref('big_orders'), rows: [{amont: 1}]}]\n    expect: {rows: []}\n",
            "no column `amont`",
        ),
        (
            "    given: [{input: ref('big_orders'), rows: [{amount: much}]}]\n    expect: {rows: []}\n",
            "a value of `amount` is not",
        ),
        (
            "    given: [{input: ref('big_orders'), fixture: none}]\n    expect: {rows: []}\n",
            "no fixture `none.csv`",
        ),
    ] {
        let error = house(test).await.error().await;
        assert!(
            error.starts_with("marts/unit.yml:2:") && error.contains(why),
            "{test}: {error}"
        );
    }
}
