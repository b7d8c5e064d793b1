//! Planning, without transport: which release a request reads, and the plan of its query.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use cordada_core::{Context, Error, Recent, Result, TableName};
use cordada_lake::query::sql;
use cordada_lake::{Lake, Release};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use futures::future::Either;

use crate::access::{Access, Forbidden};
use crate::audit::Noted;
use crate::bulk_ingest::{BulkIngest, BulkIngests};
use crate::execution::{Executor, Interrupt};
use crate::fixed::is_fixed;
use crate::newest::NewestRelease;
use crate::parameters;
use crate::policy::{self, MaskKey, Policies};
use crate::several_rows::{self, SeveralRows};
use crate::users::Role;
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
///
/// A plan is kept by its release, access, default schema and SQL, and never gets old: a release does not change. So is what
/// a release looks like to an access ([`Workspace`]), which is made anew when a release is published, before anybody asks.
pub struct Engine {
    lake: Lake,
    mask_key: Arc<MaskKey>,
    executor: Arc<Executor>,
    newest: NewestRelease,
    releases: Recent<u64, Arc<Release>>,
    workspaces: Recent<WorkspaceKey, Arc<Workspace>>,
    plans: Recent<PlanKey, Arc<PlannedQuery>>,
    ingests: BulkIngests,
}

/// Release, access, default schema, and the release that policies are of.
type WorkspaceKey = (u64, Arc<Access>, String, Option<u64>);
/// Workspace and SQL.
type PlanKey = (WorkspaceKey, Arc<str>);

/// What identifies the answer of a statement that the release alone decides: where it is planned, its SQL, and the values
/// of its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    workspace: WorkspaceKey,
    sql: Arc<str>,
    values: Arc<[ScalarValue]>,
}

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
    /// The plan; with several rows of values, the one for the first.
    pub plan: LogicalPlan,
    /// The types of its parameters; `None` where only the value will tell.
    pub parameters: Vec<Option<DataType>>,
    /// What it runs for, if that is more than one row of values.
    several: Option<SeveralRows>,
    /// What it asks, if the release alone decides the answer: one that was given may be given again.
    pub question: Option<Question>,
    /// What is put down of it, once it was.
    pub(crate) noted: OnceLock<Noted>,
}

impl Engine {
    /// Over the lake's newest release; `executor` plans what is not known yet.
    ///
    /// # Errors
    /// Unavailable: the lake cannot be read.
    pub async fn open(lake: Lake, executor: Arc<Executor>) -> Result<Self> {
        let newest = NewestRelease::open(&lake).await?;
        Ok(Self {
            ingests: BulkIngests::new(lake.parallelism()),
            lake: lake.with_hot_columns(),
            mask_key: Arc::default(),
            executor,
            newest,
            releases: Recent::new(RELEASES),
            workspaces: Recent::new(WORKSPACES),
            plans: Recent::new(PLANS),
        })
    }

    /// Follows the releases that are published, until it is dropped: whoever serves has to let it run.
    pub async fn follow(&self) -> Infallible {
        match futures::future::select(pin!(self.newest.follow()), pin!(self.prepare())).await {
            Either::Left((never, _)) | Either::Right((never, _)) => never,
        }
    }

    /// Makes the workspaces of each new release for those who used that before, and looks their relations up.
    async fn prepare(&self) -> Infallible {
        let mut newest = self.newest.watch();
        let mut before = newest.borrow_and_update().number;
        loop {
            if newest.changed().await.is_err() {
                // Not before `self` is dropped, which holds the sender.
                return std::future::pending().await;
            }
            let release = newest.borrow_and_update().clone();
            let keys = self.workspaces.keys();
            for (_, access, schema, _) in keys.into_iter().filter(|(number, ..)| *number == before) {
                let workspace = self.workspace(&Scope {
                    release: release.clone(),
                    access,
                    schema,
                });
                // What cannot be read now is looked up when somebody asks.
                let _ = workspace.columns().await;
                let _ = workspace.documented().await;
            }
            before = release.number;
        }
    }

    /// Writes rows that a client sends and publishes them as one release; gives how many there were. The next statement
    /// reads them.
    ///
    /// # Errors
    /// Failed, caused by [`Forbidden`]: the table is not to be written by `access`; caused by [`crate::Presence`]: it is
    /// there, or is not; else: it is a view, or another's. Config: the columns do not fit, or have no names that a table
    /// can have. Conflict: another process wrote the table meanwhile. Whatever the rows themselves fail with. Nothing is
    /// published then.
    pub async fn ingest(&self, access: &Access, ingest: &BulkIngest, rows: SendableRecordBatchStream) -> Result<u64> {
        let written = self.ingests.run(&self.lake, access, ingest, rows).await?;
        self.newest.look().await;
        Ok(written)
    }

    /// Holds the policies of roles against the newest release.
    ///
    /// # Errors
    /// Config: a policy names what there is not, or does not fit what it is about.
    pub async fn check_policies(&self, roles: &BTreeMap<String, Role>) -> Result<()> {
        policy::check(&self.lake, &self.newest.get().await, roles, &self.mask_key).await
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
        let newest = self.newest.known();
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
        let key = self.key(scope);
        self.workspaces.get(&key).unwrap_or_else(|| {
            let (release, access) = (scope.release.clone(), scope.access.clone());
            let policies = Policies::new(&self.lake, self.newest.known(), access, self.mask_key.clone());
            let before = self.workspace_before(scope);
            let workspace = Workspace::new(&self.lake, release, Arc::new(policies), &scope.schema, before.as_ref());
            let workspace = Arc::new(workspace);
            self.workspaces.insert(key, workspace.clone(), 1);
            workspace
        })
    }

    /// The workspace of the same access to another release that was used last.
    fn workspace_before(&self, scope: &Scope) -> Option<Arc<Workspace>> {
        let mut keys = self.workspaces.keys().into_iter().rev();
        let key = keys.find(|(_, access, schema, _)| (access, schema) == (&scope.access, &scope.schema))?;
        self.workspaces.get(&key)
    }

    /// Policies are as of the newest release, whichever is read.
    fn key(&self, scope: &Scope) -> WorkspaceKey {
        let policies_of = scope.access.is_limited().then(|| self.newest.known().number);
        (
            scope.release.number,
            scope.access.clone(),
            scope.schema.clone(),
            policies_of,
        )
    }

    /// Plans one read-only statement; a statement that was planned for the same scope is not planned again.
    ///
    /// # Errors
    /// Failed: the SQL is wrong, it would change something, or (caused by [`Forbidden`]) its result is not for
    /// everybody.
    pub async fn plan(&self, scope: &Scope, sql: &str) -> Result<Arc<PlannedQuery>> {
        let key: PlanKey = (self.key(scope), sql.into());
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
        let parameters = parameters::types(&plan)?;
        const DOING: &str = "planning the query";
        let is_kept = sql.len() <= LONGEST_KEPT_SQL;
        let keep = is_kept && !policy::reads_journal(&plan, &scope.schema).doing(|| DOING)?;
        let fixed = is_kept && parameters.is_empty() && is_fixed(&plan, &scope.schema).doing(|| DOING)?;
        let planned = Arc::new(PlannedQuery {
            workspace,
            plan,
            parameters,
            several: None,
            question: fixed.then(|| Question::new(&key, Vec::new())),
            noted: OnceLock::new(),
        });
        if keep {
            self.plans.insert(key, planned.clone(), 1);
        }
        Ok(planned)
    }

    /// Plans a statement with the values of its parameters: a column each, and a row or several. Of several, the result
    /// is the rows for each of them, in their order.
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
        let first = several_rows::row(values, 0).doing(doing)?;
        let (theirs, row) = (planned.clone(), first.clone());
        let binding = async move { sql::with_values(&theirs.workspace.session, theirs.plan.clone(), row).await };
        let plan = self.executor.plan(sql, binding).await?;
        let is_one = values.num_rows() == 1;
        let fixed = is_one && sql.len() <= LONGEST_KEPT_SQL && is_fixed(&plan, &scope.schema).doing(doing)?;
        Ok(Arc::new(PlannedQuery {
            workspace: planned.workspace.clone(),
            plan,
            parameters: Vec::new(),
            several: (!is_one).then(|| SeveralRows {
                plan: planned.plan.clone(),
                values: values.clone(),
            }),
            question: fixed.then(|| Question::new(&(self.key(scope), sql.into()), first)),
            noted: OnceLock::new(),
        }))
    }
}

impl PlannedQuery {
    /// The result's columns as the planner knows them: what a column may be when the plan runs is up to the server to
    /// promise.
    pub fn schema(&self) -> &Schema {
        self.plan.schema().as_arrow()
    }

    /// How it runs in `state`, which is one of its workspace's session, until it is interrupted and within so many bytes of
    /// memory.
    ///
    /// # Errors
    /// What the planner finds wrong.
    pub(crate) async fn physical(
        &self,
        state: &mut SessionState,
        interrupt: &Interrupt,
        memory: usize,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        match &self.several {
            None => sql::physical_plan(state, &self.plan, memory).await,
            Some(several) => several.physical(&self.workspace.session, state, interrupt, memory, self.schema()),
        }
    }

    /// The relations of the lake that the plan reads, and the views by which it does.
    pub(crate) fn relations(&self, default_schema: &str) -> BTreeSet<TableName> {
        let mut relations = BTreeSet::new();
        let walk = self.plan.apply_with_subqueries(|node| {
            let reference = match node {
                LogicalPlan::TableScan(scan) => Some(&scan.table_name),
                LogicalPlan::SubqueryAlias(alias) => Some(&alias.alias),
                _ => None,
            };
            let name = reference.and_then(|reference| {
                let name = TableName::new(reference.schema().unwrap_or(default_schema), reference.table()).ok()?;
                // An alias has no schema, unless it is that of a view.
                let is_relation = reference.catalog().is_some() || self.workspace.has(&name);
                is_relation.then_some(name)
            });
            relations.extend(name);
            Ok(TreeNodeRecursion::Continue)
        });
        debug_assert!(walk.is_ok(), "nothing in the walk fails");
        relations
    }
}

impl Question {
    fn new((workspace, sql): &PlanKey, values: Vec<ScalarValue>) -> Self {
        Self {
            workspace: workspace.clone(),
            sql: sql.clone(),
            values: values.into(),
        }
    }

    /// About how much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.sql.len() + self.values.iter().map(ScalarValue::size).sum::<usize>()
    }
}
