//! What pairs weigh with how rare their values are, and which of them are worth keeping.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::blocking::{Passes, Scratch, for_each_pair, shares_block};
use super::comparison::Level;
use super::em::Counted;
use super::evidence::{Comparer, Pattern, compared};
use super::hash;
use super::model::Model;
use super::records::{NONE, Records};

/// A pair that may be of one person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Link {
    pub a: u32,
    pub b: u32,
    pub pattern: Pattern,
    pub weight: f64,
}

/// How many records are imagined beside those that there are, so that among few of them none is taken for frequent.
const UNSEEN: f64 = 50.0;

/// Weighs pairs.
#[derive(Debug)]
pub(crate) struct Scorer<'a> {
    records: &'a Records,
    model: &'a Model,
    comparer: Comparer<'a>,
    /// For each field, state of its parent and level.
    weights: Vec<[[f64; Level::COUNT]; 2]>,
    /// For each field the most that a pair whose values are the same, or are not, can get, how rare they are aside.
    most: Vec<(f64, f64)>,
    /// The fields, those that tell most first.
    order: Vec<usize>,
    prior: f64,
    /// Room for the values of a pair.
    values: Vec<Option<u32>>,
}

impl<'a> Scorer<'a> {
    pub(crate) fn new(records: &'a Records, model: &'a Model) -> Self {
        let of_field = |field| {
            std::array::from_fn(|state| std::array::from_fn(|level| model.weight(field, state, Level::of(level))))
        };
        let weights: Vec<[[f64; Level::COUNT]; 2]> = (0..model.fields.len()).map(of_field).collect();
        let comparer = Comparer::new(records);
        let most: Vec<(f64, f64)> = weights
            .iter()
            .map(|weights| {
                let exact = Level::Exact as usize;
                let unequal = weights.iter().flat_map(|levels| levels[exact + 1..].iter());
                (
                    weights[0][exact].max(weights[1][exact]),
                    unequal.fold(f64::MIN, |most, weight| most.max(*weight)),
                )
            })
            .collect();
        // What is most different from what it could be tells most; what is remembered costs least.
        let different = Level::Different as usize;
        let told = |at: usize| {
            let told = most[at].1 - weights[at][0][different].max(weights[at][1][different]);
            if comparer.remembers(at) { 3.0 * told } else { told }
        };
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|a, b| told(*b).total_cmp(&told(*a)).then(a.cmp(b)));
        Self {
            records,
            model,
            comparer,
            weights,
            most,
            order,
            prior: model.prior_weight(),
            values: Vec::new(),
        }
    }

    /// How much more an agreement weighs because the value is rare, or less because many have it.
    fn rarity(&self, at: usize, value: u32) -> f64 {
        let field = &self.records.fields[self.comparer.fields[at]];
        let usual = self.model.fields[at].u[0][Level::Exact as usize];
        let others = f64::from(field.counts[value as usize].max(2) - 1) + UNSEEN * usual;
        let share = others / (f64::from(field.present.max(2) - 1) + UNSEEN);
        (usual / share).log2()
    }

    /// The value that fewer records have.
    pub(crate) fn rarer(&self, at: usize, a: u32, b: u32) -> u32 {
        let field = &self.records.fields[self.comparer.fields[at]];
        let key = |value: u32| (field.counts[value as usize], field.values.get(value));
        if key(a) <= key(b) { a } else { b }
    }

    /// What each field of a pattern weighs. `values` are those that both records have.
    pub(crate) fn field_weights(&self, pattern: Pattern, values: &[Option<u32>]) -> impl Iterator<Item = f64> {
        values.iter().enumerate().map(move |(at, value)| {
            let state = self.model.state(at, pattern);
            let rarity = match value {
                // What the parent explains is not rare.
                Some(value) if state == 0 && pattern.level(at) == Level::Exact => self.rarity(at, *value),
                _ => 0.0,
            };
            self.weights[at][state][pattern.level(at) as usize] + rarity
        })
    }

    /// What a pattern weighs in all.
    pub(crate) fn total(&self, pattern: Pattern, values: &[Option<u32>]) -> f64 {
        self.prior + self.field_weights(pattern, values).sum::<f64>()
    }

    /// The levels of a pair, and the values that both records have.
    pub(crate) fn compare(&mut self, a: u32, b: u32, values: &mut Vec<Option<u32>>) -> Pattern {
        values.clear();
        let mut pattern = Pattern::default();
        for at in 0..self.comparer.fields.len() {
            let (level, value) = self.comparer.level(at, a, b);
            pattern.set(at, level);
            values.push(value);
        }
        self.comparer.with_swapped_names(pattern, a, b)
    }

    /// The pair, if it weighs at least `least`. Texts are only compared as long as it can.
    pub(crate) fn link(&mut self, a: u32, b: u32, least: f64) -> Option<Link> {
        let (row_a, row_b) = (self.records.row(a), self.records.row(b));
        let mut bound = self.prior;
        let mut unequal = 0u32;
        for at in 0..self.comparer.fields.len() {
            let field = self.comparer.fields[at];
            let (number_a, number_b) = (row_a[field], row_b[field]);
            if number_a == NONE || number_b == NONE {
                continue;
            }
            if number_a == number_b {
                let values = self.records.values_of(field, number_a);
                bound += self.most[at].0 + values.map(|value| self.rarity(at, value)).fold(0.0, f64::max);
            } else {
                unequal |= 1 << at;
                // One of several values may be the same.
                bound += if self.records.is_several(number_a, number_b) {
                    f64::INFINITY
                } else {
                    self.most[at].1
                };
            }
        }
        for at in self.order.iter().filter(|at| unequal & 1 << **at != 0) {
            if bound < least {
                return None;
            }
            let level = self.comparer.level(*at, a, b).0;
            if bound.is_finite() {
                bound += self.weights[*at]
                    .iter()
                    .map(|of_state| of_state[level as usize])
                    .fold(f64::MIN, f64::max)
                    - self.most[*at].1;
            }
        }
        if bound < least {
            return None;
        }
        let mut values = std::mem::take(&mut self.values);
        let pattern = self.compare(a, b, &mut values);
        let weight = self.total(pattern, &values);
        self.values = values;
        (weight >= least).then_some(Link { a, b, pattern, weight })
    }
}

/// The pairs of all passes that weigh at least `least`, each once, in ascending order. Nothing when `stop` says so.
pub(crate) fn links(
    records: &Records,
    model: &Model,
    passes: &Passes,
    least: f64,
    threads: usize,
    stop: &AtomicBool,
) -> Option<Vec<Link>> {
    let start = || (Scorer::new(records, model), Vec::new());
    let found = for_each_pair(records, passes, threads, stop, start, |(scorer, links), a, b| {
        if records.is_company(a) == records.is_company(b) {
            links.extend(scorer.link(a, b, least));
        }
    })?;
    let mut links: Vec<Link> = Vec::new();
    for (_, mut of_thread) in found {
        // Half of them may be there several times.
        of_thread.sort_unstable_by_key(|link: &Link| (link.a, link.b));
        of_thread.dedup_by_key(|link| (link.a, link.b));
        links.append(&mut of_thread);
    }
    links.sort_unstable_by_key(|link| (link.a, link.b));
    links.dedup_by_key(|link| (link.a, link.b));
    links.shrink_to_fit();
    Some(links)
}

/// How many candidates of each sort, and how many other pairs, are compared to fit.
const CANDIDATES: u64 = 200_000;
const OTHERS: std::ops::RangeInclusive<u64> = 50_000..=200_000;
const OTHERS_PER_RECORD: u64 = 20;

/// Pairs that are equal in so many fields are sampled apart: most pairs of one person are among them.
const EQUAL: u32 = 3;

/// Counts the patterns of a sample of candidates and of other pairs. Nothing when `stop` says so.
pub(crate) fn sample(records: &Records, passes: &Passes, threads: usize, stop: &AtomicBool) -> Option<Vec<Counted>> {
    let compared = compared(records);
    let is_alike = |a: u32, b: u32| {
        let (a, b) = (records.row(a), records.row(b));
        compared
            .iter()
            .filter(|at| a[**at] != NONE && a[**at] == b[**at])
            .count() as u32
            >= EQUAL
    };
    let rate = passes.pairs.div_ceil(CANDIDATES).max(1);
    let hash = |a: u32, b: u32| hash::mix(u64::from(a), u64::from(b));
    let found = for_each_pair(
        records,
        passes,
        threads,
        stop,
        Default::default,
        |(alike, rest): &mut (Vec<_>, Vec<_>), a, b| {
            if records.is_company(a) != records.is_company(b) {
                return;
            }
            let is_sampled = hash(a, b).is_multiple_of(rate);
            if is_alike(a, b) {
                alike.push((a, b));
            } else if is_sampled {
                rest.push((a, b));
            }
        },
    )?;
    let (mut alike, mut rest) = (Vec::new(), Vec::new());
    for (of_alike, of_rest) in found {
        alike.extend(of_alike);
        rest.extend(of_rest);
    }
    for pairs in [&mut alike, &mut rest] {
        pairs.sort_unstable();
        pairs.dedup();
    }
    let alike_rate = (alike.len() as u64).div_ceil(CANDIDATES).max(1);
    let all_alike = alike.len() as f64;
    alike.retain(|(a, b)| hash(*a, *b).is_multiple_of(alike_rate));
    let others = others(records, passes);
    let of_others = (all_pairs(records) - all_alike - (rest.len() as u64 * rate) as f64).max(0.0);
    let mut counted: BTreeMap<Pattern, Counted> = BTreeMap::new();
    for (pairs, stands_for, is_candidate) in [
        (alike, alike_rate as f64, true),
        (rest, rate as f64, true),
        (others.clone(), of_others / others.len().max(1) as f64, false),
    ] {
        for (pattern, count) in counts(records, &pairs, threads) {
            let known = counted.entry(pattern).or_insert(Counted {
                pattern,
                candidates: 0.0,
                others: 0.0,
                stands_for: 0.0,
            });
            let pairs = count as f64 * stands_for;
            *if is_candidate {
                &mut known.candidates
            } else {
                &mut known.others
            } += pairs;
            known.stands_for = known.stands_for.max(stands_for);
        }
    }
    Some(counted.into_values().collect())
}

/// How many pairs of records there are.
pub(crate) fn all_pairs(records: &Records) -> f64 {
    let count = records.len() as f64;
    count * (count - 1.0) / 2.0
}

/// Random pairs that share no block.
fn others(records: &Records, passes: &Passes) -> Vec<(u32, u32)> {
    let count = records.len() as u64;
    if passes.is_exhaustive || count < 2 {
        return Vec::new();
    }
    let mut scratch = Scratch::default();
    let wanted = (OTHERS_PER_RECORD * count).clamp(*OTHERS.start(), *OTHERS.end());
    let pairs = (0..wanted).map(|at| {
        let (a, b) = (hash::mix(at, 1) % count, hash::mix(at, 2) % count);
        (a.min(b) as u32, a.max(b) as u32)
    });
    pairs
        .filter(|(a, b)| a != b && !shares_block(records, passes, *a, *b, &mut scratch))
        .collect()
}

/// How often each pattern is seen.
fn counts(records: &Records, pairs: &[(u32, u32)], threads: usize) -> BTreeMap<Pattern, u64> {
    let count = |pairs: &[(u32, u32)]| {
        let mut comparer = Comparer::new(records);
        let mut counts: std::collections::HashMap<Pattern, u64> = std::collections::HashMap::new();
        for (a, b) in pairs {
            *counts.entry(comparer.pattern(*a, *b)).or_default() += 1;
        }
        counts
    };
    let mut all = BTreeMap::new();
    std::thread::scope(|scope| {
        let parts = pairs.chunks(pairs.len().div_ceil(threads).max(1));
        let running: Vec<_> = parts.map(|part| scope.spawn(move || count(part))).collect();
        for counts in running.into_iter().filter_map(|thread| thread.join().ok()) {
            counts
                .into_iter()
                .for_each(|(pattern, count)| *all.entry(pattern).or_default() += count);
        }
    });
    all
}
