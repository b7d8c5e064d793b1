//! The server as its clients see it, over a loopback connection and a lake in a temporary folder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod again;
mod bulk_ingest;
mod contract;
mod fixture;
mod login;
mod metadata;
mod prepared;
mod queries;
mod reflection;
mod releases;
mod roles;
mod serving;
mod sessions;
mod sessions_end;
mod sql_info;
