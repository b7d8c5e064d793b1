//! Reading a project: files, YAML, the first pass of the templates, and what follows from them.

pub(crate) mod configs;
mod constraint;
mod data_tests;
mod enabled_nodes;
mod indicators;
mod outputs;
mod properties_files;
mod segments;
mod snapshots;
mod unit_tests;
mod unknown_paths;

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
use self::segments::SegmentOfFile;
use crate::config::{Config, ConfigProblem, Materialization, RawConfig};
use crate::files::{self, Folder, YAML};
use crate::graph;
use crate::ignored::Ignored;
use crate::indicator::Defined;
use crate::jinja::{Globals, Jinja, Names, NodeContext, Render, Target, Uses, docs_blocks};
use crate::keys;
use crate::node::{Column, Node, NodeId, NodeKind};
use crate::project::{LoadOptions, ProjectContents};
use crate::project_file::{ProjectFile, configs_for};
use crate::properties::{ColumnProperties, NodeProperties};
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
    let unit_tests = loader.unit_tests(&nodes)?;
    for (name, file) in loader.jinja.uncalled_overrides() {
        let place = FilePosition {
            file: file.to_owned(),
            line: 0,
            column: 0,
        };
        let what = format!("the macro `{name}` has no effect: it is in the place of one that only dbt calls");
        loader.ignored.note(what, &place);
    }
    loader.check_configured_paths()?;
    loader.check_grains()?;
    let mut contents = ProjectContents {
        name: loader.file.name,
        nodes,
        order: Vec::new(),
        tests,
        unit_tests,
        jinja: loader.jinja,
        names: Arc::new(names),
        ignored: loader.ignored.into_sentences(),
    };
    contents.order = order(&contents)?;
    contents
        .ignored
        .iter()
        .for_each(|sentence| tracing::warn!("{sentence}"));
    Ok(contents)
}

/// A project's files, read but not yet understood.
struct Loader {
    file: ProjectFile,
    project_yaml: SourceFile,
    models: Vec<Folder>,
    seeds: Vec<Folder>,
    snapshots: Vec<Folder>,
    tests: Vec<Folder>,
    segments: Vec<SegmentOfFile>,
    indicators: Vec<Defined>,
    properties: PropertiesFiles,
    jinja: Jinja,
    ignored: Ignored,
    /// The names as they are while configurations are not known.
    unresolved: Arc<Names>,
}

/// What defines a node, before its configuration is known.
struct Candidate {
    name: String,
    file: SourceFile,
    fqn: Vec<String>,
    schema: String,
    kind: NodeKind,
}

impl Loader {
    fn new(dir: &Path, options: &LoadOptions) -> Result<Self> {
        let (file, project_yaml) = ProjectFile::read(dir)?;
        let folders = |roots: &[PathBuf], extensions: &[&str]| -> Result<Vec<Folder>> {
            roots.iter().map(|root| Folder::read(dir, root, extensions)).collect()
        };
        let models = folders(&file.model_paths, &["sql", "yml", "yaml", "md"])?;
        let seeds = folders(&file.seed_paths, &["csv", "yml", "yaml"])?;
        let snapshots = folders(&file.snapshot_paths, &["sql", "yml", "yaml"])?;
        let tests = folders(&file.test_paths, &["sql", "csv", "yml", "yaml"])?;
        let docs = folders(&file.docs_paths, &["md"])?;
        let ignored = Ignored::default();
        file.note_ignored(&project_yaml, &ignored);
        files::note_ignored(dir, &file, &project_yaml, &ignored)?;
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
            dispatch: file.dispatch.clone(),
            docs: models
                .iter()
                .chain(&docs)
                .flat_map(|folder| folder.with_extension(&["md"]))
                .flat_map(|markdown| docs_blocks(&markdown.text))
                .collect(),
            ..Globals::default()
        };
        let mut properties = PropertiesFiles::read(
            models
                .iter()
                .chain(&seeds)
                .chain(&snapshots)
                .chain(&tests)
                .flat_map(|f| f.with_extension(&YAML)),
            &ignored,
        )?;
        let definitions = options.definitions.as_deref().unwrap_or(dir);
        let segments = segments::read(definitions, &mut properties)?;
        let loader = Self {
            project_yaml,
            models,
            seeds,
            snapshots,
            tests,
            segments,
            indicators: indicators::read(definitions)?,
            properties,
            jinja: Jinja::new(globals, &packages)?,
            ignored,
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
        let models = self.models.iter().map(|folder| (folder, "sql", NodeKind::Model));
        let seeds = self.seeds.iter().map(|folder| (folder, "csv", NodeKind::Seed));
        for (folder, extension, kind) in models.chain(seeds) {
            for file in folder.with_extension(&[extension]) {
                candidates.push(self.candidate(folder, file, file.stem(), kind));
            }
        }
        candidates.extend(self.snapshots()?);
        candidates.extend(self.segments());
        let mut known: HashMap<&str, &SourceFile> = HashMap::new();
        for candidate in &candidates {
            if let Some(other) = known.insert(&candidate.name, &candidate.file) {
                let why = format!("there are two of the name `{}`", candidate.name);
                return Err(Error::config("loading the SQL project", why)
                    .hint(format!("rename one; the other is {}", other.path.display()))
                    .at(candidate.file.path.display(), 0, 0));
            }
        }
        Ok(candidates)
    }

    fn candidate(&self, folder: &Folder, file: &SourceFile, name: String, kind: NodeKind) -> Candidate {
        let parts = |path: &Path| -> Vec<String> {
            path.components()
                .map(|part| part.as_os_str().to_string_lossy().into_owned())
                .collect()
        };
        let root = parts(&folder.root);
        let below = parts(file.relative.strip_prefix(&folder.root).unwrap_or(&file.relative));
        let is_model = kind == NodeKind::Model;
        let is_plain = !is_model || root.last().is_some_and(|root| root == PLAIN_ROOT);
        let mut folders = if is_plain { Vec::new() } else { root.clone() };
        folders.extend(below[..below.len().saturating_sub(1)].iter().cloned());
        let schema = if is_model { folders.first() } else { root.first() };
        let schema = schema.cloned().unwrap_or_else(|| DEFAULT_SCHEMA.to_owned());
        let mut fqn = vec![self.file.name.clone()];
        fqn.extend(folders);
        fqn.push(name.clone());
        Candidate {
            name,
            file: file.clone(),
            fqn,
            schema,
            kind,
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
        let kind_of = |name: &str| {
            let mut nodes = enabled.nodes.iter().map(|(node, _)| node);
            nodes.find(|node| node.name == name).map(Node::kind)
        };
        self.properties.check_names(&enabled.names, kind_of)?;
        Ok(enabled.linked())
    }

    /// The node of a file: its configuration, and what its template uses.
    fn node(&self, candidate: Candidate) -> Result<(Node, Uses)> {
        let properties = self.properties.node(&candidate.name, candidate.kind);
        let mut layers = self.configured(&candidate, properties)?;
        let segment = self.segment_of(&candidate);
        let mut uses = match (candidate.kind, &segment) {
            (NodeKind::Seed, _) => Uses::default(),
            (_, Some(segment)) => self.uses_of_segment(segment)?,
            _ => self.first_pass(&candidate, &layers.merged)?,
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
            Config::validate(&layers.merged, candidate.kind).map_err(|problem| layers.explain(problem, &file))?;
        self.note_ignored(&layers.merged, |key| {
            layers.place(key).cloned().unwrap_or_else(|| file.whole())
        });
        let indicators = self.indicators(&candidate, &config, &mut uses)?;
        let schema = self.schema(&candidate, &config, &layers.merged)?;
        let alias = self.alias(&candidate, &config, &layers.merged)?;
        let table = TableName::new(schema, alias).map_err(|error| file.whole().mark(error))?;
        let (description, mut columns) = match properties {
            Some((yaml, properties)) => self.documentation(yaml, properties)?,
            None => (None, Vec::new()),
        };
        columns.extend(self.indicator_columns(&candidate)?);
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
            indicators,
            segment,
        };
        Ok((node, uses))
    }

    /// What `dbt_project.yml` and the YAML files configure.
    fn configured(&self, candidate: &Candidate, properties: Option<(&Path, &NodeProperties)>) -> Result<Layers> {
        let mut layers = Layers::default();
        let tree = match candidate.kind {
            NodeKind::Model => Some(&self.file.models),
            NodeKind::Seed => Some(&self.file.seeds),
            NodeKind::Snapshot => Some(&self.file.snapshots),
            // Its own file says all of it.
            NodeKind::Segment => None,
        };
        let of_project = tree.map(|tree| configs_for(tree, &[&candidate.fqn, &candidate.fqn[1..]]));
        for (key, value) in of_project.into_iter().flatten() {
            let place = self.project_yaml.find(key);
            let value = self.value(value, &place)?;
            layers.add(RawConfig::from_iter([(key.to_owned(), value)]), |_| place.clone());
        }
        if let Some((yaml, properties)) = properties {
            let place = FilePosition::of(yaml, &properties.name);
            if let Some(meta) = &properties.meta {
                let meta = RawConfig::from_iter([("meta".to_owned(), self.value(meta, &place)?)]);
                layers.add(meta, |_| place.clone());
            }
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
                resource_type: candidate.kind.name(),
                fqn: candidate.fqn.clone(),
                table: table.clone(),
                config: config.clone(),
            }),
            execute: false,
            incremental,
            overrides: Default::default(),
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
        // dbt's macros know nothing of segments.
        if !self.jinja.project_defines(MACRO) || candidate.kind == NodeKind::Segment {
            let default = match config.materialization {
                Materialization::Model => MODEL_SCHEMA,
                _ => &candidate.schema,
            };
            return Ok(config.schema.clone().unwrap_or_else(|| default.to_owned()));
        }
        let custom = ("custom_schema_name", config.schema.as_deref());
        self.generated(MACRO, custom, candidate, raw)
    }

    /// The relation's name: what is configured or the node's, unless the project has dbt's macro for it.
    fn alias(&self, candidate: &Candidate, config: &Config, raw: &RawConfig) -> Result<String> {
        const MACRO: &str = "generate_alias_name";
        // dbt's macros know nothing of segments.
        if !self.jinja.project_defines(MACRO) || candidate.kind == NodeKind::Segment {
            return Ok(config.alias.clone().unwrap_or_else(|| candidate.name.clone()));
        }
        self.generated(MACRO, ("custom_alias_name", config.alias.as_deref()), candidate, raw)
    }

    /// The name that a macro of the project makes of what is configured.
    fn generated(
        &self,
        macro_name: &str,
        (argument, configured): (&str, Option<&str>),
        candidate: &Candidate,
        raw: &RawConfig,
    ) -> Result<String> {
        let node = minijinja::context! {
            name => candidate.name, resource_type => candidate.kind.name(), fqn => candidate.fqn, config => raw,
        };
        let arguments = [
            (argument.to_owned(), configured.map_or(Value::from(()), Value::from)),
            ("node".to_owned(), node),
        ];
        let package = self.file.name.as_str();
        let (name, _) = self.jinja.call(
            (package, macro_name),
            arguments,
            &candidate.file.whole(),
            self.outside(),
        )?;
        Ok(name.trim().to_owned())
    }

    /// Tells which of the configurations nothing is done with.
    fn note_ignored(&self, config: &RawConfig, place: impl Fn(&str) -> FilePosition) {
        for (key, value) in config {
            if let Some(why) = keys::without_effect(key, value) {
                self.ignored.key(key, why, &place(key));
            }
        }
    }

    /// What YAML says about a node and its columns.
    fn documentation(&self, yaml: &Path, properties: &NodeProperties) -> Result<(Option<String>, Vec<Column>)> {
        let place = FilePosition::of(yaml, &properties.name);
        let columns = properties.columns.iter().map(|column| self.column(yaml, column));
        Ok((
            self.described(&properties.description, &place)?,
            columns.collect::<Result<_>>()?,
        ))
    }

    /// A description with its templates rendered; none if it says nothing.
    fn described(&self, text: &str, place: &FilePosition) -> Result<Option<String>> {
        Ok(Some(self.text(text, place)?.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    /// What YAML says of a column.
    fn column(&self, file: &Path, column: &ColumnProperties) -> Result<Column> {
        let place = FilePosition::of(file, &column.name);
        Ok(Column {
            name: column.name.value.clone(),
            docs: ColumnDocs {
                description: self.described(&column.description, &place)?,
                pii: column.pii(),
            },
            data_type: column.data_type.clone(),
            place,
        })
    }

    /// How texts outside of any node are rendered.
    fn outside(&self) -> Render {
        Render {
            names: self.unresolved.clone(),
            node: None,
            execute: false,
            incremental: false,
            overrides: Default::default(),
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
        // A further output is made with the node that makes it.
        let is_output = |node: &&usize| project.nodes[**node].output_of().is_some();
        let mut cycle: Vec<usize> = cycle[1..].iter().filter(|node| !is_output(node)).copied().collect();
        cycle.extend(cycle.first().copied());
        // `a → b`: b reads a.
        let names: Vec<_> = cycle
            .iter()
            .rev()
            .map(|node| project.nodes[*node].name.as_str())
            .collect();
        let error = Error::config(
            "ordering the models",
            format!("they read each other in a cycle: {}", names.join(" → ")),
        )
        .hint("take one of these refs out");
        let named = |pair: &[usize]| {
            let (reads, read) = (&project.nodes[pair[0]], &project.nodes[pair[1]]);
            reads.segment.as_ref()?.place_of(&read.name)
        };
        let place = cycle.windows(2).find_map(named);
        place
            .unwrap_or_else(|| project.nodes[cycle[0]].file.whole())
            .mark(error)
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
