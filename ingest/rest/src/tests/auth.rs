//! Credentials: all kinds, tokens that end, tokens that are refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use futures::future::join_all;
use serde_json::{Value as Json, json};

use super::System;
use super::server::{Server, json, reply};

const STREAMS: &str = "streams: {a: {request: {path: /a, params: {page: 1}}}}\n";

/// Whoever comes with the header gets a record.
async fn behind(header: &'static str, value: &'static str) -> Server {
    Server::new(move |seen| match seen.header(header) == Some(value) {
        true => json(json!([{"id": 1}])),
        false => reply(401, &[], ""),
    })
    .await
}

#[tokio::test]
async fn fixed_credentials_go_with_every_request() {
    for (auth, header, value) in [
        (
            "{kind: bearer, token: \"{{ config.token }}\"}",
            "authorization",
            "Bearer s3cret",
        ),
        (
            "{kind: basic, user: ana, password: \"{{ config.token }}\"}",
            "authorization",
            "Basic YW5hOnMzY3JldA==",
        ),
        (
            "{kind: basic, user: \"{{ config.token }}\"}",
            "authorization",
            "Basic czNjcmV0Og==",
        ),
        (
            "{kind: api_key, header: X-Key, value: \"{{ config.token }}\"}",
            "x-key",
            "s3cret",
        ),
    ] {
        let server = behind(header, value).await;
        let system = System::new(&format!("auth: {auth}\n{STREAMS}"), &server.base);
        assert_eq!(system.ids("a").await.unwrap(), [1], "{auth}");
        assert!(server.seen()[0].header("user-agent").unwrap().starts_with("cordada/"));
    }
}

#[tokio::test]
async fn a_key_in_the_query_is_sent_once_and_never_shown() {
    let server = Server::new(|seen| {
        let keys = seen
            .query
            .iter()
            .filter(|(name, value)| name == "key" && value == "s3cret")
            .count();
        // The next page's address holds the key already.
        let next = (seen.get("page") != Some("2")).then_some("/a?page=2&key=s3cret");
        match keys {
            1 => json(json!({"items": [{"id": seen.number("page", 1)}], "next": next})),
            _ => reply(404, &[], ""),
        }
    })
    .await;
    let auth = "auth: {kind: api_key, query: key, value: \"{{ config.token }}\"}\n";
    let streams = "streams: {a: {request: {path: /a}, records: /items, paginate: {kind: next_url, body: /next}}, \
                   b: {request: {path: /b, params: {key: other}}, records: /none}}\n";
    let system = System::new(&format!("{auth}{streams}"), &server.base);
    assert_eq!(system.ids("a").await.unwrap(), [1, 2]);
    // `error` looks for the secret in the message.
    let error = system.error("b").await.to_string();
    assert!(
        error.contains("/b: there is nothing at /none") && !error.contains('?'),
        "{error}"
    );
}

#[tokio::test]
async fn refused_credentials_are_an_error_of_the_configuration() {
    let server = behind("authorization", "Bearer other").await;
    let system = System::new(&format!("auth: {{kind: bearer, token: x}}\n{STREAMS}"), &server.base);
    let error = system.error("a").await;
    assert_eq!((error.exit_code(), server.seen().len()), (2, 1));
    assert!(error.to_string().contains("refuses the credentials (401)"), "{error}");
}

/// An OAuth 2 server and a system that takes its newest token only. Every token lasts `lifetime` seconds.
async fn oauth(lifetime: u64) -> (Server, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let counter = made.clone();
    let server = Server::new(move |seen| match seen.path.as_str() {
        "/token" => {
            let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
            let granted = match seen.form("grant_type").as_deref() {
                Some("client_credentials") => {
                    let in_body = seen.form("client_id").as_deref() == Some("me")
                        && seen.form("client_secret").as_deref() == Some("s3cret");
                    let in_header = seen.header("authorization") == Some("Basic bWU6czNjcmV0");
                    (in_body || in_header) && seen.form("resource").as_deref() == Some("erp")
                }
                // Each refresh token is good once.
                Some("refresh_token") => seen.form("refresh_token") == Some(format!("r{number}")),
                Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => is_signed(&seen.form("assertion").unwrap()),
                _ => false,
            };
            match granted {
                true => json(json!({"access_token": format!("t{number}"), "token_type": "bearer",
                    "expires_in": lifetime.to_string(), "refresh_token": format!("r{}", number + 1)})),
                false => reply(
                    400,
                    &[],
                    r#"{"error": "invalid_client", "error_description": "ana@example.org"}"#,
                ),
            }
        }
        _ => match seen.header("authorization") == Some(&format!("Bearer t{}", counter.load(Ordering::SeqCst))) {
            true => {
                let page = seen.number("page", 1);
                json(json!(if page < 4 {
                    vec![json!({"id": page})]
                } else {
                    Vec::new()
                }))
            }
            false => reply(401, &[], ""),
        },
    })
    .await;
    (server, made)
}

fn is_signed(token: &str) -> bool {
    let parts: Vec<_> = token.split('.').collect();
    let decode = |part: &str| -> Json { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let (header, claims) = (decode(parts[0]), decode(parts[1]));
    header["alg"] == "RS256"
        && claims["iss"] == "me"
        && claims["exp"].as_i64() > claims["iat"].as_i64()
        && parts.len() == 3
}

fn pages(auth: &str) -> String {
    format!("auth: {auth}\nstreams: {{a: {{request: {{path: /a}}, paginate: {{kind: page, param: page}}}}}}\n")
}

#[tokio::test]
async fn every_grant_gets_a_token_and_keeps_it() {
    let (pkcs8, url) = (
        include_str!("../../../../http/src/auth/keys/pkcs8.pem").replace('\n', "\\n"),
        "\"{{ config.base_url }}/token\"",
    );
    for auth in [
        format!(
            "{{kind: oauth2, grant: client_credentials, token_url: {url}, client_id: me, client_secret: \"{{{{ config.token }}}}\", params: {{resource: erp}}}}"
        ),
        format!(
            "{{kind: oauth2, grant: client_credentials, token_url: {url}, client_id: me, client_secret: \"{{{{ config.token }}}}\", send: basic, params: {{resource: erp}}}}"
        ),
        format!("{{kind: oauth2, grant: refresh_token, token_url: {url}, client_id: me, refresh_token: r1}}"),
        format!("{{kind: jwt, algorithm: RS256, key: '{pkcs8}', claims: {{iss: me}}, exchange: {{token_url: {url}}}}}"),
    ] {
        let (server, made) = oauth(3600).await;
        let system = System::new(&pages(&auth), &server.base);
        assert_eq!(system.ids("a").await.unwrap(), [1, 2, 3]);
        assert_eq!(made.load(Ordering::SeqCst), 1, "{auth}");
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_the_refresh_token_with_it() {
    let (server, made) = oauth(100).await;
    let auth = "{kind: oauth2, grant: refresh_token, token_url: \"{{ config.base_url }}/token\", client_id: me, refresh_token: r1}";
    let system = System::new(&pages(auth), &server.base);
    assert_eq!(system.ids("a").await.unwrap(), [1, 2, 3]);
    let wait = std::time::Duration::from_secs(89);
    system.clock.wait(wait, &system.run.cancel).await.unwrap();
    system.ids("a").await.unwrap();
    assert_eq!(made.load(Ordering::SeqCst), 1);
    system
        .clock
        .wait(std::time::Duration::from_secs(2), &system.run.cancel)
        .await
        .unwrap();
    system.ids("a").await.unwrap();
    assert_eq!(made.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let (made, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(1)));
    let (counter, newest) = (made.clone(), taken.clone());
    let server = Server::new(move |seen| match seen.path.as_str() {
        "/token" => json(json!({"access_token": format!("t{}", counter.fetch_add(1, Ordering::SeqCst) + 1)})),
        _ => match seen.header("authorization") == Some(&format!("Bearer t{}", newest.load(Ordering::SeqCst))) {
            true => json(json!([])),
            false => reply(401, &[], ""),
        },
    })
    .await;
    let auth = "{kind: oauth2, grant: refresh_token, token_url: \"{{ config.base_url }}/token\", client_id: me, refresh_token: r}";
    // What a rule says of a 401 is about a token that is new.
    let system = System::new(
        &format!(
            "errors: [{{status: 401, action: fail, hint: check it}}]\n{}",
            pages(auth)
        ),
        &server.base,
    );
    system.ids("a").await.unwrap();
    // The system forgets the token, and takes the next one.
    taken.store(2, Ordering::SeqCst);
    system.ids("a").await.unwrap();
    assert_eq!((made.load(Ordering::SeqCst), server.count("/a")), (2, 3));
    taken.store(9, Ordering::SeqCst);
    assert!(system.error("a").await.to_string().ends_with("; check it"));
    assert_eq!((made.load(Ordering::SeqCst), server.count("/a")), (3, 5));
}

#[tokio::test]
async fn a_system_that_takes_no_token_is_asked_twice() {
    let server = Server::new(|seen| match seen.path.as_str() {
        "/token" => json(json!({"access_token": "t"})),
        _ => reply(401, &[], ""),
    })
    .await;
    let auth = "{kind: oauth2, grant: refresh_token, token_url: \"{{ config.base_url }}/token\", client_id: me, refresh_token: r}";
    let system = System::new(&pages(auth), &server.base);
    assert_eq!(system.error("a").await.exit_code(), 2);
    assert_eq!((server.count("/token"), server.count("/a")), (2, 2));
}

#[tokio::test]
async fn many_requests_at_once_fetch_one_token() {
    let (server, made) = oauth(3600).await;
    let auth = "{kind: oauth2, grant: refresh_token, token_url: \"{{ config.base_url }}/token\", client_id: me, refresh_token: r1}";
    let system = System::new(&pages(auth), &server.base);
    join_all((0..8).map(|_| system.ids("a")))
        .await
        .into_iter()
        .for_each(|ids| assert_eq!(ids.unwrap(), [1, 2, 3]));
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_client_that_is_refused_is_an_error_without_what_the_server_says_of_it() {
    let (server, _) = oauth(3600).await;
    let auth = "{kind: oauth2, grant: client_credentials, token_url: \"{{ config.base_url }}/token\", client_id: x, client_secret: y}";
    let error = System::new(&pages(auth), &server.base).error("a").await;
    assert_eq!(error.exit_code(), 2);
    assert!(
        error.to_string().contains("/token") && !error.to_string().contains("ana@"),
        "{error}"
    );
}

#[tokio::test]
async fn a_signed_token_is_sent_as_it_is() {
    let server = Server::new(|seen| {
        let token = seen
            .header("authorization")
            .unwrap()
            .strip_prefix("Bearer ")
            .unwrap()
            .to_owned();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"s3cret");
        match ring::hmac::verify(&key, message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()) {
            Ok(()) => json(json!([{"id": 1}])),
            Err(_) => reply(401, &[], ""),
        }
    })
    .await;
    let auth =
        "auth: {kind: jwt, algorithm: HS256, key: \"{{ config.token }}\", key_id: k1, claims: {iss: me}, valid: 10m}\n";
    assert_eq!(
        System::new(&format!("{auth}{STREAMS}"), &server.base)
            .ids("a")
            .await
            .unwrap(),
        [1]
    );
}

#[tokio::test]
async fn a_session_is_opened_once_and_again_when_it_has_ended() {
    let logins = Arc::new(AtomicUsize::new(0));
    let counter = logins.clone();
    let server = Server::new(move |seen| match seen.path.as_str() {
        "/login" => {
            assert!(seen.header("authorization").is_none() && seen.json()["params"][1] == "s3cret");
            counter.fetch_add(1, Ordering::SeqCst);
            json(json!({"jsonrpc": "2.0", "id": 1, "result": [7, format!("k{}", counter.load(Ordering::SeqCst))]}))
        }
        _ => {
            let expected = BASE64.encode(format!("ana:7:k{}", counter.load(Ordering::SeqCst)));
            match seen.header("authorization") == Some(&format!("Session {expected}")) {
                true => json(json!([{"id": 1}])),
                false => reply(401, &[], ""),
            }
        }
    })
    .await;
    let auth = r#"auth:
  kind: session
  login: {path: /login, jsonrpc: {method: login, params: [ana, "{{ config.token }}"]}}
  token: /result/1
  value: "Session {{ ('ana:' ~ response.result[0] ~ ':' ~ token) | base64 }}"
  valid: 10m
"#;
    let system = System::new(&format!("{auth}{STREAMS}"), &server.base);
    system.ids("a").await.unwrap();
    system.ids("a").await.unwrap();
    assert_eq!(logins.load(Ordering::SeqCst), 1);
    logins.store(5, Ordering::SeqCst);
    system.ids("a").await.unwrap();
    assert_eq!(logins.load(Ordering::SeqCst), 6);
    system
        .clock
        .wait(std::time::Duration::from_secs(601), &system.run.cancel)
        .await
        .unwrap();
    system.ids("a").await.unwrap();
    assert_eq!(logins.load(Ordering::SeqCst), 7);
}

/// Wrong credentials of each kind, and how many times a system sees them: once, whatever the number of streams.
#[tokio::test]
async fn wrong_credentials_are_shown_once() {
    let basic = "{kind: basic, user: ana, password: \"{{ config.token }}\"}";
    let oauth = "{kind: oauth2, grant: client_credentials, token_url: \"{{ config.base_url }}/token\", client_id: x, \
                 client_secret: y}";
    let session = "{kind: session, login: {path: /token, json: {}}, token: /token}";
    for (auth, path) in [(basic, "/a"), (oauth, "/token"), (session, "/token")] {
        let server = Server::new(|_| reply(401, &[], "")).await;
        let streams = "streams: {a: {request: {path: /a}}, b: {request: {path: /b}}, c: {request: {path: /c}}}\n";
        let system = System::new(&format!("auth: {auth}\n{streams}"), &server.base);
        let all = join_all(["a", "b", "c"].map(|stream| system.error(stream))).await;
        for error in all {
            assert_eq!(error.exit_code(), 2, "{error}");
        }
        assert_eq!(server.seen().len(), 1, "{auth}");
        assert!(server.count(path) == 1 || path == "/a", "{auth}");
        // Whoever runs it again may have mended them.
        system.run.engine.begin();
        system.error("b").await;
        assert_eq!(server.seen().len(), 2, "{auth}");
    }
}

#[tokio::test]
async fn what_one_request_may_not_others_may() {
    let server = Server::new(|seen| match seen.path.as_str() {
        "/a" => json(json!([{"id": 1}])),
        "/b" => reply(403, &[], ""),
        _ => reply(401, &[], ""),
    })
    .await;
    let streams = "streams: {a: {request: {path: /a}}, b: {request: {path: /b}}, c: {request: {path: /c}}}\n";
    let auth = "auth: {kind: bearer, token: \"{{ config.token }}\"}\n";
    let system = System::new(&format!("{auth}{streams}"), &server.base);
    system.error("b").await;
    assert_eq!(system.ids("a").await.unwrap(), [1]);
    system.error("c").await;
    assert_eq!(system.ids("a").await.unwrap(), [1]);
}

#[tokio::test]
async fn a_rule_may_say_that_credentials_are_wrong() {
    let server = Server::new(|_| json(json!({"error": {"name": "AccessDenied"}}))).await;
    let rule = "errors: [{status: 200, body: /error/name, equals: AccessDenied, action: refuse, hint: check them}]\n";
    let streams = "streams: {a: {request: {path: /a}}, b: {request: {path: /b}}}\n";
    let system = System::new(&format!("{rule}{streams}"), &server.base);
    for stream in ["a", "b"] {
        let error = system.error(stream).await;
        assert!(
            error.exit_code() == 2 && error.to_string().ends_with("; check them"),
            "{error}"
        );
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn credentials_are_chosen_by_what_is_configured() {
    let server = Server::new(|seen| {
        assert_eq!(seen.header("authorization"), Some("Basic YW5hOnMzY3JldA=="));
        json(json!([{"id": 1}]))
    })
    .await;
    let choice = "auth:\n  kind: choice\n  choices:\n    \
                  - {when: base_urls, auth: {kind: bearer, token: x}}\n    \
                  - {when: token, auth: {kind: basic, user: ana, password: \"{{ config.token }}\"}}\n";
    let streams = "streams: {a: {request: {path: /a}}}\n";
    let wrong = System::try_new(&format!("{choice}{streams}"), &server.base, "2026-07-01T00:00:00Z");
    assert!(wrong.err().unwrap().to_string().contains("no key `base_urls`"));
    let choice = choice.replace("- {when: base_urls, auth: {kind: bearer, token: x}}\n    ", "");
    let system = System::new(&format!("{choice}{streams}"), &server.base);
    assert_eq!(system.ids("a").await.unwrap(), [1]);
}

#[tokio::test]
async fn a_token_may_go_into_another_header() {
    let server = Server::new(|seen| match seen.path.as_str() {
        "/token" => json(json!({"access_token": "t1"})),
        _ => {
            assert_eq!(
                (seen.header("x-amz-access-token"), seen.header("authorization")),
                (Some("t1"), None)
            );
            json(json!([{"id": 1}]))
        }
    })
    .await;
    let auth = "{kind: oauth2, grant: refresh_token, token_url: \"{{ config.base_url }}/token\", client_id: me, \
                refresh_token: r, header: x-amz-access-token, value: \"{{ token }}\"}";
    let streams = "streams: {a: {request: {path: /a}}}\n";
    let system = System::new(&format!("auth: {auth}\n{streams}"), &server.base);
    assert_eq!(system.ids("a").await.unwrap(), [1]);
}
