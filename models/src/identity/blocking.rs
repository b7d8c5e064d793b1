//! Which pairs of records are compared: those that share a block of one of several passes.
//!
//! Passes are chosen from the data at hand, and how many pairs they make is known, and bounded, before one is compared.

mod atoms;
mod blocks;
mod passes;

pub(crate) use self::blocks::{Scratch, for_each_pair, shares_block};
pub(crate) use self::passes::{Budget, Passes, choose};
