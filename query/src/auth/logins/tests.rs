use cordada_lake::Settings;
use tempfile::TempDir;

use super::*;
use crate::auth::{api_tokens, hash_password};

fn user(name: &str, password: &str) -> User {
    let hash = |password: &str| hash_password(password).unwrap();
    User {
        name: name.to_owned(),
        password_hash: Some(password)
            .filter(|password| !password.is_empty())
            .map(hash)
            .unwrap_or_default(),
        ..User::default()
    }
}

async fn lake(folder: &TempDir) -> Lake {
    Lake::open(folder.path().to_str().unwrap(), &Settings::default())
        .await
        .unwrap()
}

async fn server(folder: &TempDir, users: &[User]) -> Logins {
    let settings = LoginSettings::default();
    Logins::open(&lake(folder).await, users, &BTreeMap::new(), &settings)
        .await
        .unwrap()
}

async fn token(logins: &Logins, name: &str, password: &str) -> String {
    let who = logins.password(name, password.to_owned(), None).await.unwrap();
    logins.begin(&who).unwrap()
}

#[tokio::test]
async fn a_token_outlives_a_restart_and_is_good_at_every_server_of_the_lake() {
    let (folder, users) = (TempDir::new().unwrap(), [user("ana", "secret"), user("bea", "other")]);
    let (one, two) = (server(&folder, &users).await, server(&folder, &users).await);
    let token = token(&one, "ana", "secret").await;
    for logins in [&one, &two, &server(&folder, &users).await] {
        let who = logins.bearer(&token, &[]).await.unwrap();
        assert_eq!((who.principal.name.as_str(), who.proof), ("ana", Proof::Password));
        assert!(logins.membership(&who, None).unwrap().session.is_some());
    }
    let elsewhere = server(&TempDir::new().unwrap(), &users).await;
    assert!(matches!(elsewhere.bearer(&token, &[]).await, Err(Refusal::Token)));
}

#[tokio::test]
async fn whoever_is_not_let_in_any_more_has_no_token_either() {
    let (folder, ana) = (TempDir::new().unwrap(), user("ana", "secret"));
    let token = token(&server(&folder, std::slice::from_ref(&ana)).await, "ana", "secret").await;
    // The same password anew is another one; a user who is gone is nobody; without users, everybody is another.
    for users in [
        vec![user("ana", "secret")],
        vec![user("bea", "x")],
        vec![user("ana", "")],
    ] {
        let logins = server(&folder, &users).await;
        assert!(matches!(logins.bearer(&token, &[]).await, Err(Refusal::Token)));
    }
    let open = server(&folder, &[]).await.bearer(&token, &[]).await.unwrap();
    assert_eq!(
        (open.principal.name.as_str(), open.claims.is_some()),
        ("anonymous", false)
    );
    server(&folder, &[ana]).await.bearer(&token, &[]).await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_closed_is_closed_everywhere_and_no_other_is() {
    let (folder, users) = (TempDir::new().unwrap(), [user("ana", "secret")]);
    let (one, two) = (server(&folder, &users).await, server(&folder, &users).await);
    let (closed, open) = (token(&one, "ana", "secret").await, token(&one, "ana", "secret").await);
    let who = one.bearer(&closed, &[]).await.unwrap();
    let session = one.membership(&who, None).unwrap().session.unwrap();
    one.close("bea", &session).await;
    one.bearer(&closed, &[]).await.unwrap();
    one.close("ana", &session).await;
    two.look(&mut Vec::new(), false).await.unwrap();
    for logins in [&one, &two, &server(&folder, &users).await] {
        assert!(matches!(logins.bearer(&closed, &[]).await, Err(Refusal::Closed)));
        logins.bearer(&open, &[]).await.unwrap();
    }
}

#[tokio::test]
async fn a_cookie_is_its_users_alone_and_lets_nobody_in() {
    let (folder, users) = (TempDir::new().unwrap(), [user("ana", "secret"), user("bea", "other")]);
    let logins = server(&folder, &users).await;
    let who = async |name: &str, password: &str| logins.password(name, password.to_owned(), None).await.unwrap();
    let (ana, bea) = (who("ana", "secret").await, who("bea", "other").await);
    let Membership {
        session: None,
        gift: Some(Gift::Cookie(cookie)),
    } = logins.membership(&ana, None).unwrap()
    else {
        panic!("no cookie");
    };
    let session = logins.membership(&ana, Some(&cookie)).unwrap().session.unwrap();
    assert_eq!(logins.membership(&bea, Some(&cookie)).unwrap().session, None);
    assert!(matches!(logins.bearer(&cookie, &[]).await, Err(Refusal::Token)));
    logins.close("ana", &session).await;
    assert!(matches!(logins.membership(&ana, Some(&cookie)), Err(Refusal::Closed)));
    assert!(logins.membership(&ana, Some("made up")).unwrap().session.is_none());
}

#[tokio::test]
async fn an_api_token_is_as_good_as_the_password_until_it_is_revoked() {
    let (folder, users) = (TempDir::new().unwrap(), [user("ana", "secret"), user("robot", "")]);
    let logins = server(&folder, &users).await;
    let vault = lake(&folder).await.vault();
    let token = api_tokens::create(&vault, "nightly", "robot", None).await.unwrap();
    let bearer = logins.bearer(&token, &[]).await.unwrap();
    assert_eq!(
        (bearer.principal.name.as_str(), bearer.proof),
        ("robot", Proof::ApiToken)
    );
    let who = logins.password("robot", token.clone(), None).await.unwrap();
    let session = logins.begin(&who).unwrap();
    logins.bearer(&session, &[]).await.unwrap();
    for (name, password) in [("ana", token.as_str()), ("robot", ""), ("robot", "secret")] {
        let refused = logins.password(name, password.to_owned(), None).await;
        assert!(matches!(refused, Err(Refusal::Password)), "{name}");
    }
    api_tokens::revoke(&vault, "nightly").await.unwrap();
    logins.look(&mut Vec::new(), false).await.unwrap();
    for void in [&token, &session] {
        assert!(matches!(logins.bearer(void, &[]).await, Err(Refusal::Token)));
    }
}

#[tokio::test]
async fn the_identity_provider_names_nobody_who_has_a_password_here() {
    let mut ben = user("ben", "");
    ben.roles = vec!["writer".to_owned()];
    let roles: BTreeMap<_, _> = ["reader", "writer"]
        .map(|role| (role.to_owned(), Role::default()))
        .into();
    let users = [user("ana", "secret"), ben];
    let logins = Logins::of_the_process(&users, &roles, &LoginSettings::default())
        .await
        .unwrap();
    let vouched = |name: &str, roles: &[&str]| Vouched {
        name: name.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        attributes: BTreeMap::new(),
    };
    assert!(matches!(
        logins.vouched(vouched("ana", &["reader"])),
        Err(Refusal::Jwt(_))
    ));
    assert!(matches!(
        logins.vouched(vouched("eve", &["boss"])),
        Err(Refusal::NoRole)
    ));
    let roles_of = |name: &str, roles: &[&str]| logins.vouched(vouched(name, roles)).unwrap().principal.roles.clone();
    assert_eq!(roles_of("eve", &["reader", "boss"]), ["reader"]);
    assert_eq!(roles_of("ben", &["reader"]), ["reader", "writer"]);
    assert_eq!(roles_of("ben", &[]), ["writer"]);
}

#[tokio::test]
async fn where_no_key_can_be_kept_logins_end_with_the_process() {
    let (folder, users) = (TempDir::new().unwrap(), [user("ana", "secret")]);
    let lake = lake(&folder).await;
    // A folder stands where the first key would be: nobody can write it, whoever runs this.
    std::fs::create_dir_all(folder.path().join("_cordada/private/logins/keys/0000000001")).unwrap();
    let open = async || {
        Logins::open(&lake, &users, &BTreeMap::new(), &LoginSettings::default())
            .await
            .unwrap()
    };
    let (logins, restarted) = (open().await, open().await);
    let token = token(&logins, "ana", "secret").await;
    logins.bearer(&token, &[]).await.unwrap();
    assert!(matches!(restarted.bearer(&token, &[]).await, Err(Refusal::Token)));
    assert!(!logins.keys().are_kept() && server(&TempDir::new().unwrap(), &users).await.keys().are_kept());
}

#[tokio::test]
async fn a_lifetime_that_makes_no_sense_is_refused() {
    for lifetime in [0, 59, 31 * 24 * 60 * 60] {
        let settings = LoginSettings {
            token_lifetime: Span::seconds(lifetime),
            ..LoginSettings::default()
        };
        let error = Logins::of_the_process(&[], &BTreeMap::new(), &settings)
            .await
            .unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
    }
}

#[tokio::test]
async fn no_secret_is_printed() {
    let logins = Logins::of_the_process(&[user("ana", "secret")], &BTreeMap::new(), &LoginSettings::default()).await;
    let logins = logins.unwrap();
    let token = token(&logins, "ana", "secret").await;
    let printed = format!("{logins:?} {:?}", logins.bearer(&token, &[]).await.unwrap());
    for secret in ["secret", "argon2", &token] {
        assert!(!printed.contains(secret), "{secret}");
    }
}
