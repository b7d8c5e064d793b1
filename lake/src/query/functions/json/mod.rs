//! JSON in text. A value that is JSON stays the text that it came as: numbers keep their spelling.
//!
//! Functions that give JSON say so in the metadata of their column, as Arrow's extension `arrow.json`, so that those that
//! make JSON of their arguments put it in as it is and not as a quoted text.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::Field;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ScalarUDF;

use super::Functions;
use super::define::functions;

mod access;
mod canonical;
mod change;
mod compare;
mod condition;
mod make;
mod number;
mod order;
pub(super) mod parts;
pub(super) mod path;
pub(in super::super) mod records;
pub(in super::super) mod scan;
#[cfg(test)]
mod tests;
pub(in super::super) mod write;

/// Arrow's name of the extension is under this key. (Arrow, "Canonical Extension Types".)
const EXTENSION: &str = "ARROW:extension:name";

/// Arrow's name of JSON in text.
const JSON: &str = "arrow.json";

/// The field, said to be JSON.
pub(super) fn mark(field: Field) -> Field {
    field.with_metadata([(EXTENSION.to_owned(), JSON.to_owned())].into())
}

/// Whether the field is said to be JSON.
pub(in super::super) fn is_json(field: &Field) -> bool {
    field.metadata().get(EXTENSION).is_some_and(|name| name == JSON)
}

/// Made once, for each session has them.
static SCALAR: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
    let families = [
        access::DEFINITIONS,
        parts::DEFINITIONS,
        compare::DEFINITIONS,
        make::DEFINITIONS,
        change::DEFINITIONS,
        order::DEFINITIONS,
    ];
    let all = families.into_iter().flat_map(|family| functions("JSON", family));
    all.chain([records::function()]).collect()
});

/// The function by whose bytes values of JSON are compared.
///
/// # Errors
/// Internal: it is not there.
pub(in crate::query) fn order() -> Result<Arc<ScalarUDF>> {
    named(order::NAME)
}

/// `nullif` of values of JSON.
///
/// # Errors
/// Internal: it is not there.
pub(in crate::query) fn nullif() -> Result<Arc<ScalarUDF>> {
    named(order::NULLIF)
}

fn named(name: &str) -> Result<Arc<ScalarUDF>> {
    match SCALAR.iter().find(|function| function.name() == name) {
        Some(function) => Ok(function.clone()),
        None => internal_err!("{name} is missing"),
    }
}

/// The functions of JSON.
pub(in crate::query) fn all() -> Functions {
    Functions {
        scalar: SCALAR.clone(),
        ..Functions::default()
    }
}
