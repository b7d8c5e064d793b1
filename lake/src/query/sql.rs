//! Planning a statement: read-only, with `version as of` a release.

use std::collections::BTreeSet;
use std::sync::Arc;

use cordada_core::{Context, Error, Result, TableName};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SessionState;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use crate::lake::Lake;
use crate::query::catalog::{Handle, ReleaseCatalog};
use crate::query::dialect::{self, Parsed, release_catalog};
use crate::query::session::{CATALOG, DEFAULT_SCHEMA};

/// Plans one read-only statement. `from marts.x version as of 12` reads `marts.x` as release 12 published it.
///
/// # Errors
/// Failed: the SQL is wrong (the message names what and what exists), or it would change something. Config: there is
/// no release of that number.
pub async fn plan(lake: &Lake, session: &SessionContext, sql: &str) -> Result<LogicalPlan> {
    let Parsed { statement, releases } = dialect::parse(sql)?;
    for number in releases {
        let name = release_catalog(number);
        if session.catalog(&name).is_none() {
            let release = lake.releases().get(number).await?;
            let catalog = ReleaseCatalog::new(lake.clone(), release, Default::default());
            session.register_catalog(name, Arc::new(Handle(catalog)));
        }
    }
    // Boxed because views are planned while planning.
    let plan = Box::pin(session.state().statement_to_plan(statement))
        .await
        .doing(|| "planning the query")?;
    let read_only = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    read_only.verify_plan(&plan).map_err(|error| {
        Error::failed("planning the query", error.strip_backtrace())
            .hint("queries only read: tables are built by the SQL project and by ingestion")
    })?;
    typed(&session.state(), plan).doing(|| "planning the query")
}

/// The plan with the types that its answer has: until it is analysed, a `case` has the type of its first result, and who
/// trusts that cuts the others. A plan whose parameters have no values yet stays as it is.
fn typed(state: &SessionState, plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    match plan.get_parameter_names()?.is_empty() {
        true => (state.analyzer()).execute_and_check(plan, state.config_options(), |_, _| ()),
        false => Ok(plan),
    }
}

/// The relations of the lake that a statement names.
///
/// # Errors
/// Failed: the SQL is wrong.
pub(crate) fn names(session: &SessionContext, sql: &str) -> Result<BTreeSet<TableName>> {
    let Parsed { statement, .. } = dialect::parse(sql)?;
    let references = session
        .state()
        .resolve_table_references(&statement)
        .doing(|| "planning the query")?;
    let in_lake = references.into_iter().filter_map(|reference| {
        let name = reference.resolve(CATALOG, DEFAULT_SCHEMA);
        (&*name.catalog == CATALOG).then(|| TableName::new(&*name.schema, &*name.table).ok())?
    });
    Ok(in_lake.collect())
}
