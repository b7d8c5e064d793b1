//! Systems that one has to wait for.

use async_trait::async_trait;
use cordada_core::ErrorKind;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::trial::Trial;
use crate::{PATIENCE, SOURCE, System};

/// A system that may leave one waiting.
#[async_trait]
pub trait Remote: System {
    /// From now on it does not answer any more.
    async fn fall_silent(&self);

    /// Returns when it has been asked something that it does not answer.
    async fn asked(&self);
}

/// Neither a load nor a check waits on for a system that does not answer when it is asked to stop.
pub async fn cancelling_ends_a_wait_for_an_answer<S: Remote>() {
    let trial = Trial::<S>::with(10).await;
    trial.system.fall_silent().await;
    for stream in trial.streams() {
        let request = stream.request();
        let cancel = request.cancel.clone();
        let loading = async { stream.begin_as(request).await?.finish().await };
        let stopping = async {
            trial.system.asked().await;
            cancel.cancel();
        };
        let (loaded, ()) = timeout(PATIENCE, async { tokio::join!(loading, stopping) })
            .await
            .unwrap();
        let error = loaded.expect_err(stream.name);
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{stream}: {error}");

        let cancel = CancellationToken::new();
        let checking = trial.source.check(trial.project(), SOURCE, stream.name, &cancel);
        let stopping = async {
            trial.system.asked().await;
            cancel.cancel();
        };
        let (checked, ()) = timeout(PATIENCE, async { tokio::join!(checking, stopping) })
            .await
            .unwrap();
        let error = checked.expect_err(stream.name);
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{stream}: {error}");
    }
}
