//! Segments: who is in them, why, since when, and what is looked at again.

mod differential;

use super::*;

pub(super) const CONSENTS: &str =
    "{{ config(materialized='incremental') }}\nselect customer_id, purpose, status from {{ ref('decisions') }}";
pub(super) const CUSTOMERS: &str = "{{ config(materialized='incremental', unique_key='customer_id', incremental_strategy='merge') }}\nselect customer_id, orders, town from {{ ref('people') }}";
pub(super) const YAML: &str =
    "models:\n  - name: customers\n    columns:\n      - name: customer_id\n        data_tests: [unique, not_null]\n";
pub(super) const SEEDS: &str = "seeds:\n  - name: people\n    config: {column_types: {customer_id: int, orders: int, town: varchar}}\n  - name: decisions\n    config: {column_types: {customer_id: int, purpose: varchar, status: varchar}}\n";

const PEOPLE: &str =
    "customer_id,orders,town\n1,5,Vigo\n2,1,Lugo\n3,7,\n4,,Vigo\n5,9,Vigo\n6,9,Vigo\n7,0,x\n8,0,x\n9,0,x\n10,0,x\n";
const DECISIONS: &str =
    "customer_id,purpose,status\n1,news,granted\n3,news,granted\n4,news,granted\n5,news,withdrawn\n6,sms,granted\n";
const KEEN: &str = "from: customers\nconsent: news\nfilters:\n  - orders >= 3\n";

pub(super) async fn house_with(files: &[(&str, &str)]) -> House {
    let mut all = vec![
        ("seeds/people.csv", PEOPLE),
        ("seeds/decisions.csv", DECISIONS),
        ("seeds/seeds.yml", SEEDS),
        ("marts/customers.sql", CUSTOMERS),
        ("marts/consents.sql", CONSENTS),
        ("marts/schema.yml", YAML),
    ];
    all.extend(files);
    House::with(&all).await
}

async fn members(house: &House, segment: &str) -> String {
    let query = format!("select customer_id, because from segments.{segment} order by 1");
    house.query(&query).await
}

async fn memberships(house: &House, segment: &str) -> String {
    let query = format!(
        "select member, entered_because, left_at is null, left_because from segments.membership \
         where segment = '{segment}' order by member, entered_at"
    );
    house.query(&query).await
}

fn note(report: &BuildReport, name: &str) -> String {
    let node = report.nodes.iter().find(|node| node.name == name).unwrap();
    node.message.clone().unwrap_or_else(|| node.status.name().to_owned())
}

#[tokio::test]
async fn members_meet_all_conditions_and_are_known_by_when_and_why() {
    let house = house_with(&[("segments/keen.yml", KEEN)]).await;
    let report = house.build().await;
    assert_eq!(members(&house, "keen").await, "1 first evaluation\n3 first evaluation");
    assert_eq!(
        note(&report, "keen"),
        "looked at everybody for the first time: 2 entered, 0 left"
    );
    assert_eq!(note(&house.build().await, "keen"), "reused", "the second build");
    let lacks =
        "select customer_id, lacks from segments.keen__history where lacks is not null and customer_id < 7 order by 1";
    assert_eq!(
        house.query(lacks).await,
        "2 consent to news\n4 orders >= 3\n5 consent to news\n6 consent to news"
    );

    house.write("seeds/people.csv", "customer_id,orders,town\n1,2,Vigo\n4,3,Vigo\n");
    let report = house.build().await;
    assert_eq!(
        note(&report, "keen"),
        "looked at 2 persons about whom something may have changed: 1 entered, 1 left"
    );
    assert_eq!(members(&house, "keen").await, "3 first evaluation\n4 orders >= 3");
    house.write("seeds/decisions.csv", "customer_id,purpose,status\n3,news,withdrawn\n");
    let report = house.build().await;
    assert_eq!(
        note(&report, "keen"),
        "looked at 1 persons about whom something may have changed: 0 entered, 1 left"
    );
    assert_eq!(members(&house, "keen").await, "4 orders >= 3");
    assert_eq!(
        memberships(&house, "keen").await,
        "1 first evaluation false orders >= 3\n3 first evaluation false consent to news\n4 orders >= 3 true"
    );
}

#[tokio::test]
async fn who_is_gone_is_no_member() {
    let table = CUSTOMERS.replace(
        "materialized='incremental', unique_key='customer_id', incremental_strategy='merge'",
        "materialized='table'",
    );
    let house = house_with(&[("segments/keen.yml", KEEN), ("marts/customers.sql", &table)]).await;
    house.build().await;
    house.write("seeds/people.csv", "customer_id,orders,town\n1,5,Vigo\n11,5,Vigo\n");
    house.write("seeds/decisions.csv", "customer_id,purpose,status\n11,news,granted\n");
    house.build().await;
    assert_eq!(
        members(&house, "keen").await,
        "1 first evaluation\n11 a row in customers"
    );
    assert_eq!(
        memberships(&house, "keen").await,
        "1 first evaluation true\n11 a row in customers true\n3 first evaluation false a row in customers"
    );
}

#[tokio::test]
async fn segments_refer_to_each_other() {
    let house = house_with(&[
        ("segments/keen.yml", "from: customers\nfilters: [orders >= 3]\n"),
        ("segments/vigo.yml", "from: customers\nwhere: town = 'Vigo'\n"),
        (
            "segments/keen_elsewhere.yml",
            "from: customers\ninclude: [keen]\nexclude: [vigo]\n",
        ),
        ("segments/either.yml", "from: customers\ninclude: [keen, vigo]\n"),
    ])
    .await;
    house.build().await;
    assert_eq!(members(&house, "keen_elsewhere").await, "3 first evaluation");
    assert_eq!(house.query("select count(*) from segments.either").await, "5");
    house.write("seeds/people.csv", "customer_id,orders,town\n5,9,Lugo\n");
    let report = house.build().await;
    assert_eq!(
        members(&house, "keen_elsewhere").await,
        "3 first evaluation\n5 not in vigo"
    );
    assert_eq!(
        note(&report, "either"),
        "looked at 1 persons about whom something may have changed: 0 entered, 0 left"
    );
}

#[tokio::test]
async fn a_null_among_those_excluded_empties_nothing() {
    let house = house_with(&[
        (
            "marts/blocked.sql",
            "select cast(null as int) as customer_id union all select 1",
        ),
        (
            "segments/free.yml",
            "from: customers\nexclude: [blocked]\nfilters: [orders >= 3]\n",
        ),
    ])
    .await;
    house.build().await;
    assert_eq!(
        house.query("select customer_id from segments.free order by 1").await,
        "3\n5\n6"
    );
}

#[tokio::test]
async fn a_new_definition_is_said_to_be_one() {
    let house = house_with(&[("segments/keen.yml", KEEN)]).await;
    house.build().await;
    house.write("segments/keen.yml", &KEEN.replace(">= 3", ">= 6"));
    let report = house.build().await;
    assert!(
        note(&report, "keen").contains("everybody, because it is defined anew"),
        "{}",
        note(&report, "keen")
    );
    assert_eq!(
        memberships(&house, "keen").await,
        "1 first evaluation false defined anew: orders >= 6\n3 first evaluation true"
    );
}

#[tokio::test]
async fn what_asks_for_the_time_is_looked_at_though_no_row_changed() {
    let house = house_with(&[(
        "segments/now.yml",
        "from: customers\nfilters: [now() > timestamp '2020-01-01']\n",
    )])
    .await;
    house.build().await;
    let report = house.build().await;
    assert!(
        note(&report, "now").contains("asks for the time"),
        "{}",
        note(&report, "now")
    );
}

#[tokio::test]
async fn a_consent_ends_by_the_clock() {
    // Long enough for the first build, however slow the machine is.
    for lasts in [500, 2_000, 8_000, 32_000, 128_000] {
        if consent_ends_after(lasts).await {
            return;
        }
    }
    panic!("the first build takes longer than a consent lasts");
}

/// Whether the consent that lasts so many milliseconds outlived the first build. If it did, the builds after it are held
/// against that.
async fn consent_ends_after(lasts: u32) -> bool {
    let consents = "{{ config(materialized='table') }}\n\
        select customer_id, 'news' as purpose, 'granted' as status, case when customer_id = 1 then\n\
        arrow_cast(now() + interval '{{ var(\"lasts\") }} milliseconds', 'Timestamp(Microsecond, Some(\"UTC\"))') end as valid_until\n\
        from {{ ref('people') }}";
    let project = format!("name: acme\nmodel-paths: [staging, warehouse, marts]\nvars: {{lasts: {lasts}}}\n");
    let house = house_with(&[
        ("marts/consents.sql", consents),
        ("dbt_project.yml", &project),
        ("segments/keen.yml", KEEN),
    ])
    .await;
    house.build().await;
    let listed = "select customer_id from segments.keen order by 1";
    if house.query(listed).await != "1\n3\n5\n6" {
        return false;
    }
    while house.query("select max(valid_until) > now() from marts.consents").await == "true" {
        tokio::task::yield_now().await;
    }
    let only = || BuildOptions {
        select: vec!["keen".to_owned()],
        ..BuildOptions::default()
    };
    let report = house.build_with(only()).await.unwrap();
    assert_eq!(
        note(&report, "keen"),
        "looked at 1 persons about whom something may have changed: 0 entered, 1 left"
    );
    assert_eq!(house.query(listed).await, "3\n5\n6");
    let report = house.build_with(only()).await.unwrap();
    assert_eq!(note(&report, "keen"), "reused");
    true
}

#[tokio::test]
async fn a_query_can_choose_and_a_person_may_have_several_rows() {
    let house = house_with(&[(
        "segments/towns.yml",
        "sql: select customer_id, status from {{ ref('decisions') }}\nfilters: [status = 'granted']\n",
    )])
    .await;
    house.write(
        "seeds/decisions.csv",
        "customer_id,purpose,status\n1,news,withdrawn\n1,sms,granted\n2,news,withdrawn\n",
    );
    house.build().await;
    assert_eq!(house.query("select customer_id from segments.towns").await, "1");
}

#[tokio::test]
async fn two_builds_at_once_are_one_build_and_a_conflict() {
    let house = house_with(&[("segments/keen.yml", KEEN)]).await;
    house.build().await;
    house.write("seeds/people.csv", "customer_id,orders,town\n4,3,Vigo\n");
    let (one, other) = tokio::join!(
        house.build_with(BuildOptions::default()),
        house.build_with(BuildOptions::default())
    );
    assert!(one.is_ok() || other.is_ok());
    for result in [one, other] {
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        }
    }
    house.build().await;
    assert_eq!(
        memberships(&house, "keen").await,
        "1 first evaluation true\n3 first evaluation true\n4 orders >= 3 true"
    );
}

#[tokio::test]
async fn counts_come_before_lists() {
    let house = house_with(&[("segments/keen.yml", KEEN)]).await;
    let compiled = house.compile().await.unwrap();
    let error = compiled
        .count_segment(&house.lake, "keen")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("was not built yet"), "{error}");
    let only = BuildOptions {
        select: vec!["+customers +consents".to_owned()],
        ..BuildOptions::default()
    };
    house.build_with(only).await.unwrap();
    let compiled = house.compile().await.unwrap();
    let counts = compiled.count_segment(&house.lake, "keen").await.unwrap();
    let steps = vec![("consent to news".to_owned(), 3), ("orders >= 3".to_owned(), 2)];
    assert_eq!((counts.population, counts.members()), (10, 2));
    assert_eq!(counts.steps, steps);
    let error = compiled
        .count_segment(&house.lake, "kean")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("did you mean `keen`?"), "{error}");
    let listed = compiled.segment_members(&house.lake, "keen").await;
    assert!(listed.err().unwrap().to_string().contains("was not built yet"));
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place() {
    for (text, place, why) in [
        (
            "from: customers\nfilters:\n  - ordrs >= 3\n",
            "segments/keen.yml:3:5: ",
            "did you mean `orders`?",
        ),
        (
            "from: custmers\n",
            "segments/keen.yml:1:7: ",
            "did you mean `customers`?",
        ),
        (
            "from: customers\nkey: customer\n",
            "segments/keen.yml:1:7: ",
            "no column `customer`",
        ),
        (
            "from: customers\ninclude: [keen]\n",
            "segments/keen.yml:2:11: ",
            "in a cycle: keen → keen",
        ),
        ("from: customers\nexclude: [other]\n", "segments/", "in a cycle: "),
        (
            "from: customers\nconsent: {purpose: news, from: people}\n",
            "segments/keen.yml:2:10: ",
            "has no column `purpose`",
        ),
        ("from: customers\nfilters: [orders]\n", "segments/keen.yml:2:11: ", ""),
        (
            "from: customers\nfilters: [max(orders) > 3]\n",
            "segments/keen.yml:2:11: ",
            "",
        ),
    ] {
        let house = house_with(&[
            ("segments/keen.yml", text),
            ("segments/other.yml", "from: customers\ninclude: [keen]\n"),
        ])
        .await;
        let error = house.error().await;
        assert!(error.starts_with(place) && error.contains(why), "{text}: {error}");
    }
}

#[tokio::test]
async fn another_environment_goes_on_from_productions_history() {
    let house = house_with(&[("segments/keen.yml", KEEN)]).await;
    house.build().await;
    let dev = House {
        lake: house.lake.in_target(Some("dev")).unwrap(),
        dir: house.dir,
    };
    dev.write("segments/keen.yml", &KEEN.replace(">= 3", ">= 6"));
    dev.build().await;
    assert_eq!(
        memberships(&dev, "keen").await,
        "1 first evaluation false defined anew: orders >= 6\n3 first evaluation true"
    );
}
