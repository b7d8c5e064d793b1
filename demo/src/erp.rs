//! The ERP of the stores: a SQLite database with typed tables, decimals and local times; tickets and lines apart.

use std::path::PathBuf;

use cordada_core::Result;
use rusqlite::params;

use super::baskets::{self, basket};
use super::calendar::{DAYS, Day, Moment, Month, date};
use super::consents::{self, Purpose};
use super::database::{Database, Insert};
use super::life::{Channel, Life};
use super::person::{Address, Record, System};
use super::provinces::PROVINCES;
use super::random::{Random, Topic};
use super::summary::Summary;
use super::world::{RECORDS_PER_PERSON, World};

/// The number of a loyalty card: an EAN-13 of the range for use inside a company.
pub fn card_number(world: &World, person: u64, card: u64) -> u64 {
    let digits = 290_000_000_000 + world.card_numbers.position(person * RECORDS_PER_PERSON + card);
    digits * 10 + check_digit(digits)
}

/// The check digit of an EAN-13 from its first twelve digits.
pub fn check_digit(digits: u64) -> u64 {
    let weighted: u64 = (0..12)
        .map(|place| digits / 10u64.pow(place) % 10 * if place % 2 == 0 { 3 } else { 1 })
        .sum();
    (10 - weighted % 10) % 10
}

/// Writes the database: cards and consents as they are at the end, tickets day by day.
pub fn write_erp(world: &World, path: PathBuf, rows: &dyn Fn(u64)) -> Result<Summary> {
    let database = Database::create(path, include_str!("erp.sql"))?;
    let mut summary = write_cards(world, &database, rows)?;
    summary += write_tickets(world, &database, rows)?;
    // What asks for changes since the last time finds them without reading the table.
    database.run(
        "create index clientes_cambios on clientes (updated_at, id);
         create index tickets_cambios on tickets (updated_at, id)",
    )?;
    database.finish()?;
    Ok(summary)
}

/// Writes the loyalty cards and what their holders agreed to; a card has the address that was reported last.
fn write_cards(world: &World, database: &Database, rows: &dyn Fn(u64)) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut cards = database.insert(
        "insert into clientes (tarjeta, nombre, apellidos, fecha_nacimiento, telefono, email, direccion, \
         codigo_postal, municipio, cod_provincia, tienda_alta, fecha_alta, updated_at) \
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    let mut decisions = database.insert(
        "insert into consentimientos (tarjeta, finalidad, decision, fecha, caduca, canal) values (?, ?, ?, ?, ?, ?)",
    )?;
    for position in 0..world.card_numbers.size() {
        let index = world.card_numbers.index(position);
        let (person, card) = (index / RECORDS_PER_PERSON, index % RECORDS_PER_PERSON);
        let life = Life::new(world, person);
        let Some(issued) = life.cards[card as usize] else {
            continue;
        };
        let reported = life.moved.map(|moved| moved + 12).filter(|_| person % 5 < 3);
        let reported = reported.filter(|&day| day > issued && life.is_customer(day) && day < DAYS);
        write_card(&mut cards, world, &life, card, issued, reported.unwrap_or(issued))?;
        let number = card_number(world, person, card).to_string();
        let answers = consents::decisions(world, &life, System::Erp, card, issued);
        for decision in &answers {
            let purpose = match decision.purpose {
                Purpose::EmailMarketing => "EMAIL",
                Purpose::SmsMarketing => "SMS",
                Purpose::Profiling => "PERFILADO",
            };
            decisions.row(params![
                number,
                purpose,
                if decision.granted { "S" } else { "N" },
                decision.moment.local().to_string(),
                decision.expires.map(|day| date(day).to_string()),
                if decision.first { "FORMULARIO" } else { "ATENCION" },
            ])?;
        }
        summary.cards += 1;
        summary.consents += answers.len() as u64;
        rows(1 + answers.len() as u64);
    }
    Ok(summary)
}

fn write_card(cards: &mut Insert<'_>, world: &World, life: &Life, card: u64, issued: Day, changed: Day) -> Result<()> {
    let record = Record::new(world, life.person, System::Erp, card);
    let second = opening_hours(&mut world.random(Topic::Misspelling, [life.person, 8, card, changed as u64]));
    let address = Address::on(world, life, changed);
    let province = &PROVINCES[address.province];
    cards.row(params![
        card_number(world, life.person, card).to_string(),
        record.first_name,
        record.surnames,
        record.born.map(|born| born.to_string()),
        record.phone,
        // The form's placeholder, which nobody ever cleaned up.
        record.email.as_deref().unwrap_or("NULL"),
        address.street,
        address.postcode,
        province.capital,
        province.code,
        world.stores[life.store].code,
        date(issued).to_string(),
        Moment { day: changed, second }.local().to_string(),
    ])
}

/// Writes the tickets of all stores, day by day.
fn write_tickets(world: &World, database: &Database, rows: &dyn Fn(u64)) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut tickets = database.insert(
        "insert into tickets (num_ticket, fecha_hora, cod_tienda, caja, tarjeta, forma_pago, num_lineas, importe, \
         updated_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?2)",
    )?;
    let mut lines = database.insert(
        "insert into lineas_ticket (num_ticket, num_linea, articulo, cantidad, precio, descuento, importe, iva) \
         values (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for day in Month::all().flat_map(Month::days) {
        let mut written = 0;
        let mut numbers = vec![0; world.stores.len()];
        for person in 0..world.customers {
            let life = Life::new(world, person);
            let Some(Channel::Store { card }) = life.visit(world, day) else {
                continue;
            };
            let mut random = world.random(Topic::Visit, [person, day as u64]);
            // One in eight visits is to another store.
            let store = if random.chance(125) {
                random.below(world.stores.len() as u32) as usize
            } else {
                life.store
            };
            let shown = card
                .filter(|_| random.chance(900))
                .map(|card| card_number(world, person, card).to_string());
            let brought_back = random.chance(12).then(|| vec![baskets::returned(world, &life, day)]);
            let bought = basket(world, &life, day);
            let mut at = Moment {
                day,
                second: opening_hours(&mut random),
            };
            let code = &world.stores[store].code;
            for basket in brought_back.into_iter().chain([bought]) {
                numbers[store] += 1;
                let number = format!("{code}-{}-{:04}", date(day).format("%y%m%d"), numbers[store]);
                let total = baskets::total(&basket);
                let payment = ["TARJETA", "EFECTIVO", "BIZUM"][random.weighted(&[68, 27, 5])];
                let till = random.between(1, 6);
                let time = at.local().to_string();
                tickets.row(params![
                    number,
                    time,
                    code,
                    till,
                    shown,
                    payment,
                    basket.len() as i64,
                    decimal(total, 100),
                ])?;
                for (index, line) in basket.iter().enumerate() {
                    let product = &world.catalogue.products()[line.product];
                    lines.row(params![
                        number,
                        (index + 1) as i64,
                        product.article,
                        decimal(line.quantity, 1000),
                        decimal(line.price, 100),
                        decimal(line.discount, 100),
                        decimal(line.total, 100),
                        product.tax,
                    ])?;
                }
                summary.tickets += 1;
                summary.anonymous_tickets += u64::from(shown.is_none());
                summary.ticket_lines += basket.len() as u64;
                summary.store_revenue_cents += total;
                written += 1 + basket.len() as u64;
                at = at.after(240);
            }
        }
        rows(written);
    }
    Ok(summary)
}

/// SQLite keeps decimals as floating point numbers: the one nearest to `amount / parts`.
fn decimal(amount: i64, parts: i64) -> f64 {
    amount as f64 / parts as f64
}

/// From nine to half past nine in the evening, busiest at noon and after work.
fn opening_hours(random: &mut Random) -> i32 {
    let hour = 9 + random.weighted(&[5, 8, 11, 13, 9, 5, 4, 7, 11, 14, 12, 7]) as i32;
    hour * 3600 + random.between(0, 3599)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_valid_and_unlike_the_person() {
        // A well-known example of the standard.
        assert_eq!(check_digit(400_638_133_393), 1);
        let world = World::new(1_000, 2);
        let numbers: Vec<u64> = (0..1_000).map(|person| card_number(&world, person, 0)).collect();
        assert!(
            numbers
                .iter()
                .all(|number| number.to_string().len() == 13 && number.to_string().starts_with("29"))
        );
        let rising = numbers.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((400..600).contains(&rising), "{rising} neighbours have rising numbers");
    }
}
