//! Macros, and what they return.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cordada_core::suggest::did_you_mean;
use minijinja::value::Object;
use minijinja::{Error, ErrorKind, State, Value};

use super::scope::{Scope, invalid};

/// Macros that call macros deeper than this call themselves.
const MAX_DEPTH: usize = 40;

/// A package's macros: `dbt.date_trunc(…)`.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) scope: Arc<Scope>,
    pub(super) name: Arc<str>,
}

impl Object for Package {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.scope.package_macro(&self.name, key.as_str()?)
    }

    fn call_method(self: &Arc<Self>, state: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match self.scope.package_macro(&self.name, method) {
            Some(found) => found.call(state, args),
            None => {
                let hint = did_you_mean(method, "macros", self.scope.globals.macros.names(&self.name));
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
pub(super) struct MacroCall {
    pub(super) scope: Arc<Scope>,
    /// The file that defines it.
    pub(super) template: Arc<str>,
    pub(super) name: Arc<str>,
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
pub(super) struct Return(pub(super) Value);

impl fmt::Display for Return {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("return outside of a macro")
    }
}

impl std::error::Error for Return {}

impl Return {
    /// As an error, because only errors end a macro early.
    pub(super) fn into_error(self) -> Error {
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
