//! A check proves that a stream can be read.

use cordada_core::ErrorKind;
use tokio_util::sync::CancellationToken;

use crate::trial::Trial;
use crate::{Fault, PERSONAL, SOURCE, System};

/// Where nothing is wrong it passes, and leaves every record to the load.
pub async fn a_check_takes_nothing<S: System>() {
    let trial = Trial::<S>::with(10).await;
    for stream in trial.streams() {
        for _ in 0..2 {
            check(&trial, stream.name).await.unwrap();
        }
        stream.load().await.unwrap();
        stream.assert_complete();
    }
}

/// What keeps a load from beginning it finds, and says what it is.
pub async fn a_check_finds_what_is_wrong<S: System>() {
    let trial = Trial::<S>::with(10).await;
    for fault in [Fault::Gone, Fault::Refusing] {
        let Some(place) = trial.system.fail(fault).await else {
            continue;
        };
        for stream in trial.streams() {
            let error = check(&trial, stream.name).await.expect_err(stream.name);
            let text = error.to_string();
            assert!(text.contains(&place), "{stream}: {text}");
            for hidden in S::SECRET.into_iter().chain([PERSONAL]) {
                assert!(!text.contains(hidden), "{stream}: {text}");
            }
            let is_config = error.kind() == ErrorKind::Config;
            assert!(is_config || fault == Fault::Gone, "{stream}: {text}");
            assert!(is_config || error.kind() == ErrorKind::Unavailable, "{stream}: {text}");
        }
        trial.system.mend().await;
        for stream in trial.streams() {
            check(&trial, stream.name).await.unwrap();
        }
    }
}

async fn check<S: System>(trial: &Trial<S>, stream: &str) -> cordada_core::Result<()> {
    let cancel = CancellationToken::new();
    trial.source.begin();
    trial.source.check(trial.project(), SOURCE, stream, &cancel).await
}
