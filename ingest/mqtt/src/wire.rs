//! Packets of MQTT 5 over TCP or TLS. The library reads and writes packets; what is sent when is ours, because a
//! message may be acknowledged only after it has landed, whatever happens to the connection meanwhile.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use cordada_core::{Context, Error, Result, tls};
use rumqttc::v5::mqttbytes::Error as Malformed;
use rumqttc::v5::mqttbytes::v5::{Disconnect, DisconnectReasonCode, Packet};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::{Broker, Tls};

/// What bytes go over.
trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A connection to a broker.
pub(crate) struct Wire {
    transport: Box<dyn Transport>,
    input: BytesMut,
    output: BytesMut,
    /// Host and port, for messages.
    place: String,
    /// How long the broker may take to answer.
    timeout: Duration,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// Unavailable: nobody answers in time. Config: a certificate that cannot be read.
    pub(crate) async fn open(broker: &Broker, trust: &Tls, limit: Duration) -> Result<Self> {
        let place = broker.place();
        let doing = || format!("connecting to the MQTT broker at {place}");
        let connecting = async {
            let stream = TcpStream::connect((broker.host.as_str(), broker.port)).await;
            let stream = stream.map_err(|error| Error::unavailable(doing(), error))?;
            stream.set_nodelay(true).doing(doing)?;
            let transport: Box<dyn Transport> = match broker.tls {
                false => Box::new(stream),
                true => {
                    let identity = trust.certificate.as_deref().zip(trust.key.as_deref());
                    let config = tls::client_of(trust.ca.as_deref(), identity)?;
                    let name = ServerName::try_from(broker.host.clone());
                    let name = name.map_err(|error| Error::config(doing(), error))?;
                    let connector = TlsConnector::from(Arc::new(config));
                    let encrypted = connector.connect(name, stream).await;
                    Box::new(encrypted.map_err(|error| Error::unavailable(doing(), error))?)
                }
            };
            Ok(transport)
        };
        let transport = match timeout(limit, connecting).await {
            Ok(connected) => connected?,
            Err(_) => return Err(Error::unavailable(doing(), "it does not answer in time")),
        };
        Ok(Self {
            transport,
            input: BytesMut::with_capacity(64 << 10),
            output: BytesMut::new(),
            place,
            timeout: limit,
        })
    }

    /// Host and port, for messages.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Puts a packet with those that the next [`Wire::flush`] sends.
    ///
    /// # Errors
    /// Failed: it is larger than packets can be.
    pub(crate) fn put(&mut self, packet: &Packet) -> Result<()> {
        let written = packet.write(&mut self.output, None);
        written
            .map(drop)
            .map_err(|error| Error::failed(self.writing(), error))
    }

    /// Sends what has been put.
    ///
    /// # Errors
    /// Unavailable: the connection is lost.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        let sending = async {
            self.transport.write_all(&self.output).await?;
            self.transport.flush().await
        };
        let sent = match timeout(self.timeout, sending).await {
            Ok(sent) => sent,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        sent.map_err(|error| Error::unavailable(self.writing(), error))?;
        self.output.clear();
        Ok(())
    }

    /// The next packet, which has to come in time.
    ///
    /// # Errors
    /// Unavailable: the connection is lost. Conflict: another client has taken the session over. Failed: what comes is
    /// not MQTT.
    pub(crate) async fn receive(&mut self) -> Result<Packet> {
        match self.receive_within(self.timeout).await? {
            Some(packet) => Ok(packet),
            None => Err(Error::unavailable(self.reading(), "the broker does not answer in time")),
        }
    }

    /// The next packet; `None` if none comes for so long. Nothing is lost by being cancelled.
    ///
    /// # Errors
    /// As [`Wire::receive`].
    pub(crate) async fn receive_within(&mut self, limit: Duration) -> Result<Option<Packet>> {
        loop {
            match Packet::read(&mut self.input, None) {
                Ok(Packet::Disconnect(disconnect)) => return Err(self.ended(&disconnect)),
                Ok(packet) => return Ok(Some(packet)),
                Err(Malformed::InsufficientBytes(more)) => self.input.reserve(more),
                // A packet without a body; of those that have one, DISCONNECT may come so.
                Err(Malformed::PayloadRequired) => return Err(self.lost("the broker ended the connection")),
                Err(error) => return Err(Error::failed(self.reading(), format!("what comes is not MQTT 5: {error}"))),
            }
            match timeout(limit, self.transport.read_buf(&mut self.input)).await {
                Err(_) => return Ok(None),
                Ok(Ok(0)) => return Err(self.lost("the broker closed the connection")),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(self.lost(error)),
            }
        }
    }

    fn ended(&self, disconnect: &Disconnect) -> Error {
        match disconnect.reason_code {
            DisconnectReasonCode::SessionTakenOver => {
                Error::conflict(self.reading(), "another client has taken the session over").hint(
                    "let one load of a stream run at a time, or give each of the two a `client_id` of its own",
                )
            }
            DisconnectReasonCode::NotAuthorized => Error::config(self.reading(), "the broker withdrew our rights"),
            reason => self.lost(format!("the broker ended the connection: {reason:?}")),
        }
    }

    fn lost(&self, why: impl std::fmt::Display) -> Error {
        Error::unavailable(self.reading(), why)
    }

    fn reading(&self) -> String {
        format!("reading from the MQTT broker at {}", self.place)
    }

    fn writing(&self) -> String {
        format!("writing to the MQTT broker at {}", self.place)
    }
}
