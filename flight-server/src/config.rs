//! What the server needs to know, and what makes a configuration wrong.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cordada_core::{Error, Result};
use cordada_query::{Role, ServerLimits, User};
use serde::Deserialize;

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
    /// The URI that clients are told to fetch results from (`grpc+tls://lake.acme.com:50051`): only needed when a
    /// client cannot reuse the connection it has.
    pub advertise: Option<String>,
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
            advertise: None,
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
}

impl Config {
    /// Checks that only those who log in are served from elsewhere.
    ///
    /// # Errors
    /// Config: an address open to others without users.
    pub(crate) fn check_address(&self) -> Result<()> {
        if !self.users.is_empty() || self.listen.ip().is_loopback() {
            return Ok(());
        }
        Err(Error::config(
            "configuring the Flight SQL server",
            "without users it serves this machine only",
        )
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
}
