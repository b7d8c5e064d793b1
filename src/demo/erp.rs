//! The ERP of the stores: exports in Latin-1, separated by semicolons, with decimal commas and local times;
//! one file a month and server, headers and lines of tickets apart.

use std::fmt::Write;
use std::path::Path;

use cordada_lake::Result;

use super::baskets::{self, Line, basket};
use super::calendar::{DAYS, Day, Moment, Month, date, spanish};
use super::consents::{self, Decision};
use super::files::{Output, comma};
use super::life::{Channel, Life};
use super::person::{Address, Record, System};
use super::provinces::PROVINCES;
use super::random::{Random, Topic};
use super::stores::Zone;
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

/// Writes the stores; every export replaces the one before.
pub fn write_stores(world: &World, folder: &Path) -> Result<u64> {
    let mut output = Output::create_latin1(folder.join("tiendas.csv.gz"))?;
    output.head(
        "CodTienda;Nombre;Dirección;CódigoPostal;Municipio;CodProvincia;Latitud;Longitud;SuperficieM2;AñoApertura\r\n",
    )?;
    for store in &world.stores {
        let (latitude, longitude) = (decimal_comma(store.latitude), decimal_comma(store.longitude));
        let province = store.province();
        output.row(&format!(
            "{};{};{};{};{};{};{latitude};{longitude};{};{}\r\n",
            store.code,
            store.name,
            store.address,
            store.postcode,
            province.capital,
            province.code,
            store.area,
            store.opened
        ))?;
    }
    output.finish()
}

/// Writes the loyalty cards: each month those handed out, and those whose owner reported a new address.
pub fn write_cards(world: &World, folder: &Path, rows: &dyn Fn(u64)) -> Result<Summary> {
    let mut summary = Summary::default();
    for month in Month::all() {
        let mut cards = Output::create_latin1(folder.join(format!("clientes_{month}.csv.gz")))?;
        cards.head(
            "Tarjeta;Nombre;Apellidos;FechaNacimiento;Teléfono;Email;Dirección;CódigoPostal;Municipio;CodProvincia;\
             TiendaAlta;FechaAlta;FechaModificación\r\n",
        )?;
        let mut decisions = Output::create_latin1(folder.join(format!("consentimientos_{month}.csv.gz")))?;
        decisions.head("Tarjeta;Finalidad;Decisión;Fecha;Caduca;Canal\r\n")?;
        for position in 0..world.card_numbers.size() {
            let index = world.card_numbers.index(position);
            let (person, card) = (index / RECORDS_PER_PERSON, index % RECORDS_PER_PERSON);
            let life = Life::new(world, person);
            let Some(issued) = life.cards[card as usize] else {
                continue;
            };
            let number = card_number(world, person, card);
            if Month::of(issued) == month {
                summary.cards += 1;
                cards.row(&card_row(world, &life, card, issued, issued))?;
            }
            let reported = life.moved.map(|moved| moved + 12).filter(|_| person % 5 < 3);
            if let Some(day) =
                reported.filter(|&day| day > issued && life.is_customer(day) && Month::of(day) == month && day < DAYS)
            {
                cards.row(&card_row(world, &life, card, issued, day))?;
            }
            for decision in consents::decisions(world, &life, System::Erp, card, issued) {
                if Month::of(decision.moment.day) == month {
                    summary.consents += 1;
                    decisions.row(&decision_row(number, &decision))?;
                }
            }
        }
        rows(cards.finish()? + decisions.finish()?);
    }
    Ok(summary)
}

fn card_row(world: &World, life: &Life, card: u64, issued: Day, changed: Day) -> String {
    let record = Record::new(world, life.person, System::Erp, card);
    let second = opening_hours(&mut world.random(Topic::Misspelling, [life.person, 8, card, changed as u64]));
    let address = Address::on(world, life, changed);
    let province = &PROVINCES[address.province];
    format!(
        "{};{};{};{};{};{};{};{};{};{};{};{};{}\r\n",
        card_number(world, life.person, card),
        record.first_name,
        record.surnames,
        record.born.map(|born| spanish(born).to_string()).unwrap_or_default(),
        record.phone.as_deref().unwrap_or(""),
        // The form's placeholder, which nobody ever cleaned up.
        record.email.as_deref().unwrap_or("NULL"),
        address.street,
        address.postcode,
        province.capital,
        province.code,
        world.stores[life.store].code,
        spanish(date(issued)),
        Moment { day: changed, second }.local(),
    )
}

fn decision_row(card: u64, decision: &Decision) -> String {
    format!(
        "{card};{};{};{};{};{}\r\n",
        match decision.purpose {
            consents::Purpose::EmailMarketing => "EMAIL",
            consents::Purpose::SmsMarketing => "SMS",
            consents::Purpose::Profiling => "PERFILADO",
        },
        if decision.granted { "S" } else { "N" },
        decision.moment.local(),
        decision
            .expires
            .map(|day| spanish(date(day)).to_string())
            .unwrap_or_default(),
        if decision.first { "FORMULARIO" } else { "ATENCION" },
    )
}

/// Writes the tickets of all stores, day by day.
pub fn write_tickets(world: &World, folder: &Path, rows: &dyn Fn(u64)) -> Result<Summary> {
    let mut summary = Summary::default();
    for month in Month::all() {
        let create = |what: &str, head: &str| -> Result<Vec<Output>> {
            Zone::ALL
                .iter()
                .map(|zone| {
                    let mut output =
                        Output::create_latin1(folder.join(format!("{what}_{month}_{}.csv.gz", zone.name())))?;
                    output.head(head)?;
                    Ok(output)
                })
                .collect()
        };
        let mut tickets = create(
            "tickets",
            "NumTicket;FechaHora;CodTienda;Caja;Tarjeta;FormaPago;NumLíneas;Importe\r\n",
        )?;
        let mut lines = create(
            "lineas",
            "NumTicket;NumLínea;Artículo;Cantidad;Precio;Descuento;Importe;IVA\r\n",
        )?;
        let mut text = String::new();
        for day in month.days() {
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
                    .map(|card| card_number(world, person, card));
                let brought_back = random.chance(12).then(|| vec![baskets::returned(world, &life, day)]);
                let bought = basket(world, &life, day);
                let mut at = Moment {
                    day,
                    second: opening_hours(&mut random),
                };
                let zone = world.stores[store].zone.index();
                for basket in brought_back.into_iter().chain([bought]) {
                    numbers[store] += 1;
                    let number = format!(
                        "{}-{}-{:04}",
                        world.stores[store].code,
                        date(day).format("%y%m%d"),
                        numbers[store]
                    );
                    let total = baskets::total(&basket);
                    text.clear();
                    let payment = ["TARJETA", "EFECTIVO", "BIZUM"][random.weighted(&[68, 27, 5])];
                    let till = random.between(1, 6);
                    let card = shown.map(|card| card.to_string()).unwrap_or_default();
                    // Writing to a String cannot fail.
                    let _ = write!(
                        text,
                        "{number};{};{};{till};{card};{payment};{};{}\r\n",
                        at.local(),
                        world.stores[store].code,
                        basket.len(),
                        comma(total)
                    );
                    tickets[zone].row(&text)?;
                    for (index, line) in basket.iter().enumerate() {
                        text.clear();
                        line_row(&mut text, world, &number, index + 1, line);
                        lines[zone].row(&text)?;
                    }
                    summary.tickets += 1;
                    summary.anonymous_tickets += u64::from(shown.is_none());
                    summary.ticket_lines += basket.len() as u64;
                    summary.store_revenue_cents += total;
                    at = at.after(240);
                }
            }
        }
        for output in tickets.into_iter().chain(lines) {
            rows(output.finish()?);
        }
    }
    Ok(summary)
}

fn line_row(text: &mut String, world: &World, ticket: &str, number: usize, line: &Line) {
    let product = &world.catalogue.products()[line.product];
    let sign = if line.quantity < 0 { "-" } else { "" };
    let (pieces, thousandths) = (line.quantity.abs() / 1000, line.quantity.abs() % 1000);
    let _ = write!(
        text,
        "{ticket};{number};{};{sign}{pieces},{thousandths:03};{};{};{};{}\r\n",
        product.article,
        comma(line.price),
        comma(line.discount),
        comma(line.total),
        product.tax
    );
}

/// From nine to half past nine in the evening, busiest at noon and after work.
fn opening_hours(random: &mut Random) -> i32 {
    let hour = 9 + random.weighted(&[5, 8, 11, 13, 9, 5, 4, 7, 11, 14, 12, 7]) as i32;
    hour * 3600 + random.between(0, 3599)
}

fn decimal_comma(degrees: f64) -> String {
    format!("{degrees:.5}").replace('.', ",")
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
