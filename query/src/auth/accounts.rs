//! The accounts of those who may connect.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cordada_core::Result;
use ring::digest::{SHA256, digest};

use crate::access::Access;
use crate::users::{self, Role, User};

/// Bytes of a password's hash that tell it from the one before.
const STAMP: usize = 16;

/// Somebody who is let in.
#[derive(Debug, Default, PartialEq, Eq)]
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
pub(crate) struct Accounts(HashMap<String, Account>);

/// A user's account.
pub(crate) struct Account {
    /// The password's hash, if the user has one.
    pub(crate) hash: Option<String>,
    pub(crate) principal: Arc<Principal>,
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
            hash: Some(password_hash).filter(|hash| !hash.is_empty()),
            principal: Arc::new(Principal::new(name, own, attributes, roles)),
        }
    }

    /// A trace of the password: another password has another.
    pub(crate) fn stamp(&self) -> Vec<u8> {
        let hash = self.hash.as_deref().unwrap_or_default();
        let digest = digest(&SHA256, hash.as_bytes());
        digest.as_ref().iter().copied().take(STAMP).collect()
    }
}

impl Accounts {
    /// For these users.
    ///
    /// # Errors
    /// Config: a user twice, a password hash or a role that is not one.
    pub(crate) fn new(users: &[User], roles: &BTreeMap<String, Role>) -> Result<Self> {
        users::check(users, roles)?;
        let account = |user: &User| (user.name.clone(), Account::new(user, roles));
        Ok(Self(users.iter().map(account).collect()))
    }

    /// The account of that name, for a caller who proved to be that user, or is about to.
    pub(crate) fn get(&self, name: &str) -> Option<&Account> {
        self.0.get(name)
    }

    /// Somebody's password hash, to verify against for a user who does not exist: it takes as long.
    pub(crate) fn any_hash(&self) -> Option<&String> {
        self.0.values().find_map(|account| account.hash.as_ref())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
