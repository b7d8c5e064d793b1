use base64::prelude::BASE64_STANDARD;
use cordada_lake::{Lake, Settings};
use cordada_query::auth::{LoginSettings, hash_password};
use cordada_query::{Access, User};
use tonic::codegen::http::header::COOKIE;

use super::*;

async fn of(users: Vec<User>) -> Authenticator {
    let logins = Logins::of_the_process(&users, &BTreeMap::new(), &LoginSettings::default()).await;
    let names = BTreeMap::from([("laptop-7.acme.example".to_owned(), "ana".to_owned())]);
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::default();
    let lake = Lake::open(folder.path().to_str().unwrap(), &settings).await.unwrap();
    let audit = Audit::new(&lake).unwrap();
    Authenticator::new(Arc::new(logins.unwrap()), names, audit)
}

async fn with_ana() -> Authenticator {
    let ana = User {
        name: "ana".to_owned(),
        password_hash: hash_password("se:cret").unwrap(),
        ..User::default()
    };
    of(vec![ana]).await
}

fn headers(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
}

fn basic(user: &str, password: &str) -> HeaderMap {
    headers(&format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{user}:{password}"))
    ))
}

/// As Go's client sends it.
fn basic_without_padding(user: &str, password: &str) -> HeaderMap {
    headers(&format!(
        "Basic {}",
        BASE64_STANDARD_NO_PAD.encode(format!("{user}:{password}"))
    ))
}

fn nowhere() -> Peer {
    Peer::default()
}

#[tokio::test]
async fn a_password_gives_a_token_that_stands_for_it() {
    let authenticator = with_ana().await;
    let token = authenticator
        .handshake(&basic("ana", "se:cret"), &nowhere(), &[])
        .await
        .unwrap();
    let with_token = headers(&format!("Bearer {token}"));
    let identity = authenticator.identify(&with_token, &nowhere()).await.unwrap();
    assert_eq!(
        (
            identity.principal.name.as_str(),
            identity.session.is_some(),
            identity.gift
        ),
        ("ana", true, None)
    );
    let every_call = authenticator
        .identify(&basic("ana", "se:cret"), &nowhere())
        .await
        .unwrap();
    assert_eq!((every_call.principal.name.as_str(), every_call.session), ("ana", None));
    authenticator
        .identify(&basic_without_padding("ana", "se:cret"), &nowhere())
        .await
        .unwrap();
    let older = BasicAuth {
        username: "ana".to_owned(),
        password: "se:cret".to_owned(),
    }
    .encode_to_vec();
    authenticator
        .handshake(&HeaderMap::new(), &nowhere(), &older)
        .await
        .unwrap();
}

#[tokio::test]
async fn whoever_is_wrong_hears_the_same_whatever_is_wrong() {
    let authenticator = with_ana().await;
    authenticator
        .identify(&basic("ana", "se:cret"), &nowhere())
        .await
        .unwrap();
    let mut answers = Vec::new();
    for wrong in [
        basic("ana", "secret"),
        basic("ana", ""),
        basic("bob", "se:cret"),
        basic("", ""),
    ] {
        answers.push(authenticator.handshake(&wrong, &nowhere(), &[]).await.unwrap_err());
    }
    assert!(answers.iter().all(|status| status.code() == Code::Unauthenticated));
    assert!(answers.iter().all(|status| status.message() == answers[0].message()));
    for wrong in [
        HeaderMap::new(),
        headers("Bearer x"),
        headers("Basic x"),
        headers("Digest x"),
        headers("x"),
    ] {
        let status = authenticator.identify(&wrong, &nowhere()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    let message = BasicAuth {
        username: "ana".to_owned(),
        password: "secret".to_owned(),
    }
    .encode_to_vec();
    assert!(
        authenticator
            .handshake(&HeaderMap::new(), &nowhere(), &message)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn whoever_guesses_is_told_to_wait() {
    let authenticator = with_ana().await;
    let mut codes = Vec::new();
    for guess in 0..20 {
        let status = authenticator
            .identify(&basic("ana", &guess.to_string()), &nowhere())
            .await
            .unwrap_err();
        codes.push(status.code());
    }
    assert_eq!(codes.iter().filter(|code| **code == Code::Unauthenticated).count(), 5);
    assert_eq!(codes.last(), Some(&Code::ResourceExhausted));
}

#[tokio::test]
async fn without_users_everybody_is_let_in_whatever_they_send() {
    let authenticator = of(Vec::new()).await;
    for anything in [HeaderMap::new(), basic("ana", "x"), headers("Bearer x")] {
        let identity = authenticator.identify(&anything, &nowhere()).await.unwrap();
        assert_eq!(*identity.principal.access, Access::everything());
        authenticator.handshake(&anything, &nowhere(), &[]).await.unwrap();
    }
}

#[tokio::test]
async fn who_shows_no_session_is_given_one_and_nobody_makes_one_up() {
    let authenticator = of(Vec::new()).await;
    let with_cookie =
        |value: &str| HeaderMap::from_iter([(COOKIE, format!("cordada_session={value}").parse().unwrap())]);
    for made_up in [HeaderMap::new(), with_cookie("1"), with_cookie("")] {
        let identity = authenticator.identify(&made_up, &nowhere()).await.unwrap();
        assert_eq!(identity.session, None);
        let Some(Gift::Cookie(cookie)) = identity.gift else {
            panic!("no cookie");
        };
        let identity = authenticator.identify(&with_cookie(&cookie), &nowhere()).await.unwrap();
        assert!(identity.session.is_some() && identity.gift.is_none());
        // It names a session and lets nobody in.
        let as_a_token = headers(&format!("Bearer {cookie}"));
        assert_eq!(
            with_ana()
                .await
                .identify(&as_a_token, &nowhere())
                .await
                .unwrap_err()
                .code(),
            Code::Unauthenticated
        );
    }
}

#[tokio::test]
async fn a_certificate_stands_for_one_user() {
    let authenticator = with_ana().await;
    let peer = |names: &[&str]| Peer {
        address: None,
        certificate: Some(names.iter().map(|name| (*name).to_owned()).collect()),
    };
    for names in [
        &["ana"][..],
        &["laptop-7.acme.example"],
        &["somebody", "ana"],
        &["ana", "laptop-7.acme.example"],
    ] {
        let identity = authenticator.identify(&HeaderMap::new(), &peer(names)).await.unwrap();
        assert_eq!(identity.principal.name, "ana");
    }
    for names in [&[][..], &["bob"], &["laptop-8.acme.example"]] {
        let refused = authenticator
            .identify(&HeaderMap::new(), &peer(names))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
    let token = authenticator
        .handshake(&HeaderMap::new(), &peer(&["ana"]), &[])
        .await
        .unwrap();
    let bearer = headers(&format!("Bearer {token}"));
    authenticator.identify(&bearer, &peer(&["ana"])).await.unwrap();
    for elsewhere in [nowhere(), peer(&["bob"])] {
        assert!(
            authenticator.identify(&bearer, &elsewhere).await.is_err(),
            "the token without the certificate"
        );
    }
}
