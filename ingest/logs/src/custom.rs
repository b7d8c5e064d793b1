//! A format of a user's own: a regular expression whose named groups are the fields.

use chrono::{DateTime, NaiveDateTime};
use cordada_core::names::snake_case;
use cordada_ingest_formats::values::time::Time;
use regex::bytes::Regex;
use serde::{Deserialize, Deserializer};

use super::fields::Role;
use super::record::{Host, Reason, Record};
use super::time;

/// A format of a user's own.
#[derive(Debug, Clone)]
pub(crate) struct Custom {
    regex: Regex,
    /// How times are written, in chrono's notation; as in the known formats if `None`.
    time: Option<String>,
    groups: Vec<(usize, Group)>,
}

/// What a group is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Group {
    Zone,
    Field(Role),
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomOption {
    regex: String,
    #[serde(default)]
    time: Option<String>,
}

impl<'de> Deserialize<'de> for Custom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let CustomOption { regex, time } = CustomOption::deserialize(deserializer)?;
        Custom::new(&regex, time).map_err(serde::de::Error::custom)
    }
}

impl Custom {
    /// A format from its regular expression and how it writes times.
    pub(crate) fn new(regex: &str, time: Option<String>) -> Result<Self, String> {
        let regex = Regex::new(regex).map_err(|error| error.to_string())?;
        let mut groups: Vec<(usize, Group)> = Vec::new();
        for (number, name) in regex.capture_names().enumerate() {
            let Some(name) = name else {
                continue;
            };
            let group = match name {
                "timezone" => Group::Zone,
                name => Group::Field(match Role::named(name) {
                    Role::Text(_) => Role::Text(snake_case(name).into()),
                    role => role,
                }),
            };
            if let Group::Field(role) = &group {
                let clash = groups
                    .iter()
                    .any(|(_, other)| matches!(other, Group::Field(other) if other.collides(role)));
                if clash {
                    return Err(format!("the group `{name}` means the same as one before it"));
                }
            }
            groups.push((number, group));
        }
        if !groups
            .iter()
            .any(|(_, group)| matches!(group, Group::Field(role) if role.is_time()))
        {
            return Err("the regular expression has no group `(?<time>…)`".to_owned());
        }
        Ok(Self { regex, time, groups })
    }

    fn read_time(&self, value: &[u8], zone: Option<&[u8]>) -> Option<Time> {
        let text = match zone {
            Some(zone) => [value, b" ", zone].concat(),
            None => value.to_vec(),
        };
        let Some(format) = &self.time else {
            return time::bracketed(&text).or_else(|| time::epoch(&text));
        };
        let text = std::str::from_utf8(&text).ok()?;
        let with_zone = if zone.is_some() {
            format!("{format} %z")
        } else {
            format.clone()
        };
        if let Ok(time) = DateTime::parse_from_str(text, &with_zone) {
            return Some(Time::Zoned(time.timestamp_micros()));
        }
        let local = NaiveDateTime::parse_from_str(text, &with_zone).ok()?;
        Some(Time::Local(local.and_utc().timestamp_micros()))
    }

    /// Writes the fields of a line.
    ///
    /// # Errors
    /// The expression does not match it, or a field is not what its name says.
    pub(crate) fn write(&self, line: &[u8], record: &mut Record<'_>) -> Result<(), Reason> {
        let captures = self
            .regex
            .captures(line)
            .ok_or("the regular expression does not match")?;
        let value = |number: usize| captures.get(number).map_or(&b""[..], |found| found.as_bytes());
        let zone = self
            .groups
            .iter()
            .find(|(_, group)| *group == Group::Zone)
            .map(|(number, _)| value(*number));
        let roles = || {
            self.groups.iter().filter_map(|(number, group)| match group {
                Group::Field(role) => Some((role, value(*number))),
                Group::Zone => None,
            })
        };
        let stamp = roles().find(|(role, _)| role.is_time()).map(|(_, value)| value);
        let time = stamp
            .and_then(|stamp| self.read_time(stamp, zone))
            .ok_or("the time cannot be read")?;
        record.time(time);
        let has_query = roles().any(|(role, _)| *role == Role::Query);
        let has_host = roles().any(|(role, _)| *role == Role::Host);
        let host = if has_host { Host::Elsewhere } else { Host::FromTarget };
        for (role, value) in roles() {
            super::fields::write_field(role, value, host, has_query, record)?;
        }
        Ok(())
    }
}
