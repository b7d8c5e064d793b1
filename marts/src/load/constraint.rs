//! The constraints of a contract as tests: no engine below enforces them, so a build does before it publishes.

use cordada_core::{Error, FilePosition, Result};
use serde_json::{Map, Value};

use crate::config::RawConfig;
use crate::data_test::Item;
use crate::properties::ConstraintProperties;

/// The tests that find rows which break the constraint, each with the column that it is about, if it is about one.
/// `own` is the column that the constraint stands at.
///
/// # Errors
/// Config: the constraint is not known, or says not enough.
pub(super) fn tests(
    constraint: &ConstraintProperties,
    own: Option<&str>,
    place: &FilePosition,
) -> Result<Vec<(Option<String>, Item)>> {
    let wrong = |why: &str| place.mark(Error::config("reading the constraints", why));
    let item = |test: &str, arguments: &[(&str, Value)]| Item {
        test: test.to_owned(),
        name: constraint.name.clone(),
        arguments: arguments
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect::<Map<_, _>>(),
        config: RawConfig::new(),
        place: place.clone(),
    };
    let columns: Vec<String> = match own {
        Some(column) => vec![column.to_owned()],
        None => constraint.columns.clone(),
    };
    let not_null = || {
        columns
            .iter()
            .map(|column| (Some(column.clone()), item("not_null", &[])))
    };
    let unique = || match &columns[..] {
        [column] => (Some(column.clone()), item("unique", &[])),
        _ => (None, item("constraint_unique", &[("columns", columns.clone().into())])),
    };
    if columns.is_empty() && constraint.kind != "check" {
        return Err(wrong("a constraint of the whole model names its `columns`"));
    }
    Ok(match (constraint.kind.as_str(), &constraint.expression) {
        ("not_null", _) => not_null().collect(),
        ("unique", _) => vec![unique()],
        ("primary_key", _) => not_null().chain([unique()]).collect(),
        ("check", Some(expression)) => {
            vec![(
                None,
                item("constraint_holds", &[("expression", expression.as_str().into())]),
            )]
        }
        ("check", None) => return Err(wrong("a `check` has an `expression`")),
        ("foreign_key", _) => match (&constraint.to, &constraint.to_columns[..], &columns[..]) {
            (Some(to), [field], [column]) => {
                let arguments = [("to", to.as_str().into()), ("field", field.as_str().into())];
                vec![(Some(column.clone()), item("relationships", &arguments))]
            }
            _ => {
                let hint = "write `to: ref('…')` and one of `to_columns`, or make it a test `relationships`";
                return Err(wrong("this foreign key cannot be tested").hint(hint));
            }
        },
        (other, _) => {
            let hint = "use one of: not_null, unique, primary_key, foreign_key, check";
            return Err(wrong(&format!("the constraint `{other}` is not known")).hint(hint));
        }
    })
}
