//! The chain and its customers: everything that can be asked about them without remembering anything.

use super::catalogue::Catalogue;
use super::random::{Random, Shuffle, Topic};
use super::stores::{Store, stores};

/// What is fixed by the seed and the number of customers.
#[derive(Debug)]
pub struct World {
    /// Where every stream of numbers starts.
    pub seed: u64,
    /// How many persons there are; they count from 0.
    pub customers: u64,
    /// What is sold.
    pub catalogue: Catalogue,
    /// Where it is sold.
    pub stores: Vec<Store>,
    /// Person and card ↔ position in the order of card numbers.
    pub card_numbers: Shuffle,
    /// Person and account ↔ position in the order of account numbers.
    pub account_numbers: Shuffle,
    /// Person ↔ number in the e-mail address.
    pub email_numbers: Shuffle,
    /// Person → last seven digits of the telephone.
    pub phone_numbers: Shuffle,
}

/// How many cards, and how many accounts, one person can have.
pub const RECORDS_PER_PERSON: u64 = 2;

impl World {
    /// The world of `customers` persons that grows from `seed`.
    pub fn new(customers: u32, seed: u64) -> Self {
        let customers = u64::from(customers);
        let records = customers * RECORDS_PER_PERSON;
        Self {
            seed,
            customers,
            catalogue: Catalogue::new(seed),
            stores: stores(seed),
            card_numbers: Shuffle::new(seed, Topic::CardNumber, records),
            account_numbers: Shuffle::new(seed, Topic::AccountNumber, records),
            email_numbers: Shuffle::new(seed, Topic::EmailNumber, customers * 2),
            phone_numbers: Shuffle::new(seed, Topic::PhoneNumber, 10_000_000),
        }
    }

    /// The stream of numbers for `topic` and its keys.
    pub fn random<const N: usize>(&self, topic: Topic, keys: [u64; N]) -> Random {
        Random::new(self.seed, topic, keys)
    }
}
