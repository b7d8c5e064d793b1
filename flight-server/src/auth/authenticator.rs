//! From a request's headers to who sent it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow_flight::BasicAuth;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use cordada_core::Result;
use prost::Message;
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::password;
use super::signature::Signer;
use super::token::Tokens;
use crate::access::Access;
use crate::config::Config;

/// Passwords that are verified at the same time: each takes a core and 19 MiB for tens of milliseconds.
const PARALLEL_VERIFICATIONS: usize = 2;

/// Somebody who is let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The user's name.
    pub(crate) name: String,
    /// What this user reads.
    pub(crate) access: Arc<Access>,
}

/// Who sent a request, and in which session.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Who.
    pub(crate) principal: Arc<Principal>,
    /// The session that began with a handshake; `None` for a client that sends its password with every call, or none.
    pub(crate) session: Option<String>,
}

/// Knows the users.
#[derive(Debug)]
pub(crate) struct Authenticator {
    accounts: HashMap<String, Account>,
    /// Everybody, when there are no users.
    anonymous: Option<Arc<Principal>>,
    tokens: Tokens,
    /// For each user the tag of the password that was verified last, for clients that send it with every call.
    verified: RwLock<HashMap<String, Vec<u8>>>,
    verified_tags: Signer,
    verifications: Semaphore,
}

struct Account {
    hash: String,
    principal: Arc<Principal>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

/// What an `authorization` header holds.
enum Credentials {
    Basic { name: String, password: String },
    Bearer(String),
}

impl Authenticator {
    /// For the users of a configuration; without any, everybody is let in and reads everything.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let account = |user: &crate::User| {
            let access = Arc::new(Access::of(user, &config.roles));
            let principal = Arc::new(Principal {
                name: user.name.clone(),
                access,
            });
            (
                user.name.clone(),
                Account {
                    hash: user.password_hash.clone(),
                    principal,
                },
            )
        };
        let everybody = || {
            Arc::new(Principal {
                name: "anonymous".to_owned(),
                access: Arc::new(Access::Everything),
            })
        };
        Ok(Self {
            accounts: config.users.iter().map(account).collect(),
            anonymous: config.users.is_empty().then(everybody),
            tokens: Tokens::new()?,
            verified: RwLock::default(),
            verified_tags: Signer::new()?,
            verifications: Semaphore::new(PARALLEL_VERIFICATIONS),
        })
    }

    /// Who sent a request with these headers.
    pub(crate) async fn identify(&self, headers: &MetadataMap) -> Result<Identity, Status> {
        match (credentials(headers)?, &self.anonymous) {
            (Some(Credentials::Bearer(token)), None) => {
                let claims = self.tokens.read(&token).ok_or_else(|| {
                    Status::unauthenticated("the bearer token is unknown or has expired; log in again")
                })?;
                let account = self.accounts.get(&claims.user).ok_or_else(refused)?;
                Ok(Identity {
                    principal: account.principal.clone(),
                    session: Some(claims.session),
                })
            }
            (Some(Credentials::Bearer(token)), Some(anonymous)) => {
                let session = self.tokens.read(&token).map(|claims| claims.session);
                Ok(Identity {
                    principal: anonymous.clone(),
                    session,
                })
            }
            (Some(Credentials::Basic { name, password }), None) => Ok(Identity {
                principal: self.verify(&name, password).await?,
                session: None,
            }),
            (None, None) => Err(Status::unauthenticated("this server wants a user and a password")),
            (_, Some(anonymous)) => Ok(Identity {
                principal: anonymous.clone(),
                session: None,
            }),
        }
    }

    /// Logs in: by the headers, or by a `BasicAuth` message as older clients send it. Gives the token.
    pub(crate) async fn handshake(&self, headers: &MetadataMap, payload: &[u8]) -> Result<String, Status> {
        let message = BasicAuth::decode(payload)
            .ok()
            .filter(|message| !message.username.is_empty());
        let principal = match (message, &self.anonymous) {
            (Some(BasicAuth { username, password }), None) if !headers.contains_key("authorization") => {
                self.verify(&username, password).await?
            }
            _ => self.identify(headers).await?.principal,
        };
        self.tokens
            .issue(&principal.name)
            .map_err(|error| Status::internal(error.to_string()))
    }

    /// The user, if the password is right. Takes as long for a user who does not exist.
    async fn verify(&self, name: &str, password: String) -> Result<Arc<Principal>, Status> {
        let account = self.accounts.get(name);
        let credentials = [name.as_bytes(), b"\0", password.as_bytes()].concat();
        if let Some(account) = account
            && let Some(tag) = self.verified.read().unwrap_or_else(PoisonError::into_inner).get(name)
            && self.verified_tags.matches(&credentials, tag)
        {
            return Ok(account.principal.clone());
        }
        let hash = account
            .or_else(|| self.accounts.values().next())
            .map(|account| account.hash.clone());
        let hash = hash.ok_or_else(refused)?;
        let _turn = self
            .verifications
            .acquire()
            .await
            .map_err(|_| Status::unavailable("the server is closing"))?;
        let right = tokio::task::spawn_blocking(move || password::verify(&password, &hash))
            .await
            .map_err(|_| Status::internal("verifying the password was interrupted"))?;
        match account {
            Some(account) if right => {
                let tag = self.verified_tags.tag(&credentials);
                self.verified
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(name.to_owned(), tag);
                Ok(account.principal.clone())
            }
            _ => Err(refused()),
        }
    }
}

/// One answer for an unknown user and for a wrong password.
fn refused() -> Status {
    Status::unauthenticated("user or password is wrong")
}

fn credentials(headers: &MetadataMap) -> Result<Option<Credentials>, Status> {
    let Some(header) = headers.get("authorization") else {
        return Ok(None);
    };
    let wrong = || Status::unauthenticated("the authorization header is neither Basic nor Bearer");
    let (scheme, value) = header
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(wrong)?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Some(Credentials::Bearer(value.to_owned())));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(wrong());
    }
    // Some clients pad, Go's does not.
    let decoded = BASE64_STANDARD_NO_PAD.decode(value.trim_end_matches('='));
    let decoded = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let (name, password) = decoded
        .as_deref()
        .and_then(|text| text.split_once(':'))
        .ok_or_else(|| {
            Status::unauthenticated("the Basic authorization header does not hold user:password in Base64")
        })?;
    Ok(Some(Credentials::Basic {
        name: name.to_owned(),
        password: password.to_owned(),
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use base64::prelude::BASE64_STANDARD;
    use tonic::Code;

    use super::*;
    use crate::{User, hash_password};

    fn config(users: Vec<User>) -> Config {
        let listen = "127.0.0.1:0".parse().unwrap();
        Config {
            listen,
            tls: None,
            users,
            roles: BTreeMap::new(),
            advertise: None,
        }
    }

    fn with_ana() -> Authenticator {
        let password_hash = hash_password("se:cret").unwrap();
        Authenticator::new(&config(vec![User {
            name: "ana".to_owned(),
            password_hash,
            roles: Vec::new(),
        }]))
        .unwrap()
    }

    fn headers(value: &str) -> MetadataMap {
        let mut headers = MetadataMap::new();
        headers.insert("authorization", value.parse().unwrap());
        headers
    }

    fn basic(user: &str, password: &str) -> MetadataMap {
        headers(&format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("{user}:{password}"))
        ))
    }

    /// As Go's client sends it.
    fn basic_without_padding(user: &str, password: &str) -> MetadataMap {
        headers(&format!(
            "Basic {}",
            BASE64_STANDARD_NO_PAD.encode(format!("{user}:{password}"))
        ))
    }

    #[tokio::test]
    async fn a_password_gives_a_token_that_stands_for_it() {
        let authenticator = with_ana();
        let token = authenticator.handshake(&basic("ana", "se:cret"), &[]).await.unwrap();
        let identity = authenticator
            .identify(&headers(&format!("Bearer {token}")))
            .await
            .unwrap();
        assert_eq!(
            (identity.principal.name.as_str(), identity.session.is_some()),
            ("ana", true)
        );
        let every_call = authenticator.identify(&basic("ana", "se:cret")).await.unwrap();
        assert_eq!((every_call.principal.name.as_str(), every_call.session), ("ana", None));
        authenticator
            .identify(&basic_without_padding("ana", "se:cret"))
            .await
            .unwrap();
        let older = BasicAuth {
            username: "ana".to_owned(),
            password: "se:cret".to_owned(),
        }
        .encode_to_vec();
        authenticator.handshake(&MetadataMap::new(), &older).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_is_wrong_hears_the_same_whatever_is_wrong() {
        let authenticator = with_ana();
        authenticator.identify(&basic("ana", "se:cret")).await.unwrap();
        let mut answers = Vec::new();
        for wrong in [
            basic("ana", "secret"),
            basic("ana", ""),
            basic("bob", "se:cret"),
            basic("", ""),
        ] {
            answers.push(authenticator.handshake(&wrong, &[]).await.unwrap_err());
        }
        assert!(answers.iter().all(|status| status.code() == Code::Unauthenticated));
        assert!(answers.iter().all(|status| status.message() == answers[0].message()));
        for wrong in [
            MetadataMap::new(),
            headers("Bearer x"),
            headers("Basic x"),
            headers("Digest x"),
            headers("x"),
        ] {
            let status = authenticator.identify(&wrong).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated);
        }
        let message = BasicAuth {
            username: "ana".to_owned(),
            password: "secret".to_owned(),
        }
        .encode_to_vec();
        assert!(authenticator.handshake(&MetadataMap::new(), &message).await.is_err());
    }

    #[tokio::test]
    async fn without_users_everybody_is_let_in_whatever_they_send() {
        let authenticator = Authenticator::new(&config(Vec::new())).unwrap();
        for anything in [MetadataMap::new(), basic("ana", "x"), headers("Bearer x")] {
            let identity = authenticator.identify(&anything).await.unwrap();
            assert_eq!(*identity.principal.access, Access::Everything);
            authenticator.handshake(&anything, &[]).await.unwrap();
        }
    }
}
