//! Jinja as dbt projects use it.

mod macro_call;
mod macro_file;
mod names;
mod objects;
mod python;
mod scope;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, FilePosition, Result, TableName};
use cordada_lake::query::session::CATALOG;
use minijinja::value::Kwargs;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value, context};
use serde_json::{Map, Value as Json};

use self::macro_file::{MacroFile, NEW_LIST, TEST_PREFIX};
pub(crate) use self::names::{Names, Target, quoted, quoted_part};
pub(crate) use self::scope::Uses;
use self::scope::{BUILTIN, Scope};
use crate::config::RawConfig;
use crate::node::Node;
use crate::project_file::Dispatch;
use crate::properties::OverridesProperties;
use crate::source_file::SourceFile;

/// What is the same for all templates of a project.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    pub(crate) project: String,
    pub(crate) target: String,
    /// The schema of models that say nothing about theirs.
    pub(crate) default_schema: String,
    /// Variables of `dbt_project.yml`; those of a package are in a map under its name.
    pub(crate) vars: Map<String, Json>,
    /// Variables of the command line, which win.
    pub(crate) given_vars: Map<String, Json>,
    pub(crate) env: BTreeMap<String, String>,
    /// Where macros are looked for, by the package that asks for them.
    pub(crate) dispatch: Vec<Dispatch>,
    /// `{% docs %}` blocks.
    pub(crate) docs: HashMap<String, String>,
    /// Found by [`Jinja::new`].
    pub(crate) macros: Macros,
}

impl Globals {
    fn var(&self, package: &str, name: &str) -> Option<&Json> {
        let of_package = |package: &str| self.vars.get(package).and_then(|vars| vars.get(name));
        self.given_vars
            .get(name)
            .or_else(|| of_package(package))
            .or_else(|| of_package(&self.project))
            .or_else(|| self.vars.get(name))
    }

    /// The packages that may have the macro that `package` dispatches, the first one first.
    fn search_order(&self, package: &str) -> Vec<String> {
        let said = self
            .dispatch
            .iter()
            .find(|dispatch| dispatch.macro_namespace == package);
        match said {
            Some(dispatch) => dispatch.search_order.clone(),
            None => vec![self.project.clone(), package.to_owned()],
        }
    }

    fn target_value(&self) -> Value {
        context! {
            name => self.target, schema => self.default_schema, type => "cordada", database => CATALOG,
            profile_name => self.project, target_name => self.target,
        }
    }
}

/// Which file defines which macro, by package.
#[derive(Debug, Default)]
pub(crate) struct Macros(HashMap<String, HashMap<String, Arc<str>>>);

impl Macros {
    fn template(&self, package: &str, name: &str) -> Option<&Arc<str>> {
        self.0.get(package)?.get(name)
    }

    fn has_package(&self, package: &str) -> bool {
        self.0.contains_key(package)
    }

    fn names(&self, package: &str) -> impl Iterator<Item = &str> {
        self.0
            .get(package)
            .into_iter()
            .flat_map(|macros| macros.keys().map(String::as_str))
    }
}

/// The node that a template belongs to.
#[derive(Debug)]
pub(crate) struct NodeContext {
    pub(crate) name: String,
    pub(crate) resource_type: &'static str,
    pub(crate) fqn: Vec<String>,
    pub(crate) table: TableName,
    /// What is configured outside of the template.
    pub(crate) config: RawConfig,
}

impl NodeContext {
    pub(crate) fn of(node: &Node) -> Self {
        Self {
            name: node.name.clone(),
            resource_type: node.kind().name(),
            fqn: node.fqn.clone(),
            table: node.table.clone(),
            config: node.raw_config.clone(),
        }
    }

    fn as_value(&self) -> Value {
        context! {
            name => self.name, resource_type => self.resource_type, fqn => self.fqn,
            schema => self.table.schema(), alias => self.table.name(), config => self.config,
        }
    }
}

/// How a template is to be rendered.
#[derive(Debug)]
pub(crate) struct Render {
    pub(crate) names: Arc<Names>,
    pub(crate) node: Option<NodeContext>,
    /// False while dependencies are being found, as in dbt.
    pub(crate) execute: bool,
    /// What `is_incremental()` says.
    pub(crate) incremental: bool,
    /// What a unit test says in the place of others.
    pub(crate) overrides: OverridesProperties,
}

/// The template engine of a project.
#[derive(Debug)]
pub(crate) struct Jinja {
    environment: Environment<'static>,
    globals: Arc<Globals>,
}

impl Jinja {
    /// The engine with the macros of the given packages.
    pub(crate) fn new(mut globals: Globals, packages: &[(String, Vec<SourceFile>)]) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        // Without it errors do not know their column.
        environment.set_debug(true);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(python::method);
        environment.add_function(NEW_LIST, || Value::from_object(python::List::default()));
        for filter in ["as_text", "as_native", "as_bool", "as_number"] {
            environment.add_filter(filter, |value: Value| value);
        }
        let builtin = SourceFile {
            path: "macros of Cordada".into(),
            relative: "dbt.sql".into(),
            text: include_str!("builtin.sql").into(),
        };
        let mut macros = Macros::default();
        let builtin = (BUILTIN.to_owned(), vec![builtin]);
        for (package, files) in std::iter::once(&builtin).chain(packages) {
            macros.0.entry(package.clone()).or_default();
            for file in files {
                add_macro_file(&mut environment, &mut macros, package, file)?;
            }
        }
        globals.macros = macros;
        Ok(Self {
            environment,
            globals: Arc::new(globals),
        })
    }

    /// Renders a file's text.
    pub(crate) fn render(&self, file: &SourceFile, render: Render) -> Result<(String, Uses)> {
        let name = file.path.display().to_string();
        let scope = self.scope(render);
        let text = macro_file::prepare(&file.text);
        let rendered = self
            .environment
            .template_from_named_str(&name, &text)
            .and_then(|template| template.render(Value::from_dyn_object(scope.clone())))
            .map_err(|error| self.explain(error, &format!("compiling {}", file.stem())))?;
        Ok((rendered, scope.uses()))
    }

    /// Renders a text of a YAML file; a text that is nothing but one expression keeps the expression's type.
    pub(crate) fn render_value(&self, text: &str, place: &FilePosition, render: Render) -> Result<(Json, Uses)> {
        let scope = self.scope(render);
        let context = Value::from_dyn_object(scope.clone());
        let value = match sole_expression(text) {
            Some(expression) => self
                .environment
                .compile_expression(expression)
                .and_then(|expression| expression.eval(context))
                .and_then(|value| serde_json::to_value(&value).map_err(|error| serialization(&error))),
            None => self.environment.render_str(text, context).map(Json::String),
        };
        let value = value.map_err(|error| place.mark(Error::config("reading the SQL project", self.why(&error))))?;
        Ok((value, scope.uses()))
    }

    /// Whether there is a generic test of that name, `package.name` or only `name`.
    pub(crate) fn find_test(&self, name: &str) -> Result<(String, String), String> {
        let (package, name) = match name.split_once('.') {
            Some((package, name)) => (Some(package), name),
            None => (None, name),
        };
        let macro_name = format!("{TEST_PREFIX}{name}");
        let own = [self.globals.project.as_str(), BUILTIN];
        let packages = package.map_or(own.to_vec(), |package| vec![package]);
        packages
            .iter()
            .find(|package| self.globals.macros.template(package, &macro_name).is_some())
            .map(|package| ((*package).to_owned(), macro_name.clone()))
            .ok_or_else(|| {
                let tests = packages
                    .iter()
                    .flat_map(|package| self.globals.macros.names(package))
                    .filter_map(|name| name.strip_prefix(TEST_PREFIX));
                did_you_mean(name, "tests", tests)
            })
    }

    /// Calls a macro with keyword arguments and gives the text that it makes.
    pub(crate) fn call(
        &self,
        (package, name): (&str, &str),
        arguments: impl IntoIterator<Item = (String, Value)>,
        place: &FilePosition,
        render: Render,
    ) -> Result<(String, Uses)> {
        let scope = self.scope(render);
        let arguments: Kwargs = arguments.into_iter().collect();
        let text = match scope.package_macro(package, name) {
            Some(found) => found.call(&self.environment.empty_state(), &[arguments.into()]),
            None => Err(minijinja::Error::new(
                ErrorKind::UnknownFunction,
                format!("unknown macro `{name}`"),
            )),
        };
        let text = text.map_err(|error| {
            let inside = error
                .name()
                .map(|file| format!(" (in {file}:{})", error.line().unwrap_or(0)));
            let doing = format!("compiling the macro `{}`", name.trim_start_matches(TEST_PREFIX));
            place.mark(Error::config(
                doing,
                format!("{}{}", self.why(&error), inside.unwrap_or_default()),
            ))
        })?;
        Ok((text.to_string(), scope.uses()))
    }

    /// The macros of the project that stand in the place of one that dbt calls by itself and that nothing calls here.
    pub(crate) fn uncalled_overrides(&self) -> Vec<(&str, &str)> {
        let own = self.globals.macros.0.get(&self.globals.project);
        let uncalled = own.into_iter().flatten().filter(|(name, _)| is_called_by_dbt(name));
        let mut uncalled: Vec<_> = uncalled.map(|(name, file)| (name.as_str(), &**file)).collect();
        uncalled.sort_unstable();
        uncalled
    }

    /// Whether the project itself defines the macro.
    pub(crate) fn project_defines(&self, name: &str) -> bool {
        self.globals.macros.template(&self.globals.project, name).is_some()
    }

    fn scope(&self, render: Render) -> Arc<Scope> {
        Arc::new(Scope {
            package: self.globals.project.as_str().into(),
            globals: self.globals.clone(),
            render: Arc::new(render),
            uses: Arc::new(Mutex::new(Uses::default())),
            depth: Arc::new(AtomicUsize::new(0)),
        })
    }

    /// The engine's error as ours, with file, line and column.
    fn explain(&self, error: minijinja::Error, doing: &str) -> Error {
        let why = self.why(&error);
        let file = error.name().unwrap_or_default().to_owned();
        let (line, column) = match (error.template_source(), error.range()) {
            (Some(text), Some(range)) => crate::text::line_and_column(text, range.start),
            _ => (error.line().unwrap_or(0), 0),
        };
        Error::config(doing, why).at(file, line, column).caused_by(error)
    }

    fn why(&self, error: &minijinja::Error) -> String {
        let code = match (error.template_source(), error.range()) {
            (Some(text), Some(range)) => text.get(range).map(|code| code.trim().to_owned()),
            _ => None,
        };
        match (error.kind(), error.detail(), code) {
            (ErrorKind::UndefinedError, _, Some(code)) => format!("`{code}` is undefined"),
            (ErrorKind::UnknownFunction, Some(detail), Some(code)) if !detail.contains("macro") => {
                let called = code.split('(').next().unwrap_or_default().trim();
                let macros = self.globals.macros.names(&self.globals.project);
                format!(
                    "unknown function `{called}`; {}",
                    did_you_mean(called, "macros", macros)
                )
            }
            (_, Some(detail), _) => detail.to_owned(),
            (kind, None, Some(code)) => format!("{kind}: `{code}`"),
            (kind, None, None) => kind.to_string(),
        }
    }
}

impl Scope {
    fn uses(&self) -> Uses {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn add_macro_file(
    environment: &mut Environment<'static>,
    macros: &mut Macros,
    package: &str,
    file: &SourceFile,
) -> Result<()> {
    let name: Arc<str> = file.path.display().to_string().into();
    let parsed = MacroFile::parse(file).map_err(|unsupported| {
        let why = format!("`{{% {} %}}` blocks are not supported", unsupported.block);
        file.place(unsupported.offset)
            .mark(Error::config("loading the macros", why))
    })?;
    environment
        .add_template_owned(name.to_string(), parsed.text)
        .map_err(|error| {
            let why = error.detail().unwrap_or("syntax error").to_owned();
            Error::config("loading the macros", why)
                .at(&name, error.line().unwrap_or(0), 0)
                .caused_by(error)
        })?;
    let known = macros.0.entry(package.to_owned()).or_default();
    for defined in parsed.macros {
        if let Some(other) = known.insert(defined.clone(), name.clone())
            && other != name
        {
            return Err(
                Error::config("loading the macros", format!("the macro `{defined}` is defined twice"))
                    .hint(format!("rename one; the other is in {other}"))
                    .at(&name, 0, 0),
            );
        }
    }
    Ok(())
}

/// The `{% snapshot %}` blocks of an SQL file: their names, and where what is between the tags stands.
pub(crate) fn snapshot_blocks(text: &str) -> Vec<(String, std::ops::Range<usize>)> {
    macro_file::snapshot_blocks(text)
}

/// The `{% docs %}` blocks of a Markdown file.
pub(crate) fn docs_blocks(text: &str) -> Vec<(String, String)> {
    macro_file::docs_blocks(text)
}

/// `{{ x }}` → `x`; and `ref('x')`, which YAML may have without braces.
fn sole_expression(text: &str) -> Option<&str> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}"))
        && !inner.contains("{{")
    {
        return Some(inner.trim());
    }
    let is_call = ["ref(", "source(", "var(", "env_var("]
        .iter()
        .any(|call| text.starts_with(call));
    (is_call && text.ends_with(')')).then_some(text)
}

/// Whether a text of a YAML file is a template.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || sole_expression(text).is_some()
}

/// Whether dbt calls a macro of that name, or of that name after an adapter's, when it builds, and nothing does here.
fn is_called_by_dbt(name: &str) -> bool {
    const CALLED: [&str; 22] = [
        "generate_database_name",
        "get_where_subquery",
        "create_schema",
        "create_table_as",
        "create_view_as",
        "create_csv_table",
        "load_csv_rows",
        "get_test_sql",
        "get_merge_sql",
        "get_delete_insert_merge_sql",
        "get_insert_overwrite_merge_sql",
        "get_incremental_append_sql",
        "get_incremental_default_sql",
        "get_incremental_delete_insert_sql",
        "get_incremental_insert_overwrite_sql",
        "get_incremental_merge_sql",
        "get_incremental_microbatch_sql",
        "snapshot_get_time",
        "snapshot_hash_arguments",
        "snapshot_merge_sql",
        "snapshot_timestamp_strategy",
        "snapshot_check_strategy",
    ];
    let of_adapter = name.split_once("__").map_or(name, |(_, name)| name);
    let is_strategy = of_adapter.starts_with("get_incremental_") && of_adapter.ends_with("_sql");
    CALLED.contains(&of_adapter) || is_strategy
}

fn serialization(error: &serde_json::Error) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::BadSerialization, error.to_string())
}
