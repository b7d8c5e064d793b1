//! What the browsers on the shop's pages send: hits of the Snowplow tracker protocol, as the shop's relay for them
//! queues them, in requests of a hundred. A hit is sent at least once, and its time is that of the browser's clock.
//!
//! The protocol: <https://docs.snowplow.io/docs/events/going-deeper/http-requests/>.

use std::fmt::Write;
use std::path::PathBuf;

use cordada_core::Result;
use uuid::{Builder, Uuid};

use super::baskets::Line;
use super::calendar::{Day, Moment};
use super::files::{Output, point};
use super::life::Life;
use super::random::{Random, Topic};
use super::world::World;

/// Where the shop is.
const SITE: &str = "https://www.colmado.example";
/// How many hits one request carries.
const BATCH: usize = 100;

/// Requests for the collector, one a line.
pub struct WebLog {
    output: Output,
    text: String,
    hit: String,
    batched: usize,
    /// Events, each counted once.
    pub events: u64,
    /// Events that are sent twice.
    pub repeated: u64,
}

impl WebLog {
    /// Creates the file.
    pub fn create(path: PathBuf) -> Result<Self> {
        Ok(Self {
            output: Output::create(path)?,
            text: String::new(),
            hit: String::new(),
            batched: 0,
            events: 0,
            repeated: 0,
        })
    }

    /// Writes what is left; the hits that were written.
    pub fn finish(mut self) -> Result<u64> {
        self.flush()?;
        self.output.finish()?;
        Ok(self.events + self.repeated)
    }

    /// Adds the hit in `self.hit` to the request.
    fn push(&mut self) -> Result<()> {
        self.text.push_str(match self.batched {
            0 => r#"{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":["#,
            _ => ",",
        });
        self.text.push_str(&self.hit);
        self.batched += 1;
        if self.batched == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.batched > 0 {
            self.text.push_str("]}\n");
            self.output.row(&self.text)?;
        }
        self.text.clear();
        self.batched = 0;
        Ok(())
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

/// What a telephone and a computer say they are, and the size of their screens.
const MOBILE: (&str, &str) = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
    "412x915",
);
const DESKTOP: (&str, &str) = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "1920x1080",
);

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
    /// The account that has logged in.
    account: Option<u64>,
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
            id: uuid(world, random.bits()).to_string(),
            device: uuid(world, cookie.bits()).to_string(),
            now: begun,
            mobile,
            account: None,
            random,
            events: 0,
        }
    }

    /// The first page.
    pub fn land(&mut self, log: &mut WebLog, random: &mut Random) -> Result<()> {
        let (source, medium, campaign, _) = ORIGINS[random.weighted(&ORIGINS.map(|origin| origin.3))];
        let mut page = "/".to_owned();
        for (parameter, value) in [("source", source), ("medium", medium), ("campaign", campaign)] {
            if !value.is_empty() {
                let sign = if page.contains('?') { '&' } else { '?' };
                // Writing to a String cannot fail.
                let _ = write!(page, "{sign}utm_{parameter}={value}");
            }
        }
        self.view(log, &page)
    }

    /// The owner of `account` says who it is; the tracker knows from then on.
    pub fn login(&mut self, log: &mut WebLog, account: u64) -> Result<()> {
        self.account = Some(account);
        self.hit(log, "se", "/login", |hit| {
            hit.push_str(r#","se_ca":"account","se_ac":"login""#);
        })
    }

    /// Products are looked at and put into the cart; the moment of the first.
    pub fn fill_cart(&mut self, log: &mut WebLog, lines: &[Line], random: &mut Random) -> Result<Moment> {
        let mut first = None;
        for line in lines {
            if random.chance(500) {
                self.product(log, line.product)?;
            }
            let sku = &self.world.catalogue.products()[line.product].sku;
            let price = point(line.price);
            self.hit(log, "se", &format!("/p/{sku}"), |hit| {
                let _ = write!(
                    hit,
                    r#","se_ca":"cart","se_ac":"add","se_la":"{sku}","se_va":"{price}""#
                );
            })?;
            first = first.or(Some(self.now));
        }
        Ok(first.unwrap_or(self.now))
    }

    /// A page of the shop is opened.
    pub fn view(&mut self, log: &mut WebLog, page: &str) -> Result<()> {
        self.hit(log, "pv", page, |_| ())
    }

    /// A product is looked at.
    fn product(&mut self, log: &mut WebLog, product: usize) -> Result<()> {
        let sku = &self.world.catalogue.products()[product].sku;
        self.view(log, &format!("/p/{sku}"))
    }

    /// The cart is ordered, for `total` cents.
    pub fn purchase(&mut self, log: &mut WebLog, order: u64, total: i64) -> Result<()> {
        self.hit(log, "tr", "/thanks", |hit| {
            let _ = write!(hit, r#","tr_id":"W{order}","tr_tt":"{}","tr_cu":"EUR""#, point(total));
        })
    }

    /// Writes one hit; `details` adds what only this kind of event has. Writing to a String cannot fail.
    fn hit(&mut self, log: &mut WebLog, event: &str, page: &str, details: impl FnOnce(&mut String)) -> Result<()> {
        if self.events > 0 {
            self.now = self.now.after(self.random.between(4, 75));
        }
        self.events += 1;
        let (agent, screen) = if self.mobile { MOBILE } else { DESKTOP };
        let milliseconds = self.now.epoch_millis() + i64::from(self.random.below(1000));
        let id = uuid(self.world, self.random.bits());
        log.hit.clear();
        let _ = write!(
            log.hit,
            "{{\"e\":\"{event}\",\"eid\":\"{id}\",\"dtm\":\"{milliseconds}\",\"ttm\":\"{milliseconds}\",\
             \"tv\":\"js-4.6.2\",\"tna\":\"sp\",\"aid\":\"colmado-shop\",\"p\":\"web\",\"duid\":\"{}\",\"sid\":\"{}\",\
             \"lang\":\"es-ES\",\"tz\":\"Europe/Madrid\",\"res\":\"{screen}\",\"ua\":\"{agent}\",\"url\":\"{SITE}{page}\"",
            self.device, self.id,
        );
        if let Some(account) = self.account {
            let _ = write!(log.hit, r#","uid":"{account}""#);
        }
        details(&mut log.hit);
        log.hit.push('}');
        log.push()?;
        log.events += 1;
        if self.random.chance(6) {
            log.push()?;
            log.repeated += 1;
        }
        Ok(())
    }
}

/// A random UUID, which `bits` decide.
fn uuid(world: &World, bits: u64) -> Uuid {
    let more = world.random(Topic::Device, [bits]).bits();
    Builder::from_random_bytes(((u128::from(bits) << 64) | u128::from(more)).to_be_bytes()).into_uuid()
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
        session.view(log, "/search")?;
    }
    for _ in 0..random.below(5) {
        let product = world.catalogue.popular(&mut random);
        session.product(log, product)?;
    }
    Ok(session.id)
}
