//! What every door asks: who is it, in which session, and is that still so.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cordada_core::units::Span;
use cordada_core::{Error, Result};
use cordada_lake::{Lake, VaultFile};
use serde::Deserialize;
use tokio::time::MissedTickBehavior;

use super::accounts::{Account, Accounts, Principal};
use super::api_tokens::{ApiTokens, GoodToken};
use super::clock::Clock;
use super::jwt::{Jwt, Vouched};
use super::keyring::{Keyring, LONGEST, Purpose};
use super::passwords::{Attempt, Passwords};
use super::provider::Provider;
use super::refusal::Refusal;
use super::revocations::Revocations;
use super::signature::random_id;
use super::throttle::Throttle;
use super::token::{Claims, Proof, SessionTokens};
use crate::users::{Role, User};

/// How often it is looked at what other servers of the lake and the command line have changed.
const LOOK: Duration = Duration::from_secs(2);
/// After how many looks what nobody needs is removed, and a key is made if it is time to.
const CLEAN: u32 = 1800;
/// Where all of it is in the vault.
const FOLDER: &str = "logins";
/// What is being done when the settings are wrong.
const DOING: &str = "configuring `login:`";

/// How people log in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginSettings {
    /// How long the token of a session is good for; one that is used is renewed, where the client takes that.
    pub token_lifetime: Span,
    /// The identity provider whose tokens are taken.
    pub jwt: Option<Jwt>,
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self {
            token_lifetime: Span::seconds(24 * 60 * 60),
            jwt: None,
        }
    }
}

/// Knows who asks.
#[derive(Debug)]
pub struct Logins {
    accounts: Accounts,
    roles: BTreeMap<String, Role>,
    /// Everybody, when nobody has to log in.
    anonymous: Option<Arc<Principal>>,
    passwords: Passwords,
    api_tokens: ApiTokens,
    provider: Option<Provider>,
    keys: Arc<Keyring>,
    sessions: SessionTokens,
    revocations: Revocations,
    lake: Option<Lake>,
}

/// Somebody who proved who they are.
#[derive(Debug, Clone)]
pub struct Authenticated {
    /// Who.
    pub principal: Arc<Principal>,
    /// How.
    pub proof: Proof,
    /// What the proof was, as tokens of sessions say it.
    stamp: Vec<u8>,
    /// The API token that was the proof.
    api_token: String,
    /// What the token of a session says, if that is what came.
    claims: Option<Claims>,
}

/// The session that a request belongs to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Its identifier; `None` for a client that has shown none.
    pub session: Option<String>,
    /// What to give the client with the answer.
    pub gift: Option<Gift>,
}

/// What a client is given, to show with the next request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gift {
    /// A token in place of the one that it has.
    Token(String),
    /// A cookie, which tells its session and does not let in.
    Cookie(String),
}

impl Logins {
    /// For these users of a lake; without users and an identity provider, everybody is let in and reads everything.
    ///
    /// # Errors
    /// Config: what is wrong with users, roles and settings. Unavailable: the lake cannot be read.
    pub async fn open(
        lake: &Lake,
        users: &[User],
        roles: &BTreeMap<String, Role>,
        settings: &LoginSettings,
    ) -> Result<Self> {
        let keys = Arc::new(Keyring::open(Some(lake.vault()), lake.target().unwrap_or_default()).await?);
        Self::new(Some(lake.clone()), keys, users, roles, settings).await
    }

    /// The same for a server that nobody else has to do with: what it hands out ends with the process.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn of_the_process(
        users: &[User],
        roles: &BTreeMap<String, Role>,
        settings: &LoginSettings,
    ) -> Result<Self> {
        Self::new(None, Arc::new(Keyring::of_the_process()?), users, roles, settings).await
    }

    async fn new(
        lake: Option<Lake>,
        keys: Arc<Keyring>,
        users: &[User],
        roles: &BTreeMap<String, Role>,
        settings: &LoginSettings,
    ) -> Result<Self> {
        settings.check(roles)?;
        let accounts = Accounts::new(users, roles)?;
        let provider = match &settings.jwt {
            Some(jwt) => Some(Provider::open(jwt.clone()).await?),
            None => None,
        };
        let vault = lake.as_ref().map(Lake::vault);
        let (wall, process) = (Clock::of_the_wall(), Clock::of_the_process());
        let is_open = accounts.is_empty() && provider.is_none();
        Ok(Self {
            anonymous: is_open.then(|| Arc::new(Principal::anonymous())),
            accounts,
            roles: roles.clone(),
            passwords: Passwords::new(Throttle::new(process.clone()))?,
            api_tokens: ApiTokens::open(vault.clone(), wall.clone(), process).await?,
            provider,
            sessions: SessionTokens::new(keys.clone(), settings.token_lifetime.0, wall.clone()),
            keys,
            revocations: Revocations::open(vault, random_id()?, wall).await?,
            lake,
        })
    }

    /// The keys that sign what this server hands out.
    pub fn keys(&self) -> &Arc<Keyring> {
        &self.keys
    }

    /// Whether nobody has to log in.
    pub fn is_open(&self) -> bool {
        self.anonymous.is_some()
    }

    /// Somebody who shows nothing.
    ///
    /// # Errors
    /// There are users.
    pub fn nobody(&self) -> Result<Authenticated, Refusal> {
        let anonymous = self.anonymous.as_ref().ok_or(Refusal::Nobody)?;
        Ok(Authenticated::of(anonymous.clone(), Proof::Nothing))
    }

    /// The user, if the password is right; an API token of the user's is as good. Takes as long for a user who does not
    /// exist, and tells nobody which of the two was wrong.
    ///
    /// # Errors
    /// Why not.
    pub async fn password(&self, name: &str, password: String, from: Option<IpAddr>) -> Result<Authenticated, Refusal> {
        if self.is_open() {
            return self.nobody();
        }
        if ApiTokens::is_one(&password)
            && let Some(token) = self.api_tokens.check(&password).await?
            && token.user == name
        {
            return self.by_api_token(token).ok_or(Refusal::Password);
        }
        let account = self.accounts.get(name);
        let own = account.and_then(|account| account.hash.as_ref());
        let attempt = Attempt {
            name: name.to_owned(),
            is_user: own.is_some(),
            password,
            hash: own.or(self.accounts.any_hash()).cloned(),
            from,
        };
        self.passwords.verify(attempt).await?;
        let account = account.ok_or(Refusal::Password)?;
        Ok(Authenticated {
            stamp: account.stamp(),
            ..Authenticated::of(account.principal.clone(), Proof::Password)
        })
    }

    /// Whoever a bearer token stands for: one of a session, an API token, one of the identity provider.
    /// `certificate` are the names in the certificate of the connection.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn bearer(&self, token: &str, certificate: &[String]) -> Result<Authenticated, Refusal> {
        if let Some(claims) = self.sessions.read(Purpose::Token, token) {
            return self.by_session(claims, certificate);
        }
        if let Ok(anybody) = self.nobody() {
            return Ok(anybody);
        }
        if ApiTokens::is_one(token) {
            let token = self.api_tokens.check(token).await?.ok_or(Refusal::Token)?;
            return self.by_api_token(token).ok_or(Refusal::Token);
        }
        match &self.provider {
            Some(provider) if Jwt::is_one(token) => self.vouched(provider.verify(token).await?),
            _ => Err(Refusal::Token),
        }
    }

    /// The one user whom the names in the certificate of a connection stand for.
    ///
    /// # Errors
    /// They stand for nobody, or for several.
    pub fn certificate(&self, names: &[String]) -> Result<Authenticated, Refusal> {
        if self.is_open() {
            return self.nobody();
        }
        let account = self.account_of(names).ok_or(Refusal::Certificate)?;
        Ok(Authenticated::of(account.principal.clone(), Proof::Certificate))
    }

    /// The token of a session that begins now.
    ///
    /// # Errors
    /// Failed: the system gives no random numbers.
    pub fn begin(&self, who: &Authenticated) -> Result<String> {
        let claims = self
            .sessions
            .begin(&who.principal.name, who.proof, &who.stamp, &who.api_token)?;
        Ok(self.sessions.write(Purpose::Token, &claims))
    }

    /// Whether a bearer token is one of a session, whoever may use it.
    pub fn is_session(&self, token: &str) -> bool {
        self.sessions.read(Purpose::Token, token).is_some()
    }

    /// The session that a request belongs to: its token's, or that of the cookie that it shows. Who shows none is given
    /// a cookie, and has a session once it comes back.
    ///
    /// # Errors
    /// The session was closed, or has expired.
    pub fn membership(&self, who: &Authenticated, cookie: Option<&str>) -> Result<Membership, Refusal> {
        if let Some(claims) = &who.claims {
            let renewed = self.sessions.renewed(claims);
            return Ok(Membership {
                session: Some(claims.session.clone()),
                gift: renewed.map(|claims| Gift::Token(self.sessions.write(Purpose::Token, &claims))),
            });
        }
        let user = &who.principal.name;
        let shown = cookie.and_then(|cookie| self.sessions.read_expired(Purpose::Cookie, cookie));
        let (session, new) = match shown.filter(|claims| claims.user == *user) {
            Some(claims) if self.revocations.has(user, &claims.session, claims.issued) => return Err(Refusal::Closed),
            // Another session in its place would not have its options, and nobody would notice.
            Some(claims) if self.sessions.has_expired(&claims) => return Err(Refusal::Expired),
            Some(claims) => (Some(claims.session.clone()), self.sessions.renewed(&claims)),
            None => (None, Some(self.sessions.begin(user, Proof::Nothing, &[], "")?)),
        };
        let gift = new.map(|claims| Gift::Cookie(self.sessions.write(Purpose::Cookie, &claims)));
        Ok(Membership { session, gift })
    }

    /// Closes a session: its tokens and cookies are refused from now on. A lake that cannot be written does not keep it
    /// open, but a restart would open it again, which is logged.
    pub async fn close(&self, user: &str, session: &str) {
        let closed = self.revocations.add(user, session, self.sessions.all_expired()).await;
        if let Err(error) = closed {
            tracing::warn!(%error, "a session is closed at this server only, until the lake can be written");
        }
    }

    /// Follows what other servers of the lake, the command line and the identity provider change, until it is dropped:
    /// whoever serves has to let it run.
    pub async fn follow(&self) -> Infallible {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut keys, mut looks, mut is_away) = (Vec::new(), 0_u32, false);
        loop {
            ticks.tick().await;
            looks = looks.wrapping_add(1);
            let looked = self.look(&mut keys, looks.is_multiple_of(CLEAN)).await;
            if let (Err(error), false) = (&looked, is_away) {
                tracing::warn!(%error, "cannot see which logins and keys have changed, until the lake can be read");
            }
            is_away = looked.is_err();
            if let Some(provider) = &self.provider
                && let Err(error) = provider.refresh().await
            {
                tracing::warn!(%error, "the identity provider's keys cannot be renewed; the known ones go on");
            }
        }
    }

    /// Looks once; `keys` are the files of keys that were there at the last look.
    async fn look(&self, keys: &mut Vec<VaultFile>, clean: bool) -> Result<()> {
        let Some(lake) = &self.lake else {
            return Ok(());
        };
        let files = lake.vault().list(FOLDER).await?;
        let of_keys = files.iter().filter(|file| Keyring::is_file(&file.name)).cloned();
        let mut of_keys: Vec<_> = of_keys.collect();
        of_keys.sort_by(|one, other| one.name.cmp(&other.name));
        if clean || *keys != of_keys {
            self.keys.refresh().await?;
            *keys = of_keys;
        }
        self.api_tokens.follow(&files).await?;
        self.revocations.follow(&files).await?;
        if clean {
            self.revocations.clean(&files).await?;
        }
        Ok(())
    }

    fn by_session(&self, claims: Claims, certificate: &[String]) -> Result<Authenticated, Refusal> {
        if self.revocations.has(&claims.user, &claims.session, claims.issued) {
            return Err(Refusal::Closed);
        }
        let account = self.accounts.get(&claims.user);
        let principal = match (claims.proof(), account, &self.anonymous) {
            // Users have come since, or gone.
            (Proof::Nothing, _, None) => None,
            (Proof::Nothing, _, Some(anonymous)) => Some(anonymous),
            (_, _, Some(anonymous)) => Some(anonymous),
            (Proof::Password, Some(account), _) => (account.stamp() == claims.stamp).then_some(&account.principal),
            (Proof::ApiToken, Some(account), _) => {
                let token = GoodToken {
                    name: claims.api_token.clone(),
                    user: claims.user.clone(),
                    stamp: claims.stamp.clone(),
                };
                self.api_tokens.is_still_good(&token).then_some(&account.principal)
            }
            (Proof::Certificate, Some(account), _) => {
                let is_the_same = self
                    .account_of(certificate)
                    .is_some_and(|shown| std::ptr::eq(shown, account));
                is_the_same.then_some(&account.principal)
            }
            (Proof::Password | Proof::ApiToken | Proof::Certificate | Proof::Jwt, _, None) => None,
        };
        let principal = principal.ok_or(Refusal::Token)?.clone();
        // Whoever was let in as one user is not another because users have come or gone.
        let proof = if self.is_open() { Proof::Nothing } else { claims.proof() };
        if principal.name != claims.user {
            return Ok(Authenticated::of(principal, proof));
        }
        Ok(Authenticated {
            principal,
            proof,
            stamp: claims.stamp.clone(),
            api_token: claims.api_token.clone(),
            claims: Some(claims),
        })
    }

    fn by_api_token(&self, token: GoodToken) -> Option<Authenticated> {
        let account = self.accounts.get(&token.user)?;
        Some(Authenticated {
            stamp: token.stamp,
            api_token: token.name,
            ..Authenticated::of(account.principal.clone(), Proof::ApiToken)
        })
    }

    /// Somebody for whom the identity provider vouches. A user who has a password here is not the provider's to name; one
    /// who has none has the roles of both.
    fn vouched(&self, vouched: Vouched) -> Result<Authenticated, Refusal> {
        let account = self.accounts.get(&vouched.name);
        if account.is_some_and(|account| account.hash.is_some()) {
            return Err(Refusal::Jwt("it names a user who has a password here".to_owned()));
        }
        let (mut roles, mut attributes) = (vouched.roles, vouched.attributes);
        roles.retain(|role| self.roles.contains_key(role));
        if let Some(account) = account {
            roles.extend(account.principal.roles.iter().cloned());
            // What is written down here is not the provider's to change.
            attributes.extend(account.principal.attributes.clone());
        }
        roles.sort();
        roles.dedup();
        if roles.is_empty() && account.is_none() {
            return Err(Refusal::NoRole);
        }
        let principal = Principal::new(vouched.name, roles, attributes, &self.roles);
        Ok(Authenticated::of(Arc::new(principal), Proof::Jwt))
    }

    fn account_of(&self, names: &[String]) -> Option<&Account> {
        let mut accounts = names.iter().filter_map(|name| self.accounts.get(name));
        let first = accounts.next()?;
        accounts.all(|other| std::ptr::eq(first, other)).then_some(first)
    }
}

impl Authenticated {
    fn of(principal: Arc<Principal>, proof: Proof) -> Self {
        Self {
            principal,
            proof,
            stamp: Vec::new(),
            api_token: String::new(),
            claims: None,
        }
    }
}

impl LoginSettings {
    fn check(&self, roles: &BTreeMap<String, Role>) -> Result<()> {
        let lifetime = self.token_lifetime.0;
        if lifetime < Duration::from_secs(60) || lifetime > LONGEST {
            return Err(Error::config(DOING, "`token_lifetime` is too short or too long")
                .hint("a session lasts a minute at least and 30d at most"));
        }
        self.jwt.as_ref().map_or(Ok(()), |jwt| jwt.check(roles))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
