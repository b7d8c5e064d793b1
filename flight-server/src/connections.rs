//! Connections: HTTP/2, over whatever carries bytes, each served by a task of its own.
//!
//! To make a small answer costs less than to hand it from task to task. So a request is answered where it was read, as far
//! as that is possible without waiting, and what a connection has to say goes out together ([`Gathered`]).

use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::{BoxFuture, poll_fn};
use futures::{FutureExt, Stream, StreamExt, TryFutureExt};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as Tower;
use tonic::codegen::http::header::CONTENT_TYPE;
use tonic::codegen::http::{HeaderMap, Method, Request, Response, StatusCode};
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::server::Connected;

use crate::gate::Gate;
use crate::gathered::Gathered;
use crate::peer::Peer;
use crate::self_woken::at_once;
use crate::uncopied::{Answer, Uncopied};

/// HTTP/2 windows for what clients send.
const WINDOW: u32 = 8 << 20;
/// How often an idle connection is asked whether its client is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long it may take to say so, and to greet in the first place.
const STILL_THERE: Duration = Duration::from_secs(20);
/// Bytes that every client greets with (RFC 9113, section 3.4).
const PREFACE: usize = 24;
/// Requests of a connection that may be under way at once: each takes memory, before it is known who asks.
const MOST_STREAMS: u32 = 256;
/// How long to wait when the system gives no connection: it has no room for more.
const NO_ROOM: Duration = Duration::from_millis(50);
/// The header with which a client says how long it waits.
const TIMEOUT: &str = "grpc-timeout";

/// Serves the connections that come in, until told to stop: Flight, and the other services. Then none comes in any more,
/// and those that are open end with the answers that they are giving.
pub(crate) async fn serve<IO>(
    incoming: impl Stream<Item = io::Result<IO>>,
    flight: Gate<Uncopied>,
    others: Routes,
    stop: CancellationToken,
) where
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    Peer: From<IO::ConnectInfo>,
{
    let others = others.prepare();
    let connections = TaskTracker::new();
    let serve = |io: IO| {
        let requests = Requests {
            peer: Peer::from(io.connect_info()),
            flight: flight.clone(),
            others: others.clone(),
        };
        serve_one(io, requests, stop.clone())
    };
    accept(incoming, &connections, &stop, serve).await;
    connections.close();
    connections.wait().await;
}

/// Takes in connections until told to stop, and with that gives the port back.
async fn accept<IO, F: Future<Output = ()> + Send + 'static>(
    incoming: impl Stream<Item = io::Result<IO>>,
    connections: &TaskTracker,
    stop: &CancellationToken,
    serve: impl Fn(IO) -> F,
) {
    let mut incoming = pin!(incoming.take_until(stop.cancelled()));
    while let Some(connection) = incoming.next().await {
        match connection {
            Ok(connection) => {
                connections.spawn(serve(connection));
            }
            Err(error) => {
                tracing::debug!(%error, "a connection does not come in");
                sleep(NO_ROOM).await;
            }
        }
    }
}

async fn serve_one<IO>(io: IO, requests: Requests, stop: CancellationToken)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let gathered = Gathered::new(io);
    let connection = http2::Builder::new(HereFirst)
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_streams(MOST_STREAMS)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(STILL_THERE)
        .serve_connection(TokioIo::new(gathered.clone()), requests);
    let (mut connection, mut told, mut is_told) = (pin!(connection), pin!(stop.cancelled()), false);
    let (mut late, mut has_greeted) = (pin!(sleep(STILL_THERE)), false);
    let served = poll_fn(|context| {
        if !is_told && told.as_mut().poll(context).is_ready() {
            is_told = true;
            connection.as_mut().graceful_shutdown();
        }
        let served = connection.as_mut().poll(context).map_err(io::Error::other);
        has_greeted = has_greeted || gathered.received() >= PREFACE;
        if !has_greeted && served.is_pending() && late.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match gathered.poll_send(context) {
            Poll::Ready(Err(error)) if served.is_pending() => Poll::Ready(Err(error)),
            _ => served,
        }
    });
    if let Err(error) = at_once(served).await {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Begins what it is given where it is given it, and makes a task of it if it has to wait.
#[derive(Clone)]
struct HereFirst;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for HereFirst {
    fn execute(&self, work: F) {
        let mut work = Box::pin(work);
        // Whoever is to be woken is the task, which asks again.
        let mut nobody = Context::from_waker(Waker::noop());
        // What panics ends itself and not its connection, as a task would.
        if let Ok(Poll::Pending) = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut nobody))) {
            tokio::spawn(work);
        }
    }
}

/// The requests of a connection, which go to the service whose name they have.
struct Requests {
    flight: Gate<Uncopied>,
    others: Routes,
    peer: Peer,
}

impl Service<Request<Incoming>> for Requests {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Answer>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if !is_grpc(&request) {
            let mut refused = Response::new(Answer::default());
            *refused.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return async { Ok(refused) }.boxed();
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer.clone());
        let most = most(request.headers());
        let service = request.uri().path().split('/').nth(1);
        let answer = if service == Some(Gate::<Uncopied>::NAME) {
            self.flight.clone().call(request)
        } else {
            let answer = self.others.clone().call(request);
            answer.map_ok(|answer| answer.map(Answer::Other)).boxed()
        };
        match most {
            None => answer,
            Some(most) => async move {
                let late = |_| Ok(Status::deadline_exceeded("the client waits no longer").into_http());
                timeout(most, answer).await.unwrap_or_else(late)
            }
            .boxed(),
        }
    }
}

/// Whether it is a request of gRPC, and not of a page in a browser, say.
fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    request.method() == Method::POST
        && content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// How long a client waits for the beginning of the answer, if it says so: up to eight digits and a unit, as gRPC has it
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
fn most(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.is_empty() || number.len() > 8 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 60 * 60),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;
    use tonic::codegen::http::HeaderValue;

    use super::*;

    #[test]
    fn clients_say_how_long_they_wait() {
        let most = |text: &'static str| {
            most(&HeaderMap::from_iter([(
                tonic::codegen::http::HeaderName::from_static(TIMEOUT),
                HeaderValue::from_static(text),
            )]))
        };
        assert_eq!(most("100m"), Some(Duration::from_millis(100)));
        assert_eq!(most("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(most("7u"), Some(Duration::from_micros(7)));
        for wrong in ["", "m", "7", "7x", "-7m", "123456789m", "7 m"] {
            assert_eq!(most(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_need_not_wait_is_done_at_once_and_the_rest_is_a_task() {
        let (done, go_on) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let count = || {
            let done = done.clone();
            move || done.fetch_add(1, Ordering::Relaxed)
        };
        let at_once = count();
        HereFirst.execute(async move {
            at_once();
        });
        assert_eq!(done.load(Ordering::Relaxed), 1);
        let (before, after, waits, ended) = (count(), count(), go_on.clone(), Arc::new(Notify::new()));
        let ends = ended.clone();
        HereFirst.execute(async move {
            before();
            waits.notified().await;
            after();
            ends.notify_one();
        });
        assert_eq!(done.load(Ordering::Relaxed), 2);
        go_on.notify_one();
        ended.notified().await;
        assert_eq!(done.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    #[allow(clippy::panic)]
    async fn what_panics_ends_alone() {
        HereFirst.execute(async { panic!("on purpose") });
    }
}
