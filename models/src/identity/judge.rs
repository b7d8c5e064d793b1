//! Whether two groups of records can be one person: judged by all that is known of both.

use super::clusters::Reason;
use super::comparison::Level;
use super::evidence::Pattern;
use super::kind::Kind;
use super::normalise::national_id::is_checked;
use super::records::Records;
use super::scores::Scorer;

/// The most records of each group that are compared with each other.
const MOST: usize = 24;

/// Judges groups.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    records: &'a Records,
    scorer: Scorer<'a>,
    /// What two groups weigh at least if they join.
    least: f64,
    national_ids: Vec<usize>,
    values: Vec<Option<u32>>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(records: &'a Records, scorer: Scorer<'a>, least: f64) -> Self {
        let of_kind = |at: &usize| records.fields[*at].kind == Kind::NationalId;
        Self {
            records,
            scorer,
            least,
            national_ids: (0..records.fields.len()).filter(of_kind).collect(),
            values: Vec::new(),
        }
    }

    /// Whether a link may join two groups.
    pub(crate) fn permits(&mut self, reason: Reason, a: &[u32], b: &[u32]) -> bool {
        match reason {
            Reason::Decision => true,
            Reason::Rule => !self.is_impossible(a, b),
            Reason::Weight => !self.is_impossible(a, b) && (a.len() + b.len() == 2 || self.are_alike(a, b)),
        }
    }

    /// A person and a company, or two numbers of which each person has one.
    fn is_impossible(&self, a: &[u32], b: &[u32]) -> bool {
        self.records.is_company(a[0]) != self.records.is_company(b[0])
            || self.national_ids.iter().any(|field| {
                let of_a = a.iter().find_map(|record| self.checked_id(*field, *record));
                of_a.is_some()
                    && b.iter()
                        .filter_map(|record| self.checked_id(*field, *record))
                        .any(|of_b| Some(of_b) != of_a)
            })
    }

    fn checked_id(&self, field: usize, record: u32) -> Option<u32> {
        let mut values = self.records.values_of(field, self.records.row(record)[field]);
        values.find(|value| is_checked(self.records.fields[field].values.get(*value)))
    }

    /// Weighs two groups as two records that have the values of all theirs, and lets them join unless most of their
    /// records contradict each other.
    fn are_alike(&mut self, a: &[u32], b: &[u32]) -> bool {
        let (a, b) = (&a[..a.len().min(MOST)], &b[..b.len().min(MOST)]);
        let mut whole = Pattern::default();
        let mut shared: Vec<Option<u32>> = Vec::new();
        let mut contradictions = 0;
        for of_a in a {
            for of_b in b {
                let pattern = self.scorer.compare(*of_a, *of_b, &mut self.values);
                shared.resize(self.values.len(), None);
                for (at, value) in self.values.iter().enumerate() {
                    let (level, best) = (pattern.level(at), whole.level(at));
                    if level != Level::Missing && (best == Level::Missing || level < best) {
                        whole.set(at, level);
                    }
                    shared[at] = match (shared[at], *value) {
                        (Some(one), Some(other)) => Some(self.scorer.rarer(at, one, other)),
                        (one, other) => one.or(other),
                    };
                }
                contradictions += usize::from(self.scorer.field_weights(pattern, &self.values).sum::<f64>() < 0.0);
            }
        }
        2 * contradictions <= a.len() * b.len() && self.scorer.total(whole, &shared) >= self.least
    }
}
