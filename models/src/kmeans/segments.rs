//! Fitting: from a sample of rows to the centroids of its clusters.

use std::sync::atomic::{AtomicBool, Ordering};

use cordada_core::{Error, Result};
use serde::{Deserialize, Serialize};
use smartcore::cluster::kmeans::{KMeans, KMeansParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

use crate::exact;
use crate::features::Matrix;
use crate::silhouette::{distance, mean_silhouette};
use crate::standardise::Standardiser;

/// k-means finds a local optimum: the best of this many starts is kept.
const STARTS: u64 = 4;

/// Rows among which all distances are taken to compare numbers of clusters.
const SILHOUETTE_ROWS: usize = 2_000;

/// How many clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// This many, or as many as there are distinct rows.
    Given(usize),
    /// From 2 to this many: the number with the greatest mean silhouette, the least one of equals.
    UpTo(usize),
}

/// How to fit.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// For every feature, whether it is skewed and its logarithm is taken first.
    pub log: Vec<bool>,
    pub number: Number,
    pub seed: u64,
    pub max_iter: usize,
}

/// The clusters that were found: what the artefact holds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Segments {
    standardiser: Standardiser,
    /// Centroids in standardised units, ascending: that is what numbers the clusters.
    #[serde(with = "exact::table")]
    centroids: Vec<Vec<f64>>,
    /// For every cluster the mean of every feature over its members, in the features' own units.
    #[serde(with = "exact::table")]
    means: Vec<Vec<f64>>,
}

impl Segments {
    /// Fits on complete rows in ascending order; `stop` ends it between two starts.
    pub(super) fn fit(sample: &Matrix, settings: &Settings, stop: &AtomicBool) -> Result<Self> {
        let standardiser = Standardiser::fit(sample, &settings.log);
        let mut rows = sample.clone();
        rows.rows_mut().for_each(|row| standardiser.apply(row));
        let mut centroids = means(&rows, &best_number(&rows, settings, stop)?);
        centroids.sort_unstable_by(|a, b| {
            a.iter()
                .zip(b)
                .map(|(a, b)| a.total_cmp(b))
                .find(|order| order.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        // The members are those that scoring will find, also when the fit stopped before it converged; a centroid
        // that is nearest to no row has none and is not a cluster.
        loop {
            let labels = labels(&centroids, &rows);
            match (0..centroids.len()).find(|cluster| !labels.contains(cluster)) {
                Some(empty) => drop(centroids.remove(empty)),
                None => {
                    return Ok(Self {
                        standardiser,
                        means: means(sample, &labels),
                        centroids,
                    });
                }
            }
        }
    }

    /// The cluster of a complete row, counting from 0, and its distance to the centroid in standardised units.
    /// Nothing when there were no rows to fit on. The row is used up.
    pub(super) fn assign(&self, row: &mut [f64]) -> Option<(usize, f64)> {
        self.standardiser.apply(row);
        nearest(&self.centroids, row)
    }

    /// The mean of a feature over the members of a cluster, in the feature's own unit.
    pub(super) fn mean(&self, cluster: usize, feature: usize) -> f64 {
        self.means[cluster][feature]
    }
}

/// The labels of the number of clusters that is given or, compared by silhouette, best.
fn best_number(rows: &Matrix, settings: &Settings, stop: &AtomicBool) -> Result<Vec<usize>> {
    let (least, most) = match settings.number {
        Number::Given(k) => (k, k),
        Number::UpTo(most) => (2, most),
    };
    let distinct = distinct_up_to(rows, most);
    if distinct < 2 {
        return Ok(vec![0; rows.len()]);
    }
    let mut best = (f64::NEG_INFINITY, Vec::new());
    for k in least.min(distinct)..=distinct {
        let labels = partition(rows, k, settings, stop)?;
        let silhouette = mean_silhouette(rows, &labels, k, SILHOUETTE_ROWS);
        tracing::debug!(k, silhouette, rows = rows.len(), "k-means");
        if silhouette > best.0 {
            best = (silhouette, labels);
        }
    }
    Ok(best.1)
}

/// The number of distinct rows, or `limit` if there are more. Rows are in ascending order.
fn distinct_up_to(rows: &Matrix, limit: usize) -> usize {
    let changes = rows
        .rows()
        .zip(rows.rows().skip(1))
        .filter(|(a, b)| a != b)
        .take(limit.saturating_sub(1))
        .count();
    if rows.len() == 0 { 0 } else { 1 + changes }
}

/// The labels, 0 .. k, of the start that ends with the least sum of squared distances.
/// There are at least `k` ≥ 2 distinct rows.
fn partition(rows: &Matrix, k: usize, settings: &Settings, stop: &AtomicBool) -> Result<Vec<usize>> {
    let failed = |why| Error::failed("fitting the estimator `kmeans`", why).with("k", k);
    let matrix = DenseMatrix::new(rows.len(), rows.columns(), rows.clone().into_values(), false).map_err(failed)?;
    let mut best = (f64::INFINITY, Vec::new());
    for start in 0..STARTS {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::cancelled("fitting the estimator `kmeans`"));
        }
        let parameters = KMeansParameters {
            k,
            max_iter: settings.max_iter,
            seed: Some(settings.seed.wrapping_add(start)),
        };
        let fitted = KMeans::<f64, usize, DenseMatrix<f64>, Vec<usize>>::fit(&matrix, parameters).map_err(failed)?;
        let labels = fitted.predict(&matrix).map_err(failed)?;
        let inertia = inertia(rows, &labels);
        if inertia < best.0 {
            best = (inertia, labels);
        }
    }
    Ok(best.1)
}

/// The sum of the squared distances of rows to the mean of their cluster.
fn inertia(rows: &Matrix, labels: &[usize]) -> f64 {
    let means = means(rows, labels);
    rows.rows()
        .zip(labels)
        .map(|(row, &label)| distance(row, &means[label]).powi(2))
        .sum()
}

/// The mean of the members of every cluster; a cluster without members has a mean that is not a number.
fn means(rows: &Matrix, labels: &[usize]) -> Vec<Vec<f64>> {
    let clusters = labels.iter().max().map_or(0, |last| last + 1);
    let mut means = vec![vec![0.0; rows.columns()]; clusters];
    let mut sizes = vec![0usize; clusters];
    for (row, &label) in rows.rows().zip(labels) {
        sizes[label] += 1;
        means[label].iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    for (mean, size) in means.iter_mut().zip(sizes) {
        mean.iter_mut().for_each(|sum| *sum /= size as f64);
    }
    means
}

/// The nearest centroid of every row; none when there are no centroids.
fn labels(centroids: &[Vec<f64>], rows: &Matrix) -> Vec<usize> {
    rows.rows()
        .filter_map(|row| nearest(centroids, row))
        .map(|(cluster, _)| cluster)
        .collect()
}

/// The nearest centroid and the distance to it, the first of equals.
fn nearest(centroids: &[Vec<f64>], row: &[f64]) -> Option<(usize, f64)> {
    let distances = centroids.iter().map(|centroid| distance(row, centroid)).enumerate();
    distances.min_by(|(_, a), (_, b)| a.total_cmp(b))
}
