//! The shop day by day: sessions that become carts, carts that become orders or are left behind.
//!
//! Its records are JSON documents, as its API shows them: lines nested in orders, money as text, times in UTC. An order
//! that was cancelled changed when it was.

use std::fmt::Write;
use std::path::Path;

use cordada_core::Result;

use super::accounts::{account_id, write_accounts};
use super::baskets::{self, Line, basket};
use super::calendar::{DAYS, Day, Moment, Month};
use super::documents::{self, Documents};
use super::files::{Output, point};
use super::life::{Channel, Life};
use super::person::Address;
use super::provinces::PROVINCES;
use super::random::{Random, Topic};
use super::summary::Summary;
use super::web::{Session, WebLog};
use super::world::World;

/// Orders below this are delivered for [`SHIPPING`], the others for nothing.
const FREE_SHIPPING_FROM: i64 = 5_000;
const SHIPPING: i64 = 395;

/// Writes the shop's database, what its web tracker has to send to `outbox`, and who was behind every session.
pub fn write_shop(world: &World, data: &Path, outbox: &Path, truth: &Path, rows: &dyn Fn(u64)) -> Result<Summary> {
    let database = documents::create(data.join("shop.db"))?;
    let mut documents = Documents::new(&database)?;
    let accounts = write_accounts(world, &mut documents, rows)?;
    let mut shop = Shop {
        world,
        documents,
        summary: Summary::default(),
    };
    let mut sessions = Output::create(truth.join("web_sessions.csv.gz"))?;
    sessions.head("session_id,person_id\n")?;
    for month in Month::all() {
        let mut web = WebLog::create(outbox.join(format!("hits-{month}.ndjson.zst")))?;
        let before = shop.summary;
        for day in month.days() {
            for person in 0..world.customers {
                let life = Life::new(world, person);
                let session = if let Some(Channel::Shop { account }) = life.visit(world, day) {
                    shop.visit(&mut web, &life, day, account)?
                } else if life.surfs(world, day) {
                    super::web::surf(world, &mut web, &life, day)?
                } else {
                    continue;
                };
                shop.summary.sessions += 1;
                sessions.row(&format!("{session},P{person:07}\n"))?;
            }
        }
        shop.summary.web_events += web.events;
        shop.summary.repeated_web_events += web.repeated;
        let documents = |summary: &Summary| summary.carts + summary.shop_orders;
        rows(documents(&shop.summary) - documents(&before) + web.finish()?);
    }
    sessions.finish()?;
    let mut summary = shop.summary;
    summary += accounts;
    drop(shop);
    documents::finish(database)?;
    Ok(summary)
}

struct Shop<'a> {
    world: &'a World,
    documents: Documents<'a>,
    summary: Summary,
}

impl Shop<'_> {
    /// One visit with the intention to buy; the session's id.
    fn visit(&mut self, web: &mut WebLog, life: &Life, day: Day, account: u64) -> Result<String> {
        let world = self.world;
        let mut random = world.random(Topic::Visit, [life.person, day as u64]);
        let begun = Moment {
            day,
            second: evening(&mut random),
        };
        let lines = basket(world, life, day);
        let ordered = random.chance(720);
        let customer = account_id(world, life.person, account);

        let mut session = Session::new(world, life, begun);
        let id = session.id.clone();
        session.land(web, &mut random)?;
        // Some log in at once, the others when they have to.
        let known_early = random.chance(450);
        if known_early {
            session.login(web, customer)?;
        }
        let cart_created = session.fill_cart(web, &lines, &mut random)?;
        let checkout = ordered || random.chance(380);
        if checkout {
            session.view(web, "/checkout")?;
            if !known_early {
                session.login(web, customer)?;
            }
        }

        self.summary.carts += 1;
        let order = ordered.then_some(500_000 + self.summary.shop_orders + 1);
        if let Some(number) = order {
            session.purchase(web, number, baskets::total(&lines))?;
            let order = Order {
                number,
                account,
                lines: &lines,
                at: session.now,
            };
            self.order(life, &order, &mut random)?;
        } else {
            self.summary.abandoned_carts += 1;
        }
        let customer = (checkout || known_early).then_some(customer);
        let times = (cart_created, session.now);
        let number = self.summary.carts;
        let cart = cart_row(world, number, customer, &session.device, order, times, &lines);
        self.documents.cart(number, session.now, &cart)?;
        Ok(id)
    }

    fn order(&mut self, life: &Life, order: &Order<'_>, random: &mut Random) -> Result<()> {
        let cancelled = random.chance(25).then(|| order.at.after(86_400 * random.between(1, 4)));
        let cancelled = cancelled.filter(|at| at.day < DAYS);
        let (row, total) = order_row(self.world, life, order, cancelled);
        self.documents
            .order(order.number, cancelled.unwrap_or(order.at), &row)?;
        self.summary.shop_orders += 1;
        self.summary.shop_order_lines += order.lines.len() as u64;
        match cancelled {
            Some(_) => self.summary.cancelled_orders += 1,
            None => self.summary.shop_revenue_cents += total,
        }
        Ok(())
    }
}

struct Order<'a> {
    number: u64,
    account: u64,
    lines: &'a [Line],
    at: Moment,
}

/// The order as the shop shows it, and its total in cents.
fn order_row(world: &World, life: &Life, order: &Order<'_>, cancelled: Option<Moment>) -> (String, i64) {
    let goods = baskets::total(order.lines);
    let shipping = if goods < FREE_SHIPPING_FROM { SHIPPING } else { 0 };
    let address = Address::on(world, life, order.at.day);
    let province = &PROVINCES[address.province];
    let mut row = String::with_capacity(256 + 160 * order.lines.len());
    // Writing to a String cannot fail.
    let _ = write!(
        row,
        "{{\"id\":{},\"order_number\":\"W{}\",\"customer_id\":{},\"created_at\":\"{}\",\"updated_at\":\"{}\",\
         \"status\":\"{}\",\"currency\":\"EUR\",\"shipping\":{{\"postcode\":\"{}\",\"province_code\":\"{}\",\"price\":\"{}\"}},\
         \"total\":\"{}\",\"lines\":[",
        order.number,
        order.number,
        account_id(world, life.person, order.account),
        order.at.utc(),
        cancelled.unwrap_or(order.at).utc(),
        if cancelled.is_some() { "cancelled" } else { "paid" },
        address.postcode,
        province.code,
        point(shipping),
        point(goods + shipping),
    );
    for (index, line) in order.lines.iter().enumerate() {
        let product = &world.catalogue.products()[line.product];
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(
            row,
            "{comma}{{\"line\":{},\"sku\":\"{}\",\"name\":\"{}\",\"quantity\":\"{}\",\"unit_price\":\"{}\",\
             \"discount\":\"{}\",\"total\":\"{}\",\"tax_rate\":{}}}",
            index + 1,
            product.sku,
            product.name,
            thousandths(line.quantity),
            point(line.price),
            point(line.discount),
            point(line.total),
            product.tax,
        );
    }
    row.push_str("]}");
    (row, goods + shipping)
}

fn cart_row(
    world: &World,
    number: u64,
    customer: Option<u64>,
    device: &str,
    order: Option<u64>,
    (created, updated): (Moment, Moment),
    lines: &[Line],
) -> String {
    let or_null = |value: Option<String>| value.unwrap_or("null".into());
    let items: Vec<String> = lines
        .iter()
        .map(|line| {
            let sku = &world.catalogue.products()[line.product].sku;
            format!(
                "{{\"sku\":\"{sku}\",\"quantity\":\"{}\",\"total\":\"{}\"}}",
                thousandths(line.quantity),
                point(line.total)
            )
        })
        .collect();
    format!(
        "{{\"id\":\"C{number:08}\",\"customer_id\":{},\"device_id\":\"{device}\",\"order_number\":{},\"created_at\":\"{}\",\
         \"updated_at\":\"{}\",\"value\":\"{}\",\"items\":[{}]}}",
        or_null(customer.map(|id| id.to_string())),
        or_null(order.map(|number| format!("\"W{number}\""))),
        created.utc(),
        updated.utc(),
        point(baskets::total(lines)),
        items.join(","),
    )
}

/// `1.250` for 1250 thousandths.
fn thousandths(quantity: i64) -> impl std::fmt::Display {
    std::fmt::from_fn(move |f| write!(f, "{}.{:03}", quantity / 1000, quantity % 1000))
}

/// A second of the day when people sit at home: mostly in the evening.
pub fn evening(random: &mut Random) -> i32 {
    let hour = 7 + random.weighted(&[2, 3, 4, 5, 5, 5, 4, 5, 5, 5, 5, 6, 8, 11, 14, 12]) as i32;
    hour * 3600 + random.between(0, 3599)
}
