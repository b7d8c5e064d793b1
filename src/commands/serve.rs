//! `cordada serve`: the Flight SQL server, and the sources that listen.

use std::net::SocketAddr;

use cordada_core::Result;
use cordada_project::{Endpoints, Project};
use tokio_util::sync::CancellationToken;

use crate::Outcome;
use crate::cli::Options;

pub async fn run(
    options: &Options,
    project: &Project,
    addr: Option<SocketAddr>,
    cancel: CancellationToken,
) -> Result<Outcome> {
    let ready = |endpoints: &Endpoints| {
        options.say(format!("Serving {}.", project.config.name));
        if !endpoints.has_users {
            options.say(
                "There are no users in cordada.yml: anybody on this machine may read everything, nobody else anything.",
            );
        }
        for (source, place) in &endpoints.sources {
            println!("collecting {source} on {place}");
        }
        // A program that started us waits for this line, and learns the port from it.
        println!("listening on {}", endpoints.server);
    };
    project.serve(addr, ready, cancel).await?;
    Ok(Outcome::Done)
}
