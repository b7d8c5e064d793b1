//! Arithmetic of numbers as PostgreSQL has it: what does not fit is an error and never wraps, nothing is divided by zero, and
//! decimals are divided with enough digits. The engine's own operators wrap, and keep four digits of a quotient.
//!
//! Each operator is a function, [`function::Arithmetic`], which the [`planner`] puts in place of the operator where a
//! statement is planned, so that all types are known from there on. What comes from elsewhere (a parameter whose type was
//! not known, a minus before an expression) is put right by the [`rule`].

mod decimals;
mod floats;
mod function;
mod guards;
mod literals;
mod mixed;
mod operation;
mod planner;
mod rule;
mod types;

pub(super) use decimals::fits;
pub(super) use function::{calculate, in_words};
pub(super) use guards::{Guards, may_fail, shielded};
pub(super) use mixed::DoublesAmongDecimals;
pub(super) use operation::Operation;
pub(super) use planner::Planner;
pub(super) use rule::CheckedArithmetic;
pub(super) use types::{DIGITS, decimal, is_number, operands, outcome};
