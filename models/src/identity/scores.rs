//! What pairs weigh with how rare their values are, and which of them are worth keeping.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::blocking::{Passes, Scratch, for_each_pair, shares_block};
use super::comparison::Level;
use super::em::Counted;
use super::evidence::{Comparer, Pattern, compared};
use super::model::Model;
use super::records::{NONE, Records};
use super::{hash, threads};

/// A pair that may be of one person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Link {
    pub a: u32,
    pub b: u32,
    pub weight: f64,
}

impl Link {
    fn pair(&self) -> (u32, u32) {
        (self.a, self.b)
    }
}

/// How many records are imagined beside those that there are, so that among few of them none is taken for frequent.
const UNSEEN: f64 = 50.0;

/// What sums of the same numbers may differ by, when they are added in another order.
const ROUNDED: f64 = 1e-6;

/// Weighs pairs.
#[derive(Debug)]
pub(crate) struct Scorer<'a> {
    records: &'a Records,
    model: &'a Model,
    comparer: Comparer<'a>,
    /// For each field, state of its parents and level.
    weights: Vec<[[f64; Level::COUNT]; 2]>,
    /// For each field and state of its parents, the most that a pair can get whose values are not the same.
    most: Vec<[f64; 2]>,
    /// For each field its parents, as bits.
    parents: Vec<u32>,
    /// The fields, as bits, that say that a place is the same even where they differ a little.
    homes: u32,
    /// For each field how rare a value is that so many records have.
    rarities: Vec<[f64; FEW]>,
    /// The fields, those that tell most first.
    order: Vec<usize>,
    prior: f64,
    /// Room for the values of a pair.
    values: Vec<Option<u32>>,
}

/// Of so many records and more, how rare a value is is computed each time.
const FEW: usize = 64;

impl<'a> Scorer<'a> {
    pub(crate) fn new(records: &'a Records, model: &'a Model) -> Self {
        let of_field = |field| {
            std::array::from_fn(|state| std::array::from_fn(|level| model.weight(field, state, Level::of(level))))
        };
        let weights: Vec<[[f64; Level::COUNT]; 2]> = (0..model.fields.len()).map(of_field).collect();
        let comparer = Comparer::new(records);
        let (exact, different) = (Level::Exact as usize, Level::Different as usize);
        let most: Vec<[f64; 2]> = weights
            .iter()
            .map(|of_states| of_states.map(|levels| levels[exact + 1..].iter().copied().fold(f64::MIN, f64::max)))
            .collect();
        // What is most different from what it could be tells most; what is remembered costs least.
        let told = |at: usize| {
            let told = most[at][0] - weights[at][0][different];
            if comparer.remembers(at) { 3.0 * told } else { told }
        };
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|a, b| told(*b).total_cmp(&told(*a)).then(a.cmp(b)));
        let parents = model.fields.iter();
        let parents = parents.map(|field| field.parents.iter().fold(0, |parents, at| parents | 1 << at));
        let mut scorer = Self {
            records,
            model,
            weights,
            most,
            parents: parents.collect(),
            homes: (0..model.fields.len()).fold(0, |homes, at| homes | u32::from(model.fields[at].is_home) << at),
            rarities: Vec::new(),
            order,
            prior: model.prior_weight(),
            values: vec![None; comparer.fields.len()],
            comparer,
        };
        let of_field = |at: usize| std::array::from_fn(|count| scorer.rarity_of(at, count as u32));
        scorer.rarities = (0..scorer.weights.len()).map(of_field).collect();
        scorer
    }

    /// How much more an agreement weighs because the value is rare, or less because many have it.
    fn rarity(&self, at: usize, value: u32) -> f64 {
        let count = self.records.fields[self.comparer.fields[at]].counts[value as usize];
        let known = self.rarities[at].get(count as usize);
        known.copied().unwrap_or_else(|| self.rarity_of(at, count))
    }

    fn rarity_of(&self, at: usize, count: u32) -> f64 {
        let field = &self.records.fields[self.comparer.fields[at]];
        let usual = self.model.fields[at].u[0][Level::Exact as usize];
        let others = f64::from(count.max(2) - 1) + UNSEEN * usual;
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

    /// The pair, if it weighs at least `least` and is not among those that are `kept`. Texts are only compared as long as
    /// it can.
    fn link(&mut self, a: u32, b: u32, least: f64, kept: &Kept) -> Option<Link> {
        let (row_a, row_b) = (self.records.row(a), self.records.row(b));
        let mut pattern = Pattern::default();
        let (mut equal, mut unequal) = (0u32, 0u32);
        for (at, field) in self.comparer.fields.iter().enumerate() {
            let (number_a, number_b) = (row_a[*field], row_b[*field]);
            self.values[at] = None;
            if number_a == NONE || number_b == NONE {
                continue;
            }
            if number_a == number_b || self.records.is_several(number_a, number_b) {
                self.values[at] = self.comparer.shared(at, number_a, number_b);
            }
            if self.values[at].is_some() {
                pattern.set(at, Level::Exact);
                equal |= 1 << at;
            } else {
                unequal |= 1 << at;
            }
        }
        let (all_parents, homes) = (&self.parents, self.homes);
        // What a field gets at most in the states that its parents may be in.
        let in_states = |at: usize, weight: &dyn Fn(usize) -> f64| {
            let parents = all_parents[at];
            match parents & !equal {
                0 => weight(usize::from(parents != 0)),
                others if others & !(unequal & homes) == 0 => weight(0).max(weight(1)),
                _ => weight(0),
            }
        };
        let (weights, most) = (&self.weights, &self.most);
        let mut bound = self.prior - least + ROUNDED;
        for (at, value) in self.values.iter().enumerate() {
            if let Some(value) = value {
                let rarity = self.rarity(at, *value);
                // What the parents explain is not rare.
                bound += in_states(at, &|state| {
                    weights[at][state][Level::Exact as usize] + if state == 0 { rarity } else { 0.0 }
                });
            } else if unequal & 1 << at != 0 {
                bound += in_states(at, &|state| most[at][state]);
            }
        }
        if bound < 0.0 || kept.has(a, b) {
            return None;
        }
        let names = self
            .comparer
            .names()
            .filter(|names| names.iter().all(|at| unequal & 1 << at != 0));
        for at in self.order.iter().copied() {
            if unequal & 1 << at == 0 || pattern.level(at) != Level::Missing {
                continue;
            }
            let mut level = self.comparer.level(at, a, b).0;
            if let Some(names) = names.filter(|names| level == Level::Different && names.contains(&at))
                && self.comparer.are_names_swapped(a, b)
            {
                level = Level::Close;
                for other in names.into_iter().filter(|other| *other != at) {
                    let before = match pattern.level(other) {
                        Level::Missing => in_states(other, &|state| most[other][state]),
                        known => in_states(other, &|state| weights[other][state][known as usize]),
                    };
                    bound += in_states(other, &|state| weights[other][state][level as usize]) - before;
                    pattern.set(other, level);
                }
            }
            pattern.set(at, level);
            bound +=
                in_states(at, &|state| weights[at][state][level as usize]) - in_states(at, &|state| most[at][state]);
            if bound < 0.0 {
                return None;
            }
        }
        let weight = self.total(pattern, &self.values);
        (weight >= least).then_some(Link { a, b, weight })
    }
}

/// Links in ascending order of their pairs, each once.
#[derive(Debug, Default, Clone)]
struct Kept {
    links: Vec<Link>,
    /// Where the links of each record with greater ones begin, and where the last ones end.
    starts: Vec<u32>,
}

impl Kept {
    fn has(&self, a: u32, b: u32) -> bool {
        let Some([from, to]) = self.starts.get(a as usize..a as usize + 2) else {
            return false;
        };
        self.links[*from as usize..*to as usize].iter().any(|link| link.b == b)
    }

    /// Adds links of `records` records. Some may be the same.
    fn add(&mut self, records: usize, of_threads: impl Iterator<Item = Vec<Link>>) {
        let known = self.links.len();
        of_threads.for_each(|mut links| self.links.append(&mut links));
        if self.links.len() == known {
            return;
        }
        self.links[known..].sort_unstable_by_key(Link::pair);
        // What is sorted in two parts is merged.
        self.links.sort_by_key(Link::pair);
        self.links.dedup_by_key(|link| link.pair());
        self.starts.clear();
        self.starts.resize(records + 1, 0);
        self.links.iter().for_each(|link| self.starts[link.a as usize + 1] += 1);
        for record in 0..records {
            self.starts[record + 1] += self.starts[record];
        }
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
    // Pairs of one person are met in most passes: what earlier ones found is not weighed again.
    let mut kept = Arc::new(Kept::default());
    let start = || (Scorer::new(records, model), Vec::new(), Arc::<Kept>::default());
    let visit = |(scorer, new, kept): &mut (Scorer<'_>, Vec<Link>, Arc<Kept>), a, b| {
        if records.is_company(a) == records.is_company(b) {
            new.extend(scorer.link(a, b, least, kept));
        }
    };
    for_each_pair(records, passes, threads, stop, start, visit, |states| {
        states.iter_mut().for_each(|(_, _, known)| *known = Arc::default());
        let new = states.iter_mut().map(|(_, new, _)| std::mem::take(new));
        Arc::make_mut(&mut kept).add(records.len(), new);
        states.iter_mut().for_each(|(_, _, known)| *known = Arc::clone(&kept));
    })?;
    let mut links = Arc::unwrap_or_clone(kept).links;
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
        |_| (),
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
        .filter(|(a, b)| a != b && !shares_block(passes, *a, *b, &mut scratch))
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
    let parts: Vec<&[(u32, u32)]> = pairs.chunks(pairs.len().div_ceil(threads.max(1)).max(1)).collect();
    for counts in threads::each(parts.len(), threads, |at| count(parts[at])) {
        for (pattern, count) in counts {
            *all.entry(pattern).or_default() += count;
        }
    }
    all
}
