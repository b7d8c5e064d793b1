//! Who is calling: passwords at the handshake, signed tokens after it.

pub(crate) mod authenticator;
pub(crate) mod password;
pub(crate) mod signature;
pub(crate) mod token;

pub use password::hash_password;
