//! `cordada.yml`: what a project says about itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use cordada_core::suggest::did_you_mean;
use cordada_core::units::{Size, Span};
use cordada_core::{Error, Result, yaml};
use cordada_flight_server::Tls;
use cordada_query::auth::LoginSettings;
use cordada_query::{Role, ServerLimits, User};
use serde::Deserialize;

/// The file's name.
pub const FILE: &str = "cordada.yml";

/// A project's configuration, validated.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The project's name.
    pub name: String,
    /// Where the lake is: a path relative to the project, or a URL.
    #[serde(default = "default_lake")]
    pub lake: String,
    /// Options of the object store.
    #[serde(default)]
    pub storage: BTreeMap<String, String>,
    /// The secret behind hashes and tokens of personal columns; best as `${NAME}`.
    #[serde(default)]
    pub pii_key: Option<Secret>,
    /// What queries and writes may use before they spill: `4GB`. Half of the machine by default.
    #[serde(default)]
    pub memory: Option<Size>,
    /// The Flight SQL server.
    #[serde(default)]
    pub server: Server,
    /// Who may connect. Nobody in particular when empty, and then from this machine only.
    #[serde(default)]
    pub users: Vec<User>,
    /// What users may read.
    #[serde(default)]
    pub roles: BTreeMap<String, Role>,
    /// How users log in.
    #[serde(default)]
    pub login: LoginSettings,
    /// What maintenance keeps.
    #[serde(default)]
    pub maintain: Maintain,
    /// The server that campaigns read from; one within the process if there is none.
    #[serde(default)]
    pub export: Option<ExportServer>,
}

/// The Flight SQL server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port.
    pub listen: SocketAddr,
    /// Certificate, key and what clients' certificates are held against, as PEM files relative to the project.
    pub tls: Option<Tls>,
    /// The URI that clients are told, where it differs from the one they connect to.
    pub advertise: Option<String>,
    /// How records of the audit wait until they are in `ops.audit`.
    pub audit: AuditKeeping,
    /// What statements may take, and how many may at once; roles have limits of their own.
    pub limits: ServerLimits,
    /// How long running queries may go on once the server was told to stop: `3s`.
    pub grace: Span,
}

/// How records of the audit wait until they are in `ops.audit`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditKeeping {
    /// In memory, which costs nothing.
    #[default]
    InMemory,
    /// On the disk: a statement is there before its first answer leaves.
    Durable,
}

/// What maintenance keeps.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Maintain {
    /// How long releases can be read and rolled back to: `7d`. Nothing that runs may take longer.
    pub keep: Span,
}

/// A Flight SQL server elsewhere.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportServer {
    /// `grpc://host:port` or `grpc+tls://host:port`.
    pub server: String,
    /// Who connects.
    pub user: Option<String>,
    /// Their password; best as `${NAME}`.
    pub password: Option<String>,
}

/// A value that is never printed.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50051),
            tls: None,
            advertise: None,
            audit: AuditKeeping::default(),
            limits: ServerLimits::default(),
            grace: Span::seconds(3),
        }
    }
}

impl Default for Maintain {
    fn default() -> Self {
        Self {
            keep: Span::seconds(7 * 24 * 3600),
        }
    }
}

fn default_lake() -> String {
    "./lake".to_owned()
}

impl Config {
    /// Reads the project's file.
    ///
    /// # Errors
    /// Config: no such file, an unknown key, a user whose role is not there.
    pub fn read(project: &Path) -> Result<Self> {
        let file = project.join(FILE);
        if !file.is_file() {
            return Err(Error::config(
                format!("opening the project {}", project.display()),
                format!("there is no {FILE}"),
            )
            .hint("write one with `cordada init`, or name the folder with --project"));
        }
        let config: Self = yaml::read(&file)?;
        if config.memory == Some(Size(0)) {
            return Err(Error::config("reading `memory`", "nothing runs without memory")
                .hint("leave it out for half of the machine's")
                .at(file.display(), 0, 0));
        }
        config.server.limits.check()?;
        config.check_roles(&file)?;
        Ok(config)
    }

    fn check_roles(&self, file: &Path) -> Result<()> {
        for user in &self.users {
            let Some(role) = user.roles.iter().find(|role| !self.roles.contains_key(*role)) else {
                continue;
            };
            let known: Vec<_> = self.roles.keys().map(String::as_str).collect();
            let hint = did_you_mean(role, "the roles are", known.iter().copied());
            let why = format!("there is no role `{role}`");
            return Err(Error::config(format!("reading user `{}`", user.name), why)
                .hint(hint)
                .at(file.display(), 0, 0));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        yaml::parse(Path::new(FILE), text)
    }

    #[test]
    fn every_key_but_the_name_has_a_default() {
        let config = parse("name: acme").unwrap();
        assert_eq!(config.lake, "./lake");
        assert!(config.server.listen.ip().is_loopback());
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = parse("name: acme\nlaek: ./x\n").unwrap_err().to_string();
        assert!(
            error.contains("cordada.yml:2:1") && error.contains("did you mean `lake`?"),
            "{error}"
        );
    }

    #[test]
    fn limits_are_those_of_the_server_and_of_roles() {
        let config = parse(
            "name: a\nserver: {grace: 5s, limits: {statements: 3, time: 10m, memory: 1GB}}\n\
             roles: {crm: {read: [marts], limits: {time: 1m, rows: 1000}}}",
        )
        .unwrap();
        assert_eq!(
            (config.server.limits.statements, config.server.grace),
            (Some(3), Span::seconds(5))
        );
        assert_eq!(config.roles["crm"].limits.time, Some(Span::seconds(60)));
        let error = parse("name: a\nserver: {limits: {tiem: 1m}}").unwrap_err().to_string();
        assert!(error.contains("did you mean `time`?"), "{error}");
    }

    #[test]
    fn the_audit_is_kept_as_the_project_says() {
        assert_eq!(parse("name: a").unwrap().server.audit, AuditKeeping::InMemory);
        let durable = parse("name: a\nserver: {audit: durable}").unwrap();
        assert_eq!(durable.server.audit, AuditKeeping::Durable);
        assert!(parse("name: a\nserver: {audit: yes}").is_err());
    }

    #[test]
    fn a_user_needs_a_role_that_is_there() {
        let config = parse(
            "name: a\nusers: [{name: ana, password_hash: x, roles: [analist]}]\nroles: {analyst: {read: [marts]}}",
        )
        .unwrap();
        let error = config.check_roles(Path::new(FILE)).unwrap_err().to_string();
        assert!(error.contains("did you mean `analyst`?"), "{error}");
    }
}
