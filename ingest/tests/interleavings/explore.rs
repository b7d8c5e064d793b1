//! The order of what actors ask of the store, decided one operation at a time; and which orders are tried.
//!
//! An actor goes on until it asks for something that others can notice. By itself each goes on to its end, one after the
//! other; a *deviation* is that another one gets the turn, that an actor is killed, or that an answer is lost. All orders
//! of few deviations are tried, and random ones of more: faults of two and three are where mistakes are (Musuvathi and
//! Qadeer, "Iterative context bounding").

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::turns::{Fate, TurnStore, Waiting};

/// What an actor does with its store.
pub(super) type Act<T> = Box<dyn FnOnce(Arc<dyn ObjectStore>) -> BoxFuture<'static, T> + Send>;

/// How one run ended.
pub(super) struct Run<T> {
    /// What each actor came to; `None` for one that was killed.
    pub(super) ended: Vec<Option<T>>,
    /// The actors to which something happened that they could not help.
    pub(super) hurt: Vec<bool>,
    /// What was done, in order.
    pub(super) trace: Trace,
}

/// What was done, in order.
#[derive(Default)]
pub(super) struct Trace(Vec<String>);

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// What can come next.
#[derive(Debug, Clone, Copy)]
struct Choice {
    actor: usize,
    fate: Fate,
    is_deviation: bool,
}

/// Which of the choices to take.
trait Chooser {
    fn choose(&mut self, choices: &[Choice]) -> usize;
}

/// Lets the actors act on the store, each in a task, until all of them have ended.
async fn run<T: Send + 'static>(
    store: Arc<InMemory>,
    actors: Vec<(&'static str, Act<T>)>,
    chooser: &mut dyn Chooser,
) -> Run<T> {
    let (asks, mut asked) = mpsc::unbounded_channel();
    let (names, acts): (Vec<_>, Vec<_>) = actors.into_iter().unzip();
    let mut tasks = JoinSet::new();
    let mut run = Run {
        ended: acts.iter().map(|_| None).collect(),
        hurt: vec![false; acts.len()],
        trace: Trace::default(),
    };
    let mut waiting: BTreeMap<usize, Waiting> = BTreeMap::new();
    // One after the other comes to its first operation.
    for (actor, act) in acts.into_iter().enumerate() {
        let own = Arc::new(TurnStore::new(store.clone(), actor, asks.clone()));
        tasks.spawn(async move { (actor, act(own).await) });
        settle(actor, &mut tasks, &mut asked, &mut waiting, &mut run).await;
    }
    let mut current = 0;
    while let Some((&first, _)) = waiting.iter().next() {
        let goes_on = waiting.contains_key(&current);
        let choices = choices(if goes_on { current } else { first }, goes_on, &waiting);
        let Choice { actor, fate, .. } = choices[chooser.choose(&choices)];
        current = actor;
        let Some(next) = waiting.remove(&actor) else {
            continue;
        };
        let said = match fate {
            Fate::Done => "",
            Fate::Killed => ": killed before it",
            Fate::Unanswered => ": done, and the answer lost",
            Fate::AskedTwice => ": done, and found to be there when asked again",
        };
        run.trace.0.push(format!("{}: {}{said}", names[actor], next.operation));
        run.hurt[actor] |= fate != Fate::Done;
        let killed = fate == Fate::Killed;
        // A task that ended meanwhile takes no turn.
        let _ = next.turn.send(fate);
        settle(actor, &mut tasks, &mut asked, &mut waiting, &mut run).await;
        while killed && waiting.remove(&actor).is_some() {
            settle(actor, &mut tasks, &mut asked, &mut waiting, &mut run).await;
        }
        if killed {
            run.ended[actor] = None;
        }
    }
    run
}

/// Waits until `actor` asks for its next operation, or has ended.
async fn settle<T: Send + 'static>(
    actor: usize,
    tasks: &mut JoinSet<(usize, T)>,
    asked: &mut mpsc::UnboundedReceiver<Waiting>,
    waiting: &mut BTreeMap<usize, Waiting>,
    run: &mut Run<T>,
) {
    loop {
        tokio::select! {
            biased;
            Some(next) = asked.recv() => {
                let settled = next.actor == actor;
                let other = waiting.insert(next.actor, next);
                assert!(other.is_none(), "an actor asks for one thing after the other: {other:?}");
                if settled {
                    return;
                }
            }
            Some(ended) = tasks.join_next() => {
                let (who, came_to) = ended.expect("an actor does not panic");
                run.ended[who] = Some(came_to);
                if who == actor {
                    return;
                }
            }
        }
    }
}

/// What can come next: that `current` goes on, that another one does, and what can become of it.
fn choices(current: usize, goes_on: bool, waiting: &BTreeMap<usize, Waiting>) -> Vec<Choice> {
    let choice = |actor, fate, is_deviation| Choice {
        actor,
        fate,
        is_deviation,
    };
    let mut choices = vec![choice(current, Fate::Done, false)];
    let others = waiting.keys().filter(|actor| **actor != current);
    choices.extend(others.map(|actor| choice(*actor, Fate::Done, goes_on)));
    choices.extend(waiting[&current].faults.iter().map(|fate| choice(current, *fate, true)));
    choices
}

/// Every order of so many deviations, depth first.
pub(super) struct Exhaustive {
    most: usize,
    /// The choices of the present run: which was taken, of which.
    path: Vec<(usize, Vec<Choice>)>,
    at: usize,
}

impl Exhaustive {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            path: Vec::new(),
            at: 0,
        }
    }

    /// Goes to the next order; false if that was the last.
    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((taken, of)) = self.path.pop() {
            let before = self.deviations();
            let next = (taken + 1..of.len()).find(|next| before + usize::from(of[*next].is_deviation) <= self.most);
            if let Some(next) = next {
                self.path.push((next, of));
                return true;
            }
        }
        false
    }

    fn deviations(&self) -> usize {
        self.path.iter().filter(|(taken, of)| of[*taken].is_deviation).count()
    }
}

impl Chooser for Exhaustive {
    fn choose(&mut self, choices: &[Choice]) -> usize {
        if self.at == self.path.len() {
            self.path.push((0, choices.to_vec()));
        }
        let (taken, of) = &self.path[self.at];
        assert_eq!(of.len(), choices.len(), "the same choices lead to the same place");
        self.at += 1;
        *taken
    }
}

/// A random order: about one deviation in so many operations.
struct Random {
    random: StdRng,
    rarity: u32,
}

impl Chooser for Random {
    fn choose(&mut self, choices: &[Choice]) -> usize {
        match self.random.random_ratio(1, self.rarity) {
            true => self.random.random_range(0..choices.len()),
            false => 0,
        }
    }
}

/// Which orders to try.
pub(super) struct Effort {
    /// All orders of so many deviations.
    pub(super) deviations: usize,
    /// So many random orders.
    pub(super) random: usize,
}

impl Effort {
    /// This much, or what the environment says: `INTERLEAVINGS=3,100000`.
    pub(super) fn or_more(self) -> Self {
        let Ok(said) = std::env::var("INTERLEAVINGS") else {
            return self;
        };
        let parsed = said
            .split_once(',')
            .and_then(|(deviations, random)| Some((deviations.parse().ok()?, random.parse().ok()?)));
        let (deviations, random) = parsed.expect("INTERLEAVINGS is two numbers: deviations,random orders");
        Self { deviations, random }
    }
}

/// Tries orders of the actors that `actors` gives for each run, on a copy of `start`, and holds each against `check`.
///
/// `check` gets the store as the actors left it, and says what is wrong.
pub(super) async fn explore<T: Send + 'static>(
    effort: Effort,
    start: &InMemory,
    actors: impl Fn() -> Vec<(&'static str, Act<T>)>,
    check: impl AsyncFn(Arc<InMemory>, &Run<T>) -> Result<(), String>,
) {
    let effort = effort.or_more();
    let seed: u64 = std::env::var("CORDADA_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("CORDADA_TEST_SEED={seed}");
    let attempt = async |chooser: &mut dyn Chooser, which: String| {
        let store = Arc::new(start.fork());
        let run = run(store.clone(), actors(), chooser).await;
        if let Err(wrong) = check(store, &run).await {
            panic!("{wrong}\n  in {which}:\n{}", run.trace);
        }
    };
    let mut exhaustive = Exhaustive::new(effort.deviations);
    let mut tried = 0;
    loop {
        tried += 1;
        attempt(
            &mut exhaustive,
            format!("order {tried} of {} deviations", effort.deviations),
        )
        .await;
        if !exhaustive.advance() {
            break;
        }
    }
    for number in 0..effort.random {
        let mut random = StdRng::seed_from_u64(seed ^ number as u64);
        let rarity = random.random_range(2..12);
        let mut random = Random { random, rarity };
        attempt(
            &mut random,
            format!("random order {number} of CORDADA_TEST_SEED={seed}"),
        )
        .await;
    }
    println!(
        "{tried} orders of at most {} deviations, {} random ones",
        effort.deviations, effort.random
    );
}
