//! The W3C's extended log format, whose header says what the fields are: IIS, CloudFront, SHOUTcast, NetScaler and
//! others. Source: W3C working draft WD-logfile-960323, "Extended Log File Format".

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::fields::{self, Role};
use super::record::{Reason, Record};
use super::tokens::Cursor;

/// What the directives of a file have said so far; they may say something else further down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    fields: Vec<String>,
    /// The date of lines that have only a time of day.
    date: Option<String>,
    software: Option<String>,
}

impl Header {
    /// Takes in a line that begins with `#`; says whether the fields are others than before.
    pub(crate) fn directive(&mut self, line: &[u8]) -> bool {
        let line = String::from_utf8_lossy(line);
        let Some((name, value)) = line.trim_start_matches('#').split_once(':') else {
            return false;
        };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "fields" => self.fields = value.split_whitespace().map(str::to_owned).collect(),
            "software" => self.software = Some(value.to_owned()),
            "date" | "start-date" => {
                self.date = value.split_whitespace().next().map(str::to_owned);
                return false;
            }
            _ => return false,
        }
        true
    }

    /// What the fields are.
    pub(crate) fn roles(&self) -> Vec<Role> {
        let duration = self.duration();
        // CloudFront's own name of the distribution is not what the visitor asked for.
        let host = ["x-host-header", "cs-host", "cs(Host)"];
        let host = host
            .into_iter()
            .find(|host| self.fields.iter().any(|field| field == host));
        let mut roles: Vec<Role> = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            let role = match field.as_str() {
                "date" => Role::Date(false),
                "time" => Role::TimeOfDay(false),
                "date-local" => Role::Date(true),
                "time-local" => Role::TimeOfDay(true),
                "c-ip" => Role::Remote,
                "cs-username" => Role::User,
                "cs-method" => Role::Method,
                "cs-uri-stem" => Role::Path,
                "cs-uri" => Role::Target,
                "cs-uri-query" => Role::Query,
                "cs-version" | "cs-protocol-version" => Role::Protocol,
                "sc-status" | "c-status" => Role::Status,
                "sc-bytes" => Role::Bytes,
                "cs(Referer)" | "cs(Referrer)" | "c-referrer" => Role::Referrer,
                "cs(User-Agent)" | "c-user-agent" => Role::UserAgent,
                "time-taken" | "TimeTakenMS" => duration.clone(),
                "cs-bytes" | "x-duration" | "avgbandwidth" => number(field),
                field if Some(field) == host => Role::Host,
                field => Role::other(field),
            };
            let taken = |role: &Role| roles.iter().any(|before| before.collides(role));
            let role = if taken(&role) { Role::other(field) } else { role };
            roles.push(if taken(&role) {
                Role::Text(Cow::Owned(format!("{}_{}", fields::own_name(field), roles.len() + 1)))
            } else {
                role
            });
        }
        roles
    }

    /// The draft has seconds; IIS has milliseconds. CloudFront and NetScaler keep to the draft.
    fn duration(&self) -> Role {
        let milliseconds = self.fields.iter().any(|field| field == "TimeTakenMS")
            || self
                .software
                .as_deref()
                .is_some_and(|software| software.contains("Internet Information") || software.contains("IIS"));
        Role::Duration(if milliseconds { 3 } else { 0 })
    }

    /// Writes the fields of a line, which are what `roles` says.
    ///
    /// # Errors
    /// There is no header, or the line has other fields than it says.
    pub(crate) fn write(&self, roles: &[Role], line: &[u8], record: &mut Record<'_>) -> Result<(), Reason> {
        if roles.is_empty() {
            return Err("no #Fields line says what the fields are".into());
        }
        let mut values: Vec<&[u8]> = Vec::with_capacity(roles.len());
        if line.contains(&b'\t') {
            values.extend(line.split(|byte| *byte == b'\t').map(<[u8]>::trim_ascii));
        } else {
            let mut cursor = Cursor::new(line);
            // A value that begins with a bracket is as good as any other here.
            while let Some(value) = cursor.quoted().or_else(|| cursor.word()) {
                values.push(value);
            }
        }
        if values.len() != roles.len() {
            return Err(format!("there are {} fields instead of {}", values.len(), roles.len()).into());
        }
        fields::write(roles, &values, self.date.as_deref().map(str::as_bytes), record)
    }
}

fn number(field: &str) -> Role {
    Role::Number(Cow::Owned(fields::own_name(field)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_change_what_fields_are() {
        let mut header = Header::default();
        assert!(!header.directive(b"#Version: 1.0"));
        assert!(header.directive(b"#Fields:   date time c-ip cs-uri-stem"));
        assert_eq!(
            header.roles(),
            [Role::Date(false), Role::TimeOfDay(false), Role::Remote, Role::Path]
        );
        assert!(header.directive(b"#Fields: time c-ip cs(Host) x-host-header time-taken c-ip"));
        assert!(!header.directive(b"#Date: 2024-02-03 00:00:00"));
        assert_eq!(
            header.roles(),
            [
                Role::TimeOfDay(false),
                Role::Remote,
                Role::Text("cs_host".into()),
                Role::Host,
                Role::Duration(0),
                Role::Address("c_ip".into())
            ]
        );
        assert!(header.directive(b"#Software: Microsoft Internet Information Services 10.0"));
        assert_eq!(header.roles()[4], Role::Duration(3));
    }
}
