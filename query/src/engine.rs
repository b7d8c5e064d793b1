//! Planning, without transport: which release a request reads, and the plan of its query.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use cordada_core::{Context, Error, Result};
use cordada_lake::query::sql;
use cordada_lake::{Lake, Release, journal};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::access::{Access, Forbidden};
use crate::execution::Executor;
use crate::newest::NewestRelease;
use crate::recent::Recent;
use crate::workspace::Workspace;

/// Releases, times accesses, times default schemas, whose sessions are kept.
const WORKSPACES: usize = 32;
/// Plans that are kept.
const PLANS: usize = 512;
/// The plan of a longer statement is not kept: generated SQL of megabytes must not fill memory.
const LONGEST_KEPT_SQL: usize = 64 << 10;
/// Releases other than the newest that are kept, for sessions that are pinned to them and for tickets.
const RELEASES: usize = 16;

/// Plans for everybody.
pub struct Engine {
    lake: Lake,
    executor: Arc<Executor>,
    newest: NewestRelease,
    releases: Recent<u64, Arc<Release>>,
    workspaces: Recent<WorkspaceKey, Arc<Workspace>>,
    plans: Recent<PlanKey, Arc<PlannedQuery>>,
}

/// Release, access and default schema.
type WorkspaceKey = (u64, Arc<Access>, String);
/// Workspace and SQL.
type PlanKey = (WorkspaceKey, String);

/// What a request reads.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The release.
    pub release: Arc<Release>,
    /// What may be read of it.
    pub access: Arc<Access>,
    /// The schema of bare names.
    pub schema: String,
}

/// A planned query.
pub struct PlannedQuery {
    /// Where it was planned, and runs.
    pub workspace: Arc<Workspace>,
    /// The plan.
    pub plan: LogicalPlan,
    /// The types of its parameters; `None` where only the value will tell.
    pub parameters: Vec<Option<DataType>>,
}

impl Engine {
    /// Over the lake's newest release; `executor` plans what is not known yet.
    ///
    /// # Errors
    /// Unavailable: the lake cannot be read.
    pub async fn open(lake: Lake, executor: Arc<Executor>) -> Result<Self> {
        let newest = NewestRelease::open(&lake).await?;
        Ok(Self {
            lake,
            executor,
            newest,
            releases: Recent::new(RELEASES),
            workspaces: Recent::new(WORKSPACES),
            plans: Recent::new(PLANS),
        })
    }

    /// Follows the releases that are published, until it is dropped: whoever serves has to let it run.
    pub async fn follow(&self) -> Infallible {
        self.newest.follow().await
    }

    /// What a request reads now: this release, or the newest, with `schema` for bare names.
    ///
    /// # Errors
    /// Config: there is no release of that number.
    pub async fn scope(&self, access: &Arc<Access>, release: Option<u64>, schema: &str) -> Result<Scope> {
        let release = match release {
            Some(number) => self.release(number).await?,
            None => self.newest.get().await,
        };
        Ok(Scope {
            release,
            access: access.clone(),
            schema: schema.to_owned(),
        })
    }

    /// The release of that number.
    ///
    /// # Errors
    /// Config: there is none.
    pub async fn release(&self, number: u64) -> Result<Arc<Release>> {
        let newest = self.newest.get().await;
        if newest.number == number {
            return Ok(newest);
        }
        if let Some(release) = self.releases.get(&number) {
            return Ok(release);
        }
        let release = self.lake.releases().get(number).await?;
        self.releases.insert(number, release.clone(), 1);
        Ok(release)
    }

    /// The workspace of a scope.
    pub fn workspace(&self, scope: &Scope) -> Arc<Workspace> {
        let key = scope.key();
        self.workspaces.get(&key).unwrap_or_else(|| {
            let workspace = Workspace::new(&self.lake, scope.release.clone(), scope.access.clone(), &scope.schema);
            let workspace = Arc::new(workspace);
            self.workspaces.insert(key, workspace.clone(), 1);
            workspace
        })
    }

    /// Plans one read-only statement; a statement that was planned for the same scope is not planned again.
    ///
    /// # Errors
    /// Failed: the SQL is wrong, it would change something, or (caused by [`Forbidden`]) its result is not for
    /// everybody.
    pub async fn plan(&self, scope: &Scope, sql: &str) -> Result<Arc<PlannedQuery>> {
        let key = (scope.key(), sql.to_owned());
        if let Some(planned) = self.plans.get(&key) {
            return Ok(planned);
        }
        let workspace = self.workspace(scope);
        let (lake, session, text) = (self.lake.clone(), workspace.session.clone(), sql.to_owned());
        let planning = async move { sql::plan(&lake, &session, &text).await };
        let plan = self.executor.plan(sql, planning).await?;
        if matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) && !scope.access.reads_everything() {
            return Err(Error::failed(
                "planning the query",
                "a plan shows what views read, which is not for everybody",
            )
            .hint("ask somebody whose role reads `*`")
            .caused_by(Forbidden));
        }
        let parameters = parameters(&plan)?;
        let keep = sql.len() <= LONGEST_KEPT_SQL && !reads_journals(&plan, &scope.schema)?;
        let planned = Arc::new(PlannedQuery {
            workspace,
            plan,
            parameters,
        });
        if keep {
            self.plans.insert(key, planned.clone(), 1);
        }
        Ok(planned)
    }

    /// Plans a statement with the values of its parameters, given as one row.
    ///
    /// # Errors
    /// As [`Self::plan`]. Failed: there are more values than parameters, or fewer, or of other types.
    pub async fn plan_with(&self, scope: &Scope, sql: &str, values: Option<&RecordBatch>) -> Result<Arc<PlannedQuery>> {
        let planned = self.plan(scope, sql).await?;
        let bound = values.map_or(0, RecordBatch::num_columns);
        if bound != planned.parameters.len() {
            let wanted = planned.parameters.len();
            return Err(Error::failed(
                "planning the query",
                format!("it has {wanted} parameters and {bound} values"),
            )
            .hint("prepare the statement and bind a value for each `?`, or for each of `$1`, `$2` …"));
        }
        let Some(values) = values.filter(|_| bound > 0) else {
            return Ok(planned);
        };
        let doing = || "binding the parameters of the query";
        let scalars = values
            .columns()
            .iter()
            .map(|column| ScalarValue::try_from_array(column, 0));
        let scalars: Vec<_> = scalars.collect::<Result<_, _>>().doing(doing)?;
        let plan = planned.plan.clone().with_param_values(scalars).doing(doing)?;
        Ok(Arc::new(PlannedQuery {
            workspace: planned.workspace.clone(),
            plan,
            parameters: Vec::new(),
        }))
    }
}

impl PlannedQuery {
    /// The result's columns as the planner knows them: what a column may be when the plan runs is up to the server to
    /// promise.
    pub fn schema(&self) -> &Schema {
        self.plan.schema().as_arrow()
    }
}

impl Scope {
    fn key(&self) -> WorkspaceKey {
        (self.release.number, self.access.clone(), self.schema.clone())
    }
}

/// The types of the parameters `$1`, `$2` … as far as the plan says them.
fn parameters(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>> {
    const DOING: &str = "planning the query";
    let mut types = BTreeMap::new();
    for (name, data_type) in plan.get_parameter_types().doing(|| DOING)? {
        let number = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
        let number = number
            .filter(|number| (1..=MOST_PARAMETERS).contains(number))
            .ok_or_else(|| {
                Error::failed(DOING, format!("`{name}` is not a parameter")).hint("write `?`, or `$1`, `$2` …")
            })?;
        types.insert(number, data_type);
    }
    for limit in limits(plan)? {
        types
            .entry(limit)
            .and_modify(|data_type| *data_type = data_type.take().or(Some(DataType::Int64)));
    }
    let last = types.last_key_value().map_or(0, |(number, _)| *number);
    Ok((1..=last).map(|number| types.get(&number).cloned().flatten()).collect())
}

/// More parameters than any statement has; it bounds what `$1000000000` costs.
const MOST_PARAMETERS: usize = 32_767;

/// The parameters that are a LIMIT or an OFFSET: whole numbers, which the engine does not infer.
fn limits(plan: &LogicalPlan) -> Result<Vec<usize>> {
    let mut limits = Vec::new();
    let walk = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for expression in [&limit.skip, &limit.fetch].into_iter().flatten() {
                if let Expr::Placeholder(placeholder) = expression.as_ref() {
                    limits.extend(
                        placeholder
                            .id
                            .strip_prefix('$')
                            .and_then(|number| number.parse::<usize>().ok()),
                    );
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walk.doing(|| "planning the query")?;
    Ok(limits)
}

/// Whether the plan reads a journal: those are read as they are now, so their plans are not kept.
fn reads_journals(plan: &LogicalPlan, default_schema: &str) -> Result<bool> {
    let mut found = false;
    let walk = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found |= scan.table_name.schema().unwrap_or(default_schema) == journal::SCHEMA;
        }
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    walk.doing(|| "planning the query")?;
    Ok(found)
}
