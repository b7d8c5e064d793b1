//! The accounts of the shop and what their owners agreed to.

use std::fmt::Write;

use cordada_core::Result;

use super::calendar::{Day, Moment, date};
use super::consents::{self, Decision, Purpose};
use super::documents::Documents;
use super::erp::card_number;
use super::life::Life;
use super::person::{Address, Record, System};
use super::provinces::PROVINCES;
use super::random::Topic;
use super::summary::Summary;
use super::world::{RECORDS_PER_PERSON, World};

/// The number of an account in the shop.
pub fn account_id(world: &World, person: u64, account: u64) -> u64 {
    10_001 + world.account_numbers.position(person * RECORDS_PER_PERSON + account)
}

/// Writes the accounts, with the address that was reported last, and what their owners agreed to.
pub fn write_accounts(world: &World, documents: &mut Documents<'_>, rows: &dyn Fn(u64)) -> Result<Summary> {
    let mut summary = Summary::default();
    for position in 0..world.account_numbers.size() {
        let index = world.account_numbers.index(position);
        let (person, account) = (index / RECORDS_PER_PERSON, index % RECORDS_PER_PERSON);
        let life = Life::new(world, person);
        let Some(opened) = life.accounts[account as usize] else {
            continue;
        };
        let reported = life.moved.map(|moved| moved + 3).filter(|_| person % 2 == 0);
        let reported = reported.filter(|&day| day > opened && life.is_customer(day));
        let (row, updated) = account_row(world, &life, account, opened, reported.unwrap_or(opened));
        documents.customer(account_id(world, person, account), updated, &row)?;
        summary.accounts += 1;
        let answers = consents::decisions(world, &life, System::Shop, account, opened);
        for decision in &answers {
            summary.consents += 1;
            let row = decision_row(world, person, account, summary.consents, decision);
            documents.consent(summary.consents, decision.moment, &row)?;
        }
        rows(1 + answers.len() as u64);
    }
    Ok(summary)
}

/// The account as the shop shows it, and when it last changed.
fn account_row(world: &World, life: &Life, account: u64, opened: Day, changed: Day) -> (String, Moment) {
    let record = Record::new(world, life.person, System::Shop, account);
    let address = Address::on(world, life, changed);
    let province = &PROVINCES[address.province];
    let mut random = world.random(Topic::Misspelling, [life.person, 9, account]);
    let second = random.between(8 * 3600, 23 * 3600);
    // A third of those who hold a card link it to the account.
    let linked = life
        .card_on(changed)
        .filter(|_| random.chance(340))
        .map(|card| card_number(world, life.person, card));
    let mut row = format!("{{\"id\":{}", account_id(world, life.person, account));
    let mut text = |key: &str, value: Option<&str>| match value {
        // Writing to a String cannot fail; `Value` brings the escapes.
        Some(value) => write!(row, ",\"{key}\":{}", serde_json::Value::from(value)),
        None => write!(row, ",\"{key}\":null"),
    };
    let _ = text("email", record.email.as_deref());
    let _ = text("first_name", Some(&record.first_name));
    let _ = text("last_name", Some(&record.surnames));
    let _ = text("phone", record.phone.as_deref());
    let _ = text("loyalty_card", linked.map(|card| card.to_string()).as_deref());
    let updated = Moment { day: changed, second };
    let _ = write!(
        row,
        ",\"address\":{{\"street\":{},\"postcode\":\"{}\",\"city\":\"{}\",\"province_code\":\"{}\"}},\
         \"created_at\":\"{}\",\"updated_at\":\"{}\"}}",
        serde_json::Value::from(address.street),
        address.postcode,
        province.capital,
        province.code,
        Moment { day: opened, second }.utc(),
        updated.utc(),
    );
    (row, updated)
}

fn decision_row(world: &World, person: u64, account: u64, id: u64, decision: &Decision) -> String {
    let purpose = match decision.purpose {
        Purpose::EmailMarketing => "email_marketing",
        Purpose::SmsMarketing => "sms_marketing",
        Purpose::Profiling => "profiling",
    };
    let status = match (decision.granted, decision.first) {
        (true, _) => "granted",
        (false, true) => "denied",
        (false, false) => "withdrawn",
    };
    let expires = decision
        .expires
        .map(|day| format!("\"{}\"", date(day)))
        .unwrap_or("null".into());
    format!(
        "{{\"id\":{id},\"customer_id\":{},\"purpose\":\"{purpose}\",\"status\":\"{status}\",\"occurred_at\":\"{}\",\
         \"expires_on\":{expires},\"source\":\"{}\"}}",
        account_id(world, person, account),
        decision.moment.utc(),
        if decision.first { "registration" } else { "preferences" },
    )
}
