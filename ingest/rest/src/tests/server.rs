//! A server that answers what a test says, and remembers what it was asked.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, Request, Response};
use futures::future::BoxFuture;
use serde_json::Value as Json;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A request as it arrived.
pub(super) struct ReceivedRequest {
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl ReceivedRequest {
    /// A parameter of the query.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str, default: usize) -> usize {
        self.get(name).map_or(default, |value| value.parse().unwrap())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap()
    }

    /// A field of a form.
    pub(super) fn form(&self, name: &str) -> Option<String> {
        let mut fields = url::form_urlencoded::parse(self.body.as_bytes());
        fields
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// A server on this machine, until it is dropped.
pub(super) struct Server {
    pub(super) base: String,
    seen: Arc<Mutex<Vec<Arc<ReceivedRequest>>>>,
    _stop: DropGuard,
}

impl Server {
    /// A server that answers at once.
    pub(super) async fn new(answer: impl Fn(&ReceivedRequest) -> Response<Body> + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        Self::with(move |seen| {
            let answer = answer.clone();
            Box::pin(async move { answer(&seen) })
        })
        .await
    }

    /// A server whose answers take what they take.
    pub(super) async fn with(
        answer: impl Fn(Arc<ReceivedRequest>) -> BoxFuture<'static, Response<Body>> + Clone + Send + Sync + 'static,
    ) -> Self {
        let seen: Arc<Mutex<Vec<Arc<ReceivedRequest>>>> = Arc::default();
        let noted = seen.clone();
        let app = axum::Router::new().fallback(move |request: Request<Body>| {
            let (answer, noted) = (answer.clone(), noted.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let query = head.uri.query().unwrap_or_default();
                let seen = Arc::new(ReceivedRequest {
                    path: head.uri.path().to_owned(),
                    query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
                    headers: head.headers,
                    body: String::from_utf8(body.to_vec()).unwrap(),
                });
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
                answer(seen).await
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            let serving = axum::serve(listener, app).with_graceful_shutdown(stopped.cancelled_owned());
            serving.await.unwrap();
        });
        Self {
            base,
            seen,
            _stop: stop.drop_guard(),
        }
    }

    /// What it was asked so far.
    pub(super) fn seen(&self) -> Vec<Arc<ReceivedRequest>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a path was asked for.
    pub(super) fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path == path).count()
    }
}

/// JSON.
pub(super) fn json(body: Json) -> Response<Body> {
    reply(200, &[("content-type", "application/json")], body.to_string())
}

/// Any answer.
pub(super) fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}
