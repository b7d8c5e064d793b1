//! Room for recursion: the parser and the planner call themselves once for each level of a statement, and a server's
//! threads have little stack.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The stack that the deepest statement needs. It is address space, of which only what is used becomes memory.
const NEEDED: usize = 64 << 20;

/// Runs it where there is stack enough for the deepest statement.
pub(super) fn large<T>(run: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(NEEDED / 2, NEEDED, run)
}

/// A future that runs where there is stack enough for the deepest statement.
pub(super) struct Large<'a, T>(Pin<Box<dyn Future<Output = T> + Send + 'a>>);

impl<'a, T> Large<'a, T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'a) -> Self {
        Large(Box::pin(future))
    }
}

impl<T> Future for Large<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        large(|| self.0.as_mut().poll(context))
    }
}
