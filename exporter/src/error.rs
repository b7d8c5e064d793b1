//! What can go wrong with a campaign.

use std::fmt;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it was: as few as callers need to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The campaign or the connection is wrong: somebody has to change a file.
    Config,
    /// The work failed.
    Failed,
    /// The server or the disk is unavailable.
    Unavailable,
    /// The caller asked to stop.
    Cancelled,
}

/// An error: what was being done, why it failed, what to do. It never holds a value of the audience.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {why}{}", Hint(.hint))]
pub struct Error {
    kind: ErrorKind,
    doing: String,
    why: String,
    hint: Option<String>,
}

struct Hint<'a>(&'a Option<String>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, doing: impl Into<String>, why: impl fmt::Display) -> Self {
        Self {
            kind,
            doing: doing.into(),
            why: why.to_string(),
            hint: None,
        }
    }

    pub(crate) fn config(doing: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Config, doing, why)
    }

    pub(crate) fn failed(doing: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Failed, doing, why)
    }

    /// A file that cannot be written.
    pub(crate) fn io(doing: impl Into<String>, why: std::io::Error) -> Self {
        Self::new(ErrorKind::Unavailable, doing, why).hint("see that the folder may be written and the disk has room")
    }

    pub(crate) fn cancelled(doing: impl Into<String>) -> Self {
        Self::new(ErrorKind::Cancelled, doing, "cancelled")
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What sort of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// "did you mean `email`? the audience has: …" for a name that is not among the valid ones.
pub(crate) fn did_you_mean<'a>(name: &str, what: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    let valid: Vec<&str> = valid.into_iter().collect();
    let listed = format!("{what}: {}", valid.join(", "));
    let nearest = valid
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(name.len()) / 4)
        .min();
    match nearest {
        Some((_, nearest)) => format!("did you mean `{nearest}`? {listed}"),
        None => listed,
    }
}
