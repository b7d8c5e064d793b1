//! Whoever asks to stop is heeded.

use cordada_core::ErrorKind;

use crate::System;
use crate::table::Content;
use crate::trial::Trial;

/// A load that is asked to stop says so, and takes nothing away from the next one.
pub async fn a_cancelled_load_takes_nothing_and_leaves_all_to_the_next<S: System>() {
    let trial = Trial::<S>::with(10).await;
    for stream in trial.streams() {
        let request = stream.request();
        request.cancel.cancel();
        let loading = async { stream.begin_as(request).await?.finish().await };
        let error = loading.await.expect_err(stream.name);
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{stream}: {error}");
        assert_eq!(stream.content(), Content::default(), "{stream}");
        stream.load().await.unwrap();
        stream.assert_complete();
    }
}
