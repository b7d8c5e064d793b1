//! The identity provider: its keys, read from a file or asked for over HTTPS, looked at again now and then and when a
//! token names one that is not known; and the tokens that they verify.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cordada_core::{Context, Error, Result, tls};
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::redirect::Policy;
use serde_json::Value;
use tokio::sync::Mutex;
use url::{Host, Url};

use super::clock::Clock;
use super::jwk::{self, PublicKey};
use super::jwt::{Jwt, Vouched};
use super::refusal::Refusal;

/// How old keys may be before they are looked at again.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// How old keys may be at most, when the provider cannot be asked.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long to wait between two questions: after a failure this doubles, up to the longest.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// How long the provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const LARGEST: usize = 1 << 20;
/// What is being done when keys cannot be had.
const DOING: &str = "asking the identity provider for its keys";

/// Gives the text of a JWKS.
type Ask = Box<dyn Fn() -> BoxFuture<'static, Result<String>> + Send + Sync>;

/// The provider.
pub(crate) struct Provider {
    jwt: Jwt,
    ask: Ask,
    wall: Clock,
    process: Clock,
    known: RwLock<Known>,
    /// Whoever has it asks.
    asking: Mutex<Asked>,
}

/// The keys, and when they were had.
#[derive(Clone, Default)]
struct Known {
    keys: Arc<Vec<PublicKey>>,
    at: Option<Duration>,
}

#[derive(Default)]
struct Asked {
    at: Option<Duration>,
    failures: u32,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider")
            .field("issuer", &self.jwt.issuer)
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// The provider of a configuration that was checked. One that cannot be asked now is asked again later.
    ///
    /// # Errors
    /// Config: an address that is not secure, a file that cannot be read as keys.
    pub(crate) async fn open(jwt: Jwt) -> Result<Self> {
        let (ask, is_file) = asking(&jwt)?;
        let provider = Self::with(jwt, ask, Clock::of_the_wall(), Clock::of_the_process());
        match provider.look(Duration::ZERO).await {
            Err(error) if is_file => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the identity provider's tokens are refused until it answers");
                Ok(provider)
            }
            Ok(()) => Ok(provider),
        }
    }

    fn with(jwt: Jwt, ask: Ask, wall: Clock, process: Clock) -> Self {
        Self {
            jwt,
            ask,
            wall,
            process,
            known: RwLock::default(),
            asking: Mutex::default(),
        }
    }

    /// Who a token says somebody is.
    ///
    /// # Errors
    /// Why it is not taken.
    pub(crate) async fn verify(&self, token: &str) -> Result<Vouched, Refusal> {
        let header = self.jwt.header(token).map_err(Refusal::Jwt)?;
        let key = header.key.as_deref();
        if !self.has(key) {
            // The provider has changed its keys, or somebody makes up names.
            if let Err(error) = self.look(Duration::ZERO).await {
                tracing::warn!(%error, "cannot look for the key of a token");
            }
        }
        let keys = self.current();
        if keys.is_empty() {
            let why = Error::unavailable(DOING, "it has not answered, or has no keys that verify signatures");
            return Err(Refusal::Unknown(why.hint("try again")));
        }
        let named: Vec<_> = keys
            .iter()
            .filter(|known| key.is_none() || known.id.as_deref() == key)
            .collect();
        self.jwt.verify(token, &named, self.wall.now()).map_err(Refusal::Jwt)
    }

    /// Looks at the keys again, if it is time to.
    ///
    /// # Errors
    /// Unavailable: the provider does not answer.
    pub(crate) async fn refresh(&self) -> Result<()> {
        self.look(FRESH).await
    }

    /// Asks for the keys, unless that was done a moment ago, or what is known is newer than `fresh`.
    async fn look(&self, fresh: Duration) -> Result<()> {
        let mut asked = self.asking.lock().await;
        let now = self.process.now();
        let pause = PAUSE
            .saturating_mul(2_u32.saturating_pow(asked.failures))
            .min(LONGEST_PAUSE);
        let within = |at: Option<Duration>, time: Duration| at.is_some_and(|at| now.saturating_sub(at) < time);
        if within(asked.at, pause) || within(self.known().at, fresh) {
            return Ok(());
        }
        asked.at = Some(now);
        // Counted first: whoever waits for the answer may leave.
        asked.failures = asked.failures.saturating_add(1);
        let jwks = (self.ask)().await?;
        let keys = jwk::parse(&jwks).map_err(|why| Error::config(DOING, format!("what came is no JWKS: {why}")))?;
        asked.failures = 0;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known {
            keys: Arc::new(keys),
            at: Some(now),
        };
        Ok(())
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys, if they are not too old.
    fn current(&self) -> Arc<Vec<PublicKey>> {
        let known = self.known();
        let is_current = known.at.is_some_and(|at| self.process.now().saturating_sub(at) < STALE);
        if is_current { known.keys } else { Arc::default() }
    }

    fn has(&self, key: Option<&str>) -> bool {
        let keys = self.current();
        match key {
            Some(key) => keys.iter().any(|known| known.id.as_deref() == Some(key)),
            None => !keys.is_empty(),
        }
    }
}

/// How keys are asked for, and whether they are in a file.
fn asking(jwt: &Jwt) -> Result<(Ask, bool)> {
    let place = jwt.keys.as_deref();
    if let Some(file) = place.filter(|place| !place.contains("://")) {
        let file = PathBuf::from(file);
        let ask = move || {
            let file = file.clone();
            async move {
                tokio::fs::read_to_string(&file)
                    .await
                    .doing(|| format!("reading {}", file.display()))
            }
            .boxed()
        };
        return Ok((Box::new(ask), true));
    }
    let keys = place.map(secure).transpose()?;
    let issuer = jwt.issuer.clone();
    let configuration = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let configuration = match &keys {
        Some(_) => None,
        None => Some(secure(&configuration)?),
    };
    let client = client()?;
    let ask = move || {
        let (client, keys, issuer) = (client.clone(), keys.clone(), issuer.clone());
        let configuration = configuration.clone();
        async move {
            let keys = match (keys, configuration) {
                (Some(keys), _) => keys,
                (None, Some(configuration)) => discover(&client, configuration, &issuer).await?,
                (None, None) => return Err(Error::config(DOING, "nobody says where they are")),
            };
            get(&client, keys).await
        }
        .boxed()
    };
    Ok((Box::new(ask), false))
}

/// Where an issuer's OpenID configuration says that its keys are.
async fn discover(client: &reqwest::Client, configuration: Url, issuer: &str) -> Result<Url> {
    let text = get(client, configuration).await?;
    let read: Option<Value> = serde_json::from_str(&text).ok();
    let member = |name: &str| read.as_ref().and_then(|read| read.get(name)).and_then(Value::as_str);
    if member("issuer") != Some(issuer) {
        return Err(Error::config(DOING, "its OpenID configuration is another issuer's")
            .hint("write `issuer:` to the letter as the provider does"));
    }
    let keys = member("jwks_uri").ok_or_else(|| Error::config(DOING, "its OpenID configuration has no `jwks_uri`"))?;
    secure(keys)
}

async fn get(client: &reqwest::Client, url: Url) -> Result<String> {
    let place = url.to_string();
    let failed = |why: String| {
        Error::unavailable(DOING, why)
            .hint("check `keys:` or `issuer:` of the identity provider, and that it is up")
            .with("url", &place)
    };
    let answer = client.get(url).send().await;
    let mut answer = answer.map_err(|error| failed(error.without_url().to_string()))?;
    if !answer.status().is_success() {
        return Err(failed(format!("it answers {}", answer.status())));
    }
    let mut text = Vec::new();
    while let Some(part) = answer
        .chunk()
        .await
        .map_err(|error| failed(error.without_url().to_string()))?
    {
        text.extend_from_slice(&part);
        if text.len() > LARGEST {
            return Err(failed("its answer is too large".to_owned()));
        }
    }
    String::from_utf8(text).map_err(|_| failed("its answer is no text".to_owned()))
}

fn client() -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::verifying_client(None)?)
        .user_agent(concat!("cordada/", env!("CARGO_PKG_VERSION")))
        .timeout(PATIENCE)
        .redirect(Policy::none())
        .referer(false);
    builder
        .build()
        .map_err(|error| Error::failed("preparing to ask the identity provider", error.without_url()))
}

/// The address, if nobody between can change what it answers: over TLS, or on this machine.
fn secure(address: &str) -> Result<Url> {
    let wrong = |why: &str| {
        Error::config("configuring the identity provider", why)
            .hint("keys come from an https:// address, or from a file")
            .with("address", address)
    };
    let url = Url::parse(address).map_err(|_| wrong("this is no address"))?;
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err(wrong("what comes from there can be changed on its way")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
