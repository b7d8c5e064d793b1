//! A system that is asked over HTTP, as a manifest describes it: where it is, how it is told who asks, how much it may
//! be asked, what its errors mean.

pub mod auth;
pub mod limits;
pub mod request;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use self::auth::Auth;
use self::limits::{ErrorBody, ErrorRule, Limits, Retry};
use crate::template::Template;

/// One system.
#[derive(Debug, Clone)]
pub struct System {
    /// What paths are appended to.
    pub base_url: Template,
    /// Further hosts that the addresses of next pages may be of; credentials go to them too.
    pub trusted_hosts: Vec<Template>,
    /// Sent with every request to the system itself.
    pub headers: BTreeMap<String, Template>,
    /// The credentials.
    pub auth: Auth,
    /// What is never exceeded.
    pub limits: Limits,
    /// How failed requests are repeated.
    pub retry: Retry,
    /// The first that matches decides; see [`ErrorRule`].
    pub errors: Vec<ErrorRule>,
    /// Where an error's code and message are in its body: the only parts of a body that are ever shown.
    pub error_body: ErrorBody,
}

/// One thing that a user configures.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigKey {
    /// What it is, for whoever has to fill it in.
    pub description: String,
    /// Shown to whoever leaves it out.
    pub example: Option<Json>,
    /// Whether it has to be kept from logs and comes from the environment.
    pub secret: bool,
    /// Its value if it is left out; texts are templates over the other values.
    pub default: Option<Json>,
    /// Whether it has to be there: if it has no default, unless this is false (it is null then).
    pub required: Option<bool>,
}
