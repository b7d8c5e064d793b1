//! What a user configured for a connector, checked against what it wants.

use std::collections::BTreeMap;

use cordada_lake::{Error, Result, yaml};
use serde_json::{Map, Value as Json};

use super::manifest::ConfigKey;
use super::template::{self, Scope};

/// The values of `config` in templates. Not `Debug`: they hold secrets.
#[derive(Clone, Default)]
pub(crate) struct Values(Map<String, Json>);

impl Values {
    /// What `given` makes of `keys`: defaults where nothing is given.
    ///
    /// # Errors
    /// Config for a key that is missing or that there is not. The message holds no value.
    pub(crate) fn new(keys: &BTreeMap<String, ConfigKey>, given: Map<String, Json>) -> Result<Self> {
        Self::resolve(keys, given, Map::new(), &Scope::default())
    }

    /// These, and over them what `given` makes of the keys of one stream.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn of_stream(
        &self,
        keys: &BTreeMap<String, ConfigKey>,
        given: Map<String, Json>,
        stream: &str,
    ) -> Result<Self> {
        let mut others = self.0.clone();
        others.retain(|name, _| !keys.contains_key(name));
        Self::resolve(keys, given, others, &Scope::default().with("stream", stream))
    }

    fn resolve(
        keys: &BTreeMap<String, ConfigKey>,
        given: Map<String, Json>,
        others: Map<String, Json>,
        scope: &Scope,
    ) -> Result<Self> {
        let doing = "reading `config`";
        if let Some(unknown) = given.keys().find(|name| !keys.contains_key(*name)) {
            let names = keys.keys().map(String::as_str);
            let hint = yaml::nearest(unknown, names.clone()).map_or_else(
                || format!("the keys are: {}", names.collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Error::config(doing, format!("unknown key `{unknown}`")).hint(hint));
        }
        let mut values = others;
        values.extend(given);
        for (name, key) in keys {
            if values.contains_key(name) || key.default.is_some() {
                continue;
            }
            if key.required.unwrap_or(true) {
                let error = Error::config(doing, format!("`{name}` is missing"));
                let what = if key.description.is_empty() { "give it" } else { &key.description };
                return Err(error.hint(match (&key.example, key.secret) {
                    (_, true) => format!("{what}; write {name}: ${{{}}} and set that variable", name.to_uppercase()),
                    (Some(example), _) => format!("{what}; for example {example}"),
                    _ => what.to_owned(),
                }));
            }
            values.insert(name.clone(), Json::Null);
        }
        // A default may use other values, whose defaults have to be there first.
        let mut open: Vec<_> = keys.iter().filter(|(name, _)| !values.contains_key(*name)).collect();
        while !open.is_empty() {
            let before = open.len();
            let mut failure = None;
            open.retain(|(name, key)| {
                let scope = scope.with("config", &values);
                let default = key.default.as_ref().unwrap_or(&Json::Null);
                match template::fill(default, &scope) {
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
        Ok(Self(values))
    }

    /// A scope in which they are `config`.
    pub(crate) fn scope(&self) -> Scope {
        Scope::default().with("config", &self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::super::template::Template;
    use super::*;

    fn values(given: Json) -> Result<Values> {
        let keys = json!({
            "shop": {"description": "the shop's name", "example": "acme"},
            "token": {"secret": true, "required": false},
            "a_url": {"default": "{{ config.base }}/v1"},
            "base": {"default": "https://{{ config.shop }}.example"},
        });
        Values::new(&serde_json::from_value(keys).unwrap(), given.as_object().unwrap().clone())
    }

    #[test]
    fn defaults_may_use_other_values() {
        let scope = values(json!({"shop": "acme"})).unwrap().scope();
        let text = Template::new("{{ config.a_url }}{{ config.token }}").unwrap().text(&scope).unwrap();
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
