//! The model of Fellegi and Sunter: how often each level is seen among pairs of one person and among others, and what a
//! pair therefore weighs.
//!
//! Fields are not independent: who shares an address often shares a telephone, and a postcode is in one town. A field
//! may therefore have parents, and one distribution for pairs in which they are the same, one for the rest.

use super::comparison::Level;
use super::evidence::Pattern;

/// A distribution over levels; what is missing has none.
pub(crate) type Shares = [f64; Level::COUNT];

/// What is known of one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldModel {
    /// The fields that it depends on.
    pub parents: Vec<usize>,
    /// Whether values that are nearly the same are of one place: streets, of which the flat is left out.
    pub is_home: bool,
    /// Among pairs of one person: where its parents are not all the same, and where they are.
    pub m: [Shares; 2],
    /// The same among pairs of others.
    pub u: [Shares; 2],
}

/// What pairs of records weigh.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    pub fields: Vec<FieldModel>,
    /// The share of all pairs that are of one person.
    pub prior: f64,
}

impl Model {
    /// Whether the parents of a field are all the same, as a position.
    pub(crate) fn state(&self, field: usize, pattern: Pattern) -> usize {
        let parents = &self.fields[field].parents;
        let is_same = |parent: &usize| match pattern.level(*parent) {
            Level::Exact => true,
            Level::Close | Level::Similar => self.fields[*parent].is_home,
            _ => false,
        };
        usize::from(!parents.is_empty() && parents.iter().all(is_same))
    }

    /// How much more likely a level is among pairs of one person, in bits.
    pub(crate) fn weight(&self, field: usize, state: usize, level: Level) -> f64 {
        if level == Level::Missing {
            return 0.0;
        }
        let FieldModel { m, u, .. } = &self.fields[field];
        let weight = |level: Level| (m[state][level as usize] / u[state][level as usize]).log2();
        // What is hardly ever seen says little, and no more than that both are the same.
        weight(level).min(weight(Level::Exact))
    }

    /// The odds before anything is compared, in bits.
    pub(crate) fn prior_weight(&self) -> f64 {
        (self.prior / (1.0 - self.prior)).log2()
    }
}

/// The probability of odds in bits.
pub(crate) fn probability(weight: f64) -> f64 {
    1.0 / (1.0 + (-weight).exp2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_house_is_one_with_and_without_the_flat() {
        let field = |parents: &[usize], is_home: bool| FieldModel {
            parents: parents.to_vec(),
            is_home,
            m: [[0.2; Level::COUNT]; 2],
            u: [[0.2; Level::COUNT]; 2],
        };
        // A telephone that depends on a street and a postcode.
        let model = Model {
            fields: vec![field(&[1, 2], false), field(&[], true), field(&[], false)],
            prior: 0.1,
        };
        let state = |street: Level, postcode: Level| {
            let mut pattern = Pattern::default();
            pattern.set(1, street);
            pattern.set(2, postcode);
            model.state(0, pattern)
        };
        assert_eq!(state(Level::Exact, Level::Exact), 1);
        assert_eq!(state(Level::Similar, Level::Exact), 1);
        assert_eq!(state(Level::Weak, Level::Exact), 0, "another house");
        assert_eq!(state(Level::Similar, Level::Close), 0, "another postcode");
        assert_eq!(state(Level::Similar, Level::Missing), 0);
    }
}
