//! Sessions: the options that a client set and expects to find again, after a restart of the server too. What is set is
//! in the lake's vault; what is not is nowhere, so that a session that sets nothing costs nothing.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cordada_core::threads::locked;
use cordada_lake::Vault;
use cordada_query::Recent;
use cordada_query::auth::{LONGEST, Logins};
use prost::Message;
use tokio::time::MissedTickBehavior;
use tonic::Status;
use tonic::codegen::http::HeaderMap;
use tonic::codegen::http::header::COOKIE;
use tonic::metadata::MetadataMap;

use crate::authenticator::Identity;
use crate::options::Options;
use crate::session_messages::{SessionOptionValue, SetSessionOptionsRequest};
use crate::status;

/// The cookie of clients that have no token: they keep it if they want a session.
const NAME: &str = "cordada_session";
/// Sessions whose options are in memory; those of others are read when they are asked for.
const CAPACITY: usize = 10_000;
/// Sessions with options of their own that one user may have; whoever has more loses the one that is idle for longest.
const MOST_OF_A_USER: usize = 1000;
/// How often those of long ago are looked for.
const CLEAN: Duration = Duration::from_secs(60 * 60);
/// Where they are in the vault.
const FOLDER: &str = "sessions";

/// All sessions that have set options.
#[derive(Debug)]
pub(crate) struct Sessions {
    known: Recent<String, Options>,
    /// For each user the sessions that have set options.
    own: Mutex<HashMap<String, HashSet<String>>>,
    vault: Option<Vault>,
}

/// A session as it is kept, in a file of its id.
#[derive(Clone, PartialEq, Message)]
struct Kept {
    #[prost(string, tag = "1")]
    user: String,
    #[prost(message, optional, tag = "2")]
    options: Option<SetSessionOptionsRequest>,
}

/// A session that has to be closed: it was not used for long, or its user has too many.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) user: String,
    pub(crate) session: String,
}

impl Sessions {
    /// Those in the vault; without one they end with the process.
    pub(crate) fn new(vault: Option<Vault>) -> Self {
        Self {
            known: Recent::new(CAPACITY),
            own: Mutex::default(),
            vault,
        }
    }

    /// The cookie of a session among the headers of a request.
    pub(crate) fn shown(headers: &HeaderMap) -> Option<&str> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
        let mut pairs = cookies
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == NAME).map(|(_, value)| value)
    }

    /// The header that gives a client its session.
    pub(crate) fn cookie(value: &str) -> String {
        format!("{NAME}={value}; Path=/; HttpOnly")
    }

    /// The header that takes it back.
    pub(crate) fn no_cookie() -> String {
        format!("{NAME}=; Path=/; HttpOnly; Max-Age=0")
    }

    /// The options of a request: its session's, and over them its headers'.
    pub(crate) async fn options(&self, identity: &Identity, headers: &MetadataMap) -> Result<Options, Status> {
        let options = match &identity.session {
            Some(session) => self.get(session).await?,
            None => Options::default(),
        };
        options.with_headers(headers)
    }

    /// The options that the session itself has.
    pub(crate) async fn get(&self, session: &String) -> Result<Options, Status> {
        if let Some(options) = self.known.get(session) {
            return Ok(options);
        }
        let kept = match &self.vault {
            Some(vault) => vault.read(&file(session)).await.map_err(|error| status::of(&error))?,
            None => None,
        };
        let mut options = Options::default();
        if let Some(kept) = kept.and_then(|kept| Kept::decode(kept).ok()) {
            for (name, value) in kept.options.unwrap_or_default().session_options {
                // An option that there is no more is one that nobody reads.
                let _ = options.set(&name, value.option_value.as_ref());
            }
        }
        self.known.insert(session.clone(), options.clone(), 1);
        Ok(options)
    }

    /// Keeps the options of a session; says which one has to end for it, if one has.
    pub(crate) async fn set(
        &self,
        identity: &Identity,
        session: &str,
        options: Options,
    ) -> Result<Option<Ended>, Status> {
        let user = &identity.principal.name;
        if let Some(vault) = &self.vault {
            let listed = options.list().into_iter();
            let listed = listed.map(|(name, value)| (name.to_owned(), SessionOptionValue { option_value: value }));
            let kept = Kept {
                user: user.clone(),
                options: Some(SetSessionOptionsRequest {
                    session_options: listed.collect(),
                }),
            };
            let written = vault.write(&file(session), kept.encode_to_vec()).await;
            written.map_err(|error| status::of(&error))?;
        }
        self.known.insert(session.to_owned(), options, 1);
        let mut own = locked(&self.own);
        let theirs = own.entry(user.clone()).or_default();
        theirs.insert(session.to_owned());
        if theirs.len() <= MOST_OF_A_USER {
            return Ok(None);
        }
        // The one that was not used for longest: not even in memory, or first there.
        let by_use = self.known.keys();
        let known: HashSet<_> = by_use.iter().collect();
        let forgotten = theirs.iter().find(|session| !known.contains(session));
        let idle = forgotten.or_else(|| by_use.iter().find(|session| theirs.contains(*session)));
        let idle = idle.cloned();
        Ok(idle.map(|session| Ended {
            user: user.clone(),
            session,
        }))
    }

    /// Forgets a session.
    pub(crate) async fn close(&self, user: &str, session: &String) {
        self.known.remove(session);
        let had_options = {
            let mut own = locked(&self.own);
            let had_options = own.get_mut(user).is_some_and(|theirs| theirs.remove(session));
            own.retain(|_, theirs| !theirs.is_empty());
            had_options
        };
        // One of before a restart is removed once it is old: nobody can ask for it.
        if let Some(vault) = self.vault.as_ref().filter(|_| had_options)
            && let Err(error) = vault.remove(&file(session)).await
        {
            tracing::warn!(%error, "cannot remove the options of a session that was closed");
        }
    }

    /// Ends, again and again, what was set long ago, until it is dropped.
    pub(crate) async fn follow(&self, logins: &Logins) -> Infallible {
        let mut ticks = tokio::time::interval(CLEAN);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.expire().await {
                Ok(ended) => {
                    for Ended { user, session } in ended {
                        self.known.remove(&session);
                        logins.close(&user, &session).await;
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot remove the options of old sessions"),
            }
        }
    }

    /// Removes what was set so long ago that no token of then is good; those sessions have to end.
    pub(crate) async fn expire(&self) -> cordada_core::Result<Vec<Ended>> {
        let Some(vault) = &self.vault else {
            return Ok(Vec::new());
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut ended = Vec::new();
        for old in vault.list(FOLDER).await? {
            let written = Duration::from_millis(u64::try_from(old.written).unwrap_or_default());
            if now.saturating_sub(written) < LONGEST {
                continue;
            }
            let kept = vault.read(&old.name).await?.and_then(|kept| Kept::decode(kept).ok());
            let session = old.name.rsplit('/').next().unwrap_or_default().to_owned();
            if let Some(Kept { user, .. }) = kept {
                ended.push(Ended { user, session });
            }
            vault.remove(&old.name).await?;
        }
        Ok(ended)
    }
}

fn file(session: &str) -> String {
    format!("{FOLDER}/{session}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use cordada_lake::{Lake, Settings};
    use cordada_query::auth::Principal;

    use super::*;

    fn identity(session: &str) -> Identity {
        Identity {
            principal: Arc::new(Principal::anonymous()),
            session: Some(session.to_owned()),
            gift: None,
        }
    }

    async fn vault(folder: &tempfile::TempDir) -> Option<Vault> {
        let settings = Settings::default();
        let lake = Lake::open(folder.path().to_str().unwrap(), &settings);
        Some(lake.await.unwrap().vault())
    }

    fn in_staging() -> Options {
        Options {
            schema: "staging".to_owned(),
            ..Options::default()
        }
    }

    #[tokio::test]
    async fn options_outlive_the_process_and_end_with_the_session() {
        let folder = tempfile::tempdir().unwrap();
        let (session, other) = ("a".to_owned(), "b".to_owned());
        let sessions = Sessions::new(vault(&folder).await);
        let none = sessions.set(&identity("a"), &session, in_staging()).await.unwrap();
        assert_eq!(none, None);
        let restarted = Sessions::new(vault(&folder).await);
        assert_eq!(restarted.get(&session).await.unwrap(), in_staging());
        assert_eq!(restarted.get(&other).await.unwrap(), Options::default());
        sessions.close("anonymous", &session).await;
        assert_eq!(
            Sessions::new(vault(&folder).await).get(&session).await.unwrap(),
            Options::default()
        );
        assert_eq!(sessions.expire().await.unwrap(), []);
    }

    #[tokio::test]
    async fn whoever_has_too_many_loses_the_one_that_is_idle_for_longest() {
        let sessions = Sessions::new(None);
        for number in 0..MOST_OF_A_USER {
            let name = number.to_string();
            let ended = sessions.set(&identity(&name), &name, in_staging()).await.unwrap();
            assert_eq!(ended, None);
        }
        sessions.get(&"0".to_owned()).await.unwrap();
        let ended = sessions
            .set(&identity("more"), "more", in_staging())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(ended.session, "1");
        sessions.close("anonymous", &ended.session).await;
        let again = sessions
            .set(&identity("more"), "more", Options::default())
            .await
            .unwrap();
        assert_eq!(again, None);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "other=1; a=b".parse().unwrap());
        assert_eq!(Sessions::shown(&headers), None);
        headers.append(COOKIE, format!("c=d; {NAME}=x-y_z").parse().unwrap());
        assert_eq!(Sessions::shown(&headers), Some("x-y_z"));
        assert_eq!(Sessions::cookie("x").split(';').next(), Some("cordada_session=x"));
    }
}
