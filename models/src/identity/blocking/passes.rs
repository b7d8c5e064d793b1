//! Which passes are made, chosen from the data at hand.

use super::atoms::{self, Atom, Subject};
use super::blocks::{Cut, parts, size};
use crate::identity::records::Records;

/// How many pairs may be compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// For each record.
    pub pairs_per_record: u64,
    /// Up to this many records are all compared with all.
    pub exhaustive: usize,
}

/// Sizes that blocks may have, tried one after the other.
const LIMITS: [usize; 6] = [200, 100, 50, 25, 12, 6];

/// The share of the budget, one pair in so many, that a pass may take.
const PASS_PART: u64 = 6;

/// How many pairs a record a part that is not telling may make alone.
const SMALL: u64 = 3;

/// One pass: the parts that records of a block share, and how large a block may be.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(super) atoms: Vec<usize>,
    pub(super) most: usize,
    /// How many pairs it makes.
    pub pairs: u64,
    /// How many records are in blocks that no part cuts small enough.
    pub left_out: u64,
    /// Whether no block was cut.
    is_whole: bool,
}

/// The passes that are made.
#[derive(Debug)]
pub(crate) struct Passes {
    pub(super) atoms: Vec<Atom>,
    pub chosen: Vec<Pass>,
    /// All records are compared with all, and no pass is needed.
    pub is_exhaustive: bool,
    /// How many pairs are compared; those that several passes make count for each.
    pub pairs: u64,
}

impl Passes {
    pub(super) fn atoms_of(&self, pass: &Pass) -> Vec<&Atom> {
        pass.atoms.iter().map(|at| &self.atoms[*at]).collect()
    }

    pub(super) fn cut(&self, pass: &Pass) -> Cut<'_> {
        let finer = finer(&self.atoms, &pass.atoms);
        Cut {
            most: pass.most,
            finer: finer.into_iter().map(|at| &self.atoms[at]).collect(),
        }
    }

    /// What people call a pass.
    pub(crate) fn name(&self, pass: &Pass) -> String {
        let names: Vec<&str> = pass.atoms.iter().map(|at| self.atoms[*at].name.as_str()).collect();
        names.join(" + ")
    }
}

/// Chooses passes: each telling part alone, then pairs of others of different subjects, those that make the fewest pairs
/// first, as long as the budget lasts.
pub(crate) fn choose(records: &Records, budget: Budget, threads: usize) -> Passes {
    let count = records.len() as u64;
    let mut passes = Passes {
        atoms: Vec::new(),
        chosen: Vec::new(),
        is_exhaustive: records.len() <= budget.exhaustive,
        pairs: 0,
    };
    if passes.is_exhaustive {
        passes.pairs = count * count.saturating_sub(1) / 2;
        return passes;
    }
    passes.atoms = atoms::of(records, threads);
    let total = budget.pairs_per_record * count;
    let atoms = passes.atoms.len();
    let add = |passes: &mut Passes, mut possible: Vec<Pass>| {
        // Stable: of equals the one that tells more comes first.
        possible.sort_by_key(|pass| pass.pairs);
        for pass in possible {
            if passes.pairs + pass.pairs <= total {
                passes.pairs += pass.pairs;
                passes.chosen.push(pass);
            }
        }
    };
    let alone = (0..atoms).filter_map(|at| match passes.atoms[at].is_strong {
        true => possible(records, &passes.atoms, &[at], total / 2, threads),
        // One that is not telling has to make small blocks by itself, and few pairs.
        false => {
            sized(records, &passes.atoms, &[at], &[], &LIMITS[..1], SMALL * count, threads).filter(|pass| pass.is_whole)
        }
    });
    let alone: Vec<Pass> = alone.collect();
    add(&mut passes, alone);
    // A part that makes small blocks alone needs no other beside it.
    let is_small = |at: usize| passes.chosen.iter().any(|pass| pass.is_whole && pass.atoms == [at]);
    let small: Vec<bool> = (0..atoms).map(is_small).collect();
    let pairs = pairs(&passes.atoms)
        .into_iter()
        .filter(|pair| pair.iter().all(|at| !small[*at]));
    let together: Vec<Pass> = pairs
        .filter_map(|pair| possible(records, &passes.atoms, &pair, total / PASS_PART, threads))
        .collect();
    add(&mut passes, together);
    passes
}

/// The pass of these parts, if it makes pairs and not more than `budget`, with blocks as large as that allows.
fn possible(records: &Records, atoms: &[Atom], of: &[usize], budget: u64, threads: usize) -> Option<Pass> {
    let finer: Vec<&Atom> = finer(atoms, of).into_iter().map(|at| &atoms[at]).collect();
    sized(records, atoms, of, &finer, &LIMITS, budget, threads)
}

fn sized(
    records: &Records,
    atoms: &[Atom],
    of: &[usize],
    finer: &[&Atom],
    limits: &[usize],
    budget: u64,
    threads: usize,
) -> Option<Pass> {
    let chosen: Vec<&Atom> = of.iter().map(|at| &atoms[*at]).collect();
    let entries = parts(records.len(), &chosen, threads);
    // Mostly the first one is enough, and cuts least.
    let (first, others) = limits.split_at(1);
    let size = size(&entries, finer, first, budget, threads)
        .or_else(|| size(&entries, finer, others, budget, threads))
        .filter(|size| size.pairs > 0)?;
    Some(Pass {
        atoms: of.to_vec(),
        most: size.most,
        pairs: size.pairs,
        left_out: size.left_out,
        is_whole: size.is_whole,
    })
}

/// The pairs of parts that passes can be made of.
fn pairs(atoms: &[Atom]) -> Vec<Vec<usize>> {
    let mut pairs = Vec::new();
    for first in 0..atoms.len() {
        for second in first + 1..atoms.len() {
            let (a, b) = (&atoms[first], &atoms[second]);
            let is_place = |atom: &Atom| matches!(atom.subject, Subject::Place | Subject::Town);
            let is_name = |atom: &Atom| matches!(atom.subject, Subject::Given | Subject::Surname);
            let is_one = is_place(a) && is_place(b) || is_name(a) && is_name(b);
            if a.combines && b.combines && a.subject != b.subject && !is_one {
                pairs.push(vec![first, second]);
            }
        }
    }
    pairs
}

/// The parts that cut large blocks of a pass: of subjects that it does not have, those of persons first.
fn finer(atoms: &[Atom], pass: &[usize]) -> Vec<usize> {
    let is_new = |at: &usize| {
        let subject = atoms[*at].subject;
        let is_contact = matches!(subject, Subject::Contact(_));
        let is_told = |of: &usize| {
            let told = atoms[*of].subject;
            told == subject || told == Subject::Names && matches!(subject, Subject::Given | Subject::Surname)
        };
        !is_contact && atoms[*at].combines && !pass.iter().any(is_told)
    };
    let mut finer: Vec<usize> = (0..atoms.len()).filter(is_new).collect();
    finer.sort_by_key(|at| atoms[*at].subject);
    finer
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::AtomicBool;

    use super::super::for_each_pair;
    use super::*;
    use crate::identity::kind::Kind;
    use crate::identity::records::tests::records;

    const KINDS: [Kind; 4] = [Kind::GivenName, Kind::Surname, Kind::Email, Kind::Postcode];

    /// Many of one town, some with one address, twice each.
    fn town(count: usize) -> Records {
        const GIVEN: [&str; 8] = ["Ana", "Luis", "Eva", "Juan", "Sara", "Pablo", "Elena", "Javier"];
        const SURNAMES: [&str; 7] = ["Gil", "Ruiz", "Castro", "Moreno", "Vega", "Torres", "Navarro"];
        let row = |at: usize| {
            let person = at / 2;
            vec![
                GIVEN[person % 8].to_owned(),
                format!("{} {}", SURNAMES[person % 7], SURNAMES[person / 7 % 7]),
                format!("mail{person}@x.example"),
                format!("{:05}", 8001 + person % 3),
            ]
        };
        records(&KINDS, &(0..count).map(row).collect::<Vec<_>>())
    }

    fn visited(records: &Records, passes: &Passes, threads: usize) -> Vec<(u32, u32)> {
        let stop = AtomicBool::new(false);
        let found = for_each_pair(
            records,
            passes,
            threads,
            &stop,
            Vec::new,
            |pairs, a, b| pairs.push((a, b)),
            |_| (),
        );
        let mut pairs = found.unwrap_or_default().concat();
        pairs.sort_unstable();
        pairs
    }

    #[test]
    fn as_many_pairs_are_compared_as_were_announced() {
        let records = town(3_000);
        for pairs_per_record in [2, 20] {
            let budget = Budget {
                pairs_per_record,
                exhaustive: 100,
            };
            let passes = choose(&records, budget, 2);
            let pairs = visited(&records, &passes, 3);
            assert_eq!(pairs.len() as u64, passes.pairs);
            assert!(passes.pairs <= pairs_per_record * 3_000, "{}", passes.pairs);
            assert_eq!(pairs, visited(&records, &passes, 1), "threads change nothing");
            assert!(pairs.iter().all(|(a, b)| a < b));
            let distinct: BTreeSet<_> = pairs.into_iter().collect();
            let same = |a: u32, b: u32| records.row(a)[2] == records.row(b)[2];
            assert_eq!(
                distinct.iter().filter(|(a, b)| same(*a, *b)).count(),
                1_500,
                "who shares an address is compared"
            );
        }
    }

    #[test]
    fn few_records_are_all_compared() {
        let records = town(40);
        let passes = choose(
            &records,
            Budget {
                pairs_per_record: 1,
                exhaustive: 40,
            },
            2,
        );
        assert_eq!((passes.pairs, visited(&records, &passes, 2).len()), (780, 780));
        let stopped = for_each_pair(
            &records,
            &passes,
            2,
            &AtomicBool::new(true),
            || (),
            |(), _, _| (),
            |_| (),
        );
        assert!(stopped.is_none());
    }

    #[test]
    fn names_are_compared_in_either_order() {
        let mut rows: Vec<Vec<String>> = (0..400)
            .map(|at| vec![format!("nam{}e", at % 97), format!("sur{}", at % 89)])
            .collect();
        rows[7] = vec!["Ruby".to_owned(), "Vincent".to_owned()];
        rows[8] = vec!["Vincent".to_owned(), "Ruby".to_owned()];
        let records = records(&[Kind::GivenName, Kind::Surname], &rows);
        let passes = choose(
            &records,
            Budget {
                pairs_per_record: 20,
                exhaustive: 10,
            },
            2,
        );
        let find = records.by_key();
        let (Some(a), Some(b)) = (find("7"), find("8")) else {
            unreachable!("both are there");
        };
        assert!(visited(&records, &passes, 2).contains(&(a.min(b), a.max(b))));
    }
}
