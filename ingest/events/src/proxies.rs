//! Whose word counts for who sent a hit.

use std::fmt;
use std::net::IpAddr;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::addresses::address;

/// The proxies on the way that say in `X-Forwarded-For` who sent a hit: none, whoever connects, or those of these
/// addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Proxies {
    #[default]
    None,
    Whoever,
    These(Vec<IpAddr>),
}

impl Proxies {
    /// Whether whoever connected from there is one.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        match self {
            Proxies::None => false,
            Proxies::Whoever => true,
            Proxies::These(addresses) => addresses.contains(&peer.to_canonical()),
        }
    }
}

impl Proxies {
    /// Who sent what `peer` brings: whom the last proxy that is trusted names. Each adds whom it heard from at the end
    /// of the header, on a line of its own or not, so that all before it is the sender's own word.
    pub(crate) fn sender<'h>(&self, peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'h str>) -> IpAddr {
        let mut sender = peer;
        for named in forwarded.flat_map(|line| line.split(',')).rev() {
            if !self.trusts(sender) {
                break;
            }
            let Some(named) = address(named) else {
                break;
            };
            sender = named;
            // Where any peer is trusted, only that one is: whoever it names may be anybody.
            if *self == Proxies::Whoever {
                break;
            }
        }
        sender
    }
}

impl<'de> Deserialize<'de> for Proxies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfProxies;

        fn proxy<E: Error>(text: &str) -> Result<IpAddr, E> {
            let wrong = |_| E::custom(format!("`{text}` is not an address; write it as 10.0.0.5"));
            text.parse::<IpAddr>()
                .map(|address| address.to_canonical())
                .map_err(wrong)
        }

        impl<'de> Visitor<'de> for OfProxies {
            type Value = Proxies;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or the addresses of proxies")
            }

            fn visit_bool<E: Error>(self, any: bool) -> Result<Proxies, E> {
                Ok(if any { Proxies::Whoever } else { Proxies::None })
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Proxies, E> {
                Ok(Proxies::These(vec![proxy(text)?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Proxies, A::Error> {
                let mut addresses = Vec::new();
                while let Some(text) = texts.next_element::<String>()? {
                    addresses.push(proxy(&text)?);
                }
                Ok(Proxies::These(addresses))
            }
        }

        deserializer.deserialize_any(OfProxies)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_those_that_are_named_are_trusted() {
        let proxies = |value| serde_json::from_value::<Proxies>(value);
        let peer = |text: &str| text.parse().unwrap();
        assert!(!proxies(json!(false)).unwrap().trusts(peer("10.0.0.5")));
        assert!(proxies(json!(true)).unwrap().trusts(peer("10.0.0.5")));
        for named in [json!("10.0.0.5"), json!(["::1", "10.0.0.5"])] {
            let named = proxies(named).unwrap();
            assert!(named.trusts(peer("10.0.0.5")) && named.trusts(peer("::ffff:10.0.0.5")));
            assert!(!named.trusts(peer("10.0.0.6")));
        }
        assert!(
            proxies(json!("proxy"))
                .unwrap_err()
                .to_string()
                .contains("not an address")
        );
    }
    #[test]
    fn the_sender_is_whom_the_last_trusted_proxy_names() {
        let peer = |text: &str| text.parse::<IpAddr>().unwrap();
        let named = Proxies::These(vec![peer("10.0.0.5"), peer("10.0.0.6")]);
        for (proxies, from, lines, expected) in [
            (&Proxies::None, "10.0.0.5", &["203.0.113.7"][..], "10.0.0.5"),
            (&Proxies::Whoever, "10.0.0.5", &["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
            // What the sender itself wrote stands on a line before.
            (
                &Proxies::Whoever,
                "10.0.0.5",
                &["6.6.6.6", "203.0.113.7"],
                "203.0.113.7",
            ),
            (&named, "10.0.0.5", &["6.6.6.6", "203.0.113.7:99"], "203.0.113.7"),
            (&named, "10.0.0.5", &["6.6.6.6, 203.0.113.7, 10.0.0.6"], "203.0.113.7"),
            (&named, "10.0.0.5", &["203.0.113.7", "10.0.0.6"], "203.0.113.7"),
            (&named, "10.0.0.9", &["203.0.113.7"], "10.0.0.9"),
            (&named, "10.0.0.5", &["203.0.113.7, unknown"], "10.0.0.5"),
            (&named, "10.0.0.5", &["10.0.0.6"], "10.0.0.6"),
            (&named, "10.0.0.5", &[], "10.0.0.5"),
        ] {
            let sender = proxies.sender(peer(from), lines.iter().copied());
            assert_eq!(sender, peer(expected), "{from} {lines:?}");
        }
    }
}
