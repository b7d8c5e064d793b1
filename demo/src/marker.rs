//! What a demo's folder was generated with, so that another company is not poured over it.

use std::path::Path;

use cordada_core::{Context, Error, Result};
use serde::{Deserialize, Serialize};

use crate::Summary;

/// The file in the demo's folder.
const FILE: &str = "demo.json";

/// Counts up when the same seed gives other systems.
const VERSION: u32 = 2;

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    version: u32,
    customers: u32,
    seed: u64,
    /// Where the shop listens, once it has.
    pub port: Option<u16>,
    /// What was generated, once it was.
    pub summary: Option<Summary>,
}

impl Marker {
    /// The marker of the demo in `dir`, if there is one of this version.
    pub fn read(dir: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(dir.join(FILE)).ok()?;
        let marker: Self = serde_json::from_str(&text).ok()?;
        (marker.version == VERSION).then_some(marker)
    }

    /// Writes it into `dir`.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let doing = || format!("preparing the demo in {}", dir.display());
        let text = serde_json::to_string_pretty(self).doing(doing)?;
        std::fs::write(dir.join(FILE), text).doing(doing)
    }

    /// Makes sure that `dir` is empty, or of the same demo.
    ///
    /// # Errors
    /// Config if something else is there.
    pub fn claim(dir: &Path, customers: u32, seed: u64) -> Result<Self> {
        let doing = || format!("preparing the demo in {}", dir.display());
        if dir.join(FILE).exists() {
            return Self::read(dir)
                .filter(|there| (there.customers, there.seed) == (customers, seed))
                .ok_or_else(|| {
                    Error::config(doing(), "there is a demo of another size, seed or version")
                        .hint("remove the folder, or choose another with --dir")
                });
        }
        let taken = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
        if taken {
            return Err(Error::config(doing(), "the folder is not empty").hint("choose another with --dir"));
        }
        std::fs::create_dir_all(dir).doing(doing)?;
        let marker = Self {
            version: VERSION,
            customers,
            seed,
            port: None,
            summary: None,
        };
        marker.write(dir)?;
        Ok(marker)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_demo() {
        let dir = tempfile::tempdir().unwrap();
        let mut marker = Marker::claim(dir.path(), 300, 1).unwrap();
        marker.port = Some(8460);
        marker.write(dir.path()).unwrap();
        assert_eq!(Marker::claim(dir.path(), 300, 1).unwrap(), marker);
        for (customers, seed) in [(301, 1), (300, 2)] {
            let error = Marker::claim(dir.path(), customers, seed).unwrap_err();
            assert!(error.to_string().contains("another size"), "{error}");
        }
        std::fs::write(dir.path().join(FILE), r#"{"customers":300,"seed":1}"#).unwrap();
        assert!(Marker::claim(dir.path(), 300, 1).is_err());

        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("thesis.txt"), "").unwrap();
        assert!(
            Marker::claim(other.path(), 300, 1)
                .unwrap_err()
                .to_string()
                .contains("not empty")
        );
    }
}
