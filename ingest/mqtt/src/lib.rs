//! The kind `mqtt`: what devices publish on topics of an MQTT 5 broker.
//!
//! Follow a message: the broker keeps it for a [`session`] until that takes it off the [`wire`]; the [`extraction`]
//! makes [`records`] of its payload and of the levels of its [`topics`]; it is acknowledged once these have landed, and
//! not before. What of that has to outlive a crash is in the state of the stream: [`received`]. `cordada up` stays
//! connected: [`subscriber`].

mod config;
mod extraction;
mod packet;
mod received;
mod records;
mod session;
mod source;
mod subscriber;
mod topics;
mod wire;

use cordada_core::yaml;
use cordada_ingest_source::Kind;

use crate::config::MqttSource;

/// The kind `mqtt`.
pub const KIND: Kind = Kind {
    name: "mqtt",
    load: |file| {
        let source: MqttSource = yaml::read(file)?;
        source.validate(file)?;
        Ok(Box::new(source))
    },
};
