//! `cordada query`: one statement on one release.

use std::io::Read;
use std::path::Path;

use cordada_core::{Context, Error, Result};
use cordada_lake::query::sql;
use cordada_project::Project;
use tokio_util::sync::CancellationToken;

use crate::cli::Format;
use crate::{Outcome, output};

pub async fn run(
    project: &Project,
    statement: &str,
    release: Option<u64>,
    format: Format,
    file: Option<&Path>,
    cancel: CancellationToken,
) -> Result<Outcome> {
    let mut stdin = String::new();
    let statement = if statement == "-" {
        std::io::stdin()
            .read_to_string(&mut stdin)
            .doing(|| "reading the statement from stdin")?;
        stdin.as_str()
    } else {
        statement
    };
    let releases = project.lake.releases();
    let release = match release {
        Some(number) => releases.get(number).await?,
        None => releases.newest().await?,
    };
    let session = project.lake.session(&release);
    let run = async {
        let plan = sql::plan(&project.lake, &session, statement).await?;
        let frame = session
            .execute_logical_plan(plan)
            .await
            .doing(|| "planning the query")?;
        let rows = frame.execute_stream().await.doing(|| "running the query")?;
        output::write(rows, format, file).await
    };
    tokio::select! {
        written = run => written.map(|_| Outcome::Done),
        () = cancel.cancelled() => Err(Error::cancelled("running the query")),
    }
}
