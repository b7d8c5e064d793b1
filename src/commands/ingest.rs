//! `cordada ingest`: lands sources, or checks them.

use cordada_core::{Error, ErrorKind, Result};
use cordada_ingest::{IngestReport, Selection};
use cordada_project::Project;
use tokio_util::sync::CancellationToken;

use crate::Outcome;
use crate::cli::Options;
use crate::output::{grouped, new_table, size};

pub async fn run(
    options: &Options,
    project: &Project,
    select: &[Selection],
    cancel: CancellationToken,
) -> Result<Outcome> {
    if project.sources()?.is_empty() {
        options.say("There is nothing to land: sources/ has no .yml files.");
        return Ok(Outcome::Done);
    }
    let report = project.ingest(select, options.progress(), cancel).await?;
    if !options.quiet {
        print(&report);
    }
    Ok(Outcome::Done)
}

/// Finds out whether the sources can be read. Fails as the worst of their streams: by configuration first, as that is
/// what its reader can mend.
pub async fn check(
    options: &Options,
    project: &Project,
    select: &[Selection],
    cancel: CancellationToken,
) -> Result<Outcome> {
    let checked = project.check(select, cancel).await?;
    let mut table = new_table(["source", "stream", "result"]);
    for stream in &checked {
        let result = match &stream.result {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        table.add_row([&stream.source, &stream.stream, &result]);
    }
    println!("{table}");
    let kinds: Vec<_> = checked
        .iter()
        .filter_map(|stream| Some(stream.result.as_ref().err()?.kind()))
        .collect();
    let worst = [ErrorKind::Config, ErrorKind::Unavailable];
    let Some(kind) = worst
        .into_iter()
        .find(|kind| kinds.contains(kind))
        .or(kinds.first().copied())
    else {
        options.say("Everything can be read.");
        return Ok(Outcome::Done);
    };
    let why = format!("{} of {} streams cannot be read", kinds.len(), checked.len());
    Err(Error::new(kind, "checking the sources", why).hint("the table says why"))
}

fn print(report: &IngestReport) {
    let mut table = new_table(["table", "files", "skipped", "rows", "rejected", "read", "seconds"]);
    for stream in &report.streams {
        table.add_row([
            stream.table.to_string(),
            grouped(stream.files as u64),
            grouped(stream.skipped_files as u64),
            grouped(stream.rows),
            grouped(stream.rejected),
            size(stream.bytes),
            format!("{:.1}", stream.seconds),
        ]);
    }
    println!("{table}");
    if report.streams.iter().any(|stream| stream.rejected > 0) {
        println!(
            "Rejected rows are in ops.rejected_rows, with the reason: load_id={}",
            report.load_id
        );
    }
    match report.release {
        Some(release) => println!("Published as release {release}."),
        None => println!("Nothing new: no release was published."),
    }
}
