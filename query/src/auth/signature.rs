//! What is enough to recognise bytes and not enough to know them; identifiers that nobody can guess.

use cordada_core::{Error, Result, hex};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// An HMAC-SHA256 tag.
pub(crate) type Tag = [u8; 32];

/// Tags bytes under a key of its own, which nobody else has and which ends with the process.
#[derive(Debug)]
pub(crate) struct Tags(hmac::Key);

impl Tags {
    /// Under a new random key.
    ///
    /// # Errors
    /// Failed: the system gives no random numbers.
    pub(crate) fn new() -> Result<Self> {
        hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map(Self)
            .map_err(|_| Error::failed("making a key", "the system gives no random numbers"))
    }

    /// The tag of the payload.
    pub(crate) fn of(&self, payload: &[u8]) -> Tag {
        let mut tag = Tag::default();
        tag.copy_from_slice(hmac::sign(&self.0, payload).as_ref());
        tag
    }
}

/// An identifier that nobody can guess, in hexadecimal.
///
/// # Errors
/// Failed: the system gives no random numbers.
pub fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::failed("making an identifier", "the system gives no random numbers"))?;
    Ok(hex::encode(&bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_its_keys_and_an_identifier_is_new() {
        let (ours, theirs) = (Tags::new().unwrap(), Tags::new().unwrap());
        assert_eq!(ours.of(b"a"), ours.of(b"a"));
        assert!(ours.of(b"a") != ours.of(b"b") && ours.of(b"a") != theirs.of(b"a"));
        assert_ne!(random_id().unwrap(), random_id().unwrap());
    }
}
