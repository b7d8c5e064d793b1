//! The formats of access logs, and which of them a file is in.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::clf::Clf;
use super::custom::Custom;
use super::fields::Role;
use super::json::Dialect;
use super::record::{Policy, Reason, Record};
use super::w3c::Header;
use super::{haproxy, positional};

/// Lines that a format is told by.
pub(crate) const SAMPLE_LINES: usize = 64;

/// A format that is known by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// W3C extended: IIS, CloudFront, SHOUTcast, NetScaler, Incapsula.
    #[serde(
        alias = "iis",
        alias = "w3c_extended",
        alias = "cloudfront",
        alias = "shoutcast",
        alias = "netscaler"
    )]
    W3c,
    CaddyJson,
    TraefikJson,
    /// JSON with fields that the administrator names.
    #[serde(alias = "json")]
    NginxJson,
    /// AWS application load balancer.
    Alb,
    /// AWS classic load balancer.
    Elb,
    /// AWS S3 server access log.
    S3,
    Haproxy,
    Gandi,
    Icecast2,
    Traefik,
    /// Combined, with the virtual host before it.
    #[serde(alias = "vhost_combined", alias = "combined_vhost")]
    CommonComplete,
    CommonVhost,
    Ovh,
    #[serde(alias = "ncsa_extended")]
    Combined,
    Common,
    /// The one that the configuration describes.
    Custom,
}

/// Those that a file can be told to be in. Where lines are of several, the first says most about them.
const DETECTED: [Format; 16] = [
    Format::W3c,
    Format::CaddyJson,
    Format::TraefikJson,
    Format::NginxJson,
    Format::Alb,
    Format::Elb,
    Format::S3,
    Format::Haproxy,
    Format::Gandi,
    Format::Icecast2,
    Format::Traefik,
    Format::CommonComplete,
    Format::CommonVhost,
    Format::Ovh,
    Format::Combined,
    Format::Common,
];

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// A request, which has been written as a record.
    Hit,
    /// Nothing: an empty line, a comment, a header.
    Empty,
}

/// Reads the lines of one file.
#[derive(Debug, Clone)]
pub(crate) struct Parser {
    format: Format,
    custom: Option<Arc<Custom>>,
    /// Of W3C logs.
    pub(crate) header: Header,
    roles: Vec<Role>,
}

impl Parser {
    /// A parser for lines of `format`, after the directives of `header`.
    pub(crate) fn new(format: Format, custom: Option<Arc<Custom>>, header: Header) -> Self {
        let roles = header.roles();
        Self {
            format,
            custom,
            header,
            roles,
        }
    }

    /// Writes a line as a record.
    ///
    /// # Errors
    /// The line is none of this format; what has been written of it means nothing then.
    pub(crate) fn write(&mut self, line: &[u8], record: &mut Record<'_>) -> Result<Line, Reason> {
        record.begin();
        if line.trim_ascii().is_empty() {
            return Ok(Line::Empty);
        }
        if line.first() == Some(&b'#') && self.format != Format::Custom {
            if self.format == Format::W3c && self.header.directive(line) {
                self.roles = self.header.roles();
            }
            return Ok(Line::Empty);
        }
        match self.format {
            Format::W3c => self.header.write(&self.roles, line, record),
            Format::CaddyJson => Dialect::Caddy.write(line, record),
            Format::TraefikJson => Dialect::Traefik.write(line, record),
            Format::NginxJson => Dialect::Nginx.write(line, record),
            Format::Alb => positional::ALB.write(line, record),
            Format::Elb => positional::ELB.write(line, record),
            Format::S3 => positional::S3.write(line, record),
            Format::Haproxy => haproxy::write(line, record),
            Format::Gandi => Clf::GANDI.write(line, record),
            Format::Icecast2 => Clf::ICECAST2.write(line, record),
            Format::Traefik => Clf::TRAEFIK.write(line, record),
            Format::CommonComplete => Clf::COMMON_COMPLETE.write(line, record),
            Format::CommonVhost => Clf::COMMON_VHOST.write(line, record),
            Format::Ovh => Clf::OVH.write(line, record),
            Format::Combined => Clf::COMBINED.write(line, record),
            Format::Common => Clf::COMMON.write(line, record),
            Format::Custom => match &self.custom {
                Some(custom) => custom.write(line, record),
                None => Err("no format has been described".into()),
            },
        }?;
        Ok(Line::Hit)
    }
}

/// The format of most of the lines, and how many are in it and in none; `None` if there is no line of any format.
pub(crate) fn detect(lines: &[&[u8]], policy: &Policy) -> Option<Detection> {
    let sample = &lines[..lines.len().min(SAMPLE_LINES)];
    let mut record = Record::new(policy);
    let mut best: Option<Detection> = None;
    for format in DETECTED {
        let mut parser = Parser::new(format, None, Header::default());
        let (mut matched, mut others) = (0, 0);
        for line in sample {
            match parser.write(line, &mut record) {
                Ok(Line::Hit) => matched += 1,
                Ok(Line::Empty) => {}
                Err(_) => others += 1,
            }
        }
        if matched > best.as_ref().map_or(0, |best| best.matched) {
            best = Some(Detection {
                format,
                matched,
                others,
            });
        }
    }
    best
}

/// What a sample of lines was told to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Detection {
    pub(crate) format: Format,
    /// Lines of that format.
    pub(crate) matched: usize,
    /// Lines that are not.
    pub(crate) others: usize,
}
