//! A request with all its templates filled in.

use bytes::Bytes;
use cordada_core::{Error, Result};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value as Json, json};
use url::Url;

use super::system::request::Request;
use super::template::{self, Scope};

/// What is sent.
#[derive(Clone)]
pub struct Outgoing {
    /// GET, POST …
    pub method: Method,
    /// Where it goes, with the query.
    pub url: Url,
    /// What is sent with it, without the credentials.
    pub headers: HeaderMap,
    /// What it says.
    pub body: Option<Bytes>,
    /// Whether it goes with credentials; only to the system itself.
    pub credentials: bool,
    /// Where an answer says that it is an error although its status says that it is none.
    pub failure: Option<&'static str>,
    /// Whether it asks for a page that there may not be: a refusal of the page is an answer without records.
    pub probing: bool,
    /// Where it goes, as it may be shown.
    pub place: ShownPlace,
}

/// Where a request goes, as it may be shown, and what of it may not be.
#[derive(Debug, Clone, Default)]
pub struct ShownPlace {
    /// The address, without what lets in, and without values of the record that is asked by.
    pub text: String,
    /// Those values: what a system says of an error may have them in it.
    pub personal: Vec<String>,
}

impl ShownPlace {
    /// Of an address that is the same for everybody.
    pub fn of(url: &Url) -> Self {
        Self {
            text: shown(url),
            personal: Vec::new(),
        }
    }

    /// Of an address that a system gave: its path may be a secret or personal too.
    pub fn of_host(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        Self {
            text: format!("{}://{host}/…", url.scheme()),
            personal: Vec::new(),
        }
    }

    /// Of a request that `scope` has been filled into, which made it go to `url`.
    fn of_request(request: &Request, base: &Url, scope: &Scope, url: &Url) -> Self {
        let Some((scope, personal)) = scope.shown() else {
            return Self::of(url);
        };
        let place = path_url(request, base, &scope);
        // The longest first: a part of one that is left when a shorter one is cut out would still tell it.
        let mut personal = personal;
        personal.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self {
            text: place.map_or_else(|_| Self::of_host(base).text, |place| shown(&place)),
            personal,
        }
    }

    /// What a system says, without persons.
    pub(crate) fn without_persons(&self, said: &str) -> String {
        let said = cordada_core::shown::without_persons(said).into_owned();
        let values = self.personal.iter();
        values.fold(said, |said, value| said.replace(value.as_str(), "…"))
    }
}

/// Where requests go, and what goes with each.
#[derive(Debug, Clone)]
pub struct Base {
    /// What paths are appended to.
    pub url: Url,
    /// Further hosts that addresses of next pages may be of: `host`, or `host:port`.
    pub trusted_hosts: Vec<String>,
    /// Sent with every request.
    pub headers: HeaderMap,
}

/// What pagination adds to a request.
#[derive(Debug, Clone, Default)]
pub struct Addition {
    /// Parameters of the query.
    pub params: Vec<(String, String)>,
    /// A value in the JSON body, at a dotted path.
    pub into: Option<(String, Json)>,
    /// Further headers.
    pub headers: Vec<(HeaderName, String)>,
    /// Instead of the request's own URL.
    pub url: Option<Url>,
}

impl Base {
    /// Whether credentials may go to `url` although it is of another host.
    fn trusts(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let with_port = url.port_or_known_default().map(|port| format!("{host}:{port}"));
        let is_it = |trusted: &String| trusted == host && url.port().is_none() || Some(trusted) == with_port.as_ref();
        let secure = url.scheme() == "https" || url.scheme() == self.url.scheme();
        secure && self.trusted_hosts.iter().any(is_it)
    }
}

impl Outgoing {
    /// `request` to the system at `base`.
    ///
    /// # Errors
    /// Config for templates that cannot be filled in, for a URL that is none or of another host.
    pub fn new(request: &Request, base: &Base, scope: &Scope, added: &Addition) -> Result<Self> {
        let mut outgoing = Self {
            method: Method::GET,
            url: match &added.url {
                Some(url) => url.clone(),
                None => url(request, &base.url, scope, &added.params)?,
            },
            headers: base.headers.clone(),
            body: None,
            credentials: true,
            failure: request
                .graphql
                .as_ref()
                .map(|_| "/errors")
                .or(request.jsonrpc.as_ref().map(|_| "/error")),
            probing: false,
            place: ShownPlace::default(),
        };
        outgoing.url = match added.url.as_ref().is_some_and(|url| base.trusts(url)) {
            true => outgoing.url,
            false => same_host(&base.url, outgoing.url)?,
        };
        outgoing.place = ShownPlace::of_request(request, &base.url, scope, &outgoing.url);
        outgoing.fill_body(request, scope, added)?;
        if let Some(method) = &request.method {
            outgoing.method = Method::from_bytes(method.as_bytes())
                .map_err(|_| Error::config("preparing a request", format!("`{method}` is not a method")))?;
        }
        for (name, value) in &request.headers {
            outgoing.header(name, &value.text(scope)?)?;
        }
        for (name, value) in &added.headers {
            outgoing.header(name.as_str(), value)?;
        }
        Ok(outgoing)
    }

    fn header(&mut self, name: &str, value: &str) -> Result<()> {
        if value.is_empty() {
            return Ok(());
        }
        let (name, value) = header(name, value)?;
        self.headers.insert(name, value);
        Ok(())
    }

    fn fill_body(&mut self, request: &Request, scope: &Scope, added: &Addition) -> Result<()> {
        let mut json = match (&request.json, &request.graphql, &request.jsonrpc) {
            (Some(json), _, _) => Some(template::fill(json, scope)?),
            (_, Some(graphql), _) => {
                let variables = template::fill(&Json::Object(graphql.variables.clone()), scope)?;
                Some(json!({"query": graphql.query.text(scope)?, "variables": variables}))
            }
            (_, _, Some(call)) => {
                let params = template::fill(&call.params, scope)?;
                Some(json!({"jsonrpc": "2.0", "id": 1, "method": call.method.text(scope)?, "params": params}))
            }
            _ => None,
        };
        if let (Some(body), Some((path, value))) = (&mut json, &added.into) {
            put(body, path, value)?;
        }
        let (body, content_type) = if let Some(json) = json {
            (json.to_string(), "application/json")
        } else if let Some(form) = &request.form {
            let mut encoder = url::form_urlencoded::Serializer::new(String::new());
            encoder.extend_pairs(pairs(form, scope)?);
            (encoder.finish(), "application/x-www-form-urlencoded")
        } else {
            return Ok(());
        };
        self.body = Some(body.into());
        self.method = Method::POST;
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Ok(())
    }
}

/// A URL as it may be shown: without user, password and query, where secrets are.
pub fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!(
        "{}://{}{port}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.path()
    )
}

/// A header that is never shown.
pub fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let wrong = || {
        Error::config(
            "preparing a request",
            format!("the value of the header {name} cannot be sent"),
        )
    };
    let name = HeaderName::try_from(name).map_err(|_| wrong())?;
    let mut value = HeaderValue::try_from(value).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// The URL that `text` is, seen from `base`.
pub fn join(base: &Url, text: &str) -> Result<Url> {
    base.join(text).map_err(|_| {
        Error::failed(
            format!("asking {}", shown(base)),
            "the address of the next request is not a URL",
        )
    })
}

/// `url` if it is of the host of `base`: credentials go nowhere else. One that merely says `http` where the base is
/// `https`, as systems behind proxies do, is asked for by `https`.
pub fn same_host(base: &Url, mut url: Url) -> Result<Url> {
    if url.scheme() == "http" && base.scheme() == "https" && url.host() == base.host() {
        let port = base.port();
        if url.set_scheme("https").is_err() || url.set_port(port).is_err() {
            return Err(Error::failed(
                format!("asking {}", shown(base)),
                "the address cannot be asked by https",
            ));
        }
    }
    let same = url.host() == base.host() && url.port_or_known_default() == base.port_or_known_default();
    if same && url.scheme() == base.scheme() {
        return Ok(url);
    }
    let host = url.host_str().unwrap_or("no host").to_owned();
    Err(Error::failed(
        format!("asking {}", shown(base)),
        format!("the next address is on another host: {host}"),
    )
    .hint("credentials are sent to the host of `base_url` only; if this one is right, name it in `trusted_hosts`"))
}

/// Where a request goes, without its parameters.
fn path_url(request: &Request, base: &Url, scope: &Scope) -> Result<Url> {
    let path = match &request.path {
        Some(path) => path.path(scope)?,
        None => String::new(),
    };
    if path.starts_with("http://") || path.starts_with("https://") {
        join(base, &path)
    } else if path.is_empty() {
        Ok(base.clone())
    } else {
        // Below the base: `join` would take a path from the root on.
        let mut base = base.clone();
        base.set_query(None);
        base.set_fragment(None);
        let below = format!(
            "{}/{}",
            base.as_str().trim_end_matches('/'),
            path.trim_start_matches('/')
        );
        join(&base, &below)
    }
}

fn url(request: &Request, base: &Url, scope: &Scope, added: &[(String, String)]) -> Result<Url> {
    let mut url = path_url(request, base, scope)?;
    let mut pairs = pairs(&request.params, scope)?;
    pairs.retain(|(name, _)| !added.iter().any(|(other, _)| other == name));
    pairs.extend(added.iter().cloned());
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
        spaces(&mut url);
    }
    Ok(url)
}

/// Writes the spaces of a query as `%20`, which everybody reads: OData servers refuse the `+` of HTML's forms.
pub fn spaces(url: &mut Url) {
    let query = url.query().map(|query| query.replace('+', "%20"));
    url.set_query(query.as_deref());
}

/// Names and values of parameters; those that come out empty are left out.
fn pairs(params: &Map<String, Json>, scope: &Scope) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for (name, value) in params {
        let written_empty = matches!(value, Json::String(text) if text.is_empty());
        match template::fill(value, scope)? {
            Json::Array(items) => {
                pairs.extend(items.iter().filter_map(text).map(|text| (name.clone(), text)));
            }
            value => pairs.extend(
                text(&value)
                    .filter(|text| written_empty || !text.is_empty())
                    .map(|text| (name.clone(), text)),
            ),
        }
    }
    Ok(pairs)
}

/// A value as a parameter; none for a null.
pub fn text(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Puts `value` into `body` at a dotted path; objects on the way are made, numbers are places in lists.
fn put(body: &mut Json, path: &str, value: &Json) -> Result<()> {
    let mut place = body;
    for segment in path.split('.') {
        let missing = || Error::config("preparing a request", format!("the body has no place `{path}`"));
        place = match place {
            Json::Object(entries) => entries.entry(segment).or_insert(Json::Null),
            Json::Array(items) => {
                let index: usize = segment.parse().map_err(|_| missing())?;
                items.get_mut(index).ok_or_else(missing)?
            }
            Json::Null => {
                *place = json!({ segment: null });
                place.get_mut(segment).ok_or_else(missing)?
            }
            _ => return Err(missing()),
        };
    }
    *place = value.clone();
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn outgoing(request: Json, added: &Addition) -> Result<Outgoing> {
        let request: Request = serde_json::from_value(request).unwrap();
        let scope = Scope::default().with("config", json!({"id": "a b/c", "none": null, "list": ["x", "y"]}));
        let base = Base {
            url: Url::parse("https://acme.example/api?ignored=1").unwrap(),
            trusted_hosts: vec!["pages.example".to_owned(), "pages.example.org:8443".to_owned()],
            headers: HeaderMap::new(),
        };
        Outgoing::new(&request, &base, &scope, added)
    }

    fn request_of(path: &str) -> Request {
        serde_json::from_value(json!({ "path": path })).unwrap()
    }

    fn body(outgoing: &Outgoing) -> &str {
        std::str::from_utf8(outgoing.body.as_ref().unwrap()).unwrap()
    }

    #[test]
    fn requests_are_filled_in() {
        let request = json!({
            "path": "/orders/{{ config.id }}",
            "params": {"a": "{{ config.none }}", "b": 5, "c": "{{ config.list }}", "d": "x&y", "e": "", "page": 1},
            "headers": {"X-Id": "{{ config.id }}", "X-None": "{{ config.none }}"},
        });
        let page = vec![("page".to_owned(), "2".to_owned())];
        let added = Addition {
            params: page,
            ..Addition::default()
        };
        let sent = outgoing(request, &added).unwrap();
        assert_eq!(
            sent.url.as_str(),
            "https://acme.example/api/orders/a%20b%2Fc?b=5&c=x&c=y&d=x%26y&e=&page=2"
        );
        assert_eq!((sent.method, sent.headers.len()), (Method::GET, 1));
        assert_eq!(shown(&sent.url), "https://acme.example/api/orders/a%20b%2Fc");
    }

    #[test]
    fn whose_records_are_asked_for_is_not_shown() {
        let request = json!({
            "path": "/customers/{{ parent.email }}/{{ config.id }}/{{ parent.n }}",
            "params": {"email": "{{ parent.email }}"},
        });
        let request: Request = serde_json::from_value(request).unwrap();
        let parent = json!({"email": "ana@example.org", "n": {"first": "Ana", "age": 7}});
        let scope = Scope::default()
            .with("config", json!({"id": "x"}))
            .with("parent", parent);
        let base = Base {
            url: Url::parse("https://u:p@acme.example/api").unwrap(),
            trusted_hosts: Vec::new(),
            headers: HeaderMap::new(),
        };
        let next = Url::parse("https://acme.example/api/customers/ana@example.org?page=2").unwrap();
        for url in [None, Some(next)] {
            let added = Addition {
                url,
                ..Addition::default()
            };
            let sent = Outgoing::new(&request, &base, &scope, &added).unwrap();
            assert!(sent.url.as_str().contains("ana"), "{}", sent.url);
            assert_eq!(sent.place.text, "https://acme.example/api/customers/:email/x/:n");
            let said = sent
                .place
                .without_persons("Ana has no order 7: bo@example.org, ana@example.org");
            assert_eq!(said, "… has no order 7: …, …");
        }
        let parent = json!({"first": "Anab", "name": "Anabel", "all": "Anabel Anab"});
        let named = scope.with("parent", parent);
        let sent = Outgoing::new(&request_of("/x"), &base, &named, &Addition::default()).unwrap();
        let said = sent.place.without_persons("no Anabel Anab, no Anabel, no Anab");
        assert_eq!(said, "no …, no …, no …");
        // What cannot be filled in without the record shows no path at all.
        let request: Request = serde_json::from_value(json!({"path": "/{{ parent.n.age + 1 }}"})).unwrap();
        let sent = Outgoing::new(&request, &base, &scope, &Addition::default()).unwrap();
        assert_eq!(sent.place.text, "https://acme.example/…");
    }

    #[test]
    fn bodies_are_posted() {
        let added = Addition {
            into: Some(("variables.page.after".into(), json!("x"))),
            ..Addition::default()
        };
        let graphql = json!({"graphql": {"query": "{ a }", "variables": {"n": "{{ config.list }}"}}});
        let sent = outgoing(graphql, &added).unwrap();
        assert_eq!(
            body(&sent),
            r#"{"query":"{ a }","variables":{"n":["x","y"],"page":{"after":"x"}}}"#
        );
        assert_eq!((sent.method, sent.failure), (Method::POST, Some("/errors")));
        let added = Addition {
            into: Some(("params.1".into(), json!(50))),
            ..Addition::default()
        };
        let sent = outgoing(json!({"jsonrpc": {"method": "m", "params": [1, 0]}}), &added).unwrap();
        assert_eq!(body(&sent), r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1,50]}"#);
        let sent = outgoing(
            json!({"form": {"a": "x y", "b": "{{ config.none }}"}}),
            &Addition::default(),
        )
        .unwrap();
        assert_eq!(body(&sent), "a=x+y");
    }

    #[test]
    fn other_hosts_are_refused() {
        let to = |url: &str| {
            let added = Addition {
                url: Some(Url::parse(url).unwrap()),
                ..Addition::default()
            };
            outgoing(json!({}), &added)
                .map(|sent| sent.url.to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            to("http://acme.example/next?p=2").unwrap(),
            "https://acme.example/next?p=2"
        );
        for url in ["https://pages.example/2", "https://pages.example.org:8443/2"] {
            assert_eq!(to(url).unwrap(), url);
        }
        for url in [
            "http://pages.example/?key=s3cret",
            "https://pages.example:8443/",
            "https://pages.example.org/",
            "https://evil.example/?key=s3cret",
            "https://acme.example:8443/",
            "https://acme.example.evil.org/",
        ] {
            let error = to(url).unwrap_err();
            assert!(error.contains("another host") && !error.contains("s3cret"), "{error}");
        }
    }
}
