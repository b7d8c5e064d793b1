//! The accounts of those who may connect, and their passwords.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use cordada_core::threads::blocking;
use cordada_core::{Error, Result};
use tokio::sync::Semaphore;

use super::password;
use super::signature::Signer;
use crate::access::Access;
use crate::users::{self, Role, User};

/// Passwords that are verified at the same time: each takes a core and 19 MiB for tens of milliseconds.
const PARALLEL_VERIFICATIONS: usize = 2;
/// What is being done when a password cannot be verified.
const DOING: &str = "verifying a password";

/// Somebody who is let in.
#[derive(Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user's name.
    pub name: String,
    /// The roles that this user has.
    pub roles: Vec<String>,
    /// What is known of this user: policies ask for it.
    pub attributes: BTreeMap<String, String>,
    /// What this user may read and write.
    pub access: Arc<Access>,
}

impl Principal {
    /// Somebody of these roles, which may what `all` says.
    pub fn new(
        name: String,
        roles: Vec<String>,
        attributes: BTreeMap<String, String>,
        all: &BTreeMap<String, Role>,
    ) -> Self {
        Self {
            access: Arc::new(Access::of(&name, &roles, &attributes, all)),
            name,
            roles,
            attributes,
        }
    }

    /// Everybody, where nobody has to log in.
    pub fn anonymous() -> Self {
        Self {
            name: "anonymous".to_owned(),
            roles: Vec::new(),
            attributes: BTreeMap::new(),
            access: Arc::new(Access::everything()),
        }
    }
}

/// Knows the users.
#[derive(Debug)]
pub struct Accounts {
    by_name: HashMap<String, Account>,
    /// Everybody, when there are no users.
    anonymous: Option<Arc<Principal>>,
    /// For each user the tag of the password that was verified last, for clients that send it with every call.
    verified: RwLock<HashMap<String, Vec<u8>>>,
    verified_tags: Signer,
    verifications: Semaphore,
}

struct Account {
    hash: String,
    principal: Arc<Principal>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

impl Account {
    fn new(user: &User, roles: &BTreeMap<String, Role>) -> Self {
        let User {
            name,
            password_hash,
            roles: own,
            attributes,
        } = user.clone();
        Self {
            hash: password_hash,
            principal: Arc::new(Principal::new(name, own, attributes, roles)),
        }
    }
}

impl Accounts {
    /// For these users; without any, everybody is let in and reads everything.
    ///
    /// # Errors
    /// Config: a user twice, a password hash or a role that is not one. Failed: the system gives no random numbers.
    pub fn new(users: &[User], roles: &BTreeMap<String, Role>) -> Result<Self> {
        users::check(users, roles)?;
        let account = |user: &User| (user.name.clone(), Account::new(user, roles));
        Ok(Self {
            by_name: users.iter().map(account).collect(),
            anonymous: users.is_empty().then(|| Arc::new(Principal::anonymous())),
            verified: RwLock::default(),
            verified_tags: Signer::new()?,
            verifications: Semaphore::new(PARALLEL_VERIFICATIONS),
        })
    }

    /// Everybody, when there are no users: nobody is asked for a password then.
    pub fn anonymous(&self) -> Option<&Arc<Principal>> {
        self.anonymous.as_ref()
    }

    /// The user of that name, for a caller who proved to be that user: by a token, say.
    pub fn get(&self, name: &str) -> Option<&Arc<Principal>> {
        self.by_name.get(name).map(|account| &account.principal)
    }

    /// The user, if the password is right. Takes as long for a user who does not exist, and what is told to whoever
    /// asks must not tell the two apart either.
    ///
    /// # Errors
    /// Unavailable: the server is closing.
    pub async fn verify(&self, name: &str, password: String) -> Result<Option<Arc<Principal>>> {
        if let Some(anonymous) = &self.anonymous {
            return Ok(Some(anonymous.clone()));
        }
        let account = self.by_name.get(name);
        let credentials = [name.as_bytes(), b"\0", password.as_bytes()].concat();
        if let Some(account) = account
            && self.was_verified(name, &credentials)
        {
            return Ok(Some(account.principal.clone()));
        }
        let Some(hash) = account.or_else(|| self.by_name.values().next()) else {
            return Ok(None);
        };
        let hash = hash.hash.clone();
        let turn = self.verifications.acquire().await;
        let _turn = turn.map_err(|_| Error::unavailable(DOING, "the server is closing"))?;
        let is_right = blocking(DOING, move || Ok(password::verify(&password, &hash))).await?;
        let Some(account) = account.filter(|_| is_right) else {
            return Ok(None);
        };
        self.remember(name, &credentials);
        Ok(Some(account.principal.clone()))
    }

    fn was_verified(&self, name: &str, credentials: &[u8]) -> bool {
        let verified = self.verified.read().unwrap_or_else(PoisonError::into_inner);
        let tag = verified.get(name);
        tag.is_some_and(|tag| self.verified_tags.matches(credentials, tag))
    }

    fn remember(&self, name: &str, credentials: &[u8]) {
        let tag = self.verified_tags.tag(credentials);
        let mut verified = self.verified.write().unwrap_or_else(PoisonError::into_inner);
        verified.insert(name.to_owned(), tag);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::auth::hash_password;

    #[tokio::test]
    async fn a_user_is_who_knows_the_password() {
        let ana = User {
            name: "ana".to_owned(),
            password_hash: hash_password("se:cret").unwrap(),
            ..User::default()
        };
        let accounts = Accounts::new(&[ana], &BTreeMap::new()).unwrap();
        assert!(accounts.anonymous().is_none());
        // Twice, because the second time the password is remembered; the wrong ones must not profit from it.
        for _ in 0..2 {
            let ana = accounts.verify("ana", "se:cret".to_owned()).await.unwrap();
            assert_eq!(ana.as_ref(), accounts.get("ana"));
            for (name, password) in [("ana", "secret"), ("ana", ""), ("bob", "se:cret"), ("", "")] {
                let refused = accounts.verify(name, password.to_owned()).await.unwrap();
                assert_eq!(refused, None, "{name} {password}");
            }
        }
    }

    #[tokio::test]
    async fn without_users_everybody_reads_everything() {
        let accounts = Accounts::new(&[], &BTreeMap::new()).unwrap();
        let anybody = accounts.verify("ana", "x".to_owned()).await.unwrap();
        assert!(anybody.unwrap().access.reads_everything());
    }
}
