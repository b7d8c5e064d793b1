//! The broker's side of the packets, written apart from the client's. What is no packet ends the test.

/// What a client sends.
pub enum Asked {
    Connect(Connect),
    Subscribe(u16, Vec<(String, u8)>),
    Unsubscribe(u16, Vec<String>),
    PubAck(u16),
    PubRec(u16),
    PubComp(u16),
    Ping,
    Disconnect,
}

pub struct Connect {
    pub client: String,
    pub clean_start: bool,
    pub session_expiry: u32,
    pub receive_maximum: u16,
    pub password: String,
}

/// What the broker sends.
pub enum Answer {
    ConnAck(bool, u8),
    Publish {
        dup: bool,
        qos: u8,
        id: u16,
        topic: String,
        payload: Vec<u8>,
    },
    PubRel(u16),
    SubAck(u16, Vec<u8>),
    UnsubAck(u16, usize),
    Pong,
    Disconnect(u8),
}

impl Answer {
    pub fn bytes(&self) -> Vec<u8> {
        let (first, body) = match self {
            Self::ConnAck(present, reason) => (0x20, vec![u8::from(*present), *reason, 0]),
            Self::Publish {
                dup,
                qos,
                id,
                topic,
                payload,
            } => {
                let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
                body.extend(topic.as_bytes());
                if *qos > 0 {
                    body.extend(id.to_be_bytes());
                }
                body.push(0);
                body.extend(payload);
                (0x30 | u8::from(*dup) << 3 | qos << 1, body)
            }
            Self::PubRel(id) => (0x62, id.to_be_bytes().to_vec()),
            Self::SubAck(id, granted) => (0x90, [&id.to_be_bytes()[..], &[0], granted].concat()),
            Self::UnsubAck(id, count) => (0xB0, [&id.to_be_bytes()[..], &[0], &vec![0; *count]].concat()),
            Self::Pong => (0xD0, Vec::new()),
            Self::Disconnect(reason) => (0xE0, vec![*reason]),
        };
        let mut bytes = vec![first];
        let mut length = body.len();
        while length > 127 {
            bytes.push((length % 128) as u8 | 128);
            length /= 128;
        }
        bytes.push(length as u8);
        bytes.extend(body);
        bytes
    }
}

/// Takes the next packet off what has come, if all of it has.
pub fn read(input: &mut Vec<u8>) -> Option<Asked> {
    let (mut length, mut at, mut shift) = (0, 1, 0);
    loop {
        let byte = usize::from(*input.get(at)?);
        length |= (byte & 127) << shift;
        (at, shift) = (at + 1, shift + 7);
        if byte < 128 {
            break;
        }
    }
    if input.len() < at + length {
        return None;
    }
    let packet: Vec<u8> = input.drain(..at + length).collect();
    let mut body = Body(&packet[at..]);
    let asked = match packet[0] {
        0x10 => Asked::Connect(body.connect()),
        0x82 => {
            let id = body.two();
            body.properties();
            let mut filters = Vec::new();
            while !body.0.is_empty() {
                filters.push((body.text(), body.one() & 3));
            }
            Asked::Subscribe(id, filters)
        }
        0xA2 => {
            let id = body.two();
            body.properties();
            let mut filters = Vec::new();
            while !body.0.is_empty() {
                filters.push(body.text());
            }
            Asked::Unsubscribe(id, filters)
        }
        0x40 => Asked::PubAck(body.two()),
        0x50 => Asked::PubRec(body.two()),
        0x70 => Asked::PubComp(body.two()),
        0xC0 => Asked::Ping,
        0xE0 => Asked::Disconnect,
        other => panic!("{other:#x} has no place here"),
    };
    assert!(body.0.is_empty(), "a packet goes on behind its end");
    Some(asked)
}

struct Body<'b>(&'b [u8]);

impl Body<'_> {
    fn bytes(&mut self, count: usize) -> &[u8] {
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }

    fn one(&mut self) -> u8 {
        self.bytes(1)[0]
    }

    fn two(&mut self) -> u16 {
        u16::from_be_bytes(self.bytes(2).try_into().unwrap())
    }

    fn four(&mut self) -> u32 {
        u32::from_be_bytes(self.bytes(4).try_into().unwrap())
    }

    fn text(&mut self) -> String {
        let length = self.two().into();
        String::from_utf8(self.bytes(length).to_vec()).unwrap()
    }

    /// None is known where there are none.
    fn properties(&mut self) {
        assert_eq!(self.one(), 0);
    }

    fn connect(&mut self) -> Connect {
        assert_eq!((self.text().as_str(), self.one()), ("MQTT", 5));
        let flags = self.one();
        let _keep_alive = self.two();
        let (mut session_expiry, mut receive_maximum) = (0, u16::MAX);
        let properties = usize::from(self.one());
        let end = self.0.len() - properties;
        while self.0.len() > end {
            match self.one() {
                0x11 => session_expiry = self.four(),
                0x21 => receive_maximum = self.two(),
                other => panic!("{other:#x} is no property of these"),
            }
        }
        let client = self.text();
        let mut given = |flag: u8| if flags & flag > 0 { self.text() } else { String::new() };
        let (_user, password) = (given(0x80), given(0x40));
        Connect {
            client,
            clean_start: flags & 2 > 0,
            session_expiry,
            receive_maximum,
            password,
        }
    }
}
