//! Who is let in, by password or by a token that stands for one.

mod accounts;
pub(crate) mod password;
mod signature;
mod token;

pub use accounts::{Accounts, Principal};
pub use password::hash_password;
pub use signature::{Signer, random_id};
pub use token::{Claims, Tokens};
