//! `cordada audit`: whether what servers put down is still what they put down.

use cordada_core::Result;
use cordada_project::Project;
use cordada_query::audit::Verified;

use crate::Outcome;

pub async fn verify(project: &Project) -> Result<Outcome> {
    let Verified { chains, records } = cordada_query::audit::verify(&project.lake).await?;
    println!("{records} records of {chains} servers: none is changed, none between others is missing");
    Ok(Outcome::Done)
}
