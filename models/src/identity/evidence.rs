//! What a pair of records says for and against being of one person.

use super::comparison::{Level, compare};
use super::hash;
use super::kind::Kind;
use super::records::{NONE, Records, Several};

/// The most fields that are compared: a pattern of their levels is one number.
pub(crate) const MOST_FIELDS: usize = 21;

/// The levels of all compared fields of a pair, three bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Pattern(pub u64);

impl Pattern {
    pub(crate) fn level(self, field: usize) -> Level {
        Level::of((self.0 >> (3 * field) & 7) as usize)
    }

    pub(crate) fn set(&mut self, field: usize, level: Level) {
        self.0 = self.0 & !(7 << (3 * field)) | (level as u64) << (3 * field);
    }
}

/// Compares records, and remembers levels of pairs of values: most pairs of records have names that others have too.
#[derive(Debug)]
pub(crate) struct Comparer<'a> {
    records: &'a Records,
    /// The fields of the pattern.
    pub fields: Vec<usize>,
    given: Option<usize>,
    surname: Option<usize>,
    known: Vec<Known>,
}

/// A pair of values of one field, and its level.
#[derive(Debug, Clone, Copy)]
struct Known {
    values: u64,
    field: u8,
    level: Level,
}

/// How many pairs of values are remembered, and of how many values at most: pairs of more hardly come again.
const KNOWN: usize = 1 << 15;
const FEW: usize = 1 << 16;

impl<'a> Comparer<'a> {
    pub(crate) fn new(records: &'a Records) -> Self {
        let fields = compared(records);
        let of = |kind| fields.iter().position(|at| records.fields[*at].kind == kind);
        Self {
            records,
            given: of(Kind::GivenName),
            surname: of(Kind::Surname),
            fields,
            known: vec![
                Known {
                    values: u64::MAX,
                    field: u8::MAX,
                    level: Level::Missing
                };
                KNOWN
            ],
        }
    }

    /// The level of one field of a pair, and the number of the value that both have, if they have one.
    pub(crate) fn level(&mut self, at: usize, a: u32, b: u32) -> (Level, Option<u32>) {
        let field = self.fields[at];
        let (number_a, number_b) = (self.records.row(a)[field], self.records.row(b)[field]);
        self.of_numbers(at, number_a, number_b)
    }

    fn of_numbers(&mut self, at: usize, a: u32, b: u32) -> (Level, Option<u32>) {
        if a == NONE || b == NONE {
            return (Level::Missing, None);
        }
        let field = self.fields[at];
        let (of_a, of_b) = (self.records.values_of(field, a), self.records.values_of(field, b));
        if let (Several::One(a), Several::One(b)) = (of_a, of_b) {
            return if a == b {
                (Level::Exact, Some(a))
            } else {
                (self.of_values(at, a, b), None)
            };
        }
        let shared = self.shared(at, a, b);
        if shared.is_some() {
            return (Level::Exact, shared);
        }
        let mut best = Level::Different;
        for a in of_a {
            for b in of_b {
                best = best.min(self.of_values(at, a, b));
            }
        }
        (best, None)
    }

    /// The value that two numbers of a field have both, the rarest if there are several.
    pub(crate) fn shared(&self, at: usize, a: u32, b: u32) -> Option<u32> {
        let field = self.fields[at];
        let (of_a, of_b) = (self.records.values_of(field, a), self.records.values_of(field, b));
        let counts = &self.records.fields[field].counts;
        of_a.filter(|a| of_b.into_iter().any(|b| *a == b))
            .min_by_key(|value| counts[*value as usize])
    }

    /// Whether levels of a field are remembered.
    pub(crate) fn remembers(&self, at: usize) -> bool {
        self.records.fields[self.fields[at]].values.len() <= FEW
    }

    fn of_values(&mut self, at: usize, a: u32, b: u32) -> Level {
        let field = &self.records.fields[self.fields[at]];
        if !self.remembers(at) {
            return compare(field.kind, field.values.get(a), field.values.get(b));
        }
        let values = u64::from(a.min(b)) << 32 | u64::from(a.max(b));
        let slot = hash::mix(values, at as u64) as usize & (KNOWN - 1);
        let known = self.known[slot];
        if known.values == values && known.field == at as u8 {
            return known.level;
        }
        let level = compare(field.kind, field.values.get(a), field.values.get(b));
        self.known[slot] = Known {
            values,
            field: at as u8,
            level,
        };
        level
    }

    /// The levels of all fields of a pair.
    pub(crate) fn pattern(&mut self, a: u32, b: u32) -> Pattern {
        let mut pattern = Pattern::default();
        for at in 0..self.fields.len() {
            pattern.set(at, self.level(at, a, b).0);
        }
        self.with_swapped_names(pattern, a, b)
    }

    /// The pattern of a pair with what is only seen across fields: the given name of one is the surname of the other.
    pub(crate) fn with_swapped_names(&self, mut pattern: Pattern, a: u32, b: u32) -> Pattern {
        if let Some(names) = self.names()
            && names.iter().any(|at| pattern.level(*at) == Level::Different)
            && self.are_names_swapped(a, b)
        {
            names.iter().for_each(|at| pattern.set(*at, Level::Close));
        }
        pattern
    }

    /// Where given name and surname are in the pattern, if both are.
    pub(crate) fn names(&self) -> Option<[usize; 2]> {
        Some([self.given?, self.surname?])
    }

    /// Whether the given name of each record is the surname of the other.
    pub(crate) fn are_names_swapped(&self, a: u32, b: u32) -> bool {
        let Some([given, surname]) = self.names() else {
            return false;
        };
        let text = |at: usize, record: u32| match self
            .records
            .values_of(self.fields[at], self.records.row(record)[self.fields[at]])
        {
            Several::One(value) => self.records.fields[self.fields[at]].values.get(value),
            _ => "",
        };
        let is_same = |a: &str, b: &str| !a.is_empty() && a == b;
        is_same(text(given, a), text(surname, b)) && is_same(text(given, b), text(surname, a))
    }
}

/// The fields of a pattern: all but identifiers, which join by rule.
pub(crate) fn compared(records: &Records) -> Vec<usize> {
    let is_compared = |at: &usize| records.fields[*at].kind != Kind::Identifier;
    (0..records.fields.len()).filter(is_compared).collect()
}
