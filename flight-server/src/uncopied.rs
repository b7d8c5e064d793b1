//! DoGet without a copy of the rows: tonic puts each message together in a buffer of its own. Here it goes out in the pieces
//! that it is made of.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow_flight::Ticket;
use arrow_flight::flight_service_server::FlightServiceServer;
use http_body::Frame;
use prost::Message as _;
use tonic::body::Body;
use tonic::codec::{DecodeBuf, Decoder};
use tonic::codegen::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tonic::codegen::{BoxFuture, Service as Tower, http};
use tonic::metadata::{GRPC_CONTENT_TYPE, MetadataMap};
use tonic::server::NamedService;
use tonic::{Request, Status, Streaming};

use crate::message::Message;
use crate::rows::Messages;
use crate::service::Service;

const DO_GET: &str = "/arrow.flight.protocol.FlightService/DoGet";
const HANDSHAKE: &str = "/arrow.flight.protocol.FlightService/Handshake";
/// Bytes of a message of a handshake at most, which whoever is not known may send.
const LARGEST_OF_STRANGERS: usize = 64 << 10;

/// The Flight service, which answers DoGet itself.
#[derive(Clone)]
pub(crate) struct Uncopied {
    service: Arc<Service>,
    others: FlightServiceServer<Service>,
    handshakes: FlightServiceServer<Service>,
    /// Bytes of a message that it takes at most.
    largest: usize,
}

impl Uncopied {
    /// Of that service; no message that it takes is larger than `largest` bytes.
    pub(crate) fn new(service: Service, largest: usize) -> Self {
        let service = Arc::new(service);
        let others = FlightServiceServer::from_arc(service.clone())
            .max_decoding_message_size(largest)
            .max_encoding_message_size(usize::MAX);
        let handshakes =
            FlightServiceServer::from_arc(service.clone()).max_decoding_message_size(LARGEST_OF_STRANGERS.min(largest));
        Self {
            service,
            others,
            handshakes,
            largest,
        }
    }
}

impl NamedService for Uncopied {
    const NAME: &'static str = <FlightServiceServer<Service> as NamedService>::NAME;
}

impl Tower<http::Request<Body>> for Uncopied {
    type Response = http::Response<Answer>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != DO_GET {
            let answer = match request.uri().path() {
                HANDSHAKE => self.handshakes.call(request),
                _ => self.others.call(request),
            };
            return Box::pin(async move { answer.await.map(|answer| answer.map(Answer::Other)) });
        }
        let (service, largest) = (self.service.clone(), self.largest);
        Box::pin(async move {
            Ok(do_get(&service, request, largest)
                .await
                .unwrap_or_else(Status::into_http))
        })
    }
}

async fn do_get(
    service: &Service,
    request: http::Request<Body>,
    largest: usize,
) -> Result<http::Response<Answer>, Status> {
    let (parts, body) = request.into_parts();
    let mut tickets = Streaming::new_request(TicketDecoder, body, None, Some(largest));
    let ticket = tickets.message().await?;
    let ticket = ticket.ok_or_else(|| Status::invalid_argument("DoGet got no ticket"))?;
    let request = Request::from_parts(MetadataMap::from_headers(parts.headers), parts.extensions, ticket);
    let messages = service.messages(request).await?;
    let mut response = http::Response::new(Answer::Rows(Some(messages)));
    response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    Ok(response)
}

struct TicketDecoder;

impl Decoder for TicketDecoder {
    type Item = Ticket;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Ticket>, Status> {
        let ticket = Ticket::decode(bytes).map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(Some(ticket))
    }
}

/// The body of an answer.
pub(crate) enum Answer {
    /// Of DoGet: its messages, until they have ended, and then how they did.
    Rows(Option<Messages>),
    /// Of anything else.
    Other(Body),
}

impl Default for Answer {
    fn default() -> Self {
        Self::Other(Body::default())
    }
}

impl http_body::Body for Answer {
    type Data = Message;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Message>, Status>>> {
        let rows = match self.get_mut() {
            Self::Rows(rows) => rows,
            Self::Other(body) => {
                let frame = Pin::new(body).poll_frame(context);
                return frame.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(Message::from))));
            }
        };
        let Some(messages) = rows else {
            return Poll::Ready(None);
        };
        let ended = match ready!(messages.as_mut().poll_next(context)) {
            Some(Ok(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
            Some(Err(status)) => status,
            None => Status::ok(""),
        };
        *rows = None;
        let mut trailers = HeaderMap::<HeaderValue>::new();
        Poll::Ready(Some(
            ended.add_header(&mut trailers).map(|()| Frame::trailers(trailers)),
        ))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Rows(rows) => rows.is_none(),
            Self::Other(body) => body.is_end_stream(),
        }
    }
}
