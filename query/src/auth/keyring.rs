//! The keys that sign what the server hands out and must recognise when it comes back: tokens of sessions, cookies,
//! tickets. They are kept with the lake, so that what was signed outlives the process and is good at every server of
//! the lake. The newest key signs; an older one verifies until all that it has signed has expired.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cordada_core::{Error, Result};
use cordada_lake::Vault;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::clock::{Clock, millis};

/// The longest that anything signed may be good for.
pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Where the keys are in the vault.
const FOLDER: &str = "logins/keys";
/// How long a key signs.
const ROTATION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How old a key is before it signs: by then every server of the lake knows it.
const SPREAD: Duration = Duration::from_secs(60);
/// How long a key verifies after another has come: what it signed last has expired by then, whatever clock it had.
const RETIREMENT: Duration = Duration::from_secs(32 * 24 * 60 * 60);
/// Bytes of an HMAC-SHA256 tag, and of a secret.
const TAG: usize = 32;
/// The number of a key that ends with the process; those that are kept count from 1.
const OF_THE_PROCESS: u32 = 0;
/// Bytes of a key's number.
const NUMBER: usize = 4;

/// What something is signed for: nothing that was signed for one purpose is good for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A session's token, which lets in.
    Token,
    /// A session's cookie, which only tells which session it is.
    Cookie,
    /// A ticket for rows.
    Ticket,
}

const PURPOSES: [(Purpose, &str); 3] = [
    (Purpose::Token, "token"),
    (Purpose::Cookie, "cookie"),
    (Purpose::Ticket, "ticket"),
];

/// The keys.
#[derive(Debug)]
pub struct Keyring {
    vault: Option<Vault>,
    /// Which environment of the lake it is: a release's number means another release elsewhere.
    scope: String,
    clock: Clock,
    /// The oldest first.
    keys: RwLock<Arc<Vec<Key>>>,
}

#[derive(Debug)]
struct Key {
    number: u32,
    /// Milliseconds since 1970.
    created: u64,
    for_purposes: [hmac::Key; PURPOSES.len()],
}

/// A key as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// In Base64.
    secret: String,
    /// Milliseconds since 1970.
    created: u64,
}

impl Keyring {
    /// The keys in the vault, the first of which is made now if there is none; without a vault, or if there is none
    /// and it cannot be written, a key that ends with the process.
    ///
    /// # Errors
    /// Failed: the system gives no random numbers. Unavailable: the vault cannot be read.
    pub async fn open(vault: Option<Vault>, scope: &str) -> Result<Self> {
        Self::with_clock(vault, scope, Clock::of_the_wall()).await
    }

    pub(crate) async fn with_clock(vault: Option<Vault>, scope: &str, clock: Clock) -> Result<Self> {
        let keyring = Self {
            vault,
            scope: scope.to_owned(),
            clock,
            keys: RwLock::default(),
        };
        keyring.refresh().await?;
        if keyring.keys().is_empty() {
            tracing::warn!("there is no key in the lake; tokens end with this process");
            let secret = secret()?;
            let created = keyring.clock.millis();
            keyring.put(vec![Key::new(OF_THE_PROCESS, created, &secret, scope)]);
        }
        Ok(keyring)
    }

    /// A key that ends with the process.
    ///
    /// # Errors
    /// Failed: the system gives no random numbers.
    pub fn of_the_process() -> Result<Self> {
        let clock = Clock::of_the_wall();
        let key = Key::new(OF_THE_PROCESS, clock.millis(), &secret()?, "");
        Ok(Self {
            vault: None,
            scope: String::new(),
            clock,
            keys: RwLock::new(Arc::new(vec![key])),
        })
    }

    /// Whether the keys outlive the process.
    pub fn are_kept(&self) -> bool {
        self.vault.is_some() && self.keys().iter().all(|key| key.number != OF_THE_PROCESS)
    }

    /// The payload, signed for that purpose.
    pub fn sign(&self, purpose: Purpose, payload: &[u8]) -> Vec<u8> {
        let (keys, now) = (self.keys(), self.clock.millis());
        let is_known = |key: &&Key| key.created.saturating_add(millis(SPREAD)) <= now;
        let Some(key) = keys.iter().rev().find(is_known).or(keys.first()) else {
            // There is always a key; without one nothing would be good.
            return Vec::new();
        };
        let mut signed = key.number.to_be_bytes().to_vec();
        signed.extend_from_slice(hmac::sign(key.for_purpose(purpose), payload).as_ref());
        signed.extend_from_slice(payload);
        signed
    }

    /// The payload, if one of the keys signed it for that purpose; compares in constant time.
    pub fn open_signed<'a>(&self, purpose: Purpose, signed: &'a [u8]) -> Option<&'a [u8]> {
        let (number, rest) = signed.split_first_chunk::<NUMBER>()?;
        let (tag, payload) = rest.split_at_checked(TAG)?;
        let number = u32::from_be_bytes(*number);
        let keys = self.keys();
        let key = keys.iter().find(|key| key.number == number)?;
        hmac::verify(key.for_purpose(purpose), payload, tag)
            .is_ok()
            .then_some(payload)
    }

    /// Reads the keys again, makes one if it is time to, and removes those that nobody needs.
    ///
    /// # Errors
    /// Unavailable: the vault cannot be read.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let Some(vault) = &self.vault else {
            return Ok(());
        };
        let ((mut keys, highest), now) = (self.read(vault).await?, self.clock.millis());
        let is_due = |key: &Key| key.created.saturating_add(millis(ROTATION)) <= now;
        if keys.last().is_none_or(is_due) {
            match self.make(vault, highest.saturating_add(1), now).await {
                Ok(()) => (keys, _) = self.read(vault).await?,
                Err(error) => tracing::warn!(%error, "cannot keep a key with the lake; the last one goes on"),
            }
        }
        let retired = keys.windows(2).take_while(|pair| {
            let successor = &pair[1];
            successor.created.saturating_add(millis(RETIREMENT)) <= now
        });
        for _ in 0..retired.count() {
            let key = keys.remove(0);
            if let Err(error) = vault.remove(&file(key.number)).await {
                tracing::warn!(%error, "cannot remove a key that has retired");
            }
        }
        if !keys.is_empty() {
            self.put(keys);
        }
        Ok(())
    }

    /// Whether a file of the vault is a key.
    pub(crate) fn is_file(name: &str) -> bool {
        name.strip_prefix(FOLDER).is_some_and(|rest| rest.starts_with('/'))
    }

    async fn make(&self, vault: &Vault, number: u32, now: u64) -> Result<()> {
        let kept = Kept {
            secret: BASE64_STANDARD.encode(secret()?),
            created: now,
        };
        let content = serde_json::to_vec(&kept).map_err(|error| Error::failed("making a key", error))?;
        // If it is there, another server came first, and its key is as good.
        vault.create(&file(number), content).await.map(|_| ())
    }

    /// The keys in the vault, and the highest number that a file there has.
    async fn read(&self, vault: &Vault) -> Result<(Vec<Key>, u32)> {
        let (mut keys, mut highest) = (Vec::new(), 0);
        for listed in vault.list(FOLDER).await? {
            let number = listed.name.rsplit('/').next().and_then(|name| name.parse().ok());
            highest = highest.max(number.unwrap_or_default());
            let Some(content) = vault.read(&listed.name).await? else {
                continue;
            };
            let kept = serde_json::from_slice::<Kept>(&content).ok();
            let secret = kept.as_ref().and_then(|kept| BASE64_STANDARD.decode(&kept.secret).ok());
            match (number, kept, secret) {
                (Some(number), Some(kept), Some(secret)) if secret.len() == TAG => {
                    keys.push(Key::new(number, kept.created, &secret, &self.scope));
                }
                _ => tracing::warn!(file = listed.name, "what is kept is no key; it is passed over"),
            }
        }
        keys.sort_by_key(|key| key.number);
        Ok((keys, highest))
    }

    fn keys(&self) -> Arc<Vec<Key>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, keys: Vec<Key>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }
}

impl Key {
    fn new(number: u32, created: u64, secret: &[u8], scope: &str) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let of = |purpose: &str| {
            let derived = hmac::sign(&root, format!("{purpose}\0{scope}").as_bytes());
            hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
        };
        Self {
            number,
            created,
            for_purposes: PURPOSES.map(|(_, name)| of(name)),
        }
    }

    fn for_purpose(&self, purpose: Purpose) -> &hmac::Key {
        match purpose {
            Purpose::Token => &self.for_purposes[0],
            Purpose::Cookie => &self.for_purposes[1],
            Purpose::Ticket => &self.for_purposes[2],
        }
    }
}

fn file(number: u32) -> String {
    format!("{FOLDER}/{number:010}")
}

fn secret() -> Result<[u8; TAG]> {
    let mut secret = [0; TAG];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| Error::failed("making a key", "the system gives no random numbers"))?;
    Ok(secret)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cordada_lake::{Lake, Settings};
    use proptest::prelude::*;

    use super::super::clock::tests::Hands;
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    async fn vault(folder: &tempfile::TempDir) -> Option<Vault> {
        let settings = Settings::default();
        let lake = Lake::open(folder.path().to_str().unwrap(), &settings);
        Some(lake.await.unwrap().vault())
    }

    async fn opened(folder: &tempfile::TempDir, hands: &Hands) -> Keyring {
        Keyring::with_clock(vault(folder).await, "", hands.clock())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn servers_of_one_lake_agree_and_others_do_not() {
        let (folder, hands) = (tempfile::tempdir().unwrap(), Hands::new());
        let (one, two) = tokio::join!(opened(&folder, &hands), opened(&folder, &hands));
        let signed = one.sign(Purpose::Ticket, b"release 7");
        assert_eq!(two.open_signed(Purpose::Ticket, &signed), Some(&b"release 7"[..]));
        assert_eq!(two.open_signed(Purpose::Token, &signed), None, "for another purpose");
        let after_restart = opened(&folder, &hands).await;
        assert!(after_restart.open_signed(Purpose::Ticket, &signed).is_some());
        let dev = Keyring::with_clock(vault(&folder).await, "dev", hands.clock())
            .await
            .unwrap();
        assert_eq!(
            dev.open_signed(Purpose::Ticket, &signed),
            None,
            "in another environment"
        );
        let elsewhere = opened(&tempfile::tempdir().unwrap(), &hands).await;
        assert_eq!(elsewhere.open_signed(Purpose::Ticket, &signed), None);
        assert_eq!(
            Keyring::of_the_process().unwrap().open_signed(Purpose::Ticket, &signed),
            None
        );
    }

    #[tokio::test]
    async fn keys_rotate_and_what_an_older_one_signed_is_good_until_it_has_expired() {
        let (folder, hands) = (tempfile::tempdir().unwrap(), Hands::new());
        let (one, two) = (opened(&folder, &hands).await, opened(&folder, &hands).await);
        hands.pass(ROTATION);
        let by_the_first = one.sign(Purpose::Token, b"ana");
        one.refresh().await.unwrap();
        let still_by_the_first = one.sign(Purpose::Token, b"ana");
        assert_eq!(
            two.open_signed(Purpose::Token, &still_by_the_first),
            Some(&b"ana"[..]),
            "before it has spread"
        );
        two.refresh().await.unwrap();
        hands.pass(SPREAD);
        let by_the_second = one.sign(Purpose::Token, b"ana");
        assert_ne!(by_the_first, by_the_second);
        assert_eq!(two.open_signed(Purpose::Token, &by_the_second), Some(&b"ana"[..]));
        assert_eq!(two.open_signed(Purpose::Token, &by_the_first), Some(&b"ana"[..]));
        hands.pass(RETIREMENT + DAY);
        one.refresh().await.unwrap();
        two.refresh().await.unwrap();
        assert_eq!(two.open_signed(Purpose::Token, &by_the_first), None);
        assert_eq!(two.open_signed(Purpose::Token, &by_the_second), Some(&b"ana"[..]));
    }

    #[tokio::test]
    async fn a_damaged_key_is_passed_over() {
        let (folder, hands) = (tempfile::tempdir().unwrap(), Hands::new());
        let one = opened(&folder, &hands).await;
        let signed = one.sign(Purpose::Token, b"ana");
        let vault = vault(&folder).await.unwrap();
        vault.write(&file(2), b"{}".to_vec()).await.unwrap();
        let two = opened(&folder, &hands).await;
        assert_eq!(two.open_signed(Purpose::Token, &signed), Some(&b"ana"[..]));
    }

    proptest! {
        #[test]
        fn any_changed_or_missing_byte_is_noticed(payload: Vec<u8>, at: usize, flip in 1u8..) {
            let keys = Keyring::of_the_process().unwrap();
            let mut signed = keys.sign(Purpose::Token, &payload);
            let at = at % signed.len();
            prop_assert_eq!(keys.open_signed(Purpose::Token, &signed[..at]), None);
            signed[at] ^= flip;
            prop_assert_eq!(keys.open_signed(Purpose::Token, &signed), None);
        }
    }
}
