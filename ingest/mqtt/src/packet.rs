//! Packets of MQTT 5, as far as a client has to know them that subscribes and publishes nothing. Source: OASIS, "MQTT
//! Version 5.0", chapter 3; properties of what comes are passed over, for nothing here depends on them.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The longest that a packet can be, without its header (2.1.4).
const LONGEST: usize = 268_435_455;

/// How sure a delivery is (4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::enum_variant_names, reason = "the names of the specification")]
pub(crate) enum Qos {
    AtMostOnce = 0,
    AtLeastOnce = 1,
    ExactlyOnce = 2,
}

impl Qos {
    /// The one of that number.
    pub(crate) fn of(number: u8) -> Option<Self> {
        [Self::AtMostOnce, Self::AtLeastOnce, Self::ExactlyOnce]
            .into_iter()
            .find(|qos| *qos as u8 == number)
    }
}

/// What a broker answers, where it is not that all is well (2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reason(pub(crate) u8);

impl Reason {
    pub(crate) const SUCCESS: Self = Self(0x00);
    /// What brokers say of the version that do not know this one (MQTT 3.1.1, 3.2.2.3).
    pub(crate) const FORMER_UNSUPPORTED_VERSION: Self = Self(0x01);
    pub(crate) const UNSUPPORTED_VERSION: Self = Self(0x84);
    pub(crate) const CLIENT_ID_NOT_VALID: Self = Self(0x85);
    pub(crate) const BAD_USER_OR_PASSWORD: Self = Self(0x86);
    pub(crate) const NOT_AUTHORIZED: Self = Self(0x87);
    pub(crate) const BANNED: Self = Self(0x8A);
    pub(crate) const BAD_METHOD: Self = Self(0x8C);
    pub(crate) const TAKEN_OVER: Self = Self(0x8E);

    /// Whether it says that something failed.
    pub(crate) fn is_failure(self) -> bool {
        self.0 >= 0x80
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.0 {
            0x00 => "success",
            0x80 => "unspecified error",
            0x81 => "malformed packet",
            0x82 => "protocol error",
            0x83 => "implementation specific error",
            0x84 => "unsupported protocol version",
            0x85 => "client identifier not valid",
            0x86 => "bad user name or password",
            0x87 => "not authorized",
            0x88 => "server unavailable",
            0x89 => "server busy",
            0x8A => "banned",
            0x8B => "server shutting down",
            0x8C => "bad authentication method",
            0x8D => "keep alive timeout",
            0x8E => "session taken over",
            0x8F => "topic filter invalid",
            0x93 => "receive maximum exceeded",
            0x97 => "quota exceeded",
            0x98 => "administrative action",
            0x9C => "use another server",
            0x9D => "server moved",
            0x9E => "shared subscriptions not supported",
            0x9F => "connection rate exceeded",
            0xA0 => "maximum connect time",
            0xA2 => "wildcard subscriptions not supported",
            other => return write!(f, "reason {other:#04x}"),
        };
        f.write_str(name)
    }
}

/// What comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incoming {
    ConnAck { session_present: bool, reason: Reason },
    Publish(Publish),
    PubRel(u16),
    SubAck(Vec<Reason>),
    UnsubAck,
    PingResp,
    Disconnect(Reason),
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Publish {
    /// Whether it was sent before.
    pub(crate) dup: bool,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) topic: String,
    /// Its identifier, 0 if it is not to be acknowledged.
    pub(crate) id: u16,
    pub(crate) payload: Bytes,
}

/// What goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outgoing<'a> {
    Connect(Connect<'a>),
    Subscribe {
        id: u16,
        filters: &'a [String],
        qos: Qos,
        /// Whether the broker sends what it has retained, if the subscription is new.
        retained: bool,
    },
    Unsubscribe {
        id: u16,
        filters: &'a [String],
    },
    PubAck(u16),
    PubRec(u16),
    PubComp(u16),
    PingReq,
    Disconnect,
}

/// How a client introduces itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connect<'a> {
    pub(crate) client: &'a str,
    pub(crate) clean_start: bool,
    /// Seconds.
    pub(crate) keep_alive: u16,
    /// Seconds.
    pub(crate) session_expiry: u32,
    pub(crate) receive_maximum: u16,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
}

/// Why bytes are no packet, or something has no place in one.
pub(crate) type Malformed = &'static str;

/// Takes the next packet off what has come; `None` if not all of it has.
///
/// # Errors
/// What has come is no packet that a broker sends.
pub(crate) fn read(input: &mut BytesMut) -> Result<Option<Incoming>, Malformed> {
    let Some(first) = input.first().copied() else {
        return Ok(None);
    };
    let Some((length, header)) = variable(&input[1..])? else {
        return Ok(None);
    };
    let whole = 1 + header + length;
    if input.len() < whole {
        input.reserve(whole - input.len());
        return Ok(None);
    }
    let mut body = input.split_to(whole).freeze();
    body.advance(1 + header);
    incoming(first, body).map(Some)
}

fn incoming(first: u8, mut body: Bytes) -> Result<Incoming, Malformed> {
    Ok(match first {
        0x20 => {
            let session_present = byte(&mut body)? & 1 == 1;
            let reason = Reason(byte(&mut body)?);
            Incoming::ConnAck {
                session_present,
                reason,
            }
        }
        0x30..=0x3F => {
            let qos = Qos::of(first >> 1 & 3).ok_or("a message has a quality of service that there is not")?;
            let length = two(&mut body)?.into();
            let topic = String::from_utf8(take(&mut body, length)?.into()).map_err(|_| "a topic is not UTF-8")?;
            let id = match qos {
                Qos::AtMostOnce => 0,
                _ => two(&mut body)?,
            };
            if qos != Qos::AtMostOnce && id == 0 || topic.is_empty() {
                return Err("a message has no identifier or no topic");
            }
            skip_properties(&mut body)?;
            Incoming::Publish(Publish {
                dup: first & 8 > 0,
                qos,
                retain: first & 1 == 1,
                topic,
                id,
                payload: body,
            })
        }
        0x62 => Incoming::PubRel(two(&mut body)?),
        0x90 => {
            two(&mut body)?;
            skip_properties(&mut body)?;
            Incoming::SubAck(body.into_iter().map(Reason).collect())
        }
        0xB0 => Incoming::UnsubAck,
        0xD0 => Incoming::PingResp,
        0xE0 => Incoming::Disconnect(Reason(body.first().copied().unwrap_or_default())),
        _ => return Err("it is of a type that no broker sends to a client like this"),
    })
}

const CUT: Malformed = "a packet ends before it should";

fn take(body: &mut Bytes, length: usize) -> Result<Bytes, Malformed> {
    match body.len() < length {
        true => Err(CUT),
        false => Ok(body.split_to(length)),
    }
}

fn byte(body: &mut Bytes) -> Result<u8, Malformed> {
    body.try_get_u8().map_err(|_| CUT)
}

fn two(body: &mut Bytes) -> Result<u16, Malformed> {
    body.try_get_u16().map_err(|_| CUT)
}

fn skip_properties(body: &mut Bytes) -> Result<(), Malformed> {
    let (length, header) = variable(body)?.ok_or(CUT)?;
    take(body, header + length).map(drop)
}

/// A number of variable length (1.5.5), and how many bytes it takes; `None` if not all of it is there.
fn variable(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        number |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((number, at + 1)));
        }
    }
    match bytes.len() < 4 {
        true => Ok(None),
        false => Err("a length takes more than four bytes"),
    }
}

impl Outgoing<'_> {
    /// Appends the packet.
    ///
    /// # Errors
    /// A text or the whole is longer than it can be.
    pub(crate) fn write(&self, out: &mut BytesMut) -> Result<(), Malformed> {
        let mut body = BytesMut::new();
        let first = match *self {
            Self::Connect(connect) => {
                connect.write(&mut body)?;
                0x10
            }
            Self::Subscribe {
                id,
                filters,
                qos,
                retained,
            } => {
                body.put_u16(id);
                body.put_u8(0);
                for filter in filters {
                    put_text(&mut body, filter)?;
                    // 1: retained messages with a subscription that is new; 2: with none.
                    let handling: u8 = if retained { 1 } else { 2 };
                    body.put_u8(handling << 4 | qos as u8);
                }
                0x82
            }
            Self::Unsubscribe { id, filters } => {
                body.put_u16(id);
                body.put_u8(0);
                filters.iter().try_for_each(|filter| put_text(&mut body, filter))?;
                0xA2
            }
            Self::PubAck(id) => identified(&mut body, id, 0x40),
            Self::PubRec(id) => identified(&mut body, id, 0x50),
            Self::PubComp(id) => identified(&mut body, id, 0x70),
            Self::PingReq => 0xC0,
            Self::Disconnect => 0xE0,
        };
        if body.len() > LONGEST {
            return Err("a packet would be too long");
        }
        out.put_u8(first);
        put_variable(out, body.len());
        out.extend_from_slice(&body);
        Ok(())
    }
}

impl Connect<'_> {
    fn write(&self, body: &mut BytesMut) -> Result<(), Malformed> {
        put_text(body, "MQTT")?;
        body.put_u8(5);
        let (has_user, has_password) = (!self.user.is_empty(), !self.password.is_empty());
        body.put_u8(u8::from(has_user) << 7 | u8::from(has_password) << 6 | u8::from(self.clean_start) << 1);
        body.put_u16(self.keep_alive);
        // Session Expiry Interval and Receive Maximum.
        put_variable(body, 5 + 3);
        body.put_u8(0x11);
        body.put_u32(self.session_expiry);
        body.put_u8(0x21);
        body.put_u16(self.receive_maximum);
        put_text(body, self.client)?;
        for text in [self.user, self.password].into_iter().filter(|text| !text.is_empty()) {
            put_text(body, text)?;
        }
        Ok(())
    }
}

fn identified(body: &mut BytesMut, id: u16, first: u8) -> u8 {
    body.put_u16(id);
    first
}

fn put_text(body: &mut BytesMut, text: &str) -> Result<(), Malformed> {
    let length = u16::try_from(text.len()).map_err(|_| "a text is longer than 65,535 bytes")?;
    body.put_u16(length);
    body.extend_from_slice(text.as_bytes());
    Ok(())
}

fn put_variable(out: &mut BytesMut, mut number: usize) {
    loop {
        let low = (number & 0x7F) as u8;
        number >>= 7;
        out.put_u8(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(packet: Outgoing<'_>) -> Vec<u8> {
        let mut out = BytesMut::new();
        packet.write(&mut out).unwrap();
        out.to_vec()
    }

    #[test]
    fn packets_are_written_as_the_specification_says() {
        let connect = Connect {
            client: "c",
            clean_start: false,
            keep_alive: 10,
            session_expiry: 10,
            receive_maximum: 20,
            user: "u",
            password: "p",
        };
        let expected = [
            &[0x10, 28, 0, 4][..],
            b"MQTT",
            &[5, 0xC0, 0, 10, 8, 0x11, 0, 0, 0, 10, 0x21, 0, 20, 0, 1],
            b"c",
            &[0, 1],
            b"u",
            &[0, 1],
            b"p",
        ];
        assert_eq!(written(Outgoing::Connect(connect)), expected.concat());
        let filters = ["a/b".to_owned(), "c/d".to_owned()];
        let subscribe = Outgoing::Subscribe {
            id: 10,
            filters: &filters,
            qos: Qos::AtLeastOnce,
            retained: true,
        };
        assert_eq!(
            written(subscribe),
            b"\x82\x0f\x00\x0a\x00\x00\x03a/b\x11\x00\x03c/d\x11"
        );
        assert_eq!(written(Outgoing::PubRec(258)), [0x50, 2, 1, 2]);
        assert_eq!(written(Outgoing::PingReq), [0xC0, 0]);
        assert_eq!(written(Outgoing::Disconnect), [0xE0, 0]);
        let long = "x".repeat(70_000);
        let too_long = Outgoing::Unsubscribe {
            id: 1,
            filters: &[long],
        };
        assert!(too_long.write(&mut BytesMut::new()).is_err());
    }

    /// A message, with a property that is passed over.
    fn publish(qos: Qos, id: u16, topic: &str, payload: &[u8]) -> Vec<u8> {
        let mut body = BytesMut::new();
        put_text(&mut body, topic).unwrap();
        if qos != Qos::AtMostOnce {
            body.put_u16(id);
        }
        put_variable(&mut body, 2);
        body.put_slice(&[0x01, 1]);
        body.put_slice(payload);
        let mut out = BytesMut::new();
        out.put_u8(0x30 | (qos as u8) << 1 | 1);
        put_variable(&mut out, body.len());
        out.extend_from_slice(&body);
        out.to_vec()
    }

    #[test]
    fn what_a_broker_sends_is_read() {
        let cases: [(&[u8], Incoming); 6] = [
            (
                &[0x20, 3, 1, 0, 0],
                Incoming::ConnAck {
                    session_present: true,
                    reason: Reason(0),
                },
            ),
            (&[0x62, 2, 0, 7], Incoming::PubRel(7)),
            (&[0x62, 4, 0, 7, 0, 0], Incoming::PubRel(7)),
            (
                &[0x90, 5, 0, 1, 0, 1, 0x87],
                Incoming::SubAck(vec![Reason(1), Reason::NOT_AUTHORIZED]),
            ),
            (&[0xD0, 0], Incoming::PingResp),
            (&[0xE0, 1, 0x8E], Incoming::Disconnect(Reason::TAKEN_OVER)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read(&mut BytesMut::from(bytes)).unwrap(), Some(expected), "{bytes:?}");
        }
        for wrong in [
            &[0x10, 0][..],
            &[0x62, 0],
            &[0x36, 0],
            &[0x30, 0xFF, 0xFF, 0xFF, 0xFF],
            &[0x32, 4, 0, 0, 0, 0],
        ] {
            assert!(read(&mut BytesMut::from(wrong)).is_err(), "{wrong:?}");
        }
    }

    fn any_qos() -> impl Strategy<Value = Qos> {
        prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)]
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_they_are_cut(
            messages in prop::collection::vec(
                (any_qos(), 1u16.., "[a-zñ/]{1,20}", prop::collection::vec(any::<u8>(), 0..300)), 1..5),
            cut in 1usize..40,
        ) {
            let bytes: Vec<_> = messages.iter().flat_map(|(qos, id, topic, payload)| publish(*qos, *id, topic, payload)).collect();
            let (mut input, mut found) = (BytesMut::new(), Vec::new());
            for piece in bytes.chunks(cut) {
                input.extend_from_slice(piece);
                while let Some(packet) = read(&mut input).unwrap() {
                    found.push(packet);
                }
            }
            let expected: Vec<_> = messages.into_iter().map(|(qos, id, topic, payload)| Incoming::Publish(Publish {
                dup: false, qos, retain: true, topic, id: if qos == Qos::AtMostOnce { 0 } else { id }, payload: payload.into(),
            })).collect();
            prop_assert_eq!(found, expected);
            prop_assert!(input.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut input = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = read(&mut input) {}
        }
    }
}
