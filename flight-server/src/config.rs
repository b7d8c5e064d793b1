//! What the server needs to know, and what makes a configuration wrong.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use cordada_query::auth::LoginSettings;
use cordada_query::{Role, ServerLimits, User};
use serde::Deserialize;

/// What is being done when the configuration turns out to be wrong.
const DOING: &str = "configuring the Flight SQL server";

/// How the server is reached and by whom.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// With a certificate the server speaks TLS only.
    pub tls: Option<Tls>,
    /// Who may connect. Nobody means everybody on this machine, without a password.
    pub users: Vec<User>,
    /// What each role may read.
    pub roles: BTreeMap<String, Role>,
    /// How users log in.
    pub login: LoginSettings,
    /// Whether what users are given outlives the process and is good at the lake's other servers: tokens, tickets,
    /// options of sessions. A server that one process starts for itself keeps nothing.
    pub keeps_logins: bool,
    /// The URI that clients are told to fetch results from (`grpc+tls://lake.acme.com:50051`): only needed when a
    /// client cannot reuse the connection it has.
    pub advertise: Option<String>,
    /// The folder of the log in which records of the audit wait on the disk. Without it they wait in memory, and a server
    /// that is killed loses them.
    pub audit_log: Option<PathBuf>,
    /// What statements may take.
    pub limits: ServerLimits,
    /// How long running queries may go on once the server was told to stop.
    pub grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            users: Vec::new(),
            roles: BTreeMap::new(),
            login: LoginSettings::default(),
            keeps_logins: false,
            advertise: None,
            audit_log: None,
            limits: ServerLimits::default(),
            grace: GRACE,
        }
    }
}

/// How long running queries may go on unless somebody says otherwise: less than any supervisor waits.
const GRACE: Duration = Duration::from_secs(3);

/// A certificate and its key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Clients that show a certificate of their own.
    #[serde(default)]
    pub clients: Option<ClientCertificates>,
}

/// Certificates of clients: each stands for the user whose name is in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificates {
    /// The certificates of the authorities that sign them, as a PEM file.
    pub ca: PathBuf,
    /// Those that the authorities have revoked: their lists, as a PEM file.
    #[serde(default)]
    pub crl: Option<PathBuf>,
    /// Whether nobody connects without one.
    #[serde(default)]
    pub required: bool,
    /// The user whom a name in a certificate stands for, where that is not the user of that name.
    #[serde(default)]
    pub users: BTreeMap<String, String>,
}

impl Config {
    /// Checks that certificates stand for users that there are.
    ///
    /// # Errors
    /// Config: a user who is not there.
    pub(crate) fn check_certificates(&self) -> Result<()> {
        let clients = self.tls.iter().filter_map(|tls| tls.clients.as_ref());
        for (name, user) in clients.flat_map(|clients| &clients.users) {
            if !self.users.iter().any(|known| known.name == *user) {
                let known = self.users.iter().map(|user| user.name.as_str());
                return Err(Error::config(
                    DOING,
                    format!("the certificate of `{name}` stands for the unknown user `{user}`"),
                )
                .hint(did_you_mean(user, "the users are", known)));
            }
        }
        Ok(())
    }

    /// Checks that only those who log in are served from elsewhere.
    ///
    /// # Errors
    /// Config: an address open to others without users.
    pub(crate) fn check_address(&self) -> Result<()> {
        if !self.users.is_empty() || self.login.jwt.is_some() || self.listen.ip().is_loopback() {
            return Ok(());
        }
        Err(Error::config(DOING, "without users it serves this machine only")
            .hint("add `users:` to cordada.yml, or listen on 127.0.0.1")
            .with("listen", self.listen))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(listen: &str) -> Config {
        Config {
            listen: listen.parse().unwrap(),
            ..Config::default()
        }
    }

    #[test]
    fn without_users_only_this_machine_is_served() {
        config("127.0.0.1:0").check_address().unwrap();
        config("[::1]:0").check_address().unwrap();
        let mut open = config("0.0.0.0:50051");
        let error = open.check_address().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("listen on 127.0.0.1"), "{error}");
        open.users.push(User {
            name: "ana".to_owned(),
            ..User::default()
        });
        open.check_address().unwrap();
    }

    #[test]
    fn a_certificate_stands_for_a_user_that_there_is() {
        let mut config = config("127.0.0.1:0");
        config.users.push(User {
            name: "ana".to_owned(),
            ..User::default()
        });
        let mut clients = ClientCertificates {
            ca: PathBuf::new(),
            crl: None,
            required: false,
            users: BTreeMap::from([("laptop".to_owned(), "ana".to_owned())]),
        };
        let tls = |clients: &ClientCertificates| Tls {
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            clients: Some(clients.clone()),
        };
        config.tls = Some(tls(&clients));
        config.check_certificates().unwrap();
        clients.users.insert("phone".to_owned(), "anna".to_owned());
        config.tls = Some(tls(&clients));
        let error = config.check_certificates().unwrap_err().to_string();
        assert!(error.contains("did you mean `ana`?"), "{error}");
    }
}
