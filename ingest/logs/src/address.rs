//! Addresses of visitors, which are personal data: cut short unless the configuration asks for them.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

/// What becomes of the addresses of visitors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Addresses {
    /// The network stays: 24 bits of IPv4, 48 of IPv6, and of a name its last two labels.
    #[default]
    Truncate,
    /// They do not land.
    Drop,
    /// They land as they are.
    Full,
}

impl Addresses {
    /// What lands of an address, of a name, or of a list of them as proxies make it (`X-Forwarded-For`).
    pub(crate) fn apply(self, text: &str) -> Option<Cow<'_, str>> {
        match self {
            Addresses::Drop => None,
            Addresses::Full => Some(text.into()),
            Addresses::Truncate => {
                let items = text.split(',').map(|item| truncate(item.trim()));
                Some(items.collect::<Vec<_>>().join(", ").into())
            }
        }
    }

    /// A text that may hold addresses anywhere, for people to read: without what [`Addresses::apply`] takes away.
    pub(crate) fn mask(self, text: &str) -> Cow<'_, str> {
        if self == Addresses::Full {
            return text.into();
        }
        let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':');
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(is_part) {
            let length = rest[start..].find(|c| !is_part(c)).unwrap_or(rest.len() - start);
            let (before, token) = (&rest[..start], &rest[start..start + length]);
            masked.push_str(before);
            masked.push_str(&self.masked_token(token));
            rest = &rest[start + length..];
        }
        masked.push_str(rest);
        masked.into()
    }

    fn masked_token(self, token: &str) -> Cow<'_, str> {
        // A sentence may end with an address, and a word that ends in a to f may be glued to one.
        let inner = token.trim_matches(['.', ':']);
        let candidates = [token, inner, inner.trim_start_matches(|c: char| !c.is_ascii_digit())];
        let found = candidates.into_iter().find_map(|text| Some((text, address(text)?)));
        match (found, self) {
            (None, _) => token.into(),
            (Some((text, _)), Addresses::Drop) => token.replace(text, "*").into(),
            (Some((text, address)), _) => token.replace(text, &network(address)).into(),
        }
    }
}

/// The address that a text is, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        return bracketed.split_once(']')?.0.parse().ok();
    }
    let (address, port) = text.rsplit_once(':')?;
    let v4: Ipv4Addr = address.parse().ok()?;
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some(IpAddr::V4(v4))
}

fn truncate(text: &str) -> String {
    if let Some(address) = address(text) {
        return network(address);
    }
    // Names that providers give carry the address in their first labels.
    let labels: Vec<_> = text.rsplitn(3, '.').collect();
    match labels[..] {
        [last, domain, _] => format!("{domain}.{last}"),
        _ => text.to_owned(),
    }
}

fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            Ipv4Addr::new(a, b, c, 0).to_string()
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => network(IpAddr::V4(v4)),
            None => {
                let [a, b, c, ..] = v6.segments();
                Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_string()
            }
        },
    }
}

/// Whether a field of that name holds the address of a visitor, or of the proxies on the way.
pub(crate) fn is_address(name: &str) -> bool {
    const PARTS: [&str; 14] = [
        "forwarded",
        "xff",
        "c_ip",
        "client_ip",
        "clientip",
        "remote_ip",
        "real_ip",
        "remote_addr",
        "client_addr",
        "client_host",
        "remote_host",
        "connecting_ip",
        "c_dns",
        "caip",
    ];
    let name = name.to_ascii_lowercase().replace('-', "_");
    let plain = matches!(name.as_str(), "ip" | "clientaddr" | "clienthost" | "ip_address");
    plain || PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_network() {
        for (whole, cut) in [
            ("1.2.3.4", "1.2.3.0"),
            ("1.2.3.4:8080", "1.2.3.0"),
            ("2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3::"),
            ("[2001:db8:85a3::7]:443", "2001:db8:85a3::"),
            ("::ffff:1.2.3.4", "1.2.3.0"),
            ("dsl-1-2-3-4.madrid.example.net", "example.net"),
            ("localhost", "localhost"),
            ("1.2.3.4, 10.0.0.7", "1.2.3.0, 10.0.0.0"),
        ] {
            assert_eq!(Addresses::Truncate.apply(whole).as_deref(), Some(cut));
            assert_eq!(Addresses::Full.apply(whole).as_deref(), Some(whole));
            assert_eq!(Addresses::Drop.apply(whole), None);
        }
    }

    #[test]
    fn addresses_within_a_text_are_found() {
        let line = "from 1.2.3.4:80 (2001:db8::1), at 16:42:07. Or =10.0.0.9.";
        assert_eq!(
            Addresses::Truncate.mask(line),
            "from 1.2.3.0 (2001:db8::), at 16:42:07. Or =10.0.0.0."
        );
        assert_eq!(Addresses::Drop.mask(line), "from * (*), at 16:42:07. Or =*.");
        assert_eq!(Addresses::Full.mask(line), line);
    }

    #[test]
    fn names_tell_addresses() {
        for name in ["X-Forwarded-For", "c-ip", "remote_addr", "ClientHost", "s-xff", "ip"] {
            assert!(is_address(name), "{name}");
        }
        for name in ["s-ip", "ship", "path", "description", "sc-ip-x"] {
            assert!(name == "sc-ip-x" || !is_address(name), "{name}");
        }
    }
}
