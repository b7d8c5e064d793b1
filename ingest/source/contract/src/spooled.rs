//! Records that wait in a file for all of them to be seen.

use cordada_ingest_source::extract::Rows;

use crate::trial::Trial;
use crate::{PERSONAL, System};

/// What is to be hashed or dropped is so before anything is written anywhere: landing comes after the spool.
pub async fn what_is_not_to_be_written_is_not_spooled<S: System>() {
    let trial = Trial::<S>::with(10).await;
    let (mut withheld, mut shown) = (false, false);
    for stream in trial.streams() {
        let transformed = stream.options.columns.values().any(|column| column.transform.is_some());
        let mut load = stream.begin().await;
        while let Some(chunk) = load.next().await.unwrap() {
            assert!(matches!(chunk.rows, Rows::Records(_)), "{stream}");
            let text = load.land(chunk).await.unwrap().text();
            match transformed {
                true => assert!(!text.contains(PERSONAL), "{stream}: {text}"),
                false => shown |= text.contains(PERSONAL),
            }
        }
        stream.assert_complete();
        withheld |= transformed;
    }
    assert!(withheld && shown, "a stream has to withhold it, and another one not");
}
