//! A supermarket chain that does not exist: its stores, its shop, its customers and the systems that hold them.
//!
//! Everything follows from the seed. Nothing about a person is remembered: habits, visits and baskets are derived
//! again wherever they are needed, so memory does not grow with the number of customers, and the systems can be
//! written side by side. `docs/demo.md` describes the company.

mod accounts;
mod baskets;
mod calendar;
mod catalogue;
mod consents;
mod erp;
mod files;
mod life;
mod names;
mod open_data;
mod person;
mod products;
pub mod project;
mod provinces;
mod random;
mod shop;
mod stores;
mod summary;
#[cfg(test)]
mod tests;
mod truth;
mod typos;
mod web;
mod world;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use cordada_lake::{Error, Result};

pub use summary::Summary;

use world::World;

/// How many customers can be generated.
pub const CUSTOMERS: RangeInclusive<u32> = 100..=1_000_000;

/// What to generate, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many persons: one of [`CUSTOMERS`].
    pub customers: u32,
    /// The same seed gives the same files, byte for byte.
    pub seed: u64,
    /// The project: files of the systems go to `data/`, the truth about them to `truth/`.
    pub dir: PathBuf,
}

/// Writes the files of a system and reports rows as it does.
type System<'a> = &'a (dyn Fn(&dyn Fn(u64)) -> Result<Summary> + Sync);

/// Writes two years of the company, 2024 and 2025. `on_rows` hears of rows as they are written.
///
/// # Errors
/// A number of customers outside [`CUSTOMERS`] (kind config); files that cannot be written.
pub fn generate(options: &Options, on_rows: &dyn Fn(u64)) -> Result<Summary> {
    if !CUSTOMERS.contains(&options.customers) {
        let why = format!(
            "{} customers are not between {} and {}",
            options.customers,
            CUSTOMERS.start(),
            CUSTOMERS.end()
        );
        return Err(Error::config("generating the demo", why).hint("choose another number with --customers"));
    }
    let world = World::new(options.customers, options.seed);
    let (data, truth) = (options.dir.join("data"), options.dir.join("truth"));
    let mut summary = Summary {
        customers: world.customers,
        stores: world.stores.len() as u64,
        products: world.catalogue.products().len() as u64,
        ..Summary::default()
    };
    let in_stores = |rows: &dyn Fn(u64)| erp::write_tickets(&world, &data.join("erp"), rows);
    let online = |rows: &dyn Fn(u64)| shop::write_shop(&world, &data, &truth, rows);
    let master_data = |rows: &dyn Fn(u64)| -> Result<Summary> {
        rows(erp::write_stores(&world, &data.join("erp"))?);
        rows(products::write_products(&world, &data.join("erp/articulos.parquet"))?);
        rows(open_data::write_provinces(data.join("open/provincias.csv"))?);
        truth::write_truth(&world, &truth)?;
        let mut records = erp::write_cards(&world, &data.join("erp"), rows)?;
        records += accounts::write_accounts(&world, &data.join("shop"), rows)?;
        Ok(records)
    };
    let systems: [System<'_>; 3] = [&in_stores, &online, &master_data];
    thread::scope(|scope| -> Result<()> {
        let (sender, written) = mpsc::channel();
        let workers = systems.map(|system| {
            let sender = sender.clone();
            // Nobody listens any more only when this function is gone, and it waits for the worker.
            scope.spawn(move || system(&|rows| sender.send(rows).unwrap_or_default()))
        });
        drop(sender);
        written.iter().for_each(on_rows);
        for worker in workers {
            summary += worker
                .join()
                .map_err(|_| Error::failed("generating the demo", "a writer panicked"))??;
        }
        Ok(())
    })?;
    let (files, bytes) = files::measure(&data)?;
    Ok(Summary {
        files,
        bytes,
        ..summary
    })
}
