//! The silhouette: how much nearer rows are to their own cluster than to the next one.
//!
//! Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis", 1987.

use crate::features::Matrix;

/// The mean silhouette over at most `limit` rows, from -1 (rows sit in the wrong clusters) to 1 (clusters are
/// compact and far apart); 0 when all rows sit in one cluster.
///
/// `labels` are 0 .. `k`. A row's silhouette is (b - a) / max(a, b), where a is its mean distance to the others
/// of its cluster and b the least mean distance to another cluster; a row alone in its cluster counts 0. It takes
/// the distances between all pairs, so beyond `limit` rows it is computed over rows at even spaces: with rows in
/// ascending order that is a stratified sample, and always the same one.
pub(crate) fn mean_silhouette(rows: &Matrix, labels: &[usize], k: usize, limit: usize) -> f64 {
    let step = rows.len().div_ceil(limit.max(1)).max(1);
    let chosen: Vec<usize> = (0..rows.len()).step_by(step).collect();
    let mut sizes = vec![0usize; k];
    for &row in &chosen {
        sizes[labels[row]] += 1;
    }
    let mut total = 0.0;
    let mut distances = vec![0.0; k];
    for &row in &chosen {
        distances.fill(0.0);
        for &other in &chosen {
            distances[labels[other]] += distance(rows.row(row), rows.row(other));
        }
        total += silhouette(&distances, &sizes, labels[row]);
    }
    total / chosen.len().max(1) as f64
}

/// One row's silhouette, from the sums of its distances to the members of every cluster.
fn silhouette(distances: &[f64], sizes: &[usize], own: usize) -> f64 {
    if sizes[own] < 2 {
        return 0.0;
    }
    // The row is one of its cluster's members, at distance 0.
    let within = distances[own] / (sizes[own] - 1) as f64;
    let between = distances
        .iter()
        .zip(sizes)
        .enumerate()
        .filter(|(cluster, (_, size))| *cluster != own && **size > 0)
        .map(|(_, (distance, size))| distance / *size as f64)
        .fold(f64::INFINITY, f64::min);
    let widest = within.max(between);
    if widest.is_finite() && widest > 0.0 {
        (between - within) / widest
    } else {
        0.0
    }
}

/// The Euclidean distance.
pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(values: &[f64]) -> Matrix {
        let mut matrix = Matrix::new(1);
        values.iter().for_each(|value| matrix.push(&[*value]));
        matrix
    }

    #[test]
    fn equals_the_figures_worked_out_by_hand() {
        // Row 0: a = 1, b = (10 + 12) / 2 = 11, s = 10/11. Row 1: a = 1, b = 10, s = 9/10.
        // Row 10: a = 2, b = 9.5, s = 7.5/9.5. Row 12: a = 2, b = 11.5, s = 9.5/11.5.
        let expected = (10.0 / 11.0 + 9.0 / 10.0 + 7.5 / 9.5 + 9.5 / 11.5) / 4.0;
        let found = mean_silhouette(&line(&[0.0, 1.0, 10.0, 12.0]), &[0, 0, 1, 1], 2, 100);
        assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
    }

    #[test]
    fn a_row_alone_counts_nothing() {
        // Row 5 is alone. Row 0: a = 1, b = 5, s = 4/5. Row 1: a = 1, b = 4, s = 3/4.
        let found = mean_silhouette(&line(&[0.0, 1.0, 5.0]), &[0, 0, 1], 2, 100);
        assert!((found - (0.8 + 0.75) / 3.0).abs() < 1e-12, "{found}");
    }

    #[test]
    fn one_cluster_or_no_rows_give_zero() {
        assert_eq!(mean_silhouette(&line(&[1.0, 2.0]), &[0, 0], 1, 100), 0.0);
        assert_eq!(mean_silhouette(&line(&[]), &[], 2, 100), 0.0);
        assert_eq!(mean_silhouette(&line(&[3.0, 3.0, 3.0]), &[0, 1, 1], 2, 100), 0.0);
    }

    #[test]
    fn a_sample_comes_near_the_whole() {
        let values: Vec<f64> = (0..3000)
            .map(|at| f64::from(at % 100) / 10.0 + f64::from(at / 1000) * 50.0)
            .collect();
        let labels: Vec<usize> = (0..3000).map(|at| at / 1000).collect();
        let whole = mean_silhouette(&line(&values), &labels, 3, 3000);
        let sampled = mean_silhouette(&line(&values), &labels, 3, 300);
        assert!((whole - sampled).abs() < 0.02, "{whole} and {sampled}");
    }

    proptest! {
        #[test]
        fn lies_between_minus_one_and_one(rows in prop::collection::vec((-1e6..1e6, 0usize..4), 0..60)) {
            let (values, labels): (Vec<f64>, Vec<usize>) = rows.into_iter().unzip();
            let found = mean_silhouette(&line(&values), &labels, 4, 25);
            prop_assert!((-1.0..=1.0).contains(&found), "{found}");
        }
    }
}
