//! The key of the lake under which masked values are hashed.

use cordada_core::{Error, Result};
use cordada_lake::Lake;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::OnceCell;

/// Its file among the lake's private ones: all servers of the lake hash alike.
const FILE: &str = "masks";
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
    let vault = lake.vault();
    let mut kept = vault.read(FILE).await?;
    if kept.is_none() {
        let mut key = [0; 32];
        let filled = SystemRandom::new().fill(&mut key);
        filled.map_err(|_| Error::failed("making the key of masks", "the system gives no random numbers"))?;
        // Whichever of two servers is first: both read what is there.
        vault.create(FILE, key.to_vec()).await?;
        kept = vault.read(FILE).await?;
    }
    let kept = kept.ok_or_else(|| Error::unavailable(DOING, "it was made, and is not there"))?;
    <[u8; 32]>::try_from(&*kept).map_err(|_| Error::failed(DOING, "it is not one: 32 bytes").with("file", FILE))
}
