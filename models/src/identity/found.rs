//! All that a run has found out, as the outputs show it.

use super::blocking::Passes;
use super::clusters::{Outcome, Reason};
use super::decisions::Decided;
use super::ids::Change;
use super::kind::Kind;
use super::model::{Model, probability};
use super::records::Records;
use super::resolve::Resolution;
use super::scores::Scorer;
use uuid::Uuid;

/// All that a run has found out.
#[derive(Debug)]
pub(super) struct Found {
    pub records: Records,
    pub model: Model,
    /// For each record the least record of its person, the identifier, and the strongest reason to be of it.
    pub labels: Vec<u32>,
    pub ids: Vec<Uuid>,
    pub strongest: Vec<Option<Bond>>,
    /// The pairs that are worth telling, in the order of the records.
    pub pairs: Vec<Pair>,
    /// All changes of identifiers there ever were.
    pub changes: Vec<Numbered>,
    pub quality: Vec<Measure>,
}

/// The strongest reason that a record is of its person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bond {
    pub to: u32,
    pub reason: Reason,
    pub weight: f64,
}

/// Two records about which something is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub a: u32,
    pub b: u32,
    pub reason: Reason,
}

/// A change with its place in the order of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbered {
    pub number: i64,
    pub change: Change,
}

/// A figure about the run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measure {
    pub name: &'static str,
    /// The field or pass that it is about, if not about all.
    pub of: Option<String>,
    pub value: f64,
}

impl Found {
    /// Weighs pairs once more, for who wants to see how.
    pub(super) fn scorer(&self) -> Scorer<'_> {
        Scorer::new(&self.records, &self.model)
    }

    /// A reason in words.
    pub(super) fn why(&self, reason: Reason, a: u32, b: u32) -> String {
        match reason {
            Reason::Decision => "decided".to_owned(),
            Reason::Weight => "alike".to_owned(),
            Reason::Rule => {
                let shares = |at: &usize| {
                    let of = |record: u32| self.records.values_of(*at, self.records.row(record)[*at]);
                    self.records.fields[*at].kind == Kind::Identifier
                        && of(a).any(|value| of(b).any(|other| value == other))
                };
                let shared = (0..self.records.fields.len()).find(shares);
                let name = shared.map_or("identifier", |at| self.records.fields[at].name.as_str());
                format!("same {name}")
            }
        }
    }
}

/// For each record the strongest reason, of those that joined, to be of its person.
pub(super) fn strongest(resolution: &Resolution) -> Vec<Option<Bond>> {
    let mut strongest = vec![None; resolution.labels.len()];
    // The strongest come first.
    for (edge, outcome) in resolution.edges() {
        if matches!(outcome, Outcome::Joined | Outcome::Within) {
            for (from, to) in [(edge.a, edge.b), (edge.b, edge.a)] {
                strongest[from as usize].get_or_insert(Bond {
                    to,
                    reason: edge.reason,
                    weight: edge.weight,
                });
            }
        }
    }
    strongest
}

/// The pairs that are worth telling, each once with its strongest reason.
pub(super) fn pairs(resolution: &Resolution, decided: &Decided) -> Vec<Pair> {
    let pair = |(a, b): (u32, u32), reason| Pair { a, b, reason };
    let weighed = resolution
        .links
        .iter()
        .map(|link| pair((link.a, link.b), Reason::Weight));
    let others = resolution.edges().filter(|(edge, _)| edge.reason != Reason::Weight);
    let others = others.map(|(edge, _)| pair((edge.a, edge.b), edge.reason));
    let never = decided.never.iter().map(|of| pair(*of, Reason::Decision));
    let mut pairs: Vec<Pair> = weighed.chain(others).chain(never).collect();
    pairs.sort_unstable_by(|a, b| (a.a, a.b).cmp(&(b.a, b.b)).then(b.reason.cmp(&a.reason)));
    pairs.dedup_by_key(|pair| (pair.a, pair.b));
    pairs
}

/// Figures about a run: how much there was to do, what came of it, and how sure it is.
pub(super) fn quality(
    records: &Records,
    passes: &Passes,
    resolution: &Resolution,
    decided: &Decided,
    ignored: &[usize],
) -> Vec<Measure> {
    if records.len() == 0 {
        return Vec::new();
    }
    let mut measures = Vec::new();
    let mut add = |name, of: Option<String>, value: f64| measures.push(Measure { name, of, value });
    let mut sizes = vec![0u32; records.len()];
    resolution.labels.iter().for_each(|label| sizes[*label as usize] += 1);
    let is_company = |label: &usize| records.is_company(*label as u32);
    let companies = (0..sizes.len())
        .filter(|label| sizes[*label] > 0)
        .filter(is_company)
        .count();
    let groups = sizes.iter().filter(|size| **size > 0).count();
    add("records", None, records.len() as f64);
    add("persons", None, (groups - companies) as f64);
    add("companies", None, companies as f64);
    add(
        "largest",
        None,
        f64::from(sizes.iter().copied().max().unwrap_or_default()),
    );
    add("pairs_compared", None, passes.pairs as f64);
    for pass in &passes.chosen {
        add("pairs_compared", Some(passes.name(pass)), pass.pairs as f64);
        add(
            "records_in_blocks_too_large",
            Some(passes.name(pass)),
            pass.left_out as f64,
        );
    }
    add("pairs_kept", None, resolution.links.len() as f64);
    for (name, reason) in [
        ("joined_by_weight", Reason::Weight),
        ("joined_by_rule", Reason::Rule),
        ("joined_by_decision", Reason::Decision),
    ] {
        let joined = resolution
            .edges()
            .filter(|(edge, outcome)| edge.reason == reason && *outcome == Outcome::Joined);
        add(name, None, joined.count() as f64);
    }
    let outcomes = |wanted: Outcome| resolution.edges().filter(|(_, outcome)| *outcome == wanted).count() as f64;
    add("links_refused", None, outcomes(Outcome::Refused));
    add("links_forbidden", None, outcomes(Outcome::Forbidden));
    add("decisions_link", None, decided.link.len() as f64);
    add("decisions_never", None, decided.never.len() as f64);
    add("decisions_without_record", None, decided.without_record as f64);
    for (field, count) in records.fields.iter().zip(ignored).filter(|(_, count)| **count > 0) {
        add("values_of_too_many", Some(field.name.clone()), *count as f64);
    }
    // What the model itself expects of the pairs that it kept.
    let (mut all, mut right, mut made) = (0.0, 0.0, 0.0);
    for link in &resolution.links {
        let likely = probability(link.weight);
        all += likely;
        if resolution.labels[link.a as usize] == resolution.labels[link.b as usize] {
            right += likely;
            made += 1.0;
        }
    }
    if made > 0.0 {
        add("expected_precision", None, right / made);
        add("expected_recall", None, right / all);
    }
    measures
}
