//! The key of the lake under which masked values are hashed.

use cordada_core::{Context, Error, Result};
use cordada_lake::Lake;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::OnceCell;

/// Where it is, in the lake: whoever reads that reads the values themselves. All servers of the lake hash alike.
const KEY: &str = "_cordada/keys/masks";
const DOING: &str = "reading the key of masks";

/// The key, read when the first value is hashed, and made by whoever is the first.
#[derive(Default)]
pub(crate) struct MaskKey(OnceCell<[u8; 32]>);

impl std::fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MaskKey")
    }
}

impl MaskKey {
    /// # Errors
    /// Unavailable: it can neither be read nor made.
    pub(crate) async fn get(&self, lake: &Lake) -> Result<[u8; 32]> {
        self.0.get_or_try_init(|| read_or_make(lake)).await.copied()
    }
}

async fn read_or_make(lake: &Lake) -> Result<[u8; 32]> {
    let (store, path) = (lake.object_store(), Path::from(KEY));
    if let Some(key) = read(store, &path).await? {
        return Ok(key);
    }
    let mut key = [0; 32];
    let filled = SystemRandom::new().fill(&mut key);
    filled.map_err(|_| Error::failed("making the key of masks", "the system gives no random numbers"))?;
    let payload = PutPayload::from(key.to_vec());
    match store.put_opts(&path, payload, PutMode::Create.into()).await {
        Ok(_) | Err(StoreError::AlreadyExists { .. }) => {}
        Err(error) => return Err(error).doing(|| "making the key of masks"),
    }
    // Whichever of two servers was first: both read what is there.
    read(store, &path)
        .await?
        .ok_or_else(|| Error::unavailable(DOING, "it was made, and is not there").with("path", KEY))
}

async fn read(store: &std::sync::Arc<dyn ObjectStore>, path: &Path) -> Result<Option<[u8; 32]>> {
    let bytes = match store.get(path).await {
        Ok(found) => found.bytes().await.doing(|| DOING)?,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error).doing(|| DOING),
    };
    let key = <[u8; 32]>::try_from(&*bytes);
    key.map(Some)
        .map_err(|_| Error::failed(DOING, "it is not one: 32 bytes").with("path", KEY))
}
