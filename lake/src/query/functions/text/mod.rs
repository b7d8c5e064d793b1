//! Functions of text.

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

use super::Functions;
use super::define::functions;

mod bytes;
mod characters;
mod format;
pub(in crate::query) mod pattern;
mod places;
mod regexp;
mod sounds;
mod urls;

/// The functions of text.
pub(super) fn all() -> Functions {
    let families = [
        characters::DEFINITIONS,
        places::DEFINITIONS,
        regexp::DEFINITIONS,
        format::DEFINITIONS,
        sounds::DEFINITIONS,
        bytes::DEFINITIONS,
        urls::DEFINITIONS,
    ];
    let scalar = families.into_iter().flat_map(|family| functions("Text", family));
    Functions {
        scalar: scalar.collect::<Vec<Arc<ScalarUDF>>>(),
        ..Functions::default()
    }
}
