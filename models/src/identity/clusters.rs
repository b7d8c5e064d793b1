//! From pairs to persons: proof against chains, and a function of the records and decisions alone.
//!
//! Links are taken in order: decisions, then rules, then weights, the greatest first, and what is equal in the order of
//! the records. Each joins the two groups of its records unless a decision forbids it, or the groups as wholes say that
//! they are two persons. So a record that looks like two persons joins one of them, and is no bridge to the other.

use std::collections::HashMap;

/// Why two records are linked. The greatest is taken first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// They look like one person.
    Weight,
    /// They share what only one person has.
    Rule,
    /// Somebody said so.
    Decision,
}

/// A reason to join two records.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Edge {
    pub a: u32,
    pub b: u32,
    pub reason: Reason,
    pub weight: f64,
}

/// What became of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It joined two groups.
    Joined,
    /// Others had joined them already.
    Within,
    /// A decision keeps them apart.
    Forbidden,
    /// As groups they are two persons.
    Refused,
}

/// The groups of records.
#[derive(Debug)]
pub(crate) struct Clusters {
    parent: Vec<u32>,
    /// The records of a group in a circle.
    next: Vec<u32>,
    size: Vec<u32>,
    /// Records that are not one person.
    apart: HashMap<u32, Vec<u32>>,
}

impl Clusters {
    /// Each of `count` records alone. `apart` are pairs that never join.
    pub(crate) fn new(count: usize, apart: &[(u32, u32)]) -> Self {
        let mut foes: HashMap<u32, Vec<u32>> = HashMap::new();
        for (a, b) in apart {
            foes.entry(*a).or_default().push(*b);
            foes.entry(*b).or_default().push(*a);
        }
        Self {
            parent: (0..count as u32).collect(),
            next: (0..count as u32).collect(),
            size: vec![1; count],
            apart: foes,
        }
    }

    /// Takes the edges, in an order that does not depend on theirs, and says what became of each. `permits` looks at two
    /// groups of which one has several records.
    pub(crate) fn join(
        &mut self,
        edges: &mut [Edge],
        mut permits: impl FnMut(Reason, &[u32], &[u32]) -> bool,
    ) -> Vec<Outcome> {
        edges.sort_unstable_by(|a, b| {
            let strength = b.reason.cmp(&a.reason).then(b.weight.total_cmp(&a.weight));
            strength.then((a.a, a.b).cmp(&(b.a, b.b)))
        });
        let mut outcomes = Vec::with_capacity(edges.len());
        let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
        for edge in edges.iter() {
            let (a, b) = (self.root(edge.a), self.root(edge.b));
            outcomes.push(if a == b {
                Outcome::Within
            } else if self.is_forbidden(a, b) {
                Outcome::Forbidden
            } else {
                self.members(a, &mut of_a);
                self.members(b, &mut of_b);
                match permits(edge.reason, &of_a, &of_b) {
                    true => {
                        self.unite(a, b);
                        Outcome::Joined
                    }
                    false => Outcome::Refused,
                }
            });
        }
        outcomes
    }

    /// The record that stands for the group of a record.
    pub(crate) fn root(&mut self, record: u32) -> u32 {
        let mut at = record;
        while self.parent[at as usize] != at {
            let above = self.parent[self.parent[at as usize] as usize];
            self.parent[at as usize] = above;
            at = above;
        }
        at
    }

    /// For each record the least one of its group.
    pub(crate) fn labels(mut self) -> Vec<u32> {
        let count = self.parent.len() as u32;
        let mut least = vec![u32::MAX; count as usize];
        let roots: Vec<u32> = (0..count).map(|record| self.root(record)).collect();
        for (record, root) in roots.iter().enumerate() {
            let least = &mut least[*root as usize];
            *least = (*least).min(record as u32);
        }
        roots.into_iter().map(|root| least[root as usize]).collect()
    }

    fn members(&self, root: u32, into: &mut Vec<u32>) {
        into.clear();
        let mut at = root;
        loop {
            into.push(at);
            at = self.next[at as usize];
            if at == root {
                break;
            }
        }
        into.sort_unstable();
    }

    fn is_forbidden(&mut self, a: u32, b: u32) -> bool {
        if self.apart.is_empty() {
            return false;
        }
        let (small, large) = if self.size[a as usize] <= self.size[b as usize] {
            (a, b)
        } else {
            (b, a)
        };
        let mut members = Vec::new();
        self.members(small, &mut members);
        let foes: Vec<u32> = members
            .iter()
            .filter_map(|member| self.apart.get(member))
            .flatten()
            .copied()
            .collect();
        foes.into_iter().any(|foe| self.root(foe) == large)
    }

    fn unite(&mut self, a: u32, b: u32) {
        let (small, large) = if self.size[a as usize] <= self.size[b as usize] {
            (a, b)
        } else {
            (b, a)
        };
        self.parent[small as usize] = large;
        self.size[large as usize] += self.size[small as usize];
        self.next.swap(small as usize, large as usize);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edge(a: u32, b: u32, weight: f64) -> Edge {
        Edge {
            a,
            b,
            reason: Reason::Weight,
            weight,
        }
    }

    fn labels(count: usize, apart: &[(u32, u32)], edges: &[Edge]) -> Vec<u32> {
        let mut clusters = Clusters::new(count, apart);
        clusters.join(&mut edges.to_vec(), |_, _, _| true);
        clusters.labels()
    }

    #[test]
    fn what_is_forbidden_holds_through_others() {
        let edges = [edge(0, 1, 5.0), edge(1, 2, 9.0), edge(2, 3, 1.0)];
        assert_eq!(labels(4, &[], &edges), [0, 0, 0, 0]);
        assert_eq!(labels(4, &[(3, 0)], &edges), [0, 0, 0, 3], "the weakest link gives way");
        assert_eq!(labels(4, &[(0, 2)], &edges), [0, 1, 1, 1]);
    }

    #[test]
    fn a_refusal_leaves_both_as_they_are() {
        let mut clusters = Clusters::new(4, &[]);
        let mut edges = [edge(0, 1, 5.0), edge(1, 2, 4.0), edge(1, 3, 3.0)];
        let outcomes = clusters.join(&mut edges, |_, a, b| !(a.contains(&2) || b.contains(&2)));
        assert_eq!(outcomes, [Outcome::Joined, Outcome::Refused, Outcome::Joined]);
        assert_eq!(clusters.labels(), [0, 0, 2, 0]);
    }

    proptest! {
        #[test]
        fn the_order_of_edges_changes_nothing(
            edges in prop::collection::vec((0u32..12, 0u32..12, 0u8..4, 0u8..3), 0..40),
            apart in prop::collection::vec((0u32..12, 0u32..12), 0..6),
            seed in any::<u64>(),
        ) {
            use rand::SeedableRng;
            use rand::seq::SliceRandom;
            let edges: Vec<Edge> = edges
                .into_iter()
                .filter(|(a, b, _, _)| a != b)
                .map(|(a, b, weight, reason)| Edge {
                    a: a.min(b),
                    b: a.max(b),
                    reason: [Reason::Weight, Reason::Rule, Reason::Decision][reason as usize],
                    weight: f64::from(weight),
                })
                .collect();
            let apart: Vec<_> = apart.into_iter().filter(|(a, b)| a != b).collect();
            let mut shuffled = edges.clone();
            shuffled.shuffle(&mut rand::rngs::SmallRng::seed_from_u64(seed));
            let once = labels(12, &apart, &edges);
            prop_assert_eq!(&once, &labels(12, &apart, &shuffled));
            for (a, b) in apart {
                prop_assert_ne!(once[a as usize], once[b as usize]);
            }
        }
    }
}
