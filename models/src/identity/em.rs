//! Fitting the model without labels: expectation and maximisation over counts of patterns.
//!
//! All pairs there are divide into candidates, of which some are of one person, and the rest, which are not, and of
//! which a random sample is known. So the shares among pairs of others are anchored, and how rare it is to be one person
//! is a share of all pairs. The cost depends on how many patterns there are, not on how many pairs.

use super::comparison::Level;
use super::evidence::Pattern;
use super::kind::Kind;
use super::model::{FieldModel, Model, Shares, probability};

/// How often a pattern is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Counted {
    pub pattern: Pattern,
    /// Among candidates, all of them.
    pub candidates: f64,
    /// Among the other pairs, all of them.
    pub others: f64,
    /// How many pairs the one of those that stands for most stands for.
    pub stands_for: f64,
}

/// The most rounds, and the change of the prior below which there are no more.
const ROUNDS: usize = 200;
const SETTLED: f64 = 1e-6;

/// How many pairs of one person, and of others with each level, are imagined beside those that are seen, so that few
/// pairs make no extremes.
const IMAGINED_MATCHES: f64 = 4.0;
const IMAGINED_OTHERS: f64 = 0.5;

/// How those pairs of one person look.
const USUAL: Shares = [0.0, 0.82, 0.07, 0.04, 0.03, 0.04];

/// An agreement is not by chance if so many times the number of records of other pairs would be needed to see it once.
const COINCIDENCES: f64 = 64.0;

/// Fits a model. `pairs` is the number of all pairs.
pub(crate) fn fit(counted: &[Counted], fields: &[Kind], records: usize, pairs: f64) -> Model {
    let fitting = Fitting {
        counted,
        kinds: fields,
        surprising: (COINCIDENCES * records as f64).max(1.0).log2(),
        pairs,
        rarest: counted.iter().map(|counted| counted.stands_for).fold(1.0, f64::max),
    };
    let parents = parents(fields);
    let field = |(parents, kind): (Vec<usize>, &Kind)| FieldModel {
        parents,
        is_home: matches!(kind, Kind::Street | Kind::Address),
        m: [USUAL; 2],
        u: [USUAL; 2],
    };
    let mut model = Model {
        fields: parents.into_iter().zip(fields).map(field).collect(),
        // Nobody is anybody else yet: few pairs are of one person.
        prior: (0.3 * records as f64 / pairs.max(1.0)).clamp(1e-15, 0.5),
    };
    let mut cells = fitting.cells(&model);
    // The shares of all pairs are those of others.
    fitting.maximise(&mut model, &cells, &vec![0.0; cells.candidates.len()]);
    model.fields.iter_mut().for_each(|field| field.m = [USUAL; 2]);
    cells.shows = fitting
        .counted
        .iter()
        .filter(|counted| counted.candidates > 0.0)
        .map(|counted| fitting.shows(&model, counted.pattern))
        .collect();
    for _ in 0..ROUNDS {
        let before = model.prior;
        fitting.round(&mut model, &cells);
        if (model.prior / before - 1.0).abs() < SETTLED {
            break;
        }
    }
    model
}

struct Fitting<'a> {
    counted: &'a [Counted],
    kinds: &'a [Kind],
    /// How many bits of agreement do not come about by chance.
    surprising: f64,
    pairs: f64,
    /// How many pairs the one that was looked at and stands for most stands for.
    rarest: f64,
}

/// States and levels of all patterns, for the rounds of one choice of parents.
struct Cells {
    /// For each pattern of candidates and each field, the state times the number of levels, and the level.
    of_candidates: Vec<u8>,
    candidates: Vec<f64>,
    /// Whether each of those patterns is of two persons for sure.
    are_two: Vec<bool>,
    /// For each of those patterns the fields, as bits, of which it shows how they are written of one person.
    shows: Vec<u32>,
    /// For each field how many other pairs there are of each state and level. They stay.
    others: Vec<[Shares; 2]>,
}

impl Fitting<'_> {
    fn cells(&self, model: &Model) -> Cells {
        let fields = model.fields.len();
        let mut cells = Cells {
            of_candidates: Vec::new(),
            candidates: Vec::new(),
            are_two: Vec::new(),
            shows: Vec::new(),
            others: vec![[[0.0; Level::COUNT]; 2]; fields],
        };
        for counted in self.counted {
            for field in 0..fields {
                let (state, level) = (
                    model.state(field, counted.pattern),
                    counted.pattern.level(field) as usize,
                );
                cells.others[field][state][level] += counted.others;
                if counted.candidates > 0.0 {
                    cells.of_candidates.push((state * Level::COUNT + level) as u8);
                }
            }
            if counted.candidates > 0.0 {
                cells.candidates.push(counted.candidates);
                cells.are_two.push(self.are_two(counted.pattern));
            }
        }
        cells
    }

    /// Whether a pattern is of two persons, though they may share a telephone and an address as couples do: another name,
    /// or another given name with another surname or birthday, and nothing in common that is of one person.
    fn are_two(&self, pattern: Pattern) -> bool {
        let is_any = |level: Level, wanted: &[Kind]| {
            let mut of_kind = self.kinds.iter().enumerate().filter(|(_, kind)| wanted.contains(kind));
            of_kind.any(|(field, _)| pattern.level(field) == level)
        };
        let is_other = is_any(Level::Different, &[Kind::FullName])
            || is_any(Level::Different, &[Kind::GivenName]) && is_any(Level::Different, &[Kind::Surname, Kind::BornOn]);
        is_other && !is_any(Level::Exact, &[Kind::BornOn, Kind::NationalId, Kind::Email])
    }

    /// The fields, as bits, of which a pattern shows how they are written of one person: those that others agree without.
    ///
    /// Pairs that live in one town and have one given name are more than pairs of one person, and alike too. So only
    /// agreements that are rare among all pairs teach what pairs of one person look like, and nothing about themselves.
    fn shows(&self, model: &Model, pattern: Pattern) -> u32 {
        let surprise = |field: usize| match pattern.level(field) {
            Level::Exact => -model.fields[field].u[model.state(field, pattern)][Level::Exact as usize].log2(),
            _ => 0.0,
        };
        let surprises: Vec<f64> = (0..model.fields.len()).map(surprise).collect();
        let all: f64 = surprises.iter().sum();
        let is_shown = |field: &usize| all - surprises[*field] >= self.surprising;
        (0..surprises.len())
            .filter(is_shown)
            .fold(0, |shown, field| shown | 1 << field)
    }

    fn round(&self, model: &mut Model, cells: &Cells) {
        let shares = self.expect(model, cells);
        self.maximise(model, cells, &shares);
        let matches: f64 = cells
            .candidates
            .iter()
            .zip(&shares)
            .map(|(count, share)| count * share)
            .sum();
        model.prior = (matches / self.pairs.max(1.0)).clamp(1e-15, 0.5);
    }

    /// How likely each pattern of candidates is of one person.
    fn expect(&self, model: &Model, cells: &Cells) -> Vec<f64> {
        let weights: Vec<[f64; 2 * Level::COUNT]> = (0..model.fields.len())
            .map(|field| {
                std::array::from_fn(|cell| model.weight(field, cell / Level::COUNT, Level::of(cell % Level::COUNT)))
            })
            .collect();
        let prior = model.prior_weight();
        let of_pattern = |(of, are_two): (&[u8], &bool)| {
            let sum: f64 = of
                .iter()
                .zip(&weights)
                .map(|(cell, weights)| weights[usize::from(*cell)])
                .sum();
            if *are_two { 0.0 } else { probability(prior + sum) }
        };
        let patterns = cells.of_candidates.chunks_exact(model.fields.len().max(1));
        patterns.zip(&cells.are_two).map(of_pattern).collect()
    }

    fn maximise(&self, model: &mut Model, cells: &Cells, shares: &[f64]) {
        let mut m = vec![[[0.0; Level::COUNT]; 2]; model.fields.len()];
        let mut u = cells.others.clone();
        let patterns = cells.of_candidates.chunks_exact(model.fields.len().max(1));
        for (((of, count), share), shows) in patterns.zip(&cells.candidates).zip(shares).zip(&cells.shows) {
            for (field, cell) in of.iter().enumerate() {
                let (state, level) = (usize::from(*cell) / Level::COUNT, usize::from(*cell) % Level::COUNT);
                if shows & 1 << field != 0 {
                    m[field][state][level] += count * share;
                }
                u[field][state][level] += count * (1.0 - share);
            }
        }
        for ((field, kind), (m, u)) in model.fields.iter_mut().zip(self.kinds).zip(m.into_iter().zip(u)) {
            let both =
                |counts: [Shares; 2]| -> Shares { std::array::from_fn(|level| counts[0][level] + counts[1][level]) };
            let of_m = shares_of(both(m), &USUAL, IMAGINED_MATCHES, 0.0);
            let of_u = shares_of(both(u), &USUAL, 0.0, IMAGINED_OTHERS * self.rarest);
            (field.m, field.u) = match field.parents.is_empty() {
                true => ([of_m; 2], [of_u; 2]),
                false => {
                    let of_state = |state: usize, unit: f64| {
                        // Who moved has another street and another town; but how a name is written has nothing to do with it.
                        let m = if kind.is_place() {
                            shares_of(m[state], &of_m, IMAGINED_MATCHES, 0.0)
                        } else {
                            of_m
                        };
                        (
                            m,
                            shares_of(u[state], &of_u, IMAGINED_MATCHES * unit, IMAGINED_OTHERS * unit),
                        )
                    };
                    // Pairs that agree in the parent are seldom met by chance: nearly all that are known are candidates.
                    let ((m_0, u_0), (m_1, u_1)) = (of_state(0, self.rarest), of_state(1, 1.0));
                    ([m_0, m_1], [u_0, u_1])
                }
            };
        }
    }
}

/// For each field those that it depends on, among pairs of others: towns on postcodes and postcodes on streets, and what
/// those share who live together on where they live.
fn parents(kinds: &[Kind]) -> Vec<Vec<usize>> {
    const FINEST_FIRST: [Kind; 6] = [
        Kind::Street,
        Kind::Address,
        Kind::StreetNumber,
        Kind::Postcode,
        Kind::City,
        Kind::Region,
    ];
    let of = |wanted: &[Kind]| -> Vec<usize> {
        let of_kind = |kind: &Kind| {
            (0..kinds.len())
                .filter(move |at| kinds[*at] == *kind)
                .collect::<Vec<_>>()
        };
        wanted.iter().flat_map(of_kind).collect()
    };
    let places = of(&FINEST_FIRST);
    // One street has the same name in many towns.
    let street = of(&FINEST_FIRST[..2]).first().copied();
    let town = of(&FINEST_FIRST[3..]).first().copied();
    let home: Vec<usize> = street.into_iter().chain(town).collect();
    let parents = |at: usize| match kinds[at] {
        Kind::Phone | Kind::Surname | Kind::Company if street.is_some() => home.clone(),
        _ => places
            .windows(2)
            .filter(|pair| pair[1] == at)
            .map(|pair| pair[0])
            .collect(),
    };
    (0..kinds.len()).map(parents).collect()
}

/// The shares of counts, among which `imagined` pairs of usual ones are imagined, and `each` of each level.
fn shares_of(counts: Shares, usual: &Shares, imagined: f64, each: f64) -> Shares {
    let mut shares: Shares = std::array::from_fn(|level| counts[level] + imagined * usual[level] + each);
    shares[Level::Missing as usize] = 0.0;
    let total: f64 = shares.iter().sum();
    shares.map(|share| (share / total.max(f64::MIN_POSITIVE)).max(1e-12))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::hash;

    const KINDS: [Kind; 4] = [Kind::GivenName, Kind::Surname, Kind::Phone, Kind::City];

    /// A number of 0 to 1 that `seed` and `at` make.
    fn uniform(seed: u64, at: u64) -> f64 {
        hash::mix(seed, at) as f64 / u64::MAX as f64
    }

    /// Pairs of which a known part is of one person: counts of patterns.
    fn counted(matches: u64, others: u64) -> Vec<Counted> {
        const OF_MATCHES: [f64; 4] = [0.9, 0.8, 0.7, 0.95];
        const OF_OTHERS: [f64; 4] = [0.03, 0.001, 0.0005, 0.2];
        let mut counts: std::collections::BTreeMap<Pattern, f64> = std::collections::BTreeMap::new();
        for (agree, count, seed) in [(OF_MATCHES, matches, 1), (OF_OTHERS, others, 2)] {
            for at in 0..count {
                let mut pattern = Pattern::default();
                for (field, share) in agree.iter().enumerate() {
                    let is_same = uniform(seed, at * 8 + field as u64) < *share;
                    pattern.set(field, if is_same { Level::Exact } else { Level::Different });
                }
                *counts.entry(pattern).or_default() += 1.0;
            }
        }
        let counted = counts.into_iter().map(|(pattern, candidates)| Counted {
            pattern,
            candidates,
            others: 0.0,
            stands_for: 1.0,
        });
        counted.collect()
    }

    #[test]
    fn a_town_is_not_a_person() {
        let model = fit(&counted(0, 500_000), &KINDS, 1_000, 500_000.0);
        // Of half a million pairs hardly one is taken for one person.
        assert!(model.prior * 500_000.0 < 60.0, "{}", model.prior * 500_000.0);
    }

    /// How often pairs of `pairs` have each pattern, where each field has these shares of same, nearly same and different
    /// values, whatever the others have.
    fn expected(shares: &[[f64; 3]], pairs: f64) -> Vec<(Pattern, f64)> {
        let mut patterns = vec![(Pattern::default(), pairs)];
        for (field, shares) in shares.iter().enumerate() {
            let levels = [Level::Exact, Level::Close, Level::Different];
            let with = |(pattern, pairs): (Pattern, f64)| {
                levels.into_iter().zip(shares).map(move |(level, share)| {
                    let mut pattern = pattern;
                    pattern.set(field, level);
                    (pattern, pairs * share)
                })
            };
            patterns = patterns.into_iter().flat_map(with).collect();
        }
        patterns
    }

    #[test]
    fn what_pairs_were_made_with_is_found_again() {
        const KINDS: [Kind; 5] = [Kind::GivenName, Kind::Surname, Kind::BornOn, Kind::Email, Kind::City];
        const M: [[f64; 3]; 5] = [
            [0.88, 0.09, 0.03],
            [0.80, 0.15, 0.05],
            [0.90, 0.07, 0.03],
            [0.70, 0.10, 0.20],
            [0.85, 0.03, 0.12],
        ];
        const U: [[f64; 3]; 5] = [
            [0.02, 0.01, 0.97],
            [0.003, 0.002, 0.995],
            [0.0001, 0.0004, 0.9995],
            [0.00002, 0.00001, 0.99997],
            [0.06, 0.01, 0.93],
        ];
        let (records, pairs) = (20_000, 20_000.0 * 19_999.0 / 2.0);
        for prior in [2e-5, 2e-4] {
            let mut counts: std::collections::BTreeMap<Pattern, f64> = std::collections::BTreeMap::new();
            for (shares, pairs) in [(&M, prior * pairs), (&U, (1.0 - prior) * pairs)] {
                for (pattern, count) in expected(shares, pairs) {
                    *counts.entry(pattern).or_default() += count;
                }
            }
            // Candidates are those that agree in something that blocks are made of.
            let is_candidate = |pattern: Pattern| (1..4).any(|field| pattern.level(field) == Level::Exact);
            let counted: Vec<Counted> = counts
                .into_iter()
                .map(|(pattern, count)| Counted {
                    pattern,
                    candidates: if is_candidate(pattern) { count } else { 0.0 },
                    others: if is_candidate(pattern) { 0.0 } else { count },
                    stands_for: 1.0,
                })
                .collect();
            let model = fit(&counted, &KINDS, records, pairs);
            let is_near = |found: f64, made: f64, share: f64| (found / made - 1.0).abs() < share;
            assert!(is_near(model.prior, prior, 0.05), "{} of {prior}", model.prior);
            for (field, (m, u)) in model.fields.iter().zip(M.iter().zip(&U)) {
                for (at, level) in [Level::Exact, Level::Close, Level::Different].into_iter().enumerate() {
                    let (found_m, found_u) = (field.m[0][level as usize], field.u[0][level as usize]);
                    assert!((found_m - m[at]).abs() < 0.02, "{level:?}: m {found_m} of {}", m[at]);
                    assert!(is_near(found_u, u[at], 0.05), "{level:?}: u {found_u} of {}", u[at]);
                }
            }
        }
    }

    #[test]
    fn towns_depend_on_postcodes_and_telephones_on_homes() {
        let kinds = [Kind::City, Kind::Phone, Kind::Postcode, Kind::Street, Kind::GivenName];
        let of_all: Vec<Vec<usize>> = vec![vec![2], vec![3, 2], vec![3], vec![], vec![]];
        assert_eq!(parents(&kinds), of_all);
        assert!(parents(&[Kind::Phone, Kind::City]).iter().all(Vec::is_empty), "no home");
    }
}
