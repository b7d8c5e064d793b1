//! `cordada rollback`: an earlier release's state, published again.

use cordada_core::Result;
use cordada_project::Project;

use crate::Outcome;
use crate::cli::Options;

pub async fn run(options: &Options, project: &Project, release: u64) -> Result<Outcome> {
    let run = uuid::Uuid::now_v7().to_string();
    let published = project.lake.releases().rollback(release, &run).await?;
    options.say(format!(
        "Published release {}: the state of release {release}.",
        published.number
    ));
    Ok(Outcome::Done)
}
