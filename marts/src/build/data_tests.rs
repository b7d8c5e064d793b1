//! Running the tests on what is not published yet.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use cordada_core::{Context, Error, ErrorKind, Result};
use cordada_lake::Draft;
use cordada_lake::query::sql;
use datafusion::dataframe::DataFrame;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt, stream};

use super::Build;
use super::report::{NodeReport, NodeStatus, TestReport, TestStatus};
use crate::compiled::CompiledTest;
use crate::config::Materialization;
use crate::severity::Severity;

impl Build<'_> {
    /// Runs the tests of the selected nodes, several at once.
    pub(super) async fn run_tests(&self, draft: &Draft, nodes: &[NodeReport]) -> Result<Vec<TestReport>> {
        let tests: Vec<_> = self
            .compiled
            .tests
            .iter()
            .filter(|test| self.is_run(test, draft, nodes))
            .collect();
        if tests.is_empty() {
            return Ok(Vec::new());
        }
        let release = draft.preview();
        let session = self.drafted.session(&release);
        let task = self.progress.start("tests", Some(tests.len() as u64), "tests");
        let (session, release, task) = (&session, &release, &task);
        let reports: Vec<_> = stream::iter(tests)
            .map(|test| async move {
                let report = match test.overlay.is_empty() {
                    true => self.run_test(test, session).await,
                    false => {
                        let session = self.drafted.session_with(release, test.overlay.clone());
                        self.run_test(test, &session).await
                    }
                };
                task.advance(1);
                report
            })
            .buffered(self.threads())
            .try_collect()
            .await?;
        let count = |status| reports.iter().filter(|report| report.status == status).count();
        let (passed, warned) = (count(TestStatus::Passed), count(TestStatus::Warned));
        task.finish(&format!(
            "{passed} passed, {warned} warned, {} failed",
            reports.len() - passed - warned
        ));
        Ok(reports)
    }

    /// Whether a test is about what is built, and all that it reads is there.
    fn is_run(&self, test: &CompiledTest, draft: &Draft, nodes: &[NodeReport]) -> bool {
        let bad: BTreeSet<&str> = nodes
            .iter()
            .filter(|node| matches!(node.status, NodeStatus::Failed | NodeStatus::Skipped))
            .map(|node| node.name.as_str())
            .collect();
        let release = draft.preview();
        let is_there = |id: &crate::node::NodeId| {
            let node = &self.compiled.nodes[id.0];
            let is_relation = node.materialization != Materialization::Ephemeral;
            !bad.contains(node.name.as_str()) && (!is_relation || release.relation(&node.table).is_some())
        };
        let is_about = match test.depends_on.is_empty() {
            true => self.options.select.is_empty() && bad.is_empty(),
            false => test.depends_on.iter().any(|id| self.selected.contains(id)),
        };
        is_about && test.depends_on.iter().all(is_there)
    }

    async fn run_test(&self, test: &CompiledTest, session: &SessionContext) -> Result<TestReport> {
        let (status, failures, message) = match self.failures(test, session).await {
            Ok(failures) => (status(test, failures), failures, None),
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            Err(error) => (TestStatus::Errored, 0, Some(error.to_string())),
        };
        Ok(TestReport {
            name: test.name.clone(),
            node: test.node.clone(),
            severity: test.severity,
            status,
            failures,
            sql: test.sql.clone(),
            message,
        })
    }

    async fn failures(&self, test: &CompiledTest, session: &SessionContext) -> Result<u64> {
        let doing = || format!("testing {}", test.name);
        let plan = sql::plan(&self.drafted, session, &test.sql).await?;
        let counted = DataFrame::new(session.state(), plan).collect().await.doing(doing)?;
        let counts = counted
            .iter()
            .filter_map(|batch| batch.column(0).as_primitive_opt::<Int64Type>());
        let count = counts
            .filter(|counts| counts.len() == 1)
            .map(|counts| counts.value(0))
            .next();
        let count = count.ok_or_else(|| Error::failed(doing(), "the query gave no count"))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

fn status(test: &CompiledTest, failures: u64) -> TestStatus {
    let settings = &test.settings;
    if settings.severity == Severity::Error && settings.error_if.is_met(failures) {
        TestStatus::Failed
    } else if settings.warn_if.is_met(failures) {
        TestStatus::Warned
    } else {
        TestStatus::Passed
    }
}
