//! Who is who and who left: what no system knows and no pipeline reads. For measuring how well a model does.

use std::path::Path;

use cordada_core::Result;

use super::accounts::account_id;
use super::calendar::date;
use super::erp::card_number;
use super::files::Output;
use super::life::Life;
use super::person::Person;
use super::provinces::PROVINCES;
use super::world::World;

/// Writes the persons, and which card and account is whose. Web sessions are told by the shop as they happen.
pub fn write_truth(world: &World, folder: &Path) -> Result<()> {
    let mut persons = Output::create(folder.join("persons.csv.gz"))?;
    persons.head("person_id,first_name,surnames,born,email,phone,province_code,joined_on,left_on\n")?;
    let mut records = Output::create(folder.join("records.csv.gz"))?;
    records.head("person_id,system,record_id\n")?;
    for index in 0..world.customers {
        let (life, person) = (Life::new(world, index), Person::new(world, index));
        let province = PROVINCES[world.stores[life.store].province].code;
        persons.row(&format!(
            "P{index:07},{},{},{},{},{},{province},{},{}\n",
            person.first_name,
            person.surnames.join(" "),
            person.born,
            person.email,
            person.phone,
            date(life.joined),
            life.left.map(|day| date(day).to_string()).unwrap_or_default(),
        ))?;
        for number in 0..2 {
            if life.cards[number as usize].is_some() {
                records.row(&format!("P{index:07},erp,{}\n", card_number(world, index, number)))?;
            }
            if life.accounts[number as usize].is_some() {
                records.row(&format!("P{index:07},shop,{}\n", account_id(world, index, number)))?;
            }
        }
    }
    persons.finish()?;
    records.finish()?;
    Ok(())
}
