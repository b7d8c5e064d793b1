//! Text values: what type they could be ([`evidence`]), and how they are read into columns ([`build`]).

pub mod build;
pub mod evidence;
pub mod parse;
mod spelled;
pub mod time;
