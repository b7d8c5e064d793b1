//! Campaigns: a segment of customers, sent somewhere.
//!
//! A campaign is YAML: the SQL of its audience, the consent it rests on, the channel that takes it, the names of
//! its fields, and templates for personalised text ([`Campaign`]). [`export()`] reads the audience from a Flight
//! SQL server and hands it to the channel ([`channels`]) as it streams by. Only rows with consent ever leave the
//! server ([`consent`]).

mod audience;
pub mod campaign;
pub mod channels;
mod client;
pub mod consent;
mod deliver;
mod export;
mod letters;
mod manifest;
pub mod mapping;
mod person_key;
mod personalise;
mod report;
mod sql;
mod wrong;

pub use campaign::Campaign;
pub use client::Connection;
pub use export::export;
pub use report::{ExportReport, PublishedDelivery};
