//! One request, as manifests write it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::template::Template;

/// A request. Texts are templates; parameters, headers and form fields that come out empty are not sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// GET, or POST if there is a body.
    pub method: Option<String>,
    /// Appended to `base_url`; or an absolute URL.
    pub path: Option<Template>,
    /// The query. A list repeats the parameter.
    pub params: Map<String, Json>,
    /// Further headers.
    pub headers: BTreeMap<String, Template>,
    /// A JSON body.
    pub json: Option<Json>,
    /// An `application/x-www-form-urlencoded` body.
    pub form: Option<Map<String, Json>>,
    /// Or a GraphQL query.
    pub graphql: Option<Graphql>,
    /// Or a JSON-RPC call.
    pub jsonrpc: Option<JsonRpc>,
}

/// A GraphQL query over HTTP. A response with `errors` fails unless a rule says otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graphql {
    /// The query.
    pub query: Template,
    /// What its variables stand for.
    #[serde(default)]
    pub variables: Map<String, Json>,
}

/// A JSON-RPC 2.0 call. A response with an `error` fails unless a rule says otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonRpc {
    /// The method that is called.
    pub method: Template,
    /// What it is called with.
    #[serde(default)]
    pub params: Json,
}

impl Request {
    /// This request, and what it leaves open as in `defaults`.
    pub fn over(&self, defaults: &Request) -> Request {
        let mut merged = self.clone();
        merged.method = merged.method.or_else(|| defaults.method.clone());
        merged.path = merged.path.or_else(|| defaults.path.clone());
        let mut params = defaults.params.clone();
        params.extend(merged.params);
        merged.params = params;
        let mut headers = defaults.headers.clone();
        headers.extend(merged.headers);
        merged.headers = headers;
        if self.bodies() == 0 {
            merged.json.clone_from(&defaults.json);
            merged.form.clone_from(&defaults.form);
            merged.graphql.clone_from(&defaults.graphql);
            merged.jsonrpc.clone_from(&defaults.jsonrpc);
        }
        merged
    }

    /// How many bodies it has.
    pub fn bodies(&self) -> usize {
        usize::from(self.json.is_some())
            + usize::from(self.form.is_some())
            + usize::from(self.graphql.is_some())
            + usize::from(self.jsonrpc.is_some())
    }
}
