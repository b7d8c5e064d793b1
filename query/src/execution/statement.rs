//! A statement from its beginning to its last row, as all see it who have to do with it: those who compute, whoever
//! waits for its rows, whoever stops it, and whoever watches that it goes on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use cordada_core::threads::locked;
use cordada_core::{Error, Result};
use tokio::runtime::Handle;

use super::Request;
use super::interrupt::{Interrupt, Why};
use super::limits::StatementLimits;
use super::queue::{Queue, Turn, Who};
use super::threads::naps;

/// How long a client may leave rows waiting before its statement's turn is another's.
const UNREAD: Duration = Duration::from_secs(1);
/// How long a statement may compute in one piece.
pub(super) const HUNG: Duration = Duration::from_secs(60);

/// A statement.
#[derive(Debug)]
pub struct Statement {
    id: String,
    user: String,
    session: Option<String>,
    sql: String,
    limits: StatementLimits,
    interrupt: Interrupt,
    rows: AtomicU64,
    /// Tasks that wait for the client to take their rows.
    unread: AtomicUsize,
    /// Tasks that compute its rows.
    computing: AtomicUsize,
    started: OnceLock<Started>,
    pace: Mutex<Option<Pace>>,
}

/// What there is once it computes.
#[derive(Debug)]
struct Started {
    at: Instant,
    threads: Handle,
    /// `None` for what computes so little that it needs no turn.
    seat: Option<Seat>,
}

/// A turn that can be given away and won back.
#[derive(Debug)]
struct Seat {
    queue: Arc<Queue>,
    who: Who,
    is_taken: AtomicBool,
    turn: Mutex<Option<Turn>>,
    /// One of those who compute asks for the turn; the others wait for it.
    asks: tokio::sync::Mutex<()>,
}

/// When there was the last sign of life.
#[derive(Debug)]
struct Pace {
    signs: u64,
    naps: Vec<u64>,
    since: Instant,
}

/// What whoever watches has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It goes on, or has been ended.
    Nothing,
    /// Its client has not read for so long.
    Unread(Duration),
    /// It computes in one piece for so long that it has been ended.
    Hung,
}

impl Statement {
    pub(super) fn new(request: &Request<'_>, limits: StatementLimits) -> Self {
        Self {
            id: request.id.to_owned(),
            user: request.principal.name.clone(),
            session: request.session.map(str::to_owned),
            sql: request.sql.to_owned(),
            limits,
            interrupt: Interrupt::default(),
            rows: AtomicU64::new(0),
            unread: AtomicUsize::new(0),
            computing: AtomicUsize::new(0),
            started: OnceLock::new(),
            pace: Mutex::default(),
        }
    }

    /// Whose it is.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its text: literals may be personal data, which no log may show.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// What it may take.
    pub fn limits(&self) -> &StatementLimits {
        &self.limits
    }

    /// Its interruption.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// It computes from now on.
    pub(super) fn start(&self, threads: Handle, turn: Option<(Arc<Queue>, Who, Turn)>) {
        let seat = turn.map(|(queue, who, turn)| Seat {
            queue,
            who,
            is_taken: AtomicBool::new(true),
            turn: Mutex::new(Some(turn)),
            asks: tokio::sync::Mutex::new(()),
        });
        let at = Instant::now();
        // It starts once.
        let _ = self.started.set(Started { at, threads, seat });
    }

    /// Counts rows of the result before they are sent.
    ///
    /// # Errors
    /// Failed: there are more than it may give, which ends it.
    pub fn count_rows(&self, rows: usize) -> Result<()> {
        let all = self.rows.fetch_add(rows as u64, Ordering::Relaxed) + rows as u64;
        match self.limits.rows {
            Some(most) if all > most => {
                self.interrupt.interrupt(Why::Rows(most));
                Err(self.interrupt.error())
            }
            _ => Ok(()),
        }
    }

    /// A task computes its rows until this is dropped. With the last one its turn is another's: whoever has not read what
    /// is computed keeps nobody waiting.
    pub fn computes(self: &Arc<Self>) -> Computes {
        self.computing.fetch_add(1, Ordering::Relaxed);
        Computes(self.clone())
    }

    /// Waits until the client has room for more, and then for a turn if its own was given away meanwhile.
    ///
    /// # Errors
    /// Those of waiting for a turn.
    pub async fn until_read<T>(&self, taken: impl Future<Output = T>) -> Result<T> {
        self.unread.fetch_add(1, Ordering::Relaxed);
        let waits = Unread(&self.unread);
        let done = taken.await;
        drop(waits);
        if let Some(seat) = self.started.get().and_then(|started| started.seat.as_ref()) {
            seat.take().await?;
        }
        Ok(done)
    }

    /// Looks how the statement goes on, and ends it where it may not.
    pub(super) fn watch(&self, now: Instant) -> Finding {
        let Some(started) = self.started.get() else {
            return Finding::Nothing;
        };
        if self.interrupt.is_interrupted() {
            return Finding::Nothing;
        }
        if now.duration_since(started.at) >= self.limits.time {
            self.interrupt.interrupt(Why::Time(self.limits.time));
            return Finding::Nothing;
        }
        let signs = self.interrupt.signs();
        let mut pace = locked(&self.pace);
        let still = match &*pace {
            Some(pace) if pace.signs == signs => now.duration_since(pace.since),
            _ => {
                *pace = Some(Pace {
                    signs,
                    naps: naps(&started.threads),
                    since: now,
                });
                return Finding::Nothing;
            }
        };
        if self.unread.load(Ordering::Relaxed) > 0 {
            if still < UNREAD {
                return Finding::Nothing;
            }
            if let Some(seat) = &started.seat {
                seat.give_away();
            }
            return Finding::Unread(still);
        }
        // A thread that has not slept since is in the middle of something; one that sleeps waits for a file, say.
        let never_slept = |before: &Pace| {
            let pairs = before.naps.iter().zip(naps(&started.threads));
            pairs.into_iter().any(|(before, naps)| *before == naps && naps % 2 == 0)
        };
        match still >= HUNG && pace.as_ref().is_some_and(never_slept) {
            true => {
                self.interrupt.interrupt(Why::Hung(still));
                Finding::Hung
            }
            false => Finding::Nothing,
        }
    }
}

/// A task that computes rows of a statement.
#[derive(Debug)]
pub struct Computes(Arc<Statement>);

impl Drop for Computes {
    fn drop(&mut self) {
        let is_last = self.0.computing.fetch_sub(1, Ordering::AcqRel) == 1;
        let started = self.0.started.get().filter(|_| is_last);
        if let Some(seat) = started.and_then(|started| started.seat.as_ref()) {
            seat.give_away();
        }
    }
}

/// Somebody waits for the client.
struct Unread<'a>(&'a AtomicUsize);

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Seat {
    fn give_away(&self) {
        self.is_taken.store(false, Ordering::Release);
        let turn = locked(&self.turn).take();
        drop(turn);
    }

    async fn take(&self) -> Result<()> {
        if self.is_taken.load(Ordering::Acquire) {
            return Ok(());
        }
        let _asks = self.asks.lock().await;
        if !self.is_taken.load(Ordering::Acquire) {
            let turn = self.queue.turn(self.who.clone()).await?;
            *locked(&self.turn) = Some(turn);
            self.is_taken.store(true, Ordering::Release);
        }
        Ok(())
    }
}

/// All statements that are running, so that whoever began one can stop it.
#[derive(Debug, Default)]
pub(super) struct Running {
    begun: AtomicU64,
    statements: Mutex<HashMap<u64, Arc<Statement>>>,
}

/// A statement among those that are running. Dropped, it is over: whoever waited for it has all of it, or has left.
#[derive(Debug)]
pub(super) struct Registered {
    running: Arc<Running>,
    number: u64,
    statement: Arc<Statement>,
}

impl Running {
    pub(super) fn register(self: &Arc<Self>, statement: Arc<Statement>) -> Registered {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        locked(&self.statements).insert(number, statement.clone());
        Registered {
            running: self.clone(),
            number,
            statement,
        }
    }

    /// Those that run now.
    pub(super) fn all(&self) -> Vec<Arc<Statement>> {
        locked(&self.statements).values().cloned().collect()
    }

    /// Stops every run of a statement of that user; says whether there was one.
    pub(super) fn stop(&self, id: &str, user: &str) -> bool {
        let mut stopped = false;
        for statement in self.all() {
            if statement.id == id && statement.user == user {
                statement.interrupt.interrupt(Why::Cancelled);
                stopped = true;
            }
        }
        stopped
    }

    /// Stops the statements of a session of that user.
    pub(super) fn stop_session(&self, session: &str, user: &str) {
        for statement in self.all() {
            if statement.session.as_deref() == Some(session) && statement.user == user {
                statement.interrupt.interrupt(Why::Cancelled);
            }
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        locked(&self.running.statements).remove(&self.number);
        self.statement.interrupt.interrupt(Why::Cancelled);
        // At once, and not when the last thread has noticed: one that never does has its own threads.
        if let Some(seat) = self.statement.started.get().and_then(|started| started.seat.as_ref()) {
            seat.give_away();
        }
    }
}

/// The error of a statement that cannot begin.
pub(super) fn closing() -> Error {
    let interrupt = Interrupt::default();
    interrupt.interrupt(Why::Closing);
    interrupt.error()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::auth::Principal;

    fn limits(time: Duration, rows: Option<u64>) -> StatementLimits {
        StatementLimits {
            by_user: 9,
            time,
            memory: 1,
            rows,
            spill: 1,
        }
    }

    fn statement(time: Duration, rows: Option<u64>) -> Arc<Statement> {
        let request = Request {
            id: "q",
            principal: &Principal {
                name: "ana".to_owned(),
                ..Principal::default()
            },
            session: Some("s"),
            connection: None,
            sql: "select 1",
        };
        Arc::new(Statement::new(&request, limits(time, rows)))
    }

    #[test]
    fn statements_end_with_their_session() {
        let running = Arc::new(Running::default());
        let query = statement(LONG, None);
        let _registered = running.register(query.clone());
        running.stop_session("s", "bob");
        running.stop_session("t", "ana");
        assert!(!query.interrupt().is_interrupted());
        running.stop_session("s", "ana");
        assert!(query.interrupt().is_interrupted());
    }

    const LONG: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_statement_is_stopped_by_its_user_only_and_while_it_runs() {
        let running = Arc::new(Running::default());
        let query = statement(LONG, None);
        let registered = running.register(query.clone());
        assert!(!running.stop("q", "bob") && !query.interrupt().is_interrupted());
        drop(running.register(statement(LONG, None)));
        assert!(running.stop("q", "ana") && query.interrupt().is_interrupted());
        drop(registered);
        assert!(!running.stop("q", "ana"));
        let left = statement(LONG, None);
        drop(running.register(left.clone()));
        assert!(left.interrupt().is_interrupted(), "whoever leaves ends it");
    }

    #[test]
    fn more_rows_than_it_may_give_end_it() {
        let query = statement(LONG, Some(10));
        query.count_rows(10).unwrap();
        let error = query.count_rows(1).unwrap_err().to_string();
        assert!(
            error.contains("10 rows") && query.interrupt().is_interrupted(),
            "{error}"
        );
    }

    #[tokio::test]
    async fn time_that_is_up_ends_it() {
        let query = statement(Duration::from_secs(5), None);
        let now = Instant::now();
        query.watch(now + LONG);
        assert!(!query.interrupt().is_interrupted(), "it has not started");
        query.start(Handle::current(), None);
        query.watch(now);
        assert!(!query.interrupt().is_interrupted());
        query.watch(Instant::now() + Duration::from_secs(5));
        assert!(query.interrupt().error().to_string().contains("5 s"));
    }

    #[tokio::test]
    async fn what_never_yields_is_found_and_what_waits_is_not() {
        use std::sync::mpsc;

        use super::super::threads::Crews;

        let crews = Arc::new(Crews::new("test", 1, 1 << 20, 1, 4));
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        // It waits for something, as for a file.
        let lease = crews.lease().await.unwrap();
        let waits = statement(LONG, None);
        waits.start(lease.handle().clone(), None);
        lease.handle().spawn(std::future::pending::<()>());
        while naps(lease.handle())[0].is_multiple_of(2) {
            tokio::task::yield_now().await;
        }
        assert_eq!(waits.watch(later(0)), Finding::Nothing);
        assert_eq!(waits.watch(later(100)), Finding::Nothing);
        // It computes.
        let stuck = crews.lease().await.unwrap();
        let (go_on, wait) = mpsc::channel::<()>();
        let (begins, began) = tokio::sync::oneshot::channel();
        stuck.handle().spawn(async move {
            begins.send(()).unwrap();
            wait.recv()
        });
        began.await.unwrap();
        let hangs = statement(LONG, None);
        hangs.start(stuck.handle().clone(), None);
        assert_eq!(hangs.watch(later(0)), Finding::Nothing);
        hangs.interrupt().check().unwrap();
        assert_eq!(hangs.watch(later(100)), Finding::Nothing, "there was a sign of life");
        assert_eq!(hangs.watch(later(130)), Finding::Nothing, "not for so long");
        assert_eq!(hangs.watch(later(200)), Finding::Hung);
        assert!(hangs.interrupt().error().to_string().contains("in one piece"));
        drop(go_on);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_gives_its_turn_to_others_and_asks_for_it_again() {
        use futures::FutureExt;

        let queue = Arc::new(Queue::new(1, 10));
        let who = |user: &str| Who {
            user: user.into(),
            role: "r".into(),
            most: 1,
        };
        let turn = queue.turn(who("ana")).await.unwrap();
        let query = statement(LONG, None);
        query.start(Handle::current(), Some((queue.clone(), who("ana"), turn)));
        let (read, reads) = tokio::sync::oneshot::channel::<()>();
        let mut sending = Box::pin(query.until_read(reads));
        assert!((&mut sending).now_or_never().is_none());
        let other = queue.turn(who("bob"));
        let mut other = Box::pin(other);
        assert!((&mut other).now_or_never().is_none());
        let now = Instant::now();
        assert_eq!(query.watch(now), Finding::Nothing);
        assert!((&mut other).now_or_never().is_none());
        let unread = Duration::from_secs(2);
        assert_eq!(query.watch(now + unread), Finding::Unread(unread));
        let other = (&mut other).now_or_never().unwrap().unwrap();
        // The client reads again: the statement goes on once the other is done.
        read.send(()).unwrap();
        assert!((&mut sending).now_or_never().is_none());
        drop(other);
        (&mut sending).now_or_never().unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_turn_ends_with_the_last_task_that_computes_and_not_with_the_last_row_that_is_read() {
        use futures::FutureExt;

        let queue = Arc::new(Queue::new(1, 10));
        let who = |user: &str| Who {
            user: user.into(),
            role: "r".into(),
            most: 1,
        };
        let turn = queue.turn(who("ana")).await.unwrap();
        let query = statement(LONG, None);
        query.start(Handle::current(), Some((queue.clone(), who("ana"), turn)));
        let (first, second) = (query.computes(), query.computes());
        let mut other = Box::pin(queue.turn(who("bob")));
        drop(first);
        assert!((&mut other).now_or_never().is_none());
        drop(second);
        assert!((&mut other).now_or_never().unwrap().is_ok());
    }
}
