//! Tokens of sessions: what a login gives, so that the password crosses the wire once; and cookies, which let nobody
//! in and only tell which session a request belongs to. They are signed and say all themselves, so that nothing is kept
//! for a session that is open.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cordada_core::Result;
use prost::{Enumeration, Message};

use super::clock::{Clock, millis};
use super::keyring::{Keyring, Purpose};
use super::signature::random_id;

/// Makes and reads the tokens of sessions.
#[derive(Debug)]
pub(crate) struct SessionTokens {
    keys: Arc<Keyring>,
    lifetime: Duration,
    clock: Clock,
}

/// What a token or a cookie says.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Claims {
    /// Who logged in.
    #[prost(string, tag = "1")]
    pub(crate) user: String,
    /// The session that began then.
    #[prost(string, tag = "2")]
    pub(crate) session: String,
    /// Milliseconds since 1970 when it was made.
    #[prost(uint64, tag = "3")]
    pub(crate) issued: u64,
    /// Milliseconds since 1970 after which it is void.
    #[prost(uint64, tag = "4")]
    pub(crate) expires: u64,
    /// How the user proved to be that user.
    #[prost(enumeration = "Proof", tag = "5")]
    pub(crate) proof: i32,
    /// What the proof has to be still, for the token to be good: a trace of the hash that is kept of a password or of an
    /// API token.
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) stamp: Vec<u8>,
    /// The name of the API token that was the proof.
    #[prost(string, tag = "7")]
    pub(crate) api_token: String,
}

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enumeration)]
#[repr(i32)]
pub enum Proof {
    /// Not at all: there are no users.
    Nothing = 0,
    /// By a password.
    Password = 1,
    /// By an API token.
    ApiToken = 2,
    /// By the certificate of the connection.
    Certificate = 3,
    /// By a token of the identity provider.
    Jwt = 4,
}

impl SessionTokens {
    pub(crate) fn new(keys: Arc<Keyring>, lifetime: Duration, clock: Clock) -> Self {
        Self { keys, lifetime, clock }
    }

    /// The claims of a session that begins now.
    ///
    /// # Errors
    /// Failed: the system gives no random numbers.
    pub(crate) fn begin(&self, user: &str, proof: Proof, stamp: &[u8], api_token: &str) -> Result<Claims> {
        let issued = self.clock.millis();
        Ok(Claims {
            user: user.to_owned(),
            session: random_id()?,
            issued,
            expires: issued.saturating_add(millis(self.lifetime)),
            proof: proof as i32,
            stamp: stamp.to_vec(),
            api_token: api_token.to_owned(),
        })
    }

    /// The same claims with a new time, if half of theirs is over: a session that is used goes on.
    pub(crate) fn renewed(&self, claims: &Claims) -> Option<Claims> {
        let now = self.clock.millis();
        let is_old = now.saturating_sub(claims.issued) > millis(self.lifetime) / 2;
        is_old.then(|| Claims {
            issued: now,
            expires: now.saturating_add(millis(self.lifetime)),
            ..claims.clone()
        })
    }

    pub(crate) fn write(&self, purpose: Purpose, claims: &Claims) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.keys.sign(purpose, &claims.encode_to_vec()))
    }

    /// What it says, if it is ours, was made for that purpose, and is still good.
    pub(crate) fn read(&self, purpose: Purpose, token: &str) -> Option<Claims> {
        self.read_expired(purpose, token)
            .filter(|claims| !self.has_expired(claims))
    }

    /// The same of one that may have expired.
    pub(crate) fn read_expired(&self, purpose: Purpose, token: &str) -> Option<Claims> {
        let signed = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        Claims::decode(self.keys.open_signed(purpose, &signed)?).ok()
    }

    pub(crate) fn has_expired(&self, claims: &Claims) -> bool {
        claims.expires <= self.clock.millis()
    }

    /// Milliseconds since 1970 by when everything that was made until now has expired.
    pub(crate) fn all_expired(&self) -> u64 {
        self.clock.millis().saturating_add(millis(self.lifetime))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::clock::tests::Hands;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_token_is_good_until_it_expires_for_its_purpose_and_with_its_key() {
        let (hands, keys) = (Hands::new(), Arc::new(Keyring::of_the_process().unwrap()));
        let tokens = SessionTokens::new(keys, HOUR, hands.clock());
        let claims = tokens.begin("ana", Proof::Password, b"stamp", "").unwrap();
        let token = tokens.write(Purpose::Token, &claims);
        assert_eq!(tokens.read(Purpose::Token, &token), Some(claims.clone()));
        assert_eq!(tokens.read(Purpose::Cookie, &token), None);
        assert_ne!(
            tokens.begin("ana", Proof::Password, b"", "").unwrap().session,
            claims.session
        );
        let stranger = SessionTokens::new(Arc::new(Keyring::of_the_process().unwrap()), HOUR, hands.clock());
        assert_eq!(stranger.read(Purpose::Token, &token), None);
        for wrong in ["", "x", "ñ", &token[1..], &token[..token.len() - 1]] {
            assert_eq!(tokens.read(Purpose::Token, wrong), None, "{wrong}");
        }
        assert_eq!(tokens.renewed(&claims), None);
        hands.pass(HOUR * 3 / 4);
        let renewed = tokens.renewed(&claims).unwrap();
        assert_eq!((&renewed.session, &renewed.stamp), (&claims.session, &claims.stamp));
        let later = tokens.write(Purpose::Token, &renewed);
        hands.pass(HOUR / 4);
        assert_eq!(tokens.read(Purpose::Token, &token), None);
        assert_eq!(tokens.read_expired(Purpose::Token, &token), Some(claims));
        assert_eq!(tokens.read(Purpose::Token, &later), Some(renewed));
    }
}
