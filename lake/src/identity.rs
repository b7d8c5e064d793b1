//! Which lake it is: an identifier that it keeps for as long as it lives, wherever it is moved or mounted.

use cordada_core::{Context, Error, Result};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode};
use uuid::Uuid;

use crate::lake::Lake;

/// Where it is kept, as text.
const FILE: &str = "_cordada/id";

impl Lake {
    /// The lake's identifier, which whoever asks first makes. All targets share it; a copy of the lake's files has the
    /// same.
    ///
    /// # Errors
    /// It cannot be read or written; failed: it is not an identifier.
    pub async fn id(&self) -> Result<Uuid> {
        if let Some(id) = self.kept_id().await? {
            return Ok(id);
        }
        let (path, text) = (Path::from(FILE), Uuid::new_v4().to_string());
        let store = self.object_store();
        match store.put_opts(&path, text.into(), PutMode::Create.into()).await {
            // If it is there, somebody else came first.
            Ok(_) | Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {}
            Err(error) => return Err(error).doing(doing),
        }
        let gone = || Error::failed(doing(), "what was written is not there").with("file", FILE);
        self.kept_id().await?.ok_or_else(gone)
    }

    async fn kept_id(&self) -> Result<Option<Uuid>> {
        let bytes = match self.object_store().get(&Path::from(FILE)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.doing(doing)?.bytes().await.doing(doing)?,
        };
        let id = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        let wrong = || Error::failed(doing(), "what is kept is not an identifier").with("file", FILE);
        id.ok_or_else(wrong).map(Some)
    }
}

fn doing() -> &'static str {
    "identifying the lake"
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Settings;

    #[tokio::test]
    async fn a_lake_is_the_same_for_all_that_ask() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let open = async |folder: &std::path::Path| {
            Lake::open(folder.to_str().unwrap(), &Settings::default())
                .await
                .unwrap()
        };
        let (one, two) = (open(folder.path()).await, open(folder.path()).await);
        let (first, second) = tokio::join!(one.id(), two.id());
        let first = first.unwrap();
        assert_eq!(first, second.unwrap());
        assert_eq!(one.in_target(Some("dev")).unwrap().id().await.unwrap(), first);
        assert_ne!(open(other.path()).await.id().await.unwrap(), first);
    }
}
