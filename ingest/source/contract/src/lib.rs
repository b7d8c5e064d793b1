//! What every source promises, whatever its kind: written once, inherited as tests.
//!
//! A kind implements [`System`] over what it reads from and calls [`source_contract!`] in an integration test; each
//! promise becomes a test of that name. Loads are made as landing makes them (`trial.rs`), into tables in memory, so
//! that no kind has to know the lake. A crate of its own and not a feature of `cordada-ingest-source`, which would be
//! compiled twice for it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod cancelling;
pub mod checks;
pub mod listening;
pub mod loads;
mod log;
pub mod remote;
mod rows;
pub mod spooled;
mod table;
pub mod telling;
mod trial;
pub mod typed;

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use cordada_ingest_source::{Kind, Source};

/// What the source is called.
pub const SOURCE: &str = "shop";

/// What is personal in each record.
pub const PERSONAL: &str = "ana@example.org";

/// How long a machine that has other work may take for what has to be prompt.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// When a record comes: one every six hours. Loads begin after the last one that is there.
pub fn came_at(record: u64) -> DateTime<Utc> {
    let first: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    first + TimeDelta::hours(6) * i32::try_from(record).unwrap()
}

/// What a kind of source reads from, in the folder of a project: a folder of files, a database, a server.
///
/// Its records have numbers, from 0. All streams of the source have all records; they differ in what becomes of them.
#[async_trait]
pub trait System: Sized + Send + Sync {
    /// The kind that reads it.
    const KIND: Kind;

    /// The column that tells records apart, by its name in the lake.
    const COLUMN: &'static str = "id";

    /// A secret of the configuration, if there is one.
    const SECRET: Option<&'static str> = None;

    /// How many chunks at least a load of three additions has, in a stream that appends.
    const CHUNKS: usize = 1;

    /// How many of what each addition brings cannot land, besides the records.
    const REJECTED: usize = 0;

    /// One without records; whatever it needs is in that folder.
    async fn new(project: &Path) -> Self;

    /// The file of the source, a block of YAML.
    fn configuration(&self) -> String;

    /// What the record of that number has in the [`Self::COLUMN`].
    fn value(record: u64) -> String {
        record.to_string()
    }

    /// Adds records, each with something [`PERSONAL`]. `source` reads from it, and may be doing so now.
    async fn add(&self, source: &dyn Source, records: Range<u64>);

    /// Makes it fail until it is mended. What an error then has to name, for a reader who has many sources: a file, a
    /// table, an address. `None` if it cannot fail so.
    async fn fail(&self, fault: Fault) -> Option<String>;

    /// Takes the fault away.
    async fn mend(&self);
}

/// How a system fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not there, or cannot be reached. Every system can fail so.
    Gone,
    /// It refuses the credentials.
    Refusing,
    /// What it gives is damaged, with something [`PERSONAL`] in it.
    Damaged,
}

/// Makes a test of each promise. `$system` is a [`System`]; what it is besides follows after a colon:
///
/// - `spooled`: its records have no types of their own, so that they wait in a file for all of them to be seen;
/// - `typed`: its rows have types before they are read;
/// - `remote`: a [`remote::Remote`], which one has to wait for;
/// - `listening`: a [`listening::Sender`], which is sent its records.
#[macro_export]
macro_rules! source_contract {
    ($system:ident $(: $($being:ident),+)?) => {
        $crate::source_contract! { @tests $system:
            cancelling::a_cancelled_load_takes_nothing_and_leaves_all_to_the_next
            checks::a_check_finds_what_is_wrong
            checks::a_check_takes_nothing
            loads::a_first_load_takes_every_record_once
            loads::a_second_load_takes_only_what_is_new
            loads::one_state_gives_one_answer
            loads::dying_at_any_step_loses_and_doubles_nothing
            loads::what_arrives_during_a_load_lands_with_it_or_the_next
            loads::a_rehearsal_leaves_everything_to_the_real_load
            telling::a_mistake_in_the_file_is_told_with_its_place
            telling::an_unknown_stream_is_a_mistake_in_the_configuration
            telling::errors_and_the_log_tell_where_and_nothing_secret_or_personal
            telling::streams_are_known_before_anything_is_read
        }
        $($($crate::source_contract! { @$being $system })+)?
    };
    (@spooled $system:ident) => {
        $crate::source_contract! { @tests $system:
            spooled::what_is_not_to_be_written_is_not_spooled
        }
    };
    (@typed $system:ident) => {
        $crate::source_contract! { @tests $system:
            typed::a_consumer_that_stops_stops_the_source
            typed::a_load_cancelled_on_the_way_ends_soon
        }
    };
    (@remote $system:ident) => {
        $crate::source_contract! { @tests $system:
            remote::cancelling_ends_a_wait_for_an_answer
        }
    };
    (@listening $system:ident) => {
        $crate::source_contract! { @tests $system:
            listening::a_landing_that_has_begun_comes_to_its_end
            listening::one_at_a_time_listens
            listening::what_cannot_land_is_kept
            listening::what_is_acknowledged_lands_once
        }
    };
    (@tests $system:ident: $($subject:ident::$promise:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::$subject::$promise::<$system>().await;
            }
        )*
    };
}
