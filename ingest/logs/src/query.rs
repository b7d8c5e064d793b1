//! Query strings, which may hold personal data: kept, dropped, or only the parameters that are named.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};

/// What becomes of query strings, those of the referrer included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Queries {
    /// They land as they are.
    #[default]
    Keep,
    /// They do not land.
    Drop,
    /// Only these parameters land.
    Only(Vec<String>),
}

impl<'de> Deserialize<'de> for Queries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum QueryOption {
            Word(String),
            Names(Vec<String>),
        }
        match QueryOption::deserialize(deserializer)? {
            QueryOption::Names(names) => Ok(Queries::Only(names)),
            QueryOption::Word(word) if word == "keep" => Ok(Queries::Keep),
            QueryOption::Word(word) if word == "drop" => Ok(Queries::Drop),
            QueryOption::Word(word) => Err(serde::de::Error::custom(format!(
                "`{word}` is neither keep nor drop nor a list of parameters"
            ))),
        }
    }
}

impl Queries {
    /// What lands of a query string (without its question mark).
    pub(crate) fn apply<'q>(&self, query: &'q [u8]) -> Option<Cow<'q, [u8]>> {
        match self {
            Queries::Keep => Some(query.into()),
            Queries::Drop => None,
            Queries::Only(names) => {
                let wanted = |parameter: &&[u8]| {
                    let name = parameter.split(|byte| *byte == b'=').next().unwrap_or_default();
                    names.iter().any(|wanted| wanted.as_bytes() == name)
                };
                let kept: Vec<_> = query.split(|byte| *byte == b'&').filter(wanted).collect();
                (!kept.is_empty()).then(|| kept.join(&b'&').into())
            }
        }
    }

    /// What lands of an address with a query string in it.
    pub(crate) fn apply_to_url<'u>(&self, url: &'u [u8]) -> Cow<'u, [u8]> {
        if *self == Queries::Keep {
            return url.into();
        }
        // What comes after `#` can hold as much as what comes after `?`.
        let end = memchr::memchr(b'#', url).unwrap_or(url.len());
        let Some(mark) = memchr::memchr(b'?', &url[..end]) else {
            return url[..end].into();
        };
        match self.apply(&url[mark + 1..end]) {
            None => url[..mark].into(),
            Some(query) => [&url[..mark], b"?", &query].concat().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_stays() {
        let only = Queries::Only(vec!["utm_source".into()]);
        assert_eq!(
            only.apply(b"e=a@b.c&utm_source=x").as_deref(),
            Some(&b"utm_source=x"[..])
        );
        assert_eq!(only.apply(b"e=a@b.c"), None);
        assert_eq!(
            &*only.apply_to_url(b"http://a/b?utm_source=x&q=1#f"),
            b"http://a/b?utm_source=x"
        );
        assert_eq!(&*Queries::Drop.apply_to_url(b"http://a/b?q=1"), b"http://a/b");
        assert_eq!(&*Queries::Keep.apply_to_url(b"http://a/b?q=1#f"), b"http://a/b?q=1#f");
    }
}
