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
mod database;
mod documents;
mod erp;
mod files;
pub mod hits;
mod life;
pub mod marker;
mod names;
mod office;
mod person;
mod products;
pub mod project;
mod provinces;
mod random;
pub mod server;
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

use cordada_core::{Error, Result};
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
    /// The project: the systems go to `data/`, what the web tracker has to send to `outbox/`, the truth to `truth/`.
    pub dir: PathBuf,
}

/// Writes a system and reports rows as it does.
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
    let outbox = options.dir.join(hits::OUTBOX);
    let in_stores = |rows: &dyn Fn(u64)| erp::write_erp(&world, data.join("erp.db"), rows);
    let online = |rows: &dyn Fn(u64)| shop::write_shop(&world, &data, &outbox, &truth, rows);
    let in_the_office = |rows: &dyn Fn(u64)| -> Result<Summary> {
        rows(office::write_office(&world, &data.join("office"))?);
        truth::write_truth(&world, &truth)?;
        Ok(Summary::default())
    };
    let systems: [System<'_>; 3] = [&in_stores, &online, &in_the_office];
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
    summary.bytes = files::size(&data)? + files::size(&outbox)?;
    Ok(summary)
}
