//! Asking web systems: logging in, staying within limits, trying again, reading what they answer.
//!
//! A [`system`] describes one. The [`engine`] sends what [`outgoing`] made of a request, whose texts are [`template`]s,
//! with credentials ([`auth`]), within limits ([`budget`]), again where it makes sense ([`verdict`], [`retry`]). An
//! [`answer`] is [`decode`]d into JSON whose records are found without being parsed.

pub mod answer;
mod ask;
mod auth;
mod budget;
pub mod client;
pub mod clock;
mod complaint;
pub mod decode;
pub mod engine;
pub mod moment;
pub mod outgoing;
mod retry;
pub mod system;
pub mod template;
pub mod values;
mod verdict;
