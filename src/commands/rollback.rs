//! `cordada rollback`: an earlier release's state, published again.

use cordada_core::Result;
use cordada_project::Project;

use crate::Outcome;
use crate::cli::Options;

pub async fn run(options: &Options, project: &Project, release: u64) -> Result<Outcome> {
    let run = uuid::Uuid::now_v7().to_string();
    let done = project.lake.rollback(release, &run).await?;
    let number = done.release.number;
    options.say(format!("Published release {number}: the state of release {release}."));
    for table in done.left {
        options.say(format!(
            "Left as it is: {table}, whose rows its source cannot give again."
        ));
    }
    Ok(Outcome::Done)
}
