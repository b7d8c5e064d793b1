//! Functions of text.

use std::sync::{Arc, LazyLock};

use datafusion::logical_expr::ScalarUDF;

use super::Functions;
use super::define::functions;

mod backtracking;
mod bytes;
mod characters;
mod format;
pub(in crate::query) mod pattern;
mod places;
mod regexp;
mod sounds;
pub(in crate::query) mod substring;
mod urls;

/// Made once, for each session has them.
static SCALAR: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
    let families = [
        characters::DEFINITIONS,
        places::DEFINITIONS,
        regexp::DEFINITIONS,
        format::DEFINITIONS,
        sounds::DEFINITIONS,
        bytes::DEFINITIONS,
        urls::DEFINITIONS,
    ];
    let all = families.into_iter().flat_map(|family| functions("Text", family));
    all.chain([substring::function()]).collect()
});

/// The functions of text.
pub(in crate::query) fn all() -> Functions {
    Functions {
        scalar: SCALAR.clone(),
        ..Functions::default()
    }
}
