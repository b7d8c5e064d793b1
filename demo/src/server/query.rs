//! The parameters of a request.

use axum::http::Uri;
use reqwest::Url;

/// What is behind the question mark.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters of `uri`, decoded.
    pub fn of(uri: &Uri) -> Self {
        let url = Url::parse(&format!("http://colmado.example/?{}", uri.query().unwrap_or_default()));
        let pairs = url.iter().flat_map(Url::query_pairs);
        Self(
            pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// The value of a parameter; one that is empty counts as missing.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A number, if it is given and one.
    pub fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let parse = |text: &str| text.parse().map_err(|_| format!("`{name}` is not a number"));
        self.get(name).map(parse).transpose()
    }

    /// A parameter that is not one of `known`.
    pub fn unknown(&self, known: &[&str]) -> Option<&str> {
        self.0
            .iter()
            .map(|(name, _)| name.as_str())
            .find(|name| !known.contains(name))
    }
}
