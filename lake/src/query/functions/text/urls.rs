//! Addresses of the web.

use datafusion::common::exec_err;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use super::super::define::Takes::Text;
use super::super::define::{Definition, Gives};

/// What need not be encoded. (RFC 3986, section 2.3.)
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "parse_url",
        takes: &[Text, Text, Text],
        optional: 1,
        gives: Gives::Text(|row| {
            let Ok(url) = Url::parse(row.text(0)) else {
                return Ok(None);
            };
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            let part = match row.text(1).to_ascii_uppercase().as_str() {
                "PROTOCOL" | "SCHEME" => Some(url.scheme().to_owned()),
                "HOST" => url.host_str().map(str::to_owned),
                "PORT" => url.port_or_known_default().map(|port| port.to_string()),
                "PATH" => Some(url.path().to_owned()),
                "QUERY" if row.has(2) => return Ok(parameter(&url, row.text(2)).map(Into::into)),
                "QUERY" => url.query().map(str::to_owned),
                "REF" | "FRAGMENT" => url.fragment().map(str::to_owned),
                "FILE" => Some(
                    url.query()
                        .map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path())),
                ),
                "AUTHORITY" => {
                    let user = match (url.username(), url.password()) {
                        ("", _) => String::new(),
                        (user, None) => format!("{user}@"),
                        (user, Some(password)) => format!("{user}:{password}@"),
                    };
                    url.host_str().map(|host| format!("{user}{host}{port}"))
                }
                "USERINFO" => (!url.username().is_empty()).then(|| url.username().to_owned()),
                other => {
                    return exec_err!(
                        "an address has HOST, PATH, QUERY, REF, PROTOCOL, FILE, AUTHORITY, not {other:?}"
                    );
                }
            };
            Ok(part.map(Into::into))
        }),
        what: "A part of an address: HOST, PATH, QUERY, REF, PROTOCOL, FILE, AUTHORITY or USERINFO; with QUERY the value \
               of one parameter.",
        syntax: "parse_url(address, part [, parameter])",
        example: "parse_url('https://a.b/c?d=1', 'QUERY', 'd') = '1'",
        ..Definition::PLAIN
    },
    Definition {
        name: "url_extract_host",
        takes: &[Text],
        gives: Gives::Text(|row| {
            let url = Url::parse(row.text(0)).ok();
            Ok(url.and_then(|url| url.host_str().map(|host| host.to_owned().into())))
        }),
        what: "The host of an address.",
        syntax: "url_extract_host(address)",
        example: "url_extract_host('https://a.b/c') = 'a.b'",
        ..Definition::PLAIN
    },
    Definition {
        name: "url_extract_path",
        takes: &[Text],
        gives: Gives::Text(|row| Ok(Url::parse(row.text(0)).ok().map(|url| url.path().to_owned().into()))),
        what: "The path of an address.",
        syntax: "url_extract_path(address)",
        example: "url_extract_path('https://a.b/c') = '/c'",
        ..Definition::PLAIN
    },
    Definition {
        name: "url_extract_query",
        takes: &[Text],
        gives: Gives::Text(|row| {
            let url = Url::parse(row.text(0)).ok();
            Ok(url.and_then(|url| url.query().map(|query| query.to_owned().into())))
        }),
        what: "The query of an address.",
        syntax: "url_extract_query(address)",
        example: "url_extract_query('https://a.b/c?d=1') = 'd=1'",
        ..Definition::PLAIN
    },
    Definition {
        name: "url_extract_parameter",
        takes: &[Text, Text],
        gives: Gives::Text(|row| {
            let url = Url::parse(row.text(0)).ok();
            Ok(url.and_then(|url| parameter(&url, row.text(1))).map(Into::into))
        }),
        what: "A parameter of an address's query.",
        syntax: "url_extract_parameter(address, name)",
        example: "url_extract_parameter('https://a.b/c?d=1', 'd') = '1'",
        ..Definition::PLAIN
    },
    Definition {
        name: "url_encode",
        takes: &[Text],
        gives: Gives::Text(|row| Ok(Some(utf8_percent_encode(row.text(0), RESERVED).to_string().into()))),
        what: "The text as it may be put into an address.",
        syntax: "url_encode(text)",
        example: "url_encode('a b&c') = 'a%20b%26c'",
        ..Definition::PLAIN
    },
    Definition {
        name: "url_decode",
        takes: &[Text],
        gives: Gives::Text(|row| {
            let text = row.text(0).replace('+', " ");
            match percent_decode_str(&text).decode_utf8() {
                Ok(text) => Ok(Some(text.into_owned().into())),
                Err(_) => exec_err!("the text of the address is not in UTF-8"),
            }
        }),
        what: "The text that was put into an address.",
        syntax: "url_decode(text)",
        example: "url_decode('a%20b') = 'a b'",
        ..Definition::PLAIN
    },
];

fn parameter(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
