//! Functions of numbers, with PostgreSQL's answers: what has none is an error. (PostgreSQL 15, chapter 9.3.)

mod average;
mod bits;
mod define;
mod floats;
mod operations;
mod rounding;
mod sum;
mod whole;

use std::sync::Arc;

use datafusion::functions::math;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

use super::Functions;

/// Where the documentation has them.
const SECTION: &str = "Numbers";

pub(super) fn all() -> Functions {
    let mut scalar = Vec::new();
    for definitions in [floats::ALL, bits::ALL] {
        scalar.extend(
            definitions
                .iter()
                .map(|definition| Arc::new(ScalarUDF::from(define::OfNumbers::new(definition)))),
        );
    }
    scalar.extend(rounding::all());
    scalar.extend(operations::all());
    scalar.extend(whole::all());
    scalar.push(Arc::new(math::random().as_ref().clone().with_aliases(["rand"])));
    Functions {
        scalar,
        aggregate: vec![
            Arc::new(AggregateUDF::from(average::Average::default())),
            Arc::new(AggregateUDF::from(sum::Sum::default())),
        ],
        ..Functions::default()
    }
}

/// What `^` and `**` are.
pub(in crate::query) fn power() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(define::OfNumbers::new(&floats::POWER)))
}
