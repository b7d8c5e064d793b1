//! The blocks of a pass: records that share a code of each of its parts.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::atoms::Atom;
use super::passes::{Pass, Passes};
use crate::identity::hash;
use crate::identity::records::Records;

/// The most blocks of one pass that a record is in.
const MOST: usize = 8;

/// A record in a block: the block's hash in the upper half.
type Entry = u64;

fn block_of(entry: Entry) -> u32 {
    (entry >> 32) as u32
}

fn record_of(entry: Entry) -> u32 {
    entry as u32
}

/// The hashes of the blocks that a record is in; none when a part is missing.
fn hashes(records: &Records, atoms: &[&Atom], record: u32, codes: &mut Vec<u32>, hashes: &mut Vec<u64>) {
    hashes.clear();
    hashes.push(0);
    for atom in atoms {
        atom.codes(records, record, codes);
        let before = hashes.len();
        for code in codes.iter() {
            for at in 0..before {
                if hashes.len() < before + MOST {
                    hashes.push(hash::mix(hashes[at], u64::from(*code)));
                }
            }
        }
        hashes.drain(..before);
    }
}

/// The entries of these records in ascending order, without those that are alone in their block.
fn entries(records: &Records, atoms: &[&Atom], of: impl Iterator<Item = u32>) -> Vec<Entry> {
    let (mut codes, mut blocks, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for record in of {
        hashes(records, atoms, record, &mut codes, &mut blocks);
        entries.extend(blocks.iter().map(|block| block >> 32 << 32 | u64::from(record)));
    }
    entries.sort_unstable();
    entries.dedup();
    entries
}

/// How large blocks may be, and what makes smaller ones of those that are larger.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    pub records: &'a Records,
    pub most: usize,
    pub finer: Vec<&'a Atom>,
}

impl Cut<'_> {
    /// Gives each block of at least two records to `take`: as it is, or cut into smaller ones. The records of those that
    /// no part makes small enough are given to `leave`.
    fn blocks(&self, entries: &[Entry], depth: usize, take: &mut impl FnMut(&[Entry]), leave: &mut impl FnMut(usize)) {
        for block in entries.chunk_by(|a, b| block_of(*a) == block_of(*b)) {
            match self.finer.get(depth) {
                _ if block.len() < 2 => {}
                _ if block.len() <= self.most => take(block),
                None => leave(block.len()),
                Some(atom) => {
                    let members = block.iter().map(|entry| record_of(*entry));
                    let smaller = self::entries(self.records, &[atom], members);
                    self.blocks(&smaller, depth + 1, take, leave);
                }
            }
        }
    }
}

/// How many pairs the blocks of a pass make, and how many records are in blocks that are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub pairs: u64,
    pub left_out: u64,
    /// Whether no block had to be cut.
    pub is_whole: bool,
}

/// The first of these limits of blocks that makes at most `most` pairs, and the size of the pass with it.
pub(super) fn largest_that_fits(
    records: &Records,
    pass: &[&Atom],
    finer: &[&Atom],
    limits: &[usize],
    most: u64,
) -> Option<(usize, Size)> {
    let entries = entries(records, pass, 0..records.len() as u32);
    let sizes = limits.iter().map(|limit| {
        let cut = Cut {
            records,
            most: *limit,
            finer: finer.to_vec(),
        };
        let (mut pairs, mut left_out) = (0, 0);
        cut.blocks(
            &entries,
            0,
            &mut |block| pairs += (block.len() * (block.len() - 1) / 2) as u64,
            &mut |count| left_out += count as u64,
        );
        let mut blocks = entries.chunk_by(|a, b| block_of(*a) == block_of(*b));
        let is_whole = blocks.all(|block| block.len() <= *limit);
        (
            *limit,
            Size {
                pairs,
                left_out,
                is_whole,
            },
        )
    });
    sizes.into_iter().find(|(_, size)| size.pairs <= most)
}

/// How many pairs a thread takes at a time.
const SHARE: usize = 1 << 16;

/// Gives all pairs of all passes to `visit`, on several threads. Each has a state that `start` makes; all states are
/// returned. A pair that several passes make is given several times, and the smaller record comes first.
///
/// Nothing is returned when `stop` says so.
pub(crate) fn for_each_pair<S: Send>(
    records: &Records,
    passes: &Passes,
    threads: usize,
    stop: &AtomicBool,
    start: impl Fn() -> S + Sync,
    visit: impl Fn(&mut S, u32, u32) + Sync,
) -> Option<Vec<S>> {
    if passes.is_exhaustive {
        return all_pairs(records, threads, stop, start, visit);
    }
    let mut states: Vec<S> = (0..threads).map(|_| start()).collect();
    for pass in &passes.chosen {
        let entries = entries(records, &passes.atoms_of(pass), 0..records.len() as u32);
        let cut = passes.cut(records, pass);
        let shares = shares(&entries, cut.most);
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for state in &mut states {
                let (next, shares, entries, cut, visit) = (&next, &shares, &entries, &cut, &visit);
                scope.spawn(move || {
                    while let Some(share) = shares.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let mut pairs = |block: &[Entry]| {
                            for (at, a) in block.iter().enumerate() {
                                for b in &block[at + 1..] {
                                    visit(state, record_of(*a), record_of(*b));
                                }
                            }
                        };
                        cut.blocks(&entries[share.clone()], 0, &mut pairs, &mut |_| ());
                    }
                });
            }
        });
    }
    (!stop.load(Ordering::Relaxed)).then_some(states)
}

fn all_pairs<S: Send>(
    records: &Records,
    threads: usize,
    stop: &AtomicBool,
    start: impl Fn() -> S + Sync,
    visit: impl Fn(&mut S, u32, u32) + Sync,
) -> Option<Vec<S>> {
    let count = records.len() as u32;
    let next = AtomicUsize::new(0);
    let mut states: Vec<S> = (0..threads).map(|_| start()).collect();
    std::thread::scope(|scope| {
        for state in &mut states {
            let (next, visit) = (&next, &visit);
            scope.spawn(move || {
                loop {
                    let first = next.fetch_add(1, Ordering::Relaxed) as u32;
                    if first >= count || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    (first + 1..count).for_each(|second| visit(state, first, second));
                }
            });
        }
    });
    (!stop.load(Ordering::Relaxed)).then_some(states)
}

/// Cuts entries between blocks, so that each part makes about [`SHARE`] pairs.
fn shares(entries: &[Entry], most: usize) -> Vec<std::ops::Range<usize>> {
    let (mut shares, mut from, mut at, mut pairs) = (Vec::new(), 0, 0, 0);
    for block in entries.chunk_by(|a, b| block_of(*a) == block_of(*b)) {
        at += block.len();
        pairs += block.len() * block.len().min(most);
        if pairs >= SHARE {
            shares.push(from..at);
            (from, pairs) = (at, 0);
        }
    }
    shares.push(from..at);
    shares
}

/// Whether two records share all parts of a pass, be their block large or small.
pub(crate) fn shares_block(records: &Records, passes: &Passes, a: u32, b: u32, scratch: &mut Scratch) -> bool {
    let Scratch { of_a, of_b, shared } = scratch;
    shared.clear();
    shared.extend(passes.atoms.iter().map(|atom| {
        atom.codes(records, a, of_a);
        atom.codes(records, b, of_b);
        of_a.iter().any(|code| of_b.contains(code))
    }));
    passes.is_exhaustive
        || passes
            .chosen
            .iter()
            .any(|pass: &Pass| pass.atoms.iter().all(|atom| shared[*atom]))
}

/// Room for [`shares_block`].
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    of_a: Vec<u32>,
    of_b: Vec<u32>,
    shared: Vec<bool>,
}
