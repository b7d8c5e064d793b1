//! From a request's headers and its connection to who sent it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_flight::BasicAuth;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use cordada_query::audit::Audit;
use cordada_query::auth::{Authenticated, Gift, Logins, Membership, Principal, Proof, Refusal};
use prost::Message;
use tonic::codegen::http::HeaderMap;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::{Code, Status};

use crate::audit;
use crate::peer::Peer;
use crate::sessions::Sessions;
use crate::status;

/// Who sent a request, and in which session.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Who.
    pub(crate) principal: Arc<Principal>,
    /// The session that a token or a cookie of ours says; `None` for a client that has shown neither.
    pub(crate) session: Option<String>,
    /// What the client is given with the answer, to show it with the next request.
    pub(crate) gift: Option<Gift>,
}

/// Finds out who calls.
#[derive(Debug)]
pub(crate) struct Authenticator {
    logins: Arc<Logins>,
    /// Whom a name in a certificate stands for, where that is not the user of that name.
    certificate_users: BTreeMap<String, String>,
    audit: Audit,
}

/// What an `authorization` header holds.
pub(crate) enum Credentials {
    Basic { name: String, password: String },
    Bearer(String),
}

impl Authenticator {
    pub(crate) fn new(logins: Arc<Logins>, certificate_users: BTreeMap<String, String>, audit: Audit) -> Self {
        Self {
            logins,
            certificate_users,
            audit,
        }
    }

    /// Who sent a request with these headers.
    pub(crate) async fn identify(&self, headers: &HeaderMap, peer: &Peer) -> Result<Identity, Status> {
        let who = self.authenticate(credentials(headers)?, peer).await?;
        let membership = self.logins.membership(&who, Sessions::shown(headers));
        let Membership { session, gift } = membership.map_err(refused)?;
        Ok(Identity {
            principal: who.principal,
            session,
            gift,
        })
    }

    /// Logs in: by the headers, by a `BasicAuth` message as older clients send it, or by the certificate of the
    /// connection. Gives the token to go on with: a session's, or the bearer token that came, if that is not one of ours.
    pub(crate) async fn handshake(&self, headers: &HeaderMap, peer: &Peer, payload: &[u8]) -> Result<String, Status> {
        let message = BasicAuth::decode(payload)
            .ok()
            .filter(|message| !message.username.is_empty());
        let given = match (credentials(headers)?, message) {
            (None, Some(BasicAuth { username, password })) => Some(Credentials::Basic {
                name: username,
                password,
            }),
            (given, _) => given,
        };
        let bearer = match &given {
            Some(Credentials::Bearer(token)) => Some(token.clone()),
            _ => None,
        };
        let who = self.authenticate(given, peer).await?;
        let put_down = self.audit.record(audit::login(Some(&who.principal.name), None));
        put_down.settled().await.map_err(|error| status::of(&error))?;
        match (who.proof, bearer) {
            // It is checked with every call, and ends when whoever gave it says so.
            (Proof::ApiToken | Proof::Jwt, Some(bearer)) if !self.logins.is_session(&bearer) => Ok(bearer),
            _ => self.logins.begin(&who).map_err(|error| status::of(&error)),
        }
    }

    async fn authenticate(&self, given: Option<Credentials>, peer: &Peer) -> Result<Authenticated, Status> {
        let who = match given {
            Some(Credentials::Bearer(token)) => self.logins.bearer(&token, &self.names(peer)).await,
            Some(Credentials::Basic { name, password }) => {
                let address = peer.address.map(|address| address.ip());
                self.logins.password(&name, password, address).await
            }
            None if peer.certificate.is_some() => self.logins.certificate(&self.names(peer)),
            None => self.logins.nobody(),
        };
        match who {
            Ok(who) => Ok(who),
            Err(refusal) => {
                let status = refused(refusal);
                let put_down = self.audit.record(audit::login(None, Some(&status)));
                put_down.settled().await.map_err(|error| status::of(&error))?;
                Err(status)
            }
        }
    }

    /// The users that the certificate of a connection may stand for.
    fn names(&self, peer: &Peer) -> Vec<String> {
        let names = peer.certificate.iter().flat_map(|names| names.iter());
        let user = |name: &String| self.certificate_users.get(name).unwrap_or(name).clone();
        names.map(user).collect()
    }
}

fn refused(refusal: Refusal) -> Status {
    let code = match &refusal {
        Refusal::Nobody
        | Refusal::Password
        | Refusal::Token
        | Refusal::Closed
        | Refusal::Expired
        | Refusal::Jwt(_)
        | Refusal::Certificate => Code::Unauthenticated,
        Refusal::NoRole => Code::PermissionDenied,
        Refusal::TooMany(_) | Refusal::Busy => Code::ResourceExhausted,
        Refusal::Unknown(error) => return status::of(error),
    };
    Status::new(code, refusal.to_string())
}

pub(crate) fn credentials(headers: &HeaderMap) -> Result<Option<Credentials>, Status> {
    let Some(header) = headers.get(AUTHORIZATION) else {
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
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
