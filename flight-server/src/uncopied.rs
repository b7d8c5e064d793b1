//! DoGet without a copy of the rows: tonic puts each message together in a buffer of its own, which for large answers costs
//! as much as to encode them. Here a message goes out in two pieces, and the second are the rows where they were encoded.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{FlightData, Ticket};
use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use tonic::body::Body;
use tonic::codec::{DecodeBuf, Decoder};
use tonic::codegen::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tonic::codegen::{BoxFuture, Service as Tower, http};
use tonic::metadata::{GRPC_CONTENT_TYPE, MetadataMap};
use tonic::server::NamedService;
use tonic::{Request, Status, Streaming};

use crate::rows::Messages;
use crate::service::Service;

const DO_GET: &str = "/arrow.flight.protocol.FlightService/DoGet";
/// The number of the rows' field in a message, as `Flight.proto` has it.
const DATA_BODY: u32 = 1000;
/// Bytes before each message: whether it is compressed, and its length, as gRPC has it
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
const PREFIX: usize = 5;

/// The Flight service, which answers DoGet itself.
#[derive(Clone)]
pub(crate) struct Uncopied {
    service: Arc<Service>,
    others: FlightServiceServer<Service>,
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
        Self {
            service,
            others,
            largest,
        }
    }
}

impl NamedService for Uncopied {
    const NAME: &'static str = <FlightServiceServer<Service> as NamedService>::NAME;
}

impl Tower<http::Request<Body>> for Uncopied {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != DO_GET {
            return self.others.call(request);
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
) -> Result<http::Response<Body>, Status> {
    let (parts, body) = request.into_parts();
    let mut tickets = Streaming::new_request(TicketDecoder, body, None, Some(largest));
    let ticket = tickets.message().await?;
    let ticket = ticket.ok_or_else(|| Status::invalid_argument("DoGet got no ticket"))?;
    let request = Request::from_parts(MetadataMap::from_headers(parts.headers), parts.extensions, ticket);
    let (metadata, messages, _) = service.do_get(request).await?.into_parts();
    let mut response = http::Response::new(Body::new(Frames {
        messages: Some(messages),
        rows: Bytes::new(),
    }));
    *response.headers_mut() = metadata.into_headers();
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

/// The messages as pieces of a body, and then how it ended.
struct Frames {
    /// Until they have ended.
    messages: Option<Messages>,
    /// Those of the message whose first piece went out last.
    rows: Bytes,
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.rows.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rows)))));
        }
        let Some(messages) = &mut self.messages else {
            return Poll::Ready(None);
        };
        let ended = match ready!(messages.as_mut().poll_next(context)) {
            Some(Ok(message)) => {
                let (first, rows) = pieces(message);
                self.rows = rows;
                return Poll::Ready(Some(Ok(Frame::data(first))));
            }
            Some(Err(status)) => status,
            None => Status::ok(""),
        };
        self.messages = None;
        let mut trailers = HeaderMap::<HeaderValue>::new();
        Poll::Ready(Some(
            ended.add_header(&mut trailers).map(|()| Frame::trailers(trailers)),
        ))
    }
}

/// A message as gRPC frames it: all but its rows, which come last, and these.
fn pieces(mut message: FlightData) -> (Bytes, Bytes) {
    let rows = std::mem::take(&mut message.data_body);
    let mut first = BytesMut::with_capacity(PREFIX + message.encoded_len() + 2 * size_of::<u64>());
    first.put_bytes(0, PREFIX);
    first.extend_from_slice(&message.encode_to_vec());
    if !rows.is_empty() {
        encode_key(DATA_BODY, WireType::LengthDelimited, &mut first);
        encode_varint(rows.len() as u64, &mut first);
    }
    let length = u32::try_from(first.len() - PREFIX + rows.len()).unwrap_or(u32::MAX);
    first[1..PREFIX].copy_from_slice(&length.to_be_bytes());
    (first.freeze(), rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_message_are_the_message() {
        for (header, rows) in [
            ("", ""),
            ("header", ""),
            ("", "rows"),
            ("header", &*"rows".repeat(100_000)),
        ] {
            let message = FlightData {
                data_header: Bytes::copy_from_slice(header.as_bytes()),
                data_body: Bytes::copy_from_slice(rows.as_bytes()),
                app_metadata: Bytes::from_static(b"7"),
                ..Default::default()
            };
            let encoded = message.encode_to_vec();
            let (first, rows) = pieces(message);
            let all = [&*first, &*rows].concat();
            assert_eq!(all[0], 0);
            assert_eq!(
                all[1..PREFIX],
                u32::try_from(encoded.len()).unwrap_or_default().to_be_bytes()
            );
            assert_eq!(all[PREFIX..], encoded);
        }
    }
}
