//! Threads for statements, apart from those that answer clients: each statement has a crew of its own, so that what never
//! yields holds up nobody else.
//!
//! A crew is taken for one statement and comes back when nothing of it is alive any more. What never ends keeps its crew,
//! and another takes its place, up to a bound.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cordada_core::threads::{self, locked};
use cordada_core::{Context, Error, Result};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// Threads of a crew that may wait for files at the same time.
const FILE_THREADS: usize = 16;
/// How often whoever waits for a crew looks whether one is through: none says so by itself.
const SETTLING: Duration = Duration::from_millis(5);

/// Crews of one kind.
#[derive(Debug)]
pub(crate) struct Crews {
    name: &'static str,
    /// Threads of a crew.
    threads: usize,
    /// Bytes of stack of each. It is address space, of which only what is used becomes memory.
    stack: usize,
    /// Crews that are kept while there is nothing to do.
    kept: usize,
    /// A permit for each crew that there may be.
    free: Arc<Semaphore>,
    /// Crews that may work on for statements that are over before nobody gets another.
    most_ending: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Crew>,
    /// Those whose statement is over, and something of it still alive.
    ending: Vec<(Crew, OwnedSemaphorePermit)>,
}

/// A crew that works for somebody; dropped, it comes back.
#[derive(Debug)]
pub struct Lease {
    /// Always there until it is dropped.
    crew: Option<(Crew, OwnedSemaphorePermit)>,
    handle: Handle,
    crews: Arc<Crews>,
}

/// A runtime that is dropped without waiting for it: it may be dropped by a thread that must not wait.
#[derive(Debug)]
struct Crew(Option<Runtime>);

impl Crews {
    /// Crews of so many threads with so much stack each; `kept` of them wait for work, and there may be `most`.
    pub(crate) fn new(name: &'static str, threads: usize, stack: usize, kept: usize, most: usize) -> Self {
        Self {
            name,
            threads,
            stack,
            kept,
            free: Arc::new(Semaphore::new(most)),
            most_ending: most,
            state: Mutex::default(),
        }
    }

    /// The same, of which no more than `most` may work on for statements that are over.
    pub(crate) fn with_most_ending(self, most: usize) -> Self {
        Self {
            most_ending: most,
            ..self
        }
    }

    /// A crew of one's own, as soon as there is one.
    ///
    /// # Errors
    /// Unavailable: the system gives no more threads.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease> {
        let permit = loop {
            self.settle();
            if self.ending() >= self.most_ending {
                sleep(SETTLING).await;
            } else if let Ok(permit) = timeout(SETTLING, self.free.clone().acquire_owned()).await {
                break permit.map_err(|_| Error::cancelled("waiting for a thread"))?;
            }
        };
        let idle = locked(&self.state).idle.pop();
        let crew = match idle {
            Some(crew) => crew,
            None => self.hire()?,
        };
        let handle = crew.handle().ok_or_else(|| Error::cancelled("waiting for a thread"))?;
        Ok(Lease {
            crew: Some((crew, permit)),
            handle,
            crews: self.clone(),
        })
    }

    /// Takes back the crews of which nothing is alive any more.
    pub(crate) fn settle(&self) {
        let ended: Vec<_> = {
            let mut state = locked(&self.state);
            state.ending.extract_if(.., |(crew, _)| crew.is_idle()).collect()
        };
        for (crew, permit) in ended {
            self.keep(crew);
            drop(permit);
        }
    }

    /// Whether there may be no more crews.
    pub(crate) fn are_exhausted(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// How many crews work for statements that are over.
    pub(crate) fn ending(&self) -> usize {
        locked(&self.state).ending.len()
    }

    fn hire(&self) -> Result<Crew> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(self.threads)
            .thread_name(self.name)
            .thread_stack_size(self.stack)
            .max_blocking_threads(FILE_THREADS)
            .enable_all()
            .build();
        Ok(Crew(Some(runtime.doing(|| "making threads for a query")?)))
    }

    fn keep(&self, crew: Crew) {
        let mut state = locked(&self.state);
        if state.idle.len() < self.kept {
            state.idle.push(crew);
        }
    }
}

impl Lease {
    /// Where to spawn what is to be done.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// How often each thread of a runtime went to sleep and woke up; while the number is even, it is awake.
pub(super) fn naps(threads: &Handle) -> Vec<u64> {
    let metrics = threads.metrics();
    (0..metrics.num_workers())
        .map(|worker| metrics.worker_park_unpark_count(worker))
        .collect()
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some((crew, permit)) = self.crew.take() else {
            return;
        };
        match crew.is_idle() {
            true => self.crews.keep(crew),
            false => locked(&self.crews.state).ending.push((crew, permit)),
        }
    }
}

impl Crew {
    fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }

    /// Whether nothing is left of what it did.
    fn is_idle(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|runtime| runtime.metrics().num_alive_tasks() == 0)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            threads::end(runtime);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt;

    use super::*;

    fn crews(most: usize) -> Arc<Crews> {
        Arc::new(Crews::new("test", 1, 1 << 20, 1, most))
    }

    #[tokio::test]
    async fn work_runs_on_threads_of_its_own_and_these_are_used_again() {
        let crews = crews(1);
        let mut names = Vec::new();
        for _ in 0..2 {
            let lease = crews.lease().await.unwrap();
            let here = || std::thread::current().id();
            let there = lease.handle().spawn(async move { here() }).await.unwrap();
            assert_ne!(there, std::thread::current().id());
            names.push(there);
            // The task is done and may not be gone yet.
            while !lease.crew.as_ref().unwrap().0.is_idle() {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(names[0], names[1]);
    }

    #[tokio::test]
    async fn what_never_yields_keeps_its_crew_and_nobody_elses() {
        let crews = Arc::new(Crews::new("test", 1, 1 << 20, 1, 9).with_most_ending(2));
        let (go_on, wait) = mpsc::channel::<()>();
        let stuck = crews.lease().await.unwrap();
        let (began, begins) = tokio::sync::oneshot::channel();
        let ended = stuck.handle().spawn(async move {
            began.send(()).unwrap();
            wait.recv()
        });
        begins.await.unwrap();
        drop(stuck);
        crews.settle();
        assert_eq!(crews.ending(), 1);
        let other = crews.lease().await.unwrap();
        assert_eq!(other.handle().spawn(async { 7 }).await.unwrap(), 7);
        drop(other);
        // One more that does not end, and nobody gets another crew: they would take all cores.
        let (also_go_on, also_wait) = mpsc::channel::<()>();
        let stuck = crews.lease().await.unwrap();
        let (began, begins) = tokio::sync::oneshot::channel();
        stuck.handle().spawn(async move {
            began.send(()).unwrap();
            also_wait.recv()
        });
        begins.await.unwrap();
        drop(stuck);
        assert!(crews.lease().now_or_never().is_none());
        drop(also_go_on);
        assert!(crews.lease().await.is_ok());
        drop(go_on);
        assert!(ended.await.unwrap().is_err());
        while crews.ending() > 0 {
            crews.settle();
            tokio::task::yield_now().await;
        }
        assert!(crews.lease().await.is_ok());
    }
}
