//! Values: what type texts could be ([`evidence`]), how they are read into columns ([`build`]), and how columns that
//! have types already are [`convert`]ed.

pub mod build;
pub mod convert;
pub mod evidence;
pub mod parse;
mod spelled;
pub mod time;
pub mod zones;
