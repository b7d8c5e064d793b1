//! `dbt_project.yml`: names, folders, variables and the tree of configurations.

use std::path::{Path, PathBuf};

use cordada_core::{Context, Error, Result, yaml};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::files::shown;
use crate::ignored::Ignored;
use crate::keys;
use crate::source_file::SourceFile;

/// The file's name.
pub(crate) const FILE_NAME: &str = "dbt_project.yml";

/// What `dbt_project.yml` says. Keys that begin with an underscore here say where dbt keeps things of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProjectFile {
    pub(crate) name: String,
    #[serde(rename = "model-paths", default = "models")]
    pub(crate) model_paths: Vec<PathBuf>,
    #[serde(rename = "seed-paths", default = "seeds")]
    pub(crate) seed_paths: Vec<PathBuf>,
    #[serde(rename = "test-paths", default = "tests")]
    pub(crate) test_paths: Vec<PathBuf>,
    #[serde(rename = "macro-paths", default = "macros")]
    pub(crate) macro_paths: Vec<PathBuf>,
    #[serde(rename = "snapshot-paths", default = "snapshots")]
    pub(crate) snapshot_paths: Vec<PathBuf>,
    /// Folders of `{% docs %}` blocks, besides those of models.
    #[serde(rename = "docs-paths", default)]
    pub(crate) docs_paths: Vec<PathBuf>,
    /// Folders of functions, which are not supported.
    #[serde(rename = "function-paths", default = "functions")]
    pub(crate) function_paths: Vec<PathBuf>,
    #[serde(rename = "packages-install-path", default = "packages")]
    pub(crate) packages_path: PathBuf,
    #[serde(default)]
    pub(crate) vars: Map<String, Value>,
    /// Configurations of models by folder.
    #[serde(default)]
    pub(crate) models: Map<String, Value>,
    /// Configurations of seeds by folder.
    #[serde(default)]
    pub(crate) seeds: Map<String, Value>,
    /// Configurations of snapshots by folder.
    #[serde(default)]
    pub(crate) snapshots: Map<String, Value>,
    /// Configurations of tests by folder.
    #[serde(default, alias = "tests")]
    pub(crate) data_tests: Map<String, Value>,
    /// Where the macros of a package are looked for.
    #[serde(default)]
    pub(crate) dispatch: Vec<Dispatch>,
    #[serde(rename = "on-run-start", default)]
    on_run_start: Value,
    #[serde(rename = "on-run-end", default)]
    on_run_end: Value,
    #[serde(rename = "version")]
    _version: Option<IgnoredAny>,
    #[serde(rename = "config-version")]
    _config_version: Option<IgnoredAny>,
    #[serde(rename = "profile")]
    _profile: Option<IgnoredAny>,
    #[serde(rename = "require-dbt-version")]
    _require_dbt_version: Option<IgnoredAny>,
    #[serde(rename = "dbt-cloud")]
    _dbt_cloud: Option<IgnoredAny>,
    #[serde(rename = "analysis-paths")]
    _analysis_paths: Option<IgnoredAny>,
    #[serde(rename = "asset-paths")]
    _asset_paths: Option<IgnoredAny>,
    #[serde(rename = "target-path")]
    _target_path: Option<IgnoredAny>,
    #[serde(rename = "log-path")]
    _log_path: Option<IgnoredAny>,
    #[serde(rename = "clean-targets")]
    _clean_targets: Option<IgnoredAny>,
    #[serde(rename = "query-comment")]
    query_comment: Option<IgnoredAny>,
    #[serde(rename = "flags")]
    flags: Option<IgnoredAny>,
    #[serde(rename = "quoting")]
    quoting: Option<IgnoredAny>,
    #[serde(rename = "sources")]
    sources: Option<IgnoredAny>,
    #[serde(rename = "exposures")]
    exposures: Option<IgnoredAny>,
    #[serde(rename = "metrics")]
    metrics: Option<IgnoredAny>,
    #[serde(rename = "semantic-models")]
    semantic_models: Option<IgnoredAny>,
    #[serde(rename = "saved-queries")]
    saved_queries: Option<IgnoredAny>,
    #[serde(rename = "unit_tests")]
    unit_tests: Option<IgnoredAny>,
    #[serde(rename = "restrict-access")]
    restrict_access: Option<IgnoredAny>,
}

/// An order in which packages are looked through for a macro that `adapter.dispatch` is to find.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dispatch {
    pub(crate) macro_namespace: String,
    pub(crate) search_order: Vec<String>,
}

fn models() -> Vec<PathBuf> {
    vec!["models".into()]
}
fn seeds() -> Vec<PathBuf> {
    vec!["seeds".into()]
}
fn tests() -> Vec<PathBuf> {
    vec!["tests".into()]
}
fn macros() -> Vec<PathBuf> {
    vec!["macros".into()]
}
fn snapshots() -> Vec<PathBuf> {
    vec!["snapshots".into()]
}
fn functions() -> Vec<PathBuf> {
    vec!["functions".into()]
}
fn packages() -> PathBuf {
    "dbt_packages".into()
}

impl ProjectFile {
    /// Reads the file of the project in `dir`; its text too, for the places in it.
    pub(crate) fn read(dir: &Path) -> Result<(Self, SourceFile)> {
        let path = dir.join(FILE_NAME);
        if !path.is_file() {
            return Err(
                Error::config("loading the SQL project", format!("there is no {FILE_NAME}"))
                    .hint("`cordada init` writes one")
                    .with("folder", dir.display()),
            );
        }
        let text = std::fs::read_to_string(&path).doing(|| format!("reading {}", path.display()))?;
        let source = SourceFile {
            path: shown(&path),
            relative: FILE_NAME.into(),
            text: text.into(),
        };
        let file: Self = yaml::parse(&source.path, &source.text)?;
        for (key, hook) in [("on-run-start", &file.on_run_start), ("on-run-end", &file.on_run_end)] {
            if !is_empty(hook) {
                let error = Error::config("loading the SQL project", format!("`{key}` is not supported"));
                let hint = "make a model of what the hook does, so that it is part of the release";
                return Err(source.find(key).mark(error).hint(hint));
            }
        }
        Ok((file, source))
    }

    /// Tells what nothing is done with; `source` is the file's text.
    pub(crate) fn note_ignored(&self, source: &SourceFile, ignored: &Ignored) {
        const OF_OTHER_TOOLS: &str = "it is for other tools";
        let unused = [
            ("query-comment", &self.query_comment, "no other engine runs the queries"),
            ("flags", &self.flags, "they are dbt's"),
            ("quoting", &self.quoting, "names are quoted where SQL needs it"),
            ("sources", &self.sources, "configure a source where it is described"),
            ("exposures", &self.exposures, OF_OTHER_TOOLS),
            ("metrics", &self.metrics, OF_OTHER_TOOLS),
            ("semantic-models", &self.semantic_models, OF_OTHER_TOOLS),
            ("saved-queries", &self.saved_queries, OF_OTHER_TOOLS),
            (
                "unit_tests",
                &self.unit_tests,
                "configure a unit test where it is described",
            ),
            ("restrict-access", &self.restrict_access, OF_OTHER_TOOLS),
        ];
        for (key, found, why) in unused {
            if found.is_some() {
                ignored.key(key, why, &source.find(key));
            }
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The configurations that a tree such as `models:` gives to a node, the most general first.
///
/// A key with `+` is a configuration; without it, it is one if that is its name and the path has no such folder.
/// Any of `paths` may match, each relative to the tree's root, so that a folder can be named with or without
/// the project's name or the model path's root before it.
pub(crate) fn configs_for<'a>(tree: &'a Map<String, Value>, paths: &[&[String]]) -> Vec<(&'a str, &'a Value)> {
    let mut found: Vec<(usize, &str, &Value)> = Vec::new();
    for path in paths {
        collect(tree, path, 0, &mut found);
    }
    found.sort_by_key(|(depth, ..)| *depth);
    found.dedup_by(|a, b| std::ptr::eq(a.2, b.2));
    found.into_iter().map(|(_, key, value)| (key, value)).collect()
}

fn collect<'a>(
    tree: &'a Map<String, Value>,
    path: &[String],
    depth: usize,
    found: &mut Vec<(usize, &'a str, &'a Value)>,
) {
    for (key, value) in tree {
        if let Some(name) = key.strip_prefix('+') {
            found.push((depth, name, value));
        } else if let (Some((folder, rest)), Value::Object(subtree)) = (path.split_first(), value)
            && folder == key
        {
            collect(subtree, rest, depth + 1, found);
        } else if !value.is_object() && keys::is_known(key) {
            found.push((depth, key, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn the_nearest_folder_comes_last() {
        let serde_json::Value::Object(tree) = serde_json::json!({
            "+materialized": "view",
            "acme": {"materialized": "table", "staging": {"+materialized": "ephemeral", "+tags": ["a"]}},
            "marts": {"+materialized": "incremental"},
        }) else {
            unreachable!()
        };
        let (full, short) = (path("acme/staging/stg_orders"), path("staging/stg_orders"));
        let found: Vec<_> = configs_for(&tree, &[&full, &short])
            .into_iter()
            .filter(|(key, _)| *key == "materialized")
            .map(|(_, value)| value.as_str().unwrap_or_default())
            .collect();
        assert_eq!(found, ["view", "table", "ephemeral"]);
    }
}
