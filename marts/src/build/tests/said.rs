//! Nothing that a project says is passed over in silence.

use super::*;

const MODEL: &str = "{{ config(materialized='table') }}select 1 as id, 'x' as name";

/// What the project is told of a YAML file beside its one model, or the error.
async fn told(yaml: &str) -> String {
    let house = House::with(&[("marts/m.sql", MODEL), ("marts/m.yml", yaml)]).await;
    match house.compile().await {
        Ok(compiled) => compiled.project().ignored().join("\n"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn keys_without_an_effect_are_told_by_name() {
    for (yaml, key) in [
        ("exposures: [{name: x}]", "`exposures`"),
        ("metrics: [{name: x}]", "`metrics`"),
        ("semantic_models: []", "`semantic_models`"),
        ("groups: [{name: x}]", "`groups`"),
        ("models: [{name: m, access: private}]", "`access`"),
        ("models: [{name: m, config: {grants: {select: [ana]}}}]", "`grants`"),
        ("models: [{name: m, config: {cluster_by: id}}]", "`cluster_by`"),
        ("models: [{name: m, config: {database: other}}]", "`database`"),
        (
            "models: [{name: m, columns: [{name: id, tests: [{unique: {config: {store_failures: true}}}]}]}]",
            "`store_failures`",
        ),
        (
            "models: [{name: m, columns: [{name: id, constraints: [{type: not_null}]}]}]",
            "`constraints`",
        ),
        (
            "sources: [{name: s, freshness: {}, tables: [{name: t}]}]",
            "`freshness`",
        ),
        ("sources: [{name: s, quoting: {}, tables: [{name: t}]}]", "`quoting`"),
    ] {
        let told = told(yaml).await;
        assert!(told.contains("marts/m.yml:") && told.contains(key), "{yaml}: {told}");
    }
    assert_eq!(
        told("models: [{name: m, description: All., meta: {owner: ana}, docs: {show: true}}]").await,
        ""
    );
}

#[tokio::test]
async fn unknown_keys_are_errors_with_a_suggestion() {
    for (yaml, hint) in [
        ("modls: []", "did you mean `models`?"),
        ("seeds: [{name: m}]", "describe it under `models`"),
        ("models: [{name: m, colums: []}]", "did you mean `columns`?"),
        (
            "models: [{name: m, config: {materialised: table}}]",
            "did you mean `materialized`?",
        ),
        (
            "models: [{name: m, columns: [{name: id, tests: [{unique: {config: {severty: warn}}}]}]}]",
            "did you mean `severity`?",
        ),
        (
            "sources: [{name: s, config: {enabld: false}, tables: [{name: t}]}]",
            "did you mean `enabled`?",
        ),
        (
            "unit_tests: [{name: u, model: m, expct: {rows: []}}]",
            "did you mean `expect`?",
        ),
    ] {
        let told = told(yaml).await;
        assert!(told.contains("marts/m.yml:") && told.contains(hint), "{yaml}: {told}");
    }
}

#[tokio::test]
async fn the_project_file_is_read_to_its_last_key() {
    for (key, expected) in [
        ("flags: {fail_fast: true}", "`flags` has no effect"),
        ("quoting: {identifier: true}", "`quoting` has no effect"),
        ("query-comment: x", "`query-comment` has no effect"),
        (
            "models: {acme: {stagging: {+materialized: table}}}",
            "`models: acme: stagging` configures nothing",
        ),
        (
            "models: {acme: {marts: {materialised: table}}}",
            "did you mean `materialized`?",
        ),
        ("model-path: [x]", "did you mean `model-paths`?"),
        ("on-run-end: [\"grant select\"]", "`on-run-end` is not supported"),
    ] {
        let house = House::with(&[("marts/m.sql", MODEL)]).await;
        house.write("dbt_project.yml", &format!("name: acme\nmodel-paths: [marts]\n{key}\n"));
        let told = match house.load() {
            Ok(project) => project.ignored().join("\n"),
            Err(error) => error.to_string(),
        };
        assert!(
            told.contains("dbt_project.yml:3:") && told.contains(expected),
            "{key}: {told}"
        );
    }
}

#[tokio::test]
async fn what_packages_have_and_is_not_built_is_told() {
    let house = House::with(&[
        ("marts/m.sql", MODEL),
        ("dbt_packages/tools/dbt_project.yml", "name: tools\n"),
        ("dbt_packages/tools/models/t.sql", "select 1 as a"),
        (
            "dbt_packages/tools/macros/x.sql",
            "{% macro default__x() %}1{% endmacro %}",
        ),
        (
            "macros/own.sql",
            "{% macro default__create_table_as(a, b, c) %}{% endmacro %}",
        ),
    ])
    .await;
    let told = house.load().unwrap().ignored().join("\n");
    assert!(told.contains("models of the package `tools` are not built"), "{told}");
    assert!(
        told.contains("the macro `default__create_table_as` has no effect"),
        "{told}"
    );
}

#[tokio::test]
async fn macros_are_dispatched_as_the_project_says() {
    let house = House::with(&[
        ("marts/m.sql", "select {{ tools.x() }} as a"),
        ("dbt_packages/tools/dbt_project.yml", "name: tools\n"),
        (
            "dbt_packages/tools/macros/x.sql",
            "{% macro x() %}{{ return(adapter.dispatch('x', 'tools')()) }}{% endmacro %}{% macro default__x() %}1{% endmacro %}",
        ),
    ])
    .await;
    let project = |dispatch: &str| format!("name: acme\nmodel-paths: [marts]\n{dispatch}");
    let order = |order: &str| {
        project(&format!(
            "dispatch: [{{macro_namespace: tools, search_order: [{order}]}}]\n"
        ))
    };
    for (macros, file, expected) in [
        ("", project(""), "1"),
        ("{% macro default__x() %}2{% endmacro %}", project(""), "2"),
        ("{% macro cordada__x() %}3{% endmacro %}", order("acme, tools"), "3"),
        ("{% macro default__x() %}2{% endmacro %}", order("tools, acme"), "1"),
    ] {
        house.write("macros/own.sql", macros);
        house.write("dbt_project.yml", &file);
        house.build().await;
        assert_eq!(house.query("select a from marts.m").await, expected, "{macros} {file}");
    }
}

#[tokio::test]
async fn the_settings_of_tests_count_wherever_they_stand() {
    let own = "{% test few(model) %}{{ config(severity='warn', fail_calc='sum(id)') }}select id from {{ model }}{% endtest %}";
    for (item, failures, status) in [
        ("few", 6, TestStatus::Warned),
        ("few: {config: {severity: error}}", 6, TestStatus::Failed),
        (
            "few: {config: {severity: error, error_if: '> 6'}}",
            6,
            TestStatus::Warned,
        ),
        ("few: {config: {fail_calc: count(*), limit: 2}}", 2, TestStatus::Warned),
        ("few: {config: {where: id > 2}}", 3, TestStatus::Warned),
    ] {
        let house = House::with(&[
            ("macros/few.sql", own),
            ("marts/m.sql", "select * from (values (1), (2), (3)) as v(id)"),
            (
                "marts/m.yml",
                &format!("models:\n  - name: m\n    tests:\n      - {item}\n"),
            ),
        ])
        .await;
        let report = house.build_with(BuildOptions::default()).await.unwrap();
        let test = &report.tests[0];
        assert_eq!(
            (test.failures, test.status),
            (failures, status),
            "{item}: {:?}",
            test.message
        );
    }
}

#[tokio::test]
async fn an_enforced_contract_enforces_its_constraints() {
    for (constraints, fails) in [
        ("constraints: [{type: primary_key, columns: [id]}]", "unique_m_id"),
        (
            "constraints: [{type: unique, columns: [id, name]}]",
            "constraint_unique_m",
        ),
        ("constraints: [{type: check, expression: id > 1}]", "constraint_holds_m"),
        ("constraints: [{type: unique, columns: [name]}]", ""),
    ] {
        let yaml = format!(
            "models:\n  - name: m\n    config: {{contract: {{enforced: true}}}}\n    {constraints}\n    columns: [{{name: id, data_type: bigint, constraints: [{{type: not_null}}]}}, {{name: name, data_type: varchar}}]\n"
        );
        let rows = if fails == "constraint_unique_m" {
            "(1, 'a'), (1, 'a')"
        } else {
            "(1, 'a'), (1, 'b')"
        };
        let house = House::with(&[
            (
                "marts/m.sql",
                &format!("{{{{ config(materialized='table') }}}}select * from (values {rows}) as v(id, name)"),
            ),
            ("marts/m.yml", &yaml),
        ])
        .await;
        let report = house.build_with(BuildOptions::default()).await.unwrap();
        let failed = report.tests.iter().filter(|test| test.status != TestStatus::Passed);
        let failed: Vec<_> = failed.map(|test| (&*test.name, &test.message)).collect();
        assert_eq!(
            failed.first().map_or("", |(name, _)| name),
            fails,
            "{constraints}: {failed:?}"
        );
    }
}

#[tokio::test]
async fn names_are_what_the_projects_macros_make_of_them() {
    let house = House::with(&[
        ("marts/m.sql", MODEL),
        ("macros/names.sql", "{% macro generate_alias_name(custom_alias_name=none, node=none) %}{{ 'the_' ~ (custom_alias_name or node.name) }}{% endmacro %}"),
    ])
    .await;
    house.build().await;
    assert_eq!(house.query("select id from marts.the_m").await, "1");
}

#[tokio::test]
async fn a_query_that_cannot_be_run_does_not_compile() {
    let house = House::with(&[
        ("seeds/orders.csv", ORDERS_CSV),
        (
            "marts/m.sql",
            "{{ config(materialized='view') }}\n\nselect o.order_id\nfrom {{ ref('orders') }} as o\nwhere exists (select 1 from {{ ref('orders') }} as l where l.status > o.status order by 1 limit 1 offset o.order_id)",
        ),
    ])
    .await;
    let error = house.error().await;
    assert!(error.starts_with("marts/m.sql:"), "{error}");
    assert!(!error.starts_with("marts/m.sql: "), "it names a line: {error}");
}

#[tokio::test]
async fn a_source_that_is_disabled_is_not_there() {
    let yaml = "sources: [{name: s, tables: [{name: t, config: {enabled: false}}]}]\n";
    let house = House::with(&[
        ("marts/m.sql", "select * from {{ source('s', 't') }}"),
        ("marts/s.yml", yaml),
    ])
    .await;
    assert!(house.error().await.contains("unknown table `t`"));
}
