//! Asks a Flight SQL server the same question again and again, and costs next to nothing itself: a driver takes longer for
//! a small answer than a server does, so that through one all servers look alike.
//!
//! `ask HOST:PORT SQL CONNECTIONS SECONDS` asks on so many connections at a time, GetFlightInfo and then DoGet each time,
//! one after the other, and writes as JSON how often that was, how long it took and what it cost itself. It speaks HTTP/2 by ready-made frames
//! and looks into answers only as far as it must: every one has to be the first one, byte for byte.

use std::io::{Error, Read, Result, Write};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// What a client sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest window that there is: nothing that is asked here fills it.
const WINDOW: u32 = (1 << 31) - 1;
/// The window that a connection begins with.
const FIRST_WINDOW: u32 = (1 << 16) - 1;
/// Bytes before a frame: its length, kind, flags and stream.
const FRAME: usize = 9;
/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// Bytes that are read at a time.
const READ: usize = 64 << 10;

/// Kinds of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// Flags of frames.
const ACKNOWLEDGED: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What is called, after `/arrow.flight.protocol.FlightService/`.
const CALLS: [&str; 2] = ["GetFlightInfo", "DoGet"];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, sql, connections, seconds] = &arguments[..] else {
        return Err(Error::other("usage: ask HOST:PORT SQL CONNECTIONS SECONDS"));
    };
    let connections: usize = connections.parse().map_err(Error::other)?;
    let seconds: f64 = seconds.parse().map_err(Error::other)?;
    let ready = Arc::new(Barrier::new(connections));
    let asking: Vec<_> = (0..connections)
        .map(|_| {
            let (address, sql, ready) = (address.clone(), sql.clone(), ready.clone());
            thread::spawn(move || ask(&address, &sql, &ready, Duration::from_secs_f64(seconds)))
        })
        .collect();
    let mut took = Vec::new();
    for one in asking {
        took.extend(one.join().map_err(|_| Error::other("a connection broke off"))??);
    }
    took.sort();
    let millis = |share: usize| took[took.len() * share / 100].as_secs_f64() * 1000.0;
    let (rate, p50, p99) = (took.len() as f64 / seconds, millis(50), millis(99));
    let own = processor_seconds()? / took.len() as f64 * 1000.0;
    println!(r#"{{"seconds": {seconds}, "rate": {rate}, "p50": {p50}, "p99": {p99}, "client": {own}}}"#);
    Ok(())
}

/// What this process has computed so far, the system's work for it included.
fn processor_seconds() -> Result<f64> {
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .flat_map(str::parse::<f64>);
    Ok(ticks.sum::<f64>() / TICKS)
}

/// Asks on one connection for that long, once all are ready; gives how long each answer took.
fn ask(address: &str, sql: &str, ready: &Barrier, lasts: Duration) -> Result<Vec<Duration>> {
    let question = statement(sql);
    let mut connection = Connection::open(address);
    let expected = connection.as_mut().ok().map(|connection| connection.ask(&question));
    // All meet here, whatever became of them: nobody waits for whoever could not come.
    ready.wait();
    let (mut connection, Some(expected)) = (connection?, expected) else {
        return Err(Error::other("nobody asks"));
    };
    let (expected, mut took) = (expected?, Vec::new());
    let began = Instant::now();
    while began.elapsed() < lasts {
        let asked = Instant::now();
        let answer = connection.ask(&question)?;
        took.push(asked.elapsed());
        if answer != expected {
            return Err(Error::other("an answer is another than the first"));
        }
    }
    Ok(took)
}

/// A connection to a server.
struct Connection {
    stream: TcpStream,
    /// The stream of the next call.
    next: u32,
    authority: String,
    /// What was read, and from where on it has not been looked at.
    read: Vec<u8>,
    at: usize,
}

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut first = PREFACE.to_vec();
        // The window of each stream is setting 4.
        let window = [&4_u16.to_be_bytes()[..], &WINDOW.to_be_bytes()[..]].concat();
        frame(&mut first, SETTINGS, 0, 0, &window);
        let more = (WINDOW - FIRST_WINDOW).to_be_bytes();
        frame(&mut first, WINDOW_UPDATE, 0, 0, &more);
        stream.write_all(&first)?;
        Ok(Self {
            stream,
            next: 1,
            authority: address.to_owned(),
            read: Vec::with_capacity(READ),
            at: 0,
        })
    }

    /// The answer to a question: what DoGet gives for the ticket of GetFlightInfo.
    fn ask(&mut self, question: &[u8]) -> Result<Vec<u8>> {
        let info = self.call(0, question)?;
        let info = info
            .get(PREFIX..)
            .ok_or_else(|| Error::other("GetFlightInfo is refused"))?;
        // FlightInfo.endpoint, and FlightEndpoint.ticket, which is what DoGet takes.
        let ticket = part(info, 3).and_then(|endpoint| part(endpoint, 1));
        let ticket = ticket
            .ok_or_else(|| Error::other("GetFlightInfo gives no ticket"))?
            .to_vec();
        let answer = self.call(1, &ticket)?;
        match answer.is_empty() {
            true => Err(Error::other("DoGet is refused")),
            false => Ok(answer),
        }
    }

    /// Calls and gives all messages of the answer, as they came; none if it is refused.
    fn call(&mut self, call: usize, message: &[u8]) -> Result<Vec<u8>> {
        let (stream, headers) = (self.next, self.headers(call));
        self.next += 2;
        let mut request = Vec::with_capacity(2 * FRAME + PREFIX + message.len() + headers.len());
        frame(&mut request, HEADERS, END_HEADERS, stream, &headers);
        let mut framed = vec![0];
        framed.extend((message.len() as u32).to_be_bytes());
        framed.extend(message);
        frame(&mut request, DATA, END_STREAM, stream, &framed);
        self.stream.write_all(&request)?;
        let mut answer = Vec::new();
        loop {
            let (kind, flags, payload) = self.frame()?;
            match kind {
                DATA => answer.extend(payload),
                RESET | GO_AWAY => return Err(Error::other("the server breaks off")),
                SETTINGS | PING if flags & ACKNOWLEDGED == 0 => {
                    let payload = if kind == PING { payload } else { Vec::new() };
                    let mut reply = Vec::new();
                    frame(&mut reply, kind, ACKNOWLEDGED, 0, &payload);
                    self.stream.write_all(&reply)?;
                }
                _ => {}
            }
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                return Ok(answer);
            }
        }
    }

    /// The headers of a call, compressed: the first two calls say them in words, which have numbers from then on.
    fn headers(&self, call: usize) -> Vec<u8> {
        const POST: u8 = 0x83;
        const HTTP: u8 = 0x86;
        /// The number of what was said last.
        const LAST: u8 = 0x80 | 62;
        let path = format!("/arrow.flight.protocol.FlightService/{}", CALLS[call]);
        let word = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let authority = [vec![0x41], word(&self.authority)].concat();
        let path = [vec![0x44], word(&path)].concat();
        let named = |name: &str, value: &str| [vec![0x40], word(name), word(value)].concat();
        match self.next {
            1 => [
                vec![POST, HTTP],
                authority,
                path,
                named("te", "trailers"),
                named("content-type", "application/grpc"),
                named("user-agent", "ask"),
            ]
            .concat(),
            3 => [vec![POST, HTTP, LAST + 4], path, vec![LAST + 3, LAST + 2, LAST + 1]].concat(),
            _ => {
                let path = if call == 0 { LAST + 4 } else { LAST };
                vec![POST, HTTP, LAST + 5, path, LAST + 3, LAST + 2, LAST + 1]
            }
        }
    }

    /// The next frame: its kind, its flags and what is in it.
    fn frame(&mut self) -> Result<(u8, u8, Vec<u8>)> {
        loop {
            let read = &self.read[self.at..];
            if let Some(head) = read.get(..FRAME) {
                let end = FRAME + (usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]));
                if let Some(payload) = read.get(FRAME..end) {
                    let found = (head[3], head[4], payload.to_vec());
                    self.at += end;
                    return Ok(found);
                }
            }
            self.read.drain(..self.at);
            self.at = 0;
            let before = self.read.len();
            self.read.resize(before + READ, 0);
            let more = self.stream.read(&mut self.read[before..])?;
            self.read.truncate(before + more);
            if more == 0 {
                return Err(Error::other("the server hangs up"));
            }
        }
    }
}

fn frame(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    to.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    to.extend([kind, flags]);
    to.extend(stream.to_be_bytes());
    to.extend(payload);
}

/// The descriptor of a statement: a `FlightDescriptor` of kind CMD, in which there is an `Any` of a
/// `CommandStatementQuery`.
fn statement(sql: &str) -> Vec<u8> {
    let query = field(1, sql.as_bytes());
    let name = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery";
    let any = [field(1, name), field(2, &query)].concat();
    [vec![1 << 3, 2], field(2, &any)].concat()
}

/// A field of a message, of bytes.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let (mut field, mut length) = (vec![number << 3 | 2], value.len());
    while length > 0x7f {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend(value);
    field
}

/// The first field of that number in a message, if it is one of bytes.
fn part(mut message: &[u8], number: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let length = match key & 7 {
            0 => {
                varint(&mut message)?;
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, rest) = message.split_at_checked(length)?;
        if key == number << 3 | 2 {
            return Some(value);
        }
        message = rest;
    }
    None
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
