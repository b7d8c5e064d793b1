//! Planning a statement: read-only, with `version as of` a release.

use std::collections::BTreeSet;
use std::sync::Arc;

use cordada_core::{Context, Error, Result, TableName};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SessionState;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;

use crate::lake::Lake;
use crate::query::catalog::ReleaseCatalog;
use crate::query::constants;
use crate::query::dialect::{self, Parsed, release_catalog};
use crate::query::metadata::{self, Described};
use crate::query::select_lists;
use crate::query::session::{self, CATALOG, DEFAULT_SCHEMA};
use crate::query::session_statements;
use crate::query::stack::{self, Large};

/// Plans one read-only statement. `from marts.x version as of 12` reads `marts.x` as release 12 published it.
///
/// # Errors
/// Failed: the SQL is wrong (the message names what and what exists), or it would change something. Config: there is
/// no release of that number.
pub async fn plan(lake: &Lake, session: &SessionContext, sql: &str) -> Result<LogicalPlan> {
    Large::new(plan_here(lake, session, sql)).await
}

async fn plan_here(lake: &Lake, session: &SessionContext, sql: &str) -> Result<LogicalPlan> {
    let Parsed {
        mut statement,
        releases,
    } = dialect::parse(sql)?;
    if let Some(plan) = session_statements::plan(session, &statement)? {
        return Ok(plan);
    }
    for number in releases {
        let name = release_catalog(number);
        if session.catalog(&name).is_none() {
            let release = lake.releases().get(number).await?;
            let catalog = ReleaseCatalog::new(lake.clone(), release, Default::default());
            // A view reads other releases as it reads its own.
            let own = session.catalog(CATALOG);
            let gate = own
                .as_deref()
                .and_then(|own| own.downcast_ref::<Described>())
                .and_then(Described::gate);
            session.register_catalog(name, Arc::new(Described::new(catalog.through(gate))));
        }
    }
    let doing = || "planning the query";
    select_lists::merge(session, &mut statement).await.doing(doing)?;
    let plan = match planned(session, statement).await {
        Ok(plan) => plan,
        Err(error) => {
            let Parsed { mut statement, .. } = dialect::parse(sql)?;
            select_lists::merge(session, &mut statement).await.doing(doing)?;
            match select_lists::resolve(session, &mut statement).await.doing(doing)? {
                true => planned(session, statement).await,
                false => Err(error),
            }
            .and_then(select_lists::shown)
            .doing(doing)?
        }
    };
    let read_only = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    read_only.verify_plan(&plan).map_err(|error| {
        Error::failed("planning the query", error.strip_backtrace())
            .hint("queries only read: tables are built by the SQL project and by ingestion")
    })?;
    let plan = metadata::in_sqls_words(plan).doing(|| "planning the query")?;
    typed(&session.state(), plan).doing(|| "planning the query")
}

async fn planned(session: &SessionContext, mut statement: Statement) -> Result<LogicalPlan, DataFusionError> {
    dialect::finish(&mut statement)?;
    // Boxed because views are planned while planning.
    Box::pin(session.state().statement_to_plan(statement)).await
}

/// The plan with the types that its answer has: until it is analysed, a `case` has the type of its first result, and who
/// trusts that cuts the others. A plan whose parameters have no values yet stays as it is.
fn typed(state: &SessionState, plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    match plan.get_parameter_names()?.is_empty() {
        true => (state.analyzer()).execute_and_check(plan, state.config_options(), |_, _| ()),
        false => Ok(plan),
    }
}

/// The plan of a statement that [`plan`] planned with its parameters, for these values of `$1`, `$2` …
///
/// # Errors
/// Failed: a value is missing, or is of a type that does not fit where it stands.
pub async fn with_values(session: &SessionContext, plan: LogicalPlan, values: Vec<ScalarValue>) -> Result<LogicalPlan> {
    let bound = async {
        let plan = plan.with_param_values(values)?;
        typed(&session.state(), plan)
    };
    Large::new(bound).await.doing(|| "binding the parameters of the query")
}

/// The plan as the engine runs it, made where there is stack enough for the deepest one.
///
/// # Errors
/// Those of the engine.
pub fn optimized(session: &SessionContext, plan: &LogicalPlan) -> DataFusionResult<LogicalPlan> {
    stack::large(|| session.state().optimize(plan))
}

/// The physical plan of a query that may hold `memory` bytes, made where there is stack enough for the deepest one. The
/// state gets what the plan needs of it: whoever executes it makes its context of that.
///
/// # Errors
/// Those of the engine.
pub async fn physical_plan(
    state: &mut SessionState,
    plan: &LogicalPlan,
    memory: usize,
) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    session::limit_results(state, memory);
    Large::new(async move {
        let plan = state.optimize(plan)?;
        constants::fit_batches(state, &plan)?;
        state.query_planner().create_physical_plan(&plan, &*state).await
    })
    .await
}

/// The statement without its literals, which may be personal data; for logs.
pub fn without_literals(sql: &str) -> String {
    dialect::without_literals(sql)
}

/// The same of a statement that could not be planned: without what stands in quotes too, which may be a text that
/// somebody quotes like a name.
pub fn without_quotes(sql: &str) -> String {
    dialect::without_quotes(sql)
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
