//! Signed bytes: what the server hands out and must recognise as its own when it comes back.

use cordada_core::{Error, Result, hex};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of the HMAC-SHA256 tag that stands before the payload.
const TAG: usize = 32;

/// Signs with a key of its own, which nobody else has and which ends with the process.
#[derive(Debug)]
pub struct Signer(hmac::Key);

impl Signer {
    /// A signer with a new random key.
    ///
    /// # Errors
    /// Failed: the system gives no random numbers.
    pub fn new() -> Result<Self> {
        hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map(Self)
            .map_err(|_| Error::failed("making a key", "the system gives no random numbers"))
    }

    /// The payload with its tag before it.
    pub fn sign(&self, payload: &[u8]) -> Vec<u8> {
        let mut signed = self.tag(payload);
        signed.extend_from_slice(payload);
        signed
    }

    /// The payload if the tag before it is this signer's.
    pub fn open<'a>(&self, signed: &'a [u8]) -> Option<&'a [u8]> {
        let (tag, payload) = signed.split_at_checked(TAG)?;
        self.matches(payload, tag).then_some(payload)
    }

    /// The tag alone: enough to recognise the payload, not to know it.
    pub fn tag(&self, payload: &[u8]) -> Vec<u8> {
        hmac::sign(&self.0, payload).as_ref().to_vec()
    }

    /// Whether the tag is the payload's; compares in constant time.
    pub fn matches(&self, payload: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, payload, tag).is_ok()
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_its_own_key_opens() {
        let (ours, theirs) = (Signer::new().unwrap(), Signer::new().unwrap());
        let signed = ours.sign(b"release 7");
        assert_eq!(ours.open(&signed), Some(&b"release 7"[..]));
        assert_eq!(theirs.open(&signed), None);
        assert_ne!(random_id().unwrap(), random_id().unwrap());
    }

    proptest! {
        #[test]
        fn any_changed_or_missing_byte_is_noticed(payload: Vec<u8>, at: usize, flip in 1u8..) {
            let signer = Signer::new().unwrap();
            let mut signed = signer.sign(&payload);
            let at = at % signed.len();
            prop_assert_eq!(signer.open(&signed[..at]), None);
            signed[at] ^= flip;
            prop_assert_eq!(signer.open(&signed), None);
        }
    }
}
