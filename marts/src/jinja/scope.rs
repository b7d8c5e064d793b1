//! What one template sees: dbt's context.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cordada_lake::TableName;
use cordada_lake::session::CATALOG;
use minijinja::value::{Kwargs, Object, Rest};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;

use super::names::{RelationName, quoted_part};
use super::{Globals, Render};
use crate::config::{self, RawConfig};
use crate::text::suggestion;

/// Macros that call macros deeper than this call themselves.
const MAX_DEPTH: usize = 40;

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
        if let Some(found) = self.find_macro(key) {
            return Some(found);
        }
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
            _ if self.globals.macros.has_package(key) => Value::from_object(Package {
                scope,
                name: key.into(),
            }),
            _ => return None,
        })
    }
}

impl Scope {
    /// Changes what is recorded about the template.
    fn record<T>(&self, change: impl FnOnce(&mut Uses) -> T) -> T {
        change(&mut self.uses.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A macro by its name alone: of this package, of the project, or one that every project has.
    fn find_macro(self: &Arc<Self>, name: &str) -> Option<Value> {
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
        match (self.globals.env.get(name), default) {
            (Some(value), _) => Ok(Value::from(value.as_str())),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(invalid(format!(
                "the environment has no variable `{name}`; set it or give a default"
            ))),
        }
    }

    fn var(&self, name: &str, default: Option<Value>) -> Result<Value, Error> {
        match (self.globals.var(&self.package, name), default) {
            (Some(value), _) => Ok(Value::from_serialize(value)),
            (None, Some(default)) => Ok(default),
            (None, None) => {
                let names = self
                    .globals
                    .vars
                    .keys()
                    .chain(self.globals.given_vars.keys())
                    .map(String::as_str);
                let hint = suggestion("variables", name, names);
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
                    suggestion("docs blocks", name, names)
                ))
            })
    }
}

/// `config(…)`, `config.get(…)`.
#[derive(Debug)]
struct ConfigCall(Arc<Scope>);

impl ConfigCall {
    /// The configuration so far: from YAML, and what the template itself said.
    fn current(&self) -> RawConfig {
        let mut config = self
            .0
            .render
            .node
            .as_ref()
            .map(|node| node.config.clone())
            .unwrap_or_default();
        config::merge(&mut config, self.0.record(|uses| uses.config.clone()));
        config
    }
}

impl Object for ConfigCall {
    fn call(self: &Arc<Self>, _: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let given = match args {
            [] => return Ok(Value::from("")),
            [given] => given,
            _ => return Err(invalid("config takes keyword arguments: config(materialized='table')")),
        };
        let Ok(Json::Object(given)) = serde_json::to_value(given) else {
            return Err(invalid("config takes keyword arguments: config(materialized='table')"));
        };
        let mut merged = self.current();
        config::merge(&mut merged, given.clone());
        for key in given.keys() {
            config::check_key(key, &merged).map_err(|wrong| match wrong.hint {
                Some(hint) => invalid(format!("{}; {hint}", wrong.why)),
                None => invalid(wrong.why),
            })?;
        }
        self.0.record(|uses| config::merge(&mut uses.config, given));
        Ok(Value::from(""))
    }

    fn call_method(self: &Arc<Self>, _: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let (args, kwargs) = split_kwargs(args)?;
        let key = args
            .first()
            .and_then(Value::as_str)
            .ok_or_else(|| invalid("a key is missing"))?;
        let default = args.get(1).cloned().or_else(|| kwargs.get::<Value>("default").ok());
        match (method, self.current().get(key), default) {
            ("get" | "require", Some(value), _) => Ok(Value::from_serialize(value)),
            ("get", None, default) => Ok(default.unwrap_or_else(|| Value::from(()))),
            ("require", None, _) => Err(invalid(format!("the configuration `{key}` is required"))),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// `var(…)`, `var.has_var(…)`.
#[derive(Debug)]
struct VarCall(Arc<Scope>);

impl Object for VarCall {
    fn call(self: &Arc<Self>, _: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let (args, kwargs) = split_kwargs(args)?;
        let name = args
            .first()
            .and_then(Value::as_str)
            .ok_or_else(|| invalid("var takes a variable's name"))?;
        self.0.var(
            name,
            args.get(1).cloned().or_else(|| kwargs.get::<Value>("default").ok()),
        )
    }

    fn call_method(self: &Arc<Self>, _: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args.first().and_then(Value::as_str)) {
            ("has_var", Some(name)) => Ok(Value::from(self.0.globals.var(&self.0.package, name).is_some())),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// `exceptions.raise_compiler_error(…)`.
#[derive(Debug)]
struct Exceptions;

impl Object for Exceptions {
    fn call_method(self: &Arc<Self>, _: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let message = args.first().map(Value::to_string).unwrap_or_default();
        match method {
            "raise_compiler_error" => Err(invalid(message)),
            "warn" => {
                tracing::warn!("{message}");
                Ok(Value::from(""))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// `adapter.dispatch(…)`, by which packages choose a macro for an engine. There is no other adapter here.
#[derive(Debug)]
struct Adapter(Arc<Scope>);

impl Object for Adapter {
    fn call_method(self: &Arc<Self>, _: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let (args, kwargs) = split_kwargs(args)?;
        let name = args
            .first()
            .and_then(Value::as_str)
            .ok_or_else(|| invalid("a name is missing"))?;
        match method {
            "dispatch" => {
                let package = match args.get(1) {
                    Some(package) => Some(package.clone()),
                    None => kwargs.get::<Option<Value>>("macro_namespace")?,
                };
                let package = package.as_ref().and_then(Value::as_str).unwrap_or(&self.0.package);
                let find = |prefix: &str| {
                    let name = format!("{prefix}__{name}");
                    self.0
                        .package_macro(package, &name)
                        .or_else(|| self.0.find_macro(&name))
                };
                find("cordada").or_else(|| find("default")).ok_or_else(|| {
                    invalid(format!(
                        "no macro `cordada__{name}` or `default__{name}` in `{package}`"
                    ))
                })
            }
            "quote" => Ok(Value::from(quoted_part(name))),
            _ => Err(invalid(format!(
                "`adapter.{method}` is not supported: nothing is queried while compiling"
            ))),
        }
    }
}

/// A package's macros: `dbt.date_trunc(…)`.
#[derive(Debug)]
struct Package {
    scope: Arc<Scope>,
    name: Arc<str>,
}

impl Object for Package {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.scope.package_macro(&self.name, key.as_str()?)
    }

    fn call_method(self: &Arc<Self>, state: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match self.scope.package_macro(&self.name, method) {
            Some(found) => found.call(state, args),
            None => {
                let hint = suggestion("macros", method, self.scope.globals.macros.names(&self.name));
                Err(Error::new(
                    ErrorKind::UnknownFunction,
                    format!("unknown macro `{}.{method}`; {hint}", self.name),
                ))
            }
        }
    }
}

/// A macro of the project, called from anywhere.
#[derive(Debug)]
struct MacroCall {
    scope: Arc<Scope>,
    /// The file that defines it.
    template: Arc<str>,
    name: Arc<str>,
}

impl Object for MacroCall {
    fn call(self: &Arc<Self>, state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let depth = self.scope.depth.fetch_add(1, Ordering::Relaxed);
        let result = if depth < MAX_DEPTH {
            self.evaluate(state, args)
        } else {
            Err(invalid(format!(
                "macros call each other without end, here `{}`",
                self.name
            )))
        };
        self.scope.depth.fetch_sub(1, Ordering::Relaxed);
        result
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<macro {}>", self.name)
    }
}

impl MacroCall {
    fn evaluate(&self, state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let file = state.env().get_template(&self.template)?;
        let file = file.render_captured(Value::from_dyn_object(self.scope.clone()))?;
        let defined = file
            .state()
            .lookup(&self.name)
            .ok_or_else(|| Error::new(ErrorKind::UnknownFunction, format!("unknown macro `{}`", self.name)))?;
        match defined.call(file.state(), args) {
            Err(error) => Return::of(&error).ok_or(error),
            value => value,
        }
    }
}

/// The value of `return(…)`, on its way up to the macro's caller.
#[derive(Debug)]
struct Return(Value);

impl fmt::Display for Return {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("return outside of a macro")
    }
}

impl std::error::Error for Return {}

impl Return {
    fn into_error(self) -> Error {
        Error::new(ErrorKind::InvalidOperation, "return outside of a macro").with_source(self)
    }

    fn of(error: &Error) -> Option<Value> {
        let mut next = std::error::Error::source(error);
        while let Some(cause) = next {
            if let Some(Return(value)) = cause.downcast_ref() {
                return Some(value.clone());
            }
            next = cause.source();
        }
        None
    }
}

/// Positional arguments, and the keyword arguments after them.
fn split_kwargs(args: &[Value]) -> Result<(&[Value], Kwargs), Error> {
    match args.split_last() {
        Some((last, rest)) if last.is_kwargs() => Ok((rest, Kwargs::try_from(last.clone())?)),
        _ => Ok((args, std::iter::empty::<(String, Value)>().collect())),
    }
}

fn invalid(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, why.into())
}
