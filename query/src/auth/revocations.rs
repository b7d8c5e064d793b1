//! Sessions that were closed before their tokens expired. They are remembered until then, here and in the vault, so
//! that neither a restart nor another server of the lake takes such a token.
//!
//! Each process has files of its own in the vault, which only it writes: what several close at once goes into one file
//! at one time, and a full one is followed by the next.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use cordada_core::Result;
use cordada_core::threads::locked;
use cordada_lake::{Vault, VaultFile};
use prost::Message;

use super::clock::Clock;

/// Where they are in the vault.
const FOLDER: &str = "logins/closed";
/// Closed sessions that a file holds.
const FILE: usize = 4096;
/// Closed sessions of one user that are told apart; when there are more, all of the user's tokens until then are void,
/// which bounds what somebody can make the server remember and hurts nobody else.
const MOST_OF_A_USER: usize = 20_000;

/// The sessions that were closed.
#[derive(Debug)]
pub(crate) struct Revocations {
    vault: Option<Vault>,
    /// The process's part of the names of its files.
    process: String,
    clock: Clock,
    closed: Mutex<Closed>,
    /// What goes into the file that is being filled; whoever has it writes.
    file: tokio::sync::Mutex<File>,
}

#[derive(Debug, Default)]
struct Closed {
    by_user: HashMap<String, ClosedOfUser>,
    /// What no file has yet.
    unwritten: Vec<Entry>,
    /// The versions of the files of others as they were read.
    read: HashMap<String, String>,
}

#[derive(Debug, Default)]
struct ClosedOfUser {
    /// Sessions, and when the last of their tokens has expired.
    sessions: HashMap<String, u64>,
    /// Tokens that are not newer are void, until the time that comes second.
    before: (u64, u64),
}

#[derive(Debug, Default)]
struct File {
    number: u32,
    content: Content,
    /// Whether the vault does not have all of it.
    is_behind: bool,
}

/// A file.
#[derive(Clone, PartialEq, Message)]
struct Content {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<Entry>,
}

/// A session, or all of a user's before a time.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    user: String,
    /// Empty for all of them.
    #[prost(string, tag = "2")]
    session: String,
    /// Milliseconds since 1970 when nobody has to know it any more.
    #[prost(uint64, tag = "3")]
    expires: u64,
    /// For all of a user's: tokens issued after this time, in milliseconds since 1970, are good.
    #[prost(uint64, tag = "4")]
    before: u64,
}

impl Revocations {
    /// What the vault knows. `process` is the process's own name among those that share the vault.
    ///
    /// # Errors
    /// Unavailable: the vault cannot be read.
    pub(crate) async fn open(vault: Option<Vault>, process: String, clock: Clock) -> Result<Self> {
        let revocations = Self {
            vault,
            process,
            clock,
            closed: Mutex::default(),
            file: tokio::sync::Mutex::default(),
        };
        if let Some(vault) = &revocations.vault {
            revocations.follow(&vault.list(FOLDER).await?).await?;
        }
        Ok(revocations)
    }

    /// Whether a token is void, by its user, its session and when it was issued.
    pub(crate) fn has(&self, user: &str, session: &str, issued: u64) -> bool {
        let closed = locked(&self.closed);
        let of_user = closed.by_user.get(user);
        of_user.is_some_and(|closed| issued <= closed.before.0 || closed.sessions.contains_key(session))
    }

    /// Closes a session whose tokens have all expired at `expires`: at once here, and elsewhere once this returns.
    ///
    /// # Errors
    /// Unavailable: the vault cannot be written. Here the session is closed all the same.
    pub(crate) async fn add(&self, user: &str, session: &str, expires: u64) -> Result<()> {
        let entry = Entry {
            user: user.to_owned(),
            session: session.to_owned(),
            expires,
            before: 0,
        };
        {
            let mut closed = locked(&self.closed);
            let all = closed.take(&entry);
            let is_too_many = all >= MOST_OF_A_USER;
            closed.unwritten.push(entry);
            if is_too_many {
                let before = self.clock.millis();
                let entry = Entry {
                    user: user.to_owned(),
                    session: String::new(),
                    expires,
                    before,
                };
                closed.take(&entry);
                closed.unwritten.push(entry);
                tracing::warn!(
                    user,
                    "has closed too many sessions to tell them apart; all of them are closed"
                );
            }
        }
        self.write().await
    }

    async fn write(&self) -> Result<()> {
        let Some(vault) = &self.vault else {
            locked(&self.closed).unwritten.clear();
            return Ok(());
        };
        let mut file = self.file.lock().await;
        let new = std::mem::take(&mut locked(&self.closed).unwritten);
        if new.is_empty() && !file.is_behind {
            // Somebody else has written ours with theirs.
            return Ok(());
        }
        let now = self.clock.millis();
        file.is_behind = true;
        file.content.entries.retain(|entry| entry.expires > now);
        file.content.entries.extend(new);
        let name = format!("{FOLDER}/{}-{}", self.process, file.number);
        vault.write(&name, file.content.encode_to_vec()).await?;
        file.is_behind = false;
        if file.content.entries.len() >= FILE {
            *file = File {
                number: file.number.saturating_add(1),
                ..File::default()
            };
        }
        Ok(())
    }

    /// Reads what others have written, by a list of the vault; forgets and removes what has expired.
    ///
    /// # Errors
    /// Unavailable: the vault cannot be read.
    pub(crate) async fn follow(&self, files: &[VaultFile]) -> Result<()> {
        let Some(vault) = &self.vault else {
            return Ok(());
        };
        let now = self.clock.millis();
        let own = format!("{FOLDER}/{}-", self.process);
        let theirs = files
            .iter()
            .filter(|file| Self::is_file(&file.name) && !file.name.starts_with(&own));
        for file in theirs {
            if locked(&self.closed).read.get(&file.name) == Some(&file.version) {
                continue;
            }
            let Some(bytes) = vault.read(&file.name).await? else {
                continue;
            };
            let Ok(content) = Content::decode(bytes) else {
                tracing::warn!(file = file.name, "cannot be read as closed sessions; it is passed over");
                continue;
            };
            let mut closed = locked(&self.closed);
            for entry in &content.entries {
                closed.take(entry);
            }
            closed.read.insert(file.name.clone(), file.version.clone());
        }
        locked(&self.closed).forget(now, files);
        Ok(())
    }

    /// Removes the files in which everything has expired, whoever wrote them.
    ///
    /// # Errors
    /// Unavailable: the vault cannot be read.
    pub(crate) async fn clean(&self, files: &[VaultFile]) -> Result<()> {
        let Some(vault) = &self.vault else {
            return Ok(());
        };
        let now = self.clock.millis();
        let being_filled = format!("{FOLDER}/{}-{}", self.process, self.file.lock().await.number);
        for file in files.iter().filter(|file| Self::is_file(&file.name)) {
            if file.name == being_filled {
                continue;
            }
            let content = vault.read(&file.name).await?.map(Content::decode);
            // An empty one is about to be filled; one that cannot be read keeps nothing from anybody.
            let has_expired = |content: Content| {
                !content.entries.is_empty() && content.entries.iter().all(|entry| entry.expires <= now)
            };
            if content.and_then(|content| content.ok()).is_some_and(has_expired) {
                vault.remove(&file.name).await?;
            }
        }
        Ok(())
    }

    /// Whether a file of the vault holds closed sessions.
    pub(crate) fn is_file(name: &str) -> bool {
        name.strip_prefix(FOLDER).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl Closed {
    /// Takes an entry in; says how many sessions of its user are told apart.
    fn take(&mut self, entry: &Entry) -> usize {
        let of_user = self.by_user.entry(entry.user.clone()).or_default();
        if entry.session.is_empty() {
            of_user.before = of_user.before.max((entry.before, entry.expires));
            of_user.sessions.clear();
        } else {
            of_user.sessions.insert(entry.session.clone(), entry.expires);
        }
        of_user.sessions.len()
    }

    fn forget(&mut self, now: u64, files: &[VaultFile]) {
        self.by_user.retain(|_, of_user| {
            of_user.sessions.retain(|_, expires| *expires > now);
            !of_user.sessions.is_empty() || of_user.before.1 > now
        });
        let there: BTreeMap<_, _> = files.iter().map(|file| (file.name.as_str(), ())).collect();
        self.read.retain(|name, _| there.contains_key(name.as_str()));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use cordada_lake::{Lake, Settings};

    use super::super::clock::tests::Hands;
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    async fn vault(folder: &tempfile::TempDir) -> Vault {
        let settings = Settings::default();
        let lake = Lake::open(folder.path().to_str().unwrap(), &settings);
        lake.await.unwrap().vault()
    }

    async fn opened(vault: &Vault, process: &str, hands: &Hands) -> Revocations {
        Revocations::open(Some(vault.clone()), process.to_owned(), hands.clock())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_is_closed_stays_closed_after_a_restart_and_elsewhere_until_it_has_expired() {
        let (folder, hands) = (tempfile::tempdir().unwrap(), Hands::new());
        let vault = vault(&folder).await;
        let (one, two) = (opened(&vault, "one", &hands).await, opened(&vault, "two", &hands).await);
        let expires = hands.clock().millis() + 86_400_000;
        let (a, b) = tokio::join!(one.add("ana", "a", expires), one.add("ana", "b", expires));
        a.unwrap();
        b.unwrap();
        for session in ["a", "b"] {
            assert!(one.has("ana", session, 0));
            assert!(!two.has("ana", session, 0), "not before it has looked");
        }
        two.follow(&vault.list("").await.unwrap()).await.unwrap();
        assert!(two.has("ana", "a", 0) && two.has("ana", "b", 0));
        assert!(!two.has("ana", "c", 1) && !two.has("bea", "a", 1));
        assert!(
            opened(&vault, "three", &hands).await.has("ana", "a", 0),
            "after a restart"
        );
        hands.pass(DAY);
        let files = vault.list("").await.unwrap();
        two.follow(&files).await.unwrap();
        assert!(!two.has("ana", "a", 1), "its tokens have expired by now");
        two.clean(&files).await.unwrap();
        assert_eq!(vault.list("").await.unwrap(), []);
    }

    #[tokio::test]
    async fn whoever_closes_too_many_closes_all_of_their_own() {
        let hands = Hands::new();
        let all = Revocations::open(None, "one".to_owned(), hands.clock()).await.unwrap();
        let now = hands.clock().millis();
        for session in 0..MOST_OF_A_USER {
            assert!(!all.has("ana", "another", now));
            all.add("ana", &session.to_string(), now + 1000).await.unwrap();
        }
        assert!(all.has("ana", "another", now) && all.has("ana", "0", now));
        assert!(!all.has("ana", "another", now + 1) && !all.has("bea", "another", now));
        assert_eq!(locked(&all.closed).by_user["ana"].sessions.len(), 0);
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_written_with_the_next() {
        let (folder, hands) = (tempfile::tempdir().unwrap(), Hands::new());
        let vault = vault(&folder).await;
        let one = opened(&vault, "one", &hands).await;
        let (closed, file) = (folder.path().join("_cordada/private/logins/closed"), "no folder");
        std::fs::create_dir_all(closed.parent().unwrap()).unwrap();
        std::fs::write(&closed, file).unwrap();
        let expires = hands.clock().millis() + 1000;
        one.add("ana", "a", expires).await.unwrap_err();
        assert!(one.has("ana", "a", 0), "closed here all the same");
        std::fs::remove_file(&closed).unwrap();
        one.add("ana", "b", expires).await.unwrap();
        assert!(opened(&vault, "two", &hands).await.has("ana", "a", 0));
    }
}
