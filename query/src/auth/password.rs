//! Passwords as Argon2id hashes.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use cordada_core::{Error, Result};
use ring::rand::{SecureRandom, SystemRandom};

/// The password's Argon2id hash as a PHC string, for `password_hash:` of a user in `cordada.yml`.
///
/// # Errors
/// Failed when the system gives no random numbers for the salt.
pub fn hash_password(password: &str) -> Result<String> {
    const DOING: &str = "hashing a password";
    let mut salt = [0; 16];
    SystemRandom::new()
        .fill(&mut salt)
        .map_err(|_| Error::failed(DOING, "the system gives no random numbers"))?;
    let salt = SaltString::encode_b64(&salt).map_err(|error| Error::failed(DOING, error))?;
    let hash = Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map_err(|error| Error::failed(DOING, error))?;
    Ok(hash.to_string())
}

/// Whether the text is an Argon2 hash; the reason if it is not. The hash itself is never part of it.
pub(crate) fn check_hash(hash: &str) -> std::result::Result<(), String> {
    let parsed = PasswordHash::new(hash).map_err(|error| error.to_string())?;
    if parsed.hash.is_none() || !parsed.algorithm.as_str().starts_with("argon2") {
        return Err("it does not begin with $argon2id$ or has no hash".to_owned());
    }
    Ok(())
}

/// Whether the password is the hash's: slow by design (tens of milliseconds and 19 MiB), so not on an async thread.
pub(crate) fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_verifies_its_password_only_and_is_salted() {
        let (one, two) = (
            hash_password("señor ñandú").unwrap(),
            hash_password("señor ñandú").unwrap(),
        );
        assert!(one.starts_with("$argon2id$") && one != two);
        assert!(verify("señor ñandú", &one));
        assert!(!verify("senor nandu", &one));
        assert!(!verify("anything", "not a hash"));
        check_hash(&one).unwrap();
        for wrong in [
            "",
            "secret",
            "$argon2id$v=19$m=19456,t=2,p=1",
            "$2b$12$abcdefghijklmnopqrstuv",
        ] {
            assert!(check_hash(wrong).is_err(), "{wrong}");
        }
    }
}
