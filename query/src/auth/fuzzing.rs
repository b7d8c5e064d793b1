//! What holds for tokens whatever their text; fuzzing and the unit tests call it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cordada_core::units::Span;
use prost::Message;

use super::api_tokens::ApiTokens;
use super::clock::Clock;
use super::jwk::{self, Algorithm};
use super::jwt::{Jwt, RoleClaim};
use super::keyring::{Keyring, Purpose};
use super::token::{Claims, SessionTokens};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// When tokens are looked at, since 1970.
const NOW: Duration = Duration::from_secs(1_800_000_000);

/// A text that came as a token, a cookie, or as the keys or the claims of an identity provider: nothing that was not signed
/// here is a session, what was signed comes back as it was and for its purpose alone, and nobody is let in without a
/// signature.
pub fn token(input: &[u8]) {
    let keys = Arc::new(Keyring::of_the_process().unwrap());
    let tokens = SessionTokens::new(keys, DAY, Clock::of_the_wall());
    if let Ok(claims) = Claims::decode(input) {
        let written = tokens.write(Purpose::Token, &claims);
        assert_eq!(tokens.read_expired(Purpose::Token, &written), Some(claims.clone()));
        assert_eq!(tokens.read_expired(Purpose::Cookie, &written), None);
        assert_eq!(
            tokens.read(Purpose::Token, &written).is_some(),
            !tokens.has_expired(&claims)
        );
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    for purpose in [Purpose::Token, Purpose::Cookie] {
        assert_eq!(tokens.read_expired(purpose, text), None);
    }
    let _ = ApiTokens::is_one(text);
    let provider = provider();
    if Jwt::is_one(text) {
        assert!(provider.verify(text, &[], NOW).is_err());
    }
    if let Ok(keys) = jwk::parse(text) {
        for key in keys {
            for algorithm in &provider.algorithms {
                assert!(!key.verifies(*algorithm, b"", input));
            }
        }
    }
    if let Ok(claims) = serde_json::from_str(text)
        && let Ok(vouched) = provider.claimed(&claims, NOW)
    {
        assert!(!vouched.name.is_empty() && !vouched.name.contains(char::is_control));
    }
}

/// A provider that reaches into what is nested.
fn provider() -> Jwt {
    Jwt {
        issuer: "i".to_owned(),
        audience: vec!["a".to_owned()],
        keys: None,
        algorithms: vec![Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA],
        user: "sub".to_owned(),
        roles: Some(RoleClaim {
            claim: "r.s".to_owned(),
            map: None,
        }),
        attributes: BTreeMap::from([("country".to_owned(), "c.d".to_owned())]),
        leeway: Span::seconds(60),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What fuzzing begins with: a token of ours, one of a provider, its keys, its claims.
    fn seeds() -> Vec<Vec<u8>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/token");
        let files = std::fs::read_dir(folder).unwrap();
        let mut seeds: Vec<_> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        seeds.sort();
        seeds
    }

    proptest! {
        #[test]
        fn any_bytes_let_nobody_in(input: Vec<u8>) {
            token(&input);
        }

        #[test]
        fn damaged_tokens_let_nobody_in(
            input in prop::sample::select(seeds()),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let mut input = input;
            for (at, byte) in damage {
                let at = at.index(input.len());
                input[at] = byte;
            }
            token(&input);
        }
    }
}
