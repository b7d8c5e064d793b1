//! Prepared statements, until their client closes them or nobody has used them for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use cordada_query::Recent;
use cordada_query::auth::random_id;
use tonic::Status;

use crate::status;

/// Bytes that the statements of one user and their parameters may take together.
const CAPACITY: usize = 16 << 20;
/// How long it takes from preparing a statement to executing it, if that is one thing to a driver.
const AT_ONCE: Duration = Duration::from_secs(30);
/// Users whose statements are kept: those who asked for one most recently.
const USERS: usize = 1000;

/// All prepared statements. Those of a user are bounded by number and by bytes, and none of them is ever lost to
/// another user's.
#[derive(Debug)]
pub(crate) struct PreparedStatements {
    by_user: Recent<String, Arc<OfUser>>,
    /// Statements of a user that are kept.
    most: usize,
}

/// By their handles: a handle is nobody else's.
type OfUser = Recent<Bytes, Arc<PreparedStatement>>;

/// A prepared statement.
#[derive(Debug, Clone)]
pub(crate) struct PreparedStatement {
    /// The session that it was prepared in, with which it ends.
    pub(crate) session: Option<String>,
    /// Its SQL.
    pub(crate) sql: String,
    /// The schema that its client was told.
    pub(crate) schema: SchemaRef,
    /// The release that it was prepared on.
    pub(crate) release: u64,
    /// The values of its parameters, one row, once they are bound.
    pub(crate) values: Option<RecordBatch>,
    made: Instant,
    /// Whether it has run, with whatever values.
    has_run: Arc<AtomicBool>,
}

impl PreparedStatements {
    /// None yet; so many of each user will be kept.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            by_user: Recent::new(USERS),
            most,
        }
    }

    fn of(&self, user: &str) -> Arc<OfUser> {
        let make = || Arc::new(Recent::new(CAPACITY));
        self.by_user.get_or_insert_with(user.to_owned(), make)
    }

    /// Keeps a statement of that user; gives its handle.
    pub(crate) fn add(&self, user: &str, statement: PreparedStatement) -> Result<Bytes, Status> {
        let handle = Bytes::from(random_id().map_err(|error| status::of(&error))?);
        self.put(user, handle.clone(), statement)?;
        Ok(handle)
    }

    /// The statement of that handle.
    pub(crate) fn get(&self, user: &str, handle: &Bytes) -> Result<Arc<PreparedStatement>, Status> {
        self.of(user).get(handle).ok_or_else(|| {
            Status::not_found(
                "this prepared statement was closed, or not used for too long, or the server has restarted since; prepare it \
                 again",
            )
        })
    }

    /// Binds values, given as one row, to the parameters of a statement.
    pub(crate) fn bind(&self, user: &str, handle: &Bytes, values: Option<RecordBatch>) -> Result<(), Status> {
        let statement = PreparedStatement {
            values,
            ..PreparedStatement::clone(&*self.get(user, handle)?)
        };
        self.put(user, handle.clone(), statement)
    }

    /// Forgets a statement; one that is not there is no error.
    pub(crate) fn close(&self, user: &str, handle: &Bytes) {
        self.of(user).remove(handle);
    }

    /// Forgets the statements of a session of that user.
    pub(crate) fn close_session(&self, user: &str, session: &str) {
        self.of(user)
            .retain(|_, statement| statement.session.as_deref() != Some(session));
    }

    fn put(&self, user: &str, handle: Bytes, statement: PreparedStatement) -> Result<(), Status> {
        let weight = statement.weight();
        if weight > CAPACITY {
            return Err(Status::resource_exhausted(
                "the statement and its parameters are too long to be kept",
            ));
        }
        // No statement weighs less than its part, so that there are never more than so many.
        let weight = weight.max(CAPACITY / self.most.max(1));
        self.of(user).insert(handle, Arc::new(statement), weight);
        Ok(())
    }
}

impl PreparedStatement {
    /// One of that session, whose client is told that schema, of that release.
    pub(crate) fn new(session: Option<String>, sql: String, schema: SchemaRef, release: u64) -> Self {
        Self {
            session,
            sql,
            schema,
            release,
            values: None,
            made: Instant::now(),
            has_run: Arc::default(),
        }
    }

    /// Notes that it runs; whether that is for the first time, and right after it was prepared.
    pub(crate) fn runs_at_once(&self) -> bool {
        !self.has_run.swap(true, Ordering::Relaxed) && self.made.elapsed() < AT_ONCE
    }

    /// Bytes, roughly.
    fn weight(&self) -> usize {
        /// A column's name, type and metadata.
        const COLUMN: usize = 1024;
        let values = self.values.as_ref().map_or(0, RecordBatch::get_array_memory_size);
        self.sql.len() + COLUMN * (1 + self.schema.fields().len()) + values
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::datatypes::Schema;
    use tonic::Code;

    use super::*;

    fn statement(sql: String) -> PreparedStatement {
        PreparedStatement::new(None, sql, Arc::new(Schema::empty()), 1)
    }

    #[test]
    fn a_statement_is_its_users_until_it_is_closed() {
        let all = PreparedStatements::new(100);
        let handle = all.add("ana", statement("select 1".to_owned())).unwrap();
        assert_eq!(all.get("ana", &handle).unwrap().sql, "select 1");
        assert_eq!(all.get("bob", &handle).unwrap_err().code(), Code::NotFound);
        all.close("bob", &handle);
        all.get("ana", &handle).unwrap();
        all.close("ana", &handle);
        assert_eq!(all.get("ana", &handle).unwrap_err().code(), Code::NotFound);
    }

    #[test]
    fn statements_end_with_their_session() {
        let all = PreparedStatements::new(100);
        let in_session = |session: &str| PreparedStatement {
            session: Some(session.to_owned()),
            ..statement("select 1".to_owned())
        };
        let (one, other) = (
            all.add("ana", in_session("a")).unwrap(),
            all.add("ana", in_session("b")).unwrap(),
        );
        all.close_session("bob", "a");
        all.get("ana", &one).unwrap();
        all.close_session("ana", "a");
        assert_eq!(all.get("ana", &one).unwrap_err().code(), Code::NotFound);
        all.get("ana", &other).unwrap();
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let all = PreparedStatements::new(100);
        let first = all.add("ana", statement("x".repeat(CAPACITY / 2))).unwrap();
        all.add("ana", statement("x".repeat(CAPACITY * 2 / 3))).unwrap();
        assert!(all.get("ana", &first).is_err());
        let refused = all.add("ana", statement("x".repeat(CAPACITY))).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
    }

    #[test]
    fn a_user_loses_the_oldest_of_too_many_and_nobody_elses() {
        let all = PreparedStatements::new(100);
        let of_bob = all.add("bob", statement("select 1".to_owned())).unwrap();
        let of_ana: Vec<_> = (0..150)
            .map(|n| all.add("ana", statement(format!("select {n}"))).unwrap())
            .collect();
        let kept = of_ana.iter().filter(|handle| all.get("ana", handle).is_ok()).count();
        assert_eq!(kept, 100);
        assert!(all.get("ana", &of_ana[149]).is_ok() && all.get("ana", &of_ana[0]).is_err());
        assert_eq!(all.get("bob", &of_bob).unwrap().sql, "select 1");
    }
}
