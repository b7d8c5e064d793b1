//! Sources that are asked over HTTP, each described by a [`manifest`].

pub(crate) mod decode;
pub(crate) mod manifest;
pub(crate) mod moment;
pub(crate) mod template;
pub(crate) mod units;
