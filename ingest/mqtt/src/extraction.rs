//! Messages as an extraction: what the broker has for the session, as chunks; a chunk is acknowledged when it has landed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cordada_core::threads::blocking;
use cordada_core::{Error, ErrorKind, Result, hex};
use cordada_ingest_formats::spool::Spool;
use cordada_ingest_source::extract::{Chunk, Extraction, Request, Rows};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

use crate::config::{MqttSource, MqttStream, Retry};
use crate::packet::Qos;
use crate::received::SessionState;
use crate::records::RecordBuilder;
use crate::session::{Client, Delivery, Drained, Session, subscriptions};

/// The longest load of a stream to which messages come faster than they land: what has landed is published at its end.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The extraction of one stream.
pub(crate) struct Messages<'a> {
    request: Request<'a>,
    source: &'a MqttSource,
    stream: &'a MqttStream,
    records: Arc<RecordBuilder>,
    /// What the broker knows us by.
    client: String,
    session: Option<Session>,
    /// As it has been committed, of the session that is connected.
    state: SessionState,
    is_subscribed: bool,
    /// Whether the session that the state is about is lost, and that has to be committed.
    is_reset: bool,
    landing: Option<LandingChunk>,
    began: Instant,
    /// Whether no more messages are taken in this load.
    is_last: bool,
    ended: bool,
}

/// A chunk that is landing: what is so once it has, and what the broker is told then.
struct LandingChunk {
    state: SessionState,
    acknowledge: Vec<(Qos, u16)>,
    complete: Vec<u16>,
}

impl<'a> Messages<'a> {
    /// An extraction that goes on with the session of the stream.
    ///
    /// # Errors
    /// What the lake says.
    pub(crate) async fn new(request: Request<'a>, source: &'a MqttSource, stream: &'a MqttStream) -> Result<Self> {
        let client = match &source.client_id {
            Some(client) => format!("{client}-{}", request.stream),
            None => {
                // Two lakes with a source of one name would take each other's messages.
                let lake = hex::encode(&Sha256::digest(request.landed.environment().await?.lake));
                format!("cordada-{}-{}-{}", &lake[..8], request.source, request.stream)
            }
        };
        Ok(Self {
            state: SessionState::read(request.state.as_ref())?,
            records: Arc::new(RecordBuilder::new(stream)?),
            request,
            source,
            stream,
            client,
            session: None,
            is_subscribed: false,
            is_reset: false,
            landing: None,
            began: Instant::now(),
            is_last: false,
            ended: false,
        })
    }

    /// The session of the stream, connected. What the state says holds for one that the broker still knows.
    async fn connect(&mut self) -> Result<Session> {
        if self.state.client != self.client {
            self.state.received = Default::default();
            self.state.filters.clear();
        }
        if let Some(session) = self.source.sessions.take(self.request.stream) {
            self.is_subscribed = true;
            return Ok(session);
        }
        let client = Client {
            id: self.client.clone(),
            is_kept: true,
            source: self.source,
        };
        let (session, is_known) = Session::connect(&client).await?;
        self.is_subscribed = false;
        if !is_known {
            if self.state.client == self.client {
                tracing::warn!(
                    source = self.request.source,
                    stream = self.request.stream,
                    "the broker does not know the session any more: what was published since it forgot it is not there"
                );
            }
            self.is_reset = !self.state.received.is_empty();
            self.state.received = Default::default();
            self.state.filters.clear();
        }
        Ok(session)
    }

    /// Subscribes; a trial has nothing to say about what the session of the real load no longer needs.
    async fn subscribe(&mut self, session: &mut Session) -> Result<()> {
        let former = match self.request.rehearsal {
            true => Default::default(),
            false => self.state.filters.clone(),
        };
        session.subscribe(self.stream, &former).await?;
        self.is_subscribed = true;
        Ok(())
    }

    /// Gathers what the broker has: until it has no more, or as much as may be on its way, or for as long as a message
    /// may wait for others.
    async fn gather(&mut self) -> Result<Option<Chunk>> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.connect().await?,
        };
        if std::mem::take(&mut self.is_reset) {
            // Before any message comes whose identifier could be taken for one of the session that is lost.
            return self.reset(session).map(Some);
        }
        if !self.is_subscribed {
            self.subscribe(&mut session).await?;
        }
        self.state.client.clone_from(&self.client);
        self.state.filters = subscriptions(self.stream)?;
        let are_kept = self.source.sessions.are_kept();
        let (flush, wait) = (self.source.flush.0, self.source.wait.0);
        let longest = if are_kept { flush } else { LONGEST };
        let (finishing, gathering) = (self.is_last, Instant::now());
        let waits = !finishing && !are_kept && !wait.is_zero();
        let mut one_by_one = false;
        // What is to be told makes room at the broker: it may have more.
        while session.drain().await? == Drained::All && waits && !session.has_released() {
            if gathering.elapsed() >= flush {
                // Who waited for a pause would wait for ever. A broker that only takes its time has more.
                self.is_last |= one_by_one;
                break;
            }
            if !session.wait(wait).await? {
                break;
            }
            one_by_one = true;
        }
        self.is_last |= self.began.elapsed() >= longest;
        let chunk = self.chunk(&mut session, finishing).await?;
        match chunk {
            Some(_) => self.session = Some(session),
            None => {
                self.ended = true;
                // Nothing of it has been taken, so it may go on where it is.
                if let Some(session) = self.source.sessions.put(self.request.stream, session) {
                    session.close().await;
                }
            }
        }
        Ok(chunk)
    }

    /// A chunk without rows, by which it is forgotten what had been received.
    fn reset(&mut self, session: Session) -> Result<Chunk> {
        let landing = LandingChunk {
            state: self.state.clone(),
            acknowledge: Vec::new(),
            complete: Vec::new(),
        };
        let chunk = Chunk::new(Rows::Records(Vec::new()), Some(landing.state.write()?), 0);
        (self.session, self.landing) = (Some(session), Some(landing));
        Ok(chunk)
    }

    /// A chunk of what a session has; none if it has nothing. While `finishing`, messages stay where they are.
    async fn chunk(&mut self, session: &mut Session, finishing: bool) -> Result<Option<Chunk>> {
        let is_trial = self.request.rehearsal;
        let mut landing = LandingChunk {
            state: self.state.clone(),
            acknowledge: Vec::new(),
            complete: Vec::new(),
        };
        let mut is_told = false;
        for id in session.take_released() {
            if is_trial {
                continue;
            }
            match self.state.received.contains(id) {
                true => {
                    landing.state.received.remove(id);
                    landing.complete.push(id);
                }
                // It was forgotten, and a crash came before the broker was told.
                false => {
                    session.complete(id)?;
                    is_told = true;
                }
            }
        }
        let mut messages = Vec::new();
        let deliveries = match finishing {
            true => Vec::new(),
            false => session.take_messages(),
        };
        let is_received = |state: &SessionState, delivery: &Delivery| {
            delivery.qos == Qos::ExactlyOnce && state.received.contains(delivery.id)
        };
        let is_anew = |delivery: &Delivery| is_received(&self.state, delivery) && !delivery.is_again;
        if deliveries.iter().any(is_anew) {
            // An identifier is in use anew: what had been received was so in a session that is lost.
            self.state.received = Default::default();
            landing.state.received = Default::default();
        }
        for delivery in deliveries {
            if is_received(&self.state, &delivery) {
                // It has landed, and a crash came before the broker was told.
                if !is_trial {
                    session.acknowledge(delivery.qos, delivery.id)?;
                    is_told = true;
                }
                continue;
            }
            if delivery.qos == Qos::ExactlyOnce && !is_trial {
                landing.state.received.insert(delivery.id);
            }
            landing.acknowledge.push((delivery.qos, delivery.id));
            messages.push(delivery.message);
        }
        if is_told {
            // So that it has been read before we go.
            session.drain().await?;
        }
        if messages.is_empty() && landing.complete.is_empty() {
            return Ok(None);
        }
        let bytes: u64 = messages.iter().map(|message| message.payload.len() as u64).sum();
        self.request.task.advance(bytes);
        let mut spools = Vec::new();
        if !messages.is_empty() {
            landing.state.chunks += 1;
            let name = format!(
                "{}.{}/{}",
                self.request.source, self.request.stream, landing.state.chunks
            );
            let (records, reading) = (self.records.clone(), self.request.records.clone());
            let transforms = self.request.transforms.clone();
            let spool = blocking("reading messages", move || {
                let (mut spool, mut number) = (Spool::new(&name, &reading)?, 0);
                for message in &messages {
                    records.push(message, &transforms, &mut spool, &mut number)?;
                }
                Ok(spool)
            });
            let spool = spool.await?;
            if !spool.is_empty() {
                spools.push(spool);
            }
        }
        let chunk = Chunk::new(Rows::Records(spools), Some(landing.state.write()?), bytes);
        self.landing = Some(landing);
        Ok(Some(chunk))
    }

    /// Gathers, and begins again from a new connection when one is lost: what was not acknowledged comes again.
    async fn gather_persistently(&mut self) -> Result<Option<Chunk>> {
        let mut attempts = 1;
        loop {
            let error = match self.gather().await {
                Ok(chunk) => return Ok(chunk),
                Err(error) => error,
            };
            let Retry { attempts: most, .. } = self.source.retry;
            if error.kind() != ErrorKind::Unavailable || attempts >= most {
                return Err(error);
            }
            let wait = self.source.retry.wait(attempts);
            tracing::warn!(
                source = self.request.source,
                stream = self.request.stream,
                %error,
                seconds = wait.as_secs_f64(),
                "trying again"
            );
            tokio::time::sleep(wait).await;
            attempts += 1;
        }
    }
}

impl Retry {
    /// The wait after so many attempts, from 1: between half and all of what doubles each time, so that those who lost
    /// the broker together do not come back together.
    fn wait(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        let longest = self.first.0.saturating_mul(1 << doublings).min(self.max.0);
        let mut bytes = [0; 4];
        let random = match SystemRandom::new().fill(&mut bytes) {
            Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
            Err(_) => 1.0,
        };
        longest.mul_f64(0.5 + random / 2.0)
    }
}

#[async_trait]
impl Extraction for Messages<'_> {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        // A trial acknowledges nothing, so that there is nothing after what the broker sends by itself.
        if self.ended || (self.request.rehearsal && self.is_last) {
            return Ok(None);
        }
        let cancel = self.request.cancel.clone();
        let gathered = cancel.run_until_cancelled(self.gather_persistently()).await;
        let cancelled = || {
            let (source, stream) = (self.request.source, self.request.stream);
            Error::cancelled(format!("reading {source}.{stream}"))
        };
        match gathered {
            Some(gathered) => {
                self.is_last |= self.request.rehearsal;
                gathered
            }
            None => Err(cancelled()),
        }
    }

    async fn landed(&mut self) -> Result<()> {
        let Some(landing) = self.landing.take() else {
            return Ok(());
        };
        self.state = landing.state;
        let Some(mut session) = self.session.take().filter(|_| !self.request.rehearsal) else {
            return Ok(());
        };
        for (qos, id) in landing.acknowledge {
            session.acknowledge(qos, id)?;
        }
        for id in landing.complete {
            session.complete(id)?;
        }
        match session.flush().await {
            Ok(()) => self.session = Some(session),
            // What it has not been told it delivers once more.
            Err(error) => tracing::warn!(%error, "the broker does not know yet that messages have landed"),
        }
        Ok(())
    }
}
