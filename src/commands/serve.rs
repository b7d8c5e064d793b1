//! `cordada serve`: the Flight SQL server.

use std::net::SocketAddr;

use cordada_flight_server::Server;
use cordada_lake::Result;
use tokio_util::sync::CancellationToken;

use crate::Outcome;
use crate::cli::Options;
use crate::project::Project;

pub async fn run(
    options: &Options,
    project: &Project,
    addr: Option<SocketAddr>,
    cancel: CancellationToken,
) -> Result<Outcome> {
    let mut config = project.server();
    config.listen = addr.unwrap_or(config.listen);
    let scheme = if config.tls.is_some() { "grpc+tls" } else { "grpc" };
    let server = Server::bind(project.lake.clone(), config).await?;
    options.say(format!("Serving {}.", project.config.name));
    if !server.has_users() {
        options.say(
            "There are no users in cordada.yml: anybody on this machine may read everything, nobody else anything.",
        );
    }
    // A program that started us waits for this line, and learns the port from it.
    println!("listening on {scheme}://{}", server.local_addr());
    server.serve(cancel).await?;
    Ok(Outcome::Done)
}
