//! What every source promises, kept by the messages of a broker.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "some of it only the tests of sessions use")]
mod broker;

use std::ops::Range;
use std::path::Path;

use async_trait::async_trait;
use cordada_ingest_source::{Kind, Source};
use cordada_ingest_source_contract::remote::Remote;
use cordada_ingest_source_contract::{Fault, PERSONAL, System, source_contract};
use serde_json::json;

use crate::broker::{Broker, Mood, PASSWORD};

source_contract!(Plant: spooled, remote);

/// Devices that publish readings.
struct Plant(Broker);

#[async_trait]
impl System for Plant {
    const KIND: Kind = cordada_ingest_mqtt::KIND;
    const SECRET: Option<&'static str> = Some(PASSWORD);

    async fn new(_project: &Path) -> Self {
        let broker = Broker::start().await;
        for (stream, qos) in [("appended", 2), ("merged", 1), ("withheld", 2)] {
            broker.subscribed(&format!("shop-{stream}"), "plants/+/readings", qos);
        }
        Self(broker)
    }

    fn configuration(&self) -> String {
        format!(
            "kind: mqtt\nbroker: mqtt://cordada:{PASSWORD}@{}\nclient_id: shop\nwait: 0s\nretry: {{attempts: 1}}\n\
             streams:\n  appended: {{topics: 'plants/{{plant}}/readings', qos: 2}}\n  \
             merged: {{topics: 'plants/{{plant}}/readings', key: [id], disposition: merge}}\n  \
             withheld: {{topics: 'plants/{{plant}}/readings', qos: 2, columns: {{email: {{transform: drop}}}}}}\n",
            self.0.address
        )
    }

    async fn add(&self, _: &dyn Source, records: Range<u64>) {
        for id in records {
            let payload = json!({"id": id, "email": PERSONAL}).to_string();
            self.0.publish(&format!("plants/{}/readings", id % 3), payload);
        }
    }

    async fn fail(&self, fault: Fault) -> Option<String> {
        self.0.set(match fault {
            Fault::Gone => Mood::Gone,
            Fault::Refusing => Mood::Refusing,
            Fault::Damaged => Mood::Damaged,
        });
        Some(self.0.address.to_string())
    }

    async fn mend(&self) {
        self.0.set(Mood::Well);
    }
}

#[async_trait]
impl Remote for Plant {
    async fn fall_silent(&self) {
        self.0.set(Mood::Silent);
    }

    async fn asked(&self) {
        self.0.unanswered().await;
    }
}
