//! The project's files with their texts, and places in them.

use std::path::PathBuf;
use std::sync::Arc;

use cordada_core::FilePosition;

use crate::text::{line_and_column, whole_words};

/// A file of the project with its text.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// The path as the user can open it.
    pub(crate) path: PathBuf,
    /// The path within the project.
    pub(crate) relative: PathBuf,
    pub(crate) text: Arc<str>,
}

impl SourceFile {
    /// The file's name without its extension.
    pub(crate) fn stem(&self) -> String {
        self.path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// The place of a byte offset in the text.
    pub(crate) fn place(&self, offset: usize) -> FilePosition {
        let (line, column) = line_and_column(&self.text, offset);
        FilePosition {
            file: self.path.display().to_string(),
            line,
            column,
        }
    }

    /// Where a word stands in the file; the file as a whole if it does not.
    pub(crate) fn find(&self, word: &str) -> FilePosition {
        let found = whole_words(&self.text, word).next();
        found.map_or_else(|| self.whole(), |offset| self.place(offset))
    }

    /// Where a function is called with `argument` among what follows; otherwise where it is called at all.
    pub(crate) fn find_call(&self, function: &str, argument: &str) -> FilePosition {
        let calls = || whole_words(&self.text, function);
        let arguments = |offset: &usize| {
            self.text[*offset..]
                .split(')')
                .next()
                .unwrap_or_default()
                .contains(argument)
        };
        let found = calls().find(arguments).or_else(|| calls().next());
        found.map_or_else(|| self.whole(), |offset| self.place(offset))
    }

    /// The file without a line.
    pub(crate) fn whole(&self) -> FilePosition {
        FilePosition {
            file: self.path.display().to_string(),
            line: 0,
            column: 0,
        }
    }
}
