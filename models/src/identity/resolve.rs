//! From records to persons: the whole of it, without the world around.

use std::sync::atomic::AtomicBool;

use super::blocking::{self, Budget, Passes};
use super::clusters::{Clusters, Edge, Outcome, Reason};
use super::decisions::Decided;
use super::judge::Judge;
use super::kind::Kind;
use super::model::Model;
use super::records::Records;
use super::rules;
use super::scores::{self, Link, Scorer};
use super::{em, evidence};

/// What the user may choose.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub budget: Budget,
    /// What a pair weighs at least to join two records, in bits.
    pub join: f64,
    /// What a pair weighs at least to be kept.
    pub keep: f64,
    /// For each field, how many differently named records may share a value of it.
    pub limits: Vec<Option<usize>>,
    pub threads: usize,
}

/// Who is who.
#[derive(Debug)]
pub(crate) struct Resolution {
    /// For each record the least record of its person.
    pub labels: Vec<u32>,
    /// The pairs that were worth keeping.
    pub links: Vec<Link>,
    edges: Vec<Edge>,
    outcomes: Vec<Outcome>,
}

impl Resolution {
    /// All reasons to join, in the order in which they were taken, and what became of each.
    pub(crate) fn edges(&self) -> impl Iterator<Item = (&Edge, Outcome)> {
        self.edges.iter().zip(self.outcomes.iter().copied())
    }
}

/// Takes away what too many share, and says how many values of each field that were.
pub(crate) fn prepare(records: &mut Records, settings: &Settings) -> Vec<usize> {
    let limits = settings.limits.iter().enumerate();
    limits
        .map(|(field, limit)| limit.map_or(0, |limit| records.limit(field, limit)))
        .collect()
}

/// Learns what agreement weighs. Nothing when `stop` says so.
pub(crate) fn fit(records: &Records, settings: &Settings, stop: &AtomicBool) -> Option<Model> {
    let passes = blocking::choose(records, settings.budget, settings.threads);
    let counted = scores::sample(records, &passes, settings.threads, stop)?;
    let fields: Vec<Kind> = evidence::compared(records)
        .into_iter()
        .map(|field| records.fields[field].kind)
        .collect();
    Some(em::fit(&counted, &fields, records.len(), scores::all_pairs(records)))
}

/// Decides who is who. Nothing when `stop` says so.
pub(crate) fn resolve(
    records: &Records,
    model: &Model,
    passes: &Passes,
    decided: &Decided,
    settings: &Settings,
    stop: &AtomicBool,
) -> Option<Resolution> {
    let links = scores::links(
        records,
        model,
        passes,
        settings.keep.min(settings.join),
        settings.threads,
        stop,
    )?;
    let strong = links.iter().filter(|link| link.weight >= settings.join);
    let mut edges: Vec<Edge> = strong
        .map(|link| Edge {
            a: link.a,
            b: link.b,
            reason: Reason::Weight,
            weight: link.weight,
        })
        .collect();
    edges.extend(rules::edges(records));
    edges.extend(decided.link.iter().map(|(a, b)| Edge {
        a: *a,
        b: *b,
        reason: Reason::Decision,
        weight: 0.0,
    }));
    let mut judge = Judge::new(records, Scorer::new(records, model), settings.join);
    let mut clusters = Clusters::new(records.len(), &decided.never);
    let outcomes = clusters.join(&mut edges, |reason, a, b| judge.permits(reason, a, b));
    Some(Resolution {
        labels: clusters.labels(),
        links,
        edges,
        outcomes,
    })
}
