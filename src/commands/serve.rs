//! `cordada serve`: the Flight SQL server, and the collectors of the sources of events.

use std::net::SocketAddr;

use cordada_core::Result;
use cordada_flight_server::Server;
use cordada_ingest::listen;
use futures::future::join_all;
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
    let (sources, key) = (project.sources()?, project.pii_key()?);
    let mut collectors = Vec::new();
    // Events happen once: they land in production, whatever environment this is.
    for source in sources.iter().filter(|_| project.is_production()) {
        collectors.extend(source.listen(&project.dir, key.as_ref()).await?);
    }
    options.say(format!("Serving {}.", project.config.name));
    if !server.has_users() {
        options.say(
            "There are no users in cordada.yml: anybody on this machine may read everything, nobody else anything.",
        );
    }
    for collector in &collectors {
        println!("collecting {} on http://{}", collector.source(), collector.local_addr());
    }
    // A program that started us waits for this line, and learns the port from it.
    println!("listening on {scheme}://{}", server.local_addr());

    // Whatever ends first, by itself or with an error, ends the others in good order.
    let stop = cancel.child_token();
    let collecting = collectors.into_iter().map(|collector| {
        let running = listen(
            collector,
            &project.lake,
            &project.dir,
            &sources,
            key.as_ref(),
            stop.clone(),
        );
        ending(running, &stop)
    });
    let (served, collected) = tokio::join!(ending(server.serve(stop.clone()), &stop), join_all(collecting));
    served?;
    collected.into_iter().collect::<Result<()>>()?;
    Ok(Outcome::Done)
}

async fn ending(work: impl Future<Output = Result<()>>, stop: &CancellationToken) -> Result<()> {
    let result = work.await;
    stop.cancel();
    result
}
