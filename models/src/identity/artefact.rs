//! What fitting leaves behind: the weights, and no value of anybody.

use serde::{Deserialize, Serialize};

use super::comparison::Level;
use super::model::{FieldModel, Model, Shares};
use crate::exact;

/// A [`Model`] as bytes keep it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Fitted {
    #[serde(with = "exact")]
    prior: f64,
    fields: Vec<FittedField>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FittedField {
    name: String,
    parents: Vec<usize>,
    is_home: bool,
    #[serde(with = "exact::table")]
    m: Vec<Vec<f64>>,
    #[serde(with = "exact::table")]
    u: Vec<Vec<f64>>,
}

impl Fitted {
    pub(super) fn of(model: &Model, names: impl Iterator<Item = String>) -> Self {
        let table = |of_states: &[Shares; 2]| of_states.iter().map(|shares| shares.to_vec()).collect();
        let fields = model.fields.iter().zip(names).map(|(field, name)| FittedField {
            name,
            parents: field.parents.clone(),
            is_home: field.is_home,
            m: table(&field.m),
            u: table(&field.u),
        });
        Self {
            prior: model.prior,
            fields: fields.collect(),
        }
    }

    pub(super) fn model(&self) -> Model {
        let of_states = |table: &[Vec<f64>]| -> [Shares; 2] {
            let share = |state: usize, level: usize| table.get(state).and_then(|of_state| of_state.get(level));
            // A share that is missing is one that nothing is known of.
            let shares = |state: usize| {
                std::array::from_fn(|level| share(state, level).copied().unwrap_or(1.0 / Level::COUNT as f64))
            };
            [shares(0), shares(1)]
        };
        let fields = self.fields.iter().map(|field| FieldModel {
            parents: field.parents.clone(),
            is_home: field.is_home,
            m: of_states(&field.m),
            u: of_states(&field.u),
        });
        Model {
            fields: fields.collect(),
            prior: self.prior,
        }
    }
}
