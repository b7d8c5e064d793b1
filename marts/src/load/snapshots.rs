//! The snapshots of a project: `{% snapshot %}` blocks of SQL files, and relations that YAML names.

use cordada_core::{Error, FilePosition, Result};

use super::{Candidate, Loader};
use crate::files::Folder;
use crate::jinja::snapshot_blocks;
use crate::node::NodeKind;
use crate::source_file::SourceFile;

impl Loader {
    pub(super) fn snapshots(&self) -> Result<Vec<Candidate>> {
        let mut snapshots = Vec::new();
        for folder in &self.snapshots {
            for file in folder.with_extension(&["sql"]) {
                let blocks = snapshot_blocks(&file.text);
                if blocks.is_empty() {
                    let error = Error::config("loading the snapshots", "there is no `{% snapshot %}` block in it");
                    return Err(file.whole().mark(error));
                }
                for (name, within) in blocks {
                    // The other lines are empty, so that places stay what they are.
                    let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
                    let before = file.text[..within.start].chars().map(blank);
                    let text: String = before.chain(file.text[within].chars()).collect();
                    let file = SourceFile {
                        text: text.into(),
                        ..file.clone()
                    };
                    snapshots.push(self.candidate(folder, &file, name, NodeKind::Snapshot));
                }
            }
        }
        let of_yaml = Folder::empty(self.file.snapshot_paths.first());
        for (path, properties) in self.properties.all_nodes(NodeKind::Snapshot) {
            let Some(relation) = &properties.relation else {
                continue;
            };
            let line = FilePosition::of(path, relation).line;
            let lines = "\n".repeat(line.saturating_sub(1));
            let file = SourceFile {
                path: path.to_owned(),
                relative: of_yaml.root.join(path.file_name().unwrap_or_default()),
                text: format!("{lines}select * from {{{{ {} }}}}", relation.value).into(),
            };
            let name = properties.name.value.clone();
            snapshots.push(self.candidate(&of_yaml, &file, name, NodeKind::Snapshot));
        }
        Ok(snapshots)
    }
}
