//! The blocks of a pass: records that share a code of each of its parts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::atoms::Atom;
use super::passes::{Pass, Passes};
use crate::identity::records::Records;
use crate::identity::{hash, threads};

/// The most blocks of one pass that a record is in.
const MOST: usize = 8;

/// How many bits of a block's hash say in which part its entries are.
const PART_BITS: u32 = 6;

/// A record in a block: the block's hash in the upper half.
pub(super) type Entry = u64;

fn entry(block: u64, record: u32) -> Entry {
    block >> 32 << 32 | u64::from(record)
}

fn block_of(entry: Entry) -> u32 {
    (entry >> 32) as u32
}

fn record_of(entry: Entry) -> u32 {
    entry as u32
}

/// Puts records into blocks.
#[derive(Default)]
struct Placing {
    room: Vec<u32>,
    hashes: Vec<u64>,
}

impl Placing {
    /// The hashes of the blocks that a record is in; none when a part is missing.
    fn hashes(&mut self, atoms: &[&Atom], record: u32) -> &[u64] {
        let Self { room, hashes } = self;
        hashes.clear();
        for (at, atom) in atoms.iter().enumerate() {
            let codes = atom.codes(record, room);
            if at == 0 {
                hashes.extend(codes.iter().take(MOST).map(|code| hash::mix(0, u64::from(*code))));
                continue;
            }
            let before = hashes.len();
            for code in codes {
                for at in 0..before {
                    if hashes.len() < before + MOST {
                        hashes.push(hash::mix(hashes[at], u64::from(*code)));
                    }
                }
            }
            hashes.drain(..before);
        }
        hashes
    }
}

/// The entries of these records in ascending order.
fn entries(atom: &Atom, of: impl Iterator<Item = u32>) -> Vec<Entry> {
    let (mut placing, mut entries) = (Placing::default(), Vec::new());
    for record in of {
        let blocks = placing.hashes(&[atom], record);
        entries.extend(blocks.iter().map(|block| entry(*block, record)));
    }
    entries.sort_unstable();
    entries.dedup();
    entries
}

/// The entries of `count` records, in ascending order, without those that are alone in their block. They are cut into parts
/// by the first bits of their blocks, so that several threads make and sort them.
pub(super) fn parts(count: usize, atoms: &[&Atom], threads: usize) -> Vec<Vec<Entry>> {
    let share = count.div_ceil(threads.max(1)).max(1);
    let scattered = threads::each(count.div_ceil(share), threads, |at| {
        let mut placing = Placing::default();
        let mut parts = vec![Vec::new(); 1 << PART_BITS];
        for record in at * share..((at + 1) * share).min(count) {
            for block in placing.hashes(atoms, record as u32) {
                parts[(block >> (u64::BITS - PART_BITS)) as usize].push(entry(*block, record as u32));
            }
        }
        parts
    });
    let mut parts = vec![Vec::new(); 1 << PART_BITS];
    for of_thread in scattered {
        for (part, mut more) in parts.iter_mut().zip(of_thread) {
            part.append(&mut more);
        }
    }
    let mut threads = vec![(); threads.max(1)];
    threads::each_of(parts.iter_mut(), &mut threads, |(), part: &mut Vec<Entry>| {
        part.sort_unstable();
        part.dedup();
        leave_out_single(part);
    });
    parts
}

fn leave_out_single(entries: &mut Vec<Entry>) {
    let (mut from, mut kept) = (0, 0);
    while from < entries.len() {
        let block = block_of(entries[from]);
        let size = entries[from..]
            .iter()
            .take_while(|entry| block_of(**entry) == block)
            .count();
        if size > 1 {
            entries.copy_within(from..from + size, kept);
            kept += size;
        }
        from += size;
    }
    entries.truncate(kept);
    entries.shrink_to_fit();
}

fn blocks_of(entries: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    entries.chunk_by(|a, b| block_of(*a) == block_of(*b))
}

/// How large blocks may be, and what makes smaller ones of those that are larger.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    pub most: usize,
    pub finer: Vec<&'a Atom>,
}

impl Cut<'_> {
    /// Gives a block of at least two records to `take`: as it is, or cut into smaller ones. Those that no part makes small
    /// enough are left out.
    fn block(&self, block: &[Entry], depth: usize, take: &mut impl FnMut(&[Entry])) {
        match self.finer.get(depth) {
            _ if block.len() < 2 => {}
            _ if block.len() <= self.most => take(block),
            None => {}
            Some(atom) => {
                let smaller = entries(atom, block.iter().map(|entry| record_of(*entry)));
                blocks_of(&smaller).for_each(|block| self.block(block, depth + 1, take));
            }
        }
    }
}

/// How many pairs the blocks of a pass make, and how many records are in blocks that are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// How large blocks may be.
    pub most: usize,
    pub pairs: u64,
    pub left_out: u64,
    /// Whether no block has to be cut.
    pub is_whole: bool,
}

impl Size {
    fn nothing(most: usize) -> Self {
        Self {
            most,
            pairs: 0,
            left_out: 0,
            is_whole: true,
        }
    }
}

/// The size of a pass for the first of these limits, in descending order, with which it makes at most `budget` pairs. Blocks
/// that are larger are cut by the `finer` parts.
pub(super) fn size(
    parts: &[Vec<Entry>],
    finer: &[&Atom],
    limits: &[usize],
    budget: u64,
    threads: usize,
) -> Option<Size> {
    // No more is counted than it takes to know that it is too much with all of them.
    let counted: Vec<AtomicU64> = limits.iter().map(|_| AtomicU64::new(0)).collect();
    let is_too_much = || counted.iter().all(|pairs| pairs.load(Ordering::Relaxed) > budget);
    let of_parts = threads::each(parts.len(), threads, |at| {
        let mut sizes: Vec<Size> = limits.iter().copied().map(Size::nothing).collect();
        for block in blocks_of(&parts[at]).take_while(|_| !is_too_much()) {
            let before: Vec<u64> = sizes.iter().map(|size| size.pairs).collect();
            count(block, 0, finer, &mut sizes);
            for ((counted, size), before) in counted.iter().zip(&sizes).zip(before) {
                counted.fetch_add(size.pairs - before, Ordering::Relaxed);
            }
        }
        sizes
    });
    let add = |mut all: Vec<Size>, part: Vec<Size>| {
        for (all, part) in all.iter_mut().zip(part) {
            all.pairs += part.pairs;
            all.left_out += part.left_out;
            all.is_whole &= part.is_whole;
        }
        all
    };
    let all = of_parts.into_iter().reduce(add)?;
    all.into_iter().find(|size| size.pairs <= budget)
}

/// Adds a block to the sizes with several limits: it is cut once for all that it is too large for.
fn count(block: &[Entry], depth: usize, finer: &[&Atom], sizes: &mut [Size]) {
    let records = block.len();
    if records < 2 {
        return;
    }
    let fits = sizes.partition_point(|size| records <= size.most);
    let (fitting, others) = sizes.split_at_mut(fits);
    for size in fitting {
        size.pairs += (records * (records - 1) / 2) as u64;
    }
    if others.is_empty() {
        return;
    }
    others.iter_mut().for_each(|size| size.is_whole = false);
    match finer.get(depth) {
        None => others.iter_mut().for_each(|size| size.left_out += records as u64),
        Some(atom) => {
            let smaller = entries(atom, block.iter().map(|entry| record_of(*entry)));
            blocks_of(&smaller).for_each(|block| count(block, depth + 1, finer, others));
        }
    }
}

/// How many pairs a thread takes at a time.
const SHARE: usize = 1 << 16;

/// Gives all pairs of all passes to `visit`, on several threads. Each has a state that `start` makes; after each pass
/// `between` sees all of them, and all are returned. A pair that several passes make is given several times, and the
/// smaller record comes first.
///
/// Nothing is returned when `stop` says so.
pub(crate) fn for_each_pair<S: Send>(
    records: &Records,
    passes: &Passes,
    threads: usize,
    stop: &AtomicBool,
    start: impl Fn() -> S,
    visit: impl Fn(&mut S, u32, u32) + Sync,
    mut between: impl FnMut(&mut [S]),
) -> Option<Vec<S>> {
    let mut states: Vec<S> = (0..threads.max(1)).map(|_| start()).collect();
    let is_stopped = || stop.load(Ordering::Relaxed);
    if passes.is_exhaustive {
        let count = records.len() as u32;
        threads::each_of(0..count, &mut states, |state, first| {
            if !is_stopped() {
                (first + 1..count).for_each(|second| visit(state, first, second));
            }
        });
        between(&mut states);
    }
    for pass in &passes.chosen {
        if is_stopped() {
            return None;
        }
        let parts = parts(records.len(), &passes.atoms_of(pass), threads);
        let cut = passes.cut(pass);
        let shares = parts.iter().flat_map(|part| shares(part, cut.most));
        threads::each_of(shares, &mut states, |state, share| {
            let mut pairs = |block: &[Entry]| {
                for (at, a) in block.iter().enumerate() {
                    for b in &block[at + 1..] {
                        visit(state, record_of(*a), record_of(*b));
                    }
                }
            };
            for block in blocks_of(share).take_while(|_| !is_stopped()) {
                cut.block(block, 0, &mut pairs);
            }
        });
        between(&mut states);
    }
    (!is_stopped()).then_some(states)
}

/// Cuts entries between blocks, so that each share makes about [`SHARE`] pairs.
fn shares(entries: &[Entry], most: usize) -> impl Iterator<Item = &[Entry]> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        let (mut at, mut pairs) = (0, 0);
        for block in blocks_of(rest) {
            at += block.len();
            pairs += block.len() * block.len().min(most);
            if pairs >= SHARE {
                break;
            }
        }
        let (share, others) = rest.split_at(at);
        rest = others;
        (!share.is_empty()).then_some(share)
    })
}

/// Whether two records share all parts of a pass, be their block large or small.
pub(crate) fn shares_block(passes: &Passes, a: u32, b: u32, scratch: &mut Scratch) -> bool {
    let Scratch { of_a, of_b, shared } = scratch;
    shared.clear();
    shared.extend(passes.atoms.iter().map(|atom| {
        let of_a = atom.codes(a, of_a);
        let of_b = atom.codes(b, of_b);
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
