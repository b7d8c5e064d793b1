//! Pseudo-random numbers that depend on nothing but the seed and what they are drawn for.
//!
//! Every person, visit or product draws from a stream of its own, found by (seed, topic, keys), so nothing has to
//! be remembered between two places that need the same draw. The generators of the `rand` crate do not promise the
//! same numbers in another version or on another machine; SplitMix64 (Steele, Lea, Flood 2014) is fixed for good.

/// What numbers are drawn for: one stream a topic and key.
#[derive(Debug, Clone, Copy)]
pub enum Topic {
    /// When a person comes, how often, and when they stop.
    Life = 1,
    /// Name, birth, contact data.
    Person,
    /// What two persons of one household share.
    Household,
    /// Where somebody lives, before and after moving.
    Address,
    /// Which products somebody likes.
    Taste,
    /// On which day of a period somebody shops.
    Rhythm,
    /// What happens on one visit.
    Visit,
    /// A session that only looks around.
    Browse,
    /// What one visit buys.
    Basket,
    /// How one record of a person differs from the truth.
    Misspelling,
    /// What somebody agreed to.
    Consent,
    /// Cookies.
    Device,
    /// Prices and promotions.
    Price,
    /// Where the stores are.
    Store,
    /// The order of card numbers.
    CardNumber,
    /// The order of shop accounts.
    AccountNumber,
    /// The number in an e-mail address.
    EmailNumber,
    /// The order of telephone numbers.
    PhoneNumber,
}

/// A stream of numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream for `topic` and its keys.
    pub fn new<const N: usize>(seed: u64, topic: Topic, keys: [u64; N]) -> Self {
        let start = scramble(seed ^ (topic as u64).wrapping_mul(GOLDEN));
        Self(
            keys.into_iter()
                .fold(start, |state, key| scramble(state ^ key.wrapping_mul(GOLDEN))),
        )
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        scramble(self.0)
    }

    /// A number below `limit`; 0 when `limit` is 0.
    pub fn below(&mut self, limit: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(limit)) >> 32) as u32
    }

    /// A number from `low` to `high`, both possible.
    pub fn between(&mut self, low: i32, high: i32) -> i32 {
        low + self.below((high - low + 1).max(0) as u32) as i32
    }

    /// True in `per_thousand` of a thousand cases.
    pub fn chance(&mut self, per_thousand: u32) -> bool {
        self.below(1000) < per_thousand
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u32) as usize]
    }

    /// An index of `weights`, each as likely as its weight.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, &weight) in weights.iter().enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
        }
        weights.len().saturating_sub(1)
    }
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's finaliser: every input bit changes about half of the output bits.
fn scramble(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A shuffle of `0..size` that is computed, not stored: a four-round Feistel network that walks past the numbers
/// outside the range. It gives systems numbers of their own, in an order that says nothing about the person.
#[derive(Debug, Clone)]
pub struct Shuffle {
    size: u64,
    half_bits: u32,
    keys: [u64; 4],
}

impl Shuffle {
    /// The shuffle of `0..size` for `topic`.
    pub fn new(seed: u64, topic: Topic, size: u64) -> Self {
        let bits = u64::BITS - size.saturating_sub(1).leading_zeros();
        let mut random = Random::new(seed, topic, [size]);
        Self {
            size,
            half_bits: bits.div_ceil(2).max(1),
            keys: [(); 4].map(|()| random.bits()),
        }
    }

    /// How many numbers are shuffled.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where `index` is after the shuffle.
    pub fn position(&self, index: u64) -> u64 {
        self.walk(index, |shuffle, x| {
            shuffle.keys.iter().fold(x, |x, key| {
                let (left, right) = shuffle.split(x);
                shuffle.join(right, left ^ shuffle.round(right, *key))
            })
        })
    }

    /// Which index the shuffle puts at `position`.
    pub fn index(&self, position: u64) -> u64 {
        self.walk(position, |shuffle, x| {
            shuffle.keys.iter().rev().fold(x, |x, key| {
                let (left, right) = shuffle.split(x);
                shuffle.join(right ^ shuffle.round(left, *key), left)
            })
        })
    }

    fn walk(&self, start: u64, step: impl Fn(&Self, u64) -> u64) -> u64 {
        debug_assert!(start < self.size);
        let mut at = step(self, start);
        while at >= self.size {
            at = step(self, at);
        }
        at
    }

    fn split(&self, x: u64) -> (u64, u64) {
        (x >> self.half_bits, x & self.mask())
    }

    fn join(&self, left: u64, right: u64) -> u64 {
        (left << self.half_bits) | right
    }

    fn round(&self, half: u64, key: u64) -> u64 {
        scramble(half ^ key) & self.mask()
    }

    fn mask(&self) -> u64 {
        (1 << self.half_bits) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_a_bijection_with_an_inverse() {
        for size in [1, 2, 3, 100, 1_000, 4_097] {
            let shuffle = Shuffle::new(7, Topic::CardNumber, size);
            let mut seen = vec![false; size as usize];
            for index in 0..size {
                let position = shuffle.position(index);
                assert!(
                    !std::mem::replace(&mut seen[position as usize], true),
                    "{position} twice of {size}"
                );
                assert_eq!(shuffle.index(position), index);
            }
        }
    }

    #[test]
    fn a_shuffle_keeps_no_order() {
        let shuffle = Shuffle::new(1, Topic::AccountNumber, 10_000);
        let rising = (1..10_000)
            .filter(|&i| shuffle.position(i) > shuffle.position(i - 1))
            .count();
        assert!((4_500..5_500).contains(&rising), "{rising} neighbours keep their order");
    }

    #[test]
    fn draws_are_even_and_fixed_for_good() {
        let mut random = Random::new(42, Topic::Basket, [1, 2]);
        let mut counts = [0; 10];
        for _ in 0..100_000 {
            counts[random.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_eq!(
            Random::new(0, Topic::Life, [0]).bits(),
            Random::new(0, Topic::Life, [0]).bits()
        );
        assert_ne!(
            Random::new(0, Topic::Life, [0, 1]).bits(),
            Random::new(0, Topic::Life, [1, 0]).bits()
        );
    }
}
