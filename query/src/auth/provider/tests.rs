use std::sync::Mutex as SyncMutex;

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::super::clock::tests::Hands;
use super::*;

/// A provider whose keys the test chooses, and what it was asked.
#[derive(Clone)]
struct Stage {
    /// What it answers; `None` for a provider that is away.
    answer: Arc<SyncMutex<Option<String>>>,
    asked: Arc<SyncMutex<u32>>,
    hands: Hands,
}

struct Key {
    id: &'static str,
    pair: Ed25519KeyPair,
}

impl Key {
    fn new(id: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self {
            id,
            pair: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap(),
        }
    }

    fn jwk(&self) -> Value {
        let x = encode(self.pair.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": x})
    }

    fn token(&self) -> String {
        let header = encode(json!({"alg": "EdDSA", "kid": self.id}).to_string().as_bytes());
        let claims = json!({"iss": "https://id.example", "aud": "cordada", "sub": "ana", "exp": 9_000_000_000_u64});
        let signed = format!("{header}.{}", encode(claims.to_string().as_bytes()));
        format!("{signed}.{}", encode(self.pair.sign(signed.as_bytes()).as_ref()))
    }
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Stage {
    fn new(keys: &[&Key]) -> (Self, Provider) {
        let stage = Self {
            answer: Arc::default(),
            asked: Arc::default(),
            hands: Hands::new(),
        };
        stage.has(keys);
        let jwt = serde_json::from_value(json!({"issuer": "https://id.example", "audience": "cordada"})).unwrap();
        let ask = {
            let stage = stage.clone();
            move || {
                *stage.asked.lock().unwrap() += 1;
                let answer = stage.answer.lock().unwrap().clone();
                async move { answer.ok_or_else(|| Error::unavailable(DOING, "it is away")) }.boxed()
            }
        };
        let provider = Provider::with(jwt, Box::new(ask), stage.hands.clock(), stage.hands.clock());
        (stage, provider)
    }

    fn has(&self, keys: &[&Key]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        *self.answer.lock().unwrap() = Some(json!({ "keys": keys }).to_string());
    }

    fn is_away(&self) {
        *self.answer.lock().unwrap() = None;
    }

    fn asked(&self) -> u32 {
        *self.asked.lock().unwrap()
    }
}

#[tokio::test]
async fn keys_rotate_without_a_restart_and_a_flood_of_unknown_ones_asks_once() {
    let (first, second, stranger) = (Key::new("first"), Key::new("second"), Key::new("stranger"));
    let (stage, provider) = Stage::new(&[&first]);
    provider.verify(&first.token()).await.unwrap();
    provider.verify(&first.token()).await.unwrap();
    assert_eq!(stage.asked(), 1, "known keys are not asked for");
    stage.has(&[&first, &second]);
    stage.hands.pass(PAUSE);
    provider.verify(&second.token()).await.unwrap();
    for _ in 0..50 {
        assert!(matches!(provider.verify(&stranger.token()).await, Err(Refusal::Jwt(_))));
    }
    assert_eq!(stage.asked(), 2);
    // A key that the provider has taken back is not good any more.
    stage.has(&[&second]);
    stage.hands.pass(FRESH);
    provider.refresh().await.unwrap();
    assert!(matches!(provider.verify(&first.token()).await, Err(Refusal::Jwt(_))));
    provider.verify(&second.token()).await.unwrap();
}

#[tokio::test]
async fn a_provider_that_is_away_is_asked_less_often_and_its_keys_go_on_for_a_day() {
    let key = Key::new("only");
    let (stage, provider) = Stage::new(&[&key]);
    provider.refresh().await.unwrap();
    stage.is_away();
    let before = stage.asked();
    for _ in 0..3600 {
        stage.hands.pass(Duration::from_secs(1));
        let _ = provider.refresh().await;
    }
    let asked = stage.asked() - before;
    assert!((10..20).contains(&asked), "{asked} times in an hour");
    provider.verify(&key.token()).await.unwrap();
    stage.hands.pass(STALE);
    let refused = provider.verify(&key.token()).await.unwrap_err();
    assert!(
        matches!(&refused, Refusal::Unknown(error) if error.exit_code() == 3),
        "{refused}"
    );
    stage.has(&[&key]);
    stage.hands.pass(LONGEST_PAUSE);
    provider.verify(&key.token()).await.unwrap();
}

#[tokio::test]
async fn keys_are_read_from_a_file_or_over_what_nobody_can_change() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("jwks.json"), Key::new("only"));
    let jwt = |keys: &str| -> Jwt {
        serde_json::from_value(json!({"issuer": "https://id.example", "audience": "cordada", "keys": keys})).unwrap()
    };
    let at = file.to_string_lossy().into_owned();
    assert_eq!(
        Provider::open(jwt(&at)).await.unwrap_err().exit_code(),
        2,
        "there is no such file"
    );
    std::fs::write(&file, json!({"keys": [key.jwk()]}).to_string()).unwrap();
    Provider::open(jwt(&at))
        .await
        .unwrap()
        .verify(&key.token())
        .await
        .unwrap();
    for address in [
        "http://id.example/jwks",
        "ftp://id.example/jwks",
        "http://localhost.id.example/",
        "://",
    ] {
        assert!(secure(address).is_err(), "{address}");
    }
    for address in [
        "https://id.example/jwks",
        "http://127.0.0.1:8080/jwks",
        "http://[::1]/",
        "http://localhost/",
    ] {
        assert!(secure(address).is_ok(), "{address}");
    }
}
