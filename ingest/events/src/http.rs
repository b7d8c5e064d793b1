//! The collector's HTTP: what a request is answered, and that nothing is answered 200 before it is on the disk.

use std::collections::HashMap;
use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use cordada_core::Result;
use flate2::read::GzDecoder;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::columns::Protocol;
use super::config::{Cookie, EventsSource};
use super::connection::Peer;
use super::hit::{Hit, RequestInfo, parameters};
use super::privacy::{Privacy, PrivacySignals};
use super::proxies::Proxies;
use super::routes::{Route, routes};
use super::senders::Senders;
use super::sink::Sink;
use super::{matomo, segment, snowplow};

/// A transparent pixel.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x21\xf9\x04\x01\x00\x00\x00\x00\
\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";

/// Seconds after which a client should try again when there is no room, and when the disk is the matter.
const BUSY: &str = "1";
const BROKEN: &str = "10";

/// The longest value of a cookie that is taken for an identifier.
const LONGEST_ID: usize = 64;

/// What all requests share.
pub(super) struct App {
    pub(super) sinks: HashMap<String, Sink>,
    routes: HashMap<String, Route>,
    privacy: Privacy,
    origins: Vec<String>,
    cookie: Option<Cookie>,
    behind_proxy: Proxies,
    /// Whose requests proxies hand on.
    senders: Senders,
    longest: usize,
    /// A permit for each byte of requests that wait to be written.
    queue: Arc<Semaphore>,
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    NotFound,
    Method,
    Forbidden,
    Unauthorised,
    TooLarge,
    Encoding,
    /// The client went away in the middle, or its HTTP is wrong.
    Broken,
    Busy,
    Unavailable,
}

/// How hits are answered.
enum Answer {
    Text(&'static str),
    Pixel,
    Nothing,
    Json(Value),
}

impl App {
    pub(super) fn new(source: &EventsSource, sinks: HashMap<String, Sink>) -> Self {
        Self {
            sinks,
            routes: routes(source).collect(),
            privacy: Privacy {
                ip: source.ip,
                do_not_track: source.do_not_track,
                consent: source.consent.clone(),
            },
            origins: source.origins.clone(),
            cookie: source.cookie.clone(),
            behind_proxy: source.behind_proxy.clone(),
            senders: Senders::new(source.limits.of_one_sender()),
            longest: usize::try_from(source.limits.request.0).unwrap_or(usize::MAX),
            queue: Arc::new(Semaphore::new(
                usize::try_from(source.limits.queue.0).unwrap_or(usize::MAX),
            )),
        }
    }

    async fn answer(&self, address: IpAddr, parts: &Parts, body: Body) -> Result<Response, Refusal> {
        let path = parts.uri.path();
        if path == "/health" {
            return Ok("ok".into_response());
        }
        let origin = parts.headers.get(header::ORIGIN);
        if origin.is_some_and(|origin| !self.is_allowed(origin)) {
            return Err(Refusal::Forbidden);
        }
        let route = self.routes.get(path).ok_or(Refusal::NotFound)?;
        if parts.method == Method::OPTIONS {
            return Ok(preflight());
        }
        let sink = self.sinks.get(&route.stream).ok_or(Refusal::NotFound)?;
        let signals = signals(&parts.headers);
        let is_proxy = self.behind_proxy.trusts(address);
        let address = self.sender(address, &parts.headers);
        // Whoever is not behind a proxy has a share of the connections already.
        let _place = match is_proxy {
            true => Some(self.senders.enter(address).ok_or(Refusal::Busy)?),
            false => None,
        };
        let (received, set_cookie) = self.received(address, &parts.headers, signals);
        let (hits, answer, room) = match (&parts.method, route.protocol) {
            (&Method::GET | &Method::HEAD, Protocol::Snowplow) => {
                let query = parts.uri.query().unwrap_or_default();
                (snowplow::decode_query(query, &received), Answer::Pixel, None)
            }
            (&Method::GET | &Method::HEAD, Protocol::Matomo) => {
                let query = parts.uri.query().unwrap_or_default();
                let hit = matomo::decode_query(query, &received, &|token| is_token(sink, token));
                (vec![hit], image(query), None)
            }
            (&Method::POST, protocol) => {
                let (body, room) = self.read(&parts.headers, body).await?;
                let (hits, answer) = match protocol {
                    Protocol::Snowplow => (
                        json_hits(&body, |body| snowplow::decode_body(&body, &received)),
                        Answer::Text("ok"),
                    ),
                    Protocol::Matomo => posted_to_matomo(parts, &body, &received, sink),
                    Protocol::Segment => {
                        authorise(sink, &parts.headers, &body)?;
                        let hits = json_hits(&body, |body| segment::decode_body(route.message, body, &received));
                        (hits, Answer::Json(json!({"success": true})))
                    }
                };
                (hits, answer, Some(room))
            }
            _ => return Err(Refusal::Method),
        };
        let entries = sink.entries(hits, &self.privacy, signals).map_err(|error| {
            tracing::error!(%error, "events are refused");
            Refusal::Unavailable
        })?;
        if !entries.is_empty() {
            // Why it could not be written the log has said itself.
            sink.log.append(entries, room).await.map_err(|_| Refusal::Unavailable)?;
        }
        let mut response = answer.into_response();
        if let Some(cookie) = set_cookie {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        Ok(response)
    }

    /// The body, and the room that it takes up in the queue.
    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<(Vec<u8>, OwnedSemaphorePermit), Refusal> {
        let declared = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|length| length > self.longest) {
            return Err(Refusal::TooLarge);
        }
        let mut room = self.room(0)?;
        let mut bytes = Vec::with_capacity(declared.unwrap_or_default());
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk: Bytes = chunk.map_err(|_| Refusal::Broken)?;
            if bytes.len() + chunk.len() > self.longest {
                return Err(Refusal::TooLarge);
            }
            room.merge(self.room(chunk.len())?);
            bytes.extend_from_slice(&chunk);
        }
        let encoding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
        match encoding {
            None | Some(b"identity") => Ok((bytes, room)),
            Some(b"gzip") => {
                let mut plain = Vec::new();
                let limit = self.longest as u64 + 1;
                GzDecoder::new(&bytes[..])
                    .take(limit)
                    .read_to_end(&mut plain)
                    .map_err(|_| Refusal::Broken)?;
                if plain.len() > self.longest {
                    return Err(Refusal::TooLarge);
                }
                room.merge(self.room(plain.len())?);
                Ok((plain, room))
            }
            Some(_) => Err(Refusal::Encoding),
        }
    }

    fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let bytes = u32::try_from(bytes).map_err(|_| Refusal::TooLarge)?;
        self.queue
            .clone()
            .try_acquire_many_owned(bytes)
            .map_err(|_| Refusal::Busy)
    }

    /// Who sent the request: whoever the proxy says, if there is one.
    fn sender(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines: Vec<_> = headers.get_all("x-forwarded-for").into_iter().collect();
        let lines = lines.into_iter().map(|line| line.to_str().unwrap_or_default());
        self.behind_proxy.sender(peer, lines)
    }

    /// What is known of the request, and the cookie that the answer sets.
    fn received(
        &self,
        address: IpAddr,
        headers: &HeaderMap,
        signals: PrivacySignals,
    ) -> (RequestInfo, Option<HeaderValue>) {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let cookie = self.cookie.as_ref().filter(|_| self.privacy.may_recognise(signals));
        let id = cookie.map(|cookie| {
            let known = text(header::COOKIE).and_then(|cookies| cookie_value(cookies, &cookie.name));
            known.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
        });
        let set_cookie = cookie.zip(id.as_ref()).and_then(|(cookie, id)| cookie.header(id));
        let received = RequestInfo {
            at: Utc::now(),
            address: Some(address),
            user_agent: text(header::USER_AGENT).map(str::to_owned),
            cookie: id,
        };
        (received, set_cookie)
    }

    fn is_allowed(&self, origin: &HeaderValue) -> bool {
        self.origins.is_empty()
            || self
                .origins
                .iter()
                .any(|allowed| allowed.as_bytes() == origin.as_bytes())
    }

    /// Lets the page read the answer: with the visitor's cookies if the source names it, for it to know them by, and
    /// without where any page may send.
    fn allow(&self, origin: &HeaderValue, headers: &mut HeaderMap) {
        if self.origins.is_empty() {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return;
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }
}

/// Answers one request.
pub(super) async fn handle(
    State(app): State<Arc<App>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut response = app
        .answer(peer.ip(), &parts, body)
        .await
        .unwrap_or_else(Refusal::into_response);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(origin) = parts
        .headers
        .get(header::ORIGIN)
        .filter(|origin| app.is_allowed(origin))
    {
        app.allow(origin, headers);
    }
    response
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, GET, OPTIONS"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type, content-encoding, authorization, sp-anonymous",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn signals(headers: &HeaderMap) -> PrivacySignals {
    let is_one = |name| headers.get(name).is_some_and(|value: &HeaderValue| value == "1");
    PrivacySignals {
        no_tracking: is_one("dnt") || is_one("sec-gpc"),
        anonymous: headers.contains_key("sp-anonymous"),
    }
}

/// The hits of a JSON body; one malformed hit if it is none.
fn json_hits(body: &[u8], decode: impl FnOnce(Value) -> Result<Vec<Hit>, String>) -> Vec<Hit> {
    let parsed = serde_json::from_slice(body).map_err(|_| "the body is not JSON".to_owned());
    parsed.and_then(decode).unwrap_or_else(|reason| {
        let sent = Value::from(String::from_utf8_lossy(body));
        vec![Hit::Malformed { reason, sent }]
    })
}

fn posted_to_matomo(parts: &Parts, body: &[u8], received: &RequestInfo, sink: &Sink) -> (Vec<Hit>, Answer) {
    let query = parts.uri.query().unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    let request = matomo::decode_body(query, &body, received, &|token| is_token(sink, token));
    let invalid = request
        .hits
        .iter()
        .filter(|hit| matches!(hit, Hit::Malformed { .. }))
        .count();
    let answer = match request.is_bulk {
        true => Answer::Json(json!({"status": "success", "tracked": request.hits.len() - invalid, "invalid": invalid})),
        false => image(&format!("{query}&{body}")),
    };
    (request.hits, answer)
}

/// Matomo's answer to a hit: a pixel, unless the tracker does not want it.
fn image(query: &str) -> Answer {
    match parameters(query)
        .iter()
        .any(|(name, value)| name == "send_image" && value == "0")
    {
        true => Answer::Nothing,
        false => Answer::Pixel,
    }
}

fn is_token(sink: &Sink, token: &str) -> bool {
    sink.token_auth.as_ref().is_some_and(|secret| secret.is(token))
}

/// A Segment client has a write key: as the user of Basic authentication, or in the message.
fn authorise(sink: &Sink, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let is_key = |key: &str| sink.write_keys.iter().any(|secret| secret.is(key));
    if sink.write_keys.is_empty() {
        return Ok(());
    }
    let in_header = || {
        let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let decoded = STANDARD.decode(header.strip_prefix("Basic ")?.trim()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        Some(
            decoded
                .split_once(':')
                .map_or(decoded.as_str(), |(user, _)| user)
                .to_owned(),
        )
    };
    let in_body = || {
        let body: Value = serde_json::from_slice(body).ok()?;
        Some(body.get("writeKey")?.as_str()?.to_owned())
    };
    match in_header().is_some_and(|key| is_key(&key)) || in_body().is_some_and(|key| is_key(&key)) {
        true => Ok(()),
        false => Err(Refusal::Unauthorised),
    }
}

/// The value of a cookie, if it could be an identifier of ours.
fn cookie_value<'a>(cookies: &'a str, name: &str) -> Option<&'a str> {
    let pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.into_iter().find(|(key, _)| *key == name)?.1;
    let legal = value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    (legal && !value.is_empty() && value.len() <= LONGEST_ID).then_some(value)
}

impl Cookie {
    fn header(&self, id: &str) -> Option<HeaderValue> {
        let seconds = u64::from(self.days) * 86_400;
        let domain = self
            .domain
            .as_ref()
            .map(|domain| format!("; Domain={domain}"))
            .unwrap_or_default();
        let name = &self.name;
        let text = format!("{name}={id}; Max-Age={seconds}; Path=/{domain}; Secure; HttpOnly; SameSite=None");
        text.parse().ok()
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Answer::Text(text) => text.into_response(),
            Answer::Pixel => ([(header::CONTENT_TYPE, "image/gif")], PIXEL).into_response(),
            Answer::Nothing => StatusCode::NO_CONTENT.into_response(),
            Answer::Json(value) => ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let plain = |status, text: &'static str| (status, text).into_response();
        let later =
            |status, seconds, text: &'static str| (status, [(header::RETRY_AFTER, seconds)], text).into_response();
        match self {
            Refusal::NotFound => plain(StatusCode::NOT_FOUND, "no stream takes hits here"),
            Refusal::Method => plain(StatusCode::METHOD_NOT_ALLOWED, "not with this method"),
            Refusal::Forbidden => plain(StatusCode::FORBIDDEN, "not from this origin"),
            Refusal::Unauthorised => plain(StatusCode::UNAUTHORIZED, "the write key is wrong"),
            Refusal::TooLarge => plain(StatusCode::PAYLOAD_TOO_LARGE, "too large"),
            Refusal::Encoding => plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "gzip is the only encoding that is read",
            ),
            Refusal::Broken => plain(StatusCode::BAD_REQUEST, "the body cannot be read"),
            Refusal::Busy => later(StatusCode::TOO_MANY_REQUESTS, BUSY, "too much at once"),
            Refusal::Unavailable => later(StatusCode::SERVICE_UNAVAILABLE, BROKEN, "it cannot be kept now"),
        }
    }
}
