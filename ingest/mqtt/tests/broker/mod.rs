//! A broker of MQTT 5 that can be made to fail. It keeps to what it may do and makes it hard: it gives the lowest
//! identifier that is free to the next message, and cuts connections wherever it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as Turn, Notify, OwnedMutexGuard};

use self::packets::{Answer, Asked, Connect};

mod packets;

pub const PASSWORD: &str = "s3cret";

/// What a slow broker takes its time for.
pub const SLOW: Duration = Duration::from_millis(2);

/// How the broker is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Well,
    /// Closes what connects to it.
    Gone,
    Refusing,
    /// Sends something else after the first messages.
    Damaged,
    /// Answers nothing.
    Silent,
    /// Takes longer than [`SLOW`] for each answer to a ping.
    Slow,
}

/// A message on its way to a session.
#[derive(Clone)]
struct Message {
    topic: String,
    payload: Vec<u8>,
    qos: u8,
}

/// Where the delivery of a message is.
enum Step {
    Published(Message),
    /// PUBREC has come.
    Received,
}

#[derive(Default)]
struct Session {
    filters: BTreeMap<String, u8>,
    waiting: VecDeque<Message>,
    in_flight: BTreeMap<u16, Step>,
    /// The order in which they were sent.
    order: Vec<u16>,
    /// Which connection has it: a later one takes it over.
    connection: u64,
    /// Held by the connection that serves it, until it has read what came before another took it over.
    served: Arc<Turn<()>>,
}

#[derive(Default)]
struct State {
    mood: Mood,
    sessions: BTreeMap<String, Session>,
    connections: u64,
    /// After how many more messages the connection that sends them is cut, once.
    cut: Option<usize>,
}

impl State {
    /// The session of a connection, unless it has been forgotten.
    fn session(&mut self, served: &Served) -> Option<&mut Session> {
        let session = self.sessions.get_mut(&served.client)?;
        Arc::ptr_eq(&session.served, OwnedMutexGuard::mutex(&served.turn)).then_some(session)
    }
}

pub struct Broker {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    unanswered: Arc<Notify>,
}

impl Broker {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let broker = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
            changed: Arc::default(),
            unanswered: Arc::default(),
        };
        let (state, changed, unanswered) = (broker.state.clone(), broker.changed.clone(), broker.unanswered.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = Connection {
                    stream,
                    input: Vec::new(),
                    state: state.clone(),
                    changed: changed.clone(),
                    unanswered: unanswered.clone(),
                };
                tokio::spawn(connection.serve());
            }
        });
        broker
    }

    /// A session that was subscribed before, as by an earlier load.
    pub fn subscribed(&self, client: &str, filter: &str, qos: u8) {
        let mut state = self.state.lock().unwrap();
        let session = state.sessions.entry(client.to_owned()).or_default();
        session.filters.insert(filter.to_owned(), qos);
    }

    pub fn publish(&self, topic: &str, payload: impl Into<Vec<u8>>) {
        let payload = payload.into();
        for session in self.state.lock().unwrap().sessions.values_mut() {
            let granted = session.filters.iter().find(|(filter, _)| lets_through(filter, topic));
            let Some((_, qos)) = granted else { continue };
            session.waiting.push_back(Message {
                topic: topic.to_owned(),
                payload: payload.clone(),
                qos: *qos,
            });
        }
        self.changed.notify_waiters();
    }

    pub fn set(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// Messages of a session that it is not done with.
    pub fn kept(&self, client: &str) -> usize {
        let state = self.state.lock().unwrap();
        let session = &state.sessions[client];
        session.waiting.len() + session.in_flight.len()
    }

    /// The filters of a session.
    pub fn filters(&self, client: &str) -> Vec<String> {
        self.state.lock().unwrap().sessions[client]
            .filters
            .keys()
            .cloned()
            .collect()
    }

    /// Cuts the connection on which so many more messages have been sent.
    pub fn cut_after(&self, messages: usize) {
        self.state.lock().unwrap().cut = Some(messages);
    }

    /// Forgets a session.
    pub fn forget(&self, client: &str) {
        self.state.lock().unwrap().sessions.remove(client);
    }

    /// Returns when it has been asked something that it does not answer.
    pub async fn unanswered(&self) {
        self.unanswered.notified().await;
    }
}

/// Whether a filter, of a kind that the tests use, lets a topic through.
fn lets_through(filter: &str, topic: &str) -> bool {
    let mut topics = topic.split('/');
    for level in filter.split('/') {
        match (level, topics.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(found)) if level == found => {}
            _ => return false,
        }
    }
    topics.next().is_none()
}

fn publish(message: &Message, id: u16, dup: bool) -> Answer {
    Answer::Publish {
        dup,
        qos: message.qos,
        id,
        topic: message.topic.clone(),
        payload: message.payload.clone(),
    }
}

impl Session {
    /// A message is delivered, and its identifier free.
    fn done(&mut self, id: u16) {
        self.in_flight.remove(&id);
        self.order.retain(|sent| *sent != id);
    }

    /// The other side has a message, which is not sent again.
    fn received(&mut self, id: u16) {
        *self.in_flight.get_mut(&id).expect("it was sent") = Step::Received;
    }
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    unanswered: Arc<Notify>,
}

/// A connection that has a session.
struct Served {
    client: String,
    connection: u64,
    window: usize,
    /// Messages that were sent, to be damaged after some.
    sent: usize,
    is_kept: bool,
    turn: OwnedMutexGuard<()>,
}

impl Connection {
    async fn serve(mut self) {
        if self.mood() == Mood::Gone {
            return;
        }
        let Some(Asked::Connect(connect)) = self.receive().await else {
            return;
        };
        if self.mood() == Mood::Silent {
            return self.keep_silent().await;
        }
        let Some(mut served) = self.admit(connect).await else {
            return;
        };
        loop {
            let changed = self.changed.clone();
            let changed = changed.notified();
            if !self.deliver(&mut served).await {
                return;
            }
            let packet = tokio::select! {
                packet = self.receive() => packet,
                () = changed => continue,
            };
            if self.mood() == Mood::Silent {
                return self.keep_silent().await;
            }
            let Some(packet) = packet else { break };
            // What was published meanwhile goes before the answer.
            if !self.deliver(&mut served).await {
                return;
            }
            if matches!(packet, Asked::Ping) && self.mood() == Mood::Slow {
                tokio::time::sleep(SLOW).await;
            }
            if !self.answer(&mut served, packet).await {
                break;
            }
        }
        if !served.is_kept {
            self.state.lock().unwrap().sessions.remove(&served.client);
        }
    }

    /// Until the other side has enough.
    async fn keep_silent(&mut self) {
        self.unanswered.notify_one();
        while self.receive().await.is_some() {}
    }

    fn mood(&self) -> Mood {
        self.state.lock().unwrap().mood
    }

    async fn admit(&mut self, connect: Connect) -> Option<Served> {
        if connect.password != PASSWORD || self.mood() == Mood::Refusing {
            self.send(&Answer::ConnAck(false, 0x86)).await;
            return None;
        }
        let (connection, was_there, turn) = {
            let mut state = self.state.lock().unwrap();
            state.connections += 1;
            let connection = state.connections;
            if connect.clean_start {
                state.sessions.remove(&connect.client);
            }
            let was_there = state.sessions.contains_key(&connect.client);
            let session = state.sessions.entry(connect.client.clone()).or_default();
            session.connection = connection;
            (connection, was_there, session.served.clone())
        };
        self.changed.notify_waiters();
        let turn = turn.lock_owned().await;
        let again = {
            let mut state = self.state.lock().unwrap();
            let session = state.sessions.get_mut(&connect.client)?;
            let again = session.order.iter().map(|id| match &session.in_flight[id] {
                Step::Published(message) => publish(message, *id, true),
                Step::Received => Answer::PubRel(*id),
            });
            again.collect::<Vec<_>>()
        };
        self.send(&Answer::ConnAck(was_there, 0)).await;
        for packet in &again {
            self.send(packet).await;
        }
        Some(Served {
            client: connect.client,
            connection,
            window: connect.receive_maximum.into(),
            sent: 0,
            is_kept: connect.session_expiry > 0,
            turn,
        })
    }

    /// Sends what waits, as far as the window allows; whether the connection still has the session.
    async fn deliver(&mut self, served: &mut Served) -> bool {
        loop {
            let next = {
                let state = &mut *self.state.lock().unwrap();
                let mood = state.mood;
                let Some(session) = state.sessions.get_mut(&served.client) else {
                    return false;
                };
                if session.connection != served.connection {
                    None
                } else if mood == Mood::Damaged && served.sent > 1 {
                    Some(Err(()))
                } else if state.cut == Some(0) {
                    state.cut = None;
                    return false;
                } else if session.in_flight.len() >= served.window {
                    return true;
                } else {
                    let Some(message) = session.waiting.pop_front() else {
                        return true;
                    };
                    state.cut = state.cut.map(|left| left.saturating_sub(1));
                    let id = (1..).find(|id| !session.in_flight.contains_key(id)).unwrap();
                    let packet = publish(&message, id, false);
                    if message.qos > 0 {
                        session.in_flight.insert(id, Step::Published(message));
                        session.order.push(id);
                    }
                    Some(Ok(packet))
                }
            };
            match next {
                Some(Ok(packet)) => {
                    served.sent += 1;
                    self.send(&packet).await;
                }
                Some(Err(())) => {
                    let _ = self.stream.write_all(b"\xf0\x05ana@example.org").await;
                    return false;
                }
                None => {
                    self.read_the_rest(served);
                    self.send(&Answer::Disconnect(0x8E)).await;
                    return false;
                }
            }
        }
    }

    /// Takes what was acknowledged before another connection took the session over.
    fn read_the_rest(&mut self, served: &Served) {
        while self.stream.try_read_buf(&mut self.input).is_ok_and(|read| read > 0) {}
        let mut state = self.state.lock().unwrap();
        let Some(session) = state.session(served) else { return };
        while let Some(packet) = packets::read(&mut self.input) {
            match packet {
                Asked::PubAck(id) | Asked::PubComp(id) => session.done(id),
                Asked::PubRec(id) => session.received(id),
                _ => {}
            }
        }
    }

    /// Answers a packet; whether the connection goes on.
    async fn answer(&mut self, served: &mut Served, packet: Asked) -> bool {
        let answer = {
            let mut state = self.state.lock().unwrap();
            let Some(session) = state.session(served) else {
                return false;
            };
            match packet {
                Asked::Subscribe(id, filters) => {
                    let granted = filters.iter().map(|(_, qos)| *qos).collect();
                    session.filters.extend(filters);
                    Some(Answer::SubAck(id, granted))
                }
                Asked::Unsubscribe(id, filters) => {
                    session.filters.retain(|filter, _| !filters.contains(filter));
                    Some(Answer::UnsubAck(id, filters.len()))
                }
                Asked::PubAck(id) | Asked::PubComp(id) => {
                    session.done(id);
                    None
                }
                Asked::PubRec(id) => {
                    session.received(id);
                    Some(Answer::PubRel(id))
                }
                // Whatever was published before it has been delivered, as far as the window allows.
                Asked::Ping => Some(Answer::Pong),
                Asked::Disconnect => return false,
                Asked::Connect(_) => panic!("it is connected"),
            }
        };
        if let Some(answer) = answer {
            self.send(&answer).await;
        }
        true
    }

    async fn send(&mut self, answer: &Answer) {
        // Who has gone will come again.
        let _ = self.stream.write_all(&answer.bytes()).await;
    }

    async fn receive(&mut self) -> Option<Asked> {
        loop {
            if let Some(asked) = packets::read(&mut self.input) {
                return Some(asked);
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or_default() == 0 {
                return None;
            }
        }
    }
}
