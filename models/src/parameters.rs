//! Reading an estimator's parameters: unknown ones are refused, wrong ones named.

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use cordada_lake::estimator::Parameters;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The parameters of one estimator, known to have no unknown name among them.
#[derive(Debug)]
pub(crate) struct ParameterReader<'a> {
    estimator: &'static str,
    parameters: &'a Parameters,
}

impl<'a> ParameterReader<'a> {
    /// Refuses a parameter that is not in `known`, naming the nearest one that is.
    pub(crate) fn new(estimator: &'static str, known: &[&str], parameters: &'a Parameters) -> Result<Self> {
        for name in parameters.keys() {
            if !known.contains(&name.as_str()) {
                return Err(
                    Error::config(reading(estimator), format!("there is no parameter `{name}`")).hint(did_you_mean(
                        name,
                        "there are",
                        known.iter().copied(),
                    )),
                );
            }
        }
        Ok(Self { estimator, parameters })
    }

    /// The parameter, or nothing if it is absent or null.
    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        match self.parameters.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value.clone())
                .map(Some)
                .map_err(|why| self.wrong(name, why)),
        }
    }

    /// A list of column names; one name alone is a list of one.
    pub(crate) fn columns(&self, name: &str) -> Result<Option<Vec<String>>> {
        if let Some(Value::String(column)) = self.parameters.get(name) {
            return Ok(Some(vec![column.clone()]));
        }
        self.get(name)
    }

    /// A number of at least `least`.
    pub(crate) fn at_least(&self, name: &str, least: usize) -> Result<Option<usize>> {
        match self.get::<usize>(name)? {
            Some(number) if number < least => Err(self.wrong(name, format!("it has to be at least {least}"))),
            number => Ok(number),
        }
    }

    /// An error about the value of one parameter.
    pub(crate) fn wrong(&self, name: &str, why: impl std::fmt::Display) -> Error {
        Error::config(reading(self.estimator), format!("parameter `{name}`: {why}"))
    }
}

fn reading(estimator: &str) -> String {
    format!("reading the parameters of the estimator `{estimator}`")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parameters(value: Value) -> Parameters {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn an_unknown_parameter_is_refused_with_the_nearest() {
        let given = parameters(json!({"feature": ["a"]}));
        let error = ParameterReader::new("kmeans", &["features", "k"], &given).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("there is no parameter `feature`; did you mean `features`?"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_wrong_value_names_its_parameter() {
        let given = parameters(json!({"k": "many", "features": "a", "least": 0, "null": null}));
        let reader = ParameterReader::new("kmeans", &["features", "k", "least", "null"], &given).unwrap();
        assert!(
            reader
                .at_least("k", 2)
                .unwrap_err()
                .to_string()
                .contains("parameter `k`")
        );
        assert!(
            reader
                .at_least("least", 2)
                .unwrap_err()
                .to_string()
                .contains("parameter `least`: it has to be at least 2")
        );
        assert_eq!(reader.columns("features").unwrap(), Some(vec!["a".to_owned()]));
        assert_eq!(reader.get::<usize>("null").unwrap(), None);
    }
}
