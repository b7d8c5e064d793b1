//! The HTTP client: one request, one answer, within bounds of time and size.

use std::error::Error as StdError;
use std::io::Write;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cordada_core::scratch::ScratchFile;
use cordada_core::units::Size;
use cordada_core::{Context, Error, Result, tls};
use reqwest::header::HeaderMap;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode};
use tokio_util::sync::CancellationToken;

use super::outgoing::{Outgoing, shown};
use super::system::limits::Limits;

/// Redirects that are followed one after the other.
const MAX_REDIRECTS: usize = 5;
/// What a server over TLS may choose to speak.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// An answer, complete.
pub struct Raw {
    /// Whether it went well.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed.
    pub body: Body,
}

/// The body of an answer.
pub enum Body {
    /// In memory.
    Memory(Bytes),
    /// In a temporary file, with its size.
    File(ScratchFile, u64),
}

impl Body {
    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Body::Memory(body) => body.len() as u64,
            Body::File(_, bytes) => *bytes,
        }
    }
}

/// Where the body of a successful answer goes, and how large it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Into memory, up to the limit of the system.
    Memory,
    /// Into a temporary file of at most that size.
    File(Size),
}

/// Why there is no answer.
pub struct Failure {
    /// What went wrong.
    pub error: Error,
    /// Whether it may go away.
    pub again: bool,
}

impl Failure {
    fn lasting(error: Error) -> Self {
        Self { error, again: false }
    }
}

/// The client of one source.
pub struct Http {
    client: Client,
    timeout: Duration,
    deadline: Duration,
    max_response: Size,
}

/// A redirect that is not followed.
#[derive(Debug)]
struct ElsewhereError(String);

impl std::fmt::Display for ElsewhereError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for ElsewhereError {}

impl Http {
    /// A client with these limits.
    pub fn new(limits: &Limits) -> Result<Self> {
        let mut tls = tls::verifying_client(None)?;
        tls.alpn_protocols = ALPN.map(Vec::from).into();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("cordada/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.timeout.0)
            .read_timeout(limits.timeout.0)
            .redirect(Policy::custom(redirect))
            .referer(false)
            .build()
            .map_err(|error| Error::failed("preparing the HTTP client", error.without_url()))?;
        Ok(Self {
            client,
            timeout: limits.timeout.0,
            deadline: limits.deadline.0,
            max_response: limits.max_response,
        })
    }

    /// Sends it and reads all of the answer.
    pub async fn send(&self, outgoing: &Outgoing, target: Target, cancel: &CancellationToken) -> Result<Raw, Failure> {
        let place = shown(&outgoing.url);
        tokio::select! {
            raw = self.exchange(outgoing, target, &place) => raw,
            () = cancel.cancelled() => Err(Failure::lasting(Error::cancelled(format!("asking {place}")))),
        }
    }

    async fn exchange(&self, outgoing: &Outgoing, target: Target, place: &str) -> Result<Raw, Failure> {
        let mut request = reqwest::Request::new(outgoing.method.clone(), outgoing.url.clone());
        *request.headers_mut() = outgoing.headers.clone();
        *request.body_mut() = outgoing.body.clone().map(Into::into);
        if target == Target::Memory {
            *request.timeout_mut() = Some(self.deadline);
        }
        let response = self
            .client
            .execute(request)
            .await
            .map_err(|error| self.failure(place, error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = match target {
            Target::File(limit) if status.is_success() => self.to_file(response, limit, place).await?,
            _ => self.to_memory(response, place).await?,
        };
        Ok(Raw { status, headers, body })
    }

    async fn to_memory(&self, mut response: Response, place: &str) -> Result<Body, Failure> {
        let limit = self.max_response;
        let announced = response.content_length().unwrap_or_default();
        if announced > limit.0 {
            return Err(too_large(place, limit, "max_response"));
        }
        let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or_default());
        while let Some(part) = response.chunk().await.map_err(|error| self.failure(place, error))? {
            if (body.len() + part.len()) as u64 > limit.0 {
                return Err(too_large(place, limit, "max_response"));
            }
            body.extend_from_slice(&part);
        }
        Ok(Body::Memory(body.freeze()))
    }

    async fn to_file(&self, mut response: Response, limit: Size, place: &str) -> Result<Body, Failure> {
        let doing = || format!("writing into {}", ScratchFile::folder().display());
        let file = ScratchFile::new().doing(doing).map_err(Failure::lasting)?;
        let mut bytes = 0;
        while let Some(part) = response.chunk().await.map_err(|error| self.failure(place, error))? {
            bytes += part.len() as u64;
            if bytes > limit.0 {
                return Err(too_large(place, limit, "max_result"));
            }
            file.file().write_all(&part).doing(doing).map_err(Failure::lasting)?;
        }
        Ok(Body::File(file, bytes))
    }

    /// What a failure of the library means. Its own text may hold the URL with secrets in it, and is not used.
    fn failure(&self, place: &str, error: reqwest::Error) -> Failure {
        let doing = format!("asking {place}");
        let causes = causes(&error);
        let find =
            |text: &dyn Fn(&(dyn StdError + 'static)) -> Option<String>| causes.iter().find_map(|cause| text(*cause));
        if let Some(why) = find(&|cause| cause.downcast_ref::<ElsewhereError>().map(ToString::to_string)) {
            return Failure::lasting(Error::failed(doing, why).hint("check `base_url`"));
        }
        if let Some(tls) = find(&|cause| cause.downcast_ref::<rustls::Error>().map(ToString::to_string)) {
            return Failure::lasting(
                Error::unavailable(doing, format!("no secure connection: {tls}"))
                    .hint("the certificate has to be valid, for this host, and of an authority this machine trusts"),
            );
        }
        let why = if error.is_timeout() {
            format!(
                "no answer: it was silent for {} s or took more than {} s",
                self.timeout.as_secs_f32(),
                self.deadline.as_secs_f32()
            )
        } else {
            let last = causes.last().map(ToString::to_string).unwrap_or_default();
            let what = if error.is_connect() {
                "no connection"
            } else {
                "the connection broke off"
            };
            format!("{what}: {last}")
        };
        Failure {
            error: Error::unavailable(doing, why).hint("check that the system is up and `base_url` is right"),
            again: true,
        }
    }
}

/// An error's causes, from the outermost on, without itself.
fn causes<'e>(error: &'e (dyn StdError + 'static)) -> Vec<&'e (dyn StdError + 'static)> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause);
        // An I/O error that wraps another leaves it out of its sources.
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = wrapped
            .map(|inner| inner as &(dyn StdError + 'static))
            .or_else(|| cause.source());
    }
    causes
}

fn too_large(place: &str, limit: Size, key: &str) -> Failure {
    Failure::lasting(
        Error::failed(format!("asking {place}"), format!("the answer is larger than {limit}"))
            .hint(format!("ask for smaller pages, or raise `{key}` in the manifest")),
    )
}

/// Follows redirects within the host, and never to a connection that is less secure.
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let why = {
        let (next, first) = (attempt.url(), attempt.previous().first());
        let secure = first.is_none_or(|first| first.scheme() != "https") || next.scheme() == "https";
        let default = |url: &url::Url| url.port().is_none();
        let same_port = first.is_some_and(|first| {
            first.port_or_known_default() == next.port_or_known_default() || (default(first) && default(next))
        });
        if first.is_none_or(|first| first.host() != next.host() || !same_port) {
            Some(format!(
                "it redirects to another host: {}",
                next.host_str().unwrap_or_default()
            ))
        } else if !secure {
            Some("it redirects from https to http".to_owned())
        } else if attempt.previous().len() > MAX_REDIRECTS {
            Some(format!("more than {MAX_REDIRECTS} redirects"))
        } else {
            None
        }
    };
    match why {
        Some(why) => attempt.error(ElsewhereError(why)),
        None => attempt.follow(),
    }
}
