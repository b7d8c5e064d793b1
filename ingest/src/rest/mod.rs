//! Systems with an HTTP interface.

pub(crate) mod decode;
