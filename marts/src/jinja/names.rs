//! What `ref` and `source` resolve to.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use cordada_core::TableName;
use cordada_core::sql_text::Dialect;
use cordada_core::suggest::did_you_mean;
use cordada_lake::query::session::CATALOG;
use minijinja::Value;
use minijinja::value::{Object, ObjectRepr};

/// What a `ref` stands for.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// Somewhere: configurations are not known yet.
    Unresolved,
    /// A table or view.
    Relation(TableName),
    /// The SQL of an ephemeral model, once it is compiled.
    Ephemeral(OnceLock<Arc<str>>),
    /// A node that the project switches off.
    Disabled,
}

/// The nodes and sources of a project by name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) project: String,
    pub(crate) refs: HashMap<String, Target>,
    pub(crate) sources: HashMap<String, HashMap<String, TableName>>,
}

impl Names {
    /// What `ref(name)` is, as the template engine takes it.
    pub(super) fn resolve_ref(&self, package: Option<&str>, name: &str) -> Result<Value, String> {
        if let Some(package) = package.filter(|package| *package != self.project) {
            return Err(format!(
                "unknown project `{package}` in ref; this one is `{}`",
                self.project
            ));
        }
        match self.refs.get(name) {
            Some(Target::Unresolved) => Ok(Value::from(name)),
            Some(Target::Relation(table)) => Ok(Value::from_object(RelationName(table.clone()))),
            Some(Target::Ephemeral(sql)) => match sql.get() {
                // On lines of their own, because the SQL may end in a comment.
                Some(sql) => Ok(Value::from(format!("(\n{sql}\n)"))),
                None => Err(format!(
                    "the ephemeral model `{name}` is not compiled yet; ref it outside of `{{% if execute %}}` too"
                )),
            },
            Some(Target::Disabled) => Err(format!("the model `{name}` is disabled (enabled: false)")),
            None if self.may_be_output(name) => Ok(Value::from(name)),
            None => {
                let names = self.refs.keys().map(String::as_str);
                Err(format!(
                    "unknown model or seed `{name}`; {}",
                    did_you_mean(name, "models and seeds", names)
                ))
            }
        }
    }

    /// Whether it may be a further output of a model whose configuration is not known yet.
    fn may_be_output(&self, name: &str) -> bool {
        let models = name.match_indices("__").map(|(at, _)| &name[..at]);
        models
            .into_iter()
            .any(|model| matches!(self.refs.get(model), Some(Target::Unresolved)))
    }

    /// The table of a source.
    pub(super) fn resolve_source(&self, source: &str, table: &str) -> Result<&TableName, String> {
        let Some(tables) = self.sources.get(source) else {
            let names = self.sources.keys().map(String::as_str);
            return Err(format!(
                "unknown source `{source}`; {}",
                did_you_mean(source, "sources", names)
            ));
        };
        tables.get(table).ok_or_else(|| {
            let names = tables.keys().map(String::as_str);
            format!(
                "unknown table `{table}` of source `{source}`; {}",
                did_you_mean(table, "tables", names)
            )
        })
    }
}

/// A relation in a template: prints as `lake.schema.name`, has the parts as attributes.
#[derive(Debug)]
pub(super) struct RelationName(pub(super) TableName);

impl Object for RelationName {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "database" => Some(Value::from(CATALOG)),
            "schema" => Some(Value::from(self.0.schema())),
            "identifier" | "name" | "table" => Some(Value::from(self.0.name())),
            _ => None,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.0))
    }
}

/// The relation's full name in SQL, with quotes where it needs them.
pub(crate) fn quoted(table: &TableName) -> String {
    format!(
        "{CATALOG}.{}.{}",
        quoted_part(table.schema()),
        quoted_part(table.name())
    )
}

/// A name in SQL, with quotes if it needs them.
pub(crate) fn quoted_part(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain {
        name.to_owned()
    } else {
        Dialect::Standard.identifier(name)
    }
}
