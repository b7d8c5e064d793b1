//! Work on threads: blocking work beside async tasks, or in parallel with its results in order; locks on what stays
//! valid whatever panics.

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

use tokio::runtime::Runtime;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::{Error, Result};

/// Runs blocking work beside the async tasks; `doing` says what it is, for the error of one that panics.
///
/// # Errors
/// Those of `work`; internal if it panics.
pub async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| not_joined(doing, &error))?
}

/// Ends a runtime, wherever one must not wait: another thread waits for those of the runtime.
///
/// To shut it down in the background would let its threads go while they end, and glibc (2.36 at least) looks at such a
/// thread once more when it may have been freed. Where there is no thread to wait, those of the runtime stay.
pub fn end(runtime: Runtime) {
    let runtime = ManuallyDrop::new(runtime);
    let ending = std::thread::Builder::new().name("ending".to_owned());
    let _ = ending.spawn(move || drop(ManuallyDrop::into_inner(runtime)));
}

/// The error of a task that did not come to its end. Of a panic, which has been reported, nothing is repeated: its
/// message may quote a value.
pub fn not_joined(doing: impl Into<String>, error: &JoinError) -> Error {
    match error.is_panic() {
        true => Error::panicked(doing),
        false => Error::cancelled(doing),
    }
}

/// The guard of a lock whose data stay valid whatever panics: a cache, a counter.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does `work(0)` to `work(count - 1)` on `workers` threads and gives the results to `take`, in order.
///
/// Returns the first error of either; the workers stop then, or when `cancel` says so.
pub fn in_order<T: Send>(
    count: usize,
    workers: usize,
    cancel: &CancellationToken,
    work: impl Fn(usize) -> Result<T> + Sync,
    mut take: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    // Enough for every worker to be one result ahead; a slow taker slows the workers down.
    let (sender, receiver) = mpsc::sync_channel(2 * workers);
    std::thread::scope(|scope| {
        for _ in 0..workers.min(count) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let item = next.fetch_add(1, Ordering::Relaxed);
                    if item >= count || cancel.is_cancelled() || sender.send((item, work(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        // Dropped at the end of this closure, which makes the workers stop after an error.
        let receiver = receiver;
        let mut early = BTreeMap::new();
        let mut expected = 0;
        for (item, result) in &receiver {
            early.insert(item, result?);
            while let Some(result) = early.remove(&expected) {
                take(expected, result)?;
                expected += 1;
            }
        }
        if expected == count {
            Ok(())
        } else {
            Err(Error::cancelled("reading the files"))
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_runtime_ends_among_async_tasks() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
        let runtime = runtime.unwrap();
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        runtime.spawn(async move {
            std::future::pending::<()>().await;
            drop(sender);
        });
        end(runtime);
        assert!(receiver.await.is_err(), "its tasks are gone");
    }

    #[test]
    fn results_come_in_order() {
        let mut taken = Vec::new();
        let cancel = CancellationToken::new();
        in_order(
            100,
            4,
            &cancel,
            |item| Ok(item * 2),
            |item, double| {
                taken.push((item, double));
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(taken, (0..100).map(|item| (item, item * 2)).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_and_a_cancellation_end_it() {
        let cancel = CancellationToken::new();
        let failing = |item| {
            if item == 7 {
                Err(Error::failed("testing", "seven"))
            } else {
                Ok(())
            }
        };
        assert!(in_order(1000, 3, &cancel, failing, |_, ()| Ok(())).is_err());
        assert!(in_order(10, 3, &cancel, |_| Ok(()), |_, ()| Err(Error::failed("taking", "no"))).is_err());
        cancel.cancel();
        assert!(in_order(10, 3, &cancel, |_| Ok(()), |_, ()| Ok(())).is_err());
    }
}
