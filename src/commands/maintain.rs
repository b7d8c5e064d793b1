//! `cordada maintain`: fewer files, and only those that somebody needs.

use cordada_core::units::Span;
use cordada_core::{Error, Result};
use cordada_project::Project;
use tokio_util::sync::CancellationToken;

use crate::Outcome;
use crate::cli::Options;
use crate::output::size;

pub async fn run(
    options: &Options,
    project: &Project,
    keep: Option<Span>,
    cancel: CancellationToken,
) -> Result<Outcome> {
    let task = options.progress().start("maintain", None, "");
    let done = tokio::select! {
        done = project.maintain(keep) => done?,
        () = cancel.cancelled() => return Err(Error::cancelled("maintaining the lake")),
    };
    task.finish(&format!("{} tables", done.tables));
    options.say(format!("Put {} files together, into {}.", done.compacted, done.into));
    options.say(format!(
        "Dropped {} releases, and removed {} data files ({}) and {} files of logs that only they needed.",
        done.releases,
        done.removed,
        size(done.removed_bytes),
        done.log_files
    ));
    for (table, why) in done.left {
        options.say(format!("Left as it is: {table}. {why}"));
    }
    Ok(Outcome::Done)
}
