//! Sources that are sent their records: what they acknowledge is never lost.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;

use async_trait::async_trait;
use cordada_core::{Error, ErrorKind, Result};
use cordada_ingest_source::Source;
use cordada_ingest_source::listener::{Land, Listener};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::trial::{Trial, key};
use crate::{PATIENCE, SOURCE, System};

/// A system that sends its records.
#[async_trait]
pub trait Sender: System {
    /// Sends records for every stream to whoever listens there, and returns when all are acknowledged.
    async fn send(&self, to: SocketAddr, records: Range<u64>);
}

/// Has the source listen for as long as `visit` lasts.
///
/// # Errors
/// Those of listening, and of landing for the last time.
pub async fn collect<V: Future<Output = ()>>(
    source: &dyn Source,
    project: &Path,
    land: &dyn Land,
    visit: impl FnOnce(SocketAddr) -> V,
) -> Result<()> {
    let listener = source.listen(project, SOURCE, Some(&key())).await?;
    let listener = listener.expect("it is a source that listens");
    let (address, cancel) = (address(&*listener), CancellationToken::new());
    let visiting = async {
        visit(address).await;
        cancel.cancel();
    };
    let running = timeout(PATIENCE, listener.run(land, cancel.clone()));
    tokio::join!(running, visiting).0.expect("it goes on")
}

/// Where it listens.
fn address(listener: &dyn Listener) -> SocketAddr {
    listener.local_addr().expect("it is sent its records")
}

/// Lands nothing, as if the lake were away.
pub struct NoLake;

#[async_trait]
impl Land for NoLake {
    async fn land(&self, _: &[String]) -> Result<u64> {
        Err(Error::unavailable("landing", "the lake is away"))
    }
}

/// Lands in the tables of a trial.
struct TableLander<'t, S>(&'t Trial<S>);

#[async_trait]
impl<S: System> Land for TableLander<'_, S> {
    async fn land(&self, streams: &[String]) -> Result<u64> {
        let mut rows = 0;
        for stream in streams {
            rows += self.0.stream(stream).load().await?.len() as u64;
        }
        Ok(rows)
    }
}

fn assert_complete<S: System>(trial: &Trial<S>) {
    for stream in trial.streams() {
        stream.assert_complete();
    }
}

/// Whatever was acknowledged has landed when it has been asked to stop, and each record once.
pub async fn what_is_acknowledged_lands_once<S: Sender>() {
    let trial = Trial::<S>::new().await;
    for _ in 0..3 {
        let visit = async |to| {
            for _ in 0..5 {
                trial.send(to, 4).await;
            }
        };
        let ended = collect(&*trial.source, trial.project(), &TableLander(&trial), visit).await;
        ended.unwrap();
        assert_complete(&trial);
    }
}

/// While the lake is away what was acknowledged is kept, and so it is when it has been asked to stop.
pub async fn what_cannot_land_is_kept<S: Sender>() {
    let trial = Trial::<S>::new().await;
    for _ in 0..2 {
        let visit = async |to| trial.send(to, 10).await;
        let ended = collect(&*trial.source, trial.project(), &NoLake, visit).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    for stream in trial.streams() {
        stream.load().await.unwrap();
    }
    assert_complete(&trial);
}

/// Cancels as soon as it is to land, and lands then.
struct CancellingLander<'t, S> {
    tables: TableLander<'t, S>,
    cancel: CancellationToken,
}

#[async_trait]
impl<S: System> Land for CancellingLander<'_, S> {
    async fn land(&self, streams: &[String]) -> Result<u64> {
        self.cancel.cancel();
        self.tables.land(streams).await
    }
}

/// Who asks to stop in the middle of a landing has what was acknowledged landed all the same.
pub async fn a_landing_that_has_begun_comes_to_its_end<S: Sender>() {
    let trial = Trial::<S>::new().await;
    let cancel = CancellationToken::new();
    let land = CancellingLander {
        tables: TableLander(&trial),
        cancel: cancel.clone(),
    };
    let listener = trial.source.listen(trial.project(), SOURCE, Some(&key())).await;
    let listener = listener.unwrap().expect("it is a source that listens");
    let address = address(&*listener);
    let running = timeout(PATIENCE, listener.run(&land, cancel));
    let (ended, ()) = tokio::join!(running, trial.send(address, 10));
    ended.expect("it goes on").unwrap();
    assert_complete(&trial);
}

/// Two processes do not listen for one source: what one acknowledges the other would not see.
pub async fn one_at_a_time_listens<S: Sender>() {
    let trial = Trial::<S>::new().await;
    let (one, other) = (trial.another(), trial.another());
    let listening = one.listen(trial.project(), SOURCE, Some(&key())).await.unwrap();
    assert!(listening.is_some());
    let error = other.listen(trial.project(), SOURCE, Some(&key())).await.err();
    assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::Conflict));
    drop(listening);
    assert!(
        other
            .listen(trial.project(), SOURCE, Some(&key()))
            .await
            .unwrap()
            .is_some()
    );
}
