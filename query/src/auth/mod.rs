//! Who asks, proved by a password, an API token, the certificate of the connection, a token of the identity provider,
//! or the token of a session that one of these began.
//!
//! [`Logins`] is what doors call. A password goes through `passwords`, which verifies few at a time, and `throttle`,
//! which makes guessing slow. The token of a session ([`Claims`](token::Claims), signed by `keyring`) says who began it
//! and how, and is good as long as that would still let in: `revocations` knows the sessions that were closed. What
//! has to outlive the process is in the lake's [`Vault`](cordada_lake::Vault).

mod accounts;
pub mod api_tokens;
mod clock;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used)]
pub mod fuzzing;
mod jwk;
mod jwt;
mod keyring;
mod logins;
pub(crate) mod password;
mod passwords;
mod provider;
mod refusal;
mod revocations;
mod signature;
mod throttle;
mod token;

pub use accounts::Principal;
pub use jwk::Algorithm;
pub use jwt::{Jwt, RoleClaim};
pub use keyring::{Keyring, LONGEST, Purpose};
pub use logins::{Authenticated, Gift, LoginSettings, Logins, Membership};
pub use password::hash_password;
pub use refusal::Refusal;
pub use signature::random_id;
pub use token::Proof;
