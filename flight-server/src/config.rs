//! What the server needs to know, and what makes a configuration wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use cordada_core::{Error, Result, TableName};
use serde::Deserialize;

use crate::auth::password;

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
}

/// A certificate and its key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Somebody who may connect.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name to log in with.
    pub name: String,
    /// The password's Argon2 hash as a PHC string (`$argon2id$…`), as [`crate::hash_password`] makes it.
    pub password_hash: String,
    /// The roles whose relations this user reads; without any, none.
    #[serde(default)]
    pub roles: Vec<String>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// What a role may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Schemas (`marts`) and single relations (`warehouse.dim_customer`) that it reads; `*` is all of them.
    #[serde(default)]
    pub read: Vec<String>,
}

impl Config {
    /// Checks what can be wrong before a port is opened.
    ///
    /// # Errors
    /// Config: an address open to others without users, a user twice, a password hash or a role that is none.
    pub(crate) fn validate(&self) -> Result<()> {
        const DOING: &str = "configuring the Flight SQL server";
        if self.users.is_empty() && !self.listen.ip().is_loopback() {
            return Err(Error::config(DOING, "without users it serves this machine only")
                .hint("add `users:` to cordada.yml, or listen on 127.0.0.1")
                .with("listen", self.listen));
        }
        for (name, role) in &self.roles {
            for read in &role.read {
                if read != "*" && !is_schema(read) && read.parse::<TableName>().is_err() {
                    return Err(Error::config(DOING, format!("role `{name}` cannot read `{read}`"))
                        .hint("name a schema (`marts`), a relation (`warehouse.dim_customer`), or `*`"));
                }
            }
        }
        let mut names = BTreeSet::new();
        for user in &self.users {
            if !names.insert(&user.name) {
                return Err(Error::config(DOING, format!("user `{}` is there twice", user.name)));
            }
            password::check_hash(&user.password_hash).map_err(|why| {
                Error::config(
                    DOING,
                    format!("the password hash of user `{}` is none: {why}", user.name),
                )
                .hint("it takes the password's Argon2 hash, which begins with $argon2id$")
            })?;
            if let Some(role) = user.roles.iter().find(|role| !self.roles.contains_key(*role)) {
                let known: Vec<_> = self.roles.keys().map(String::as_str).collect();
                return Err(
                    Error::config(DOING, format!("user `{}` has the unknown role `{role}`", user.name))
                        .hint(format!("the roles are: {}", known.join(", "))),
                );
            }
        }
        Ok(())
    }
}

/// Whether the text can be a schema's name: what [`TableName`] takes for one.
fn is_schema(text: &str) -> bool {
    TableName::new(text, "t").is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(listen: &str) -> Config {
        Config {
            listen: listen.parse().unwrap(),
            tls: None,
            users: Vec::new(),
            roles: BTreeMap::from([(
                "analyst".to_owned(),
                Role {
                    read: vec!["marts".to_owned()],
                },
            )]),
            advertise: None,
        }
    }

    fn user(name: &str, role: &str) -> User {
        User {
            name: name.to_owned(),
            password_hash: crate::hash_password("secret").unwrap(),
            roles: vec![role.to_owned()],
        }
    }

    #[test]
    fn without_users_only_this_machine_is_served() {
        config("127.0.0.1:0").validate().unwrap();
        config("[::1]:0").validate().unwrap();
        let error = config("0.0.0.0:50051").validate().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("listen on 127.0.0.1"), "{error}");
    }

    #[test]
    fn users_and_roles_are_checked_before_the_port_is_opened() {
        let mut open = config("0.0.0.0:50051");
        open.users = vec![user("ana", "analyst")];
        open.validate().unwrap();
        open.users.push(user("ana", "analyst"));
        assert!(
            open.validate()
                .unwrap_err()
                .to_string()
                .contains("`ana` is there twice")
        );
        open.users[1] = user("bea", "boss");
        assert!(
            open.validate()
                .unwrap_err()
                .to_string()
                .contains("the roles are: analyst")
        );
        open.users[1] = User {
            password_hash: "secret".to_owned(),
            ..user("bea", "analyst")
        };
        let error = open.validate().unwrap_err().to_string();
        assert!(error.contains("`bea` is none"), "{error}");
        open.roles.insert(
            "odd".to_owned(),
            Role {
                read: vec!["a b".to_owned()],
            },
        );
        assert!(open.validate().unwrap_err().to_string().contains("cannot read `a b`"));
    }

    #[test]
    fn a_users_hash_is_not_printed() {
        assert!(!format!("{:?}", user("ana", "analyst")).contains("argon2"));
    }
}
