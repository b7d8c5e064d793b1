//! `export`: campaigns run through a Flight SQL server, one within the process if the project names none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use cordada_core::progress::Progress;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Context, Error, Result, yaml};
use cordada_exporter::{Campaign, Connection, ExportReport};
use cordada_flight_server::{Config, Server};
use cordada_query::auth::hash_password;
use cordada_query::{Role, User};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::Project;

impl Project {
    /// Runs the campaigns of those names, or all. A dry run sends nothing.
    ///
    /// # Errors
    /// Config for a campaign that there is not, or that makes no sense; those of [`cordada_exporter::export()`].
    pub async fn export(
        &self,
        names: &[String],
        dry_run: bool,
        progress: &dyn Progress,
        cancel: CancellationToken,
    ) -> Result<Vec<(String, ExportReport)>> {
        let campaigns = read(&self.dir.join("campaigns"), names)?;
        if campaigns.is_empty() {
            return Ok(Vec::new());
        }
        let (connection, server) = match self.export_server() {
            Some(server) => {
                let (user, password) = (server.user.clone(), server.password.clone());
                (
                    Connection {
                        url: server.server.clone(),
                        user,
                        password,
                    },
                    None,
                )
            }
            None => start_server(self)
                .await
                .map(|(connection, server)| (connection, Some(server)))?,
        };
        let exported = self
            .export_through(&connection, &campaigns, dry_run, progress, cancel)
            .await;
        if let Some(server) = server {
            server.stop().await;
        }
        exported
    }

    async fn export_through(
        &self,
        connection: &Connection,
        campaigns: &BTreeMap<String, Campaign>,
        dry_run: bool,
        progress: &dyn Progress,
        cancel: CancellationToken,
    ) -> Result<Vec<(String, ExportReport)>> {
        let mut reports = Vec::new();
        for (name, campaign) in campaigns {
            let task = progress.start(&format!("export {name}"), None, "rows");
            let reported = AtomicU64::new(0);
            let on_rows = |rows| task.advance(rows - reported.swap(rows, Ordering::Relaxed));
            let exporting =
                cordada_exporter::export(name, campaign, connection, &self.dir, dry_run, on_rows, cancel.clone());
            let report = exporting.await.map_err(|error| of_campaign(name, error))?;
            task.finish(&format!("{} rows", report.rows));
            reports.push((name.clone(), report));
        }
        Ok(reports)
    }
}

/// The error of a campaign, named: a disk that is full or a server that is down does not know whose run it stops.
fn of_campaign(name: &str, error: Error) -> Error {
    Error::new(error.kind(), format!("exporting {name}"), &error).caused_by(error)
}

/// The campaigns of those names, or all of the folder, validated before the first one runs.
fn read(folder: &Path, names: &[String]) -> Result<BTreeMap<String, Campaign>> {
    let known = list(folder)?;
    let wanted: BTreeSet<String> = if names.is_empty() {
        known.clone()
    } else {
        names.iter().cloned().collect()
    };
    let mut campaigns = BTreeMap::new();
    for name in wanted {
        if !known.contains(&name) {
            let hint = did_you_mean(&name, "the campaigns are", known.iter().map(String::as_str));
            return Err(Error::config(format!("exporting `{name}`"), "there is no campaign of that name").hint(hint));
        }
        let file = folder.join(format!("{name}.yml"));
        let campaign: Campaign = yaml::read(&file)?;
        campaign
            .validate(&name)
            .map_err(|error| of_campaign(&name, error).at(file.display(), 0, 0))?;
        campaigns.insert(name, campaign);
    }
    Ok(campaigns)
}

fn list(folder: &Path) -> Result<BTreeSet<String>> {
    let doing = || format!("listing {}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries.doing(doing)?,
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let path = entry.doing(doing)?.path();
        if path.extension().is_some_and(|extension| extension == "yml") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    Ok(names)
}

/// A server within the process; it ends when this is dropped.
struct OwnServer {
    stop: DropGuard,
    serving: JoinHandle<()>,
}

impl OwnServer {
    /// Ends it in good order: what it puts down in `ops.audit` is written.
    async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.serving.await {
            tracing::warn!(%error, "the server of the export did not end in good order");
        }
    }
}

/// Starts a server on a free port for one user, whose password nobody else on this machine knows.
async fn start_server(project: &Project) -> Result<(Connection, OwnServer)> {
    let password = uuid::Uuid::new_v4().to_string();
    let name = "exporter".to_owned();
    let newest = project.lake.releases().newest().await?;
    let read: BTreeSet<String> = newest.relations.keys().map(|name| name.schema().to_owned()).collect();
    let role = Role {
        read: read.into_iter().collect(),
        ..Role::default()
    };
    let config = Config {
        users: vec![User {
            name: name.clone(),
            password_hash: hash_password(&password)?,
            roles: vec![name.clone()],
            ..User::default()
        }],
        roles: BTreeMap::from([(name.clone(), role)]),
        ..Config::default()
    };
    let server = Server::bind(project.lake.clone(), config).await?;
    let url = format!("grpc://{}", server.local_addr());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.serve(stop.clone()));
    let connection = Connection {
        url,
        user: Some(name),
        password: Some(password),
    };
    Ok((
        connection,
        OwnServer {
            stop: stop.drop_guard(),
            serving,
        },
    ))
}
