//! Whoever cancels a load does not wait for the database, and the database does not go on in vain.

use std::future::Future;
use std::time::Duration;

use cordada_core::{Context, ErrorKind, Result};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::Subject;
use crate::session::Part;

/// How long something may take that has to happen at once, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(60);
/// Rows that nobody lives to see the end of.
const ENDLESS: &str = "many a, many b, many c, many d, many e";

/// Until the server works at something.
async fn busy<S: Subject>(subject: &S) {
    while subject.statements().await == Some(0) {
        tokio::task::yield_now().await;
    }
}

/// Until the server works at nothing any more.
async fn idle<S: Subject>(subject: &S) {
    let idle = async {
        while subject.statements().await.is_some_and(|statements| statements > 0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AT_ONCE, idle).await.expect("the server goes on");
}

/// Cancels `work` once the server is at it: it has to end, as cancelled.
async fn cancelled<S: Subject, T>(subject: &S, cancel: &CancellationToken, work: impl Future<Output = Result<T>>) {
    let cancelling = async {
        busy(subject).await;
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(tokio::time::timeout(AT_ONCE, work), cancelling);
    let error = ended.expect("it goes on").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
}

pub(crate) async fn rows_end_when_they_are_cancelled<S: Subject>(subject: &S) {
    subject.many().await;
    let source = subject.source(&format!("{{query: 'select a.n from {ENDLESS}'}}")).await;
    let cancel = CancellationToken::new();
    let mut session = source.session(&cancel).await.unwrap();
    let reading = async {
        let mut rows = session.rows(Part::Slices(0..1)).await?;
        while let Some(batch) = rows.partitions[0].next().await {
            batch.doing(|| "reading")?;
        }
        Ok(())
    };
    cancelled(subject, &cancel, reading).await;
    drop(session);
    idle(subject).await;
}

pub(crate) async fn a_query_ends_when_it_is_cancelled<S: Subject>(subject: &S) {
    subject.many().await;
    let cancel = CancellationToken::new();
    let source = subject.source("{table: many}").await;
    let mut session = source.session(&cancel).await.unwrap();
    let sql = format!("SELECT CAST(count(*) AS CHAR(20)) FROM {ENDLESS}");
    cancelled(subject, &cancel, session.first(&sql)).await;
    drop(session);
    idle(subject).await;
    let error = source.session(&cancel).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
}
