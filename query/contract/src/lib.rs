//! What every server of queries promises, whatever its protocol: written once, inherited as tests.
//!
//! A protocol implements [`Door`] and [`Client`] over its real server and a real client of its own, and calls
//! [`door_contract!`] in an integration test; each promise becomes a test of that name. A crate of its own and not a
//! feature of `cordada-query`, which would be compiled twice for it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod login;
pub mod releases;
pub mod roles;
mod shop;
pub mod statements;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use futures::TryStreamExt;
use futures::stream::BoxStream;

pub use shop::{PASSWORD, Shop};

/// A server that has the users of a [`Shop`].
#[async_trait]
pub trait Door: Send + Sync {
    /// Logs in; else says what the server tells whoever is not let in.
    async fn connect(&self, user: &str, password: &str) -> Result<Box<dyn Client>, String>;
}

/// A connection of somebody who was let in.
#[async_trait]
pub trait Client: Send {
    /// Begins a statement. Its rows are made as they are asked for, as far as the protocol can tell the server so.
    async fn begin(&mut self, sql: &str) -> Result<Rows, Refusal>;

    /// Cancels the statement that was begun last.
    async fn cancel(&mut self) -> Result<(), Refusal>;

    /// The relations that the protocol's own metadata lists, as `schema.name`; those of `information_schema` left out.
    async fn relations(&mut self) -> Result<Vec<String>, Refusal>;
}

/// The rows of a statement.
pub type Rows = BoxStream<'static, Result<RecordBatch, Refusal>>;

/// What a server says when it does not do what it was asked.
#[derive(Debug)]
pub struct Refusal {
    /// How the protocol classes it.
    pub kind: Kind,
    /// What it says.
    pub message: String,
}

/// The classes of refusals that every protocol knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The statement is wrong.
    Mistake,
    /// The statement is right, and not for this user.
    Forbidden,
    /// Somebody cancelled it.
    Cancelled,
    /// Anything else: a fault of the server.
    Fault,
}

/// Makes a test of each promise. `$open` is an `async fn(&Shop) -> impl Door`: a server over the shop's lake, with the
/// shop's users and roles.
#[macro_export]
macro_rules! door_contract {
    ($open:path) => {
        $crate::door_contract! { @tests $open:
            login::wrong_passwords_are_refused
            releases::a_query_ends_on_the_release_that_it_began_on
            releases::the_next_statement_reads_the_newest_release
            roles::a_view_is_read_without_what_it_reads
            roles::hidden_relations_cannot_be_read
            roles::what_is_hidden_is_the_same_as_what_does_not_exist
            roles::errors_do_not_name_what_is_hidden
            roles::what_is_listed_is_what_may_be_read
            roles::metadata_does_not_tell_of_what_is_hidden
            statements::sessions_are_spoken_of_as_drivers_do
            statements::a_cancelled_query_stops
            statements::nothing_can_be_written
        }
    };
    (@tests $open:path: $($subject:ident::$promise:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let shop = $crate::Shop::fill().await;
                let door = $open(&shop).await;
                $crate::$subject::$promise(&shop, &door).await;
            }
        )*
    };
}

/// The rows as lines of text, columns joined by `|`, sorted.
pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let lines_of = |batch: &RecordBatch| {
        let columns = batch.columns().iter();
        let columns: Vec<_> = columns
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        let value = |row| columns.iter().map(move |column| column.value(row).to_string());
        let line = |row| value(row).collect::<Vec<_>>().join("|");
        (0..batch.num_rows()).map(line).collect::<Vec<_>>()
    };
    let mut lines: Vec<_> = batches.iter().flat_map(lines_of).collect();
    lines.sort();
    lines
}

/// A connection of one of the shop's users.
async fn connect(door: &impl Door, user: &str) -> Box<dyn Client> {
    let connected = door.connect(user, PASSWORD).await;
    connected.unwrap_or_else(|refused| panic!("{user} is not let in: {refused}"))
}

async fn rows(client: &mut dyn Client, sql: &str) -> Result<Vec<RecordBatch>, Refusal> {
    client.begin(sql).await?.try_collect().await
}

/// The statement's rows as sorted lines.
async fn answer(client: &mut dyn Client, sql: &str) -> Vec<String> {
    let rows = rows(client, sql).await;
    lines(&rows.unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}")))
}

/// What a statement that must be refused as `kind` is told.
async fn refusal(client: &mut dyn Client, sql: &str, kind: Kind) -> String {
    match rows(client, sql).await {
        Ok(rows) => panic!("{sql}: {:?}", lines(&rows)),
        Err(refusal) => {
            assert_eq!(refusal.kind, kind, "{sql}: {}", refusal.message);
            refusal.message
        }
    }
}
