//! What makes no sense in a manifest, found before anything is sent.

use std::collections::BTreeSet;

use cordada_http::decode::Format;
use cordada_http::system::auth::{Auth, Grant, Session};
use cordada_http::system::request::Request;
use cordada_http::template::{self, Template};
use cordada_ingest_source::options::Disposition;
use reqwest::Method;
use reqwest::header::HeaderName;
use serde_json::Value as Json;

use super::order;
use super::{Distance, Incremental, Job, Manifest, Paginate, StreamSpec};

/// What is wrong, where, and what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) place: String,
    pub(crate) why: String,
    pub(crate) hint: String,
}

pub(super) type Validation = Result<(), Problem>;

pub(super) fn wrong<T>(place: &str, why: impl Into<String>, hint: impl Into<String>) -> Result<T, Problem> {
    Err(Problem {
        place: place.to_owned(),
        why: why.into(),
        hint: hint.into(),
    })
}

impl Manifest {
    /// The first thing that makes no sense.
    pub(crate) fn validate(&self) -> Validation {
        let names = Names {
            config: self.config.keys().map(String::as_str).collect(),
        };
        for (name, key) in &self.config {
            let place = format!("config.{name}");
            if let Some(default) = &key.default {
                names.json(default, &["config"], None, &place)?;
            }
        }
        names.text(&self.base_url, &["config"], None, "base_url")?;
        for host in &self.trusted_hosts {
            names.text(host, &["config"], None, "trusted_hosts")?;
        }
        for (name, value) in &self.headers {
            header(name, "headers")?;
            names.text(value, &["config", "now"], None, &format!("headers.{name}"))?;
        }
        self.validate_auth(&self.auth, &names)?;
        self.validate_limits()?;
        if let Some(check) = &self.check {
            names.request(&self.effective(check), &["config", "now"], None, "check")?;
        }
        if self.streams.is_empty() {
            return wrong("streams", "there are none", "name at least one");
        }
        for name in self.streams.keys() {
            self.validate_stream(name, &names)?;
        }
        Ok(())
    }

    /// `request` with what it leaves open as in the defaults.
    pub(crate) fn effective(&self, request: &Request) -> Request {
        request.over(&self.defaults.request)
    }

    fn validate_auth(&self, auth: &Auth, names: &Names<'_>) -> Validation {
        let scope: &[&str] = &["config", "now"];
        let texts: Vec<&Template> = match auth {
            Auth::None => Vec::new(),
            Auth::Bearer { token } => vec![token],
            Auth::Basic { user, password } => [Some(user), password.as_ref()].into_iter().flatten().collect(),
            Auth::ApiKey {
                header: name,
                query,
                value,
            } => {
                match (name, query) {
                    (Some(name), None) => header(name, "auth.header")?,
                    (None, Some(_)) => {}
                    _ => {
                        return wrong(
                            "auth",
                            "the key has no place",
                            "give `header` or `query`, and one of them only",
                        );
                    }
                }
                vec![value]
            }
            Auth::Oauth2 {
                grant,
                token_url,
                client_id,
                client_secret,
                refresh_token,
                scope,
                params,
                header: name,
                value,
                ..
            } => {
                header(name, "auth.header")?;
                names.text(value, &["config", "now", "token"], None, "auth.value")?;
                if *grant == Grant::RefreshToken && refresh_token.is_none() {
                    return wrong("auth", "the grant refresh_token needs one", "give `refresh_token`");
                }
                if *grant == Grant::ClientCredentials && client_secret.is_none() {
                    return wrong(
                        "auth",
                        "the grant client_credentials needs a secret",
                        "give `client_secret`",
                    );
                }
                let some = [client_secret.as_ref(), refresh_token.as_ref(), scope.as_ref()];
                let texts = [token_url, client_id].into_iter().chain(some.into_iter().flatten());
                texts.chain(params.values()).collect()
            }
            Auth::Jwt {
                key,
                key_id,
                claims,
                exchange,
                ..
            } => {
                for (name, claim) in claims {
                    names.json(claim, scope, None, &format!("auth.claims.{name}"))?;
                }
                let exchange = exchange.as_ref().map(|exchange| &exchange.token_url);
                [Some(key), key_id.as_ref(), exchange].into_iter().flatten().collect()
            }
            Auth::Session(Session {
                login,
                header: name,
                value,
                ..
            }) => {
                header(name, "auth.header")?;
                names.request(login, scope, None, "auth.login")?;
                names.text(value, &["config", "now", "token", "response"], None, "auth.value")?;
                Vec::new()
            }
            Auth::Choice { choices } => {
                for choice in choices {
                    if !self.config.contains_key(&choice.when) {
                        let why = format!("there is no key `{}` in `config`", choice.when);
                        return wrong("auth.when", why, "name the key that chooses these credentials");
                    }
                    self.validate_auth(&choice.auth, names)?;
                }
                Vec::new()
            }
        };
        texts
            .into_iter()
            .try_for_each(|text| names.text(text, scope, None, "auth"))
    }

    fn validate_limits(&self) -> Validation {
        let (limits, retry) = (&self.limits, &self.retry);
        let zero = |place: &str| wrong(place, "it is 0", "give a number greater than 0");
        if limits.concurrency == 0 {
            return zero("limits.concurrency");
        }
        if limits
            .budgets
            .iter()
            .any(|budget| budget.requests == 0 || budget.per.0.is_zero())
        {
            return zero("limits.budgets");
        }
        if limits.max_pages == 0 || limits.max_response.0 == 0 {
            return zero("limits");
        }
        if limits.timeout.0.is_zero() || limits.deadline.0.is_zero() {
            return zero("limits.timeout");
        }
        if retry.attempts == 0 {
            return zero("retry.attempts");
        }
        for rule in &self.errors {
            let conditions = rule.equals.is_some() || rule.contains.is_some();
            if rule.body.is_none() && (conditions || rule.status.is_empty()) {
                return wrong(
                    "errors",
                    "a rule does not say what it is about",
                    "give `status`, or `body` with it",
                );
            }
        }
        Ok(())
    }

    fn validate_stream(&self, name: &str, names: &Names<'_>) -> Validation {
        let Some(stream) = self.streams.get(name) else {
            return Ok(());
        };
        let place = format!("streams.{name}");
        let names = &Names {
            config: names
                .config
                .iter()
                .copied()
                .chain(stream.config.keys().map(String::as_str))
                .collect(),
        };
        for (key, declared) in &stream.config {
            if let Some(default) = &declared.default {
                names.json(default, &["config", "stream"], None, &format!("{place}.config.{key}"))?;
            }
        }
        let incremental = stream.incremental.as_ref().or(self.defaults.incremental.as_ref());
        let mut scope = vec!["config", "now", "page", "stream"];
        if incremental.is_some() {
            scope.push("cursor");
        }
        let parent = stream.parent.as_ref().map(|parent| &parent.fields);
        let fields: Option<BTreeSet<&str>> = parent.map(|fields| fields.keys().map(String::as_str).collect());
        if fields.is_some() {
            scope.push("parent");
        }
        self.validate_parent(name, stream, &place)?;
        for (name, lookup) in &stream.lookups {
            let scope = ["config", "now", "stream"];
            names.request(
                &self.effective(&lookup.request),
                &scope,
                None,
                &format!("{place}.lookups.{name}"),
            )?;
        }
        if !stream.lookups.is_empty() {
            scope.push("lookup");
        }
        if let Some(incremental) = incremental {
            validate_incremental(incremental, stream, &place)?;
            let cursor = format!("{place}.incremental.cursor");
            names.text(&incremental.cursor, &["config", "stream"], None, &cursor)?;
            if let Some(initial) = &incremental.initial {
                names.text(
                    initial,
                    &["config", "now"],
                    None,
                    &format!("{place}.incremental.initial"),
                )?;
            }
        }
        let records = stream.records.as_ref().or(self.defaults.records.as_ref());
        let names_on_the_way = records.iter().flat_map(|records| &records.at.0);
        for name in names_on_the_way.filter(|name| name.contains("{{")) {
            let place = format!("{place}.records");
            match Template::new(name.as_str()) {
                Ok(name) => names.text(&name, &["config", "stream"], None, &place)?,
                Err(why) => return wrong(&place, why, "write it as /{{ config.name }}"),
            }
        }
        let request = self.effective(&stream.request);
        if let Some(job) = &stream.job {
            let job_place = format!("{place}.job");
            scope.push("job");
            if stream.paginate.is_some() {
                return wrong(&job_place, "a job has no pages", "remove `paginate`");
            }
            self.validate_job(job, names, &scope, fields.as_ref(), &job_place)?;
        } else {
            names.request(&request, &scope, fields.as_ref(), &format!("{place}.request"))?;
            let paginate = stream.paginate.as_ref().or(self.defaults.paginate.as_ref());
            if let Some(paginate) = paginate {
                validate_paginate(paginate, &request, &format!("{place}.paginate"))?;
                order::validate(paginate, incremental, &request, &format!("{place}.paginate"))?;
            }
        }
        let disposition = self.disposition(stream);
        if disposition == Disposition::Append && !stream.is_incremental(incremental) {
            return wrong(
                &place,
                "`disposition: append` would double the rows of a stream that is not incremental",
                "add `incremental`, or use `disposition: replace`",
            );
        }
        if disposition == Disposition::Merge && stream.key.is_empty() {
            return wrong(
                &place,
                "`disposition: merge` needs a key",
                "name the columns that identify a row in `key`",
            );
        }
        Ok(())
    }

    /// What is done with the rows of `stream`, whatever a user configures.
    pub(crate) fn disposition(&self, stream: &StreamSpec) -> Disposition {
        let incremental = stream.incremental.as_ref().or(self.defaults.incremental.as_ref());
        stream.disposition(stream.is_incremental(incremental))
    }

    fn validate_parent(&self, name: &str, stream: &StreamSpec, place: &str) -> Validation {
        let place = format!("{place}.parent");
        let Some(parent) = &stream.parent else {
            return Ok(());
        };
        let mut ancestors = vec![name];
        let mut next = Some(parent.stream.as_str());
        while let Some(ancestor) = next {
            if ancestors.contains(&ancestor) {
                return wrong(
                    &place,
                    "the stream is its own ancestor",
                    "name a stream that is not a child of this one",
                );
            }
            let Some(found) = self.streams.get(ancestor) else {
                return wrong(
                    &place,
                    format!("there is no stream `{ancestor}`"),
                    "name one of this manifest",
                );
            };
            ancestors.push(ancestor);
            next = found.parent.as_ref().map(|parent| parent.stream.as_str());
        }
        if parent.fields.is_empty() {
            return wrong(
                &place,
                "nothing of the parent is used",
                "name in `fields` what the requests need",
            );
        }
        if let Some(missing) = parent.include.iter().find(|name| !parent.fields.contains_key(*name)) {
            return wrong(
                &place,
                format!("`{missing}` is included but not in `fields`"),
                "add it to `fields`",
            );
        }
        if parent.incremental {
            let of_parent = self
                .streams
                .get(&parent.stream)
                .and_then(|parent| parent.incremental.as_ref());
            if of_parent.or(self.defaults.incremental.as_ref()).is_none() {
                return wrong(&place, "the parent is not incremental", "remove `incremental`");
            }
            if stream.incremental.is_some() {
                return wrong(
                    &place,
                    "a stream follows its parent's position or its own, not both",
                    "remove one `incremental`",
                );
            }
            if self.disposition(stream) == Disposition::Append {
                return wrong(
                    &place,
                    "appending would double the rows of parents that changed",
                    "give a `key`, so that rows are merged",
                );
            }
        }
        Ok(())
    }

    fn validate_job(
        &self,
        job: &Job,
        names: &Names<'_>,
        scope: &[&str],
        fields: Option<&BTreeSet<&str>>,
        place: &str,
    ) -> Validation {
        if job.url.is_some() == job.download.is_some() {
            return wrong(
                place,
                "the result has no place",
                "give `url` or `download`, and one of them only",
            );
        }
        if !job.format.is_list() && job.format != Format::Json {
            return wrong(place, "the result has no lines", "`format` is ndjson, csv or json");
        }
        if job.done.is_empty() {
            return wrong(
                place,
                "it would never be done",
                "name in `done` the states that mean so",
            );
        }
        if job.every.0.is_zero() {
            return wrong(place, "`every` is 0", "give a duration like 5s");
        }
        for (key, request) in [
            ("submit", Some(&job.submit)),
            ("poll", Some(&job.poll)),
            ("download", job.download.as_ref()),
        ] {
            if let Some(request) = request {
                names.request(&self.effective(request), scope, fields, &format!("{place}.{key}"))?;
            }
        }
        Ok(())
    }
}

fn validate_incremental(incremental: &Incremental, stream: &StreamSpec, place: &str) -> Validation {
    let place = format!("{place}.incremental");
    for (key, distance) in [("lag", incremental.lag), ("window", incremental.window)] {
        let fits = match distance {
            Some(Distance::Time(_)) => incremental.kind.is_time(),
            Some(Distance::Count(_)) => incremental.kind == super::CursorType::Counter,
            None => true,
        };
        if !fits {
            return wrong(
                &place,
                format!("`{key}` does not fit the type of the cursor"),
                "give a duration for times, a number for a counter; texts have none",
            );
        }
    }
    match incremental.window {
        Some(Distance::Time(span)) if span.0.is_zero() => return wrong(&place, "`window` is 0", "give one like 30d"),
        Some(Distance::Count(_)) => return wrong(&place, "a counter has no end to split", "remove `window`"),
        Some(_) if incremental.initial.is_none() => {
            return wrong(&place, "`window` needs a beginning", "give `initial`");
        }
        _ => {}
    }
    if incremental.per_parent && stream.parent.is_none() {
        return wrong(&place, "`per_parent` needs a parent", "add `parent`, or remove it");
    }
    if incremental.per_parent && incremental.window.is_some() {
        return wrong(
            &place,
            "`per_parent` and `window` do not go together",
            "remove one of them",
        );
    }
    if let Some(format) = &incremental.format {
        let known = chrono::format::StrftimeItems::new(format).all(|item| item != chrono::format::Item::Error);
        if !known {
            return wrong(
                &place,
                "`format` is not a format of times",
                "write it as %Y-%m-%d %H:%M:%S",
            );
        }
    }
    Ok(())
}

fn validate_paginate(paginate: &Paginate, request: &Request, place: &str) -> Validation {
    let (size, size_param) = paginate.size();
    if size == Some(0) {
        return wrong(place, "`size` is 0", "give a number greater than 0");
    }
    if size_param.is_some() && size.is_none() {
        return wrong(
            place,
            "`size_param` needs `size`",
            "give the number of records of a page",
        );
    }
    if let Paginate::Cursor {
        more: Some(_),
        end: Some(_),
        ..
    } = paginate
    {
        return wrong(place, "`more` and `end` say the same", "give one of them");
    }
    match paginate {
        Paginate::None | Paginate::LinkHeader { .. } | Paginate::ContentRange { .. } => return Ok(()),
        Paginate::NextUrl { body, header, .. } => {
            if body.is_some() == header.is_some() {
                return wrong(
                    place,
                    "the next address has no place",
                    "give `body` or `header`, and one of them only",
                );
            }
            return Ok(());
        }
        Paginate::Page { .. } | Paginate::Offset { .. } | Paginate::Cursor { .. } | Paginate::Keyset { .. } => {}
    }
    let used = texts(request).iter().any(|text| text.contains("page."));
    match paginate.place() {
        None if !used => wrong(
            place,
            "every page would be the first one",
            "say by `param`, `into` or a template like {{ page.after }} where the page goes in the request",
        ),
        Some(super::RequestField::Into(_))
            if request.json.is_none() && request.graphql.is_none() && request.jsonrpc.is_none() =>
        {
            wrong(
                place,
                "`into` is a place in a JSON body, and there is none",
                "use `param`",
            )
        }
        _ => Ok(()),
    }
}

fn header(name: &str, place: &str) -> Validation {
    match HeaderName::try_from(name) {
        Ok(_) => Ok(()),
        Err(_) => wrong(
            place,
            format!("`{name}` is not a name of a header"),
            "use letters, digits and hyphens",
        ),
    }
}

/// The names that templates may use.
struct Names<'m> {
    config: BTreeSet<&'m str>,
}

impl Names<'_> {
    fn request(&self, request: &Request, scope: &[&str], parent: Option<&BTreeSet<&str>>, place: &str) -> Validation {
        if request.bodies() > 1 {
            return wrong(
                place,
                "it has several bodies",
                "give one of `json`, `form`, `graphql` and `jsonrpc`",
            );
        }
        if let Some(method) = &request.method
            && (Method::from_bytes(method.as_bytes()).is_err() || method.to_uppercase() != *method)
        {
            return wrong(place, format!("`{method}` is not a method"), "use GET or POST");
        }
        request.headers.keys().try_for_each(|name| header(name, place))?;
        texts(request)
            .iter()
            .try_for_each(|text| self.check(text, scope, parent, place))
    }

    fn text(&self, text: &Template, scope: &[&str], parent: Option<&BTreeSet<&str>>, place: &str) -> Validation {
        self.check(text.source(), scope, parent, place)
    }

    fn json(&self, json: &Json, scope: &[&str], parent: Option<&BTreeSet<&str>>, place: &str) -> Validation {
        strings(json)
            .iter()
            .try_for_each(|text| self.check(text, scope, parent, place))
    }

    fn check(&self, text: &str, scope: &[&str], parent: Option<&BTreeSet<&str>>, place: &str) -> Validation {
        if let Err(why) = Template::new(text) {
            return wrong(place, why, "write it as {{ config.name }}");
        }
        for name in template::names(text) {
            let mut segments = name.split('.');
            let (root, field) = (segments.next().unwrap_or_default(), segments.next());
            let known = |candidates: &BTreeSet<&str>| match field {
                Some(field) if !candidates.contains(field) => {
                    let near = cordada_core::suggest::nearest(field, candidates.iter().copied());
                    let hint = near.map_or_else(
                        || {
                            format!(
                                "there are: {}",
                                candidates.iter().copied().collect::<Vec<_>>().join(", ")
                            )
                        },
                        |near| format!("did you mean `{root}.{near}`?"),
                    );
                    wrong(place, format!("`{name}` is not defined"), hint)
                }
                _ => Ok(()),
            };
            match root {
                root if !scope.contains(&root) => {
                    return wrong(
                        place,
                        format!("`{name}` is not defined here"),
                        format!("there are: {}", scope.join(", ")),
                    );
                }
                "config" => known(&self.config)?,
                "parent" => parent.map_or(Ok(()), known)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// All texts of a request that may be templates.
fn texts(request: &Request) -> Vec<&str> {
    let mut found: Vec<&str> = request.path.iter().map(Template::source).collect();
    found.extend(request.headers.values().map(Template::source));
    found.extend(request.params.values().flat_map(strings));
    found.extend(request.json.iter().flat_map(strings));
    found.extend(request.form.iter().flat_map(|form| form.values()).flat_map(strings));
    if let Some(graphql) = &request.graphql {
        found.push(graphql.query.source());
        found.extend(graphql.variables.values().flat_map(strings));
    }
    if let Some(call) = &request.jsonrpc {
        found.push(call.method.source());
        found.extend(strings(&call.params));
    }
    found
}

fn strings(json: &Json) -> Vec<&str> {
    match json {
        Json::String(text) => vec![text],
        Json::Array(items) => items.iter().flat_map(strings).collect(),
        Json::Object(entries) => entries.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}
