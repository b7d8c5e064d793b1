//! Whole projects, built on a lake in a temporary folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod above_mean;
mod models;

use std::path::{Path, PathBuf};

use arrow::util::pretty::pretty_format_batches;
use cordada_core::progress::Silent;
use cordada_lake::Settings;
use cordada_lake::query::sql;
use tempfile::TempDir;

use self::above_mean::AboveMean;
use super::*;
use crate::compile;
use crate::project::{LoadOptions, Project};

/// A lake and a project of its own.
struct House {
    dir: TempDir,
    lake: Lake,
}

impl House {
    /// A house with the given files of the SQL project, `path` and text.
    async fn with(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            parallelism: Some(2),
            journals: JOURNALS.to_vec(),
            ..Settings::default()
        };
        let lake = Lake::open(dir.path().join("lake").to_str().unwrap(), &settings)
            .await
            .unwrap();
        let house = Self { dir, lake };
        let project = "name: acme\nmodel-paths: [staging, warehouse, marts]\nvars: {minimum: 0}\n";
        house.write("dbt_project.yml", project);
        for (path, text) in files {
            house.write(path, text);
        }
        house
    }

    fn sql(&self) -> PathBuf {
        self.dir.path().join("sql")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.sql().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.sql().join(path)).unwrap();
    }

    fn load(&self) -> Result<Project> {
        Project::load(&self.sql(), &LoadOptions::default())
    }

    async fn compile(&self) -> Result<CompiledProject> {
        compile(&self.load()?, &self.lake, &estimators()).await
    }

    async fn build_with(&self, options: BuildOptions) -> Result<BuildReport> {
        let compiled = self.compile().await?;
        build(
            &compiled,
            &self.lake,
            &estimators(),
            &options,
            Arc::new(Silent),
            CancellationToken::new(),
        )
        .await
    }

    async fn build(&self) -> BuildReport {
        let report = self.build_with(BuildOptions::default()).await.unwrap();
        for node in &report.nodes {
            assert!(node.status != NodeStatus::Failed, "{}: {:?}", node.name, node.message);
        }
        report
    }

    /// The error of compiling, with paths from the project's folder on.
    async fn error(&self) -> String {
        let error = self.compile().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        error.to_string().replace(&format!("{}/", self.sql().display()), "")
    }

    /// The newest release's answer.
    async fn query(&self, query: &str) -> String {
        let release = self.lake.releases().newest().await.unwrap();
        let session = self.lake.session(&release);
        let plan = sql::plan(&self.lake, &session, query).await.unwrap();
        let rows = session
            .execute_logical_plan(plan)
            .await
            .unwrap()
            .collect()
            .await
            .unwrap();
        let table = pretty_format_batches(&rows).unwrap().to_string();
        let lines = table.lines().skip(3).filter(|line| !line.starts_with('+'));
        lines
            .map(|line| line.replace('|', " ").split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn estimators() -> Estimators {
    let mut estimators = Estimators::default();
    estimators.register(Arc::new(AboveMean));
    estimators
}

const ORDERS_CSV: &str = "OrderID,CustomerID,amount,status\n1,10,5.50,placed\n2,10,4.50,shipped\n3,20,1.00,placed\n";

/// A seed, a view, an ephemeral model, a table, and their tests.
fn shop() -> Vec<(&'static str, &'static str)> {
    vec![
        ("seeds/orders.csv", ORDERS_CSV),
        (
            "seeds/seeds.yml",
            "seeds:\n  - name: orders\n    config: {column_types: {amount: 'decimal(10,2)'}}\n",
        ),
        (
            "macros/positive.sql",
            "{% test positive(model, column_name) %}select 1 from {{ model }} where {{ column_name }} <= 0{% endtest %}",
        ),
        (
            "staging/stg_orders.sql",
            "select order_id, customer_id, amount, status\nfrom {{ ref('orders') }}\nwhere amount > {{ var('minimum') }}",
        ),
        (
            "warehouse/big_orders.sql",
            "{{ config(materialized='ephemeral') }}\nselect * from {{ ref('stg_orders') }} -- all of them",
        ),
        (
            "warehouse/dim_customer.sql",
            "{{ config(materialized='table') }}\nselect customer_id, 'x@y.es' as email, sum(amount) as spent\nfrom {{ ref('big_orders') }} as o\ngroup by customer_id",
        ),
        (
            "marts/totals.sql",
            "{{ config(materialized='table', alias='total', tags=['daily']) }}\nselect sum(spent) as spent from {{ ref('dim_customer') }}",
        ),
        (
            "warehouse/schema.yml",
            "version: 2\nmodels:\n  - name: dim_customer\n    description: One row a customer.\n    columns:\n      - name: customer_id\n        description: Who.\n        data_tests: [unique, not_null]\n      - name: email\n        meta: {pii: email}\n      - name: spent\n        data_tests: [positive]\n",
        ),
        (
            "staging/schema.yml",
            "models:\n  - name: stg_orders\n    columns:\n      - name: customer_id\n        tests:\n          - relationships: {arguments: {to: ref('dim_customer'), field: customer_id}}\n      - name: status\n        tests:\n          - accepted_values: {values: [placed, shipped]}\n",
        ),
        (
            "tests/total_is_right.sql",
            "select * from {{ ref('totals') }} where spent <> 11.00",
        ),
    ]
}

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
async fn selected_nodes_are_built_alone() {
    let house = House::with(&shop()).await;
    house.build().await;
    let only = |select: &str| BuildOptions {
        select: vec![select.into()],
        ..BuildOptions::default()
    };
    let report = house.build_with(only("totals")).await.unwrap();
    assert_eq!(report.nodes.len(), 1);
    assert_eq!(
        report.tests.iter().map(|test| test.name.as_str()).collect::<Vec<_>>(),
        ["total_is_right"]
    );
    let unknown = house.build_with(only("totalz")).await.unwrap_err().to_string();
    assert!(unknown.contains("did you mean `totals`?"), "{unknown}");
}

#[tokio::test]
async fn selectors_choose_as_dbts_do() {
    let house = House::with(&shop()).await;
    let project = house.load().unwrap();
    let names = |select: &[&str], exclude: &[&str]| -> String {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let chosen = project.select(&owned(select), &owned(exclude)).unwrap();
        project
            .nodes()
            .filter(|node| chosen.contains(&node.id()))
            .map(Node::name)
            .collect::<Vec<_>>()
            .join(" ")
    };
    use crate::node::Node;
    assert_eq!(names(&[], &[]), "orders stg_orders big_orders dim_customer totals");
    assert_eq!(names(&["stg_orders"], &[]), "stg_orders");
    assert_eq!(names(&["+stg_orders"], &[]), "orders stg_orders");
    assert_eq!(names(&["1+dim_customer+"], &[]), "big_orders dim_customer totals");
    assert_eq!(names(&["tag:daily", "path:staging"], &[]), "stg_orders totals");
    assert_eq!(names(&["warehouse.*"], &["big_*"]), "dim_customer");
    assert_eq!(
        names(&["acme.marts", "orders stg_orders"], &[]),
        "orders stg_orders totals"
    );
    assert_eq!(
        names(&["stg_orders+,config.materialized:table"], &[]),
        "dim_customer totals"
    );
    assert_eq!(names(&["warehouse/dim_customer.sql"], &[]), "dim_customer");
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
