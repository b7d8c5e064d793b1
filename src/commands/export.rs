//! `cordada export`: runs campaigns.

use cordada_core::Result;
use cordada_project::Project;
use tokio_util::sync::CancellationToken;

use crate::Outcome;
use crate::cli::Options;
use crate::output::{grouped, new_table};

pub async fn run(
    options: &Options,
    project: &Project,
    names: &[String],
    dry_run: bool,
    cancel: CancellationToken,
) -> Result<Outcome> {
    let progress = options.progress();
    let reports = project.export(names, dry_run, &*progress, cancel).await?;
    if options.quiet {
        return Ok(Outcome::Done);
    }
    if reports.is_empty() {
        println!("There is nothing to export: campaigns/ has no .yml files.");
        return Ok(Outcome::Done);
    }
    let mut table = new_table([
        "campaign",
        "rows",
        "failed",
        "withheld",
        "release",
        "destination",
        "manifest",
    ]);
    for (name, report) in &reports {
        table.add_row([
            name.clone(),
            grouped(report.rows),
            grouped(report.failures.total()),
            report.withheld_without_consent.map(grouped).unwrap_or_default(),
            report.release.map(|release| release.to_string()).unwrap_or_default(),
            report.channel.destination.clone(),
            match &report.published {
                Some(published) => published.manifest.display().to_string(),
                None => "(dry run)".to_owned(),
            },
        ]);
    }
    println!("{table}");
    for (name, report) in reports.iter().filter(|(_, report)| report.failures.total() > 0) {
        println!("{name}: the channel did not take some rows: {}", report.failures);
    }
    Ok(Outcome::Done)
}
