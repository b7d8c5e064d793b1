//! A login whose answer holds a token.

use std::sync::Arc;

use cordada_core::{Error, ErrorKind, Result};
use cordada_ingest_formats::json::pointer::Pointer;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use super::Token;
use crate::ask::Ask;
use crate::clock::Clock;
use crate::outgoing::text;
use crate::system::auth::Session;
use crate::template::Scope;

/// Logs in.
pub(super) async fn fetch(
    session: &Session,
    engine: &dyn Ask,
    clock: &Clock,
    scope: &Scope,
    cancel: &CancellationToken,
) -> Result<Token> {
    let outgoing = engine.login(&session.login, scope)?;
    let doing = || format!("logging in at {}", outgoing.place.text);
    let root = Pointer(Vec::new());
    let pointers: Vec<_> = session.token.pointer().into_iter().chain([&root]).collect();
    let options = Arc::new(engine.values_at(&pointers));
    let answer = engine
        .ask(&outgoing, &options, cancel)
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::Failed | ErrorKind::Config => Error::config(doing(), error.why())
                .hint(error.advice().unwrap_or("check the user and the password").to_owned())
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
        until: Some(clock.elapsed() + session.valid.0),
    })
}
