//! Work on several threads.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many threads can compute at once.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Does `work` for all numbers below `count`, and gives what it makes of them in their order.
pub(crate) fn each<T: Send>(count: usize, threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return made;
            }
            made.push((at, work(at)));
        }
    };
    let mut made: Vec<(usize, T)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(count)).map(|_| scope.spawn(work)).collect();
        let mut made = work();
        for thread in others {
            made.extend(thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        made
    });
    made.sort_unstable_by_key(|(at, _)| *at);
    made.into_iter().map(|(_, made)| made).collect()
}

/// Does `work` with each of `items`, on as many threads as there are `states`.
pub(crate) fn each_of<I: Iterator + Send, S: Send>(items: I, states: &mut [S], work: impl Fn(&mut S, I::Item) + Sync) {
    let items = Mutex::new(items);
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for state in states {
            let (next, work) = (&next, &work);
            scope.spawn(move || {
                while let Some(item) = next() {
                    work(state, item);
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once_and_given_in_order() {
        for threads in [1, 3, 50] {
            let squares: Vec<usize> = (0..20).map(|at| at * at).collect();
            assert_eq!(each(20, threads, |at| at * at), squares);
            let mut sums = vec![0; threads];
            each_of(0..20, &mut sums, |sum, item| *sum += item);
            assert_eq!(sums.iter().sum::<i32>(), 190);
        }
        assert!(each(0, 2, |at| at).is_empty());
    }

    #[test]
    #[should_panic(expected = "of a thread")]
    fn a_panic_is_not_lost() {
        each(8, 2, |at| assert_ne!(at, 5, "of a thread"));
    }
}
