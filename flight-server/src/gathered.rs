//! A connection that is written to in few pieces: HTTP/2 hands over each frame by itself, and each would be a call of the
//! system and a packet.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use cordada_core::threads::locked;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are gathered at most: what is more than that goes out at once, and is not copied.
const MOST: usize = 64 << 10;
/// Pieces that are written in one call at most.
const PIECES: usize = 8;

/// A connection whose writes wait until [`Gathered::poll_send`], as far as there is room. Clones are the same connection.
#[derive(Debug)]
pub(crate) struct Gathered<IO>(Arc<Mutex<State<IO>>>);

#[derive(Debug)]
struct State<IO> {
    io: IO,
    waiting: BytesMut,
    received: usize,
}

impl<IO> Clone for Gathered<IO> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<IO: AsyncWrite + Unpin> Gathered<IO> {
    pub(crate) fn new(io: IO) -> Self {
        let waiting = BytesMut::new();
        Self(Arc::new(Mutex::new(State {
            io,
            waiting,
            received: 0,
        })))
    }

    /// Bytes that came.
    pub(crate) fn received(&self) -> usize {
        locked(&self.0).received
    }

    /// Sends what waits: to be called whenever nobody writes more for now.
    pub(crate) fn poll_send(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        locked(&self.0).poll_send(context)
    }
}

impl<IO: AsyncWrite + Unpin> State<IO> {
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(context, &self.waiting))?;
            self.sent(written)?;
        }
        Pin::new(&mut self.io).poll_flush(context)
    }

    /// So many bytes of those that wait are gone.
    fn sent(&mut self, bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.waiting.advance(bytes);
        Ok(())
    }

    /// Gathers the pieces if there is room for them, else writes what waits and as much of them as the connection takes.
    fn poll_write(&mut self, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        loop {
            if self.waiting.len() + bytes <= MOST {
                pieces.iter().for_each(|piece| self.waiting.extend_from_slice(piece));
                return Poll::Ready(Ok(bytes));
            }
            let mut all = [IoSlice::new(&[]); PIECES];
            all[0] = IoSlice::new(&self.waiting);
            let count = pieces.len().min(PIECES - 1);
            all[1..=count].copy_from_slice(&pieces[..count]);
            let written = ready!(Pin::new(&mut self.io).poll_write_vectored(context, &all[..=count]))?;
            let waited = written.min(self.waiting.len());
            if written == 0 || waited > 0 {
                self.sent(waited)?;
            }
            if written > waited {
                return Poll::Ready(Ok(written - waited));
            }
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Gathered<IO> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (mut state, before) = (locked(&self.0), to.filled().len());
        let read = Pin::new(&mut state.io).poll_read(context, to);
        state.received += to.filled().len() - before;
        read
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Gathered<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        locked(&self.0).poll_write(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        locked(&self.0).poll_write(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing: it is sent by [`Gathered::poll_send`], or when the connection is shut down.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = locked(&self.0);
        ready!(state.poll_send(context))?;
        Pin::new(&mut state.io).poll_shutdown(context)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::FutureExt;
    use futures::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn small_pieces_wait_and_go_together_in_their_order() {
        let (ours, mut theirs) = duplex(1 << 20);
        let mut gathered = Gathered::new(ours);
        for piece in ["one ", "two ", "three"] {
            gathered.write_all(piece.as_bytes()).await.unwrap();
            gathered.flush().await.unwrap();
        }
        let mut read = [0; 100];
        assert!(theirs.read(&mut read).now_or_never().is_none(), "nothing is sent yet");
        poll_fn(|context| gathered.poll_send(context)).await.unwrap();
        let bytes = theirs.read(&mut read).await.unwrap();
        assert_eq!(&read[..bytes], b"one two three");
        gathered.write_all(b"the end").await.unwrap();
        gathered.shutdown().await.unwrap();
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"the end");
    }

    #[tokio::test]
    async fn what_is_too_large_to_wait_goes_out_after_what_waits_however_slow_the_other_end() {
        let (ours, mut theirs) = duplex(1000);
        let mut gathered = Gathered::new(ours);
        let pieces: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n; usize::from(n) * 997]).collect();
        let sent = pieces.concat();
        let write = async {
            for pair in pieces.chunks(2) {
                let mut slices: Vec<_> = pair.iter().map(|piece| IoSlice::new(piece)).collect();
                let mut slices = &mut slices[..];
                while slices.iter().any(|slice| !slice.is_empty()) {
                    let written = gathered.write_vectored(slices).await.unwrap();
                    IoSlice::advance_slices(&mut slices, written);
                }
            }
            gathered.shutdown().await.unwrap();
        };
        let mut read = Vec::new();
        let (_, bytes) = futures::join!(write, theirs.read_to_end(&mut read));
        assert_eq!(bytes.unwrap(), sent.len());
        assert!(read == sent);
    }
}
