//! A server that hands out the records of a described system.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::body::Body;
use axum::http::Response;
use chrono::{DateTime, Duration, NaiveDateTime, TimeZone, Utc};
use serde_json::{Map, Value as Json, json};

use super::super::server::{ReceivedRequest, reply};
use super::{Described, DescribedStream, Form, Pages, Reply, forms};

/// When the first record changed.
pub(super) const TIME: DateTime<Utc> = DateTime::from_timestamp(1_767_225_600, 0).unwrap();

/// Records of a page.
const SIZE: usize = 2;

/// How the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Once.
    Limited,
    Failing,
}

/// A record, by its number.
#[derive(Debug, Clone, Copy)]
struct Row {
    number: usize,
    version: usize,
    changed: DateTime<Utc>,
}

pub(super) struct Emulated {
    described: Described,
    state: Mutex<State>,
}

struct State {
    base: String,
    mood: Mood,
    rows: BTreeMap<String, Vec<Row>>,
    changing: Option<String>,
    refusals: usize,
    unknown: Vec<String>,
}

impl Emulated {
    pub(super) fn new(described: &Described) -> Self {
        let row = |number: usize| Row {
            number,
            version: 1,
            changed: TIME + Duration::minutes(number as i64),
        };
        let rows = described.streams.iter();
        let rows = rows.map(|(name, stream)| (name.clone(), (1..=stream.count).map(row).collect()));
        let state = State {
            base: String::new(),
            mood: Mood::Well,
            rows: rows.collect(),
            changing: None,
            refusals: 0,
            unknown: Vec::new(),
        };
        Self {
            described: described.clone(),
            state: Mutex::new(state),
        }
    }

    pub(super) fn set_base(&self, base: &str) {
        self.state.lock().unwrap().base = base.to_owned();
    }

    pub(super) fn set(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub(super) fn change_after_first_page(&self, stream: &str) {
        self.state.lock().unwrap().changing = Some(stream.to_owned());
    }

    pub(super) fn refusals(&self) -> usize {
        self.state.lock().unwrap().refusals
    }

    /// What was asked for that there is not.
    pub(super) fn unknown(&self) -> Vec<String> {
        self.state.lock().unwrap().unknown.clone()
    }

    /// Which records there are, by number and version, once for each parent.
    pub(super) fn versions(&self, stream: &str, described: &Described) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let parents = described.streams[stream].at.matches('*').count();
        let parents = (0..parents).fold(1, |all, _| all * parents_of(&state, described, stream));
        let rows = state.rows[stream]
            .iter()
            .map(|row| format!("{}#{}", row.number, row.version));
        let mut found: Vec<_> = rows.flat_map(|row| std::iter::repeat_n(row, parents)).collect();
        found.sort();
        found
    }

    pub(super) fn answer(&self, seen: &ReceivedRequest) -> Response<Body> {
        let mut state = self.state.lock().unwrap();
        let path = percent_encoding_free(&seen.path);
        let is_at = |at: &str| {
            let at = at.split_once(' ').map_or(at, |(_, path)| path);
            fits(at, &path)
        };
        let told = |body: &Option<String>| body.as_ref().is_none_or(|part| seen.body.contains(part));
        if let Some(credential) = &self.described.credential {
            let given = field(seen, &credential.name);
            let here = credential.at.as_ref().is_none_or(|at| fits(at, &path));
            if here && given.as_deref() != Some(&credential.value) {
                let is_open = self.described.also.iter().any(|also| is_at(&also.at)) && credential.at.is_none();
                if !is_open {
                    state.refusals += 1;
                    return send(&self.described.refused);
                }
            }
        }
        if let Some(also) = self
            .described
            .also
            .iter()
            .find(|also| is_at(&also.at) && told(&also.body))
        {
            let body = also.answer.to_string().replace("{base}", &state.base);
            let mut headers = vec![("content-type", "application/json")];
            headers.extend(also.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            return reply(200, &headers, body);
        }
        match state.mood {
            Mood::Well => {}
            Mood::Limited => {
                state.mood = Mood::Well;
                return send(&self.described.limit);
            }
            Mood::Failing => return send(&self.described.error),
        }
        let mut streams = self.described.streams.iter();
        let Some((name, stream)) = streams.find(|(_, stream)| is_at(&stream.at) && told(&stream.body)) else {
            state.unknown.push(format!("{path} {}", seen.body));
            return reply(404, &[], "");
        };
        for (param, expected) in &stream.params {
            assert_eq!(
                field(seen, param).as_deref(),
                Some(expected.as_str()),
                "{name}: {param}"
            );
        }
        for (param, part) in &stream.contains {
            let given = field(seen, param).unwrap_or_default();
            assert!(given.contains(part), "{name}: {param} is {given}");
        }
        page(&mut state, name, stream, seen, &path)
    }
}

fn parents_of(state: &State, described: &Described, stream: &str) -> usize {
    if let Some(parent) = &described.streams[stream].parent {
        return state.rows[parent].len();
    }
    // A parent is the stream whose path this one begins with, or the first with as many records.
    let at = &described.streams[stream].at;
    let before = at.split('*').next().unwrap_or_default().trim_end_matches('/');
    let parent = described
        .streams
        .iter()
        .find(|(_, parent)| parent.at.trim_end_matches('/') == before);
    parent.map_or(super::five(), |(name, _)| state.rows[name].len())
}

/// A page of a stream, and how to go on.
fn page(state: &mut State, name: &str, stream: &DescribedStream, seen: &ReceivedRequest, path: &str) -> Response<Body> {
    let parent = captured(&stream.at, path);
    let since = stream.since.as_ref().and_then(|since| {
        let text = field(seen, &since.param)?;
        let (_, rest) = if since.after.is_empty() {
            ("", text.as_str())
        } else {
            text.split_once(&since.after)?
        };
        let times = since.times.as_ref().unwrap_or(&stream.times);
        let ends = |c: char| "'\"),]".contains(c) || (c == ' ' && !times.contains(' '));
        let end = rest.find(ends).unwrap_or(rest.len());
        Some(read(times, rest[..end].trim_matches('\'')).unwrap_or_else(|| panic!("{name}: {text}")))
    });
    let all: Vec<_> = state.rows[name]
        .iter()
        .filter(|row| since.is_none_or(|since| row.changed >= since))
        .copied()
        .collect();
    let record = |row: &Row| record(stream, row, &parent);
    let number = |param: &str| field(seen, param).and_then(|text| text.parse::<usize>().ok());
    let begin = match &stream.pages {
        Pages::None => 0,
        Pages::After {
            param,
            field: of,
            behind,
            from,
            ..
        } => {
            let after = field(seen, param).and_then(|text| match behind.is_empty() {
                true => Some(text),
                false => {
                    let (_, rest) = text.split_once(behind.as_str())?;
                    rest.split(['"', ']', ',']).next().map(str::to_owned)
                }
            });
            let after = after.filter(|after| !after.is_empty() && after != "0" && after != "null");
            let of_row = |row: &Row| super::value(&record(row), of);
            let text = |value: Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let number = |text: &str| text.parse::<u64>().unwrap_or_default();
            after.map_or(0, |after| match from {
                true => {
                    let is_there = |row: &Row| number(&text(of_row(row))) >= number(&after);
                    all.iter().position(is_there).unwrap_or(all.len())
                }
                false => all
                    .iter()
                    .position(|row| text(of_row(row)) == after)
                    .map_or(all.len(), |at| at + 1),
            })
        }
        Pages::Token { param, .. } => field(seen, param)
            .and_then(|token| token.strip_prefix('t')?.parse().ok())
            .unwrap_or(0),
        Pages::Number { param, start, .. } => (number(param).unwrap_or(*start) - start) * SIZE,
        Pages::Offset { param, .. } => number(param).unwrap_or(0),
        Pages::Url { .. } => number("_page").unwrap_or(0),
    };
    let size = if matches!(stream.pages, Pages::None) {
        all.len()
    } else {
        SIZE
    };
    let records: Vec<_> = all.iter().skip(begin).take(size).map(record).collect();
    let (next, is_last) = (begin + records.len(), begin + size >= all.len());
    if stream.form == Form::Csv {
        let lines = forms::csv(stream, &records);
        changed(state, name);
        return reply(200, &[("content-type", "text/csv")], lines);
    }
    let records = forms::written(stream, records);
    let mut body = match (&stream.answer, stream.list.is_empty()) {
        (Some(answer), _) => filled(answer, &|text| match text {
            "{records}" => records.clone(),
            "{pages}" => all.len().div_ceil(size).into(),
            text => text.into(),
        }),
        (None, true) => records,
        (None, false) => {
            let mut body = Json::Object(stream.beside.clone());
            put(&mut body, &stream.list, records);
            body
        }
    };
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    match &stream.pages {
        Pages::None => {}
        Pages::After { more, .. } => {
            if let Some(more) = more {
                put(&mut body, more, (!is_last).into());
            }
        }
        Pages::Token {
            next: at, more, end, ..
        } => {
            // A token may be there to the end.
            if !is_last || end.is_some() || more.is_some() {
                put(&mut body, at, format!("t{next}").into());
            }
            more.iter().for_each(|more| put(&mut body, more, (!is_last).into()));
            end.iter().for_each(|end| put(&mut body, end, is_last.into()));
        }
        Pages::Number { total, .. } | Pages::Offset { total, .. } => {
            total.iter().for_each(|total| put(&mut body, total, all.len().into()));
        }
        Pages::Url { at } if !is_last => {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(seen.query.iter().filter(|(name, _)| name != "_page"));
            query.append_pair("_page", &next.to_string());
            let address = format!("{}{}?{}", state.base, seen.path, query.finish());
            match at {
                Some(at) => put(&mut body, at, address.into()),
                None => headers.push(("link".to_owned(), format!("<{address}>; rel=\"next\""))),
            }
        }
        Pages::Url { .. } => {}
    }
    changed(state, name);
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    reply(200, &headers, body.to_string())
}

/// The changes of a stream, if they are to come now.
fn changed(state: &mut State, name: &str) {
    if state.changing.as_deref() == Some(name) {
        state.changing = None;
        change(state, name);
    }
}

/// The first record changes, and another one comes.
fn change(state: &mut State, name: &str) {
    let rows = state.rows.get_mut(name).unwrap();
    let changed = rows.iter().map(|row| row.changed).max().unwrap() + Duration::minutes(20);
    rows[0].version += 1;
    rows[0].changed = changed;
    rows.push(Row {
        number: rows.len() + 1,
        version: 1,
        changed,
    });
}

fn record(stream: &DescribedStream, row: &Row, parent: &str) -> Json {
    let changed = match stream.times.as_str() {
        "epoch_s" => row.changed.timestamp().to_string(),
        "epoch_ms" => row.changed.timestamp_millis().to_string(),
        format => row.changed.format(format).to_string(),
    };
    filled(&stream.record, &|text| {
        let version = format!("{}#{}", row.number, row.version);
        let values = [
            ("{n}", row.number.to_string()),
            ("{changed}", changed.clone()),
            ("{version}", version),
            ("{parent}", parent.to_owned()),
        ];
        let is_number = text == "{n}" || (text == "{changed}" && stream.times.starts_with("epoch"));
        let text = values
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
        match is_number {
            true => text.parse::<i64>().unwrap().into(),
            false => text.into(),
        }
    })
}

fn filled(json: &Json, fill: &dyn Fn(&str) -> Json) -> Json {
    match json {
        Json::String(text) => fill(text),
        Json::Array(items) => items.iter().map(|item| filled(item, fill)).collect(),
        Json::Object(entries) => entries
            .iter()
            .map(|(name, value)| (name.clone(), filled(value, fill)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// The version that a record tells, wherever it does.
pub(super) fn version_of(record: &Json) -> Option<String> {
    match record {
        Json::String(text) => text.contains('#').then(|| text.clone()),
        Json::Array(items) => items.iter().find_map(version_of),
        Json::Object(entries) => entries.values().find_map(version_of),
        _ => None,
    }
}

fn read(times: &str, text: &str) -> Option<DateTime<Utc>> {
    match times {
        "epoch_s" => DateTime::from_timestamp(text.parse().ok()?, 0),
        "epoch_ms" => DateTime::from_timestamp_millis(text.parse().ok()?),
        format => {
            let at = NaiveDateTime::parse_from_str(text, format).ok();
            let day = || {
                Some(
                    chrono::NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d")
                        .ok()?
                        .and_time(chrono::NaiveTime::MIN),
                )
            };
            let zoned = || DateTime::parse_from_rfc3339(text).ok().map(|at| at.naive_utc());
            Some(Utc.from_utc_datetime(&at.or_else(zoned).or_else(day)?))
        }
    }
}

/// A header, a parameter, a field of a form, or what is at a `/pointer` of a JSON body.
fn field(seen: &ReceivedRequest, name: &str) -> Option<String> {
    if name.starts_with('/') {
        let body: Json = serde_json::from_str(&seen.body).ok()?;
        let value = body.pointer(name)?;
        return Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    let header = || seen.header(name).map(str::to_owned);
    seen.get(name)
        .map(str::to_owned)
        .or_else(|| seen.form(name))
        .or_else(header)
}

fn put(body: &mut Json, at: &str, value: Json) {
    let mut place = body;
    for segment in at.trim_start_matches('/').split('/') {
        let segment = segment.replace("~1", "/");
        if place.is_null() {
            *place = json!({});
        }
        place = place.as_object_mut().unwrap().entry(segment).or_insert(Json::Null);
    }
    *place = value;
}

/// Whether a path is one of a pattern in which `*` is any segment.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(expected), Some(segment)) if expected == segment => {}
            _ => return false,
        }
    }
}

/// The first segment that is any.
fn captured(at: &str, path: &str) -> String {
    let at = at.split_once(' ').map_or(at, |(_, path)| path);
    let pair = at
        .split('/')
        .zip(path.split('/'))
        .find(|(expected, _)| *expected == "*");
    pair.map_or_else(String::new, |(_, segment)| segment.to_owned())
}

fn percent_encoding_free(path: &str) -> String {
    path.replace("%7E", "~")
        .replace("%20", " ")
        .replace("%40", "@")
        .replace("%3A", ":")
}

fn send(answer: &Reply) -> Response<Body> {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    headers.push(("content-type", "application/json"));
    let body = if answer.body.is_null() {
        String::new()
    } else {
        answer.body.to_string()
    };
    reply(answer.status, &headers, body)
}
