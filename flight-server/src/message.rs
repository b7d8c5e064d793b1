//! A message of an answer, as gRPC frames it. Its rows are where they were computed: a large answer costs as much to put
//! together in one place as to encode.

use std::collections::VecDeque;
use std::io::IoSlice;

use arrow_flight::FlightData;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

/// The numbers of the fields of a message, as `Flight.proto` has them.
const DATA_HEADER: u32 = 2;
const DATA_BODY: u32 = 1000;
/// Bytes before each message: whether it is compressed, and its length, as gRPC has it
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
const PREFIX: usize = 5;
/// Bytes of the keys and lengths of the fields of a message at most.
const FIELDS: usize = 32;
/// Pieces of fewer bytes are put together: each costs something.
const SMALL: usize = 1 << 10;

/// A message, whose bytes are taken out as they are sent.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pieces: VecDeque<Bytes>,
    /// Bytes that are left of it.
    left: usize,
    rows: u64,
    size: u64,
}

impl Message {
    /// Of that header, and of that body, which has so many rows.
    pub(crate) fn new(header: &[u8], body: impl IntoIterator<Item = Bytes>, rows: u64) -> Self {
        let body = joined(body);
        let body_length: usize = body.iter().map(Bytes::len).sum();
        let mut first = BytesMut::with_capacity(PREFIX + FIELDS + header.len());
        first.put_bytes(0, PREFIX);
        encode_key(DATA_HEADER, WireType::LengthDelimited, &mut first);
        encode_varint(header.len() as u64, &mut first);
        first.extend_from_slice(header);
        if body_length > 0 {
            encode_key(DATA_BODY, WireType::LengthDelimited, &mut first);
            encode_varint(body_length as u64, &mut first);
        }
        let length = u32::try_from(first.len() - PREFIX + body_length).unwrap_or(u32::MAX);
        first[1..PREFIX].copy_from_slice(&length.to_be_bytes());
        let (mut pieces, left) = (body, first.len() + body_length);
        pieces.push_front(first.freeze());
        Self {
            pieces,
            left,
            rows,
            size: (header.len() + body_length) as u64,
        }
    }

    /// Its rows.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of its header and its body.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The same in one piece, apart from the memory that it was computed in.
    pub(crate) fn apart(&self) -> Self {
        let mut all = Vec::with_capacity(self.left);
        self.pieces.iter().for_each(|piece| all.extend_from_slice(piece));
        Self {
            pieces: VecDeque::from([all.into()]),
            ..*self
        }
    }
}

/// A piece of a message.
impl From<Bytes> for Message {
    fn from(piece: Bytes) -> Self {
        Self {
            left: piece.len(),
            pieces: VecDeque::from([piece]),
            rows: 0,
            size: 0,
        }
    }
}

impl From<Message> for FlightData {
    fn from(mut message: Message) -> Self {
        let mut framed = message.copy_to_bytes(message.left);
        framed.advance(PREFIX.min(framed.len()));
        Self::decode(framed).unwrap_or_default()
    }
}

impl Buf for Message {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, to: &mut [IoSlice<'a>]) -> usize {
        let pairs = to.iter_mut().zip(&self.pieces);
        pairs.map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut bytes: usize) {
        self.left -= bytes;
        while let Some(piece) = self.pieces.front_mut() {
            if piece.len() > bytes {
                return piece.advance(bytes);
            }
            bytes -= piece.len();
            self.pieces.pop_front();
        }
    }
}

/// The pieces, the small ones together with those before them.
fn joined(pieces: impl IntoIterator<Item = Bytes>) -> VecDeque<Bytes> {
    let (mut joined, mut small) = (VecDeque::new(), BytesMut::new());
    for piece in pieces {
        if piece.len() < SMALL {
            small.extend_from_slice(&piece);
            continue;
        }
        if !small.is_empty() {
            joined.push_back(small.split().freeze());
        }
        joined.push_back(piece);
    }
    if !small.is_empty() {
        joined.push_back(small.freeze());
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_message_are_the_message() {
        let large = "rows".repeat(1000);
        for (header, body) in [
            ("", vec![]),
            ("header", vec![]),
            ("", vec!["rows"]),
            ("header", vec!["a", &large, "b", "c", &large, &large, ""]),
        ] {
            let expected = FlightData {
                data_header: Bytes::copy_from_slice(header.as_bytes()),
                data_body: body.concat().into(),
                ..Default::default()
            };
            let pieces = body.iter().map(|piece| Bytes::copy_from_slice(piece.as_bytes()));
            let message = Message::new(header.as_bytes(), pieces, 7);
            assert_eq!(message.rows(), 7);
            assert_eq!(message.size() as usize, header.len() + body.concat().len());
            let (whole, length) = (message.apart().chunk().to_vec(), message.remaining());
            assert_eq!(whole.len(), length);
            assert_eq!(whole[0], 0);
            assert_eq!(
                whole[1..PREFIX],
                u32::try_from(length - PREFIX).unwrap_or_default().to_be_bytes()
            );
            assert_eq!(FlightData::from(message.clone()), expected);
            // However it is taken out.
            for step in [1000, 3, length] {
                let (mut message, mut taken) = (message.clone(), Vec::new());
                while message.has_remaining() {
                    let mut slices = [IoSlice::new(&[]); 3];
                    let count = message.chunks_vectored(&mut slices);
                    let seen: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
                    let step = step.min(seen.len());
                    taken.extend_from_slice(&seen[..step]);
                    message.advance(step);
                }
                assert!(taken == whole);
            }
        }
    }
}
