//! A login whose answer holds a token.

use std::sync::Arc;

use cordada_core::{Error, ErrorKind, Result};
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use super::Token;
use super::super::decode::Format;
use super::super::engine::Engine;
use super::super::manifest::{Pointer, Session};
use super::super::outgoing::{Addition, shown, text};
use super::super::template::Scope;

/// Logs in.
pub(super) async fn fetch(
    session: &Session,
    engine: &Engine,
    scope: &Scope,
    cancel: &CancellationToken,
) -> Result<Token> {
    let mut outgoing = engine.outgoing(&session.login, scope, &Addition::default())?;
    outgoing.credentials = false;
    let doing = || format!("logging in at {}", shown(&outgoing.url));
    let root = Pointer(Vec::new());
    let reading = Arc::new(engine.reading(Format::Json, None, session.token.pointer().into_iter().chain([&root])));
    let answer = engine
        .ask(&outgoing, &reading, cancel)
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::Failed | ErrorKind::Config => Error::config(doing(), error.why())
                .hint("check the user and the password")
                .caused_by(error),
            _ => error,
        })?;
    let token = answer.as_ref().and_then(|answer| text(&answer.locate(&session.token)?));
    let Some((answer, token)) = answer.zip(token) else {
        return Err(Error::config(doing(), "there is no token in the answer").hint("check the user and the password"));
    };
    let scope = scope
        .with("token", token)
        .with("response", answer.value(&root).unwrap_or(Json::Null));
    Ok(Token {
        header: session.header.clone(),
        value: session.value.text(&scope)?,
        until: Some(engine.clock.elapsed() + session.valid.0),
    })
}
