//! The error of a campaign that is wrong.

use std::fmt;

use cordada_core::Error;

/// An error about one key of a campaign.
pub(crate) fn wrong(campaign: &str, key: &str, why: impl fmt::Display) -> Error {
    Error::config(format!("reading campaign {campaign}"), format!("`{key}`: {why}"))
}
