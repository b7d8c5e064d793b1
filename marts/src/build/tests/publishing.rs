//! What is published, and what is not.

use super::*;

#[tokio::test]
async fn a_project_is_built_tested_and_published_as_one_release() {
    let house = House::with(&shop()).await;
    let report = house.build().await;
    assert_eq!(report.release, Some(1));
    let statuses: Vec<_> = report
        .nodes
        .iter()
        .map(|node| (node.name.as_str(), node.status, node.rows))
        .collect();
    let built = NodeStatus::Built;
    assert_eq!(
        statuses,
        [
            ("orders", built, Some(3)),
            ("stg_orders", built, None),
            ("dim_customer", built, Some(2)),
            ("totals", built, Some(1))
        ]
    );
    assert_eq!(report.tests.len(), 6);
    assert!(
        report.tests.iter().all(|test| test.status == TestStatus::Passed),
        "{:?}",
        report.tests
    );
    assert_eq!(house.query("select * from marts.total").await, "11.00");
    assert_eq!(house.query("select count(*) from staging.stg_orders").await, "3");

    let release = house.lake.releases().newest().await.unwrap();
    let docs = async |name: &str| {
        let relation = release.relation(&name.parse().unwrap()).unwrap();
        house.lake.docs(&relation.docs).await.unwrap()
    };
    let customer = docs("warehouse.dim_customer").await;
    assert_eq!(customer.primary_key, ["customer_id"]);
    assert_eq!(customer.description.as_deref(), Some("One row a customer."));
    assert_eq!(customer.columns["email"].pii.as_deref(), Some("email"));
    let key = &docs("staging.stg_orders").await.foreign_keys[0];
    assert_eq!(
        (key.references.to_string().as_str(), &*key.columns[0]),
        ("warehouse.dim_customer", "customer_id")
    );
    assert_eq!(
        house
            .query("select count(*), count(distinct run_id) from ops.runs")
            .await,
        "4 1"
    );
    assert_eq!(
        house
            .query("select count(*) from ops.test_results where status = 'passed'")
            .await,
        "6"
    );
}

#[tokio::test]
async fn a_failed_test_publishes_nothing_and_a_warning_does() {
    let house = House::with(&shop()).await;
    house.build().await;
    house.write("seeds/orders.csv", &format!("{ORDERS_CSV}4,30,7.00,lost\n"));
    let report = house.build().await;
    assert_eq!(report.release, None);
    let bad: Vec<_> = report
        .tests
        .iter()
        .filter(|t| t.status == TestStatus::Failed)
        .map(|t| (&*t.name, t.failures))
        .collect();
    assert_eq!(bad, [("accepted_values_stg_orders_status", 1), ("total_is_right", 1)]);
    assert_eq!(house.query("select * from marts.total").await, "11.00");
    assert_eq!(house.query("select count(*) from seeds.orders").await, "3");
    let seeds = "seeds.orders".parse().unwrap();
    let versions = [house.lake.latest_version(&seeds).await.unwrap(), Some(0)];
    assert_eq!(
        versions[0], versions[1],
        "what failed is not what other engines read as newest"
    );
    assert!(
        report.nodes.iter().all(|node| node.version.is_none()),
        "{:?}",
        report.nodes
    );
    assert_eq!(
        house
            .query("select count(*) from ops.test_results where status = 'failed'")
            .await,
        "2"
    );

    house.write(
        "tests/total_is_right.sql",
        "{{ config(severity='warn') }}select * from {{ ref('totals') }} where spent <> 11.00",
    );
    house.write(
        "staging/schema.yml",
        "models:\n  - name: stg_orders\n    columns:\n      - name: status\n        tests:\n          - accepted_values: {values: [placed, shipped], config: {error_if: '> 1'}}\n",
    );
    let report = house.build().await;
    assert_eq!(report.release, Some(2));
    assert_eq!(
        report.tests.iter().filter(|t| t.status == TestStatus::Warned).count(),
        2,
        "{:?}",
        report.tests
    );
    assert_eq!(house.query("select * from marts.total").await, "18.00");
}

#[tokio::test]
async fn a_failed_node_skips_those_behind_it() {
    let house = House::with(&[
        ("seeds/n.csv", "a,b\n1,x\n"),
        (
            "staging/good.sql",
            "{{ config(materialized='table') }}select a from {{ ref('n') }}",
        ),
        (
            "staging/bad.sql",
            "{{ config(materialized='table') }}select cast(b as int) as a from {{ ref('n') }}",
        ),
        (
            "marts/between.sql",
            "{{ config(materialized='ephemeral') }}select * from {{ ref('bad') }}",
        ),
        (
            "marts/behind.sql",
            "{{ config(materialized='table') }}select a from {{ ref('between') }}",
        ),
        ("marts/far_behind.sql", "select a from {{ ref('behind') }}"),
        (
            "marts/schema.yml",
            "models: [{name: behind, columns: [{name: a, tests: [unique]}]}]",
        ),
    ])
    .await;
    let report = house.build_with(BuildOptions::default()).await.unwrap();
    let mut statuses: Vec<_> = report
        .nodes
        .iter()
        .map(|node| (node.name.as_str(), node.status))
        .collect();
    statuses.sort_by_key(|(name, _)| *name);
    let (built, failed, skipped) = (NodeStatus::Built, NodeStatus::Failed, NodeStatus::Skipped);
    assert_eq!(
        statuses,
        [
            ("bad", failed),
            ("behind", skipped),
            ("far_behind", skipped),
            ("good", built),
            ("n", built)
        ]
    );
    assert_eq!((report.release, report.tests.len()), (None, 0));
    assert_eq!(house.lake.releases().newest().await.unwrap().number, 0);
    assert_eq!(
        house
            .query("select count(*) from ops.runs where status = 'skipped'")
            .await,
        "2"
    );
}

#[tokio::test]
async fn a_cancelled_build_publishes_nothing() {
    let house = House::with(&shop()).await;
    let compiled = house.compile().await.unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let options = BuildOptions::default();
    let error = build(
        &compiled,
        &house.lake,
        &estimators(),
        &options,
        Arc::new(Silent),
        cancel,
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(house.lake.releases().newest().await.unwrap().number, 0);
}

#[tokio::test]
async fn another_environment_starts_from_production_and_leaves_it_alone() {
    let mut house = House::with(&shop()).await;
    house.build().await;
    let production = house.lake.clone();
    house.lake = production.in_target(Some("dev")).unwrap();
    house.write(
        "marts/totals.sql",
        "{{ config(materialized='table', alias='total') }}\nselect 1 as spent from {{ ref('dim_customer') }} limit 1",
    );
    house.remove("tests/total_is_right.sql");
    let report = house.build().await;
    let status = |name: &str| report.nodes.iter().find(|node| node.name == name).unwrap().status;
    assert_eq!(
        (status("dim_customer"), status("totals")),
        (NodeStatus::Reused, NodeStatus::Built)
    );
    assert_eq!(house.query("select * from marts.total").await, "1");
    house.lake = production;
    assert_eq!(house.query("select * from marts.total").await, "11.00");
}

#[tokio::test]
async fn a_node_whose_rows_break_a_constraint_of_its_table_fails() {
    let house = House::with(&[(
        "marts/totals.sql",
        "{{ config(materialized='table') }}select 1 as spent",
    )])
    .await;
    house.build().await;
    // Another engine puts a constraint on the table.
    let log = house.dir.path().join("lake/marts/totals/_delta_log");
    let first = std::fs::read_to_string(log.join("00000000000000000000.json")).unwrap();
    let actions = first
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut metadata = actions.clone().find(|action| action.get("metaData").is_some()).unwrap();
    metadata["metaData"]["configuration"]["delta.constraints.positive"] = "spent > 0".into();
    std::fs::write(log.join("00000000000000000001.json"), metadata.to_string()).unwrap();
    house.write(
        "marts/totals.sql",
        "{{ config(materialized='table') }}select -1 as spent",
    );
    let report = house.build_with(BuildOptions::default()).await.unwrap();
    let message = report.nodes[0].message.clone().unwrap();
    assert!(
        message.contains("constraint `positive` must hold: spent > 0"),
        "{message}"
    );
    assert_eq!(house.query("select spent from marts.totals").await, "1");
}

#[tokio::test]
async fn a_table_that_clients_write_is_not_built() {
    let house = House::with(&shop()).await;
    let mut draft = Draft::new(house.lake.releases().newest().await.unwrap(), "bulk ingest", "run");
    let relation = cordada_lake::Relation {
        by_client: true,
        ..cordada_lake::Relation::view("select 1 as total")
    };
    draft.set("marts.total".parse().unwrap(), relation);
    house.lake.releases().publish(&draft).await.unwrap();
    let refused = house.build_with(BuildOptions::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
    let told = refused.to_string();
    assert!(told.contains("marts.total") && told.contains("another name"), "{told}");
    assert_eq!(house.lake.releases().newest().await.unwrap().number, 1);
}
