//! Tickets: everything that DoGet needs, signed, so that nothing is kept between planning and fetching. They are good at
//! every server of the lake and after a restart, for as long as the release is there and whoever shows them may read it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use cordada_core::{Context, Result};
use cordada_query::auth::{Keyring, Purpose, random_id};
use prost::Message;
use prost_types::Timestamp;
use tonic::Status;

/// How long a ticket is good for: as long as a session, and longer than anybody takes to fetch.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What a ticket fetches.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ticket {
    /// Which execution this is, to cancel it by.
    #[prost(string, tag = "1")]
    pub(crate) query: String,
    /// The release that it reads.
    #[prost(uint64, tag = "2")]
    pub(crate) release: u64,
    /// The schema of relations that are named without one.
    #[prost(string, tag = "3")]
    pub(crate) schema: String,
    /// Whether text goes out as views.
    #[prost(bool, tag = "4")]
    pub(crate) views: bool,
    /// Whether times go out without their zone.
    #[prost(bool, tag = "5")]
    pub(crate) no_time_zones: bool,
    /// Seconds since 1970 after which it is void.
    #[prost(uint64, tag = "20")]
    pub(crate) expires: u64,
    /// What to answer.
    #[prost(oneof = "Request", tags = "6, 7")]
    pub(crate) request: Option<Request>,
}

/// What to answer.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Request {
    /// A query.
    #[prost(message, tag = "6")]
    Query(Query),
    /// A metadata command, as the client sent it.
    #[prost(bytes = "bytes", tag = "7")]
    Metadata(Bytes),
}

/// A query with the values of its parameters.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Query {
    /// The SQL.
    #[prost(string, tag = "1")]
    pub(crate) sql: String,
    /// The values, as an Arrow stream of one row; empty when there are none.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) parameters: Bytes,
}

/// Signs and reads tickets.
#[derive(Debug)]
pub(crate) struct Tickets(Arc<Keyring>);

impl Tickets {
    /// Tickets under these keys.
    pub(crate) fn new(keys: Arc<Keyring>) -> Self {
        Self(keys)
    }

    /// The ticket's signed bytes.
    pub(crate) fn sign(&self, ticket: &Ticket) -> Bytes {
        self.0.sign(Purpose::Ticket, &ticket.encode_to_vec()).into()
    }

    /// The ticket, if a server of this lake signed it and it has not expired.
    pub(crate) fn open(&self, signed: &[u8]) -> Result<Ticket, Status> {
        let payload = self.0.open_signed(Purpose::Ticket, signed);
        let ticket = payload.and_then(|payload| Ticket::decode(payload).ok());
        let ticket = ticket
            .ok_or_else(|| Status::invalid_argument("the ticket is not this server's; ask for the query again"))?;
        if ticket.expires <= now() {
            return Err(Status::invalid_argument(
                "the ticket has expired; ask for the query again",
            ));
        }
        Ok(ticket)
    }
}

impl Ticket {
    /// A new identifier of an execution.
    pub(crate) fn new_query() -> Result<String> {
        random_id()
    }

    /// When a ticket that is made now expires, in seconds since 1970.
    pub(crate) fn new_expiry() -> u64 {
        now().saturating_add(LIFETIME.as_secs())
    }

    /// When it expires, as clients are told it.
    pub(crate) fn expiration(&self) -> Timestamp {
        Timestamp {
            seconds: i64::try_from(self.expires).unwrap_or(i64::MAX),
            nanos: 0,
        }
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

impl Query {
    /// A query with the values of its parameters, if it has any.
    pub(crate) fn new(sql: String, parameters: Option<&RecordBatch>) -> Result<Self> {
        let parameters = parameters.map(to_ipc).transpose()?.unwrap_or_default();
        Ok(Self { sql, parameters })
    }

    /// The values of its parameters.
    pub(crate) fn parameters(&self) -> Result<Option<RecordBatch>> {
        if self.parameters.is_empty() {
            return Ok(None);
        }
        let doing = || "reading the parameters of a query";
        let mut reader = StreamReader::try_new(&*self.parameters, None).doing(doing)?;
        reader.next().transpose().doing(doing)
    }
}

fn to_ipc(batch: &RecordBatch) -> Result<Bytes> {
    let doing = || "keeping the parameters of a query";
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).doing(doing)?;
    writer.write(batch).doing(doing)?;
    writer.finish().doing(doing)?;
    drop(writer);
    Ok(bytes.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use tonic::Code;

    use super::*;

    #[test]
    fn a_ticket_comes_back_whole_and_a_forged_one_is_refused() {
        let values = RecordBatch::try_from_iter([
            ("1", Arc::new(Int64Array::from(vec![7])) as ArrayRef),
            ("2", Arc::new(StringArray::from(vec![None::<&str>])) as ArrayRef),
        ])
        .unwrap();
        let query = Query::new("select $1, $2".to_owned(), Some(&values)).unwrap();
        assert_eq!(query.parameters().unwrap(), Some(values));
        let ticket = Ticket {
            query: Ticket::new_query().unwrap(),
            release: 3,
            schema: "marts".to_owned(),
            views: true,
            no_time_zones: false,
            expires: Ticket::new_expiry(),
            request: Some(Request::Query(query)),
        };
        let new = || Tickets::new(Arc::new(Keyring::of_the_process().unwrap()));
        let tickets = new();
        let signed = tickets.sign(&ticket);
        assert_eq!(tickets.open(&signed).unwrap(), ticket);
        assert_eq!(new().open(&signed).unwrap_err().code(), Code::InvalidArgument);
        let expired = Ticket {
            expires: now(),
            ..ticket
        };
        let refused = tickets.open(&tickets.sign(&expired)).unwrap_err();
        assert!(refused.message().contains("has expired"), "{refused}");
        assert_eq!(tickets.open(b"").unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(
            Query::new("select 1".to_owned(), None).unwrap().parameters().unwrap(),
            None
        );
    }
}
