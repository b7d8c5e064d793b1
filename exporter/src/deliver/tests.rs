#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, StringArray};
use cordada_core::ErrorKind;
use cordada_core::threads::locked;
use futures::stream;

use super::*;
use crate::channels::contract::outbox::{NO_ADDRESS, Outbox, WRONG_ADDRESS};
use crate::mapping::Mapping;

fn audience(addresses: Vec<Option<&str>>) -> RecordBatch {
    let addresses: ArrayRef = Arc::new(StringArray::from(addresses));
    RecordBatch::try_from_iter_with_nullable([("EMAIL", addresses, true)]).unwrap()
}

/// Delivers the batches, and returns the tally and what `on_rows` was told.
async fn run(batches: Vec<RecordBatch>, outbox: &Outbox, dry_run: bool) -> (Tally, Vec<u64>) {
    let fields = audience(vec![]).schema();
    let personaliser = Personaliser::new("news", &Mapping::default(), &Mapping::default(), &fields).unwrap();
    let mut delivery = begin("news", outbox, &fields, dry_run).await.unwrap();
    let told = Mutex::new(Vec::new());
    let on_rows = |rows| locked(&told).push(rows);
    let batches = stream::iter(batches.into_iter().map(Ok));
    let never = CancellationToken::new();
    let tally = deliver(batches, &personaliser, delivery.as_deref_mut(), &on_rows, &never)
        .await
        .unwrap();
    if let Some(mut delivery) = delivery {
        delivery.seal().await.unwrap();
        delivery.publish().await.unwrap();
    }
    (tally, told.into_inner().unwrap())
}

#[tokio::test]
async fn rows_that_fail_are_counted_by_reason_and_left_out() {
    let batches = vec![
        audience(vec![Some("ana@example.com"), None, Some("bo at home")]),
        audience(vec![None, Some("cy@example.com")]),
    ];
    let outbox = Outbox::default();
    let (tally, told) = run(batches, &outbox, false).await;
    assert_eq!((tally.read, tally.taken(), told), (5, 2, vec![3, 5]));
    assert_eq!(
        tally.failures.to_string(),
        format!("{NO_ADDRESS} (2), {WRONG_ADDRESS} (1)")
    );
    assert_eq!(outbox.sent(), ["ana@example.com", "cy@example.com"]);
    tally.check("news").unwrap();
}

#[tokio::test]
async fn a_campaign_fails_when_all_its_rows_do() {
    let (tally, _) = run(
        vec![audience(vec![Some("bo at home"), None])],
        &Outbox::default(),
        false,
    )
    .await;
    let error = tally.check("news").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    let expected = "delivering campaign news: the channel takes none of its rows: ";
    assert!(error.to_string().starts_with(expected), "{error}");
    assert!(error.to_string().contains("the address is missing (1)"), "{error}");
    assert!(!error.to_string().contains("bo at home"), "{error}");

    let (nobody, _) = run(vec![audience(vec![])], &Outbox::default(), false).await;
    nobody.check("news").unwrap();
}

#[tokio::test]
async fn a_long_batch_is_handed_over_in_chunks_that_lose_no_row() {
    let rows = 2 * CHUNK_ROWS + 1;
    let outbox = Outbox::default();
    let (tally, told) = run(vec![audience(vec![Some("a@a.es"); rows])], &outbox, false).await;
    assert_eq!((tally.taken(), outbox.sent().len()), (rows as u64, rows));
    assert_eq!(told, [CHUNK_ROWS, 2 * CHUNK_ROWS, rows].map(|rows| rows as u64));
}

#[tokio::test]
async fn a_dry_run_checks_the_fields_and_begins_nothing() {
    let outbox = Outbox::default();
    let (tally, _) = run(vec![audience(vec![Some("ana@example.com")])], &outbox, true).await;
    assert_eq!((tally.taken(), outbox.sent().len()), (1, 0));
    for dry_run in [false, true] {
        let fields = RecordBatch::try_from_iter([("MAIL", Arc::new(StringArray::from(vec!["a"])) as ArrayRef)]);
        let error = begin("news", &outbox, &fields.unwrap().schema(), dry_run)
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(
            error.to_string(),
            "reading campaign news: `fields.EMAIL`: the channel needs this field"
        );
        assert_eq!(outbox.drafts(), 0);
    }
}
