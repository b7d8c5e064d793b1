//! `{{ … }}` in manifests: what is sent to a system depends on the configuration, the cursor, the parent, the page.
//!
//! A null prints as nothing, and a parameter or header that prints as nothing is not sent. A value that is not
//! defined is an error: it is a misspelling. In paths, values are percent-encoded unless they are marked `| safe`.
//! Beside minijinja's filters there are `base64`, `urlencode` and `time(format)`.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use cordada_core::{Error, Result};
use minijinja::value::{Rest, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, Output, UndefinedBehavior, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

/// What is encoded in a path segment and by `urlencode`: all but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Characters of the shortest value of a record that is cut out of what a system says.
const SHORTEST_SECRET: usize = 3;

static TEXT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = environment();
    environment.set_formatter(|out, _, value| write(out, value, |text| text.to_owned()));
    environment
});

static PATH: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = environment();
    environment.set_formatter(|out, _, value| write(out, value, encode));
    environment
});

/// For filters: what a record does not have is undefined, at any depth, and no error.
static RECORD: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = environment();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment
});

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.add_filter("urlencode", |text: String| encode(&text));
    environment.add_filter("base64", |text: String| BASE64.encode(text));
    environment.add_filter("time", time);
    environment
}

fn write(out: &mut Output<'_>, value: &Value, encode: fn(&str) -> String) -> Result<(), minijinja::Error> {
    match value.kind() {
        ValueKind::None => Ok(()),
        ValueKind::Undefined => Err(minijinja::Error::from(ErrorKind::UndefinedError)),
        _ if value.is_safe() => Ok(out.write_str(&value.to_string())?),
        _ => Ok(out.write_str(&encode(&value.to_string()))?),
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// An RFC 3339 time, a date, or seconds since 1970 in chrono's `format` (UTC), moved by so many seconds if a number
/// follows.
fn time(text: &str, format: &str, seconds: Rest<i64>) -> Result<String, minijinja::Error> {
    let wrong = |why: &'static str| minijinja::Error::new(ErrorKind::InvalidOperation, why);
    let epoch = || DateTime::from_timestamp(text.parse().ok()?, 0);
    let at = super::moment::parse(text, None, chrono_tz::Tz::UTC).or_else(epoch);
    let at = at.ok_or_else(|| wrong("`time` wants a time"))?;
    let moved = seconds.first().copied().unwrap_or_default();
    let at = chrono::Duration::try_seconds(moved).and_then(|by| at.checked_add_signed(by));
    let at: DateTime<Utc> = at.ok_or_else(|| wrong("`time` is out of range"))?;
    super::moment::format(at, format, chrono_tz::Tz::UTC).ok_or_else(|| wrong("`time` wants a format like %Y-%m-%d"))
}

/// A text with templates in it, whose syntax is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// A template.
    ///
    /// # Errors
    /// What is wrong with its syntax.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        match TEXT.template_from_str(&text) {
            Ok(_) => Ok(Self(text)),
            Err(error) => Err(format!("`{}` is not a template: {}", shown(&text), explain(&error))),
        }
    }

    /// `{{ token }}`.
    pub fn token() -> Self {
        Self("{{ token }}".to_owned())
    }

    /// `Bearer {{ token }}`.
    pub fn bearer() -> Self {
        Self("Bearer {{ token }}".to_owned())
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.0
    }

    /// The text with its values.
    ///
    /// # Errors
    /// Config for a value that there is not; the message holds no values.
    pub fn text(&self, scope: &Scope) -> Result<String> {
        render(&TEXT, &self.0, scope)
    }

    /// As [`text`](Self::text), the values percent-encoded.
    pub fn path(&self, scope: &Scope) -> Result<String> {
        render(&PATH, &self.0, scope)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Json::deserialize(deserializer)? {
            Json::String(text) => text,
            scalar @ (Json::Number(_) | Json::Bool(_)) => scalar.to_string(),
            _ => return Err(serde::de::Error::custom("expected a text")),
        };
        Self::new(text).map_err(serde::de::Error::custom)
    }
}

/// An expression over `record`, true or false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

impl Filter {
    /// Whether `record` passes. What a record does not have is undefined, and undefined is false.
    pub fn passes(&self, record: &Json) -> Result<bool> {
        let expression = RECORD
            .compile_expression(&self.0)
            .map_err(|error| failed(&self.0, &error))?;
        let scope = minijinja::context! { record => Value::from_serialize(record) };
        let value = expression.eval(scope).map_err(|error| failed(&self.0, &error))?;
        Ok(value.is_true())
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |error| serde::de::Error::custom(format!("`{text}` is not an expression: {}", explain(&error)));
        TEXT.compile_expression(&text).map_err(wrong)?;
        Ok(Self(text))
    }
}

/// The values that templates see.
#[derive(Clone, Default)]
pub struct Scope(Vec<(&'static str, Value)>);

impl Scope {
    /// This scope with one more value, in place of one of the same name.
    pub fn with(&self, name: &'static str, value: impl serde::Serialize) -> Self {
        let mut values = self.0.clone();
        values.retain(|(known, _)| *known != name);
        values.push((name, Value::from_serialize(value)));
        Self(values)
    }

    /// This scope as it may be shown, and what may not be: the values of the record that is asked by (`parent`), which
    /// stand for their names in it. `None` if there is no such record.
    pub(crate) fn shown(&self) -> Option<(Self, Vec<String>)> {
        let (_, parent) = self.0.iter().find(|(name, _)| *name == "parent")?;
        let parent = serde_json::to_value(parent).ok()?;
        let fields = parent.as_object()?;
        let names = fields
            .keys()
            .map(|name| (name.clone(), Value::from_safe_string(format!(":{name}"))));
        let mut values = Vec::new();
        fields.values().for_each(|value| leaves(value, &mut values));
        let mut scope = self.0.clone();
        scope.retain(|(name, _)| *name != "parent");
        scope.push(("parent", names.collect()));
        Some((Self(scope), values))
    }

    /// Whether `config` has a value for a key: not null and not an empty text.
    pub fn is_configured(&self, key: &str) -> bool {
        let config = self
            .0
            .iter()
            .find(|(name, _)| *name == "config")
            .map(|(_, config)| config);
        let value = config.and_then(|config| config.get_attr(key).ok());
        value.is_some_and(|value| {
            !value.is_undefined() && !value.is_none() && value.as_str().is_none_or(|text| !text.is_empty())
        })
    }

    fn context(&self) -> Value {
        self.0.iter().cloned().collect()
    }
}

/// The texts and numbers in a value, but for those so short that they would be found everywhere.
fn leaves(value: &Json, texts: &mut Vec<String>) {
    let mut push = |text: String| texts.extend((text.len() >= SHORTEST_SECRET).then_some(text));
    match value {
        Json::String(text) => push(text.clone()),
        Json::Number(number) => push(number.to_string()),
        Json::Array(items) => items.iter().for_each(|item| leaves(item, texts)),
        Json::Object(fields) => fields.values().for_each(|field| leaves(field, texts)),
        Json::Null | Json::Bool(_) => {}
    }
}

/// `json` with the templates in its strings filled in. A string that is one expression alone becomes that
/// expression's value, with its type.
pub fn fill(json: &Json, scope: &Scope) -> Result<Json> {
    Ok(match json {
        Json::String(text) if text.contains("{{") || text.contains("{%") => match lone_expression(text) {
            Some(expression) => {
                let compiled = TEXT.compile_expression(expression);
                let value = compiled.and_then(|compiled| compiled.eval(scope.context()));
                let value = value.map_err(|error| failed(text, &error))?;
                if value.is_undefined() {
                    return Err(undefined(text));
                }
                serde_json::to_value(&value)
                    .map_err(|_| Error::config(format!("filling in `{}`", shown(text)), "the value has no JSON"))?
            }
            None => Json::String(render(&TEXT, text, scope)?),
        },
        Json::Array(items) => Json::Array(items.iter().map(|item| fill(item, scope)).collect::<Result<_>>()?),
        Json::Object(entries) => {
            let filled = entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), fill(value, scope)?)));
            Json::Object(filled.collect::<Result<_>>()?)
        }
        other => other.clone(),
    })
}

/// The names that a template whose syntax is right wants, dotted: `config.shop`.
pub fn names(template: &str) -> Vec<String> {
    let parsed = TEXT.template_from_str(template).ok();
    let mut names: Vec<_> = parsed
        .into_iter()
        .flat_map(|parsed| parsed.undeclared_variables(true))
        .collect();
    names.sort();
    names
}

/// The expression that `text` is, if it is nothing but one.
fn lone_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    let inner = inner.strip_suffix('-').unwrap_or(inner);
    (!inner.contains("{{") && !inner.contains("}}") && !inner.contains("{%")).then_some(inner.trim())
}

fn render(environment: &Environment<'_>, text: &str, scope: &Scope) -> Result<String> {
    if !text.contains("{{") && !text.contains("{%") && !text.contains("{#") {
        return Ok(text.to_owned());
    }
    environment
        .render_str(text, scope.context())
        .map_err(|error| failed(text, &error))
}

/// What an error shows of a template: its expressions, as the text around them may be a secret.
fn shown(template: &str) -> &str {
    let start = template
        .find("{{")
        .or_else(|| template.find("{%"))
        .unwrap_or(template.len());
    let end = template
        .rfind("}}")
        .or_else(|| template.rfind("%}"))
        .map_or(template.len(), |end| end + 2);
    template.get(start..end).unwrap_or("{{ … }}")
}

fn undefined(template: &str) -> Error {
    Error::config(
        format!("filling in `{}`", shown(template)),
        "a name in it is not defined",
    )
    .hint("there are config, cursor, parent, page, job and now; check the spelling")
}

/// Without the error's details, which may quote values.
fn failed(template: &str, error: &minijinja::Error) -> Error {
    match error.kind() {
        ErrorKind::UndefinedError => undefined(template),
        kind => Error::config(format!("filling in `{}`", shown(template)), kind),
    }
}

/// What is wrong with the syntax; there are no values in it.
fn explain(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let config = json!({"shop": "acme", "size": 50, "ids": [1, 2], "nothing": null, "path": "a/b?c"});
        Scope::default()
            .with("config", config)
            .with("now", "2026-01-02T03:04:05Z")
    }

    fn text(template: &str) -> Result<String> {
        Template::new(template).unwrap().text(&scope())
    }

    #[test]
    fn values_are_filled_in() {
        assert_eq!(
            text("https://{{ config.shop }}.example").unwrap(),
            "https://acme.example"
        );
        assert_eq!(text("{{ config.nothing }}").unwrap(), "");
        assert_eq!(text("{{ now | time('%Y-%m-%d') }}").unwrap(), "2026-01-02");
        assert_eq!(text("{{ now | time('%s', -5) }}").unwrap(), "1767323040");
        assert_eq!(
            text("{{ '1767323045' | time('%Y-%m-%dT%H') }}").unwrap(),
            "2026-01-02T03"
        );
        assert_eq!(text("{{ config.shop | base64 }}").unwrap(), "YWNtZQ==");
        let path = Template::new("/x/{{ config.path }}/{{ config.path | safe }}").unwrap();
        assert_eq!(path.path(&scope()).unwrap(), "/x/a%2Fb%3Fc/a/b?c");
    }

    #[test]
    fn a_misspelt_name_is_an_error_without_values() {
        let error = text("{{ config.shoop }}").unwrap_err().to_string();
        assert_eq!(
            error,
            "filling in `{{ config.shoop }}`: a name in it is not defined; there are config, cursor, parent, page, \
             job and now; check the spelling"
        );
        assert!(fill(&json!("{{ config.shoop }}"), &scope()).is_err());
        assert!(text("{{ cursor.start }}").is_err());
        assert!(Template::new("{{ config.").unwrap_err().contains("not a template"));
    }

    #[test]
    fn a_lone_expression_in_json_keeps_its_type() {
        let body = json!({"first": "{{ config.size }}", "in": ["{{ config.ids }}"], "q": "shop:{{ config.shop }}",
                          "after": "{{ config.nothing }}", "two": "{{ config.size }}{{ config.size }}"});
        let filled = fill(&body, &scope()).unwrap();
        assert_eq!(
            filled,
            json!({"first": 50, "in": [[1, 2]], "q": "shop:acme", "after": null, "two": "5050"})
        );
    }

    #[test]
    fn filters_see_the_record() {
        let filter: Filter = serde_json::from_value(json!("record.status != 'draft' and not record.gone")).unwrap();
        assert!(filter.passes(&json!({"status": "paid"})).unwrap());
        assert!(filter.passes(&json!({})).unwrap());
        assert!(!filter.passes(&json!({"status": "draft"})).unwrap());
        let deep: Filter = serde_json::from_value(json!("record.a.b.c == 1")).unwrap();
        assert!(!deep.passes(&json!({})).unwrap());
        assert!(serde_json::from_value::<Filter>(json!("record.")).is_err());
    }
}
