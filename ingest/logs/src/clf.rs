//! The family of the Common Log Format: `host ident user [time] "request" status bytes`, and what servers put before
//! and after it. Source: Apache HTTP Server, mod_log_config; nginx, ngx_http_log_module.

use super::record::{Host, Reason, Record};
use super::time;
use super::tokens::Cursor;

/// What is before the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Front {
    /// `remote ident user`
    Remote,
    /// `host remote ident user`
    HostFirst,
    /// `remote host user`
    HostSecond,
}

/// What is after the number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    Nothing,
    /// `"referrer" "user agent"`, and whatever an administrator has added.
    Agent,
    /// The same and the seconds that somebody listened.
    Session,
    /// The same, the number of the request, the router, the server, and the milliseconds it took.
    Traefik,
}

/// One format of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clf {
    front: Front,
    /// Whether `(3 s)` follows the time.
    seconds: bool,
    tail: Tail,
}

impl Clf {
    pub(crate) const COMMON: Clf = Clf::new(Front::Remote, Tail::Nothing);
    pub(crate) const COMMON_VHOST: Clf = Clf::new(Front::HostFirst, Tail::Nothing);
    pub(crate) const COMBINED: Clf = Clf::new(Front::Remote, Tail::Agent);
    pub(crate) const COMMON_COMPLETE: Clf = Clf::new(Front::HostFirst, Tail::Agent);
    pub(crate) const OVH: Clf = Clf::new(Front::HostSecond, Tail::Agent);
    pub(crate) const ICECAST2: Clf = Clf::new(Front::Remote, Tail::Session);
    pub(crate) const TRAEFIK: Clf = Clf::new(Front::Remote, Tail::Traefik);
    pub(crate) const GANDI: Clf = Clf {
        seconds: true,
        ..Clf::COMMON_COMPLETE
    };

    const fn new(front: Front, tail: Tail) -> Clf {
        let seconds = false;
        Clf { front, seconds, tail }
    }

    /// Writes the fields of a line.
    ///
    /// # Errors
    /// It is none of this format.
    pub(crate) fn write(self, line: &[u8], record: &mut Record<'_>) -> Result<(), Reason> {
        let open = memchr::memchr(b'[', line).ok_or("there is no time in brackets")?;
        let mut rest = Cursor::new(&line[open..]);
        let stamp = rest.bracketed().ok_or("there is no time in brackets")?;
        record.time(time::bracketed(stamp).ok_or("the time cannot be read")?);
        self.front(Cursor::new(&line[..open]), record)?;
        if self.seconds {
            let seconds = rest
                .rest()
                .strip_prefix(b"(")
                .and_then(|inner| Cursor::new(inner).word());
            record.scaled("request_time", seconds.ok_or("there are no seconds")?, 0)?;
            let end = memchr::memchr(b')', rest.rest()).ok_or("there are no seconds")?;
            rest = Cursor::new(&rest.rest()[end + 1..]);
        }
        record.request(rest.quoted().ok_or("there is no request in quotes")?, self.host());
        record.number("status", rest.word().ok_or("there is no status")?)?;
        record.number("bytes", rest.word().ok_or("there is no number of bytes")?)?;
        self.tail(rest, record)
    }

    fn host(self) -> Host {
        match self.front {
            Front::Remote => Host::FromTarget,
            Front::HostFirst | Front::HostSecond => Host::Elsewhere,
        }
    }

    fn front(self, mut front: Cursor<'_>, record: &mut Record<'_>) -> Result<(), Reason> {
        const SHORT: &str = "there are too few fields before the time";
        let mut word = || front.word().ok_or(SHORT);
        let (host, remote, ident) = match self.front {
            Front::Remote => (None, word()?, word()?),
            Front::HostFirst => (Some(word()?), word()?, word()?),
            Front::HostSecond => {
                let remote = word()?;
                (Some(word()?), remote, &b"-"[..])
            }
        };
        // A user's name may have spaces.
        let user = front.rest();
        if user.is_empty() {
            return Err(SHORT.into());
        }
        let wrong_host = match self.front {
            Front::HostSecond => host.is_none_or(|host| !is_host(host) || user.contains(&b' ')),
            _ => host.is_some_and(|_| !is_host(remote)),
        };
        if wrong_host || remote == b"-" {
            return Err("the fields before the time are others".into());
        }
        if let Some(host) = host {
            record.text("host", host);
        }
        record.address("remote_host", remote);
        record.text_if_any("ident", ident);
        record.text("user", user);
        Ok(())
    }

    fn tail(self, mut rest: Cursor<'_>, record: &mut Record<'_>) -> Result<(), Reason> {
        const MORE: &str = "there is more behind what the format has";
        if self.tail == Tail::Nothing {
            return if rest.is_empty() { Ok(()) } else { Err(MORE.into()) };
        }
        record.referrer(rest.quoted().ok_or("there is no referrer in quotes")?);
        record.text("user_agent", rest.quoted().ok_or("there is no user agent in quotes")?);
        match self.tail {
            Tail::Session => {
                let seconds = rest.word().ok_or("there is no time of the session")?;
                record.number("session_time", if seconds.contains(&b'.') { b"x" } else { seconds })?;
            }
            Tail::Traefik => {
                record.number("request_count", rest.word().ok_or("there is no number of the request")?)?;
                record.text("router", rest.quoted().ok_or("there is no router in quotes")?);
                record.text("server", rest.quoted().ok_or("there is no server in quotes")?);
                let took = rest.word().and_then(|took| took.strip_suffix(b"ms"));
                record.scaled("request_time", took.ok_or("there are no milliseconds")?, 3)?;
            }
            Tail::Nothing | Tail::Agent => {
                extra(&mut rest, record);
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(MORE.into()) }
    }
}

/// What an administrator has added. One value in quotes is the `X-Forwarded-For` of nginx's own `main` format.
fn extra(rest: &mut Cursor<'_>, record: &mut Record<'_>) {
    let all = rest.rest();
    if all.is_empty() {
        return;
    }
    let forwarded = rest.quoted().filter(|_| rest.is_empty());
    match forwarded {
        Some(addresses) => record.address("x_forwarded_for", addresses),
        None => {
            let addresses = record.policy.addresses;
            let text = String::from_utf8_lossy(all);
            record.text("extra", addresses.mask(&text).as_bytes());
            *rest = Cursor::new(b"");
        }
    }
}

fn is_host(word: &[u8]) -> bool {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b".:-_*[]%".contains(byte);
    let telling = word.contains(&b'.') || word.contains(&b':') || word == b"localhost";
    word != b"-" && telling && word.iter().all(legal)
}
