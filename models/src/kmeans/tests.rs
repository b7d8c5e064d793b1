#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, Float64Array, Int64Array, StringArray};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Schema};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::*;
use crate::contract::{Case, InMemory};
use crate::features::Matrix;

fn parameters(value: Value) -> Parameters {
    value.as_object().unwrap().clone()
}

/// The schema that k-means promises for rows of this one.
fn promised(input: &SchemaRef, parameters: &Parameters) -> Result<SchemaRef> {
    let outputs = KMeans::default().outputs(&Relations::only(input.clone()), parameters)?;
    Ok(outputs.main)
}

async fn cluster_within(batch: &RecordBatch, value: Value, sample_rows: usize) -> Result<RecordBatch> {
    let parameters = parameters(value);
    let kmeans = KMeans { sample_rows };
    let artefact = kmeans.fit(&inputs(batch), &parameters).await?;
    let scores = kmeans
        .score(&artefact, &inputs(batch), &Relations::only(None), &parameters)
        .await?;
    let scored: Vec<RecordBatch> = scores.main.try_collect().await.doing(|| "reading the scores")?;
    let promised = promised(&batch.schema(), &parameters)?;
    let scored = concat_batches(&promised, &scored).doing(|| "reading the scores")?;
    assert_eq!(scored.num_rows(), batch.num_rows(), "every row comes out");
    Ok(scored)
}

/// The rows in batches of 7, so that batch borders are met.
fn inputs(batch: &RecordBatch) -> Inputs {
    Relations::only(Arc::new(InMemory {
        batch: batch.clone(),
        size: 7,
    }))
}

pub(crate) fn case() -> Case {
    Case {
        estimator: Arc::new(KMeans::default()),
        inputs: Relations::only(blobs(&[[0.0, 0.0], [3.0, 3.0], [1.0, 4.0]], 20)),
        parameters: json!({"log": ["x"]}),
        names_column: Some("features"),
        of_changes: &[],
    }
}

async fn cluster(batch: &RecordBatch, value: Value) -> RecordBatch {
    cluster_within(batch, value, SAMPLE_ROWS).await.unwrap()
}

/// `customer_id`, `x`, `y`: blobs of `size` rows around the centres, in turn.
fn blobs(centres: &[[f64; 2]], size: usize) -> RecordBatch {
    let mut random = SmallRng::seed_from_u64(1);
    let rows: Vec<[f64; 2]> = (0..size * centres.len())
        .map(|at| centres[at % centres.len()].map(|centre| centre + random.random_range(-1.0..1.0)))
        .collect();
    customers(&rows)
}

fn customers(rows: &[[f64; 2]]) -> RecordBatch {
    let ids: StringArray = (0..rows.len()).map(|at| Some(format!("c{at}"))).collect();
    let column = |at: usize| -> ArrayRef { Arc::new(rows.iter().map(|row| Some(row[at])).collect::<Float64Array>()) };
    RecordBatch::try_from_iter([
        ("customer_id", Arc::new(ids) as ArrayRef),
        ("x", column(0)),
        ("y", column(1)),
    ])
    .unwrap()
}

fn clusters(scored: &RecordBatch) -> Vec<Option<i32>> {
    scored["cluster"].as_primitive::<Int32Type>().iter().collect()
}

fn numbers<'a>(batch: &'a RecordBatch, column: &str) -> &'a Float64Array {
    batch[column].as_primitive::<Float64Type>()
}

/// The cluster of every customer.
fn by_customer(scored: &RecordBatch) -> BTreeMap<String, Option<i32>> {
    let ids = scored["customer_id"].as_string::<i32>();
    ids.iter()
        .map(|id| id.unwrap().to_owned())
        .zip(clusters(scored))
        .collect()
}

/// The means of the members of every cluster are its centroid, when all rows were fitted on.
fn assert_centroids_are_means(batch: &RecordBatch, scored: &RecordBatch, feature: &str) {
    let centroids = numbers(scored, &format!("centroid_{feature}"));
    let labels = clusters(scored);
    for cluster in labels.iter().flatten() {
        let members: Vec<usize> = (0..labels.len()).filter(|&at| labels[at] == Some(*cluster)).collect();
        let mean = members.iter().map(|&at| numbers(batch, feature).value(at)).sum::<f64>() / members.len() as f64;
        for at in members {
            assert!(
                (centroids.value(at) - mean).abs() <= 1e-9 * mean.abs().max(1.0),
                "cluster {cluster} of {feature}"
            );
        }
    }
}

const CENTRES: [[f64; 2]; 4] = [[0.0, 0.0], [10.0, 500.0], [20.0, 0.0], [30.0, 500.0]];

#[tokio::test]
async fn separate_blobs_are_found_and_counted() {
    let batch = blobs(&CENTRES, 60);
    for value in [json!({"k": 4}), json!({})] {
        let scored = cluster(&batch, value).await;
        let expected: Vec<_> = (0..240).map(|at| Some(at % 4 + 1)).collect();
        assert_eq!(clusters(&scored), expected, "numbered by the first feature");
        assert_centroids_are_means(&batch, &scored, "x");
        assert_centroids_are_means(&batch, &scored, "y");
        let names: Vec<_> = scored
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        assert_eq!(
            names,
            ["customer_id", "cluster", "distance", "centroid_x", "centroid_y"]
        );
    }
}

#[tokio::test]
async fn distances_are_in_standard_deviations() {
    // x has mean 5 and deviation 5; each pair's members lie 1 apart, so 0.5 from their centroid.
    let scored = cluster(
        &customers(&[[0.0, 0.0], [0.0, 0.0], [10.0, 0.0], [10.0, 0.0]]),
        json!({"k": 2}),
    )
    .await;
    assert!(
        numbers(&scored, "distance")
            .iter()
            .all(|distance| distance == Some(0.0))
    );
    let scored = cluster(
        &customers(&[[-1.0, 0.0], [1.0, 0.0], [99.0, 0.0], [101.0, 0.0]]),
        json!({"k": 2}),
    )
    .await;
    // Deviation: sqrt((51² + 49²) / 2).
    let expected = 1.0 / 2501f64.sqrt();
    assert!(
        numbers(&scored, "distance")
            .iter()
            .all(|distance| (distance.unwrap() - expected).abs() < 1e-12)
    );
}

#[tokio::test]
async fn the_order_of_the_rows_changes_nothing() {
    let batch = blobs(&[[0.0, 0.0], [3.0, 3.0], [1.0, 4.0]], 70);
    let mut order: Vec<i64> = (0..210).collect();
    order.shuffle(&mut SmallRng::seed_from_u64(9));
    let shuffled = take_record_batch(&batch, &Int64Array::from(order)).unwrap();
    for sample_rows in [SAMPLE_ROWS, 50] {
        let value = || json!({"features": ["x", "y"]});
        let straight = cluster_within(&batch, value(), sample_rows).await.unwrap();
        let mixed = cluster_within(&shuffled, value(), sample_rows).await.unwrap();
        assert_eq!(by_customer(&straight), by_customer(&mixed));
    }
}

#[tokio::test]
async fn more_rows_than_the_sample_are_all_scored() {
    let batch = blobs(&CENTRES, 200);
    let scored = cluster_within(&batch, json!({"k": 4}), 80).await.unwrap();
    let expected: Vec<_> = (0..800).map(|at| Some(at % 4 + 1)).collect();
    assert_eq!(clusters(&scored), expected);
}

#[tokio::test]
async fn the_unit_of_a_feature_changes_nothing() {
    let euros = blobs(&CENTRES, 40);
    let cents: Vec<[f64; 2]> = (0..160)
        .map(|at| {
            [
                numbers(&euros, "x").value(at) * 100.0,
                numbers(&euros, "y").value(at) - 1e6,
            ]
        })
        .collect();
    assert_eq!(
        clusters(&cluster(&euros, json!({})).await),
        clusters(&cluster(&customers(&cents), json!({})).await)
    );
}

#[tokio::test]
async fn logarithms_tame_a_long_tail_and_centroids_stay_means() {
    // Orders of magnitude: without logarithms the largest spender is a segment of one.
    let spent = [1.0, 1.2, 0.9, 1000.0, 1100.0, 950.0, 90_000.0];
    let batch = customers(&spent.map(|spent| [spent, 0.0]));
    let skewed = cluster(&batch, json!({"k": 2, "features": "x"})).await;
    assert_eq!(
        clusters(&skewed)
            .iter()
            .flatten()
            .filter(|cluster| **cluster == 2)
            .count(),
        1
    );
    let tamed = cluster(&batch, json!({"k": 2, "features": "x", "log": "x"})).await;
    assert_eq!(
        clusters(&tamed)
            .iter()
            .flatten()
            .filter(|cluster| **cluster == 2)
            .count(),
        4
    );
    assert_centroids_are_means(&batch, &tamed, "x");
}

#[tokio::test]
async fn incomplete_rows_come_out_without_a_cluster() {
    let ids = StringArray::from(vec!["a", "b", "c", "d", "e"]);
    let x = Float64Array::from(vec![Some(1.0), None, Some(9.0), Some(f64::NAN), Some(f64::INFINITY)]);
    let batch = RecordBatch::try_from_iter([("name", Arc::new(ids) as ArrayRef), ("x", Arc::new(x))]).unwrap();
    let scored = cluster(&batch, json!({})).await;
    assert_eq!(clusters(&scored), [Some(1), None, Some(2), None, None]);
    assert_eq!(numbers(&scored, "centroid_x").null_count(), 3);
    assert_eq!(numbers(&scored, "distance").null_count(), 3);
}

#[tokio::test]
async fn few_distinct_rows_give_few_clusters() {
    let none = cluster(&customers(&[]), json!({"k": 3})).await;
    assert_eq!(none.num_rows(), 0);
    let one = cluster(&customers(&[[7.0, 8.0]]), json!({"k": 3})).await;
    assert_eq!(clusters(&one), [Some(1)]);
    assert_eq!(numbers(&one, "centroid_x").value(0), 7.0);
    let identical = cluster(&customers(&[[0.1, 0.1]; 50]), json!({})).await;
    assert!(clusters(&identical).iter().all(|cluster| *cluster == Some(1)));
    let two = cluster(&customers(&[[1.0, 1.0], [2.0, 1.0], [1.0, 1.0]]), json!({"k": 5})).await;
    assert_eq!(clusters(&two), [Some(1), Some(2), Some(1)]);
}

#[tokio::test]
async fn key_passes_through_and_features_default_to_the_rest() {
    let batch = RecordBatch::try_from_iter([
        ("customer_id", Arc::new(Int64Array::from(vec![17, 18])) as ArrayRef),
        ("country", Arc::new(StringArray::from(vec!["ES", "PT"]))),
        ("orders", Arc::new(Int64Array::from(vec![1, 5]))),
    ])
    .unwrap();
    let names = |value| {
        let schema = promised(&batch.schema(), &parameters(value)).unwrap();
        schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(json!({})),
        ["customer_id", "country", "cluster", "distance", "centroid_orders"]
    );
    assert_eq!(
        names(json!({"key": ["customer_id", "orders"], "features": ["orders"]})),
        ["customer_id", "orders", "cluster", "distance", "centroid_orders"],
        "a feature that is named in `key` passes through too"
    );
    assert_eq!(
        names(json!({"key": "country"})),
        ["country", "cluster", "distance", "centroid_orders"]
    );
    let scored = cluster(&batch, json!({})).await;
    assert_eq!(clusters(&scored), [Some(1), Some(2)]);
}

#[tokio::test]
async fn rows_that_came_later_are_scored_without_fitting() {
    let kmeans = KMeans::default();
    let batch = blobs(&CENTRES, 40);
    let parameters = parameters(json!({"k": 4}));
    let artefact = kmeans.fit(&inputs(&batch), &parameters).await.unwrap();
    let later = inputs(&customers(&[[30.0, 500.0], [-1.0, 0.0]]));
    let scores = kmeans
        .score(&artefact, &later, &Relations::only(None), &parameters)
        .await
        .unwrap();
    let scored: Vec<RecordBatch> = scores.main.try_collect().await.unwrap();
    assert_eq!(
        clusters(&scored[0]),
        [Some(4), Some(1)],
        "two rows alone would be the clusters 1 and 2"
    );
}

#[test]
fn an_artefact_keeps_every_bit() {
    let mut rows = Matrix::new(1);
    [0.1, 0.2, 0.3, 1e-300, 1e300, 7.000000000000001]
        .iter()
        .for_each(|value| rows.push(&[*value]));
    let settings = Plan::new(&customers(&[]).schema(), &parameters(json!({"features": "x", "k": 2})))
        .unwrap()
        .settings;
    let segments = Segments::fit(&rows, &settings, &AtomicBool::new(false)).unwrap();
    assert_eq!(Artefact::of(&segments).unwrap().read::<Segments>().unwrap(), segments);
}

#[test]
fn wrong_parameters_are_refused_before_anything_runs() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("customer_id", DataType::Utf8, false),
        Field::new("recency", DataType::Int64, true),
        Field::new("cluster", DataType::Utf8, true),
        Field::new("monetary", DataType::Decimal128(18, 2), true),
    ]));
    for (value, expected) in [
        (json!({"feature": ["recency"]}), "did you mean `features`?"),
        (
            json!({"features": ["recencia"]}),
            "there is no column `recencia`; did you mean `recency`?",
        ),
        (
            json!({"features": ["customer_id"]}),
            "column `customer_id` is not numeric but Utf8",
        ),
        (
            json!({"features": []}),
            "parameter `features`: there is no numeric column",
        ),
        (json!({"key": "customer"}), "there is no column `customer`"),
        (json!({"k": 1}), "parameter `k`: it has to be at least 2"),
        (json!({"k": 3, "max_k": 5}), "parameter `max_k`"),
        (json!({"k": -3}), "parameter `k`"),
        (json!({"max_iter": 0}), "parameter `max_iter`"),
        (json!({"seed": "x"}), "parameter `seed`"),
        (
            json!({"features": ["recency"], "log": ["monetary"]}),
            "`monetary` is not one of the features",
        ),
        (json!({}), "the column `cluster` would pass through"),
    ] {
        let error = promised(&schema, &parameters(value)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.exit_code(), 2, "{error}");
    }
    assert!(promised(&schema, &parameters(json!({"key": "customer_id"}))).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the rows: every complete row has a cluster, numbers have no gap, and centroids are means.
    #[test]
    fn any_rows_are_clustered(
        rows in prop::collection::vec((-1000..1000, 0..3), 0..60),
        k in 2usize..6,
        max_iter in 1usize..4,
        log in any::<bool>(),
    ) {
        let batch = customers(&rows.iter().map(|&(x, y)| [f64::from(x), f64::from(y)]).collect::<Vec<_>>());
        let log = if log { json!(["x"]) } else { json!([]) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let scored = runtime.block_on(cluster(&batch, json!({"k": k, "max_iter": max_iter, "log": log})));
        let mut found: Vec<i32> = clusters(&scored).into_iter().map(Option::unwrap).collect();
        assert_centroids_are_means(&batch, &scored, "x");
        assert_centroids_are_means(&batch, &scored, "y");
        found.sort_unstable();
        found.dedup();
        prop_assert_eq!(&found, &(1..=found.len() as i32).collect::<Vec<_>>());
        prop_assert!(found.len() <= k);
    }
}
