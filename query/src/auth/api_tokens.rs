//! API tokens: credentials for programs, each with a name, of one user, until it expires or is revoked. What is kept
//! is a hash, which is enough because nobody guesses 256 random bits; the token itself is shown once.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use cordada_core::{Error, Result, hex};
use cordada_lake::{Vault, VaultFile};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::clock::{Clock, millis};

/// How every token begins: scanners of secrets find it, and a door knows what it has before it.
const PREFIX: &str = "cordada_";
/// Where they are in the vault.
const FOLDER: &str = "logins/tokens";
/// The longest name.
const LONGEST_NAME: usize = 64;
/// How often an unknown token makes the server look for new ones.
const LOOK: Duration = Duration::from_secs(1);
/// What is being done when a token is managed.
const DOING: &str = "managing API tokens";

/// An API token as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub user: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it ends; never, if `None`.
    pub expires: Option<DateTime<Utc>>,
}

/// A token as it is kept, in a file of its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    user: String,
    /// Of the secret, in hexadecimal.
    sha256: String,
    /// Milliseconds since 1970.
    created: u64,
    /// Milliseconds since 1970.
    expires: Option<u64>,
}

/// Makes a token for that user; shows it this once.
///
/// # Errors
/// Config: the name is taken, or cannot be one. Unavailable: the vault cannot be written.
pub async fn create(vault: &Vault, name: &str, user: &str, lifetime: Option<Duration>) -> Result<String> {
    if !is_name(name) {
        return Err(Error::config(DOING, format!("`{name}` cannot be a token's name"))
            .hint("use lower-case letters, digits and hyphens, 64 at most"));
    }
    let mut secret = [0; 32];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| Error::failed(DOING, "the system gives no random numbers"))?;
    let (secret, created) = (hex::encode(&secret), Clock::of_the_wall().millis());
    let kept = Kept {
        user: user.to_owned(),
        sha256: hash(&secret),
        created,
        expires: lifetime.map(|lifetime| created.saturating_add(millis(lifetime))),
    };
    let content = serde_json::to_vec(&kept).map_err(|error| Error::failed(DOING, error))?;
    if !vault.create(&file(name), content).await? {
        return Err(Error::config(DOING, format!("there is a token `{name}`"))
            .hint("choose another name, or revoke that one first"));
    }
    Ok(format!("{PREFIX}{name}_{secret}"))
}

/// All tokens, by name.
///
/// # Errors
/// Unavailable: the vault cannot be read.
pub async fn list(vault: &Vault) -> Result<Vec<ApiToken>> {
    let kept = read(vault, &vault.list(FOLDER).await?).await?;
    let mut tokens: Vec<_> = kept
        .into_iter()
        .map(|(name, kept)| ApiToken {
            name,
            user: kept.user,
            created: time(kept.created),
            expires: kept.expires.map(time),
        })
        .collect();
    tokens.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(tokens)
}

/// Revokes a token; servers refuse it within seconds, and the sessions that it began.
///
/// # Errors
/// Config: there is none of that name. Unavailable: the vault cannot be written.
pub async fn revoke(vault: &Vault, name: &str) -> Result<()> {
    if is_name(name) && vault.remove(&file(name)).await? {
        return Ok(());
    }
    Err(Error::config(DOING, format!("there is no token `{name}`")).hint("`cordada token list` lists them"))
}

/// The tokens as a server knows them.
#[derive(Debug)]
pub(crate) struct ApiTokens {
    vault: Option<Vault>,
    wall: Clock,
    process: Clock,
    known: RwLock<Known>,
    /// When an unknown token last made it look.
    looked: tokio::sync::Mutex<Option<Duration>>,
}

/// The tokens by name, and the files that they were read from.
#[derive(Debug, Default)]
struct Known {
    tokens: HashMap<String, Kept>,
    files: Vec<VaultFile>,
}

/// A token that is good.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GoodToken {
    pub(crate) name: String,
    pub(crate) user: String,
    /// A trace of it: another token of the same name has another.
    pub(crate) stamp: Vec<u8>,
}

impl ApiTokens {
    /// Those in the vault.
    ///
    /// # Errors
    /// Unavailable: the vault cannot be read.
    pub(crate) async fn open(vault: Option<Vault>, wall: Clock, process: Clock) -> Result<Self> {
        let tokens = Self {
            vault,
            wall,
            process,
            known: RwLock::default(),
            looked: tokio::sync::Mutex::default(),
        };
        tokens.look().await?;
        Ok(tokens)
    }

    /// Whether a text looks like one.
    pub(crate) fn is_one(text: &str) -> bool {
        parse(text).is_some()
    }

    /// The token of that text, if it is good. One that is not known yet is looked for.
    ///
    /// # Errors
    /// Unavailable: the vault cannot be read.
    pub(crate) async fn check(&self, text: &str) -> Result<Option<GoodToken>> {
        let Some((name, secret)) = parse(text) else {
            return Ok(None);
        };
        let hash = hash(secret);
        if self.known(name).is_none_or(|kept| kept.sha256 != hash) {
            self.look_now_and_then().await?;
        }
        let kept = self
            .known(name)
            .filter(|kept| kept.sha256 == hash && self.is_current(kept));
        Ok(kept.map(|kept| GoodToken {
            name: name.to_owned(),
            stamp: stamp(&kept),
            user: kept.user,
        }))
    }

    /// Whether what a session was begun with is still good.
    pub(crate) fn is_still_good(&self, token: &GoodToken) -> bool {
        let kept = self.known(&token.name).filter(|kept| self.is_current(kept));
        kept.is_some_and(|kept| kept.user == token.user && stamp(&kept) == token.stamp)
    }

    /// Reads them again, if a list of the vault shows others than were read.
    ///
    /// # Errors
    /// Unavailable: the vault cannot be read.
    pub(crate) async fn follow(&self, files: &[VaultFile]) -> Result<()> {
        let is_one = |file: &&VaultFile| file.name.strip_prefix(FOLDER).is_some_and(|rest| rest.starts_with('/'));
        let mut files: Vec<_> = files.iter().filter(is_one).cloned().collect();
        sort(&mut files);
        let is_known = files == self.known.read().unwrap_or_else(PoisonError::into_inner).files;
        if is_known { Ok(()) } else { self.look().await }
    }

    async fn look(&self) -> Result<()> {
        if let Some(vault) = &self.vault {
            let mut files = vault.list(FOLDER).await?;
            sort(&mut files);
            let tokens = read(vault, &files).await?;
            *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known { tokens, files };
        }
        Ok(())
    }

    async fn look_now_and_then(&self) -> Result<()> {
        let mut looked = self.looked.lock().await;
        let now = self.process.now();
        if looked.is_some_and(|at| now.saturating_sub(at) < LOOK) {
            return Ok(());
        }
        *looked = Some(now);
        self.look().await
    }

    fn known(&self, name: &str) -> Option<Kept> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.tokens.get(name).cloned()
    }

    fn is_current(&self, kept: &Kept) -> bool {
        kept.expires.is_none_or(|expires| expires > self.wall.millis())
    }
}

fn sort(files: &mut [VaultFile]) {
    files.sort_by(|one, other| one.name.cmp(&other.name));
}

async fn read(vault: &Vault, files: &[VaultFile]) -> Result<HashMap<String, Kept>> {
    let mut tokens = HashMap::new();
    for file in files {
        let name = file.name.rsplit('/').next().unwrap_or_default().to_owned();
        match vault
            .read(&file.name)
            .await?
            .map(|content| serde_json::from_slice(&content))
        {
            Some(Ok(kept)) => {
                tokens.insert(name, kept);
            }
            Some(Err(_)) => tracing::warn!(name, "what is kept is no API token; it is passed over"),
            None => {}
        }
    }
    Ok(tokens)
}

fn parse(text: &str) -> Option<(&str, &str)> {
    let (name, secret) = text.strip_prefix(PREFIX)?.rsplit_once('_')?;
    is_name(name).then_some((name, secret))
}

fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_part)
}

fn hash(secret: &str) -> String {
    hex::encode(digest(&SHA256, secret.as_bytes()).as_ref())
}

fn stamp(kept: &Kept) -> Vec<u8> {
    kept.sha256.bytes().take(16).collect()
}

/// A time in milliseconds since 1970, or the last that there is.
fn time(millis: u64) -> DateTime<Utc> {
    let time = i64::try_from(millis).ok().and_then(DateTime::from_timestamp_millis);
    time.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn file(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cordada_lake::{Lake, Settings};

    use super::super::clock::tests::Hands;
    use super::*;

    async fn vault(folder: &tempfile::TempDir) -> Vault {
        let settings = Settings::default();
        let lake = Lake::open(folder.path().to_str().unwrap(), &settings);
        lake.await.unwrap().vault()
    }

    #[tokio::test]
    async fn a_token_is_good_until_it_is_revoked_and_its_secret_is_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let (vault, hands) = (vault(&folder).await, Hands::new());
        let server = ApiTokens::open(Some(vault.clone()), hands.clock(), hands.clock())
            .await
            .unwrap();
        let token = create(&vault, "nightly", "ana", None).await.unwrap();
        let good = server.check(&token).await.unwrap().unwrap();
        assert_eq!((good.name.as_str(), good.user.as_str()), ("nightly", "ana"));
        assert!(server.is_still_good(&good));
        let kept = std::fs::read_to_string(folder.path().join("_cordada/private/logins/tokens/nightly")).unwrap();
        let secret = token.rsplit('_').next().unwrap();
        assert!(!kept.contains(secret) && !format!("{server:?}").contains(secret));
        for wrong in [
            "",
            "cordada_nightly_",
            &token[..token.len() - 1],
            &token.replace("nightly", "other"),
            "cordada_../x_y",
        ] {
            assert_eq!(server.check(wrong).await.unwrap(), None, "{wrong}");
        }
        assert!(
            create(&vault, "nightly", "bea", None)
                .await
                .unwrap_err()
                .to_string()
                .contains("there is a token")
        );
        // Made and revoked between two looks.
        revoke(&vault, "nightly").await.unwrap();
        let follow = async || server.follow(&vault.list("").await.unwrap()).await.unwrap();
        follow().await;
        assert!(server.check(&token).await.unwrap().is_none() && !server.is_still_good(&good));
        create(&vault, "nightly", "ana", None).await.unwrap();
        follow().await;
        assert!(!server.is_still_good(&good), "another token of the same name");
        assert!(
            revoke(&vault, "never")
                .await
                .unwrap_err()
                .to_string()
                .contains("no token `never`")
        );
    }

    #[tokio::test]
    async fn a_token_expires_and_is_listed_without_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(&folder).await;
        let token = create(&vault, "b", "ana", Some(Duration::from_secs(3600)))
            .await
            .unwrap();
        create(&vault, "a", "bea", None).await.unwrap();
        let listed = list(&vault).await.unwrap();
        let names: Vec<_> = listed.iter().map(|token| token.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        // These hands show a time that is later than the machine's.
        let late = Hands::new();
        late.pass(Duration::from_secs(3600 * 24 * 365 * 100));
        let server = ApiTokens::open(Some(vault.clone()), late.clock(), late.clock())
            .await
            .unwrap();
        assert_eq!(server.check(&token).await.unwrap(), None);
        for wrong in ["", "A", "a_b", "a/b", "..", &"a".repeat(65)] {
            assert!(create(&vault, wrong, "ana", None).await.is_err(), "{wrong}");
        }
    }
}
