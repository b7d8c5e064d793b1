//! Running a campaign: plan, count, stream, deliver, and write down what was delivered.

use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, Schema};
use chrono::{SecondsFormat, Utc};
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use futures::TryStreamExt;
use tokio_util::sync::CancellationToken;

use crate::campaign::{Campaign, wrong};
use crate::channels::{self, Delivery};
use crate::client::{Client, Connection, Planned};
use crate::consent::DEFAULT_KEY;
use crate::manifest::{self, Manifest};
use crate::personalise::Personaliser;
use crate::sql::subquery;

/// Rows that are rendered and encoded at a time, which bounds the memory that long templates take.
const CHUNK_ROWS: usize = 1024;

/// What a run of a campaign did or, as a dry run, would have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportReport {
    /// Rows written.
    pub rows: u64,
    /// Rows of the audience that were not sent for want of consent; nothing for a campaign that is not over persons.
    pub withheld_without_consent: Option<u64>,
    /// The fields, in order.
    pub columns: Vec<String>,
    /// The file.
    pub file: PathBuf,
    /// The manifest beside it.
    pub manifest: PathBuf,
    /// SHA-256 of the file in hexadecimal; empty after a dry run.
    pub sha256: String,
    /// The release that was read, if the server tells.
    pub release: Option<u64>,
}

/// Runs a campaign: reads its audience from the server, as far as there is consent, and delivers it to its channel.
///
/// Everything is read from one release. The file appears whole or not at all, and its manifest after it. A dry run
/// does everything but write. `on_rows` is told the number of rows so far. Dropping the future, as `cancel` does,
/// stops the query at the server and leaves no file behind.
///
/// # Errors
/// Config for a campaign that is wrong, with the key that is; unavailable for a server or disk that is. No error
/// quotes a value of the audience.
pub async fn export(
    name: &str,
    campaign: &Campaign,
    connection: &Connection,
    project: &Path,
    dry_run: bool,
    on_rows: impl Fn(u64) + Send + Sync,
    cancel: CancellationToken,
) -> Result<ExportReport> {
    campaign.validate(name)?;
    let channel = channels::open(&campaign.channel, project).map_err(|problem| problem.of_campaign(name))?;
    let reading = async {
        let mut client = Client::connect(connection).await?;
        let audience = Audience::plan(name, campaign, &mut client).await?;
        let fields = audience.personaliser.fields().clone();
        let mut delivery = if dry_run {
            None
        } else {
            Some(channel.begin(&fields).await?)
        };
        let rows = audience
            .personaliser
            .stream(&client, audience.planned, delivery.as_deref_mut(), &on_rows)
            .await?;
        if let Some(delivery) = &mut delivery {
            delivery.seal().await?;
        }
        let withheld = audience.size.map(|size| size.saturating_sub(rows));
        let report = ExportReport {
            rows,
            withheld_without_consent: withheld,
            columns: fields.fields().iter().map(|field| field.name().clone()).collect(),
            file: channel.file().to_owned(),
            manifest: manifest::path_of(channel.file()),
            sha256: String::new(),
            release: audience.release,
        };
        Ok((report, delivery, audience.query))
    };
    let (report, delivery, query) = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(Error::cancelled(format!("running campaign {name}"))),
        read = reading => read?,
    };
    match delivery {
        None => Ok(report),
        Some(delivery) => publish(name, campaign, report, delivery, &query).await,
    }
}

/// The audience of a campaign, planned and checked.
struct Audience<'a> {
    personaliser: Personaliser<'a>,
    /// The query for the rows that may be sent.
    query: String,
    planned: Planned,
    release: Option<u64>,
    /// Rows with and without consent, of a campaign that is over persons.
    size: Option<u64>,
}

impl<'a> Audience<'a> {
    async fn plan(name: &'a str, campaign: &Campaign, client: &mut Client) -> Result<Self> {
        let audience = subquery(&campaign.audience).map_err(|why| wrong(name, "audience", why))?;
        // A comment in the last line must not swallow the parenthesis.
        let from = format!("from (\n{audience}\n) as audience");
        let all = format!("select audience.* {from}");
        let everybody = client
            .plan(&format!("planning `audience` of campaign {name}"), all.clone())
            .await?;
        if let Some(release) = everybody.release {
            client.pin(release);
        }
        let personaliser = Personaliser::new(name, campaign, &everybody.schema)?;
        let Some(consent) = &campaign.consent else {
            if everybody.schema.column_with_name(DEFAULT_KEY).is_some() {
                return Err(wrong(
                    name,
                    "persons",
                    format!("it is false, but the audience has the column `{DEFAULT_KEY}`"),
                )
                .hint("name the consent that the campaign rests on, or leave the column out"));
            }
            let release = everybody.release;
            return Ok(Self {
                personaliser,
                query: all,
                planned: everybody,
                release,
                size: None,
            });
        };
        check_key(name, &consent.key, &everybody.schema)?;
        let consents = client
            .plan(&format!("planning `consent` of campaign {name}"), consent.probe())
            .await?;
        let condition = consent
            .condition("audience", &consents.schema)
            .map_err(|why| wrong(name, "consent", why))?;
        let size = count(client, name, format!("select count(*) {from}")).await?;
        let query = format!("{all}\nwhere {condition}");
        let planned = client
            .plan(
                &format!("planning the consented audience of campaign {name}"),
                query.clone(),
            )
            .await?;
        let release = planned.release;
        Ok(Self {
            personaliser,
            query,
            planned,
            release,
            size: Some(size),
        })
    }
}

fn check_key(name: &str, key: &str, audience: &Schema) -> Result<()> {
    if audience.column_with_name(key).is_some() {
        return Ok(());
    }
    let columns = audience.fields().iter().map(|field| field.name().as_str());
    let why = format!("it has to select `{key}`, by which consent is looked up");
    Err(wrong(name, "audience", why).hint(did_you_mean(key, "its columns are", columns)))
}

async fn count(client: &mut Client, name: &str, query: String) -> Result<u64> {
    let doing = format!("counting the audience of campaign {name}");
    let planned = client.plan(&doing, query).await?;
    let batches: Vec<RecordBatch> = client.read(&doing, planned).try_collect().await?;
    let counts = batches
        .iter()
        .filter_map(|batch| batch.columns().first()?.as_primitive_opt::<Int64Type>());
    let rows: i64 = counts.flat_map(|counts| counts.values().iter()).sum();
    u64::try_from(rows).map_err(|_| Error::failed(doing, "the server counts less than nothing"))
}

impl Personaliser<'_> {
    /// Streams the rows of the audience to the delivery, if there is one, and returns how many there were.
    async fn stream(
        &self,
        client: &Client,
        planned: Planned,
        mut delivery: Option<&mut (dyn Delivery + 'static)>,
        on_rows: &(impl Fn(u64) + Sync),
    ) -> Result<u64> {
        let mut batches = std::pin::pin!(client.read(
            &format!("reading the audience of campaign {}", self.campaign()),
            planned
        ));
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            for from in (0..batch.num_rows()).step_by(CHUNK_ROWS) {
                let chunk = batch.slice(from, CHUNK_ROWS.min(batch.num_rows() - from));
                let chunk = self.apply(&chunk)?;
                if let Some(delivery) = delivery.as_deref_mut() {
                    delivery.write(&chunk).await?;
                }
                rows += chunk.num_rows() as u64;
                on_rows(rows);
            }
        }
        Ok(rows)
    }
}

/// Publishes the delivery, then its manifest. From here on there is no cancelling: it takes two renames.
async fn publish(
    name: &str,
    campaign: &Campaign,
    report: ExportReport,
    delivery: Box<dyn Delivery>,
    query: &str,
) -> Result<ExportReport> {
    manifest::remove(&report.manifest).await?;
    let written = delivery.publish().await?;
    let manifest = Manifest {
        campaign: name,
        file: report
            .file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        rows: report.rows,
        bytes: written.bytes,
        sha256: &written.sha256,
        columns: report.columns.iter().map(String::as_str).collect(),
        release: report.release,
        query,
        consent: campaign.consent.as_ref(),
        withheld_without_consent: report.withheld_without_consent,
        written_at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
    };
    manifest.write(report.manifest.clone()).await?;
    Ok(ExportReport {
        sha256: written.sha256,
        ..report
    })
}
