//! Tokens of an OAuth 2 server (RFC 6749).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cordada_core::{Error, ErrorKind, Result};
use cordada_ingest_formats::json::pointer::Pointer;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{HeldToken, Token};
use crate::answer::{Answer, AnswerOptions};
use crate::ask::Ask;
use crate::clock::Clock;
use crate::decode::Format;
use crate::outgoing::{Outgoing, ShownPlace, header};
use crate::system::auth::{Auth, Grant, SendAs};
use crate::template::Scope;

/// Asks for a token.
pub(super) async fn fetch(
    auth: &Auth,
    held: &mut HeldToken,
    engine: &dyn Ask,
    clock: &Clock,
    scope: &Scope,
    cancel: &CancellationToken,
) -> Result<Token> {
    let Auth::Oauth2 {
        grant,
        token_url,
        client_id,
        client_secret,
        refresh_token,
        scope: scopes,
        send,
        params,
        header: own_header,
        value,
    } = auth
    else {
        return Err(Error::failed("getting an access token", "there is no OAuth 2 here"));
    };
    let mut form = Vec::new();
    match grant {
        Grant::ClientCredentials => form.push(("grant_type", "client_credentials".to_owned())),
        Grant::RefreshToken => {
            let configured = refresh_token.as_ref().map(|token| token.text(scope)).transpose()?;
            form.push(("grant_type", "refresh_token".to_owned()));
            form.push(("refresh_token", held.refresh.clone().or(configured).unwrap_or_default()));
        }
    }
    if let Some(scopes) = scopes {
        form.push(("scope", scopes.text(scope)?));
    }
    for (name, value) in params {
        form.push((name, value.text(scope)?));
    }
    let id = client_id.text(scope)?;
    let secret = client_secret.as_ref().map(|secret| secret.text(scope)).transpose()?;
    let mut basic = None;
    match send {
        SendAs::Basic => {
            let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let pair = format!("{}:{}", encode(&id), encode(&secret.unwrap_or_default()));
            basic = Some(format!("Basic {}", BASE64.encode(pair)));
        }
        SendAs::Body => {
            form.push(("client_id", id));
            form.extend(secret.map(|secret| ("client_secret", secret)));
        }
    }
    let answer = ask(engine, &token_url.text(scope)?, &form, basic, cancel).await?;
    if let Some(Json::String(refresh)) = answer.value(&Pointer::dotted("refresh_token")) {
        held.refresh = Some(refresh);
    }
    let text = answer.value(&Pointer::dotted("access_token")).unwrap_or_default();
    let shown = value.text(&scope.with("token", text))?;
    Ok(token(&answer, clock)?.shown_as(own_header, shown))
}

/// Sends a token request. An answer with a token, or an error.
pub(super) async fn ask(
    engine: &dyn Ask,
    token_url: &str,
    form: &[(&str, String)],
    basic: Option<String>,
    cancel: &CancellationToken,
) -> Result<Answer> {
    let wrong = |_| Error::config("getting an access token", "`token_url` is not a URL").hint("write it as https://…");
    let url = Url::parse(token_url).map_err(wrong)?;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    if let Some(basic) = basic {
        headers.insert(AUTHORIZATION, header("Authorization", &basic)?.1);
    }
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let outgoing = Outgoing {
        method: Method::POST,
        place: ShownPlace::of(&url),
        url,
        headers,
        body: Some(body.into()),
        credentials: false,
        failure: None,
        probing: false,
    };
    let doing = || format!("getting an access token from {}", outgoing.place.text);
    let pointers = ["access_token", "expires_in", "refresh_token"].map(Pointer::dotted);
    let options = Arc::new(AnswerOptions::new(Format::Json, None, &pointers));
    let answer = engine
        .ask(&outgoing, &options, cancel)
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::Failed | ErrorKind::Config => Error::config(doing(), error.why())
                .hint(
                    error
                        .advice()
                        .unwrap_or("check the id and the secret of the client, and the token")
                        .to_owned(),
                )
                .caused_by(error),
            _ => error,
        })?;
    let missing = || Error::failed(doing(), "there is none in the answer").hint("check `token_url`");
    answer
        .filter(|answer| answer.value(&pointers[0]).is_some())
        .ok_or_else(missing)
}

/// The token of an answer.
pub(super) fn token(answer: &Answer, clock: &Clock) -> Result<Token> {
    let Some(Json::String(token)) = answer.value(&Pointer::dotted("access_token")) else {
        return Err(Error::failed(
            "getting an access token",
            "`access_token` is not text in the answer",
        ));
    };
    let lifetime = answer
        .value(&Pointer::dotted("expires_in"))
        .and_then(|value| match value {
            Json::String(text) => text.parse().ok(),
            other => other.as_f64(),
        });
    let lifetime = lifetime.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(Token::bearer(&token, lifetime, clock))
}
