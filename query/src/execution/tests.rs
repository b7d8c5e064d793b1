use std::sync::mpsc;

use arrow::array::RecordBatch;
use cordada_core::ErrorKind;
use cordada_core::units::Span;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::ExecutionPlanProperties;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;

use super::*;

const ENDLESS: &str =
    "select count(*) from generate_series(1, 1000000) a(x) join generate_series(1, 1000000) b(y) on x * y = -1";
const SCAN: &str = "select x from generate_series(1, 20000) a(x)";

fn executor(limits: ServerLimits) -> Arc<Executor> {
    Arc::new(Executor::new(2, 1 << 30, &limits, &BTreeMap::new()).unwrap())
}

async fn run(executor: &Executor, sql: &str) -> Result<Run> {
    let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    let plan = session.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    let principal = Principal::anonymous();
    let request = Request {
        id: "q",
        principal: &principal,
        session: None,
        connection: None,
        sql,
    };
    executor.run_physical(plan, session.state(), request).await
}

fn asked(principal: &Principal) -> Request<'_> {
    Request {
        id: "q",
        principal,
        session: None,
        connection: None,
        sql: "select 1",
    }
}

/// By somebody who does not log in.
fn asked_by<'a>(principal: &'a Principal, connection: &'a str) -> Request<'a> {
    Request {
        connection: Some(connection),
        ..asked(principal)
    }
}

/// All rows of a run, computed on its threads.
async fn rows(run: &Run) -> Result<usize, DataFusionError> {
    let mut rows = 0;
    for partition in 0..run.plan().output_partitioning().partition_count() {
        let (plan, context) = (run.plan().clone(), run.context().clone());
        let batches = run.threads().spawn(async move {
            let stream = plan.execute(partition, context)?;
            let batches: Vec<_> = stream.collect().await;
            batches.into_iter().collect::<Result<Vec<RecordBatch>, _>>()
        });
        rows += batches.await.unwrap()?.iter().map(RecordBatch::num_rows).sum::<usize>();
    }
    Ok(rows)
}

#[tokio::test]
async fn a_statement_runs_on_threads_of_its_own() {
    let executor = executor(ServerLimits::default());
    for (sql, expected) in [("select 1", 1), (SCAN, 20_000)] {
        let run = run(&executor, sql).await.unwrap();
        assert_eq!((rows(&run).await.unwrap(), executor.running()), (expected, 1));
        drop(run);
        assert_eq!(executor.running(), 0);
    }
}

#[tokio::test]
async fn what_has_no_turn_waits_and_what_is_light_needs_none() {
    let executor = executor(ServerLimits {
        statements: Some(1),
        ..ServerLimits::default()
    });
    let endless = run(&executor, ENDLESS).await.unwrap();
    let (plan, context) = (endless.plan().clone(), endless.context().clone());
    let computing = endless
        .threads()
        .spawn(async move { plan.execute(0, context).unwrap().collect::<Vec<_>>().await });
    while endless.statement().interrupt().signs() < 1000 {
        tokio::task::yield_now().await;
    }
    let waiting = tokio::spawn({
        let executor = executor.clone();
        async move { rows(&run(&executor, SCAN).await.unwrap()).await.unwrap() }
    });
    while executor.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rows(&run(&executor, "select 1").await.unwrap()).await.unwrap(), 1);
    // Its client leaves: it ends, and the next one's turn has come.
    drop(endless);
    let last = computing.await.unwrap().pop().unwrap();
    assert!(last.unwrap_err().to_string().contains("cancelled"));
    assert_eq!(waiting.await.unwrap(), 20_000);
}

#[tokio::test]
async fn what_never_yields_stops_nobody_else() {
    let executor = executor(ServerLimits {
        statements: Some(1),
        ..ServerLimits::default()
    });
    let stuck = run(&executor, SCAN).await.unwrap();
    let (go_on, wait) = mpsc::channel::<()>();
    let (begins, began) = tokio::sync::oneshot::channel();
    let ended = stuck.threads().spawn(async move {
        begins.send(()).unwrap();
        wait.recv()
    });
    began.await.unwrap();
    // Whoever waited for it has been answered, or has left; its threads are still busy.
    drop(stuck);
    assert_eq!(rows(&run(&executor, SCAN).await.unwrap()).await.unwrap(), 20_000);
    drop(go_on);
    assert!(ended.await.unwrap().is_err());
}

#[tokio::test]
async fn planning_has_a_limit_and_a_thread_that_never_comes_back_is_replaced() {
    let executor = executor(ServerLimits {
        planning: Some(Span::seconds(2)),
        ..ServerLimits::default()
    });
    let (go_on, wait) = mpsc::channel::<()>();
    let planning = executor.plan("select 'secret'", async move {
        let _ = wait.recv();
        Ok(())
    });
    let error = planning.await.unwrap_err();
    assert!(
        error.to_string().contains("2 s") && error.to_string().contains("`planning`"),
        "{error}"
    );
    assert_eq!(executor.planning.ending(), 1);
    drop(go_on);
    let failed: Result<()> = executor
        .plan("select 1", async { Err(Error::failed("planning", "no such table")) })
        .await;
    assert!(failed.unwrap_err().to_string().contains("no such table"));
}

#[tokio::test]
async fn what_is_never_planned_keeps_the_turns_of_its_user_alone() {
    let executor = executor(ServerLimits {
        planning: Some(Span::seconds(2)),
        ..ServerLimits::default()
    });
    let [ana, bob] = ["ana", "bob"].map(|name| Principal {
        name: name.to_owned(),
        ..Principal::default()
    });
    keeps_its_own_turns(&executor, asked(&ana), asked(&bob)).await;
    // Where nobody logs in, whoever is at the other end of another connection.
    let nobody = Principal::anonymous();
    keeps_its_own_turns(&executor, asked_by(&nobody, "[::1]:1"), asked_by(&nobody, "[::1]:2")).await;
}

/// What one of the two asks for is never planned; the other goes on.
async fn keeps_its_own_turns(executor: &Executor, stuck: Request<'_>, other: Request<'_>) {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let all = (0..PLANNERS / 4).map(|_| {
        let wait = wait.clone();
        executor.plan_in_turn(stuck, async move {
            let _ = wait.lock().unwrap().recv();
            Ok(())
        })
    });
    for ended in futures::future::join_all(all).await {
        assert!(ended.unwrap_err().to_string().contains("2 s"));
    }
    let mut more = Box::pin(executor.plan_in_turn(stuck, async { Ok(7) }));
    assert!(futures::FutureExt::now_or_never(&mut more).is_none());
    assert_eq!(executor.plan_in_turn(other, async { Ok(7) }).await.unwrap(), 7);
    drop(go_on);
    assert_eq!(more.await.unwrap(), 7);
}

#[tokio::test]
async fn a_server_that_closes_begins_nothing_and_ends_what_runs() {
    let executor = executor(ServerLimits::default());
    let running = run(&executor, ENDLESS).await.unwrap();
    executor.close();
    let refused = run(&executor, "select 1").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(!running.statement().interrupt().is_interrupted());
    assert_eq!(executor.end_all(), 1);
    assert!(rows(&running).await.unwrap_err().to_string().contains("closing"));
}

#[tokio::test]
async fn a_statement_is_stopped_while_it_waits() {
    let executor = executor(ServerLimits {
        statements: Some(1),
        ..ServerLimits::default()
    });
    let _first = run(&executor, SCAN).await.unwrap();
    let waiting = tokio::spawn({
        let executor = executor.clone();
        async move { run(&executor, SCAN).await.map(|_| ()) }
    });
    while executor.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(executor.stop("q", &Principal::anonymous().name) && !executor.stop("q", "nobody"));
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(executor.waiting(), 0);
}
