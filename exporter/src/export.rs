//! Running a campaign: plan, count, stream, deliver, and write down what was delivered.

use std::path::Path;

use chrono::Utc;
use cordada_core::{Error, Result};
use tokio_util::sync::CancellationToken;

use crate::audience::Audience;
use crate::campaign::Campaign;
use crate::channels;
use crate::client::{Client, Connection};
use crate::deliver::{begin, deliver};
use crate::manifest::{self, Manifest};
use crate::report::{ExportReport, PublishedDelivery};

/// Runs a campaign: reads its audience from the server, as far as there is consent, and delivers it to its channel.
///
/// Everything is read from one release. The delivery appears whole or not at all, and its manifest after it. Rows
/// that the channel does not take are left out and counted; a campaign fails only if that is all of them. A dry run
/// does everything but write. `on_rows` is told the number of rows so far. Dropping the future, as `cancel` does,
/// stops the query at the server and leaves nothing behind.
///
/// # Errors
/// Config for a campaign that is wrong, with the key that is; unavailable for a server or destination that is;
/// failed when the channel takes no row. No error quotes a value of the audience.
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
        let fields = audience.personaliser.fields();
        let mut delivery = begin(name, channel.as_ref(), fields, dry_run).await?;
        let rows = client.read(&format!("reading the audience of campaign {name}"), audience.planned);
        let tally = deliver(rows, &audience.personaliser, delivery.as_deref_mut(), &on_rows, &cancel).await?;
        tally.check(name)?;
        if let Some(delivery) = &mut delivery {
            delivery.seal().await?;
        }
        let report = ExportReport {
            rows: tally.taken(),
            withheld_without_consent: audience.size.map(|size| size.saturating_sub(tally.read)),
            failures: tally.failures,
            columns: fields.fields().iter().map(|field| field.name().clone()).collect(),
            channel: channel.describe(),
            release: audience.release,
            published: None,
        };
        Ok((report, delivery, audience.query))
    };
    let (report, delivery, query) = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(Error::cancelled(format!("running campaign {name}"))),
        read = reading => read?,
    };
    let Some(delivery) = delivery else {
        return Ok(report);
    };
    // From here on there is no cancelling: what is left is to bring the delivery and its manifest into sight.
    let path = manifest::place(channel.as_ref(), project, name, Utc::now());
    let manifest = Manifest::new(name, campaign, &report, &query);
    let receipt = manifest.publish(delivery, path.clone()).await?;
    Ok(ExportReport {
        published: Some(PublishedDelivery {
            receipt,
            manifest: path,
        }),
        ..report
    })
}
