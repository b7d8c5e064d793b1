//! The queries that are running, so that whoever started one can stop it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// All running queries.
#[derive(Debug, Clone, Default)]
pub struct RunningQueries(Arc<Queries>);

#[derive(Debug, Default)]
struct Queries {
    begun: AtomicU64,
    running: Mutex<HashMap<u64, Query>>,
}

#[derive(Debug)]
struct Query {
    id: String,
    user: String,
    session: Option<String>,
    stop: CancellationToken,
}

/// A running query; when it is dropped, the query is over.
#[derive(Debug)]
pub struct RunningQuery {
    running: RunningQueries,
    number: u64,
    stop: CancellationToken,
}

impl RunningQueries {
    /// A fetch of the query `id` begins to run.
    pub fn begin(&self, id: &str, user: &str) -> RunningQuery {
        let stop = CancellationToken::new();
        let number = self.0.begun.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(
            number,
            Query {
                id: id.to_owned(),
                user: user.to_owned(),
                session: None,
                stop: stop.clone(),
            },
        );
        RunningQuery {
            running: self.clone(),
            number,
            stop,
        }
    }

    /// Stops every fetch of a query of that user; says whether one was running.
    pub fn stop(&self, id: &str, user: &str) -> bool {
        let queries = self.lock();
        let theirs = queries.values().filter(|query| query.id == id && query.user == user);
        theirs.inspect(|query| query.stop.cancel()).count() > 0
    }

    /// Stops every query of a session of that user.
    pub fn stop_session(&self, session: &str, user: &str) {
        let queries = self.lock();
        let is_theirs = |query: &&Query| query.session.as_deref() == Some(session) && query.user == user;
        queries.values().filter(is_theirs).for_each(|query| query.stop.cancel());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Query>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningQuery {
    /// The query of a session, which ends with it.
    pub fn in_session(self, session: Option<&str>) -> Self {
        if let Some(query) = self.running.lock().get_mut(&self.number) {
            query.session = session.map(str::to_owned);
        }
        self
    }

    /// Is cancelled when somebody stops the query.
    pub fn stopped(&self) -> &CancellationToken {
        &self.stop
    }
}

impl Drop for RunningQuery {
    fn drop(&mut self) {
        self.running.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_stopped_by_its_user_only_and_while_it_runs() {
        let running = RunningQueries::default();
        let query = running.begin("q", "ana");
        assert!(!running.stop("q", "bob") && !query.stopped().is_cancelled());
        drop(running.begin("q", "ana"));
        assert!(running.stop("q", "ana") && query.stopped().is_cancelled());
        drop(query);
        assert!(!running.stop("q", "ana"));
    }

    #[test]
    fn a_query_ends_with_its_session_and_with_no_other() {
        let running = RunningQueries::default();
        let query = running.begin("q", "ana").in_session(Some("s"));
        let other = running.begin("r", "ana").in_session(None);
        running.stop_session("s", "bob");
        running.stop_session("t", "ana");
        assert!(!query.stopped().is_cancelled());
        running.stop_session("s", "ana");
        assert!(query.stopped().is_cancelled() && !other.stopped().is_cancelled());
    }
}
