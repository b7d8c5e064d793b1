//! Running statements so that none can stop the others: on threads of their own, so many at once, each within its limits.
//!
//! Follow a statement: it is planned on a thread for planning, in its turn if that may take long (`folding`); what reads
//! next to nothing (`light`) runs at once, and all other statements wait for a turn (`queue`); each has a crew of threads
//! to itself (`threads`). They have memory and disk of their own below the lake's (`memory`) and can be ended between any
//! two batches (`checkpoints`, `interrupt`). Whoever sends the rows stays on the threads that answer. [`Executor::watch`]
//! ends what takes too long.

pub(crate) mod checkpoints;
mod first_rows;
mod folding;
mod interrupt;
mod light;
mod limits;
mod memory;
mod queue;
mod statement;
mod threads;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cordada_core::threads::not_joined;
use cordada_core::{Context, Error, Result};
use cordada_lake::query::session::state_for;
use cordada_lake::query::sql;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::auth::Principal;
use crate::engine::PlannedQuery;
use crate::users::Role;

pub use interrupt::{Interrupt, Why};
pub use limits::{Exceeded, RoleLimits, ServerLimits, StatementLimits};
pub use statement::{Computes, Statement};

use interrupt::shown;
use limits::Limits;
use queue::{Queue, Who};
use statement::{Finding, Registered, Running, closing};
use threads::{Crews, Lease};

/// Threads that plan at the same time, each another statement. More than cores: some never come back.
const PLANNERS: usize = 32;
/// Statements that have threads though it is not their turn: their clients do not read.
const UNREAD: usize = 64;
/// Statements that need no turn and run at the same time.
const LIGHT: usize = 256;
/// The stack of a thread that plans: the deepest statement needs 64 MiB.
const PLANNING_STACK: usize = 72 << 20;
/// The stack of a thread that computes.
const COMPUTING_STACK: usize = 16 << 20;
/// How long a statement whose turn it is waits for threads.
const NO_THREADS: Duration = Duration::from_secs(30);
/// How often statements are looked at.
const WATCH: Duration = Duration::from_millis(100);
/// The role of whoever has none.
const NO_ROLE: &str = "";

/// Runs statements.
#[derive(Debug)]
pub struct Executor {
    planning: Arc<Crews>,
    /// Whose statement is planned next.
    planners: Arc<Queue>,
    light: Arc<Crews>,
    computing: Arc<Crews>,
    queue: Arc<Queue>,
    limits: Limits,
    running: Arc<Running>,
    is_closing: AtomicBool,
    hung: AtomicU64,
}

/// A statement that somebody asks for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What it is stopped by.
    pub id: &'a str,
    /// Whose it is.
    pub principal: &'a Principal,
    /// The session that it ends with, if it is in one.
    pub session: Option<&'a str>,
    /// The connection that it came by, where nobody logs in: whoever is at its other end has a share of their own.
    pub connection: Option<&'a str>,
    /// Its text, for whoever has to find it; no literal of it is shown.
    pub sql: &'a str,
}

/// A statement that computes. Dropped, it ends.
#[derive(Debug)]
pub struct Run {
    statement: Arc<Statement>,
    // Before the threads: they are others' once nothing of the statement is alive.
    _registered: Registered,
    lease: Lease,
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
}

/// A plan that can run.
struct Prepared {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    /// It computes so little that it needs no turn.
    is_light: bool,
}

impl Run {
    /// Where its partitions are to be spawned.
    pub fn threads(&self) -> &Handle {
        self.lease.handle()
    }

    /// Its plan: every partition is executed on [`Self::threads`].
    pub fn plan(&self) -> &Arc<dyn ExecutionPlan> {
        &self.plan
    }

    /// What its plan is executed in.
    pub fn context(&self) -> &Arc<TaskContext> {
        &self.context
    }

    /// The statement, for those who compute it.
    pub fn statement(&self) -> &Arc<Statement> {
        &self.statement
    }
}

impl Executor {
    /// For a lake that runs a query in so many parallel tasks and has so many bytes of memory.
    ///
    /// # Errors
    /// Config: a limit under which nothing could run.
    pub fn new(
        parallelism: usize,
        memory: usize,
        limits: &ServerLimits,
        roles: &BTreeMap<String, Role>,
    ) -> Result<Self> {
        limits.check()?;
        let limits = Limits::new(limits, roles, parallelism, memory);
        let (statements, waiting) = (limits.statements, limits.waiting);
        let planning = Crews::new("planning", 1, PLANNING_STACK, parallelism, PLANNERS);
        let light = Crews::new("light", 1, COMPUTING_STACK, parallelism, LIGHT);
        let most = statements + UNREAD;
        let computing = Crews::new("computing", parallelism, COMPUTING_STACK, statements, most);
        Ok(Self {
            // Those whose turn it was may be lost to what never ends, and those that need none go on.
            planning: Arc::new(planning.with_most_ending(PLANNERS * 3 / 4)),
            planners: Arc::new(Queue::new(PLANNERS / 2, waiting)),
            light: Arc::new(light),
            // Each of those that run may be lost to a statement that never ends, and one is left.
            computing: Arc::new(computing.with_most_ending(statements + 1)),
            queue: Arc::new(Queue::new(statements, waiting)),
            limits,
            running: Arc::default(),
            is_closing: AtomicBool::new(false),
            hung: AtomicU64::new(0),
        })
    }

    /// Plans something on a thread of its own, within the time that planning may take. Dropped, it is not waited for.
    ///
    /// # Errors
    /// Those of `work`; failed, caused by [`Exceeded`]: it takes too long.
    pub async fn plan<T: Send + 'static>(
        &self,
        sql: &str,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        const DOING: &str = "planning the query";
        let most = self.limits.planning;
        let planning = async {
            let lease = self.planning.lease().await?;
            let done = AbortOnDropHandle::new(lease.handle().spawn(work)).await;
            done.map_err(|error| not_joined(DOING, &error))?
        };
        let Ok(planned) = timeout(most, planning).await else {
            let threads = self.planning.ending();
            tracing::warn!(
                statement = %sql::without_quotes(sql),
                threads,
                "planning takes too long and is not waited for"
            );
            let why = format!("planning takes longer than the {} that it may", shown(most));
            return Err(Error::failed(DOING, why)
                .hint("make the statement simpler, or have `planning` raised in `server: {limits: …}`")
                .caused_by(Exceeded::Time));
        };
        planned
    }

    /// Plans something for somebody, who may not have all threads for it: what is constant is computed while it is planned.
    async fn plan_in_turn<T: Send + 'static>(
        &self,
        request: Request<'_>,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let turn = self.planners.turn(who(request, PLANNERS / 4)).await?;
        // Kept by the work, which may go on when nobody waits for it any more.
        let work = async move {
            let _turn = turn;
            work.await
        };
        self.plan(request.sql, work).await
    }

    /// Runs a planned query as soon as it is its turn.
    ///
    /// # Errors
    /// Those of planning and of waiting for a turn; cancelled: somebody stopped it. Unavailable: the server is closing.
    pub async fn run(&self, query: &Arc<PlannedQuery>, request: Request<'_>) -> Result<Run> {
        const DOING: &str = "running the query";
        let (statement, registered) = self.begin(request)?;
        let is_quick = folding::is_quick(request.sql, &query.plan);
        let (query, theirs) = (query.clone(), statement.clone());
        let prepare = async move {
            let mut state = state_for(&query.workspace.session, theirs.user());
            let (interrupt, memory) = (theirs.interrupt(), theirs.limits().memory);
            let plan = query.physical(&mut state, interrupt, memory).await;
            prepared(plan.doing(|| DOING)?, &state, &theirs)
        };
        let interrupt = statement.interrupt();
        let prepared = match is_quick {
            true => interrupt.until_interrupted(self.plan(request.sql, prepare)).await??,
            false => {
                interrupt
                    .until_interrupted(self.plan_in_turn(request, prepare))
                    .await??
            }
        };
        self.start(request, statement, registered, prepared).await
    }

    /// Runs a plan that has been made already, as soon as it is its turn.
    ///
    /// # Errors
    /// Those of [`Self::run`].
    pub async fn run_physical(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        state: SessionState,
        request: Request<'_>,
    ) -> Result<Run> {
        let (statement, registered) = self.begin(request)?;
        let theirs = statement.clone();
        let prepare = async move { prepared(plan, &state, &theirs) };
        let planned = self.plan_in_turn(request, prepare);
        let prepared = statement.interrupt().until_interrupted(planned).await??;
        self.start(request, statement, registered, prepared).await
    }

    fn begin(&self, request: Request<'_>) -> Result<(Arc<Statement>, Registered)> {
        if self.is_closing.load(Ordering::Acquire) {
            return Err(closing());
        }
        let limits = self.limits.of(&request.principal.roles);
        let statement = Statement::new(&request, limits);
        let statement = Arc::new(statement);
        let registered = self.running.register(statement.clone());
        Ok((statement, registered))
    }

    async fn start(
        &self,
        request: Request<'_>,
        statement: Arc<Statement>,
        registered: Registered,
        prepared: Prepared,
    ) -> Result<Run> {
        let Prepared {
            plan,
            context,
            is_light,
        } = prepared;
        let interrupt = statement.interrupt();
        let lease = if is_light {
            let lease = interrupt.until_interrupted(self.lease(&self.light)).await??;
            statement.start(lease.handle().clone(), None);
            lease
        } else {
            let who = who(request, statement.limits().by_user);
            let turn = interrupt.until_interrupted(self.queue.turn(who.clone())).await??;
            let lease = interrupt.until_interrupted(self.lease(&self.computing)).await??;
            statement.start(lease.handle().clone(), Some((self.queue.clone(), who, turn)));
            lease
        };
        Ok(Run {
            statement,
            _registered: registered,
            lease,
            plan,
            context,
        })
    }

    /// Threads for a statement, unless all are busy with what does not end.
    async fn lease(&self, crews: &Arc<Crews>) -> Result<Lease> {
        let Ok(lease) = timeout(NO_THREADS, crews.lease()).await else {
            let busy = crews.ending();
            return Err(Error::failed(
                "running the query",
                "all threads are busy with statements that do not end",
            )
            .hint("ask again later; if it stays so, restart the server")
            .with("busy", busy)
            .caused_by(Exceeded::Resources));
        };
        lease
    }

    /// Stops every run of the statement with that id, if it is that user's; says whether there was one.
    pub fn stop(&self, id: &str, user: &str) -> bool {
        self.running.stop(id, user)
    }

    /// Stops the statements of a session of that user.
    pub fn stop_session(&self, session: &str, user: &str) {
        self.running.stop_session(session, user);
    }

    /// Begins no statement any more; those that run go on.
    pub fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
    }

    /// Ends all statements, and says how many there were.
    pub fn end_all(&self) -> usize {
        let all = self.running.all();
        for statement in &all {
            statement.interrupt().interrupt(Why::Closing);
        }
        all.len()
    }

    /// How many statements run, wait for their turn, or are being planned.
    pub fn running(&self) -> usize {
        self.running.all().len()
    }

    /// How many wait for their turn.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// How many were ended because they computed in one piece for too long.
    pub fn hung(&self) -> u64 {
        self.hung.load(Ordering::Relaxed)
    }

    /// Ends the statements that take too long, until it is dropped: whoever serves has to let it run.
    pub async fn watch(&self) -> Infallible {
        let mut ticks = interval(WATCH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = Instant::now();
            let mut unread: Option<(Duration, Arc<Statement>)> = None;
            for statement in self.running.all() {
                match statement.watch(now) {
                    Finding::Nothing => {}
                    Finding::Hung => self.tell_of_hung(&statement),
                    Finding::Unread(since) => {
                        if unread.as_ref().is_none_or(|(longest, _)| *longest < since) {
                            unread = Some((since, statement));
                        }
                    }
                }
            }
            // Whoever does not read keeps threads and memory, until others have none.
            if let Some((since, statement)) = unread
                && (self.computing.are_exhausted() || self.light.are_exhausted())
            {
                statement.interrupt().interrupt(Why::Unread(since));
            }
        }
    }

    fn tell_of_hung(&self, statement: &Statement) {
        let hung = self.hung.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(
            user = statement.user(),
            statement = %sql::without_literals(statement.sql()),
            hung,
            "a statement computes in one piece for too long; its threads are left to it"
        );
    }
}

/// Somebody who may have so many turns.
fn who(request: Request<'_>, most: usize) -> Who {
    let principal = request.principal;
    Who {
        user: request.connection.unwrap_or(&principal.name).into(),
        role: principal.roles.first().map_or(NO_ROLE, String::as_str).into(),
        most,
    }
}

/// The plan with its checkpoints, whose first rows do not wait, and what it is executed in.
fn prepared(plan: Arc<dyn ExecutionPlan>, state: &SessionState, statement: &Statement) -> Result<Prepared> {
    const DOING: &str = "running the query";
    let is_light = light::is_light(&plan);
    let (interrupt, memory) = (statement.interrupt(), statement.limits().memory);
    let plan = first_rows::place(plan).doing(|| DOING)?;
    Ok(Prepared {
        plan: checkpoints::place(plan, interrupt, memory).doing(|| DOING)?,
        context: memory::context(state, statement.limits(), interrupt).doing(|| DOING)?,
        is_light,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
