//! What the shop's tracker sends: one JSON object an event, at least once, with the browser's clock in milliseconds.

use std::fmt::Write;
use std::path::Path;

use cordada_lake::Result;

use super::baskets::Line;
use super::calendar::{Day, Moment};
use super::files::Output;
use super::life::Life;
use super::random::{Random, Topic};
use super::world::World;

/// A file of web events.
pub struct WebLog {
    output: Output,
    text: String,
    /// Events, each counted once.
    pub events: u64,
    /// Events that were delivered twice.
    pub repeated: u64,
}

impl WebLog {
    /// Creates the file.
    pub fn create(path: &Path) -> Result<Self> {
        Ok(Self {
            output: Output::create(path.to_owned())?,
            text: String::new(),
            events: 0,
            repeated: 0,
        })
    }

    /// Writes what is left; the rows that were written.
    pub fn finish(self) -> Result<u64> {
        self.output.finish()
    }
}

/// Where visits come from: source, medium, campaign, how many in a hundred.
const ORIGINS: [(&str, &str, &str, u32); 5] = [
    ("", "", "", 46),
    ("search", "organic", "", 24),
    ("search", "cpc", "marca", 10),
    ("newsletter", "email", "ofertas_semana", 13),
    ("social", "paid_social", "recetas", 7),
];

/// A visit of one device to the site.
pub struct Session<'a> {
    world: &'a World,
    /// The session's id, as the tracker made it up.
    pub id: String,
    /// The cookie.
    pub device: String,
    /// The moment of the last event.
    pub now: Moment,
    mobile: bool,
    /// Draws ids and pauses.
    random: Random,
    events: u64,
}

impl<'a> Session<'a> {
    /// The session that the person of `life` begins at `begun`.
    pub fn new(world: &'a World, life: &Life, begun: Moment) -> Self {
        let mut random = world.random(Topic::Device, [life.person, begun.day as u64, begun.second as u64]);
        let mobile = random.chance(640);
        // Cookies do not live for ever.
        let jar = (begun.day as u64 + life.person * 31) / 210;
        let mut cookie = world.random(Topic::Device, [life.person, u64::from(mobile), jar, 1]);
        Self {
            world,
            id: format!("s{:016x}", random.bits()),
            device: format!("{:016x}{:016x}", cookie.bits(), cookie.bits()),
            now: begun,
            mobile,
            random,
            events: 0,
        }
    }

    /// The first page.
    pub fn land(&mut self, log: &mut WebLog, random: &mut Random) -> Result<()> {
        let (source, medium, campaign, _) = ORIGINS[random.weighted(&ORIGINS.map(|origin| origin.3))];
        self.event(log, "page_view", |text| {
            text.push_str(",\"url\":\"/\"");
            if !source.is_empty() {
                let _ = write!(text, ",\"utm\":{{\"source\":\"{source}\",\"medium\":\"{medium}\"");
                if !campaign.is_empty() {
                    let _ = write!(text, ",\"campaign\":\"{campaign}\"");
                }
                text.push('}');
            }
        })
    }

    /// The person says who it is.
    pub fn login(&mut self, log: &mut WebLog, email: &str) -> Result<()> {
        let email = serde_json::Value::from(email);
        self.event(log, "login", |text| {
            let _ = write!(text, ",\"url\":\"/login\",\"user_email\":{email}");
        })
    }

    /// Products are looked at and put into the cart; the moment of the first.
    pub fn fill_cart(&mut self, log: &mut WebLog, lines: &[Line], random: &mut Random) -> Result<Moment> {
        let mut first = None;
        for line in lines {
            if random.chance(500) {
                self.product(log, "product_view", line.product)?;
            }
            self.product(log, "add_to_cart", line.product)?;
            first = first.or(Some(self.now));
        }
        Ok(first.unwrap_or(self.now))
    }

    /// A page of the shop is opened.
    pub fn view(&mut self, log: &mut WebLog, event: &str, url: &str) -> Result<()> {
        self.event(log, event, |text| {
            let _ = write!(text, ",\"url\":\"{url}\"");
        })
    }

    /// The cart is ordered.
    pub fn purchase(&mut self, log: &mut WebLog, order: u64) -> Result<()> {
        self.event(log, "purchase", |text| {
            let _ = write!(text, ",\"url\":\"/thanks\",\"order_number\":\"W{order}\"");
        })
    }

    fn product(&mut self, log: &mut WebLog, event: &str, product: usize) -> Result<()> {
        let sku = &self.world.catalogue.products()[product].sku;
        self.event(log, event, |text| {
            let _ = write!(text, ",\"url\":\"/p/{sku}\",\"sku\":\"{sku}\"");
        })
    }

    /// Writes one event; `details` adds what only this kind of event has. Writing to a String cannot fail.
    fn event(&mut self, log: &mut WebLog, event: &str, details: impl FnOnce(&mut String)) -> Result<()> {
        if self.events > 0 {
            self.now = self.now.after(self.random.between(4, 75));
        }
        self.events += 1;
        let (device_type, system) = if self.mobile {
            ("mobile", "Android")
        } else {
            ("desktop", "Windows")
        };
        let milliseconds = self.now.epoch_millis() + i64::from(self.random.below(1000));
        log.text.clear();
        let _ = write!(
            log.text,
            "{{\"event_id\":\"{:016x}\",\"ts\":{milliseconds},\"event\":\"{event}\",\"device_id\":\"{}\",\
             \"session_id\":\"{}\",\"device\":{{\"type\":\"{device_type}\",\"os\":\"{system}\"}}",
            self.random.bits(),
            self.device,
            self.id,
        );
        details(&mut log.text);
        log.text.push_str("}\n");
        log.output.row(&log.text)?;
        log.events += 1;
        if self.random.chance(6) {
            log.output.row(&log.text)?;
            log.repeated += 1;
        }
        Ok(())
    }
}

/// A session that only looks around; its id.
pub fn surf(world: &World, log: &mut WebLog, life: &Life, day: Day) -> Result<String> {
    let mut random = world.random(Topic::Browse, [life.person, day as u64, 1]);
    let begun = Moment {
        day,
        second: super::shop::evening(&mut random),
    };
    let mut session = Session::new(world, life, begun);
    session.land(log, &mut random)?;
    if random.chance(200) {
        session.view(log, "search", "/search")?;
    }
    for _ in 0..random.below(5) {
        let product = world.catalogue.popular(&mut random);
        session.product(log, "product_view", product)?;
    }
    Ok(session.id)
}
