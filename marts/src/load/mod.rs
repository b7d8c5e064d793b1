//! Reading a project: files, YAML, the first pass of the templates, and what follows from them.

pub(crate) mod configs;
mod data_tests;
mod enabled_nodes;
mod outputs;
mod properties_files;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cordada_core::{Error, FilePosition, Result, TableName};
use cordada_lake::query::session::DEFAULT_SCHEMA;
use cordada_lake::release::ColumnDocs;
use minijinja::Value;

use self::configs::Layers;
use self::enabled_nodes::EnabledNodes;
use self::properties_files::PropertiesFiles;
use crate::config::{Config, ConfigProblem, Materialization, RawConfig};
use crate::files::{self, Folder, YAML};
use crate::graph;
use crate::jinja::{Globals, Jinja, Names, NodeContext, Render, Target, Uses, docs_blocks};
use crate::node::{Column, Node, NodeId};
use crate::project::{LoadOptions, ProjectContents};
use crate::project_file::{ProjectFile, configs_for};
use crate::properties::NodeProperties;
use crate::source_file::SourceFile;

/// The schema of what estimators make.
const MODEL_SCHEMA: &str = "ml";
/// Folders that are not a layer of their own: what is in them belongs to their subfolders.
const PLAIN_ROOT: &str = "models";

/// Reads the project in `dir`.
pub(crate) fn load(dir: &Path, options: &LoadOptions) -> Result<ProjectContents> {
    let loader = Loader::new(dir, options)?;
    let (nodes, names) = loader.nodes()?;
    let tests = loader.tests(&nodes, &names)?;
    let mut contents = ProjectContents {
        name: loader.file.name,
        nodes,
        order: Vec::new(),
        tests,
        jinja: loader.jinja,
        names: Arc::new(names),
    };
    contents.order = order(&contents)?;
    Ok(contents)
}

/// A project's files, read but not yet understood.
struct Loader {
    file: ProjectFile,
    project_yaml: SourceFile,
    models: Vec<Folder>,
    seeds: Vec<Folder>,
    tests: Vec<Folder>,
    properties: PropertiesFiles,
    jinja: Jinja,
    /// The names as they are while configurations are not known.
    unresolved: Arc<Names>,
}

/// A model's or seed's file before its configuration is known.
struct Candidate {
    name: String,
    file: SourceFile,
    fqn: Vec<String>,
    schema: String,
    is_seed: bool,
}

impl Loader {
    fn new(dir: &Path, options: &LoadOptions) -> Result<Self> {
        let (file, project_yaml) = ProjectFile::read(dir)?;
        let folders = |roots: &[PathBuf], extensions: &[&str]| -> Result<Vec<Folder>> {
            roots.iter().map(|root| Folder::read(dir, root, extensions)).collect()
        };
        let models = folders(&file.model_paths, &["sql", "yml", "yaml", "md"])?;
        let seeds = folders(&file.seed_paths, &["csv", "yml", "yaml"])?;
        let tests = folders(&file.test_paths, &["sql", "yml", "yaml"])?;
        let macros = files::macros(dir, &file)?;
        let mut packages = vec![(file.name.clone(), macros)];
        packages.extend(files::packages(dir, &file.packages_path)?);
        let globals = Globals {
            project: file.name.clone(),
            target: options.target.clone(),
            default_schema: DEFAULT_SCHEMA.to_owned(),
            vars: file.vars.clone(),
            given_vars: options.vars.clone(),
            env: options.env.clone(),
            docs: models
                .iter()
                .flat_map(|folder| folder.with_extension(&["md"]))
                .flat_map(|markdown| docs_blocks(&markdown.text))
                .collect(),
            ..Globals::default()
        };
        let properties = PropertiesFiles::read(
            models
                .iter()
                .chain(&seeds)
                .chain(&tests)
                .flat_map(|f| f.with_extension(&YAML)),
        )?;
        let loader = Self {
            project_yaml,
            models,
            seeds,
            tests,
            properties,
            jinja: Jinja::new(globals, &packages)?,
            unresolved: Arc::new(Names::default()),
            file,
        };
        loader.with_names()
    }

    /// Knows the names of all nodes and sources, which templates need from the start.
    fn with_names(mut self) -> Result<Self> {
        let sources = self.properties.sources(|text, place| self.text(text, place))?;
        let refs = self
            .candidates()?
            .into_iter()
            .map(|candidate| (candidate.name, Target::Unresolved))
            .collect();
        self.unresolved = Arc::new(Names {
            project: self.file.name.clone(),
            refs,
            sources,
        });
        Ok(self)
    }

    /// The files of models and seeds, each name once.
    fn candidates(&self) -> Result<Vec<Candidate>> {
        let mut candidates = Vec::new();
        let mut known: HashMap<String, PathBuf> = HashMap::new();
        let models = self.models.iter().map(|folder| (folder, "sql", false));
        let seeds = self.seeds.iter().map(|folder| (folder, "csv", true));
        for (folder, extension, is_seed) in models.chain(seeds) {
            for file in folder.with_extension(&[extension]) {
                let candidate = self.candidate(folder, file, is_seed);
                if let Some(other) = known.insert(candidate.name.clone(), file.path.clone()) {
                    let why = format!("there are two of the name `{}`", candidate.name);
                    return Err(Error::config("loading the SQL project", why)
                        .hint(format!("rename one; the other is {}", other.display()))
                        .at(file.path.display(), 0, 0));
                }
                candidates.push(candidate);
            }
        }
        Ok(candidates)
    }

    fn candidate(&self, folder: &Folder, file: &SourceFile, is_seed: bool) -> Candidate {
        let parts = |path: &Path| -> Vec<String> {
            path.components()
                .map(|part| part.as_os_str().to_string_lossy().into_owned())
                .collect()
        };
        let root = parts(&folder.root);
        let below = parts(file.relative.strip_prefix(&folder.root).unwrap_or(&file.relative));
        let is_plain = is_seed || root.last().is_some_and(|root| root == PLAIN_ROOT);
        let mut folders = if is_plain { Vec::new() } else { root.clone() };
        folders.extend(below[..below.len().saturating_sub(1)].iter().cloned());
        let schema = if is_seed { root.first() } else { folders.first() };
        let schema = schema.cloned().unwrap_or_else(|| DEFAULT_SCHEMA.to_owned());
        let name = file.stem();
        let mut fqn = vec![self.file.name.clone()];
        fqn.extend(folders);
        fqn.push(name.clone());
        Candidate {
            name,
            file: file.clone(),
            fqn,
            schema,
            is_seed,
        }
    }

    /// The enabled nodes, and what names stand for.
    fn nodes(&self) -> Result<(Vec<Node>, Names)> {
        let mut enabled = EnabledNodes::new(Names {
            project: self.file.name.clone(),
            refs: HashMap::new(),
            sources: self.unresolved.sources.clone(),
        });
        for candidate in self.candidates()? {
            let (model, uses) = self.node(candidate)?;
            let outputs = self.outputs(&model)?;
            let id = enabled.add(model, uses)?;
            for (name, (output, uses)) in outputs {
                let output = enabled.add(output, uses)?;
                if let (Some(id), Some(output)) = (id, output) {
                    enabled.nodes[id.0].0.outputs.insert(name, output);
                }
            }
        }
        self.properties.check_names(&enabled.names)?;
        Ok(enabled.linked())
    }

    /// The node of a file: its configuration, and what its template uses.
    fn node(&self, candidate: Candidate) -> Result<(Node, Uses)> {
        let properties = self.properties.node(&candidate.name, candidate.is_seed);
        let mut layers = self.configured(&candidate, properties)?;
        let uses = if candidate.is_seed {
            Uses::default()
        } else {
            self.first_pass(&candidate, &layers.merged)?
        };
        let file = candidate.file.clone();
        if layers.merged.contains_key("inputs") {
            let problem = ConfigProblem::new(
                "inputs",
                "`inputs` are refs, which only the model itself can make",
                "name them in the `config(…)` of the model's file".to_owned(),
            );
            return Err(layers.explain(problem, &file));
        }
        layers.add(uses.config.clone(), |key| file.find(key));
        let config =
            Config::validate(&layers.merged, candidate.is_seed).map_err(|problem| layers.explain(problem, &file))?;
        let schema = self.schema(&candidate, &config, &layers.merged)?;
        let alias = config.alias.clone().unwrap_or_else(|| candidate.name.clone());
        let table = TableName::new(schema, alias).map_err(|error| file.whole().mark(error))?;
        let (description, columns) = match properties {
            Some((yaml, properties)) => self.documentation(yaml, properties)?,
            None => (None, Vec::new()),
        };
        let node = Node {
            id: NodeId(0),
            name: candidate.name,
            table,
            file,
            fqn: candidate.fqn,
            config,
            raw_config: layers.merged,
            description,
            columns,
            depends_on: Vec::new(),
            sources: Vec::new(),
            outputs: BTreeMap::new(),
        };
        Ok((node, uses))
    }

    /// What `dbt_project.yml` and the YAML files configure.
    fn configured(&self, candidate: &Candidate, properties: Option<(&Path, &NodeProperties)>) -> Result<Layers> {
        let mut layers = Layers::default();
        let tree = if candidate.is_seed {
            &self.file.seeds
        } else {
            &self.file.models
        };
        for (key, value) in configs_for(tree, &[&candidate.fqn, &candidate.fqn[1..]]) {
            let place = self.project_yaml.find(key);
            let value = self.value(value, &place)?;
            layers.add(RawConfig::from_iter([(key.to_owned(), value)]), |_| place.clone());
        }
        if let Some((yaml, properties)) = properties {
            let place = FilePosition::of(yaml, &properties.name);
            let serde_json::Value::Object(config) = self.value(&properties.config.clone().into(), &place)? else {
                return Ok(layers);
            };
            layers.add(config, |_| place.clone());
        }
        Ok(layers)
    }

    /// Renders a model to learn what it reads and configures. What stands under `is_incremental()` counts too.
    fn first_pass(&self, candidate: &Candidate, config: &RawConfig) -> Result<Uses> {
        let table = TableName::new(candidate.schema.clone(), candidate.name.clone())
            .map_err(|error| candidate.file.whole().mark(error))?;
        let render = |incremental| Render {
            names: self.unresolved.clone(),
            node: Some(NodeContext {
                name: candidate.name.clone(),
                resource_type: "model",
                fqn: candidate.fqn.clone(),
                table: table.clone(),
                config: config.clone(),
            }),
            execute: false,
            incremental,
        };
        let (_, mut uses) = self.jinja.render(&candidate.file, render(false))?;
        if uses.asks_incremental {
            let (_, more) = self.jinja.render(&candidate.file, render(true))?;
            uses.refs.extend(more.refs);
            uses.sources.extend(more.sources);
            uses.sources.sort();
            uses.sources.dedup();
        }
        Ok(uses)
    }

    /// The schema: what is configured or the folder's, unless the project has dbt's macro for it.
    fn schema(&self, candidate: &Candidate, config: &Config, raw: &RawConfig) -> Result<String> {
        const MACRO: &str = "generate_schema_name";
        if !self.jinja.project_defines(MACRO) {
            let default = match config.materialization {
                Materialization::Model => MODEL_SCHEMA,
                _ => &candidate.schema,
            };
            return Ok(config.schema.clone().unwrap_or_else(|| default.to_owned()));
        }
        let resource_type = if candidate.is_seed { "seed" } else { "model" };
        let node = minijinja::context! {
            name => candidate.name, resource_type => resource_type, fqn => candidate.fqn, config => raw,
        };
        let arguments = [
            (
                "custom_schema_name".to_owned(),
                config.schema.as_deref().map_or(Value::from(()), Value::from),
            ),
            ("node".to_owned(), node),
        ];
        let package = self.file.name.as_str();
        let (schema, _) = self
            .jinja
            .call((package, MACRO), arguments, &candidate.file.whole(), self.outside())?;
        Ok(schema.trim().to_owned())
    }

    /// What YAML says about a node and its columns.
    fn documentation(&self, yaml: &Path, properties: &NodeProperties) -> Result<(Option<String>, Vec<Column>)> {
        let described = |text: &str, place: &FilePosition| -> Result<Option<String>> {
            Ok(Some(self.text(text, place)?.trim().to_owned()).filter(|text| !text.is_empty()))
        };
        let place = FilePosition::of(yaml, &properties.name);
        let columns = properties.columns.iter().map(|column| {
            let place = FilePosition::of(yaml, &column.name);
            Ok(Column {
                name: column.name.value.clone(),
                docs: ColumnDocs {
                    description: described(&column.description, &place)?,
                    pii: column.pii(),
                },
                data_type: column.data_type.clone(),
                place,
            })
        });
        Ok((
            described(&properties.description, &place)?,
            columns.collect::<Result<_>>()?,
        ))
    }

    /// How texts outside of any node are rendered.
    fn outside(&self) -> Render {
        Render {
            names: self.unresolved.clone(),
            node: None,
            execute: false,
            incremental: false,
        }
    }

    /// A value of a YAML file with its templates rendered.
    fn value(&self, value: &serde_json::Value, place: &FilePosition) -> Result<serde_json::Value> {
        configs::render(&self.jinja, value, place, &|| self.outside(), &mut |_| {})
    }

    /// A text of a YAML file, rendered if it is a template.
    fn text(&self, text: &str, place: &FilePosition) -> Result<String> {
        match self.value(&text.into(), place)? {
            serde_json::Value::String(text) => Ok(text),
            other => Ok(other.to_string()),
        }
    }
}

/// The nodes in order.
fn order(project: &ProjectContents) -> Result<Vec<NodeId>> {
    let order = graph::order(&project.dependencies()).map_err(|cycle| {
        // `a → b`: b reads a.
        let names: Vec<_> = cycle
            .iter()
            .rev()
            .map(|node| project.nodes[*node].name.as_str())
            .collect();
        Error::config(
            "ordering the models",
            format!("they read each other in a cycle: {}", names.join(" → ")),
        )
        .hint("take one of these refs out")
        .at(project.nodes[cycle[0]].file.path.display(), 0, 0)
    })?;
    Ok(order.into_iter().map(NodeId).collect())
}

impl Layers {
    /// What is wrong with a configuration, where it was made.
    fn explain(&self, problem: ConfigProblem, file: &SourceFile) -> Error {
        let place = self.place(&problem.key).cloned().unwrap_or_else(|| file.whole());
        let error = place.mark(Error::config(format!("configuring {}", file.stem()), problem.why));
        match problem.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}
