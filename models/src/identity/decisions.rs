//! What stewards have decided about pairs of records: rows of a table, whose order says nothing.

use std::collections::BTreeMap;

use super::records::Records;

/// Whether two records are of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Link,
    /// Of two decisions of the same time, the one that keeps apart counts.
    Never,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub a: String,
    pub b: String,
    pub verdict: Verdict,
    /// When it was made, in anything that grows. The last one counts.
    pub at: Option<i64>,
}

/// Pairs of records about which something is decided.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decided {
    pub link: Vec<(u32, u32)>,
    pub never: Vec<(u32, u32)>,
    /// Decisions about a record that is not there (any more).
    pub without_record: usize,
}

/// What counts of all decisions, for the records that there are.
pub(crate) fn decided(records: &Records, decisions: &[Decision]) -> Decided {
    let mut last: BTreeMap<(&str, &str), (Option<i64>, Verdict)> = BTreeMap::new();
    for Decision { a, b, verdict, at } in decisions.iter().filter(|decision| decision.a != decision.b) {
        let pair = if a < b {
            (a.as_str(), b.as_str())
        } else {
            (b.as_str(), a.as_str())
        };
        let known = last.entry(pair).or_insert((*at, *verdict));
        *known = (*known).max((*at, *verdict));
    }
    let find = records.by_key();
    let mut decided = Decided::default();
    for ((a, b), (_, verdict)) in last {
        match (find(a), find(b), verdict) {
            (Some(a), Some(b), Verdict::Link) => decided.link.push((a.min(b), a.max(b))),
            (Some(a), Some(b), Verdict::Never) => decided.never.push((a.min(b), a.max(b))),
            _ => decided.without_record += 1,
        }
    }
    decided.link.sort_unstable();
    decided.never.sort_unstable();
    decided
}
