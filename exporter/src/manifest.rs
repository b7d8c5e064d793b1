//! The manifest of a delivery: what it holds and where that came from.

use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use cordada_core::atomic_file::AtomicFile;
use cordada_core::{Context, Result};
use serde::Serialize;

use crate::campaign::Campaign;
use crate::channels::{Channel, Delivery, Description, Failures, Receipt};
use crate::consent::Consent;
use crate::report::ExportReport;

/// What is written, as JSON, to `<file>.manifest.json`, or into the project for a channel without a file.
#[derive(Debug, Serialize)]
pub(crate) struct Manifest<'a> {
    campaign: &'a str,
    channel: &'a Description,
    /// What the channel says of the delivery: of a file, its name without the folder, its bytes and its SHA-256.
    #[serde(flatten)]
    receipt: Receipt,
    /// Rows that were delivered.
    rows: u64,
    /// Rows that the channel did not take.
    failed: u64,
    /// The reasons why, with their numbers of rows.
    failures: &'a Failures,
    columns: &'a [String],
    /// The release that the rows were read from, if the server told.
    release: Option<u64>,
    /// The query as it was sent, consent included.
    query: &'a str,
    /// The consent it rests on; null for a campaign that is not over persons.
    consent: Option<&'a Consent>,
    withheld_without_consent: Option<u64>,
    /// UTC, RFC 3339.
    written_at: String,
}

/// Where the manifest of a delivery that is published at that time belongs.
pub(crate) fn place(channel: &dyn Channel, project: &Path, campaign: &str, at: DateTime<Utc>) -> PathBuf {
    channel.manifest().unwrap_or_else(|| {
        let folder = project.join(".cordada").join("exports").join(campaign);
        folder.join(format!("{}.manifest.json", at.format("%Y%m%dT%H%M%S%.6fZ")))
    })
}

impl<'a> Manifest<'a> {
    /// The manifest of what the report tells, before the channel has given a receipt.
    pub(crate) fn new(name: &'a str, campaign: &'a Campaign, report: &'a ExportReport, query: &'a str) -> Self {
        Self {
            campaign: name,
            channel: &report.channel,
            receipt: Receipt::default(),
            rows: report.rows,
            failed: report.failures.total(),
            failures: &report.failures,
            columns: &report.columns,
            release: report.release,
            query,
            consent: campaign.consent.as_ref(),
            withheld_without_consent: report.withheld_without_consent,
            written_at: String::new(),
        }
    }

    /// Publishes the delivery, then its manifest. That the manifest can be written is seen before, for what is
    /// published cannot be taken back.
    pub(crate) async fn publish(self, delivery: Box<dyn Delivery>, path: PathBuf) -> Result<Receipt> {
        let file = AtomicFile::create(path.clone()).await?;
        remove(&path).await?;
        let manifest = Self {
            receipt: delivery.publish().await?,
            written_at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            ..self
        };
        manifest
            .write(file, &path)
            .await
            .map_err(|error| error.hint("the rows are delivered, only their manifest is missing"))?;
        Ok(manifest.receipt)
    }

    async fn write(&self, mut file: AtomicFile, path: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self).doing(|| format!("writing {}", path.display()))?;
        file.write(&json).await?;
        file.sync().await?;
        file.rename().await.map(drop)
    }
}

/// Removes the manifest of an earlier file, so that no manifest ever stands beside another file than its own.
async fn remove(path: &Path) -> Result<()> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.doing(|| format!("removing the manifest of the earlier file, {}", path.display())),
    }
}

#[cfg(test)]
pub(crate) mod tests;
