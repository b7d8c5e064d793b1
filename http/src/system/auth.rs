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
    /// None at all.
    #[default]
    None,
    /// `Authorization: Bearer TOKEN`.
    Bearer {
        /// The token.
        token: Template,
    },
    /// `Authorization: Basic …`.
    Basic {
        /// Who asks.
        user: Template,
        /// Their password; empty if there is none.
        #[serde(default)]
        password: Option<Template>,
    },
    /// A key in a header or in the query.
    ApiKey {
        /// The header that it goes into…
        #[serde(default)]
        header: Option<String>,
        /// …or the parameter of the query.
        #[serde(default)]
        query: Option<String>,
        /// The key.
        value: Template,
    },
    /// A token of an OAuth 2 server (RFC 6749), as a bearer token.
    Oauth2 {
        /// Which grant.
        grant: Grant,
        /// Where tokens are to be had.
        token_url: Template,
        /// The client's name.
        client_id: Template,
        /// The client's secret.
        #[serde(default)]
        client_secret: Option<Template>,
        /// The token that others are had for; of the grant `refresh_token`.
        #[serde(default)]
        refresh_token: Option<Template>,
        /// What the token is to be good for.
        #[serde(default)]
        scope: Option<Template>,
        /// Where client id and secret go.
        #[serde(default)]
        send: SendAs,
        /// Further parameters of the token request.
        #[serde(default)]
        params: BTreeMap<String, Template>,
        /// The header that the token goes into.
        #[serde(default = "authorization")]
        header: String,
        /// What that header says.
        #[serde(default = "Template::bearer")]
        value: Template,
    },
    /// A signed claim (RFC 7519), as a bearer token or exchanged for one (RFC 7523).
    Jwt {
        /// How it is signed.
        algorithm: Algorithm,
        /// A private key in PEM (PKCS #8 or PKCS #1) for RS256, the secret itself for HS256.
        key: Template,
        /// Which of the signer's keys it is.
        #[serde(default)]
        key_id: Option<Template>,
        /// `iat` and `exp` are added.
        #[serde(default)]
        claims: BTreeMap<String, Json>,
        /// How long it is valid.
        #[serde(default = "hour")]
        valid: Span,
        /// Where it is exchanged; it is sent itself if there is none.
        #[serde(default)]
        exchange: Option<Exchange>,
    },
    /// A login, whose answer holds a token.
    Session(Session),
    /// One of several, by what a user has configured; none if nothing of it.
    Choice {
        /// The first whose `when` is configured counts.
        choices: Vec<Choice>,
    },
}

/// Credentials that a user may choose by configuring them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The key of `config` that has to have a value.
    pub when: String,
    /// The credentials then.
    pub auth: Auth,
}

impl Auth {
    /// These credentials, or the ones that are chosen among them; `configured` tells whether a key has a value.
    pub fn chosen(&self, configured: &dyn Fn(&str) -> bool) -> &Auth {
        match self {
            Auth::Choice { choices } => choices
                .iter()
                .find(|choice| configured(&choice.when))
                .map_or(&Auth::None, |choice| choice.auth.chosen(configured)),
            one => one,
        }
    }
}

/// Which OAuth 2 grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// The client speaks for itself (RFC 6749, 4.4).
    ClientCredentials,
    /// A token that a person has allowed (RFC 6749, 6).
    RefreshToken,
}

/// Where client id and secret go in a token request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendAs {
    /// In the form.
    #[default]
    Body,
    /// In the header, as of basic authentication.
    Basic,
}

/// How a JWT is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// RSA with SHA-256.
    RS256,
    /// HMAC with SHA-256.
    HS256,
}

/// Where a JWT is exchanged for an access token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Where the exchange takes place.
    pub token_url: Template,
}

/// A login and what to do with its answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The request that logs in.
    pub login: Box<Request>,
    /// Where the token is in the answer: `token` in `value`. The whole answer is `response` there.
    pub token: Locator,
    /// The header that the token goes into.
    #[serde(default = "authorization")]
    pub header: String,
    /// What that header says.
    #[serde(default = "Session::token_itself")]
    pub value: Template,
    /// How long it is used before the next login.
    #[serde(default = "hour")]
    pub valid: Span,
}

impl Session {
    fn token_itself() -> Template {
        Template::token()
    }
}

fn authorization() -> String {
    "Authorization".to_owned()
}

fn hour() -> Span {
    Span::seconds(3600)
}
