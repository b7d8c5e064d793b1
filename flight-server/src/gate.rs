//! Where every request passes: it is found out who sends it before anything else is done, and the client is given what
//! it is to show next time.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use cordada_query::auth::Gift;
use futures::FutureExt;
use futures::future::BoxFuture;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::header::{AUTHORIZATION, HeaderName, SET_COOKIE};
use tonic::codegen::http::{HeaderValue, Request, Response};
use tonic::server::NamedService;

use crate::authenticator::Authenticator;
use crate::peer::Peer;
use crate::sessions::Sessions;

/// The call with which a client logs in, and which nobody has to be known for.
const HANDSHAKE: &str = "/Handshake";

/// A service behind the gate. Its requests come with a [`Peer`] among their extensions, and get an
/// [`Identity`](crate::authenticator::Identity) unless they are about to log in.
#[derive(Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    authenticator: Arc<Authenticator>,
}

impl<S> Gate<S> {
    pub(crate) fn new(inner: S, authenticator: Arc<Authenticator>) -> Self {
        Self { inner, authenticator }
    }
}

impl<S: NamedService> NamedService for Gate<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Default,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The one that is ready goes with the request.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let authenticator = self.authenticator.clone();
        async move {
            let mut gift = None;
            if !request.uri().path().ends_with(HANDSHAKE) {
                let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
                let identity = match authenticator.identify(request.headers(), &peer).await {
                    Ok(identity) => identity,
                    Err(status) => return Ok(status.into_http()),
                };
                gift = identity.gift.clone();
                request.extensions_mut().insert(identity);
            }
            let Ok(mut response) = inner.call(request).await;
            if let Some((name, value)) = gift.and_then(header) {
                response.headers_mut().entry(name).or_insert(value);
            }
            Ok::<_, Infallible>(response)
        }
        .boxed()
    }
}

fn header(gift: Gift) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = match gift {
        Gift::Token(token) => (AUTHORIZATION, format!("Bearer {token}")),
        Gift::Cookie(cookie) => (SET_COOKIE, Sessions::cookie(&cookie)),
    };
    HeaderValue::try_from(value).ok().map(|value| (name, value))
}
