//! The accounts of the shop: NDJSON, gzip, one file a month with the accounts opened or changed in it.

use std::fmt::Write;
use std::path::Path;

use cordada_lake::Result;

use super::calendar::{Day, Moment, Month, date};
use super::consents::{self, Decision, Purpose};
use super::erp::card_number;
use super::files::Output;
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

/// Writes the accounts and what their owners agreed to.
pub fn write_accounts(world: &World, folder: &Path, rows: &dyn Fn(u64)) -> Result<Summary> {
    let mut summary = Summary::default();
    for month in Month::all() {
        let mut accounts = Output::create(folder.join(format!("customers-{month}.ndjson.gz")))?;
        let mut decisions = Output::create(folder.join(format!("consents-{month}.ndjson.gz")))?;
        for position in 0..world.account_numbers.size() {
            let index = world.account_numbers.index(position);
            let (person, account) = (index / RECORDS_PER_PERSON, index % RECORDS_PER_PERSON);
            let life = Life::new(world, person);
            let Some(opened) = life.accounts[account as usize] else {
                continue;
            };
            if Month::of(opened) == month {
                summary.accounts += 1;
                accounts.row(&account_row(world, &life, account, opened, opened))?;
            }
            let reported = life.moved.map(|moved| moved + 3).filter(|_| person % 2 == 0);
            if let Some(day) = reported.filter(|&day| day > opened && life.is_customer(day) && Month::of(day) == month)
            {
                accounts.row(&account_row(world, &life, account, opened, day))?;
            }
            for decision in consents::decisions(world, &life, System::Shop, account, opened) {
                if Month::of(decision.moment.day) == month {
                    summary.consents += 1;
                    decisions.row(&decision_row(world, person, account, &decision))?;
                }
            }
        }
        rows(accounts.finish()? + decisions.finish()?);
    }
    Ok(summary)
}

fn account_row(world: &World, life: &Life, account: u64, opened: Day, changed: Day) -> String {
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
    let _ = writeln!(
        row,
        ",\"address\":{{\"street\":{},\"postcode\":\"{}\",\"city\":\"{}\",\"province_code\":\"{}\"}},\
         \"created_at\":\"{}\",\"updated_at\":\"{}\"}}",
        serde_json::Value::from(address.street),
        address.postcode,
        province.capital,
        province.code,
        Moment { day: opened, second }.utc(),
        Moment { day: changed, second }.utc(),
    );
    row
}

fn decision_row(world: &World, person: u64, account: u64, decision: &Decision) -> String {
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
        "{{\"customer_id\":{},\"purpose\":\"{purpose}\",\"status\":\"{status}\",\"occurred_at\":\"{}\",\
         \"expires_on\":{expires},\"source\":\"{}\"}}\n",
        account_id(world, person, account),
        decision.moment.utc(),
        if decision.first { "registration" } else { "preferences" },
    )
}
