//! Snapshots: the former rows stay beside the current ones.

use super::*;

const YAML: &str = "snapshots:\n  - name: kept\n    relation: ref('people')\n    config: {unique_key: id, CONFIG}\n";
const TIMESTAMP: &str = "strategy: timestamp, updated_at: at";
const CHECK: &str = "strategy: check, check_cols: [town]";

const FIRST: &str = "id,town,at\n1,Vigo,2024-01-01 00:00:00\n2,Lugo,2024-01-01 00:00:00\n";
const SECOND: &str = "id,town,at\n1,Pontevedra,2024-02-01 00:00:00\n3,Ourense,2024-02-01 00:00:00\n";

async fn house(config: &str) -> House {
    let yaml = YAML.replace("CONFIG", config);
    let house = House::with(&[("seeds/people.csv", FIRST), ("snapshots/kept.yml", &yaml)]).await;
    house.build().await;
    house
}

async fn rows(house: &House) -> String {
    let query =
        "select id, town, dbt_valid_to is null as current from snapshots.kept order by id, dbt_valid_from, town";
    house.query(query).await
}

#[tokio::test]
async fn a_row_that_changes_ends_and_begins_anew() {
    for config in [TIMESTAMP, CHECK] {
        let house = house(config).await;
        assert_eq!(rows(&house).await, "1 Vigo true\n2 Lugo true", "{config}");
        let again = house.build().await;
        let status = |report: &BuildReport| report.nodes.iter().find(|node| node.name == "kept").unwrap().status;
        assert_eq!(status(&again), NodeStatus::Reused, "{config}");
        house.write("seeds/people.csv", SECOND);
        for full_refresh in [false, true] {
            let options = BuildOptions {
                full_refresh,
                ..BuildOptions::default()
            };
            let report = house.build_with(options).await.unwrap();
            assert!(report.succeeded(), "{:?}", report.nodes);
            let expected = "1 Vigo false\n1 Pontevedra true\n2 Lugo true\n3 Ourense true";
            assert_eq!(rows(&house).await, expected, "{config}");
        }
        let ids = house
            .query("select count(*) = count(distinct dbt_scd_id) from snapshots.kept")
            .await;
        assert_eq!(ids, "true");
    }
    let house = house(TIMESTAMP).await;
    house.write("seeds/people.csv", SECOND);
    house.build().await;
    let times = "select dbt_valid_from = timestamp '2024-01-01', dbt_valid_to = timestamp '2024-02-01' from snapshots.kept where town = 'Vigo'";
    assert_eq!(house.query(times).await, "true true");
}

#[tokio::test]
async fn what_becomes_of_rows_that_are_gone_is_said() {
    let invalidated = house(&format!("{TIMESTAMP}, hard_deletes: invalidate")).await;
    invalidated.write("seeds/people.csv", SECOND);
    invalidated.build().await;
    assert_eq!(
        rows(&invalidated).await,
        "1 Vigo false\n1 Pontevedra true\n2 Lugo false\n3 Ourense true"
    );
    let recorded = house(&format!("{CHECK}, hard_deletes: new_record")).await;
    let deleted = "select id, town, dbt_is_deleted from snapshots.kept where dbt_valid_to is null order by id";
    recorded.write("seeds/people.csv", SECOND);
    recorded.build().await;
    assert_eq!(
        recorded.query(deleted).await,
        "1 Pontevedra False\n2 Lugo True\n3 Ourense False"
    );
    recorded.write("seeds/people.csv", &format!("{SECOND}2,Lugo,2024-03-01 00:00:00\n"));
    recorded.build().await;
    assert_eq!(
        recorded.query(deleted).await,
        "1 Pontevedra False\n2 Lugo False\n3 Ourense False"
    );
    assert_eq!(
        recorded.query("select count(*) from snapshots.kept where id = 2").await,
        "3"
    );
}

#[tokio::test]
async fn columns_come_and_go() {
    let house = house("strategy: check, check_cols: all, snapshot_meta_column_names: {dbt_valid_to: until}").await;
    house.write(
        "seeds/people.csv",
        "id,age,at\n1,40,2024-01-01 00:00:00\n2,,2024-01-01 00:00:00\n",
    );
    house.build().await;
    let query = "select id, town, age, until is null from snapshots.kept order by id, dbt_valid_from";
    assert_eq!(house.query(query).await, "1 Vigo false\n1 40 true\n2 Lugo true");
}

#[tokio::test]
async fn a_block_in_a_file_is_a_snapshot_too() {
    const SQL: &str = "{% snapshot kept %}\n{{ config(unique_key='id', strategy='timestamp', updated_at='at', target_schema='history') }}\nselect * from {{ ref('people') }}\n{% endsnapshot %}\n\n{% snapshot other %}\n{{ config(unique_key='id', strategy='check', check_cols='all') }}\nselect id, twn from {{ ref('people') }}\n{% endsnapshot %}\n";
    let house = House::with(&[("seeds/people.csv", FIRST), ("snapshots/both.sql", SQL)]).await;
    let error = house.error().await;
    assert!(
        error.starts_with("snapshots/both.sql:8:12: ") && error.contains("`twn`"),
        "{error}"
    );
    house.write("snapshots/both.sql", &SQL.replace("twn", "town"));
    house.write(
        "marts/current.sql",
        "select count(*) as n from {{ ref('kept') }} where dbt_valid_to is null",
    );
    house.build().await;
    assert_eq!(house.query("select n from marts.current").await, "2");
    assert_eq!(house.query("select count(*) from history.kept").await, "2");
}

#[tokio::test]
async fn what_is_missing_or_repeated_is_an_error() {
    for (config, why) in [
        ("strategy: timestamp", "needs `updated_at`"),
        ("strategy: check", "needs `check_cols`"),
        ("strategy: chek", "did you mean `check`?"),
        (
            "strategy: check, check_cols: all, hard_deletes: forget",
            "unknown value `forget`",
        ),
    ] {
        let yaml = YAML.replace("CONFIG", config);
        let house = House::with(&[("seeds/people.csv", FIRST), ("snapshots/kept.yml", &yaml)]).await;
        let error = house.error().await;
        assert!(
            error.starts_with("snapshots/kept.yml:") && error.contains(why),
            "{config}: {error}"
        );
    }
    let house = house(TIMESTAMP).await;
    house.write("seeds/people.csv", &format!("{SECOND}1,Vigo,2024-02-02 00:00:00\n"));
    let report = house.build_with(BuildOptions::default()).await.unwrap();
    let message = report.nodes.iter().find_map(|node| node.message.clone()).unwrap();
    assert!(message.contains("the same `unique_key`"), "{message}");
}
