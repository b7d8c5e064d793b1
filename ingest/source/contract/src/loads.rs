//! From any state, nothing is skipped and nothing lands twice.

use std::collections::BTreeSet;
use std::pin::pin;

use cordada_ingest_source::extract::{Chunk, Rows};
use cordada_ingest_source::options::Disposition;
use futures::StreamExt;

use crate::System;
use crate::trial::{Load, Stream, Trial};

/// Records of an addition.
const SOME: u64 = 40;

/// All of them land with the first load, each once.
pub async fn a_first_load_takes_every_record_once<S: System>() {
    let trial = Trial::<S>::with(SOME).await;
    for stream in trial.streams() {
        stream.load().await.unwrap();
        stream.assert_complete();
    }
}

/// A load goes on where the last one ended; where that is the end, it changes nothing.
pub async fn a_second_load_takes_only_what_is_new<S: System>() {
    let trial = Trial::<S>::with(SOME).await;
    let before: BTreeSet<_> = trial.expected().into_iter().collect();
    for stream in trial.streams() {
        stream.load().await.unwrap();
    }
    trial.add(3).await;
    for stream in trial.streams() {
        let appends = stream.disposition() == Disposition::Append;
        let taken = stream.load().await.unwrap();
        let again = taken.iter().filter(|record| before.contains(*record)).count();
        assert!(!appends || again == 0, "{stream}: {taken:?}");
        stream.assert_complete();
        let landed = stream.content();
        let taken = stream.load().await.unwrap();
        assert!(!appends || taken.is_empty(), "{stream}: {taken:?}");
        assert_eq!(stream.content(), landed, "{stream}");
    }
}

/// Whoever asks twice from one state is given the same chunk with the same state after it, whenever he asks. By that
/// landing knows a chunk again whose commit was cut short.
pub async fn one_state_gives_one_answer<S: System>() {
    let trial = Trial::<S>::with(SOME).await;
    trial.add(SOME).await;
    for stream in trial.streams() {
        let mut chunks = 0;
        while let Some(first) = answer(&stream).await {
            assert_eq!(Some(&first), answer(&stream).await.as_ref(), "{stream}");
            chunks += 1;
            let (before, mut load) = (stream.content(), stream.begin().await);
            let chunk = load.next().await.unwrap().unwrap();
            load.land(chunk).await.unwrap();
            // Rows that replace others may come for ever.
            if stream.disposition() == Disposition::Replace || stream.content() == before {
                break;
            }
        }
        assert!(chunks > 0, "{stream}");
    }
}

/// What a load is given first: the records, where that is which cannot land, and what is committed with them.
async fn answer<S: System>(stream: &Stream<'_, S>) -> Option<(Vec<String>, Vec<(String, u64)>, String)> {
    let mut load = stream.begin().await;
    let chunk = load.next().await.unwrap()?;
    let (_, mut commit) = load.take(chunk).await.unwrap();
    commit.records.sort();
    let kept = format!("{:?} {:?}", commit.state, commit.transactions);
    Some((commit.records, commit.rejected, kept))
}

/// Where a process can die.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The source has been asked for a chunk.
    Asked,
    /// It has given one.
    Given,
    /// Some of the rows have been read.
    Begun,
    /// All have.
    Taken,
    /// They are committed, and the source has not been told.
    Committed,
}

const STEPS: [Step; 5] = [Step::Asked, Step::Given, Step::Begun, Step::Taken, Step::Committed];

/// Whatever is interrupted, wherever, running it again neither loses nor doubles a record; the source grows meanwhile.
pub async fn dying_at_any_step_loses_and_doubles_nothing<S: System>() {
    let mut trial = Trial::<S>::new().await;
    for _ in 0..3 {
        trial.add(SOME).await;
    }
    assert_chunks(&trial).await;
    let names: Vec<_> = trial.streams().map(|stream| stream.name.to_owned()).collect();
    for name in names {
        for (chunks, step) in [0, 1].into_iter().flat_map(|chunks| STEPS.map(|step| (chunks, step))) {
            let died = die(&trial.stream(&name), chunks, step).await;
            assert!(died || chunks > 0, "{name}: there was nothing to die at {step:?}");
            trial.source = trial.another();
            trial.add(1).await;
        }
        let stream = trial.stream(&name);
        stream.load().await.unwrap();
        stream.assert_complete();
    }
}

/// Loads have as many chunks as the system says, so that there is something between them.
async fn assert_chunks<S: System>(trial: &Trial<S>) {
    for stream in trial.streams() {
        let mut load = stream.aside().rehearse().await;
        let mut chunks = 0;
        while let Some(chunk) = load.next().await.unwrap() {
            load.land(chunk).await.unwrap();
            chunks += 1;
        }
        let appends = stream.disposition() == Disposition::Append;
        assert!(!appends || chunks >= S::CHUNKS, "{stream}: {chunks}");
    }
}

/// A load that dies at a step, after so many chunks; whether it came so far.
async fn die<S: System>(stream: &Stream<'_, S>, chunks: usize, step: Step) -> bool {
    let mut load = stream.begin().await;
    for _ in 0..chunks {
        let Some(chunk) = load.next().await.unwrap() else {
            return false;
        };
        load.land(chunk).await.unwrap();
    }
    if let Step::Asked = step {
        let _ = futures::poll!(pin!(load.next()));
        return true;
    }
    let Some(chunk) = load.next().await.unwrap() else {
        return false;
    };
    match step {
        Step::Asked | Step::Given => {}
        Step::Begun => begin(chunk).await,
        Step::Taken => drop(load.take(chunk).await.unwrap()),
        Step::Committed => {
            let (_, commit) = load.take(chunk).await.unwrap();
            load.commit(commit);
        }
    }
    true
}

/// Reads the first of the rows, as far as those that come first are known from the others.
async fn begin(chunk: Chunk) {
    if let Rows::Typed { partitions, .. } = chunk.rows {
        for mut partition in partitions.into_iter().take(1) {
            partition.next().await.unwrap().unwrap();
        }
    }
}

/// Between any two steps of a load records may come: they are not lost, and do not come twice.
pub async fn what_arrives_during_a_load_lands_with_it_or_the_next<S: System>() {
    let trial = Trial::<S>::with(SOME).await;
    for stream in trial.streams() {
        let mut load = stream.begin().await;
        trial.add(1).await;
        let mut chunks = 0;
        while let Some(chunk) = next(&mut load, chunks).await {
            trial.add(1).await;
            let (_, commit) = load.take(chunk).await.unwrap();
            load.commit(commit);
            trial.add(1).await;
            load.told().await.unwrap();
            trial.add(1).await;
            chunks += 1;
        }
        drop(load);
        assert!(chunks > 0, "{stream}");
        stream.load().await.unwrap();
        stream.assert_complete();
    }
}

/// The next chunk. A source that is as fast as this test never comes to its end, so that after some it is left alone.
async fn next(load: &mut Load<'_>, chunks: usize) -> Option<Chunk> {
    match chunks < 5 {
        true => load.next().await.unwrap(),
        false => None,
    }
}

/// What lands as a trial is still there for the load that counts.
pub async fn a_rehearsal_leaves_everything_to_the_real_load<S: System>() {
    let trial = Trial::<S>::with(SOME).await;
    for stream in trial.streams() {
        for _ in 0..2 {
            let trying = stream.aside();
            trying.rehearse().await.finish().await.unwrap();
            trying.assert_complete();
        }
        stream.load().await.unwrap();
        stream.assert_complete();
    }
}
