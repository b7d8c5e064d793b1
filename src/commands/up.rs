//! `cordada up`: everything that a project runs by itself, in one process.

use std::net::SocketAddr;

use cordada_core::Result;
use cordada_project::Project;
use tokio_util::sync::CancellationToken;

use super::serve;
use crate::Outcome;
use crate::cli::Options;

pub async fn run(
    options: &Options,
    project: &Project,
    addr: Option<SocketAddr>,
    cancel: CancellationToken,
) -> Result<Outcome> {
    serve::run(options, project, addr, cancel).await
}
