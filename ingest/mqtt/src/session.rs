//! A session with a broker: connected, subscribed, and asked for what it has.
//!
//! Nothing is acknowledged here by itself. While nobody reads, the broker keeps what it has: at most as many messages
//! as may be in flight are on their way, and the network holds back the rest.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::Utc;
use cordada_core::threads::locked;
use cordada_core::{Error, Result};

use crate::config::{MqttSource, MqttStream};
use crate::packet::{Connect, Incoming, Outgoing, Publish, Qos, Reason};
use crate::records::Message;
use crate::wire::Wire;

/// Seconds without a packet after which a broker may take us for gone. It costs nothing to be taken so: the session
/// outlives the connection.
const KEEP_ALIVE: u16 = 1200;

/// Bytes of payloads that wait to be taken.
const ROOM: usize = 16 << 20;

/// The identifier of the packets that we number: one of each kind is on its way at a time.
const OURS: u16 = 1;

/// What there was when the broker had answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drained {
    /// As much as may wait: there may be more.
    Full,
    /// All that it had to send.
    All,
}

/// A message, and by which number it is acknowledged.
pub(crate) struct Delivery {
    pub(crate) message: Message,
    pub(crate) qos: Qos,
    pub(crate) id: u16,
    /// Whether it was sent before.
    pub(crate) is_again: bool,
}

/// A session that is connected.
pub(crate) struct Session {
    wire: Wire,
    in_flight: usize,
    waiting: VecDeque<Delivery>,
    /// Bytes of their payloads.
    bytes: usize,
    /// Messages of QoS 2 that the broker has let go of.
    released: Vec<u16>,
    /// Pings that have not been answered.
    asked: usize,
}

/// Who a session is for.
pub(crate) struct Client<'a> {
    /// Its identifier at the broker.
    pub(crate) id: String,
    /// Whether the broker keeps messages for it while it is away.
    pub(crate) is_kept: bool,
    pub(crate) source: &'a MqttSource,
}

impl Session {
    /// Connects; whether the broker knew the session.
    ///
    /// # Errors
    /// Unavailable: nobody answers in time. Config: the broker refuses the credentials.
    pub(crate) async fn connect(client: &Client<'_>) -> Result<(Self, bool)> {
        let source = client.source;
        let mut wire = Wire::open(&source.broker, &source.tls, source.timeout.0).await?;
        let seconds = u32::try_from(source.session_expiry.0.as_secs()).unwrap_or(u32::MAX);
        let broker = &source.broker;
        wire.put(Outgoing::Connect(Connect {
            client: &client.id,
            clean_start: !client.is_kept,
            keep_alive: KEEP_ALIVE,
            session_expiry: if client.is_kept { seconds } else { 0 },
            receive_maximum: source.limits.in_flight,
            user: &broker.user,
            password: &broker.password,
        }))?;
        wire.flush().await?;
        let is_known = match wire.receive().await? {
            Incoming::ConnAck {
                session_present,
                reason: Reason::SUCCESS,
            } => session_present,
            Incoming::ConnAck { reason, .. } => return Err(refusal(wire.place(), reason)),
            _ => return Err(out_of_turn(&wire)),
        };
        let session = Self {
            wire,
            in_flight: usize::from(source.limits.in_flight),
            waiting: VecDeque::new(),
            bytes: 0,
            released: Vec::new(),
            asked: 0,
        };
        Ok((session, is_known))
    }

    /// Subscribes to the filters of a stream, and unsubscribes from `former` ones that it no longer has.
    ///
    /// # Errors
    /// Config: the broker does not let us. Unavailable: the connection is lost.
    pub(crate) async fn subscribe(&mut self, stream: &MqttStream, former: &BTreeSet<String>) -> Result<()> {
        let filters = subscriptions(stream)?;
        let gone: Vec<_> = former.difference(&filters).cloned().collect();
        if !gone.is_empty() {
            self.wire.put(Outgoing::Unsubscribe {
                id: OURS,
                filters: &gone,
            })?;
            self.wire.flush().await?;
            loop {
                match self.wire.receive().await? {
                    Incoming::UnsubAck => break,
                    packet => self.take(packet)?,
                }
            }
        }
        let filters: Vec<_> = filters.into_iter().collect();
        self.wire.put(Outgoing::Subscribe {
            id: OURS,
            filters: &filters,
            qos: stream.qos,
            retained: stream.retained,
        })?;
        self.wire.flush().await?;
        let granted = loop {
            match self.wire.receive().await? {
                Incoming::SubAck(granted) => break granted,
                packet => self.take(packet)?,
            }
        };
        for (filter, granted) in filters.iter().zip(&granted) {
            if granted.is_failure() {
                let doing = format!("subscribing at the MQTT broker at {}", self.wire.place());
                return Err(Error::config(doing, format!("it refuses `{filter}`: {granted}"))
                    .hint("check `topics`, and what the user may read"));
            }
            if granted.0 < stream.qos as u8 {
                let broker = self.wire.place();
                tracing::warn!(
                    broker,
                    filter,
                    qos = granted.0,
                    "the broker delivers with less than is asked for"
                );
            }
        }
        Ok(())
    }

    /// Has the broker answer, and takes what it sends until then. A broker whose window is full sends no more until
    /// something is acknowledged.
    ///
    /// # Errors
    /// As [`Wire::receive`].
    pub(crate) async fn drain(&mut self) -> Result<Drained> {
        self.wire.put(Outgoing::PingReq)?;
        self.wire.flush().await?;
        self.asked += 1;
        while self.asked > 0 {
            if self.is_full() {
                return Ok(Drained::Full);
            }
            let packet = self.wire.receive().await?;
            self.take(packet)?;
        }
        Ok(if self.is_full() { Drained::Full } else { Drained::All })
    }

    /// Whether anything comes within so long.
    ///
    /// # Errors
    /// As [`Wire::receive`].
    pub(crate) async fn wait(&mut self, limit: Duration) -> Result<bool> {
        match self.wire.receive_within(limit).await? {
            Some(packet) => self.take(packet).map(|()| true),
            None => Ok(false),
        }
    }

    /// Whether there is something to land, or to tell the broker.
    pub(crate) fn has_pending(&self) -> bool {
        !self.waiting.is_empty() || self.has_released()
    }

    /// Whether the broker has let go of messages of QoS 2, and is to be told that they are forgotten.
    pub(crate) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// The messages that wait.
    pub(crate) fn take_messages(&mut self) -> Vec<Delivery> {
        self.bytes = 0;
        self.waiting.drain(..).collect()
    }

    /// The messages of QoS 2 that the broker has let go of since they were asked for last.
    pub(crate) fn take_released(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.released)
    }

    /// Tells the broker that a message has landed, with what is flushed next.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn acknowledge(&mut self, qos: Qos, id: u16) -> Result<()> {
        match qos {
            Qos::AtMostOnce => Ok(()),
            Qos::AtLeastOnce => self.wire.put(Outgoing::PubAck(id)),
            Qos::ExactlyOnce => self.wire.put(Outgoing::PubRec(id)),
        }
    }

    /// Tells the broker that an identifier is forgotten, with what is flushed next.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn complete(&mut self, id: u16) -> Result<()> {
        self.wire.put(Outgoing::PubComp(id))
    }

    /// Sends what is to be told.
    ///
    /// # Errors
    /// Unavailable: the connection is lost.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        self.wire.flush().await
    }

    /// Says goodbye. The broker has read all that was sent before if it was drained since.
    pub(crate) async fn close(mut self) {
        if self.wire.put(Outgoing::Disconnect).is_ok()
            && let Err(error) = self.wire.flush().await
        {
            tracing::debug!(%error, "a broker was left without a word");
        }
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= self.in_flight || self.bytes >= ROOM
    }

    fn take(&mut self, packet: Incoming) -> Result<()> {
        match packet {
            Incoming::Publish(publish) => {
                self.bytes += publish.payload.len();
                self.waiting.push_back(Delivery::from(publish));
            }
            Incoming::PubRel(id) => self.released.push(id),
            Incoming::PingResp => self.asked = self.asked.saturating_sub(1),
            _ => return Err(out_of_turn(&self.wire)),
        }
        Ok(())
    }
}

impl From<Publish> for Delivery {
    fn from(publish: Publish) -> Self {
        Self {
            message: Message {
                topic: publish.topic,
                payload: publish.payload,
                retained: publish.retain,
                at: Utc::now(),
            },
            qos: publish.qos,
            id: publish.id,
            is_again: publish.dup,
        }
    }
}

/// The filters of a stream, as the broker knows them.
///
/// # Errors
/// Config, which validation has found before.
pub(crate) fn subscriptions(stream: &MqttStream) -> Result<BTreeSet<String>> {
    Ok(stream.filters()?.iter().map(|filter| filter.subscription()).collect())
}

fn out_of_turn(wire: &Wire) -> Error {
    Error::failed(
        format!("reading from the MQTT broker at {}", wire.place()),
        "it sends what has no place there in MQTT 5",
    )
}

fn refusal(place: &str, reason: Reason) -> Error {
    let doing = format!("connecting to the MQTT broker at {place}");
    match reason {
        Reason::BAD_USER_OR_PASSWORD | Reason::NOT_AUTHORIZED | Reason::BANNED | Reason::BAD_METHOD => {
            Error::config(doing, format!("it refuses us: {reason}"))
                .hint("check the user and the password in `broker`, and which `client_id` it admits")
        }
        Reason::CLIENT_ID_NOT_VALID => {
            Error::config(doing, "it does not admit the client's identifier").hint("set `client_id`")
        }
        Reason::UNSUPPORTED_VERSION | Reason::FORMER_UNSUPPORTED_VERSION => {
            Error::config(doing, "it does not speak MQTT 5").hint("use a broker that does")
        }
        reason => Error::unavailable(doing, format!("it refuses us: {reason}")),
    }
}

/// Sessions that stay connected between loads, by stream, while somebody keeps them; otherwise each load connects anew.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<Option<HashMap<String, Session>>>>);

impl Sessions {
    /// From now on they are kept, or no longer.
    pub(crate) fn keep(&self, are_kept: bool) {
        *locked(&self.0) = are_kept.then(HashMap::new);
    }

    /// Whether they are.
    pub(crate) fn are_kept(&self) -> bool {
        locked(&self.0).is_some()
    }

    /// That of a stream, if it is connected.
    pub(crate) fn take(&self, stream: &str) -> Option<Session> {
        locked(&self.0).as_mut()?.remove(stream)
    }

    /// Keeps that of a stream; gives it back if nobody keeps any.
    pub(crate) fn put(&self, stream: &str, session: Session) -> Option<Session> {
        match locked(&self.0).as_mut() {
            Some(kept) => {
                kept.insert(stream.to_owned(), session);
                None
            }
            None => Some(session),
        }
    }
}
