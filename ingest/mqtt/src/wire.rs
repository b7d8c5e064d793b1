//! Packets over TCP or TLS.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use cordada_core::{Context, Error, Result, tls};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::{Broker, Tls};
use crate::packet::{self, Incoming, Outgoing, Reason};

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
                    let config = trust.client()?;
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
    pub(crate) fn put(&mut self, packet: Outgoing<'_>) -> Result<()> {
        let written = packet.write(&mut self.output);
        written.map_err(|why| Error::failed(self.writing(), why))
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
    pub(crate) async fn receive(&mut self) -> Result<Incoming> {
        match self.receive_within(self.timeout).await? {
            Some(packet) => Ok(packet),
            None => Err(Error::unavailable(self.reading(), "the broker does not answer in time")),
        }
    }

    /// The next packet; `None` if none comes for so long. Nothing is lost by being cancelled.
    ///
    /// # Errors
    /// As [`Wire::receive`].
    pub(crate) async fn receive_within(&mut self, limit: Duration) -> Result<Option<Incoming>> {
        loop {
            match packet::read(&mut self.input) {
                Ok(Some(Incoming::Disconnect(reason))) => return Err(self.ended(reason)),
                Ok(Some(packet)) => return Ok(Some(packet)),
                Ok(None) => {}
                Err(why) => {
                    return Err(Error::failed(
                        self.reading(),
                        format!("what comes is not MQTT 5: {why}"),
                    ));
                }
            }
            match timeout(limit, self.transport.read_buf(&mut self.input)).await {
                Err(_) => return Ok(None),
                Ok(Ok(0)) => return Err(self.lost("the broker closed the connection")),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(self.lost(error)),
            }
        }
    }

    fn ended(&self, reason: Reason) -> Error {
        match reason {
            Reason::TAKEN_OVER => Error::conflict(self.reading(), "another client has taken the session over")
                .hint("let one load of a stream run at a time, or give each of the two a `client_id` of its own"),
            Reason::NOT_AUTHORIZED => Error::config(self.reading(), "the broker withdrew our rights"),
            reason => self.lost(format!("the broker ended the connection: {reason}")),
        }
    }

    fn lost(&self, why: impl fmt::Display) -> Error {
        Error::unavailable(self.reading(), why)
    }

    fn reading(&self) -> String {
        format!("reading from the MQTT broker at {}", self.place)
    }

    fn writing(&self) -> String {
        format!("writing to the MQTT broker at {}", self.place)
    }
}

impl Tls {
    /// What a connection over TLS is made with.
    ///
    /// # Errors
    /// Config: a certificate or a key that cannot be read, or that do not go together.
    fn client(&self) -> Result<ClientConfig> {
        let mut config = tls::verifying_client(self.ca.as_deref())?;
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else {
            return Ok(config);
        };
        let doing = || format!("reading the certificate of {} and its key", certificate.display());
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&std::fs::read(certificate).doing(doing)?).collect();
        let key = PrivateKeyDer::from_pem_slice(&std::fs::read(key).doing(doing)?);
        let wrong = |error: &dyn fmt::Display| Error::config(doing(), error).hint("name files in PEM");
        let (chain, key) = (
            chain.map_err(|error| wrong(&error))?,
            key.map_err(|error| wrong(&error))?,
        );
        let certified = CertifiedKey::from_der(chain, key, &tls::provider()).map_err(|error| wrong(&error))?;
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        Ok(config)
    }
}
