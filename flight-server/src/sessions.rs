//! Sessions: the options that a client set and expects to find again.

use cordada_query::Recent;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::authenticator::Identity;
use crate::options::Options;

/// The cookie of clients that have no token: they keep it if they want a session.
const COOKIE: &str = "cordada_session";
/// Sessions with options of their own that are kept; a session that sets none costs nothing.
const CAPACITY: usize = 10_000;

/// All sessions that have set options.
#[derive(Debug)]
pub(crate) struct Sessions(Recent<Key, Options>);

/// Whose session, and which: a session is nobody else's, even if its id became known.
type Key = (String, String);

impl Sessions {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(Recent::new(CAPACITY))
    }

    /// The id of the session that a request belongs to: its token's, or its cookie's.
    pub(crate) fn id(identity: &Identity, headers: &MetadataMap) -> Option<String> {
        identity.session.clone().or_else(|| {
            let cookies = headers
                .get_all("cookie")
                .iter()
                .filter_map(|header| header.to_str().ok());
            let mut pairs = cookies
                .flat_map(|header| header.split(';'))
                .filter_map(|pair| pair.trim().split_once('='));
            pairs
                .find(|(name, _)| *name == COOKIE)
                .map(|(_, value)| value.to_owned())
        })
    }

    /// The header that gives a client its session.
    pub(crate) fn cookie(id: &str) -> String {
        format!("{COOKIE}={id}; Path=/; HttpOnly")
    }

    /// The options of a request: its session's, and over them its headers'.
    pub(crate) fn options(&self, identity: &Identity, headers: &MetadataMap) -> Result<Options, Status> {
        let session = Self::id(identity, headers).and_then(|id| self.0.get(&key(identity, id)));
        session.unwrap_or_default().with_headers(headers)
    }

    /// The options that the session itself has.
    pub(crate) fn get(&self, identity: &Identity, id: &str) -> Options {
        self.0.get(&key(identity, id.to_owned())).unwrap_or_default()
    }

    /// Keeps the options of a session.
    pub(crate) fn set(&self, identity: &Identity, id: &str, options: Options) {
        self.0.insert(key(identity, id.to_owned()), options, 1);
    }

    /// Forgets a session.
    pub(crate) fn close(&self, identity: &Identity, id: &str) {
        self.0.remove(&key(identity, id.to_owned()));
    }
}

fn key(identity: &Identity, id: String) -> Key {
    (identity.principal.name.clone(), id)
}
