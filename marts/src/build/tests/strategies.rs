//! How the new rows of incremental models meet those that are there.

use super::*;

const BEFORE: &str = "k,v\n1,a\n1,b\n2,c\n";
const AFTER: &str = "k,v\n1,x\n1,y\n1,z\n3,w\n";

async fn house(config: &str) -> House {
    let model = format!("{{{{ config(materialized='incremental'{config}) }}}}select k, v from {{{{ ref('rows') }}}}");
    let house = House::with(&[("seeds/rows.csv", BEFORE), ("marts/kept.sql", &model)]).await;
    house.build().await;
    house.write("seeds/rows.csv", AFTER);
    house
}

#[tokio::test]
async fn all_new_rows_of_a_key_are_kept() {
    for (config, expected) in [
        (", unique_key='k'", "1 x\n1 y\n1 z\n2 c\n3 w"),
        (
            ", unique_key=['k'], incremental_strategy='delete+insert'",
            "1 x\n1 y\n1 z\n2 c\n3 w",
        ),
        (
            ", incremental_strategy='insert_overwrite', partition_by='k'",
            "1 x\n1 y\n1 z\n2 c\n3 w",
        ),
        (
            ", incremental_strategy='insert_overwrite', partition_by={'field': 'k'}",
            "1 x\n1 y\n1 z\n2 c\n3 w",
        ),
        (", incremental_strategy='insert_overwrite'", "1 x\n1 y\n1 z\n3 w"),
        (
            ", unique_key='v', incremental_strategy='merge'",
            "1 a\n1 b\n1 x\n1 y\n1 z\n2 c\n3 w",
        ),
        ("", "1 a\n1 b\n1 x\n1 y\n1 z\n2 c\n3 w"),
    ] {
        let house = house(config).await;
        house.build().await;
        assert_eq!(
            house.query("select k, v from marts.kept order by 1, 2").await,
            expected,
            "{config}"
        );
    }
}

#[tokio::test]
async fn a_merge_of_several_rows_of_a_key_fails() {
    let house = house(", unique_key='k', incremental_strategy='merge'").await;
    let report = house.build_with(BuildOptions::default()).await.unwrap();
    let message = report.nodes.iter().find_map(|node| node.message.clone()).unwrap();
    assert!(
        message.contains("the same `unique_key`") && message.contains("delete+insert"),
        "{message}"
    );
    assert_eq!(
        house.query("select k, v from marts.kept order by 1, 2").await,
        "1 a\n1 b\n2 c"
    );
}

#[tokio::test]
async fn what_is_not_supported_is_refused_by_name() {
    for (config, why) in [
        (", incremental_strategy='microbatch'", "`microbatch` is not supported"),
        (", incremental_strategy='merge'", "need a `unique_key`"),
        (
            ", incremental_strategy='insert_overwrite', partition_by={'field': 'k', 'granularity': 'month'}",
            "this is more",
        ),
        (
            ", incremental_strategy='insert_overwrite', partition_by='day'",
            "`partition_by` column `day`",
        ),
        (
            ", on_schema_change='sync_all_columns'",
            "`sync_all_columns` is not supported",
        ),
        (
            ", merge_update_columns=['v']",
            "`merge_update_columns` is not supported",
        ),
        (
            ", incremental_predicates=['k > 1']",
            "`incremental_predicates` is not supported",
        ),
    ] {
        let model =
            format!("{{{{ config(materialized='incremental'{config}) }}}}select k, v from {{{{ ref('rows') }}}}");
        let house = House::with(&[("seeds/rows.csv", BEFORE), ("marts/kept.sql", &model)]).await;
        let error = house.error().await;
        assert!(
            error.starts_with("marts/kept.sql:1:") && error.contains(why),
            "{config}: {error}"
        );
    }
}
