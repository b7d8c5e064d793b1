//! Functions of SQL that the engine lacks, or has with another meaning: PostgreSQL's, where products disagree. One file
//! a family. A function that is registered here replaces the engine's of that name.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::type_coercion::functions::{UDFCoercionExt, fields_with_udf};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub(super) mod aggregates;
mod bounded;
pub(in crate::query) mod casts;
mod coalesce;
mod conditionals;
pub(in crate::query) mod dates;
mod define;
mod definition;
pub(super) mod json;
pub(super) mod lists;
mod numbers;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod page;
mod session;
pub(super) mod text;
pub(super) mod windows;

pub(super) use bounded::bound;
pub(super) use numbers::power;

/// What a family registers.
#[derive(Default)]
pub(super) struct Functions {
    pub scalar: Vec<Arc<ScalarUDF>>,
    pub aggregate: Vec<Arc<AggregateUDF>>,
    pub window: Vec<Arc<WindowUDF>>,
}

/// All functions of the lake's sessions, the engine's left out.
pub(super) fn all() -> Functions {
    let mut all = Functions::default();
    for family in [
        aggregates::all(),
        casts::all(),
        coalesce::all(),
        conditionals::all(),
        dates::all(),
        json::all(),
        lists::all(),
        numbers::all(),
        session::all(),
        text::all(),
        windows::all(),
    ] {
        all.scalar.extend(family.scalar);
        all.aggregate.extend(family.aggregate);
        all.window.extend(family.window);
    }
    all
}

/// The types that a function of the engine makes of those that it is given.
///
/// # Errors
/// Plan: it does not take them.
fn coerced_by(engine: &impl UDFCoercionExt, given: &[DataType]) -> Result<Vec<DataType>> {
    let fields = given
        .iter()
        .map(|own| Arc::new(Field::new("", own.clone(), true)))
        .collect::<Vec<FieldRef>>();
    let taken = fields_with_udf(&fields, engine)?;
    Ok(taken.iter().map(|field| field.data_type().clone()).collect())
}
