//! How alike two values of one kind are, as one of few levels.
//!
//! Every comparison is symmetric, and is of normalised values that differ: equal ones are the same value, and nobody
//! compares them.

mod dates;
mod levels;
mod numbers;
mod phonetic;
mod strings;
mod words;

pub(crate) use self::levels::{Level, compare};
pub(crate) use self::phonetic::skeleton;
