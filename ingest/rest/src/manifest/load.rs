//! Where manifests come from: those that ship with the binary, and users' files.

use std::path::Path;

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result, yaml};

use super::Manifest;

// The files of `ingest/rest/connectors/`, as `(name, text)`, by name.
include!(concat!(env!("OUT_DIR"), "/connectors.rs"));

/// The names of the connectors that ship, sorted.
pub(crate) fn connectors() -> impl Iterator<Item = &'static str> {
    CONNECTORS.iter().map(|(name, _)| *name)
}

/// The manifest of a connector that ships, as it is written.
///
/// # Errors
/// Config if there is none, with the nearest.
pub(crate) fn text(name: &str) -> Result<&'static str> {
    let found = CONNECTORS.iter().find(|(known, _)| *known == name);
    let missing = || {
        let hint = did_you_mean(name, "there are", connectors());
        Error::config("choosing a connector", format!("there is none called `{name}`")).hint(hint)
    };
    found.map(|(_, text)| *text).ok_or_else(missing)
}

impl Manifest {
    /// The connector of that name that ships.
    ///
    /// # Errors
    /// Config if there is none, with the nearest.
    pub(crate) fn connector(name: &str) -> Result<Self> {
        Self::parse(Path::new(&format!("connectors/{name}.yml")), text(name)?)
    }

    /// The manifest in `file`.
    ///
    /// # Errors
    /// Config, with its place, if it cannot be read or makes no sense.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let manifest: Self = yaml::read(file)?;
        manifest.validated(file)
    }

    /// The manifest that `text`, which came from `file`, is.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self> {
        let manifest: Self = yaml::parse(file, text)?;
        manifest.validated(file)
    }

    /// The manifest, if it makes sense; `file` is where it is from.
    ///
    /// # Errors
    /// Config for what makes no sense.
    pub(crate) fn validated(self, file: &Path) -> Result<Self> {
        match self.validate() {
            Ok(()) => Ok(self),
            Err(problem) => Err(Error::config(format!("reading {}", problem.place), problem.why)
                .hint(problem.hint)
                .at(file.display(), 0, 0)),
        }
    }
}
