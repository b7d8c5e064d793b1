//! Whose turn it is to compute: so many statements at once, and fair shares for those who wait.
//!
//! The next turn goes to the user who has the fewest, among those to the role that has the fewest, and then to whoever
//! has waited longest. A user never has more than so many turns, however many are free.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use cordada_core::threads::locked;
use cordada_core::{Error, Result};
use tokio::sync::oneshot;

use super::limits::Exceeded;

/// Who asks for a turn.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    /// The user, or the connection of somebody who did not log in.
    pub(crate) user: Arc<str>,
    /// The role whose share it is.
    pub(crate) role: Arc<str>,
    /// Turns that the user may have at once.
    pub(crate) most: usize,
}

/// Gives turns.
#[derive(Debug)]
pub(crate) struct Queue {
    turns: usize,
    most_waiting: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    by_user: HashMap<Arc<str>, usize>,
    by_role: HashMap<Arc<str>, usize>,
    entered: u64,
    /// In the order of their coming.
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    who: Who,
    come: oneshot::Sender<()>,
}

/// A turn, or a place among those who wait for one; dropped, it is the next one's.
#[derive(Debug)]
pub(crate) struct Turn {
    queue: Arc<Queue>,
    who: Who,
    number: u64,
}

impl Queue {
    /// So many turns at once, and so many who may wait.
    pub(crate) fn new(turns: usize, most_waiting: usize) -> Self {
        Self {
            turns,
            most_waiting,
            state: Mutex::default(),
        }
    }

    /// Waits for a turn. Whoever stops waiting is out of the queue.
    ///
    /// # Errors
    /// Failed, caused by [`Exceeded`]: too many wait already.
    pub(crate) async fn turn(self: &Arc<Self>, who: Who) -> Result<Turn> {
        let (turn, come) = self.enter(who)?;
        if let Some(come) = come {
            // The other end is in the queue that the turn holds on to: it is used before it is dropped.
            let _ = come.await;
        }
        Ok(turn)
    }

    /// The turn, and what says that it has come if it has not yet.
    fn enter(self: &Arc<Self>, who: Who) -> Result<(Turn, Option<oneshot::Receiver<()>>)> {
        let mut state = locked(&self.state);
        state.entered += 1;
        let number = state.entered;
        let come = if state.taken < self.turns && state.may_take(&who) {
            state.take(&who);
            None
        } else {
            let theirs = |waiting: &&Waiting| waiting.who.user == who.user;
            let waiting = state.waiting.len();
            // Whoever fills the queue must not keep the others from standing in it.
            if waiting >= self.most_waiting || 2 * state.waiting.values().filter(theirs).count() > self.most_waiting {
                return Err(too_many(waiting));
            }
            let (come, comes) = oneshot::channel();
            let who = who.clone();
            state.waiting.insert(number, Waiting { who, come });
            Some(comes)
        };
        let queue = self.clone();
        Ok((Turn { queue, who, number }, come))
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        locked(&self.state).waiting.len()
    }
}

impl State {
    fn may_take(&self, who: &Who) -> bool {
        self.of_user(who) < who.most
    }

    fn of_user(&self, who: &Who) -> usize {
        self.by_user.get(&who.user).copied().unwrap_or_default()
    }

    fn of_role(&self, who: &Who) -> usize {
        self.by_role.get(&who.role).copied().unwrap_or_default()
    }

    fn take(&mut self, who: &Who) {
        self.taken += 1;
        *self.by_user.entry(who.user.clone()).or_default() += 1;
        *self.by_role.entry(who.role.clone()).or_default() += 1;
    }

    fn give_back(&mut self, who: &Who) {
        self.taken -= 1;
        for (counts, name) in [(&mut self.by_user, &who.user), (&mut self.by_role, &who.role)] {
            if let Some(count) = counts.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(name);
                }
            }
        }
    }

    /// Gives the free turns to those who wait.
    fn call(&mut self, turns: usize) {
        while self.taken < turns {
            let may = self.waiting.iter().filter(|(_, waiting)| self.may_take(&waiting.who));
            let share = |(number, waiting): &(&u64, &Waiting)| {
                (self.of_user(&waiting.who), self.of_role(&waiting.who), **number)
            };
            let Some(number) = may.min_by_key(share).map(|(number, _)| *number) else {
                return;
            };
            if let Some(Waiting { who, come }) = self.waiting.remove(&number) {
                self.take(&who);
                // Whoever has just left gives the turn back in the same breath.
                let _ = come.send(());
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = locked(&self.queue.state);
        if state.waiting.remove(&self.number).is_none() {
            state.give_back(&self.who);
            state.call(self.queue.turns);
        }
    }
}

fn too_many(waiting: usize) -> Error {
    Error::failed(
        "waiting for a turn to run the query",
        "too many statements wait already",
    )
    .hint("ask again later, or have `statements` or `waiting` raised in `server: {limits: …}`")
    .with("waiting", waiting)
    .caused_by(Exceeded::Resources)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;

    fn who(user: &str, role: &str, most: usize) -> Who {
        Who {
            user: user.into(),
            role: role.into(),
            most,
        }
    }

    /// Asks for a turn, and stands in the queue if there is none.
    fn ask(queue: &Arc<Queue>, who: Who) -> BoxFuture<'static, Result<Turn>> {
        let queue = queue.clone();
        let mut turn = async move { queue.turn(who).await }.boxed();
        match (&mut turn).now_or_never() {
            Some(done) => async { done }.boxed(),
            None => turn,
        }
    }

    fn now(turn: &mut BoxFuture<'static, Result<Turn>>) -> Option<Turn> {
        turn.now_or_never().map(Result::unwrap)
    }

    #[test]
    fn the_user_with_the_fewest_turns_is_next_and_then_the_role() {
        let queue = Arc::new(Queue::new(3, 100));
        let mut held: Vec<_> = ["ana", "ana", "bob"]
            .map(|user| now(&mut ask(&queue, who(user, user, 9))).unwrap())
            .into();
        let mut ana = ask(&queue, who("ana", "ana", 9));
        let mut bob = ask(&queue, who("bob", "bob", 9));
        let mut crm = ask(&queue, who("eve", "bob", 9));
        let mut eve = ask(&queue, who("eve", "eve", 9));
        assert!(now(&mut ana).is_none() && now(&mut crm).is_none());
        assert_eq!(queue.waiting(), 4);
        // Eve has none; of her two, the one whose role has none goes first, though it came last.
        drop(held.remove(0));
        let of_eve = now(&mut eve).unwrap();
        assert!(now(&mut crm).is_none() && now(&mut bob).is_none());
        drop(held.remove(0));
        // Bob and Eve have one each, and so have their roles: whoever has waited longest.
        drop(now(&mut ana).unwrap());
        let of_bob = now(&mut bob).unwrap();
        drop((of_eve, of_bob, held));
        assert!(now(&mut crm).is_some() && queue.waiting() == 0);
    }

    #[test]
    fn nobody_has_more_turns_than_they_may() {
        let queue = Arc::new(Queue::new(4, 100));
        let held = [(); 3].map(|()| now(&mut ask(&queue, who("ana", "r", 3))).unwrap());
        let mut ana = ask(&queue, who("ana", "r", 3));
        assert!(now(&mut ana).is_none());
        assert!(now(&mut ask(&queue, who("bob", "r", 3))).is_some());
        drop(held);
        assert!(now(&mut ana).is_some());
    }

    #[test]
    fn whoever_leaves_is_out_of_the_queue() {
        let queue = Arc::new(Queue::new(1, 100));
        let held = now(&mut ask(&queue, who("ana", "r", 9))).unwrap();
        let mut waiting: Vec<_> = ["bob", "eve", "ana"].map(|user| ask(&queue, who(user, "r", 9))).into();
        drop(waiting.remove(0));
        assert_eq!(queue.waiting(), 2);
        drop(held);
        // Eve is called, and gone before she noticed: the turn is the next one's.
        drop(waiting.remove(0));
        drop(now(&mut waiting.remove(0)).unwrap());
        assert!(now(&mut ask(&queue, who("ana", "r", 9))).is_some());
    }

    #[test]
    fn the_queue_is_bounded_and_says_so() {
        let queue = Arc::new(Queue::new(1, 4));
        let held = now(&mut ask(&queue, who("ana", "r", 9))).unwrap();
        let refused = |user: &str| {
            let error = ask(&queue, who(user, "r", 9)).now_or_never().unwrap().unwrap_err();
            assert!(error.to_string().contains("`waiting`"), "{error}");
        };
        let mut waiting: Vec<_> = (0..3).map(|_| ask(&queue, who("ana", "r", 9))).collect();
        // More than half is hers; the others still find a place.
        refused("ana");
        waiting.push(ask(&queue, who("bob", "r", 9)));
        refused("bob");
        drop((held, waiting));
        assert_eq!(queue.waiting(), 0);
        assert!(now(&mut ask(&queue, who("ana", "r", 9))).is_some());
    }
}
