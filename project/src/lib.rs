//! A user's project and its verbs: what the command line calls, and whatever else runs a project.
//!
//! Verbs return reports and print nothing. What must be plugged together is in the [`registry`].

mod activate;
mod build;
pub mod config;
pub mod identity;
mod land;
mod maintain;
mod person;
pub mod registry;
mod segments;
mod serve;
mod tokens;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cordada_core::{Error, Result};
use cordada_flight_server::ClientCertificates;
use cordada_ingest::SourceFile;
use cordada_ingest_source::transform::PiiKey;
use cordada_lake::maintain::MAINTENANCE;
use cordada_lake::{Journal, Lake, Settings};
use cordada_marts::LoadOptions;
use cordada_query::audit::AUDIT;

use crate::config::{AuditKeeping, Config, ExportServer};
use crate::registry::KINDS;

pub use build::Selection;
pub use person::{KEY as PERSON_KEY, PersonPart, PersonView};
pub use serve::Endpoints;

/// The journals that the lake has.
fn journals() -> Vec<Journal> {
    let mut journals = [cordada_ingest::JOURNALS, cordada_marts::JOURNALS].concat();
    journals.push(MAINTENANCE);
    journals.push(AUDIT);
    journals
}

/// A project, opened in one environment.
pub struct Project {
    /// What `cordada.yml` says.
    pub config: Config,
    /// The lake, in the environment.
    pub lake: Lake,
    /// The project's folder.
    pub dir: PathBuf,
    target: Option<String>,
}

impl Project {
    /// Opens the project in `dir`, in production or another environment.
    pub async fn open(dir: &Path, target: Option<&str>) -> Result<Self> {
        let config = Config::read(dir)?;
        let lake = config.lake.as_str();
        let location = if lake.contains("://") {
            lake.to_owned()
        } else {
            dir.join(lake).to_string_lossy().into_owned()
        };
        let settings = Settings {
            storage: config.storage.clone(),
            memory: config
                .memory
                .map(|memory| usize::try_from(memory.0).unwrap_or(usize::MAX)),
            journals: journals(),
            ..Settings::default()
        };
        let lake = Lake::open(&location, &settings).await?.in_target(target)?;
        Ok(Self {
            config,
            lake,
            dir: dir.to_owned(),
            target: target.map(str::to_owned),
        })
    }

    /// Whether this is production, rather than another environment.
    pub fn is_production(&self) -> bool {
        self.target.is_none()
    }

    /// The sources of `sources/`.
    pub fn sources(&self) -> Result<Vec<SourceFile>> {
        cordada_ingest::load_sources(&self.dir.join("sources"), KINDS)
    }

    /// The key of hashes and tokens, if there is one.
    pub fn pii_key(&self) -> Result<Option<PiiKey>> {
        let secret = self.config.pii_key.as_ref();
        secret.map(|secret| PiiKey::new(&secret.0)).transpose()
    }

    /// The SQL project of `sql/`, with `segments/` and `indicators/`.
    pub fn sql(&self) -> Result<cordada_marts::Project> {
        let dir = self.dir.join("sql");
        if !dir.join("dbt_project.yml").is_file() {
            return Err(Error::config(
                "loading the SQL project",
                format!("there is no {}/dbt_project.yml", dir.display()),
            )
            .hint("write one with `cordada init`, or copy yours there"));
        }
        let options = LoadOptions {
            target: self.target.clone().unwrap_or_else(|| "prod".to_owned()),
            env: std::env::vars().collect::<BTreeMap<_, _>>(),
            definitions: Some(self.dir.clone()),
            ..LoadOptions::default()
        };
        cordada_marts::Project::load(&dir, &options)
    }

    /// How the Flight SQL server is to run.
    pub fn server(&self) -> cordada_flight_server::Config {
        let server = &self.config.server;
        let tls = server.tls.as_ref().map(|tls| cordada_flight_server::Tls {
            certificate: self.dir.join(&tls.certificate),
            key: self.dir.join(&tls.key),
            clients: tls.clients.as_ref().map(|clients| ClientCertificates {
                ca: self.dir.join(&clients.ca),
                crl: clients.crl.as_ref().map(|crl| self.dir.join(crl)),
                ..clients.clone()
            }),
        });
        let mut login = self.config.login.clone();
        // The provider's keys are at an address, or in a file of the project.
        let keys = login.jwt.as_mut().and_then(|jwt| jwt.keys.as_mut());
        if let Some(keys) = keys.filter(|keys| !keys.contains("://")) {
            *keys = self.dir.join(&*keys).to_string_lossy().into_owned();
        }
        cordada_flight_server::Config {
            listen: server.listen,
            tls,
            users: self.config.users.clone(),
            roles: self.config.roles.clone(),
            login,
            keeps_logins: true,
            advertise: server.advertise.clone(),
            audit_log: (server.audit == AuditKeeping::Durable).then(|| self.dir.join(".cordada/audit")),
            limits: server.limits.clone(),
            grace: server.grace.0,
        }
    }

    /// The server that campaigns read from, if the project names one.
    pub fn export_server(&self) -> Option<&ExportServer> {
        self.config.export.as_ref()
    }
}
