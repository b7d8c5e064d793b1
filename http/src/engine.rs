//! Asks one system: with credentials, within its limits, again where it makes sense.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cordada_core::{Error, ErrorKind, Result};
use cordada_ingest_formats::json::pointer::{Pointer, Records};
use reqwest::header::HeaderMap;
use tokio::sync::MutexGuard;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::answer::{Answer, AnswerOptions};
use super::ask::Ask;
use super::auth::standing::{Gate, Standing};
use super::auth::{Authenticator, Generation};
use super::budget::{LONGEST_WAIT, Limiter, TOLD};
use super::client::{Failure, Http};
use super::clock::Clock;
use super::decode::Format;
use super::outgoing::{Addition, Base, Outgoing, header, shown};
use super::system::System;
use super::system::limits::Action;
use super::system::request::Request;
use super::template::Scope;
use super::values::Values;
use super::verdict::{self, Verdict};

/// Answers larger than this are read on a thread of their own, so that others are not held up.
const LARGE: usize = 256 * 1024;

/// One system, and what is known of it while the process runs.
pub struct Engine {
    /// The system.
    pub system: Arc<System>,
    /// The time, for waiting and for signing.
    pub clock: Clock,
    /// Where requests go.
    pub base: Base,
    config: Scope,
    http: Http,
    auth: Authenticator,
    /// None where there are no credentials.
    gate: Option<Gate>,
    limiter: Limiter,
}

impl Engine {
    /// The system with these values of its configuration. Nothing is sent.
    ///
    /// # Errors
    /// Config for a `base_url` that is none, and headers that cannot be sent.
    pub fn new(system: System, values: &Values, clock: Clock) -> Result<Self> {
        let config = values.scope();
        let base = system.base_url.text(&config)?;
        let base = Url::parse(&base)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = base.ok_or_else(|| {
            Error::config("reading `base_url`", "it is not a URL").hint("write it as https://acme.example")
        })?;
        let mut headers = HeaderMap::new();
        let scope = config.with("now", clock.now().to_rfc3339());
        for (name, value) in &system.headers {
            let value = value.text(&scope)?;
            if !value.is_empty() {
                let (name, value) = header(name, &value)?;
                headers.insert(name, value);
            }
        }
        let trusted = system.trusted_hosts.iter().map(|host| host.text(&config));
        let trusted_hosts = trusted.filter(|host| !matches!(host, Ok(host) if host.is_empty()));
        let trusted_hosts = trusted_hosts.map(|host| trusted_host(&host?)).collect::<Result<_>>()?;
        let auth = system.auth.chosen(&|key| config.is_configured(key)).clone();
        let guarded = !auth.is_none() || system.errors.iter().any(|rule| rule.action == Action::Refuse);
        if base.scheme() == "http" && !auth.is_none() && !is_local(&base) {
            tracing::warn!(
                system = shown(&base),
                "credentials are sent over a connection that is not secure"
            );
        }
        Ok(Self {
            http: Http::new(&system.limits)?,
            auth: Authenticator::new(auth, clock.clone()),
            gate: guarded.then(Gate::default),
            limiter: Limiter::new(&system.limits, clock.clone()),
            system: Arc::new(system),
            clock,
            base: Base {
                url: base,
                trusted_hosts,
                headers,
            },
            config,
        })
    }

    /// A load or a check begins: credentials may have been mended or withdrawn since.
    pub fn begin(&self) {
        if let Some(gate) = &self.gate {
            gate.forget();
        }
    }

    /// What templates see of every request.
    pub fn scope(&self, now: DateTime<Utc>) -> Scope {
        self.config
            .with("now", now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    }

    /// A request to the system, with what it leaves open as in the defaults.
    pub fn outgoing(&self, request: &Request, scope: &Scope, added: &Addition) -> Result<Outgoing> {
        Outgoing::new(request, &self.base, scope, added)
    }

    /// How answers with records and the values at `pointers` are read.
    pub fn answer_options<'p>(
        &self,
        format: Format,
        records: Option<Records>,
        pointers: impl IntoIterator<Item = &'p Pointer>,
    ) -> AnswerOptions {
        let usual = verdict::pointers(&self.system);
        let mut all: Vec<&Pointer> = usual.iter().collect();
        for pointer in pointers {
            all.push(pointer);
        }
        AnswerOptions::new(format, records, all)
    }

    /// Sends it until there is an answer. `None` if a rule says that the answer holds nothing.
    ///
    /// # Errors
    /// Unavailable if the system cannot be reached or goes on refusing; config if it refuses the credentials;
    /// cancelled; failed for what else it says.
    pub async fn ask(
        &self,
        outgoing: &Outgoing,
        options: &Arc<AnswerOptions>,
        cancel: &CancellationToken,
    ) -> Result<Option<Answer>> {
        let retry = &self.system.retry;
        let began = self.clock.elapsed();
        let (mut attempts, mut renewed) = (0, false);
        loop {
            attempts += 1;
            let mut sent = outgoing.clone();
            let (token, held) = match outgoing.credentials {
                true => self.show_credentials(&mut sent, cancel).await?,
                false => (None, None),
            };
            let permit = self.limiter.pass(cancel).await?;
            let raw = self.http.send(&sent, options.target, cancel).await;
            drop(permit);
            let verdict = match raw {
                Ok(raw) => {
                    self.limiter.note(&raw.headers);
                    self.judge(&sent, raw, options).await
                }
                Err(Failure { error, again: true }) => Verdict::Retry {
                    error,
                    wait: None,
                    everybody: false,
                    lasting: None,
                },
                Err(Failure { error, again: false }) => Verdict::Fail(error),
            };
            let (error, wait, everybody, lasting) = match verdict {
                Verdict::Take(answer) => {
                    if let Some(mut standing) = held {
                        *standing = Standing::Taken;
                    }
                    self.note_cost(&answer);
                    return Ok(Some(*answer));
                }
                Verdict::Ignore => return Ok(None),
                Verdict::Refused { .. } if token.is_some() && !renewed => {
                    self.auth.expire(token).await;
                    renewed = true;
                    attempts -= 1;
                    continue;
                }
                Verdict::Refused { error, unknown } => {
                    // Where they were taken once, it is something else that this request may not.
                    if let (true, Some(gate), Some(held)) = (unknown, &self.gate, held) {
                        gate.refuse(Some(held), &error).await;
                    }
                    return Err(error);
                }
                Verdict::Fail(error) => return Err(error),
                Verdict::Retry {
                    error,
                    wait,
                    everybody,
                    lasting,
                } => (error, wait, everybody, lasting),
            };
            drop(held);
            let passed = self.clock.elapsed().saturating_sub(began);
            let is_over = match lasting {
                Some(lasting) => passed >= lasting,
                None => attempts >= retry.attempts,
            };
            if is_over {
                return Err(error.with("attempts", attempts));
            }
            let time = wait.unwrap_or_else(|| retry.wait(attempts));
            if time > LONGEST_WAIT {
                return Err(error.hint(format!("the system asks to come back in {} s", time.as_secs())));
            }
            let seconds = time.as_secs();
            match time >= TOLD && (lasting.is_none() || attempts == 1) {
                true => tracing::warn!(%error, attempts, seconds, "waiting before it is tried again"),
                false => tracing::debug!(%error, attempts, seconds, "waiting before it is tried again"),
            }
            if everybody {
                self.limiter.pause(time);
            }
            self.clock.wait(time, cancel).await?;
        }
    }

    async fn judge(&self, sent: &Outgoing, raw: super::client::Raw, options: &Arc<AnswerOptions>) -> Verdict {
        let (system, options, now) = (self.system.clone(), options.clone(), self.clock.now());
        let sent = sent.clone();
        let large = match &raw.body {
            super::client::Body::Memory(body) => body.len() > LARGE,
            super::client::Body::File(..) => true,
        };
        let judge = move || verdict::judge(&system, &sent, raw, &options, now);
        if !large {
            return judge();
        }
        let judged = tokio::task::spawn_blocking(judge).await;
        judged.unwrap_or_else(|_| Verdict::Fail(Error::failed("reading an answer", "the thread that read it ended")))
    }

    fn note_cost(&self, answer: &Answer) {
        if let Some(cost) = &self.system.limits.graphql_cost {
            let number = |pointer| answer.value(pointer)?.as_f64();
            let values = (
                number(&cost.requested),
                number(&cost.available),
                number(&cost.restore_rate),
            );
            if let (Some(requested), Some(available), Some(rate)) = values {
                self.limiter.note_cost(requested, available, rate);
            }
        }
    }

    /// Puts the credentials on a request: which token it was, and what is known of them, held by who asks first.
    async fn show_credentials(
        &self,
        sent: &mut Outgoing,
        cancel: &CancellationToken,
    ) -> Result<(Option<Generation>, Option<MutexGuard<'_, Standing>>)> {
        let Some(gate) = &self.gate else {
            return Ok((None, None));
        };
        let held = gate.enter(cancel).await?;
        // A token's own requests come back to `ask`, without credentials.
        match Box::pin(self.auth.apply(sent, self, cancel)).await {
            Ok(token) => Ok((token, held)),
            Err(error) => {
                if error.kind() == ErrorKind::Config {
                    gate.refuse(held, &error).await;
                }
                Err(error)
            }
        }
    }

    /// Proves the credentials as far as they are asked for at another place than the records.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn prove_credentials(&self, cancel: &CancellationToken) -> Result<()> {
        let mut outgoing = self.outgoing(&Request::default(), &self.scope(self.clock.now()), &Addition::default())?;
        self.show_credentials(&mut outgoing, cancel).await.map(|_| ())
    }
}

#[async_trait]
impl Ask for Engine {
    fn scope(&self, now: DateTime<Utc>) -> Scope {
        Engine::scope(self, now)
    }

    fn login(&self, request: &Request, scope: &Scope) -> Result<Outgoing> {
        let mut outgoing = self.outgoing(request, scope, &Addition::default())?;
        outgoing.credentials = false;
        Ok(outgoing)
    }

    fn values_at(&self, pointers: &[&Pointer]) -> AnswerOptions {
        self.answer_options(Format::Json, None, pointers.iter().copied())
    }

    async fn ask(
        &self,
        outgoing: &Outgoing,
        options: &Arc<AnswerOptions>,
        cancel: &CancellationToken,
    ) -> Result<Option<Answer>> {
        Engine::ask(self, outgoing, options, cancel).await
    }
}

/// A host that may be trusted, as addresses have it.
fn trusted_host(text: &str) -> Result<String> {
    let url = Url::parse(&format!("https://{text}")).ok();
    let is_host = |url: &Url| {
        let is_alone = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !text.ends_with('/');
        is_alone && url.username().is_empty() && url.password().is_none() && !text.contains(['*', '\\'])
    };
    let host = url.filter(is_host).and_then(|url| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}{port}", url.host_str()?))
    });
    host.ok_or_else(|| {
        Error::config("reading `trusted_hosts`", format!("`{text}` is not a host"))
            .hint("write it as pages.example, or as pages.example:8443")
    })
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_trusted_host_is_a_host_and_nothing_more() {
        for (text, expected) in [
            ("Pages.Example", "pages.example"),
            ("pages.example:8443", "pages.example:8443"),
            ("pages.example:443", "pages.example"),
            ("[2001:db8::1]:8443", "[2001:db8::1]:8443"),
        ] {
            assert_eq!(trusted_host(text).unwrap(), expected);
        }
        for wrong in [
            "https://pages.example",
            "pages.example/next",
            "pages.example/",
            "*.example",
            "u:p@pages.example",
            "pages.example?x",
            "a b",
            "pages.example:port",
        ] {
            let error = trusted_host(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{wrong}");
        }
    }
}
