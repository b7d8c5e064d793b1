//! What a source says of itself, and of what goes wrong.

use cordada_core::ErrorKind;
use cordada_ingest_source::extract::Request;
use tokio_util::sync::CancellationToken;

use crate::table::Content;
use crate::trial::Trial;
use crate::{Fault, PERSONAL, SOURCE, System, log};

/// The streams and what they say of their rows do not depend on what is there; the rows have the columns of the key.
pub async fn streams_are_known_before_anything_is_read<S: System>() {
    let trial = Trial::<S>::with(10).await;
    trial.system.fail(Fault::Gone).await.unwrap();
    let streams = trial.another().streams();
    trial.system.mend().await;
    assert_eq!(format!("{streams:?}"), format!("{:?}", trial.source.streams()));
    for stream in trial.streams() {
        stream.options.validate().unwrap();
        let mut load = stream.begin().await;
        while let Some(chunk) = load.next().await.unwrap() {
            for batch in load.land(chunk).await.unwrap().batches {
                for column in stream.options.key() {
                    assert!(batch.column_by_name(&column).is_some(), "{stream} has no {column}");
                }
            }
        }
        stream.assert_complete();
    }
}

/// Neither a load nor a check takes a stream that there is not for another one, or for an empty one.
pub async fn an_unknown_stream_is_a_mistake_in_the_configuration<S: System>() {
    let trial = Trial::<S>::with(10).await;
    let known = trial.streams().next().unwrap();
    let name = format!("{known}s");
    let request = Request {
        stream: &name,
        ..known.request()
    };
    let extracted = trial.source.extract(request).await.map(drop);
    let cancel = CancellationToken::new();
    let checked = trial.source.check(trial.project(), SOURCE, &name, &cancel).await;
    for result in [extracted, checked] {
        let error = result.expect_err("there is no such stream");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("`{name}`")), "{text}");
        assert!(text.contains(&format!("did you mean `{known}`")), "{text}");
    }
}

/// A key that the file of the source cannot have is told with its place, and without what it says.
pub async fn a_mistake_in_the_file_is_told_with_its_place<S: System>() {
    let trial = Trial::<S>::new().await;
    let right = trial.system.configuration();
    let file = trial.project().join("mistaken.yml");
    let secret = S::SECRET.unwrap_or("s3cret");
    std::fs::write(&file, format!("{right}\npasswort: {secret}\n")).unwrap();
    let error = (S::KIND.load)(&file).err().expect("it has a key too many");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let place = error.place().expect("it is in a file");
    assert!(place.file.ends_with("mistaken.yml") && place.line > 0, "{error}");
    let text = error.to_string();
    assert!(text.contains("passwort") && !text.contains(secret), "{text}");
}

/// Whoever reads the error of a load, or the log, knows what to look after; neither says what is nobody's business. A
/// load that fails takes nothing away from the next one.
pub async fn errors_and_the_log_tell_where_and_nothing_secret_or_personal<S: System>() {
    let trial = Trial::<S>::with(10).await;
    let hidden: Vec<_> = S::SECRET.into_iter().chain([PERSONAL]).collect();
    for fault in [Fault::Gone, Fault::Refusing, Fault::Damaged] {
        let Some(place) = trial.system.fail(fault).await else {
            assert_ne!(fault, Fault::Gone, "every system can fail so");
            continue;
        };
        for stream in trial.streams() {
            let error = stream.load().await.expect_err(&format!("{stream}: {fault:?}"));
            let text = error.to_string();
            assert_ne!(error.kind(), ErrorKind::Cancelled, "{stream}: {text}");
            assert!(text.contains(&place), "{stream}: {text}");
            assert!(!hidden.iter().any(|hidden| text.contains(hidden)), "{stream}: {text}");
            // What came before the damage may have landed.
            let untouched = stream.content() == Content::default();
            assert!(untouched || fault == Fault::Damaged, "{stream}: {fault:?}");
        }
        trial.system.mend().await;
    }
    for stream in trial.streams() {
        stream.load().await.unwrap();
        stream.assert_complete();
    }
    let logged = log::logged();
    let told = logged
        .lines()
        .find(|line| hidden.iter().any(|hidden| line.contains(hidden)));
    assert_eq!(told, None);
}
