//! What every channel promises, as tests: a channel's own tests include them with `channel_contract!(Subject)`.
#![allow(clippy::unwrap_used)]

pub(crate) mod outbox;

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use cordada_core::{Error, ErrorKind};

use super::{Channel, Delivery, Receipt};
use crate::manifest;

/// A channel and a view of its destination, which starts empty.
pub(crate) trait Subject {
    /// Which of [`rows`] the channel does not take.
    const REFUSED: &'static [usize] = &[];
    /// A secret among the channel's options, if it has any.
    const SECRET: Option<&'static str> = None;

    fn new() -> Self;

    fn channel(&self) -> Box<dyn Channel>;

    /// The same, with a destination that cannot be written.
    fn unwritable(&self) -> Box<dyn Channel>;

    /// The field EMAIL of each row in sight, in order.
    fn in_sight(&self) -> Vec<String>;

    /// The names of all there is at the destination, in sight or not.
    fn traces(&self) -> Vec<String>;
}

/// Three rows, of which the second has no address that a platform for e-mail would take.
pub(crate) fn rows() -> RecordBatch {
    let emails = StringArray::from(vec!["ana@example.com", "bo at home", "cy@example.com"]);
    let names = StringArray::from(vec!["Ana", "Bo", "Cy"]);
    let columns: [(&str, ArrayRef); 2] = [("EMAIL", Arc::new(emails)), ("NAME", Arc::new(names))];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The addresses that the channel takes of the rows from `first` on.
fn taken<S: Subject>(first: usize) -> Vec<String> {
    let rows = rows();
    let emails = rows["EMAIL"].as_any().downcast_ref::<StringArray>().unwrap();
    let taken = (first..rows.num_rows()).filter(|row| !S::REFUSED.contains(row));
    taken.map(|row| emails.value(row).to_owned()).collect()
}

async fn begin(channel: &dyn Channel) -> Box<dyn Delivery> {
    channel.check(&rows().schema()).unwrap();
    channel.begin(&rows().schema()).await.unwrap()
}

async fn deliver(channel: &dyn Channel) -> Receipt {
    let mut delivery = begin(channel).await;
    delivery.write(&rows()).await.unwrap();
    delivery.seal().await.unwrap();
    delivery.publish().await.unwrap()
}

pub(crate) async fn a_dropped_delivery_leaves_nothing<S: Subject>() {
    for sealed in [false, true] {
        let subject = S::new();
        let mut delivery = begin(subject.channel().as_ref()).await;
        delivery.write(&rows()).await.unwrap();
        if sealed {
            delivery.seal().await.unwrap();
        }
        drop(delivery);
        assert_eq!(subject.traces(), Vec::<String>::new(), "sealed: {sealed}");
    }
}

pub(crate) async fn a_dropped_delivery_leaves_the_earlier_one<S: Subject>() {
    let subject = S::new();
    let channel = subject.channel();
    deliver(channel.as_ref()).await;
    let earlier = (subject.in_sight(), subject.traces());
    let mut delivery = begin(channel.as_ref()).await;
    delivery.write(&rows().slice(0, 1)).await.unwrap();
    delivery.seal().await.unwrap();
    drop(delivery);
    assert_eq!((subject.in_sight(), subject.traces()), earlier);
}

pub(crate) async fn all_rows_come_into_sight_at_once<S: Subject>() {
    let subject = S::new();
    let mut delivery = begin(subject.channel().as_ref()).await;
    delivery.write(&rows()).await.unwrap();
    delivery.write(&rows().slice(1, 2)).await.unwrap();
    assert_eq!(subject.in_sight(), Vec::<String>::new(), "not before it is sealed");
    delivery.seal().await.unwrap();
    assert_eq!(subject.in_sight(), Vec::<String>::new(), "not before it is published");
    delivery.publish().await.unwrap();
    assert_eq!(subject.in_sight(), [taken::<S>(0), taken::<S>(1)].concat());
}

pub(crate) async fn a_delivery_without_rows_is_published<S: Subject>() {
    let subject = S::new();
    let mut delivery = begin(subject.channel().as_ref()).await;
    delivery.seal().await.unwrap();
    delivery.publish().await.unwrap();
    assert_eq!(subject.in_sight(), Vec::<String>::new());
}

pub(crate) async fn failures_are_reported_row_by_row<S: Subject>() {
    let subject = S::new();
    let mut delivery = begin(subject.channel().as_ref()).await;
    for first in [0, 1] {
        let batch = rows().slice(first, rows().num_rows() - first);
        let failures = delivery.write(&batch).await.unwrap();
        let failed: Vec<usize> = failures.iter().map(|failure| first + failure.row).collect();
        let expected: Vec<usize> = S::REFUSED.iter().copied().filter(|row| *row >= first).collect();
        assert_eq!(failed, expected);
    }
}

pub(crate) async fn a_destination_that_cannot_be_written_is_unavailable<S: Subject>() {
    let error = failure_of(S::new().unwritable().as_ref()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

/// The error that a delivery to an unwritable destination ends in.
async fn failure_of(channel: &dyn Channel) -> Error {
    let delivering = async {
        let mut delivery = channel.begin(&rows().schema()).await?;
        delivery.write(&rows()).await?;
        delivery.seal().await?;
        delivery.publish().await
    };
    delivering.await.unwrap_err()
}

pub(crate) async fn neither_secrets_nor_values_are_told<S: Subject>() {
    let subject = S::new();
    let error = failure_of(subject.unwritable().as_ref()).await;
    let receipt = deliver(subject.channel().as_ref()).await;
    let told = format!("{error} {:?} {receipt:?}", subject.channel().describe());
    for secret in S::SECRET.into_iter().chain(["ana@", "bo at", "Cy"]) {
        assert!(!told.contains(secret), "{told}");
    }
}

pub(crate) async fn a_receipt_leaves_the_facts_of_the_manifest_alone<S: Subject>() {
    let receipt = deliver(S::new().channel().as_ref()).await;
    let receipt = serde_json::to_value(receipt).unwrap();
    let facts: HashSet<&String> = receipt.as_object().unwrap().keys().collect();
    let manifest = manifest::tests::without_receipt();
    for own in manifest.as_object().unwrap().keys() {
        assert!(!facts.contains(own), "{own}");
    }
}

macro_rules! channel_contract {
    ($subject:ty; $($promise:ident),*) => {
        $(
            #[tokio::test]
            async fn $promise() {
                $crate::channels::contract::$promise::<$subject>().await;
            }
        )*
    };
    ($subject:ty) => {
        $crate::channels::contract::channel_contract!(
            $subject;
            a_dropped_delivery_leaves_nothing,
            a_dropped_delivery_leaves_the_earlier_one,
            all_rows_come_into_sight_at_once,
            a_delivery_without_rows_is_published,
            failures_are_reported_row_by_row,
            a_destination_that_cannot_be_written_is_unavailable,
            neither_secrets_nor_values_are_told,
            a_receipt_leaves_the_facts_of_the_manifest_alone
        );
    };
}
pub(crate) use channel_contract;
