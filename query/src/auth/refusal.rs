//! Why somebody is not let in, in words that tell nobody who there is.

use std::fmt;
use std::time::Duration;

use cordada_core::Error;

/// Why somebody is not let in.
#[derive(Debug)]
pub enum Refusal {
    /// No credentials came.
    Nobody,
    /// The user or the password is wrong: one answer for both.
    Password,
    /// The token is not one, is not this lake's, has expired, or stands for a login that is void.
    Token,
    /// The session of the token or the cookie was closed.
    Closed,
    /// The session of the cookie was not used for too long.
    Expired,
    /// The identity provider's token is not good: why.
    Jwt(String),
    /// The identity provider vouches for somebody who has no role here.
    NoRole,
    /// The certificate of the connection names nobody, or more than one.
    Certificate,
    /// Too many wrong passwords: the next guess is heard after this time.
    TooMany(Duration),
    /// Too many passwords wait to be verified.
    Busy,
    /// It cannot be found out now.
    Unknown(Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("this server wants a user and a password, or a token"),
            Self::Password => f.write_str("user or password is wrong"),
            Self::Token => f.write_str("the bearer token is unknown or has expired; log in again"),
            Self::Closed => f.write_str("the session was closed; log in again"),
            Self::Expired => f.write_str("the session has expired; connect again"),
            Self::Jwt(why) => write!(f, "the identity provider's token is refused: {why}"),
            Self::NoRole => {
                f.write_str("the identity provider's token gives no role here; ask whoever runs the server")
            }
            Self::Certificate => f.write_str("the certificate of this connection stands for no user"),
            Self::TooMany(wait) => {
                write!(f, "too many wrong passwords; try again in {} s", wait.as_secs() + 1)
            }
            Self::Busy => f.write_str("too many log in at once; try again"),
            Self::Unknown(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Unknown(error)
    }
}
