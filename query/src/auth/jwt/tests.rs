use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::super::jwk;
use super::*;

/// What a token of RSA is signed with; another program made both.
const RSA: &str = "\
    wiJEYDW5eYC5tX_RfYP7qIKWT-Zvd2ZUBmQpyPnvqLl6gMD0XT6RJUb9LJzpoVfp1M2kTsLT0omWKSJ9mHTltQ1EVPBpYAZ8Iczong421\
    kkBCBK3bLt9AWyOw_K3ztKRiYx4UaXOhoCDrY6tbxub49LeYvVbxeVtFXjjEW4DJz_Fhhc5kLI8Qu7Euu5sY0hgO6FTad7iNBjk3aaWPx\
    pc2jKpeIFLXI_omGBpMj1ismv7O5_BNsrJ4LSAIpdxXORXHhERenpxnYtdmliB9mu_FQyXSaJPGGfGgKhhXzptb7CbXCs8ukn2b_vOgd9\
    JjrWk4ax0EasiGanqWIHYEUKg3w";
const RS256: &str = "\
    eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJjb3JkYWRhIiwic3ViIjoi\
    YW5hIiwiZXhwIjo0MTAyNDQ0ODAwfQ.NAsL4XecC2pS6RhgfFJSX0NjfI0WYa8a78CjfgYjTdNVmzyaK-Em7S85HUwHvdVPpdOvO3fvt8\
    aEw3yMbfP_xgPLxeqkSIZmo4zUDxZzxS4AC9k8XNgxu6Rt6WqXjtSGndCrc7n2qs6yiyISYP09I4hBBZDx-WjE3Jb7K4Ce4_Q_16GQwyE\
    _i90kNL9bhjeobbEvo3yzb7x-yZZYKvWfxDnJgVsdzorhrTnuFjcnkoiKmMIrt7OSF6Va_MzwEF41Xq8VF136AFSsCktl1Djq6nOQwBNC\
    h3xAMtq5rW9NksSckjjU_vwSH8QGZpZBUy4nQCxb48OtMn-IC81VvA4EDA";
const PS256: &str = "\
    eyJhbGciOiJQUzI1NiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJjb3JkYWRhIiwic3ViIjoi\
    YW5hIiwiZXhwIjo0MTAyNDQ0ODAwfQ.YjKHN21zwXdtb9dwuSoKFapB72bUa_jEmgZQsME4UiDu8WKIyvm6GIiNxhj8hvjzJGjbBsxo5K\
    1S0WSaAdOu1hDDMXV9-EsAj1XkO7EJP210WRQo8VGNwpRy-cZVimm_iwuOtxqSiHxFOfT22ZRtM-vao4mlUxSGwELTK0nLEV4dWmzIlsg\
    XYd7CjGKM7zTv0T0br24rEm-oeeqMsp_vTG9iINlsr8Ch-iBxq5QXW8ttW5O9QM8vmBovrJeScOJeF3yqldJlr_mZ0WD-WdIoQzHVLuDy\
    ker3g9fbGZ6Ld9dLNO6aSctKv1ch4n9_Jm2gJG7GQ44Il4glpBWWX8qlGg";

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A provider with one key.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
    }

    fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "kid": "ec", "x": encode(&point[1..33]), "y": encode(&point[33..])})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims.to_string().as_bytes())
        );
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature.as_ref()))
    }
}

fn keys(jwks: &[Value]) -> Vec<PublicKey> {
    jwk::parse(&json!({ "keys": jwks }).to_string()).unwrap()
}

fn settings() -> Jwt {
    serde_json::from_value(json!({
        "issuer": "https://id.example",
        "audience": "cordada",
        "roles": {"claim": "realm.groups", "map": {"lake-analysts": "analyst", "lake-admins": "admin"}},
        "attributes": {"country": "country"},
    }))
    .unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example",
        "aud": ["another", "cordada"],
        "sub": "ana",
        "exp": 1_800_000_100,
        "realm": {"groups": ["lake-analysts", "everybody"]},
        "country": "ES",
    })
}

fn with(change: Value) -> Value {
    let mut claims = claims();
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn es256() -> Value {
    json!({"alg": "ES256", "kid": "ec", "typ": "JWT"})
}

fn verify(jwt: &Jwt, token: &str, keys: &[PublicKey]) -> Result<Vouched, String> {
    jwt.verify(token, &keys.iter().collect::<Vec<_>>(), NOW)
}

#[test]
fn a_token_says_who_it_is_with_roles_and_attributes() {
    let signer = Signer::new();
    let vouched = verify(&settings(), &signer.sign(&es256(), &claims()), &keys(&[signer.jwk()])).unwrap();
    let expected = Vouched {
        name: "ana".to_owned(),
        roles: vec!["analyst".to_owned()],
        attributes: BTreeMap::from([("country".to_owned(), "ES".to_owned())]),
    };
    assert_eq!(vouched, expected);
    let by_scope = Jwt {
        user: "preferred_username".to_owned(),
        roles: Some(RoleClaim {
            claim: "https://acme.example/roles".to_owned(),
            map: None,
        }),
        ..settings()
    };
    let claims = with(json!({"preferred_username": "Ana", "https://acme.example/roles": "analyst admin"}));
    let vouched = verify(&by_scope, &signer.sign(&es256(), &claims), &keys(&[signer.jwk()])).unwrap();
    assert_eq!(
        (vouched.name.as_str(), vouched.roles),
        ("Ana", vec!["admin".to_owned(), "analyst".to_owned()])
    );
}

#[test]
fn rsa_and_edwards_curves_are_read_as_others_write_them() {
    let rsa = keys(&[json!({"kty": "RSA", "kid": "rsa", "n": RSA, "e": "AQAB"})]);
    for token in [RS256, PS256] {
        assert_eq!(verify(&settings(), token, &rsa).unwrap().name, "ana");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let longer = format!("{}.{signature}", signed.replace("ODAwfQ", "ODAxfQ"));
        assert!(longer != token && verify(&settings(), &longer, &rsa).is_err());
    }
    let only_pss = keys(&[json!({"kty": "RSA", "alg": "PS256", "n": RSA, "e": "AQAB"})]);
    assert!(verify(&settings(), PS256, &only_pss).is_ok() && verify(&settings(), RS256, &only_pss).is_err());

    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())});
    let header = json!({"alg": "EdDSA"}).to_string();
    let signed = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(claims().to_string().as_bytes())
    );
    let token = format!("{signed}.{}", encode(pair.sign(signed.as_bytes()).as_ref()));
    assert_eq!(verify(&settings(), &token, &keys(&[jwk])).unwrap().name, "ana");
}

#[test]
fn what_is_wrong_with_claims_is_told_without_repeating_them() {
    let signer = Signer::new();
    let keys = keys(&[signer.jwk()]);
    for (change, says) in [
        (json!({"iss": "https://id.example/"}), "issuer"),
        (json!({"iss": null}), "issuer"),
        (json!({"aud": "another"}), "audience"),
        (json!({"aud": "another cordada"}), "audience"),
        (json!({"aud": {"cordada": true}}), "audience"),
        (json!({"aud": null}), "audience"),
        (json!({"exp": null}), "never expires"),
        (json!({"exp": "tomorrow"}), "no time"),
        (json!({"exp": 1_799_999_939}), "has expired"),
        (json!({"nbf": 1_800_000_061}), "not good yet"),
        (json!({"iat": 1_800_000_061}), "not good yet"),
        (json!({"sub": null}), "names nobody"),
        (json!({"sub": ""}), "names nobody"),
        (json!({"sub": 7}), "names nobody"),
        (json!({"sub": "an\na"}), "names nobody"),
        (json!({"sub": "a".repeat(257)}), "names nobody"),
    ] {
        let why = verify(&settings(), &signer.sign(&es256(), &with(change.clone())), &keys).unwrap_err();
        assert!(why.contains(says), "{change}: {why}");
        assert!(!why.contains("ana") && !why.contains("id.example"), "{why}");
    }
    // Clocks may differ a little.
    for change in [
        json!({"exp": 1_799_999_941}),
        json!({"nbf": 1_800_000_059, "iat": 1_800_000_059.5}),
    ] {
        verify(&settings(), &signer.sign(&es256(), &with(change)), &keys).unwrap();
    }
    let by_email = Jwt {
        user: "email".to_owned(),
        ..settings()
    };
    let unverified = with(json!({"email": "ana@acme.example", "email_verified": false}));
    assert!(
        verify(&by_email, &signer.sign(&es256(), &unverified), &keys)
            .unwrap_err()
            .contains("not verified")
    );
}

#[test]
fn no_other_signature_is_taken() {
    let (signer, other) = (Signer::new(), Signer::new());
    let ours = keys(&[signer.jwk()]);
    let good = signer.sign(&es256(), &claims());
    let parts: Vec<_> = good.split('.').collect();
    let header = |header: Value| format!("{}.{}.{}", encode(header.to_string().as_bytes()), parts[1], parts[2]);
    let unsigned = |name: &str| {
        format!(
            "{}.{}.",
            encode(json!({ "alg": name }).to_string().as_bytes()),
            parts[1]
        )
    };
    // The public key as a secret, which is how verifiers that trust `alg` are cheated.
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, signer.0.public_key().as_ref());
    let signed = format!(
        "{}.{}",
        encode(json!({"alg": "HS256", "kid": "ec"}).to_string().as_bytes()),
        parts[1]
    );
    let with_secret = format!(
        "{signed}.{}",
        encode(ring::hmac::sign(&secret, signed.as_bytes()).as_ref())
    );
    let root = encode(with(json!({"sub": "root"})).to_string().as_bytes());
    for forged in [
        other.sign(&es256(), &claims()),
        format!("{}.{root}.{}", parts[0], parts[2]),
        unsigned("none"),
        unsigned("None"),
        unsigned("NONE"),
        unsigned(""),
        with_secret,
        header(json!({"alg": "RS256"})),
        header(json!({"alg": "ES384"})),
        header(json!({"alg": ["ES256"]})),
        header(json!({"kid": "ec"})),
        header(json!({"alg": "ES256", "crit": ["b64"], "b64": false})),
        header(json!({"alg": "ES256", "typ": "logout+jwt"})),
        format!("{}.{}.{}=", parts[0], parts[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("..{}", parts[2]),
        "..".to_owned(),
        String::new(),
    ] {
        assert!(verify(&settings(), &forged, &ours).is_err(), "{forged}");
    }
    verify(&settings(), &good, &ours).unwrap();
    let only_rsa = Jwt {
        algorithms: vec![Algorithm::RS256],
        ..settings()
    };
    assert!(verify(&only_rsa, &good, &ours).unwrap_err().contains("not allowed"));
    assert!(verify(&settings(), &good, &[]).is_err());
}

#[test]
fn keys_that_do_not_verify_signatures_are_passed_over() {
    let point = Signer::new().jwk();
    let changed = |name: &str, value: Value| {
        let mut key = point.clone();
        key[name] = value;
        key
    };
    let none = keys(&[
        json!({"kty": "oct", "k": "c2VjcmV0", "kid": "ec"}),
        changed("use", json!("enc")),
        changed("key_ops", json!(["sign"])),
        changed("alg", json!("HS256")),
        changed("crv", json!("P-521")),
        changed("x", json!("AAAA")),
        json!({"kty": "RSA", "n": "AQAB"}),
        json!("no key"),
    ]);
    assert!(none.is_empty(), "{none:?}");
    assert_eq!(
        keys(&[changed("use", json!("sig")), changed("key_ops", json!(["verify"]))]).len(),
        2
    );
    assert!(jwk::parse("{}").is_err() && jwk::parse("no JSON").is_err());
}

#[test]
fn a_configuration_that_would_let_in_anybody_is_refused() {
    let roles = BTreeMap::from([
        ("analyst".to_owned(), Role::default()),
        ("admin".to_owned(), Role::default()),
    ]);
    settings().check(&roles).unwrap();
    for wrong in [
        Jwt {
            issuer: String::new(),
            ..settings()
        },
        Jwt {
            audience: Vec::new(),
            ..settings()
        },
        Jwt {
            audience: vec![String::new()],
            ..settings()
        },
        Jwt {
            algorithms: Vec::new(),
            ..settings()
        },
    ] {
        assert_eq!(wrong.check(&roles).unwrap_err().exit_code(), 2);
    }
    let error = settings()
        .check(&BTreeMap::from([("analyst".to_owned(), Role::default())]))
        .unwrap_err();
    assert!(error.to_string().contains("unknown role `admin`"), "{error}");
    for algorithm in ["HS256", "none", "ES512"] {
        let read = serde_json::from_value::<Jwt>(json!({"issuer": "i", "audience": "a", "algorithms": [algorithm]}));
        assert!(read.is_err(), "{algorithm}");
    }
}
