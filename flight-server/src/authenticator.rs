//! From a request's headers to who sent it.

use std::sync::Arc;

use arrow_flight::BasicAuth;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use cordada_core::Result;
use cordada_query::auth::{Accounts, Principal, Tokens};
use prost::Message;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::config::Config;
use crate::status;

/// Who sent a request, and in which session.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Who.
    pub(crate) principal: Arc<Principal>,
    /// The session that began with a handshake; `None` for a client that sends its password with every call, or none.
    pub(crate) session: Option<String>,
}

/// Finds out who calls.
#[derive(Debug)]
pub(crate) struct Authenticator {
    accounts: Accounts,
    tokens: Tokens,
}

/// What an `authorization` header holds.
enum Credentials {
    Basic { name: String, password: String },
    Bearer(String),
}

impl Authenticator {
    /// For the users of a configuration; without any, everybody is let in and reads everything.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        Ok(Self {
            accounts: Accounts::new(&config.users, &config.roles)?,
            tokens: Tokens::new()?,
        })
    }

    /// Who sent a request with these headers.
    pub(crate) async fn identify(&self, headers: &MetadataMap) -> Result<Identity, Status> {
        match (credentials(headers)?, self.accounts.anonymous()) {
            (Some(Credentials::Bearer(token)), None) => {
                let claims = self.tokens.read(&token).ok_or_else(|| {
                    Status::unauthenticated("the bearer token is unknown or has expired; log in again")
                })?;
                let principal = self.accounts.get(&claims.user).ok_or_else(refused)?;
                Ok(Identity {
                    principal: principal.clone(),
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
            (Some(Credentials::Basic { name, password }), _) => Ok(Identity {
                principal: self.verify(&name, password).await?,
                session: None,
            }),
            (None, None) => Err(Status::unauthenticated("this server wants a user and a password")),
            (None, Some(anonymous)) => Ok(Identity {
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
        let principal = match message {
            Some(BasicAuth { username, password }) if !headers.contains_key("authorization") => {
                self.verify(&username, password).await?
            }
            _ => self.identify(headers).await?.principal,
        };
        self.tokens
            .issue(&principal.name)
            .map_err(|error| Status::internal(error.to_string()))
    }

    async fn verify(&self, name: &str, password: String) -> Result<Arc<Principal>, Status> {
        let verified = self.accounts.verify(name, password).await;
        verified.map_err(|error| status::of(&error))?.ok_or_else(refused)
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
    use cordada_query::User;
    use cordada_query::auth::hash_password;
    use tonic::Code;

    use super::*;

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
            ..User::default()
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
            assert!(identity.principal.access.reads_everything());
            authenticator.handshake(&anything, &[]).await.unwrap();
        }
    }
}
