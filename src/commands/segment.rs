//! `cordada segment`: who belongs to a segment, counted and listed.

use std::path::Path;

use cordada_core::{Error, Result};
use cordada_project::Project;
use tokio_util::sync::CancellationToken;

use crate::cli::Format;
use crate::output::{grouped, new_table};
use crate::{Outcome, output};

pub async fn count(project: &Project, name: &str) -> Result<Outcome> {
    let counts = project.count_segment(name).await?;
    let mut table = new_table(["condition", "persons", "left out"]);
    table.add_row(["all".to_owned(), grouped(counts.population), String::new()]);
    let mut before = counts.population;
    for (step, persons) in &counts.steps {
        table.add_row([step.clone(), grouped(*persons), grouped(before - persons)]);
        before = *persons;
    }
    println!("{table}");
    println!(
        "{} of {} persons.",
        grouped(counts.members()),
        grouped(counts.population)
    );
    Ok(Outcome::Done)
}

pub async fn list(
    project: &Project,
    name: &str,
    format: Format,
    file: Option<&Path>,
    cancel: CancellationToken,
) -> Result<Outcome> {
    let run = async {
        let members = project.segment_members(name).await?;
        output::write(members, format, file).await
    };
    tokio::select! {
        written = run => written.map(|_| Outcome::Done),
        () = cancel.cancelled() => Err(Error::cancelled("listing the segment")),
    }
}
