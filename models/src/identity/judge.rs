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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::comparison::Level;
    use crate::identity::model::{FieldModel, Model};
    use crate::identity::records::tests::records;

    const KINDS: [Kind; 4] = [Kind::GivenName, Kind::Surname, Kind::Phone, Kind::NationalId];

    fn model() -> Model {
        let field = |u: f64| FieldModel {
            parents: Vec::new(),
            is_home: false,
            m: [[0.0, 0.9, 0.04, 0.02, 0.02, 0.02]; 2],
            u: [[0.0, u, u, u, u, 1.0 - 4.0 * u]; 2],
        };
        Model {
            fields: vec![field(0.01), field(0.001), field(0.0001), field(0.00001)],
            prior: 1e-4,
        }
    }

    #[test]
    fn a_record_that_looks_like_two_is_no_bridge() {
        // A couple with one telephone, and a record without a given name that could be either's.
        let rows = [
            ["Ana", "García", "770111222", ""],
            ["", "García", "770111222", ""],
            ["Luis", "García", "770111222", ""],
            ["Ana", "García", "", "12345678Z"],
            ["Ana", "García", "770111222", "X1234567L"],
        ];
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|text| (*text).to_owned()).collect())
            .collect();
        let (records, model) = (records(&KINDS, &rows), model());
        let find = records.by_key();
        let [ana, both, luis, first, second] = ["0", "1", "2", "3", "4"].map(|key| find(key).unwrap_or_default());
        let mut judge = Judge::new(&records, Scorer::new(&records, &model), 3.0);
        assert!(judge.permits(Reason::Weight, &[ana], &[both]));
        assert!(judge.permits(Reason::Weight, &[luis], &[both]));
        assert!(!judge.permits(Reason::Weight, &[ana, both], &[luis]));
        assert!(
            judge.permits(Reason::Rule, &[ana, both], &[luis]),
            "who says that a login is a person's is believed"
        );
        assert!(
            !judge.permits(Reason::Rule, &[first], &[second]),
            "two numbers of the state"
        );
        assert!(judge.permits(Reason::Decision, &[first], &[second]));
        assert_eq!(Level::of(9), Level::Different);
    }
}
