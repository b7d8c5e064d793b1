//! Where manifests come from: those that ship with the binary, and users' files.

use cordada_core::suggest::did_you_mean;
use std::path::Path;

use cordada_core::{Error, Result, yaml};

use super::Manifest;

// The files of `ingest/rest/connectors/`, as `(name, text)`, by name.
include!(concat!(env!("OUT_DIR"), "/connectors.rs"));

/// The names of the connectors that ship, sorted.
pub(crate) fn connectors() -> impl Iterator<Item = &'static str> {
    CONNECTORS.iter().map(|(name, _)| *name)
}

impl Manifest {
    /// The connector of that name that ships.
    ///
    /// # Errors
    /// Config if there is none, with the nearest.
    pub(crate) fn connector(name: &str) -> Result<Self> {
        let Some((_, text)) = CONNECTORS.iter().find(|(known, _)| *known == name) else {
            let hint = did_you_mean(name, "there are", connectors());
            return Err(Error::config("choosing a connector", format!("there is none called `{name}`")).hint(hint));
        };
        Self::parse(Path::new(&format!("connectors/{name}.yml")), text)
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

    fn validated(self, file: &Path) -> Result<Self> {
        match self.validate() {
            Ok(()) => Ok(self),
            Err(problem) => Err(Error::config(format!("reading {}", problem.place), problem.why)
                .hint(problem.hint)
                .at(file.display(), 0, 0)),
        }
    }
}
