//! What a model's configuration says about its estimator.

use chrono::{DateTime, Utc};
use cordada_core::units::Span;
use serde_json::Value;

use crate::config::{self, ConfigProblem, Materialization, RawConfig};
use crate::keys;

/// The keys that only a model has, besides those of its estimator.
pub(crate) const KEYS: [&str; 4] = ["estimator", "inputs", "outputs", "refit"];

/// What an estimator is asked to do for a node with `materialized='model'`.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) estimator: String,
    pub(crate) parameters: RawConfig,
    /// The further outputs that become relations.
    pub(crate) outputs: Vec<String>,
    pub(crate) refit: Refit,
}

/// Whether rows that are new fit the model again. A changed definition always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refit {
    Always,
    /// Once the last fit is this old.
    After(Span),
    Never,
}

impl Model {
    /// Reads it from a node's configuration, in which other nodes must not have it.
    pub(crate) fn read(raw: &RawConfig, materialization: Materialization) -> Result<Option<Self>, ConfigProblem> {
        if materialization != Materialization::Model {
            return match KEYS.iter().find(|key| raw.contains_key(**key)) {
                None => Ok(None),
                Some(key) => Err(ConfigProblem::new(
                    key,
                    format!("`{key}` is for models: this node is a {materialization}"),
                    "set materialized='model'".to_owned(),
                )),
            };
        }
        let Some(estimator) = config::text(raw, "estimator")? else {
            return Err(ConfigProblem::new(
                "materialized",
                "a `model` needs an `estimator`",
                "for example estimator='kmeans'".to_owned(),
            ));
        };
        let parameters = raw.iter().filter(|(key, _)| !keys::is_known(key));
        Ok(Some(Self {
            estimator,
            parameters: parameters.map(|(key, value)| (key.clone(), value.clone())).collect(),
            outputs: outputs(raw)?,
            refit: refit(raw)?,
        }))
    }
}

/// The further inputs, by name: SQL for each relation, once refs are known.
pub(crate) fn inputs(raw: &RawConfig) -> Result<Vec<(&str, &str)>, ConfigProblem> {
    let problem = || {
        let hint = "write inputs={'consents': ref('fct_consent')}".to_owned();
        ConfigProblem::new("inputs", "`inputs` maps the names of inputs to relations", hint)
    };
    match raw.get("inputs") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(inputs)) => inputs
            .iter()
            .map(|(name, relation)| Ok((name.as_str(), relation.as_str().ok_or_else(problem)?)))
            .collect(),
        Some(_) => Err(problem()),
    }
}

fn outputs(raw: &RawConfig) -> Result<Vec<String>, ConfigProblem> {
    let problem = || {
        let hint = "write outputs=['persons']".to_owned();
        ConfigProblem::new(
            "outputs",
            "`outputs` is a list of the estimator's outputs, each once",
            hint,
        )
    };
    let names = match raw.get("outputs") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(names)) => names.iter().map(|name| name.as_str().map(str::to_owned)),
        Some(_) => return Err(problem()),
    };
    let names: Vec<String> = names.collect::<Option<_>>().ok_or_else(problem)?;
    let is_repeated = |at: usize| names[..at].contains(&names[at]);
    if (0..names.len()).any(is_repeated) {
        return Err(problem());
    }
    Ok(names)
}

fn refit(raw: &RawConfig) -> Result<Refit, ConfigProblem> {
    match config::text(raw, "refit")?.as_deref() {
        None | Some("always") => Ok(Refit::Always),
        Some("never") => Ok(Refit::Never),
        Some(other) => Span::parse(other).map(Refit::After).ok_or_else(|| {
            ConfigProblem::new(
                "refit",
                format!("`{other}` is not a time to fit again"),
                "write `always`, `never`, or a duration such as `30d`".to_owned(),
            )
        }),
    }
}

impl Refit {
    /// Whether an artefact of that age is due to be fitted again, though nothing is new.
    pub(crate) fn is_due(self, fitted_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        match self {
            Self::After(span) => (now - fitted_at).to_std().unwrap_or_default() >= span.0,
            Self::Always | Self::Never => false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;

    use super::*;

    fn model(mut value: Value) -> Result<Option<Model>, ConfigProblem> {
        value["materialized"] = "model".into();
        value["estimator"] = "kmeans".into();
        Model::read(value.as_object().unwrap(), Materialization::Model)
    }

    #[test]
    fn other_keys_are_the_estimators() {
        let model = model(json!({"k": 4, "tags": ["ml"], "outputs": ["a"]}))
            .unwrap()
            .unwrap();
        assert_eq!(
            (model.estimator.as_str(), model.outputs),
            ("kmeans", vec!["a".to_owned()])
        );
        assert_eq!(Value::Object(model.parameters), json!({"k": 4}));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (value, key) in [
            (json!({"outputs": "a"}), "outputs"),
            (json!({"outputs": ["a", "a"]}), "outputs"),
            (json!({"outputs": [1]}), "outputs"),
            (json!({"refit": "monthly"}), "refit"),
            (json!({"refit": 30}), "refit"),
        ] {
            assert_eq!(model(value.clone()).unwrap_err().key, key, "{value}");
        }
        for key in KEYS {
            let raw = RawConfig::from_iter([(key.to_owned(), json!("x"))]);
            assert_eq!(Model::read(&raw, Materialization::Table).unwrap_err().key, key);
        }
        assert!(inputs(json!({"inputs": {"a": 1}}).as_object().unwrap()).is_err());
        assert!(inputs(json!({"inputs": "a"}).as_object().unwrap()).is_err());
    }

    #[test]
    fn a_fit_is_due_at_its_age() {
        let refit = |text: &str| model(json!({"refit": text})).unwrap().unwrap().refit;
        let fitted_at = DateTime::UNIX_EPOCH;
        let is_due = |text: &str, hours| refit(text).is_due(fitted_at, fitted_at + TimeDelta::hours(hours));
        assert!(!is_due("30d", 719) && is_due("30d", 720));
        assert!(!is_due("never", 10_000) && !is_due("always", 10_000));
        assert!(!is_due("1d", -5), "a clock that was put back");
    }
}
