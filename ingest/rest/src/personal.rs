//! What a stream remembers between loads must not be what it hashes, tokenises or drops: cursors, and the values that
//! parents are told apart by.

use std::collections::BTreeMap;

use cordada_core::{Error, Result};
use cordada_ingest_source::options::Options;

use crate::manifest::StreamSpec;
use crate::plan::PreparedStreams;

/// Refuses streams whose cursor, or that of their parents which they follow, has a transform.
///
/// # Errors
/// Config, naming the stream.
pub(crate) fn refuse_cursors(prepared: &PreparedStreams, streams: &BTreeMap<String, Options>) -> Result<()> {
    for name in streams.keys() {
        let mut next = Some(name.as_str());
        while let Some((name, (spec, _))) = next.and_then(|name| Some((name, prepared.get(name)?))) {
            if let Some(incremental) = &spec.incremental {
                let cursor = incremental.cursor.source();
                let wrong =
                    |(why, hint): (String, &str)| Error::config(format!("reading stream {name}"), why).hint(hint);
                options(spec, streams.get(name)).check_cursor([cursor]).map_err(wrong)?;
            }
            let parent = spec.parent.as_ref().filter(|parent| parent.incremental);
            next = parent.map(|parent| parent.stream.as_str());
        }
    }
    Ok(())
}

/// Refuses streams whose records include a field of their parent that is hidden there and would not be here.
///
/// # Errors
/// Config, naming the stream.
pub(crate) fn refuse_included(prepared: &PreparedStreams, streams: &BTreeMap<String, Options>) -> Result<()> {
    for (name, own) in streams {
        let parent = prepared.get(name).and_then(|(spec, _)| spec.parent.as_ref());
        let Some((parent, (parent_spec, _))) = parent.and_then(|parent| Some((parent, prepared.get(&parent.stream)?)))
        else {
            continue;
        };
        let of_parent = options(parent_spec, streams.get(&parent.stream));
        let is_shown = |field: &&String| {
            let path = parent.fields.get(*field);
            let is_hidden = path.is_some_and(|path| of_parent.check_cursor([path.as_str()]).is_err());
            is_hidden && own.check_cursor([field.as_str()]).is_ok()
        };
        if let Some(field) = parent.include.iter().find(is_shown) {
            let why = format!(
                "`{field}` is a column of {} that has a `transform` there",
                parent.stream
            );
            return Err(Error::config(format!("reading stream {name}"), why)
                .hint("give it one here too: `columns: {…: {transform: …}}`"));
        }
    }
    Ok(())
}

/// Whether the stream called `name` is asked for by values of its parents that are personal.
pub(crate) fn has_personal_parents(
    prepared: &PreparedStreams,
    streams: &BTreeMap<String, Options>,
    name: &str,
) -> bool {
    let Some((spec, _)) = prepared.get(name) else {
        return false;
    };
    let Some(parent) = &spec.parent else {
        return false;
    };
    let Some((parent_spec, _)) = prepared.get(&parent.stream) else {
        return false;
    };
    let (own, parents) = (
        options(spec, streams.get(name)),
        options(parent_spec, streams.get(&parent.stream)),
    );
    let of_grandparents = || has_personal_parents(prepared, streams, &parent.stream);
    parent
        .fields
        .iter()
        .any(|(field, path)| parents.is_personal(path) || (parent.include.contains(field) && own.is_personal(field)))
        || of_grandparents()
}

/// What is said of a stream's rows, by the user if it is selected.
fn options(spec: &StreamSpec, selected: Option<&Options>) -> Options {
    selected.cloned().unwrap_or_else(|| spec.options(false))
}
