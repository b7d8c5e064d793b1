//! Work that wakes itself while it is done. A task that does so is put back into the queue, and another thread is woken to
//! take it from there, which costs more than to answer a small question; here it goes on at once.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

/// How often work goes on at once; after that it is the others' turn.
const MOST: usize = 16;

/// Nobody does the work: whoever wakes it wakes its task.
const ASLEEP: u8 = 0;
/// It is being done.
const AWAKE: u8 = 1;
/// It is being done, and was woken meanwhile.
const WOKEN: u8 = 2;

#[derive(Debug, Default)]
struct State {
    now: AtomicU8,
    task: AtomicWaker,
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken = self
            .now
            .compare_exchange(AWAKE, WOKEN, Ordering::AcqRel, Ordering::Acquire);
        if woken == Err(ASLEEP) {
            self.task.wake();
        }
    }
}

/// The work, which is done again at once if it wakes itself.
pub(crate) async fn at_once<F: Future>(work: F) -> F::Output {
    let mut work = pin!(work);
    let state = Arc::new(State::default());
    let waker = Waker::from(state.clone());
    poll_fn(|context| {
        state.task.register(context.waker());
        for _ in 0..MOST {
            state.now.store(AWAKE, Ordering::Release);
            if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(done);
            }
            let slept = state
                .now
                .compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
            if slept.is_ok() {
                return Poll::Pending;
            }
        }
        state.now.store(ASLEEP, Ordering::Release);
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Debug, Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Wakes itself so many times, and then is done.
    fn self_waking(times: usize) -> impl Future<Output = ()> {
        let mut left = times;
        poll_fn(move |context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    #[test]
    fn what_wakes_itself_goes_on_and_lets_others_have_their_turn() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut context = Context::from_waker(&waker);
        assert_eq!(pin!(at_once(self_waking(MOST - 1))).poll(&mut context), Poll::Ready(()));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        let mut long = pin!(at_once(self_waking(MOST + 1)));
        assert_eq!(long.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(long.as_mut().poll(&mut context), Poll::Ready(()));
    }

    #[tokio::test]
    async fn what_others_wake_goes_on() {
        let (send, receive) = oneshot::channel();
        let mut waits = Box::pin(at_once(receive));
        assert!((&mut waits).now_or_never().is_none());
        let waiting = tokio::spawn(waits);
        tokio::task::yield_now().await;
        assert!(send.send(7).is_ok());
        assert_eq!(waiting.await.ok(), Some(Ok(7)));
    }
}
