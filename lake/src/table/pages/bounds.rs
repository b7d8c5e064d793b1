//! Whether a column chunk's least and greatest value are still among its rows when some are gone.

use parquet::file::statistics::Statistics;

/// The exact bounds that a chunk's statistics name. Nothing is compared by order: a bound holds for fewer rows as
/// well, and stays exact as long as one of them has its value.
pub(super) struct Bounds(Vec<Bound>);

struct Bound {
    /// As plain encoding writes it, without a length.
    value: Vec<u8>,
    /// Of floating point, where the one zero is a bound for both.
    is_zero: bool,
    /// The dictionary's indexes for it.
    indexes: Vec<u32>,
    removed: bool,
    kept: bool,
}

impl Bounds {
    pub(super) fn new(statistics: Option<&Statistics>) -> Self {
        let Some(statistics) = statistics else {
            return Self(Vec::new());
        };
        let float = matches!(statistics, Statistics::Float(_) | Statistics::Double(_));
        let least = statistics.min_bytes_opt().filter(|_| statistics.min_is_exact());
        let greatest = statistics.max_bytes_opt().filter(|_| statistics.max_is_exact());
        let bounds = least.into_iter().chain(greatest).map(|value| Bound {
            value: value.to_vec(),
            is_zero: float && is_zero(value),
            indexes: Vec::new(),
            removed: false,
            kept: false,
        });
        Self(bounds.collect())
    }

    /// Takes in the next value of the chunk's dictionary.
    pub(super) fn entry(&mut self, index: u32, value: &[u8]) {
        for bound in self.0.iter_mut().filter(|bound| bound.is(value)) {
            bound.indexes.push(index);
        }
    }

    /// Takes in a value that is gone.
    pub(super) fn removed(&mut self, value: &[u8]) {
        for bound in &mut self.0 {
            bound.removed |= bound.is(value);
        }
    }

    /// Takes in the dictionary's index of a value that is gone.
    pub(super) fn removed_index(&mut self, index: u32) {
        for bound in &mut self.0 {
            bound.removed |= bound.indexes.contains(&index);
        }
    }

    /// Takes in the dictionary's indexes of values that stay.
    pub(super) fn kept_indexes(&mut self, indexes: &[u32]) {
        for bound in self.0.iter_mut().filter(|bound| !bound.kept) {
            bound.kept = match bound.indexes[..] {
                [] => false,
                [only] => indexes.contains(&only),
                _ => indexes.iter().any(|index| bound.indexes.contains(index)),
            };
        }
    }

    /// Takes in a value that stays. Not all of them need to be told: those that are not count as other values.
    pub(super) fn kept(&mut self, value: &[u8]) {
        for bound in &mut self.0 {
            bound.kept |= bound.is(value);
        }
    }

    /// Whether a bound may no longer be among the values.
    pub(super) fn are_lost(&self) -> bool {
        self.0.iter().any(|bound| bound.removed && !bound.kept)
    }
}

impl Bound {
    fn is(&self, value: &[u8]) -> bool {
        self.value == value || self.is_zero && is_zero(value)
    }
}

/// Whether a little-endian number of floating point is zero, of either sign.
fn is_zero(value: &[u8]) -> bool {
    value
        .split_last()
        .is_some_and(|(last, rest)| last & 0x7F == 0 && rest.iter().all(|byte| *byte == 0))
}
