//! What the audit is told of this door.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use cordada_query::audit::{Event, OnDisk, Outcome, Record, Statement};
use futures::Stream;
use tonic::{Code, Status};

use crate::message::Message;
use crate::rows::Messages;
use crate::status;

/// The protocol's name in `ops.audit`.
pub(crate) const DOOR: &str = "flight_sql";

/// Somebody logged in, or was not let in: what was typed for a name then may be a password.
pub(crate) fn login(user: Option<&str>, status: Option<&Status>) -> Record {
    let (event, outcome) = match status {
        None => (Event::Login, Outcome::Done),
        Some(_) => (Event::Refusal, Outcome::Refused),
    };
    Record {
        user: user.map(str::to_owned),
        error: status.map(class),
        ..Record::new(event, DOOR, outcome)
    }
}

/// The statement's rows, which tell it what becomes of it.
pub(crate) async fn watched(rows: Result<Messages, Status>, mut statement: Statement) -> Result<Messages, Status> {
    match rows {
        Ok(messages) => Ok(Box::pin(Watched { messages, statement })),
        Err(status) => Err(failed(&mut statement, status).await),
    }
}

/// How many rows there were, which the statement is told.
pub(crate) async fn counted(rows: Result<u64, Status>, mut statement: Statement) -> Result<u64, Status> {
    match rows {
        Ok(count) => {
            statement.sent(count, 0);
            let on_disk = statement.ended(Outcome::Done, None).settled().await;
            on_disk.map(|()| count).map_err(|error| status::of(&error))
        }
        Err(status) => Err(failed(&mut statement, status).await),
    }
}

/// What to answer when the statement ended so, once that is put down.
pub(crate) async fn failed(statement: &mut Statement, status: Status) -> Status {
    match ended(statement, &status).settled().await {
        Ok(()) => status,
        Err(error) => status::of(&error),
    }
}

/// The statement ended so.
fn ended(statement: &mut Statement, status: &Status) -> OnDisk {
    let outcome = match status.code() {
        Code::PermissionDenied | Code::Unauthenticated => Outcome::Refused,
        Code::Cancelled => Outcome::Cancelled,
        _ => Outcome::Failed,
    };
    statement.ended(outcome, Some(class(status)))
}

fn class(status: &Status) -> String {
    format!("{:?}", status.code())
}

struct Watched {
    messages: Messages,
    statement: Statement,
}

impl Stream for Watched {
    type Item = Result<Message, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let message = ready!(self.messages.as_mut().poll_next(context));
        match &message {
            Some(Ok(message)) => self.statement.sent(message.rows(), message.size()),
            Some(Err(status)) => drop(ended(&mut self.statement, status)),
            None => drop(self.statement.ended(Outcome::Done, None)),
        }
        Poll::Ready(message)
    }
}
