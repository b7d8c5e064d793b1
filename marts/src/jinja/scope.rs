//! What one template sees: dbt's context.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use cordada_core::TableName;
use cordada_core::suggest::did_you_mean;
use cordada_lake::query::session::CATALOG;
use minijinja::value::{Kwargs, Object, Rest};
use minijinja::{Error, ErrorKind, Value};

use super::macro_call::{MacroCall, Package, Return};
use super::names::RelationName;
use super::objects::{Adapter, ConfigCall, Exceptions, VarCall};
use super::{Globals, Render};
use crate::config::RawConfig;

/// The package whose macros every project has.
pub(super) const BUILTIN: &str = "dbt";

/// What a template did while it was rendered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Uses {
    /// Names given to `ref`, in order of use.
    pub(crate) refs: Vec<String>,
    /// Pairs given to `source`, with the table.
    pub(crate) sources: Vec<(String, TableName)>,
    /// What it gave to `config`.
    pub(crate) config: RawConfig,
    /// Whether it asked `is_incremental()`.
    pub(crate) asks_incremental: bool,
}

/// The context of one rendering; macros of another package see the same with `package` being theirs.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) globals: Arc<Globals>,
    pub(super) render: Arc<Render>,
    pub(super) uses: Arc<Mutex<Uses>>,
    pub(super) depth: Arc<AtomicUsize>,
    pub(super) package: Arc<str>,
}

impl Object for Scope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        if let Some(said) = self
            .render
            .overrides
            .macros
            .get(key)
            .filter(|_| key != "is_incremental")
        {
            let said = Value::from_serialize(said);
            return Some(Value::from_function(move |_: Rest<Value>| said.clone()));
        }
        if let Some(found) = self.find_macro(key) {
            return Some(found);
        }
        self.builtin(key)
    }
}

impl Scope {
    /// What dbt itself gives a template; `builtins` has it where a macro of the project has its name.
    fn builtin(self: &Arc<Self>, key: &str) -> Option<Value> {
        let scope = self.clone();
        Some(match key {
            "ref" => Value::from_function(move |args: Rest<Value>| scope.reference(&args)),
            "source" => Value::from_function(move |source: &str, table: &str| scope.source(source, table)),
            "config" => Value::from_object(ConfigCall(scope)),
            "var" => Value::from_object(VarCall(scope)),
            "env_var" => Value::from_function(move |name: &str, default: Option<Value>| scope.env_var(name, default)),
            "is_incremental" => Value::from_function(move || {
                scope.record(|uses| uses.asks_incremental = true);
                scope.render.incremental
            }),
            "this" => Value::from_object(RelationName(self.render.node.as_ref()?.table.clone())),
            "model" => self.render.node.as_ref()?.as_value(),
            "target" => self.globals.target_value(),
            "schema" => Value::from(self.globals.default_schema.as_str()),
            "database" => Value::from(CATALOG),
            "project_name" => Value::from(self.globals.project.as_str()),
            "execute" => Value::from(self.render.execute),
            "doc" => Value::from_function(move |name: &str, of: Option<&str>| scope.doc(of.unwrap_or(name))),
            "return" => Value::from_function(|value: Value| Err::<Value, _>(Return(value).into_error())),
            "log" => Value::from_function(|message: Value, _info: Rest<Value>| {
                tracing::info!("{message}");
                Value::from("")
            }),
            "print" => Value::from_function(|message: Value| {
                tracing::info!("{message}");
                Value::from("")
            }),
            "exceptions" => Value::from_object(Exceptions),
            "adapter" => Value::from_object(Adapter(scope)),
            "builtins" => ["ref", "source", "config", "var", "env_var"]
                .into_iter()
                .filter_map(|name| Some((name, self.builtin(name)?)))
                .collect(),
            _ if self.globals.macros.has_package(key) => Value::from_object(Package {
                scope,
                name: key.into(),
            }),
            _ => return None,
        })
    }

    /// Changes what is recorded about the template.
    pub(super) fn record<T>(&self, change: impl FnOnce(&mut Uses) -> T) -> T {
        change(&mut self.uses.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A macro by its name alone: of this package, of the project, or one that every project has.
    pub(super) fn find_macro(self: &Arc<Self>, name: &str) -> Option<Value> {
        [&self.package, &*self.globals.project, BUILTIN]
            .into_iter()
            .find_map(|package| self.package_macro(package, name))
    }

    /// A macro of a package.
    pub(super) fn package_macro(self: &Arc<Self>, package: &str, name: &str) -> Option<Value> {
        let template = self.globals.macros.template(package, name)?.clone();
        let scope = Scope {
            package: package.into(),
            ..(**self).clone()
        };
        Some(Value::from_object(MacroCall {
            scope: Arc::new(scope),
            template,
            name: name.into(),
        }))
    }

    fn reference(&self, args: &[Value]) -> Result<Value, Error> {
        let (args, kwargs) = split_kwargs(args)?;
        if ["version", "v"].into_iter().any(|key| kwargs.has(key)) {
            return Err(invalid("versioned models are not supported: ref a model by its name"));
        }
        kwargs.assert_all_used()?;
        let (package, name) = match args {
            [name] => (None, name),
            [package, name] => (package.as_str(), name),
            _ => return Err(invalid("ref takes a model's name, or a project's and a model's name")),
        };
        let name = name.as_str().ok_or_else(|| invalid("ref takes a text"))?;
        let found = self.render.names.resolve_ref(package, name).map_err(invalid)?;
        self.record(|uses| {
            if !uses.refs.iter().any(|known| known == name) {
                uses.refs.push(name.to_owned());
            }
        });
        Ok(found)
    }

    fn source(&self, source: &str, name: &str) -> Result<Value, Error> {
        let table = self.render.names.resolve_source(source, name).map_err(invalid)?;
        self.record(|uses| {
            if !uses.sources.iter().any(|(_, known)| known == table) {
                uses.sources.push((source.to_owned(), table.clone()));
            }
        });
        Ok(Value::from_object(RelationName(table.clone())))
    }

    fn env_var(&self, name: &str, default: Option<Value>) -> Result<Value, Error> {
        if let Some(said) = self.render.overrides.env_vars.get(name) {
            return Ok(Value::from_serialize(said));
        }
        match (self.globals.env.get(name), default) {
            (Some(value), _) => Ok(Value::from(value.as_str())),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(invalid(format!(
                "the environment has no variable `{name}`; set it or give a default"
            ))),
        }
    }

    pub(super) fn var(&self, name: &str, default: Option<Value>) -> Result<Value, Error> {
        let said = self.render.overrides.vars.get(name);
        match (said.or_else(|| self.globals.var(&self.package, name)), default) {
            (Some(value), _) => Ok(Value::from_serialize(value)),
            (None, Some(default)) => Ok(default),
            (None, None) => {
                let names = self
                    .globals
                    .vars
                    .keys()
                    .chain(self.globals.given_vars.keys())
                    .map(String::as_str);
                let hint = did_you_mean(name, "variables", names);
                Err(invalid(format!(
                    "the variable `{name}` has no value and no default; {hint}"
                )))
            }
        }
    }

    fn doc(&self, name: &str) -> Result<Value, Error> {
        self.globals
            .docs
            .get(name)
            .map(|text| Value::from(text.as_str()))
            .ok_or_else(|| {
                let names = self.globals.docs.keys().map(String::as_str);
                invalid(format!(
                    "unknown docs block `{name}`; {}",
                    did_you_mean(name, "docs blocks", names)
                ))
            })
    }
}

/// Positional arguments, and the keyword arguments after them.
pub(super) fn split_kwargs(args: &[Value]) -> Result<(&[Value], Kwargs), Error> {
    match args.split_last() {
        Some((last, rest)) if last.is_kwargs() => Ok((rest, Kwargs::try_from(last.clone())?)),
        _ => Ok((args, std::iter::empty::<(String, Value)>().collect())),
    }
}

/// An error that says why.
pub(super) fn invalid(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, why.into())
}
