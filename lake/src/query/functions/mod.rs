//! Functions of SQL that the engine lacks, or has with another meaning: PostgreSQL's, where products disagree. One file
//! a family. A function that is registered here replaces the engine's of that name.

pub(in crate::query) mod casts;
pub(in crate::query) mod dates;
mod definition;

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

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
    for family in [casts::all(), dates::all()] {
        all.scalar.extend(family.scalar);
        all.aggregate.extend(family.aggregate);
        all.window.extend(family.window);
    }
    all
}
