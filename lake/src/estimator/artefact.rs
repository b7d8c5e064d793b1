//! What fitting leaves behind, and where the lake keeps it.
//!
//! An artefact is one file, `_cordada/artefacts/<model>/<sha256>`, named by the hash of what is in it: a line of JSON
//! that says where it comes from, and the estimator's own bytes. It is never changed, so every environment can share
//! it, and a release that is brought back finds the one it was scored with.

use cordada_core::{Context, Error, Result, TableName, hex};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::lake::Lake;

/// The folder of all artefacts.
pub(crate) const ARTEFACTS: &str = "_cordada/artefacts";

/// What fitting leaves behind: bytes in a format of the estimator's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artefact(pub Vec<u8>);

impl Artefact {
    /// The JSON of `value`. JSON numbers do not keep every bit of a floating-point number.
    pub fn of<T: Serialize>(value: &T) -> Result<Self> {
        serde_json::to_vec(value).doing(|| "writing an artefact").map(Self)
    }

    /// The value whose JSON it is.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.0).doing(|| "reading an artefact")
    }
}

/// Where an artefact comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The model's relation.
    pub model: TableName,
    /// The estimator that fitted it.
    pub estimator: String,
    /// [`Estimator::version`](super::Estimator::version) of that time.
    pub version: u32,
    /// The fingerprint of the SQL, the columns of the inputs, and the parameters.
    pub definition: String,
    /// The fingerprint of the rows, unless they depended on more than tables of the lake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
}

impl Lake {
    /// Keeps the artefact, and says under which name.
    pub async fn put_artefact(&self, provenance: &Provenance, artefact: &Artefact) -> Result<String> {
        let doing = || format!("keeping an artefact of {}", provenance.model);
        let mut file = serde_json::to_vec(provenance).doing(doing)?;
        file.push(b'\n');
        file.extend_from_slice(&artefact.0);
        let name = sha256(&file);
        // One of that name is the same; written again, it is not among those that nobody wants any more.
        let path = path(&provenance.model, &name);
        self.object_store().put(&path, file.into()).await.doing(doing)?;
        Ok(name)
    }

    /// The model's artefact of that name, and where it comes from.
    ///
    /// # Errors
    /// Failed: it is not there, or not what was kept.
    pub async fn artefact(&self, model: &TableName, name: &str) -> Result<(Provenance, Artefact)> {
        let doing = || format!("reading the artefact of {model}");
        let broken = |why: &str| {
            Error::failed(doing(), why)
                .hint("build the model with --full-refresh to fit it again")
                .with("artefact", name)
        };
        let file = match self.object_store().get(&path(model, name)).await {
            Ok(found) => found.bytes().await.doing(doing)?,
            Err(object_store::Error::NotFound { .. }) => return Err(broken("it is not in the lake any more")),
            Err(error) => return Err(error).doing(doing),
        };
        if sha256(&file) != name {
            return Err(broken("its bytes are not those that were kept"));
        }
        let end = file.iter().position(|byte| *byte == b'\n');
        let (provenance, content) = file.split_at(end.ok_or_else(|| broken("it has no first line"))?);
        let provenance = serde_json::from_slice(provenance).doing(doing)?;
        Ok((provenance, Artefact(content[1..].to_vec())))
    }
}

fn path(model: &TableName, name: &str) -> Path {
    Path::from(format!("{ARTEFACTS}/{model}/{name}"))
}

/// The SHA-256 in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cordada_core::ErrorKind;

    use super::*;
    use crate::Settings;

    fn provenance(rows: Option<&str>) -> Provenance {
        Provenance {
            model: "ml.segments".parse().unwrap(),
            estimator: "kmeans".to_owned(),
            version: 1,
            definition: "abc".to_owned(),
            rows: rows.map(str::to_owned),
        }
    }

    #[tokio::test]
    async fn what_was_kept_is_read_and_the_same_is_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap(), &Settings::default())
            .await
            .unwrap();
        let artefact = Artefact(b"two\nlines".to_vec());
        let name = lake.put_artefact(&provenance(None), &artefact).await.unwrap();
        assert_eq!(lake.put_artefact(&provenance(None), &artefact).await.unwrap(), name);
        let other = lake.put_artefact(&provenance(Some("1")), &artefact).await.unwrap();
        assert_ne!(other, name);
        let model = provenance(None).model;
        let dev = lake.in_target(Some("dev")).unwrap();
        assert_eq!(dev.artefact(&model, &name).await.unwrap(), (provenance(None), artefact));
        let folder = folder.path().join("_cordada/artefacts/ml.segments");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);

        std::fs::write(folder.join(&name), "{}\ntwo").unwrap();
        std::fs::remove_file(folder.join(&other)).unwrap();
        for (name, why) in [(name, "not those that were kept"), (other, "not in the lake any more")] {
            let error = lake.artefact(&model, &name).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Failed);
            assert!(
                error.to_string().contains(why) && error.to_string().contains("--full-refresh"),
                "{error}"
            );
        }
    }
}
