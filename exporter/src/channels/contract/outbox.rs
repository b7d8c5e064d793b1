//! A platform for e-mail within this process: no files, drafts that become mailings, rows that it does not take.

use std::sync::{Arc, Mutex};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Schema;
use async_trait::async_trait;
use cordada_core::threads::locked;
use cordada_core::{Error, Result};

use super::{Subject, channel_contract};
use crate::channels::{Channel, Delivery, Description, Failure, Problem, Receipt};

pub(crate) const NO_ADDRESS: &str = "the address is missing";
pub(crate) const WRONG_ADDRESS: &str = "the address is not valid";
const KEY: &str = "t0p-s3cret";

/// The channel; its clones reach the same platform.
#[derive(Clone, Default)]
pub(crate) struct Outbox {
    platform: Arc<Mutex<Platform>>,
    down: bool,
}

#[derive(Default)]
struct Platform {
    sent: Vec<String>,
    drafts: usize,
}

impl Outbox {
    pub(crate) fn sent(&self) -> Vec<String> {
        locked(&self.platform).sent.clone()
    }

    pub(crate) fn drafts(&self) -> usize {
        locked(&self.platform).drafts
    }

    /// Where requests go, with the key that the platform wants there.
    fn address() -> String {
        format!("https://{KEY}@mail.example.com/customers")
    }

    fn post(&self) -> Result<()> {
        if self.down {
            let doing = format!("writing to {}", without_key(&Self::address()));
            return Err(Error::unavailable(doing, "the platform is down"));
        }
        Ok(())
    }
}

#[async_trait]
impl Channel for Outbox {
    fn describe(&self) -> Description {
        Description {
            kind: "outbox",
            destination: without_key(&Self::address()).to_owned(),
        }
    }

    fn check(&self, fields: &Schema) -> Result<(), Problem> {
        match fields.column_with_name("EMAIL") {
            Some(_) => Ok(()),
            None => Err(Problem::new("fields.EMAIL", "the channel needs this field")),
        }
    }

    async fn begin(&self, _fields: &Schema) -> Result<Box<dyn Delivery>> {
        locked(&self.platform).drafts += 1;
        Ok(Box::new(Draft {
            outbox: self.clone(),
            addresses: Vec::new(),
        }))
    }
}

fn without_key(address: &str) -> &str {
    address.split_once('@').map_or(address, |(_, rest)| rest)
}

struct Draft {
    outbox: Outbox,
    addresses: Vec<String>,
}

impl Drop for Draft {
    fn drop(&mut self) {
        locked(&self.outbox.platform).drafts -= 1;
    }
}

#[async_trait]
impl Delivery for Draft {
    async fn write(&mut self, rows: &RecordBatch) -> Result<Vec<Failure>> {
        self.outbox.post()?;
        let mut failures = Vec::new();
        for (row, address) in rows["EMAIL"].as_string::<i32>().iter().enumerate() {
            match address {
                None => failures.push(Failure {
                    row,
                    reason: NO_ADDRESS,
                }),
                Some(address) if address.contains('@') => self.addresses.push(address.to_owned()),
                Some(_) => failures.push(Failure {
                    row,
                    reason: WRONG_ADDRESS,
                }),
            }
        }
        Ok(failures)
    }

    async fn seal(&mut self) -> Result<()> {
        self.outbox.post()
    }

    async fn publish(mut self: Box<Self>) -> Result<Receipt> {
        self.outbox.post()?;
        let addresses = std::mem::take(&mut self.addresses);
        locked(&self.outbox.platform).sent.extend(addresses);
        Ok(Receipt::default().with("mailing", "m-1"))
    }
}

impl Subject for Outbox {
    const REFUSED: &'static [usize] = &[1];
    const SECRET: Option<&'static str> = Some(KEY);

    fn new() -> Self {
        Self::default()
    }

    fn channel(&self) -> Box<dyn Channel> {
        Box::new(self.clone())
    }

    fn unwritable(&self) -> Box<dyn Channel> {
        Box::new(Self {
            down: true,
            ..self.clone()
        })
    }

    fn in_sight(&self) -> Vec<String> {
        self.sent()
    }

    fn traces(&self) -> Vec<String> {
        let drafts = vec!["draft".to_owned(); self.drafts()];
        [self.sent(), drafts].concat()
    }
}

channel_contract!(Outbox);
