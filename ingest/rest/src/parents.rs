//! Streams that are asked for by the records of another one: the items of each order.
//!
//! Parents are read page by page and their children at the same time, so that neither all parents nor all children are
//! held. How many are asked for at once is up to the limits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cordada_core::{Error, Result};
use cordada_http::template::Scope;
use cordada_ingest_formats::json::scan;
use cordada_ingest_source::transform::Transforms;
use futures::{StreamExt, stream};
use serde_json::{Map, Value as Json};

use super::mark::{self, Mark};
use super::page::{Origin, Page, Pages, Run};
use super::pages;
use super::plan::{ParentPlan, Plan};
use super::tracker::Tracker;

/// Which records of a stream are asked for.
#[derive(Clone, Default)]
pub(crate) struct Range {
    pub(crate) start: Option<Mark>,
    pub(crate) end: Option<Mark>,
    /// Where each parent's children begin, of those that have a position.
    pub(crate) by_parent: Arc<HashMap<String, Mark>>,
    /// The position among the parents, if children follow it.
    pub(crate) of_parents: Option<Arc<Mutex<Tracker>>>,
    /// What parents are called by whose own values must not be kept.
    pub(crate) pseudonyms: Option<Arc<Transforms>>,
}

impl Range {
    /// What tells a parent with these fields, as JSON, from the others; a name that a parent has already stays.
    pub(crate) fn name_of(&self, fields: String) -> String {
        match &self.pseudonyms {
            Some(pseudonyms) if fields.starts_with('{') => pseudonyms.pseudonym(&fields),
            _ => fields,
        }
    }

    /// `scope` with the range as `cursor`; `parent` is whose children are asked for.
    pub(crate) fn scope(&self, plan: &Plan, scope: Scope, parent: Option<&str>) -> Scope {
        let Some(positions) = &plan.positions else {
            return scope;
        };
        let own = parent.and_then(|parent| self.by_parent.get(parent));
        scope.with(
            "cursor",
            positions.cursor.scope(own.or(self.start.as_ref()), self.end.as_ref()),
        )
    }

    /// All records of a stream, window by window.
    pub(crate) fn everything(plan: &Plan, run: &Run, start: Option<Mark>) -> Result<Vec<Range>> {
        let Some(positions) = &plan.positions else {
            return Ok(vec![Range::default()]);
        };
        let start = match (start, &positions.initial) {
            (Some(start), _) => Some(start),
            (None, Some(initial)) => {
                let text = initial.text(&plan.scope(run.load_at))?;
                let wrong = || {
                    Error::config(
                        format!("reading `initial` of {}", plan.name),
                        "it is not a position of the cursor",
                    )
                    .hint("write it as the cursor's type, for example 2020-01-01")
                };
                match text.trim().is_empty() {
                    true => None,
                    false => Some(positions.cursor.parse(&text).ok_or_else(wrong)?),
                }
            }
            (None, None) => None,
        };
        let ranges = mark::ranges(start, positions.cursor.end(run.load_at), positions.window);
        Ok(ranges
            .into_iter()
            .map(|(start, end)| Range {
                start,
                end,
                ..Range::default()
            })
            .collect())
    }
}

/// The pages of all parents' children.
pub(crate) fn pages(run: Arc<Run>, plan: Arc<Plan>, scope: Scope, range: Range) -> Pages {
    let Some(parent) = &plan.parent else {
        return pages::of_one(&run, &plan, scope, Arc::default());
    };
    let start = range.of_parents.as_ref().and_then(|tracker| lock(tracker).start());
    let ranges = match Range::everything(&parent.plan, &run, start) {
        Ok(ranges) => ranges,
        Err(error) => return failed(error),
    };
    let (of_parents, names) = (range.of_parents.clone(), range.clone());
    let (parents_run, parent_plan) = (run.clone(), parent.plan.clone());
    let parents = stream::iter(ranges).flat_map(move |range| pages::all(&parents_run, &parent_plan, range));
    let plan_of_parents = plan.clone();
    let parents = parents.flat_map(move |page| {
        let found = page.and_then(|page| match &plan_of_parents.parent {
            Some(parent) => read(parent, &page, of_parents.as_ref(), &names),
            None => Ok(Vec::new()),
        });
        match found {
            Ok(found) => stream::iter(found.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => stream::iter(vec![Err(error)]),
        }
    });
    let concurrency = run.manifest.limits.concurrency;
    let children = move |found: Result<ParentRecord>| match found {
        Ok(ParentRecord { fields, origin }) => {
            let scope = range.scope(&plan, scope.with("parent", fields), Some(&origin.parent));
            pages::of_one(&run, &plan, scope, Arc::new(origin))
        }
        Err(error) => failed(error),
    };
    parents.map(children).flatten_unordered(concurrency).boxed()
}

fn failed(error: Error) -> Pages {
    stream::once(async { Err(error) }).boxed()
}

fn lock(tracker: &Mutex<Tracker>) -> std::sync::MutexGuard<'_, Tracker> {
    tracker.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A parent.
pub(crate) struct ParentRecord {
    pub(crate) fields: Map<String, Json>,
    pub(crate) origin: Origin,
}

/// The parents of a page. One with a null where a field should be has no children.
pub(crate) fn read(
    parent: &ParentPlan,
    page: &Page,
    of_parents: Option<&Arc<Mutex<Tracker>>>,
    names: &Range,
) -> Result<Vec<ParentRecord>> {
    let mut parents = Vec::new();
    page.answer.each(&mut |record| {
        if let Some(filter) = &parent.plan.filter {
            let unread = |_| {
                Error::failed(
                    format!("reading the records of {}", parent.plan.name),
                    "values of one are nested too deep for `filter`, so that nobody knows whether it has children",
                )
            };
            let json: Json = serde_json::from_slice(record).map_err(unread)?;
            if !filter.passes(&json)? {
                return Ok(());
            }
        }
        if let Some(tracker) = of_parents {
            lock(tracker).observe(record)?;
        }
        let mut fields = Map::new();
        for (name, pointer) in &parent.fields {
            let of_grandparent = || page.origin.included.get(pointer.0.first()?).cloned();
            let missing = || {
                Error::failed(
                    format!("reading the records of {}", parent.plan.name),
                    format!("one has no {pointer}"),
                )
                .hint("check `parent.fields` in the manifest")
            };
            let value = scan::value(record, pointer)
                .or_else(of_grandparent)
                .ok_or_else(missing)?;
            if value.is_null() {
                return Ok(());
            }
            fields.insert(name.clone(), value);
        }
        let include = |name: &String| Some((name.clone(), fields.get(name)?.clone()));
        let origin = Origin {
            parent: names.name_of(Json::from(fields.clone()).to_string()),
            included: parent.include.iter().filter_map(include).collect(),
        };
        parents.push(ParentRecord { fields, origin });
        Ok(())
    })?;
    Ok(parents)
}
