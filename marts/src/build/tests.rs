//! Whole projects, built on a lake in a temporary folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod above_mean;
mod errors;
mod incremental;
mod indicators;
mod models;
mod publishing;
mod random;
mod said;
mod segments;
mod selection;
mod snapshots;
mod stale;
mod strategies;
mod unit_tests;

use std::path::PathBuf;

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
