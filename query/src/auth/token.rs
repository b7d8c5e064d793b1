//! Bearer tokens: what a handshake gives, so that the password crosses the wire once.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cordada_core::Result;
use prost::Message;

use super::signature::{Signer, random_id};

/// How long a token is good for: a working day of a dashboard that never reconnects.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes and reads tokens; they are self-contained, so nothing is kept for them.
#[derive(Debug)]
pub struct Tokens(Signer);

/// What a token says.
#[derive(Clone, PartialEq, Message)]
pub struct Claims {
    /// The user who logged in.
    #[prost(string, tag = "1")]
    pub user: String,
    /// The session that began with the handshake.
    #[prost(string, tag = "2")]
    pub session: String,
    /// Seconds since 1970 after which it is void.
    #[prost(uint64, tag = "3")]
    pub expires: u64,
}

impl Tokens {
    /// Tokens under a new key: those of another process are void.
    ///
    /// # Errors
    /// Failed: the system gives no random numbers.
    pub fn new() -> Result<Self> {
        Signer::new().map(Self)
    }

    /// A token for a new session of `user`.
    ///
    /// # Errors
    /// Failed: the system gives no random numbers.
    pub fn issue(&self, user: &str) -> Result<String> {
        self.issue_until(user, now() + LIFETIME.as_secs())
    }

    fn issue_until(&self, user: &str, expires: u64) -> Result<String> {
        let claims = Claims {
            user: user.to_owned(),
            session: random_id()?,
            expires,
        };
        Ok(BASE64_URL_SAFE_NO_PAD.encode(self.0.sign(&claims.encode_to_vec())))
    }

    /// What the token says, if it is ours and still good.
    pub fn read(&self, token: &str) -> Option<Claims> {
        let signed = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let claims = Claims::decode(self.0.open(&signed)?).ok()?;
        (claims.expires > now()).then_some(claims)
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_until_it_expires_and_here_only() {
        let tokens = Tokens::new().unwrap();
        let token = tokens.issue("ana").unwrap();
        assert_eq!(tokens.read(&token).unwrap().user, "ana");
        assert_ne!(
            tokens.read(&token).unwrap().session,
            tokens.read(&tokens.issue("ana").unwrap()).unwrap().session
        );
        assert!(tokens.read(&tokens.issue_until("ana", now()).unwrap()).is_none());
        assert!(Tokens::new().unwrap().read(&token).is_none());
        for wrong in ["", "x", "ñ", &token[1..]] {
            assert!(tokens.read(wrong).is_none(), "{wrong}");
        }
    }
}
