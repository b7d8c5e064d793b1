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
    let mut table = new_table(["campaign", "rows", "withheld", "release", "file", "sha256"]);
    for (name, report) in &reports {
        table.add_row([
            name.clone(),
            grouped(report.rows),
            report.withheld_without_consent.map(grouped).unwrap_or_default(),
            report.release.map(|release| release.to_string()).unwrap_or_default(),
            if dry_run {
                "(dry run)".to_owned()
            } else {
                report.file.display().to_string()
            },
            report.sha256.chars().take(12).collect(),
        ]);
    }
    println!("{table}");
    Ok(Outcome::Done)
}
