//! Connections that nobody can hold for ever: so many at a time and a sender, and each makes progress or is closed.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use super::proxies::Proxies;
use super::senders::{SenderPlace, Senders};

/// How long a connection may wait for its next request: longer than the proxies in front of a collector keep theirs
/// (a minute), which would otherwise meet closed ones.
const IDLE: Duration = Duration::from_secs(75);

/// A listener that gives out so many connections at a time; others wait for the operating system to hand them over.
pub(super) struct LimitedListener {
    listener: TcpListener,
    connections: Arc<Semaphore>,
    senders: (Senders, Proxies),
    timeout: Duration,
}

impl LimitedListener {
    /// At most `connections`, each of whose requests may take as long as `timeout` to arrive and to be answered. Of one
    /// of the `senders` that has all that it may have, further ones are closed; those of a proxy are of many senders.
    pub(super) fn new(
        listener: TcpListener,
        connections: usize,
        senders: (Senders, Proxies),
        timeout: Duration,
    ) -> Self {
        let connections = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
        Self {
            listener,
            connections,
            senders,
            timeout,
        }
    }
}

impl Listener for LimitedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let Ok(permit) = self.connections.clone().acquire_owned().await else {
                // Nobody closes the semaphore.
                std::future::pending::<()>().await;
                continue;
            };
            // This is the listener of tokio, which waits when the process has no file descriptors left.
            let (stream, address) = Listener::accept(&mut self.listener).await;
            let (senders, proxies) = &self.senders;
            let place = match proxies.trusts(address.ip()) {
                true => None,
                false => match senders.enter(address.ip()) {
                    Some(place) => Some(place),
                    None => continue,
                },
            };
            if stream.set_nodelay(true).is_ok() {
                return (Connection::new(stream, self.timeout, (permit, place)), address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that fails when a request takes too long to arrive, or its answer to be taken.
pub(super) struct Connection {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    timeout: Duration,
    is_idle: bool,
    _room: Room,
}

/// What a connection takes up: one of all, and one of its sender's.
type Room = (OwnedSemaphorePermit, Option<SenderPlace>);

impl Connection {
    fn new(stream: TcpStream, timeout: Duration, room: Room) -> Self {
        Self {
            stream,
            deadline: Box::pin(tokio::time::sleep(timeout)),
            timeout,
            is_idle: false,
            _room: room,
        }
    }

    fn wait(&mut self, after: Duration) {
        self.deadline.as_mut().reset(Instant::now() + after);
    }

    fn pending<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Each answer that goes out, or part of it, ends the wait for the request.
    fn written(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            return self.pending(context);
        }
        self.is_idle = true;
        self.wait(IDLE);
        written
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if read.is_pending() {
            return this.pending(context);
        }
        // The first byte of a request starts its clock; those that follow do not wind it up again.
        if std::mem::take(&mut this.is_idle) {
            let timeout = this.timeout;
            this.wait(timeout);
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.written(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, bytes);
        this.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// The address of whoever opened a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Connected<IncomingStream<'_, LimitedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, LimitedListener>) -> Self {
        Peer(*stream.remote_addr())
    }
}
