//! Products and shapes of distributions.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::AggregateUDF;

use super::collected::{Definition, Values, function};

/// What aggregates of doubles have in common.
const OF_DOUBLES: Definition = Definition {
    name: "",
    aliases: &[],
    constants: 0,
    optional: 0,
    within_group: false,
    takes: |given| (given.is_numeric() || given.is_null()).then_some(DataType::Float64),
    gives: |_, _| DataType::Float64,
    finish: |_| Ok(ScalarValue::Float64(None)),
    what: "",
    syntax: "",
    example: "",
};

const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "product",
        aliases: &["multiply_agg"],
        finish: |values| of(values, 1, |values| values.iter().product()),
        what: "The product of the values.",
        syntax: "product(value)",
        example: "product(x) of 2, 3 = 6",
        ..OF_DOUBLES
    },
    Definition {
        name: "geometric_mean",
        aliases: &["geomean"],
        finish: |values| {
            of(values, 1, |values| {
                (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
            })
        },
        what: "The geometric mean of the values.",
        syntax: "geometric_mean(value)",
        example: "geometric_mean(x) of 2, 8 = 4",
        ..OF_DOUBLES
    },
    Definition {
        name: "skewness",
        aliases: &["skew"],
        finish: |values| {
            of(values, 3, |values| {
                let n = values.len() as f64;
                let [_, second, third, _] = moments(values);
                (n * (n - 1.0)).sqrt() / (n - 2.0) * third / second.powf(1.5)
            })
        },
        what: "The skewness of the values, from three on.",
        syntax: "skewness(value)",
        example: "skewness(x) of 1, 2, 3 = 0",
        ..OF_DOUBLES
    },
    Definition {
        name: "kurtosis",
        aliases: &[],
        finish: |values| {
            of(values, 4, |values| {
                let n = values.len() as f64;
                let [_, second, _, fourth] = moments(values);
                let excess = fourth / (second * second) - 3.0;
                (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * excess + 6.0)
            })
        },
        what: "The excess kurtosis of the values, corrected for small samples, from four on.",
        syntax: "kurtosis(value)",
        example: "kurtosis(x) of 1, 2, 3, 4 = -1.2",
        ..OF_DOUBLES
    },
];

pub(super) fn all() -> impl Iterator<Item = Arc<AggregateUDF>> {
    DEFINITIONS.iter().map(function)
}

/// The answer for so many values or more, otherwise null.
fn of(values: &Values<'_>, least: usize, answer: fn(&[f64]) -> f64) -> Result<ScalarValue> {
    let doubles = values.values.as_primitive::<Float64Type>();
    let value = (doubles.len() >= least).then(|| answer(doubles.values()));
    // Of values that are all alike there is no shape.
    Ok(ScalarValue::Float64(
        value.filter(|value| !value.is_nan() || least == 1),
    ))
}

/// The mean of the powers of the distance to the mean.
fn moments(values: &[f64]) -> [f64; 4] {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    [1, 2, 3, 4].map(|power| values.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / n)
}
