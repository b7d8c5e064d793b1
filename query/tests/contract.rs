//! The contract without a protocol: what a server of queries has to do, at its shortest.

#![allow(clippy::unwrap_used)]

use std::error::Error as _;
use std::sync::Arc;

use async_trait::async_trait;
use cordada_core::{Classify, Error, ErrorKind};
use cordada_query::auth::{LoginSettings, Logins, Principal, random_id};
use cordada_query::{Engine, Forbidden, RunningQueries, RunningQuery};
use cordada_query_contract::{Client, Door, Kind, Refusal, Rows, Shop, door_contract};
use datafusion::error::DataFusionError;
use futures::{StreamExt, TryStreamExt, stream};

door_contract!(open);

async fn open(shop: &Shop) -> Server {
    let logins = Logins::of_the_process(&shop.users(), &shop.roles(), &LoginSettings::default()).await;
    Server {
        logins: logins.unwrap(),
        engine: Arc::new(Engine::open(shop.lake.clone()).await.unwrap()),
        running: RunningQueries::default(),
    }
}

struct Server {
    logins: Logins,
    engine: Arc<Engine>,
    running: RunningQueries,
}

struct Connection {
    /// Statements are cancelled by it.
    id: String,
    principal: Arc<Principal>,
    engine: Arc<Engine>,
    running: RunningQueries,
}

#[async_trait]
impl Door for Server {
    async fn connect(&self, user: &str, password: &str) -> Result<Box<dyn Client>, String> {
        let verified = self.logins.password(user, password.to_owned(), None).await;
        let principal = verified.map_err(|refusal| refusal.to_string())?.principal;
        Ok(Box::new(Connection {
            id: random_id().unwrap(),
            principal,
            engine: self.engine.clone(),
            running: self.running.clone(),
        }))
    }
}

#[async_trait]
impl Client for Connection {
    async fn begin(&mut self, sql: &str) -> Result<Rows, Refusal> {
        let scope = self.engine.scope(&self.principal.access, None, "marts").await;
        let planned = self.engine.plan(&scope.map_err(refusal)?, sql).await.map_err(refusal)?;
        let session = &planned.workspace.session;
        let rows = session.execute_logical_plan(planned.plan.clone()).await;
        let rows = rows.map_err(failure)?.execute_stream().await.map_err(failure)?;
        let query = self.running.begin(&self.id, &self.principal.name);
        Ok(until_stopped(rows.map_err(failure).boxed(), query))
    }

    async fn cancel(&mut self) -> Result<(), Refusal> {
        assert!(self.running.stop(&self.id, &self.principal.name));
        Ok(())
    }

    async fn relations(&mut self) -> Result<Vec<String>, Refusal> {
        let scope = self.engine.scope(&self.principal.access, None, "marts").await;
        let workspace = self.engine.workspace(&scope.map_err(refusal)?);
        Ok(workspace
            .relations()
            .iter()
            .map(|listed| listed.name.to_string())
            .collect())
    }
}

fn until_stopped(rows: Rows, query: RunningQuery) -> Rows {
    let next = |(mut rows, query): (Rows, RunningQuery)| async move {
        let row = query.stopped().run_until_cancelled(rows.next()).await;
        let row = row.unwrap_or_else(|| Some(Err(refusal(Error::cancelled("running the query")))))?;
        Some((row, (rows, query)))
    };
    stream::unfold((rows, query), next).boxed()
}

fn failure(error: DataFusionError) -> Refusal {
    refusal(error.classify("running the query".to_owned()))
}

fn refusal(error: Error) -> Refusal {
    let kind = match error.kind() {
        _ if error.source().is_some_and(|cause| cause.is::<Forbidden>()) => Kind::Forbidden,
        ErrorKind::Cancelled => Kind::Cancelled,
        ErrorKind::Config | ErrorKind::Failed => Kind::Mistake,
        _ => Kind::Fault,
    };
    Refusal {
        kind,
        message: error.to_string(),
    }
}
