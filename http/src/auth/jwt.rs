//! Signed claims (RFC 7519): as tokens themselves, or exchanged for an access token (RFC 7523).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cordada_core::{Error, Result};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Map, Value as Json, json};
use tokio_util::sync::CancellationToken;

use super::{Token, oauth2};
use crate::ask::Ask;
use crate::clock::Clock;
use crate::system::auth::{Algorithm, Auth};
use crate::template::{self, Scope};

/// The grant of an assertion.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Signs the claims, and exchanges them if the manifest says so.
pub(super) async fn fetch(
    auth: &Auth,
    engine: &dyn Ask,
    clock: &Clock,
    scope: &Scope,
    cancel: &CancellationToken,
) -> Result<Token> {
    let Auth::Jwt {
        algorithm,
        key,
        key_id,
        claims,
        valid,
        exchange,
    } = auth
    else {
        return Err(Error::failed("signing a token", "there is no JWT here"));
    };
    let mut payload = Map::new();
    for (name, claim) in claims {
        payload.insert(name.clone(), template::fill(claim, scope)?);
    }
    let now = clock.now().timestamp();
    payload.insert("iat".to_owned(), now.into());
    payload.insert(
        "exp".to_owned(),
        (now + i64::try_from(valid.0.as_secs()).unwrap_or(3600)).into(),
    );
    let key_id = key_id
        .as_ref()
        .map(|id| id.text(scope))
        .transpose()?
        .filter(|id| !id.is_empty());
    let signed = sign(*algorithm, &key.text(scope)?, key_id.as_deref(), &Json::Object(payload))?;
    let Some(exchange) = exchange else {
        return Ok(Token::bearer(&signed, Some(valid.0), clock));
    };
    let form = [("grant_type", GRANT.to_owned()), ("assertion", signed)];
    let answer = oauth2::ask(engine, &exchange.token_url.text(scope)?, &form, None, cancel).await?;
    oauth2::token(&answer, clock)
}

/// The token with a signature by `key`.
fn sign(algorithm: Algorithm, key: &str, key_id: Option<&str>, claims: &Json) -> Result<String> {
    let name = match algorithm {
        Algorithm::RS256 => "RS256",
        Algorithm::HS256 => "HS256",
    };
    let mut header = json!({"alg": name, "typ": "JWT"});
    if let (Some(header), Some(id)) = (header.as_object_mut(), key_id) {
        header.insert("kid".to_owned(), id.into());
    }
    let encode = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
    let message = format!("{}.{}", encode(&header), encode(claims));
    let signature = match algorithm {
        Algorithm::HS256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
            hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
        }
        Algorithm::RS256 => {
            let pair = rsa_key(key)?;
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signature,
            )
            .map_err(|_| Error::failed("signing a token", "the key cannot sign"))?;
            signature
        }
    };
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The RSA key in a PEM text (RFC 7468), PKCS #8 or PKCS #1. Line breaks may be written as `\n`, as they are in an
/// environment variable out of a JSON file.
fn rsa_key(pem: &str) -> Result<RsaKeyPair> {
    let wrong = |why: &str| {
        Error::config("reading the private key", why.to_owned())
            .hint("it is a text that begins with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----")
    };
    let pem = pem.replace("\\n", "\n");
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong("it is not in PEM"))?;
    let pair = match &key {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return Err(wrong("it is not an RSA key")),
    };
    pair.map_err(|rejected| wrong(&format!("it is not an RSA key: {rejected}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_token_by_a_shared_secret_is_that_of_rfc_7515() {
        // RFC 7515, A.1, but for the spaces in its JSON; checked against an independent implementation.
        let claims = json!({"sub": "1234567890", "name": "John Doe", "iat": 1_516_239_022});
        let token = sign(Algorithm::HS256, "your-256-bit-secret", None, &claims).unwrap();
        assert_eq!(
            token,
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5\
             MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
        );
    }

    #[test]
    fn keys_that_are_none_are_refused_without_being_shown() {
        for key in [
            "s3cret",
            "-----BEGIN PRIVATE KEY-----\ns3cret",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        ] {
            let error = sign(Algorithm::RS256, key, None, &json!({})).unwrap_err().to_string();
            assert!(error.contains("private key") && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn both_forms_of_rsa_keys_sign_alike() {
        let sign = |key: &str| super::sign(Algorithm::RS256, key, Some("k1"), &json!({"iss": "me"})).unwrap();
        let pkcs8 = include_str!("keys/pkcs8.pem");
        let token = sign(pkcs8);
        assert_eq!(token, sign(include_str!("keys/pkcs1.pem")));
        assert_eq!(token, sign(&pkcs8.replace('\n', "\\n")));
        let (message, signature) = token.rsplit_once('.').unwrap();
        let public = rsa_key(pkcs8).unwrap();
        let public = ring::signature::UnparsedPublicKey::new(
            &ring::signature::RSA_PKCS1_2048_8192_SHA256,
            public.public().as_ref(),
        );
        public
            .verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .unwrap();
    }
}
