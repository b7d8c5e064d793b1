//! How requests prove who sends them.

use std::collections::BTreeMap;

use cordada_core::units::Span;
use cordada_ingest_formats::json::pointer::Locator;
use serde::Deserialize;
use serde_json::Value as Json;

use super::request::Request;
use crate::template::Template;

/// The credentials of every request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    #[default]
    None,
    /// `Authorization: Bearer TOKEN`.
    Bearer { token: Template },
    /// `Authorization: Basic …`.
    Basic {
        user: Template,
        #[serde(default)]
        password: Option<Template>,
    },
    /// A key in a header or in the query.
    ApiKey {
        #[serde(default)]
        header: Option<String>,
        #[serde(default)]
        query: Option<String>,
        value: Template,
    },
    /// A token of an OAuth 2 server (RFC 6749), as a bearer token.
    Oauth2 {
        grant: Grant,
        token_url: Template,
        client_id: Template,
        #[serde(default)]
        client_secret: Option<Template>,
        #[serde(default)]
        refresh_token: Option<Template>,
        #[serde(default)]
        scope: Option<Template>,
        /// Where client id and secret go.
        #[serde(default)]
        send: SendAs,
        /// Further parameters of the token request.
        #[serde(default)]
        params: BTreeMap<String, Template>,
    },
    /// A signed claim (RFC 7519), as a bearer token or exchanged for one (RFC 7523).
    Jwt {
        algorithm: Algorithm,
        /// A private key in PEM (PKCS #8 or PKCS #1) for RS256, the secret itself for HS256.
        key: Template,
        #[serde(default)]
        key_id: Option<Template>,
        /// `iat` and `exp` are added.
        #[serde(default)]
        claims: BTreeMap<String, Json>,
        #[serde(default = "hour")]
        valid: Span,
        #[serde(default)]
        exchange: Option<Exchange>,
    },
    /// A login, whose answer holds a token.
    Session(Session),
}

/// Which OAuth 2 grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    ClientCredentials,
    RefreshToken,
}

/// Where client id and secret go in a token request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendAs {
    #[default]
    Body,
    Basic,
}

/// How a JWT is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    RS256,
    HS256,
}

/// Where a JWT is exchanged for an access token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    pub token_url: Template,
}

/// A login and what to do with its answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    pub login: Box<Request>,
    /// Where the token is in the answer: `token` in `value`. The whole answer is `response` there.
    pub token: Locator,
    #[serde(default = "Session::authorization")]
    pub header: String,
    #[serde(default = "Session::token_itself")]
    pub value: Template,
    /// How long it is used before the next login.
    #[serde(default = "hour")]
    pub valid: Span,
}

impl Session {
    fn authorization() -> String {
        "Authorization".to_owned()
    }

    fn token_itself() -> Template {
        Template::token()
    }
}

fn hour() -> Span {
    Span::seconds(3600)
}
