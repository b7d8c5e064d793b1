//! Formats whose fields are always the same, in the same order: those of Amazon's load balancers and of S3.
//! Source: AWS documentation, "Access log entries" of Elastic Load Balancing, "Amazon S3 server access log format".

use std::borrow::Cow;

use super::fields::{self, Role};
use super::record::{Reason, Record};
use super::tokens::Cursor;

/// A format of fields in a fixed order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Positional {
    fields: &'static [Role],
    /// How many there are at least: newer servers write more.
    least: usize,
    /// Which of them is the time.
    stamp: usize,
}

const fn text(name: &'static str) -> Role {
    Role::Text(Cow::Borrowed(name))
}

const fn number(name: &'static str) -> Role {
    Role::Number(Cow::Borrowed(name))
}

/// A classic load balancer.
pub(crate) const ELB: Positional = Positional {
    fields: &[
        Role::Stamp,
        text("elb"),
        Role::Remote,
        text("backend"),
        number("request_processing_time"),
        number("backend_processing_time"),
        number("response_processing_time"),
        Role::Status,
        number("backend_status"),
        number("received_bytes"),
        Role::Bytes,
        Role::Request,
        Role::UserAgent,
        text("ssl_cipher"),
        text("ssl_protocol"),
    ],
    least: 12,
    stamp: 0,
};

/// An application load balancer.
pub(crate) const ALB: Positional = Positional {
    fields: &[
        text("type"),
        Role::Stamp,
        text("elb"),
        Role::Remote,
        text("target"),
        number("request_processing_time"),
        number("target_processing_time"),
        number("response_processing_time"),
        Role::Status,
        number("target_status"),
        number("received_bytes"),
        Role::Bytes,
        Role::Request,
        Role::UserAgent,
        text("ssl_cipher"),
        text("ssl_protocol"),
        text("target_group_arn"),
        text("trace_id"),
        text("domain_name"),
        text("chosen_cert_arn"),
        text("matched_rule_priority"),
        text("request_creation_time"),
        text("actions_executed"),
        text("redirect_url"),
        text("error_reason"),
        text("target_list"),
        text("target_status_list"),
        text("classification"),
        text("classification_reason"),
        text("connection_trace_id"),
    ],
    least: 16,
    stamp: 1,
};

/// A bucket of S3.
pub(crate) const S3: Positional = Positional {
    fields: &[
        text("bucket_owner"),
        text("bucket"),
        Role::Stamp,
        Role::Remote,
        Role::User,
        text("request_id"),
        text("operation"),
        text("key"),
        Role::Request,
        Role::Status,
        text("error_code"),
        Role::Bytes,
        number("object_size"),
        Role::Duration(3),
        number("turn_around_time"),
        Role::Referrer,
        Role::UserAgent,
        text("version_id"),
        text("host_id"),
        text("signature_version"),
        text("cipher_suite"),
        text("authentication_type"),
        text("host_header"),
        text("tls_version"),
        text("access_point_arn"),
        text("acl_required"),
    ],
    least: 17,
    stamp: 2,
};

impl Positional {
    /// Writes the fields of a line.
    ///
    /// # Errors
    /// It is none of this format.
    pub(crate) fn write(&self, line: &[u8], record: &mut Record<'_>) -> Result<(), Reason> {
        let mut cursor = Cursor::new(line);
        let mut values: Vec<&[u8]> = Vec::with_capacity(self.fields.len());
        while values.len() < self.fields.len() {
            let Some(value) = cursor.part() else {
                break;
            };
            // Most lines of other formats are told by this.
            if values.len() == self.stamp && super::time::bracketed(value).is_none() {
                return Err("the time cannot be read".into());
            }
            values.push(value);
        }
        if values.len() < self.least {
            return Err(format!("there are {} fields instead of {}", values.len(), self.least).into());
        }
        fields::write(self.fields, &values, None, record)?;
        record.text_if_any("extra", cursor.rest());
        Ok(())
    }
}
