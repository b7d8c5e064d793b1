//! What an answer means: records, nothing, a reason to try again, or an error.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use cordada_core::Error;
use cordada_ingest_formats::json::pointer::Pointer;
use cordada_ingest_formats::json::scan;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::Value as Json;

use super::answer::{Answer, AnswerOptions};
use super::client::{Body, Raw};
use super::complaint::{self, complaint};
use super::outgoing::{Outgoing, ShownPlace};
use super::retry;
use super::system::System;
use super::system::limits::{Action, ErrorRule};

/// Characters of a system's own message that are shown.
const MAX_MESSAGE: usize = 200;

/// Where systems write the code of an error, for manifests that do not say so.
const USUAL_CODES: [&str; 9] = [
    "/error/code",
    "/error/type",
    "/error/status",
    "/errors/0/extensions/code",
    "/errors/0/code",
    "/errorCode",
    "/error_code",
    "/code",
    "/error",
];

/// What to do with an answer.
pub enum Verdict {
    Take(Box<Answer>),
    /// It holds nothing.
    Ignore,
    /// The credentials are not taken.
    Refused {
        error: Error,
        /// Whether it is about who asks, and not about what is asked for.
        unknown: bool,
    },
    Retry {
        error: Error,
        /// What the system or a rule says.
        wait: Option<Duration>,
        /// Whether others have to wait too.
        everybody: bool,
        /// How long to go on, if a rule says so.
        lasting: Option<Duration>,
    },
    Fail(Error),
}

/// The places that are looked at in every answer.
pub fn pointers(system: &System) -> Vec<Pointer> {
    let cost = system.limits.graphql_cost.iter();
    let cost = cost.flat_map(|cost| [&cost.requested, &cost.available, &cost.restore_rate]);
    let own = system.error_body.code.iter().chain(&system.error_body.message);
    let rules = system.errors.iter().filter_map(|rule| rule.body.as_ref());
    let mut pointers: Vec<_> = rules.chain(cost).chain(own).cloned().collect();
    pointers.extend(USUAL_CODES.iter().filter_map(|place| Pointer::new(place).ok()));
    pointers.extend(complaint::pointers());
    pointers
}

/// Decides about an answer to `sent`.
pub fn judge(system: &System, sent: &Outgoing, raw: Raw, options: &Arc<AnswerOptions>, now: DateTime<Utc>) -> Verdict {
    let status = raw.status;
    let place = &sent.place;
    let doing = format!("asking {}", place.text);
    let after = raw
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| retry::retry_after(value.to_str().ok()?, now))
        // No time, or one that has passed, says nothing: the usual wait counts.
        .filter(|wait| !wait.is_zero());
    let none = |_: &Pointer| None;
    let accepted = |rule: &&ErrorRule| rule.action == Action::Accept;
    if !status.is_success() {
        let value = |pointer: &Pointer| match &raw.body {
            Body::Memory(body) => scan::value(body, pointer),
            Body::File(..) => None,
        };
        let rule = system.errors.iter().find(|rule| rule.matches(status, &value));
        let is_beyond = matches!(status.as_u16(), 400 | 404 | 410 | 416 | 422);
        // A rule about the status alone is not about the page that there may not be.
        let is_general = rule.is_none_or(|rule| rule.action == Action::Fail && rule.body.is_none());
        if is_general && sent.probing && is_beyond {
            return Verdict::Ignore;
        }
        if rule.filter(accepted).is_none() {
            let said = said(system, place, &value);
            return refused(rule, doing, status, &said, after);
        }
    }
    if raw.status == StatusCode::NO_CONTENT {
        return Verdict::Take(Box::new(Answer::empty(raw.headers, options)));
    }
    if let Some(error) = is_page(&raw, &doing) {
        return match system.errors.iter().find(|rule| rule.matches(status, &none)) {
            Some(rule) => by_rule(rule, doing, error, after),
            None => Verdict::Fail(error),
        };
    }
    // A proxy that answers nothing is not a system without records: a table must not become empty over it.
    let is_nothing = status.is_success() && !options.format.is_list() && raw.body.bytes() == 0;
    let answer = if is_nothing {
        Err("it has no body".to_owned())
    } else {
        Answer::read(raw, options)
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => {
            let why = format!("the answer is broken: {why}");
            let error = Error::unavailable(doing.clone(), why).with("status", status.as_u16());
            return match system.errors.iter().find(|rule| rule.matches(status, &none)) {
                Some(rule) => by_rule(rule, doing, error, after),
                None => Verdict::Retry {
                    error,
                    wait: after,
                    everybody: false,
                    lasting: None,
                },
            };
        }
    };
    let value = |pointer: &Pointer| answer.value(pointer);
    let error = || {
        Error::failed(
            doing.clone(),
            format!("the system answers with an error{}", said(system, place, &value)),
        )
    };
    let rule = system.errors.iter().find(|rule| rule.matches(status, &value));
    if let Some(rule) = rule.filter(|rule| rule.action != Action::Accept) {
        return by_rule(rule, doing.clone(), error(), after);
    }
    let errors = sent
        .failure
        .and_then(|pointer| value(&Pointer::new(pointer).ok()?))
        .filter(|errors| !errors.is_null());
    if rule.is_none() && errors.is_some_and(|errors| errors.as_array().is_none_or(|errors| !errors.is_empty())) {
        return Verdict::Fail(error());
    }
    if rule.is_none()
        && let Some(why) = complaint(&answer, options)
    {
        let why = format!(
            "the status is {}, but {why}{}",
            status.as_u16(),
            said(system, place, &value)
        );
        let hint = "if it holds records, say so by a rule in `errors` with `action: accept`";
        return Verdict::Fail(Error::failed(doing, why).hint(hint));
    }
    if let Some(at) = answer.lacks() {
        let why = format!("there is nothing at {at} in the answer{}", said(system, place, &value));
        let error = Error::failed(doing, why)
            .hint("check `records` in the manifest; with `{at: …, optional: true}` there are no records then");
        return Verdict::Fail(error.with("status", status.as_u16()));
    }
    Verdict::Take(Box::new(answer))
}

/// The verdict about an answer whose status says that it is an error.
fn refused(
    rule: Option<&ErrorRule>,
    doing: String,
    status: StatusCode,
    said: &str,
    after: Option<Duration>,
) -> Verdict {
    let code = status.as_u16();
    let why = match status.canonical_reason() {
        Some(reason) => format!("the system answers {code} {reason}{said}"),
        None => format!("the system answers {code}{said}"),
    };
    match rule {
        // Another token may help, whatever a rule says.
        Some(rule) if !(code == 401 && rule.action == Action::Fail) => {
            return by_rule(rule, doing.clone(), Error::failed(doing, why), after);
        }
        _ => {}
    }
    match code {
        401 | 403 => {
            let hint = rule.and_then(|rule| rule.hint.clone());
            let usual = || "check them in `config`, and what they are allowed to read".to_owned();
            let why = format!("the system refuses the credentials ({code}){said}");
            Verdict::Refused {
                error: Error::config(doing, why).hint(hint.unwrap_or_else(usual)),
                unknown: code == 401,
            }
        }
        408 | 425 | 429 | 500..=599 => Verdict::Retry {
            error: Error::unavailable(doing, why).hint("run again later"),
            wait: after,
            everybody: code == 429 || (code == 503 && after.is_some()),
            lasting: None,
        },
        _ => Verdict::Fail(Error::failed(doing, why)),
    }
}

fn by_rule(rule: &ErrorRule, doing: String, error: Error, after: Option<Duration>) -> Verdict {
    let error = match &rule.hint {
        Some(hint) => error.hint(hint.clone()),
        None => error,
    };
    match rule.action {
        Action::Ignore => {
            tracing::debug!(%error, "{doing}: nothing there, as the manifest says");
            Verdict::Ignore
        }
        Action::Retry => Verdict::Retry {
            error,
            wait: after.or(rule.wait.map(|wait| wait.0)),
            everybody: rule.lasting.is_none(),
            lasting: rule.lasting.map(|lasting| lasting.0),
        },
        Action::Refuse => Verdict::Refused {
            error: Error::config(doing, error.why().to_owned()).hint(
                rule.hint
                    .clone()
                    .unwrap_or_else(|| "check the credentials in `config`".to_owned()),
            ),
            unknown: true,
        },
        Action::Fail | Action::Accept => Verdict::Fail(error),
    }
}

/// The error that a web page is where data is expected.
fn is_page(raw: &Raw, doing: &str) -> Option<Error> {
    let content_type = raw
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let begins_like_one = match &raw.body {
        Body::Memory(body) => {
            let head: Vec<u8> = body
                .trim_ascii_start()
                .iter()
                .take(14)
                .map(u8::to_ascii_lowercase)
                .collect();
            head.starts_with(b"<!doctype html") || head.starts_with(b"<html")
        }
        Body::File(..) => false,
    };
    let is_page = content_type.to_ascii_lowercase().starts_with("text/html") || begins_like_one;
    is_page.then(|| {
        Error::failed(doing, "the system answers with a web page instead of data")
            .hint("check `base_url` and the credentials: mostly it is the page of a login")
            .with("status", raw.status.as_u16())
    })
}

/// What the system says about an error, where the manifest says that it does; else its code where it usually is: without
/// the persons that it may name.
fn said(system: &System, place: &ShownPlace, value: &dyn Fn(&Pointer) -> Option<Json>) -> String {
    let text = |pointer: &Pointer| {
        let text = match value(pointer)? {
            Json::String(text) => text,
            Json::Number(number) => number.to_string(),
            _ => return None,
        };
        let text = place.without_persons(&text);
        let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE).collect();
        Some(text).filter(|text| !text.is_empty())
    };
    let own = [&system.error_body.code, &system.error_body.message];
    let mut parts: Vec<_> = own
        .into_iter()
        .filter_map(|places| places.iter().find_map(text))
        .collect();
    if parts.is_empty() {
        let is_code = |text: &String| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
            text.len() <= 64 && text.chars().all(plain)
        };
        let usual = USUAL_CODES.iter().filter_map(|place| text(&Pointer::new(place).ok()?));
        parts.extend(usual.into_iter().find(is_code));
    }
    parts.into_iter().map(|part| format!(": {part}")).collect()
}

impl ErrorRule {
    fn matches(&self, status: StatusCode, value: &dyn Fn(&Pointer) -> Option<Json>) -> bool {
        if !self.status.is_empty() && !self.status.contains(&status.as_u16()) {
            return false;
        }
        let Some(pointer) = &self.body else {
            return true;
        };
        let Some(found) = value(pointer).filter(|found| !found.is_null()) else {
            return false;
        };
        let equal = match &self.equals {
            None => true,
            Some(Json::Array(any)) => any.contains(&found),
            Some(one) => *one == found,
        };
        let text = || found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        equal && self.contains.as_ref().is_none_or(|part| text().contains(part))
    }
}
