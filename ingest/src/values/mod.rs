//! Text values: what type they could be ([`evidence`]), and how they are read into columns ([`build`]).

pub(crate) mod build;
pub(crate) mod evidence;
pub(crate) mod parse;
pub(crate) mod time;
