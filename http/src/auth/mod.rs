//! Credentials: put on each request; tokens are fetched when they are needed, kept while they hold, and fetched again
//! once when the system does not take one.

mod jwt;
mod oauth2;
mod session;
pub mod standing;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cordada_core::Result;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::ask::Ask;
use super::clock::Clock;
use super::outgoing::{Outgoing, header, spaces};
use super::system::auth::Auth;
use super::template::Scope;

/// The credentials of one source. Not `Debug`: they are secrets.
pub struct Authenticator {
    auth: Auth,
    held: Mutex<HeldToken>,
    clock: Clock,
}

/// The token that is in use.
#[derive(Default)]
struct HeldToken {
    /// Counts tokens, so that one that is known not to work is not thrown away twice.
    generation: u64,
    token: Option<Token>,
    /// The refresh token that came with it, which replaces the one that was configured.
    refresh: Option<String>,
}

/// A header that proves who we are, and until when.
struct Token {
    header: String,
    value: String,
    /// On the clock that counts from the start.
    until: Option<Duration>,
}

/// Which token a request went with.
#[derive(Debug, Clone, Copy)]
pub struct Generation(u64);

impl Auth {
    /// Whether there are no credentials at all.
    pub fn is_none(&self) -> bool {
        matches!(self, Auth::None)
    }
}

impl Token {
    fn bearer(token: &str, lifetime: Option<Duration>, clock: &Clock) -> Self {
        // A token is renewed a little before its end, as a request takes its time too.
        let margin = |lifetime: Duration| lifetime.saturating_sub((lifetime / 10).min(Duration::from_secs(60)));
        Self {
            header: "Authorization".to_owned(),
            value: format!("Bearer {token}"),
            until: lifetime.map(|lifetime| clock.elapsed() + margin(lifetime)),
        }
    }

    /// The same token in another header.
    fn shown_as(self, header: &str, value: String) -> Self {
        Self {
            header: header.to_owned(),
            value,
            ..self
        }
    }
}

impl Authenticator {
    pub fn new(auth: Auth, clock: Clock) -> Self {
        let held = Mutex::default();
        Self { auth, held, clock }
    }

    /// Puts the credentials on a request. Which token it was, if it was one that can be renewed.
    ///
    /// # Errors
    /// Config if they are refused where tokens are made; unavailable if that place cannot be reached.
    pub async fn apply(
        &self,
        outgoing: &mut Outgoing,
        engine: &dyn Ask,
        cancel: &CancellationToken,
    ) -> Result<Option<Generation>> {
        let scope = engine.scope(self.clock.now());
        let (name, value) = match &self.auth {
            Auth::None | Auth::Choice { .. } => return Ok(None),
            Auth::Bearer { token } => ("Authorization".to_owned(), format!("Bearer {}", token.text(&scope)?)),
            Auth::Basic { user, password } => ("Authorization".to_owned(), basic(user, password.as_ref(), &scope)?),
            Auth::ApiKey { header, query, value } => {
                let value = value.text(&scope)?;
                match (header, query) {
                    (Some(header), _) => (header.clone(), value),
                    (None, query) => {
                        let name = query.as_deref().unwrap_or_default();
                        let others: Vec<_> = outgoing.url.query_pairs().into_owned().collect();
                        // The address of a next page may hold it already.
                        let mut pairs = outgoing.url.query_pairs_mut();
                        pairs
                            .clear()
                            .extend_pairs(others.iter().filter(|(other, _)| other != name));
                        pairs.append_pair(name, &value);
                        drop(pairs);
                        spaces(&mut outgoing.url);
                        return Ok(None);
                    }
                }
            }
            Auth::Oauth2 { .. } | Auth::Jwt { .. } | Auth::Session(_) => {
                // Whoever comes while a token is fetched waits for it here.
                let mut held = self.held.lock().await;
                let now = self.clock.elapsed();
                let holds = |token: &Token| token.until.is_none_or(|until| now < until);
                if !held.token.as_ref().is_some_and(holds) {
                    let token = self.fetch(&mut held, engine, &scope, cancel).await?;
                    held.token = Some(token);
                    held.generation += 1;
                }
                let generation = Generation(held.generation);
                if let Some(token) = &held.token {
                    let (name, value) = header(&token.header, &token.value)?;
                    outgoing.headers.insert(name, value);
                }
                return Ok(Some(generation));
            }
        };
        let (name, value) = header(&name, &value)?;
        outgoing.headers.insert(name, value);
        Ok(None)
    }

    /// The system does not take that token; the next request gets another.
    pub async fn expire(&self, generation: Option<Generation>) {
        let mut held = self.held.lock().await;
        if generation.is_some_and(|generation| generation.0 == held.generation) {
            held.token = None;
        }
    }

    async fn fetch(
        &self,
        held: &mut HeldToken,
        engine: &dyn Ask,
        scope: &Scope,
        cancel: &CancellationToken,
    ) -> Result<Token> {
        match &self.auth {
            Auth::Session(session) => session::fetch(session, engine, &self.clock, scope, cancel).await,
            Auth::Jwt { .. } => jwt::fetch(&self.auth, engine, &self.clock, scope, cancel).await,
            _ => oauth2::fetch(&self.auth, held, engine, &self.clock, scope, cancel).await,
        }
    }
}

fn basic(
    user: &super::template::Template,
    password: Option<&super::template::Template>,
    scope: &Scope,
) -> Result<String> {
    let password = password
        .map(|password| password.text(scope))
        .transpose()?
        .unwrap_or_default();
    Ok(format!(
        "Basic {}",
        BASE64.encode(format!("{}:{password}", user.text(scope)?))
    ))
}
