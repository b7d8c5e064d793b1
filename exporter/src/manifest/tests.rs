#![allow(clippy::unwrap_used)]

use cordada_core::ErrorKind;
use serde_json::{Value, json};

use super::*;
use crate::channels::Failure;
use crate::channels::contract::outbox::{Outbox, WRONG_ADDRESS};
use crate::channels::contract::rows;

fn report() -> ExportReport {
    let mut failures = Failures::default();
    failures.add(&[Failure {
        row: 1,
        reason: WRONG_ADDRESS,
    }]);
    ExportReport {
        rows: 2,
        failures,
        withheld_without_consent: Some(7),
        columns: vec!["EMAIL".to_owned(), "NAME".to_owned()],
        channel: Outbox::default().describe(),
        release: Some(12),
        published: None,
    }
}

fn campaign() -> Campaign {
    let campaign = json!({"audience": "select 1", "consent": "news", "channel": {"kind": "outbox"}});
    serde_json::from_value(campaign).unwrap()
}

/// A manifest as JSON, without the facts of a receipt.
pub(crate) fn without_receipt() -> Value {
    serde_json::to_value(Manifest::new("news", &campaign(), &report(), "select 1")).unwrap()
}

async fn publish(outbox: &Outbox, path: PathBuf) -> Result<Receipt> {
    let mut delivery = outbox.begin(&rows().schema()).await?;
    delivery.write(&rows()).await?;
    delivery.seal().await?;
    Manifest::new("news", &campaign(), &report(), "select 1")
        .publish(delivery, path)
        .await
}

#[tokio::test]
async fn a_delivery_without_a_file_has_its_manifest_in_the_project() {
    let project = tempfile::tempdir().unwrap();
    let outbox = Outbox::default();
    let at = DateTime::from_timestamp_micros(1_764_420_067_000_123).unwrap();
    let path = place(&outbox, project.path(), "news", at);
    let expected = ".cordada/exports/news/20251129T124107.000123Z.manifest.json";
    assert_eq!(path, project.path().join(expected));

    let receipt = publish(&outbox, path.clone()).await.unwrap();
    assert_eq!(receipt.get("mailing"), Some(&json!("m-1")));
    let manifest: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(manifest["mailing"], "m-1");
    assert_eq!(manifest["channel"]["kind"], "outbox");
    assert_eq!((&manifest["rows"], &manifest["failed"]), (&json!(2), &json!(1)));
    assert_eq!(manifest["failures"], json!({ WRONG_ADDRESS: 1 }));
    assert_eq!(manifest["withheld_without_consent"], 7);
}

#[tokio::test]
async fn nothing_is_published_whose_manifest_cannot_be_written() {
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join(".cordada"), "").unwrap();
    let outbox = Outbox::default();
    let path = place(&outbox, project.path(), "news", Utc::now());
    let error = publish(&outbox, path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!((outbox.sent().len(), outbox.drafts()), (0, 0));
}
