//! The contract without a protocol: what a server of queries has to do, at its shortest.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use cordada_core::{Classify, Error, ErrorKind};
use cordada_query::auth::{LoginSettings, Logins, Principal, random_id};
use cordada_query::{Engine, Executor, Forbidden, Request, Run, ServerLimits, Statement};
use cordada_query_contract::{Client, Door, Kind, Refusal, Rows, Shop, door_contract};
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{StreamExt, stream};
use tokio::sync::mpsc::{Sender, channel};

door_contract!(open);

async fn open(shop: &Shop) -> Server {
    let (parallelism, memory) = (shop.lake.parallelism(), shop.lake.memory());
    let executor = Executor::new(parallelism, memory, &ServerLimits::default(), &BTreeMap::new());
    let executor = Arc::new(executor.unwrap());
    let logins = Logins::of_the_process(&shop.users(), &shop.roles(), &LoginSettings::default()).await;
    Server {
        logins: logins.unwrap(),
        engine: Arc::new(Engine::open(shop.lake.clone(), executor.clone()).await.unwrap()),
        executor,
    }
}

struct Server {
    logins: Logins,
    engine: Arc<Engine>,
    executor: Arc<Executor>,
}

struct Connection {
    /// Statements are cancelled by it.
    id: String,
    principal: Arc<Principal>,
    engine: Arc<Engine>,
    executor: Arc<Executor>,
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
            executor: self.executor.clone(),
        }))
    }
}

#[async_trait]
impl Client for Connection {
    async fn begin(&mut self, sql: &str) -> Result<Rows, Refusal> {
        let scope = self.engine.scope(&self.principal.access, None, "marts").await;
        let planned = self.engine.plan(&scope.map_err(refusal)?, sql).await.map_err(refusal)?;
        let request = Request {
            id: &self.id,
            principal: &self.principal,
            session: None,
            connection: None,
            sql,
        };
        Ok(rows(self.executor.run(&planned, request).await.map_err(refusal)?))
    }

    async fn cancel(&mut self) -> Result<(), Refusal> {
        assert!(self.executor.stop(&self.id, &self.principal.name));
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

/// The rows of a run, as they are asked for.
fn rows(run: Run) -> Rows {
    let (sender, receiver) = channel(1);
    for partition in 0..run.plan().output_partitioning().partition_count() {
        let (plan, context, statement) = (run.plan().clone(), run.context().clone(), run.statement().clone());
        let sending = send(plan, partition, context, statement, sender.clone());
        run.threads().spawn(sending);
    }
    let next = |(mut receiver, run): (tokio::sync::mpsc::Receiver<_>, Run)| async move {
        let row = receiver.recv().await?;
        Some((row, (receiver, run)))
    };
    drop(sender);
    stream::unfold((receiver, run), next).boxed()
}

async fn send(
    plan: Arc<dyn ExecutionPlan>,
    partition: usize,
    context: Arc<TaskContext>,
    statement: Arc<Statement>,
    to: Sender<Result<RecordBatch, Refusal>>,
) {
    let sending = async {
        let mut batches = plan.execute(partition, context)?;
        while let Some(batch) = batches.next().await {
            if to.send(Ok(batch?)).await.is_err() {
                break;
            }
        }
        Ok::<_, DataFusionError>(())
    };
    let interrupt = statement.interrupt();
    let refused = match interrupt.until_interrupted(sending).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) if !interrupt.is_interrupted() => failure(error),
        _ => refusal(interrupt.error()),
    };
    // Nobody listens any more when it cannot be sent.
    let _ = to.send(Err(refused)).await;
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
