//! The objects of dbt's context that are more than a function.

use std::sync::Arc;

use minijinja::value::Object;
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;

use super::names::quoted_part;
use super::scope::{BUILTIN, Scope, invalid, split_kwargs};
use crate::config::{self, RawConfig};
use crate::keys;

/// `config(…)`, `config.get(…)`.
#[derive(Debug)]
pub(super) struct ConfigCall(pub(super) Arc<Scope>);

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
            keys::check(key, &merged).map_err(|wrong| match wrong.hint {
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
pub(super) struct VarCall(pub(super) Arc<Scope>);

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
pub(super) struct Exceptions;

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
pub(super) struct Adapter(pub(super) Arc<Scope>);

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
                // In each package first the macro for this engine, as in dbt.
                let mut packages = self.0.globals.search_order(package);
                packages.push(BUILTIN.to_owned());
                let names = ["cordada", "default"].map(|prefix| format!("{prefix}__{name}"));
                let mut found = packages.iter().flat_map(|package| {
                    let names = names.iter();
                    names.filter_map(|name| self.0.package_macro(package, name))
                });
                found.next().ok_or_else(|| {
                    invalid(format!(
                        "no macro `cordada__{name}` or `default__{name}` in {}",
                        packages.join(", ")
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
