//! Text values: what type they could be ([`evidence`]), and how they are read into columns ([`build`]).

pub mod build;
pub mod evidence;
pub mod parse;
pub mod time;
pub mod zones;
