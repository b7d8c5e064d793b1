//! The project's files with their texts, and places in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cordada_core::Error;
use serde_saphyr::Spanned;

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
    pub(crate) fn place(&self, offset: usize) -> Place {
        let (line, column) = line_and_column(&self.text, offset);
        Place {
            file: self.path.clone(),
            line,
            column,
        }
    }

    /// Where a word stands in the file; the file as a whole if it does not.
    pub(crate) fn find(&self, word: &str) -> Place {
        let found = whole_words(&self.text, word).next();
        found.map_or_else(|| self.whole(), |offset| self.place(offset))
    }

    /// Where a function is called with `argument` among what follows; otherwise where it is called at all.
    pub(crate) fn find_call(&self, function: &str, argument: &str) -> Place {
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
    pub(crate) fn whole(&self) -> Place {
        Place {
            file: self.path.clone(),
            line: 0,
            column: 0,
        }
    }
}

/// Where something is written. Lines and columns count from 1; 0 means unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// The place of a YAML node.
    pub(crate) fn of<T>(file: &Path, spanned: &Spanned<T>) -> Self {
        let number = |n: u64| usize::try_from(n).unwrap_or(0);
        let at = spanned.referenced;
        Self {
            file: file.to_owned(),
            line: number(at.line()),
            column: number(at.column()),
        }
    }

    /// The error, at this place.
    pub(crate) fn mark(&self, error: Error) -> Error {
        error.at(self.file.display(), self.line, self.column)
    }
}
