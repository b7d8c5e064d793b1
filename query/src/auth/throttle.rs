//! How often passwords may be guessed. Wrong ones are counted for a user at an address, for a user, and for an address;
//! some are free, then each doubles the time until the next is heard. Whoever logged in from an address before is only
//! held against what came from there for the same user, so that nobody locks out others who are known; what is counted
//! is forgotten after a while, so that nobody is locked out for ever. Tokens are not asked about at all.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::Duration;

use cordada_core::Recent;
use cordada_core::threads::locked;

use super::clock::Clock;

/// Users, addresses and pairs of them that are counted; those that were quiet for longest are forgotten first.
const COUNTED: usize = 50_000;
/// Users at addresses where they have logged in.
const KNOWN: usize = 10_000;
/// How long it takes until what was wrong is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60 * 60);
/// The time until the next guess after the first that is not free.
const FIRST: Duration = Duration::from_secs(1);

/// What wrong passwords cost.
struct Rule {
    /// How many are free.
    free: u32,
    /// The longest time until the next.
    longest: Duration,
}

/// For a user at an address.
const PAIR: Rule = Rule {
    free: 5,
    longest: Duration::from_secs(15 * 60),
};
/// For a user, from wherever: what guesses from many addresses meet.
const USER: Rule = Rule {
    free: 20,
    longest: Duration::from_secs(60),
};
/// For an address, whoever it guesses at: many users may share it.
const ADDRESS: Rule = Rule {
    free: 50,
    longest: Duration::from_secs(5 * 60),
};

/// Counts wrong passwords.
#[derive(Debug)]
pub(crate) struct Throttle {
    clock: Clock,
    /// Turns names into what is kept of them: people type passwords where their names belong.
    names: RandomState,
    counted: Recent<Who, Wrong>,
    known: Recent<(u64, Option<IpAddr>), ()>,
    counting: Mutex<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Pair(u64, Option<IpAddr>),
    User(u64),
    Address(Option<IpAddr>),
}

#[derive(Debug, Clone, Copy, Default)]
struct Wrong {
    count: u32,
    last: Duration,
}

impl Throttle {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            names: RandomState::new(),
            counted: Recent::new(COUNTED),
            known: Recent::new(KNOWN),
            counting: Mutex::default(),
        }
    }

    /// The time until a password of that user is heard from that address; `None` if it is now.
    pub(crate) fn wait(&self, user: &str, from: Option<IpAddr>) -> Option<Duration> {
        let (name, from) = (self.names.hash_one(user), from.map(network));
        let pair = self.left(Who::Pair(name, from), &PAIR);
        if self.known.get(&(name, from)).is_some() {
            return pair;
        }
        let others = [(Who::User(name), &USER), (Who::Address(from), &ADDRESS)];
        let others = others.into_iter().filter_map(|(who, rule)| self.left(who, rule));
        others.chain(pair).max()
    }

    /// A password was wrong; says how many were for that user at that address.
    pub(crate) fn wrong(&self, user: &str, from: Option<IpAddr>) -> u32 {
        let (name, from) = (self.names.hash_one(user), from.map(network));
        let _counting = locked(&self.counting);
        for who in [Who::User(name), Who::Address(from)] {
            self.count(who);
        }
        self.count(Who::Pair(name, from))
    }

    /// A password was right.
    pub(crate) fn right(&self, user: &str, from: Option<IpAddr>) {
        let (name, from) = (self.names.hash_one(user), from.map(network));
        let _counting = locked(&self.counting);
        // What others guess from this address is not made good by it.
        for who in [Who::User(name), Who::Pair(name, from)] {
            self.counted.remove(&who);
        }
        self.known.insert((name, from), (), 1);
    }

    fn count(&self, who: Who) -> u32 {
        let mut wrong = self.counted(who);
        wrong.count = wrong.count.saturating_add(1);
        wrong.last = self.clock.now();
        self.counted.insert(who, wrong, 1);
        wrong.count
    }

    fn counted(&self, who: Who) -> Wrong {
        let counted = self.counted.get(&who).unwrap_or_default();
        if self.clock.now().saturating_sub(counted.last) > FORGOTTEN {
            return Wrong::default();
        }
        counted
    }

    fn left(&self, who: Who, rule: &Rule) -> Option<Duration> {
        let wrong = self.counted(who);
        let doubled = wrong.count.checked_sub(rule.free)?;
        let delay = FIRST.saturating_mul(2_u32.saturating_pow(doubled)).min(rule.longest);
        let passed = self.clock.now().saturating_sub(wrong.last);
        delay.checked_sub(passed).filter(|left| !left.is_zero())
    }
}

/// The address as it is counted: somebody who has one address of IPv6 has all of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::clock::tests::Hands;
    use super::*;

    fn at(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    #[test]
    fn guesses_become_slower_and_are_forgotten() {
        let hands = Hands::new();
        let throttle = Throttle::new(hands.clock());
        let here = at("192.0.2.1");
        for _ in 0..PAIR.free {
            assert_eq!(throttle.wait("ana", here), None);
            throttle.wrong("ana", here);
        }
        for seconds in [1, 2, 4, 8] {
            assert_eq!(throttle.wait("ana", here), Some(Duration::from_secs(seconds)));
            hands.pass(Duration::from_secs(seconds));
            assert_eq!(throttle.wait("ana", here), None);
            throttle.wrong("ana", here);
        }
        assert_eq!(throttle.wait("bea", here), None, "others at the address");
        assert_eq!(throttle.wait("ana", at("192.0.2.2")), None, "the user elsewhere");
        for _ in 0..100 {
            throttle.wrong("ana", here);
        }
        assert_eq!(throttle.wait("ana", here), Some(PAIR.longest));
        hands.pass(FORGOTTEN + FIRST);
        assert_eq!(throttle.wait("ana", here), None);
    }

    #[test]
    fn a_right_password_makes_good_what_was_wrong_and_no_more() {
        let throttle = Throttle::new(Hands::new().clock());
        let here = at("192.0.2.1");
        for guess in 0..ADDRESS.free {
            throttle.wrong(&format!("user {guess}"), here);
        }
        assert!(
            throttle.wait("somebody", here).is_some(),
            "one password tried for many users"
        );
        throttle.right("ana", here);
        assert_eq!(
            throttle.wait("ana", here),
            None,
            "who is known there is not held against it"
        );
        assert!(throttle.wait("somebody", here).is_some());
        assert_eq!(throttle.wait("somebody", at("192.0.2.2")), None);
    }

    #[test]
    fn guesses_from_many_addresses_do_not_lock_out_who_is_known() {
        let hands = Hands::new();
        let throttle = Throttle::new(hands.clock());
        let home = at("192.0.2.1");
        throttle.right("ana", home);
        for host in 0..250_u32 {
            throttle.wrong("ana", at(&format!("198.51.100.{host}")));
        }
        assert_eq!(throttle.wait("ana", home), None);
        assert_eq!(throttle.wait("ana", at("203.0.113.1")), Some(USER.longest));
        assert_eq!(throttle.wait("bea", at("203.0.113.1")), None);
        hands.pass(USER.longest);
        assert_eq!(throttle.wait("ana", at("203.0.113.1")), None, "and nobody for ever");
    }

    #[test]
    fn a_network_is_one_address() {
        let throttle = Throttle::new(Hands::new().clock());
        for host in 0..PAIR.free {
            throttle.wrong("ana", at(&format!("2001:db8::{host:x}")));
        }
        assert!(throttle.wait("ana", at("2001:db8::ffff")).is_some());
        assert_eq!(throttle.wait("ana", at("2001:db8:0:1::1")), None);
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), at("192.0.2.1").unwrap());
    }
}
