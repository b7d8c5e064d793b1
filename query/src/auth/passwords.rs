//! Verifying passwords: slow by design, so two at a time, on threads apart from those that answer, with a queue that is
//! bounded. A password that was verified a moment ago is recognised, a wrong one too, so that a dashboard's fifty
//! connections are one verification, and a pool that has an old password is one wrong guess.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cordada_core::threads::{blocking, locked};
use cordada_core::{Recent, Result};
use tokio::sync::Semaphore;

use super::password;
use super::refusal::Refusal;
use super::signature::{Tag, Tags};
use super::throttle::Throttle;

/// Passwords that are verified at the same time: each takes a core and 19 MiB for tens of milliseconds.
const PARALLEL: usize = 2;
/// Passwords that wait, in all and from one address: nobody's fill the queue. Those of a user that are the same are one.
const WAITING: usize = 1000;
const WAITING_FROM_ONE: usize = 250;
/// Credentials that are remembered as right, and as wrong.
const REMEMBERED: usize = 10_000;
/// No password is longer, in bytes.
const LONGEST: usize = 4096;
/// What is being done when a password cannot be verified.
const DOING: &str = "verifying a password";

/// Verifies passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    seen: Arc<Seen>,
    turns: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
}

/// How many wait with the same credentials, by where they come from.
type Waiting = HashMap<Option<IpAddr>, HashMap<Tag, usize>>;

/// What came out, by a tag of the credentials under a key that ends with the process.
#[derive(Debug)]
struct Seen {
    tags: Tags,
    right: Recent<Tag, ()>,
    wrong: Recent<Tag, ()>,
    throttle: Throttle,
    /// Wrong passwords since the process began.
    failures: AtomicU64,
}

/// Who says to be whom.
pub(crate) struct Attempt {
    /// The name that was typed.
    pub(crate) name: String,
    /// Whether there is such a user: what is logged must not repeat a name that is nobody's.
    pub(crate) is_user: bool,
    /// The password that was typed.
    pub(crate) password: String,
    /// What it is held against: the user's hash, or another's, so that a user who does not exist takes as long.
    pub(crate) hash: Option<String>,
    /// Where from.
    pub(crate) from: Option<IpAddr>,
}

impl Passwords {
    pub(crate) fn new(throttle: Throttle) -> Result<Self> {
        Ok(Self {
            seen: Arc::new(Seen {
                tags: Tags::new()?,
                right: Recent::new(REMEMBERED),
                wrong: Recent::new(REMEMBERED),
                throttle,
                failures: AtomicU64::new(0),
            }),
            turns: Arc::new(Semaphore::new(PARALLEL)),
            waiting: Mutex::default(),
        })
    }

    /// Whether the password is right.
    ///
    /// # Errors
    /// Why it is not, or is not verified.
    pub(crate) async fn verify(&self, attempt: Attempt) -> Result<(), Refusal> {
        if attempt.password.len() > LONGEST {
            return Err(Refusal::Password);
        }
        let tag = self
            .seen
            .tags
            .of(&[attempt.name.as_bytes(), b"\0", attempt.password.as_bytes()].concat());
        if let Some(seen) = self.seen.before(&attempt, &tag) {
            return seen;
        }
        let turn = {
            let _place = self.queue(attempt.from, tag)?;
            let turn = self.turns.clone().acquire_owned().await;
            turn.map_err(|_| cordada_core::Error::unavailable(DOING, "the server is closing"))?
        };
        // Others may have asked the same meanwhile, or guessed too often.
        if let Some(seen) = self.seen.before(&attempt, &tag) {
            return seen;
        }
        // The turn goes with the work: whoever leaves early neither frees it nor is spared the count.
        let seen = self.seen.clone();
        let is_right = blocking(DOING, move || {
            let _turn = turn;
            let hash = attempt.hash.as_deref();
            let matches = hash.is_some_and(|hash| password::verify(&attempt.password, hash));
            let is_right = matches && attempt.is_user;
            seen.record(&attempt, tag, is_right);
            Ok(is_right)
        });
        match is_right.await? {
            true => Ok(()),
            false => Err(Refusal::Password),
        }
    }

    fn queue(&self, from: Option<IpAddr>, tag: Tag) -> Result<Place<'_>, Refusal> {
        let mut waiting = locked(&self.waiting);
        let theirs = waiting.get(&from);
        let is_new = theirs.is_none_or(|theirs| !theirs.contains_key(&tag));
        let all = waiting.values().map(HashMap::len).sum::<usize>();
        if is_new && (theirs.map_or(0, HashMap::len) >= WAITING_FROM_ONE || all >= WAITING) {
            return Err(Refusal::Busy);
        }
        *waiting.entry(from).or_default().entry(tag).or_default() += 1;
        Ok(Place {
            waiting: &self.waiting,
            from,
            tag,
        })
    }
}

/// A place in the queue.
struct Place<'a> {
    waiting: &'a Mutex<Waiting>,
    from: Option<IpAddr>,
    tag: Tag,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = locked(self.waiting);
        let Some(theirs) = waiting.get_mut(&self.from) else {
            return;
        };
        let left = theirs.get(&self.tag).map_or(0, |count| count - 1);
        match left {
            0 => theirs.remove(&self.tag),
            left => theirs.insert(self.tag, left),
        };
        if theirs.is_empty() {
            waiting.remove(&self.from);
        }
    }
}

impl Seen {
    /// What is known of an attempt before it is verified.
    fn before(&self, attempt: &Attempt, tag: &Tag) -> Option<Result<(), Refusal>> {
        if self.wrong.get(tag).is_some() {
            return Some(Err(Refusal::Password));
        }
        if let Some(wait) = self.throttle.wait(&attempt.name, attempt.from) {
            return Some(Err(Refusal::TooMany(wait)));
        }
        self.right.get(tag).map(Ok)
    }

    fn record(&self, attempt: &Attempt, tag: Tag, is_right: bool) {
        if is_right {
            self.throttle.right(&attempt.name, attempt.from);
            self.right.insert(tag, (), 1);
            return;
        }
        self.wrong.insert(tag, (), 1);
        let in_a_row = self.throttle.wrong(&attempt.name, attempt.from);
        let all = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let user = if attempt.is_user { &attempt.name } else { "(nobody)" };
        let from = attempt.from.map(|from| from.to_string()).unwrap_or_default();
        match self.throttle.wait(&attempt.name, attempt.from) {
            Some(wait) => tracing::warn!(
                user,
                from,
                in_a_row,
                all,
                wait_seconds = wait.as_secs() + 1,
                "wrong passwords; the next guess has to wait"
            ),
            None => tracing::info!(user, from, in_a_row, all, "a wrong password"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::super::clock::tests::Hands;
    use super::*;
    use crate::auth::hash_password;

    fn attempt(hash: &str, name: &str, password: &str) -> Attempt {
        Attempt {
            name: name.to_owned(),
            is_user: name == "ana",
            password: password.to_owned(),
            hash: Some(hash.to_owned()),
            from: Some("192.0.2.1".parse().unwrap()),
        }
    }

    #[tokio::test]
    async fn guessing_ends_in_waiting_and_what_is_known_to_be_wrong_is_no_guess() {
        let (hands, hash) = (Hands::new(), hash_password("secret").unwrap());
        let passwords = Passwords::new(Throttle::new(hands.clock())).unwrap();
        for _ in 0..100 {
            // A pool with an old password: one guess, however often it comes.
            let wrong = passwords.verify(attempt(&hash, "ana", "old")).await;
            assert!(matches!(wrong, Err(Refusal::Password)));
        }
        passwords.verify(attempt(&hash, "ana", "secret")).await.unwrap();
        let mut heard = 0;
        for guess in 0..100 {
            match passwords.verify(attempt(&hash, "ana", &guess.to_string())).await {
                Err(Refusal::Password) => heard += 1,
                other => assert!(matches!(other, Err(Refusal::TooMany(_))), "{other:?}"),
            }
        }
        assert_eq!(heard, 5);
        assert!(matches!(
            passwords.verify(attempt(&hash, "ana", "secret")).await,
            Err(Refusal::TooMany(_))
        ));
        hands.pass(Duration::from_secs(1));
        passwords.verify(attempt(&hash, "ana", "secret")).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_is_nobody_even_with_the_password_that_they_are_held_against() {
        let hash = hash_password("secret").unwrap();
        let passwords = Passwords::new(Throttle::new(Hands::new().clock())).unwrap();
        let long = "x".repeat(LONGEST + 1);
        for (name, password) in [("bob", "secret"), ("", ""), ("ana", long.as_str())] {
            let refused = passwords.verify(attempt(&hash, name, password)).await;
            assert!(matches!(refused, Err(Refusal::Password)), "{name}");
        }
    }

    #[tokio::test]
    async fn whoever_leaves_is_counted_and_keeps_the_turn_until_it_is_over() {
        let hash = hash_password("secret").unwrap();
        let passwords = Passwords::new(Throttle::new(Hands::new().clock())).unwrap();
        for guess in 0..20 {
            let guess = guess.to_string();
            let mut leaving = Box::pin(passwords.verify(attempt(&hash, "ana", &guess)));
            // Polled until it has its turn, then dropped.
            let _ = futures::poll!(leaving.as_mut());
            drop(leaving);
            // All turns are free again once the work is done, whoever waits for it.
            drop(
                passwords
                    .turns
                    .acquire_many(u32::try_from(PARALLEL).unwrap())
                    .await
                    .unwrap(),
            );
        }
        let refused = passwords.verify(attempt(&hash, "ana", "secret")).await;
        assert!(matches!(refused, Err(Refusal::TooMany(_))), "{refused:?}");
        assert!(locked(&passwords.waiting).is_empty());
    }

    #[tokio::test]
    async fn the_queue_is_bounded_for_each_and_for_all() {
        let passwords = Passwords::new(Throttle::new(Hands::new().clock())).unwrap();
        let from = |host: u8| Some(IpAddr::from([192, 0, 2, host]));
        let tag = |number: usize| passwords.seen.tags.of(&number.to_le_bytes());
        let places: Vec<_> = (0..WAITING_FROM_ONE)
            .map(|number| passwords.queue(from(1), tag(number)).unwrap())
            .collect();
        assert!(matches!(passwords.queue(from(1), tag(WAITING)), Err(Refusal::Busy)));
        // A pool that opens hundreds of connections has one password, which is verified once.
        let pool: Vec<_> = (0..WAITING)
            .map(|_| passwords.queue(from(1), tag(0)).unwrap())
            .collect();
        drop(passwords.queue(from(2), tag(WAITING)).unwrap());
        drop((places, pool));
        assert!(locked(&passwords.waiting).is_empty());
        let hosts = (0..=u8::MAX).flat_map(|host| std::iter::repeat_n(host, WAITING / 200));
        let tagged = hosts.enumerate();
        let all: Vec<_> = tagged
            .map_while(|(number, host)| passwords.queue(from(host), tag(number)).ok())
            .collect();
        assert_eq!(all.len(), WAITING);
    }
}
