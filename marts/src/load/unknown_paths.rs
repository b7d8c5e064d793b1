//! Configurations in `dbt_project.yml` that are nobody's.

use cordada_core::suggest::nearest;
use cordada_core::{Error, Result};
use serde_json::{Map, Value};

use super::Loader;
use crate::keys;
use crate::node::NodeKind;

impl Loader {
    /// Tells of configured folders in which nothing is.
    ///
    /// # Errors
    /// Config: a key that is neither a folder nor a configuration.
    pub(super) fn check_configured_paths(&self) -> Result<()> {
        let candidates = self.candidates()?;
        let trees = [
            (NodeKind::Model, &self.file.models),
            (NodeKind::Seed, &self.file.seeds),
            (NodeKind::Snapshot, &self.file.snapshots),
        ];
        for (kind, tree) in trees {
            let of_kind = candidates.iter().filter(|candidate| candidate.kind == kind);
            let paths: Vec<&[String]> = of_kind.flat_map(|node| [&node.fqn[..], &node.fqn[1..]]).collect();
            self.check_tree(kind, tree, &mut Vec::new(), &paths)?;
        }
        Ok(())
    }

    fn check_tree<'t>(
        &self,
        kind: NodeKind,
        tree: &'t Map<String, Value>,
        folder: &mut Vec<&'t str>,
        paths: &[&[String]],
    ) -> Result<()> {
        for (key, value) in tree {
            match value {
                _ if key.starts_with('+') => {}
                Value::Object(below) => {
                    folder.push(key);
                    let is_above =
                        |path: &&[String]| path.len() >= folder.len() && path.iter().zip(&*folder).all(|(a, b)| a == b);
                    if paths.iter().any(is_above) {
                        self.check_tree(kind, below, folder, paths)?;
                    } else {
                        let (kind, folder) = (kind.name(), folder.join(": "));
                        let what = format!("`{kind}s: {folder}` configures nothing: no {kind} is there");
                        self.ignored.note(what, &self.project_yaml.find(key));
                    }
                    folder.pop();
                }
                _ if keys::is_known(key) => {}
                _ => {
                    let error = Error::config("loading the SQL project", format!("unknown configuration `{key}`"));
                    let error = self.project_yaml.find(key).mark(error);
                    return Err(match nearest(key, keys::EFFECTIVE) {
                        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                        None => error,
                    });
                }
            }
        }
        Ok(())
    }
}
