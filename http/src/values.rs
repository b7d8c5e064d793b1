//! What a user configured for a connector, checked against what it wants.

use std::collections::BTreeMap;

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use serde_json::{Map, Value as Json};

use super::system::ConfigKey;
use super::template::{self, Scope};

/// The values of `config` in templates. Not `Debug`: they hold secrets.
#[derive(Clone, Default)]
pub struct Values(Map<String, Json>);

impl Values {
    /// What `given` makes of `keys`: defaults where nothing is given.
    ///
    /// # Errors
    /// Config for a key that is missing or that there is not. The message holds no value.
    pub fn new(keys: &BTreeMap<String, ConfigKey>, given: Map<String, Json>) -> Result<Self> {
        Ok(Self(resolve(
            "reading `config`",
            keys,
            given,
            Map::new(),
            &Scope::default(),
        )?))
    }

    /// These and the values of one stream, which go before them.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_stream(
        &self,
        stream: &str,
        keys: &BTreeMap<String, ConfigKey>,
        given: Map<String, Json>,
    ) -> Result<Self> {
        let doing = format!("reading `config` of the stream {stream}");
        let scope = Scope::default().with("stream", stream);
        Ok(Self(resolve(&doing, keys, given, self.0.clone(), &scope)?))
    }

    /// A scope in which they are `config`.
    pub fn scope(&self) -> Scope {
        Scope::default().with("config", &self.0)
    }
}

/// `base`, and the values of `keys`.
fn resolve(
    doing: &str,
    keys: &BTreeMap<String, ConfigKey>,
    given: Map<String, Json>,
    base: Map<String, Json>,
    scope: &Scope,
) -> Result<Map<String, Json>> {
    if let Some(unknown) = given.keys().find(|name| !keys.contains_key(*name)) {
        let names = keys.keys().map(String::as_str);
        let hint = did_you_mean(unknown, "the keys are", names.clone());
        return Err(Error::config(doing, format!("unknown key `{unknown}`")).hint(hint));
    }
    let mut values = base;
    let mut open = Vec::new();
    for (name, key) in keys {
        match given.get(name) {
            Some(value) => {
                values.insert(name.clone(), value.clone());
            }
            None if key.default.is_some() => {
                values.remove(name);
                open.push((name, key));
            }
            None if key.required.unwrap_or(true) => return Err(missing(doing, name, key)),
            None => {
                values.insert(name.clone(), Json::Null);
            }
        }
    }
    // A default may use other values, whose defaults have to be there first.
    while !open.is_empty() {
        let before = open.len();
        let mut failure = None;
        open.retain(|(name, key)| {
            let default = key.default.as_ref().unwrap_or(&Json::Null);
            match template::fill(default, &scope.with("config", &values)) {
                Ok(value) => {
                    values.insert((*name).clone(), value);
                    false
                }
                Err(error) => {
                    failure = Some(error);
                    true
                }
            }
        });
        if let Some(error) = failure.filter(|_| open.len() == before) {
            return Err(error);
        }
    }
    Ok(values)
}

fn missing(doing: &str, name: &str, key: &ConfigKey) -> Error {
    let what = match key.description.as_str() {
        "" => "give it",
        description => description,
    };
    let hint = match (&key.example, key.secret) {
        (_, true) => format!(
            "{what}; write {name}: ${{{}}} and set that variable",
            name.to_uppercase()
        ),
        (Some(example), _) => format!("{what}; for example {example}"),
        _ => what.to_owned(),
    };
    Error::config(doing, format!("`{name}` is missing")).hint(hint)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::Template;

    fn values(given: Json) -> Result<Values> {
        let keys = json!({
            "shop": {"description": "the shop's name", "example": "acme"},
            "token": {"secret": true, "required": false},
            "a_url": {"default": "{{ config.base }}/v1"},
            "base": {"default": "https://{{ config.shop }}.example"},
        });
        Values::new(
            &serde_json::from_value(keys).unwrap(),
            given.as_object().unwrap().clone(),
        )
    }

    #[test]
    fn defaults_may_use_other_values() {
        let scope = values(json!({"shop": "acme"})).unwrap().scope();
        let text = Template::new("{{ config.a_url }}{{ config.token }}")
            .unwrap()
            .text(&scope)
            .unwrap();
        assert_eq!(text, "https://acme.example/v1");
    }

    #[test]
    fn what_is_missing_or_unknown_is_named_without_values() {
        let error = |given: Json| values(given).map(|_| ()).unwrap_err().to_string();
        assert_eq!(
            error(json!({})),
            "reading `config`: `shop` is missing; the shop's name; for example \"acme\""
        );
        assert_eq!(
            error(json!({"shop": "acme", "tokn": "s3cret"})),
            "reading `config`: unknown key `tokn`; did you mean `token`?"
        );
    }
}
