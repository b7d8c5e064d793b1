//! Standardisation: every feature to mean 0 and standard deviation 1, so that none outweighs the others.

use serde::{Deserialize, Serialize};

use crate::exact;
use crate::features::Matrix;

/// How the features of the fitted rows become comparable, and those of any other row with them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standardiser {
    features: Vec<Scale>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Scale {
    /// Take the symmetric logarithm first.
    log: bool,
    /// The largest magnitude. Dividing by it first keeps the squares of the variance from overflowing.
    #[serde(with = "exact")]
    magnitude: f64,
    /// Mean of what is left.
    #[serde(with = "exact")]
    mean: f64,
    /// Population standard deviation of what is left; 0 for a feature that does not vary.
    #[serde(with = "exact")]
    deviation: f64,
}

impl Standardiser {
    /// Fits on `rows`; `log` says which features are skewed and take their logarithm first.
    pub(crate) fn fit(rows: &Matrix, log: &[bool]) -> Self {
        let features = log
            .iter()
            .enumerate()
            .map(|(column, &log)| Scale::fit(rows, column, log))
            .collect();
        Self { features }
    }

    /// Standardises one row in place.
    pub(crate) fn apply(&self, row: &mut [f64]) {
        for (value, scale) in row.iter_mut().zip(&self.features) {
            *value = scale.apply(*value);
        }
    }
}

impl Scale {
    fn fit(rows: &Matrix, column: usize, log: bool) -> Self {
        let values = || rows.rows().map(|row| transform(row[column], log));
        let count = rows.len().max(1) as f64;
        let magnitude = values().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let mut scale = Self {
            log,
            magnitude,
            mean: 0.0,
            deviation: 0.0,
        };
        let constant = values().zip(values().skip(1)).all(|(a, b)| a == b);
        if !constant {
            scale.mean = values().map(|value| value / magnitude).sum::<f64>() / count;
            let variance = values()
                .map(|value| (value / magnitude - scale.mean).powi(2))
                .sum::<f64>()
                / count;
            scale.deviation = variance.sqrt();
        }
        scale
    }

    fn apply(&self, value: f64) -> f64 {
        if self.deviation == 0.0 {
            return 0.0;
        }
        (transform(value, self.log) / self.magnitude - self.mean) / self.deviation
    }
}

/// The symmetric logarithm, sign(x) · ln(1 + |x|): ln(1 + x) that also takes a negative balance.
fn transform(value: f64, log: bool) -> f64 {
    if log {
        value.abs().ln_1p().copysign(value)
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matrix(rows: &[[f64; 2]]) -> Matrix {
        let mut matrix = Matrix::new(2);
        rows.iter().for_each(|row| matrix.push(row));
        matrix
    }

    #[test]
    fn mean_zero_and_deviation_one() {
        // Mean 5, population standard deviation 2.
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        let standardiser = Standardiser::fit(&matrix(&values.map(|value| [value, 0.1])), &[false, false]);
        for value in values {
            let mut row = [value, 0.1];
            standardiser.apply(&mut row);
            assert!((row[0] - (value - 5.0) / 2.0).abs() < 1e-12);
            assert_eq!(row[1], 0.0, "a feature that does not vary says nothing");
        }
    }

    #[test]
    fn the_logarithm_is_symmetric() {
        assert!((transform(-9.0, true) + 10f64.ln()).abs() < 1e-12);
        assert!((transform(9.0, true) - 10f64.ln()).abs() < 1e-12);
        assert_eq!(transform(0.0, true), 0.0);
    }

    proptest! {
        #[test]
        fn any_finite_numbers_give_finite_numbers(
            rows in prop::collection::vec((prop::num::f64::NORMAL | prop::num::f64::ZERO, -10.0..10.0), 1..30),
            log in any::<bool>(),
        ) {
            let rows: Vec<[f64; 2]> = rows.into_iter().map(|(x, y)| [x, y]).collect();
            let standardiser = Standardiser::fit(&matrix(&rows), &[log, false]);
            for mut row in rows {
                standardiser.apply(&mut row);
                prop_assert!(row.iter().all(|value| value.is_finite()));
            }
        }
    }
}
