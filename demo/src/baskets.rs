//! What somebody buys on a visit: mostly what they always buy.

use super::calendar::{Day, Month};
use super::life::Life;
use super::random::{Random, Topic};
use super::world::World;

/// One line of a basket. Money is in cents with VAT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Index of the product.
    pub product: usize,
    /// Thousandths of a piece or of a kilogram; negative when it is brought back.
    pub quantity: i64,
    /// Price of one piece or kilogram.
    pub price: i64,
    /// What the promotion takes off the line.
    pub discount: i64,
    /// What is paid for the line.
    pub total: i64,
}

/// How many products somebody calls their own.
const FAVOURITES: u64 = 16;

/// What the person of `life` puts into the basket on `day`: at least one line, no product twice.
pub fn basket(world: &World, life: &Life, day: Day) -> Vec<Line> {
    let mut random = world.random(Topic::Basket, [life.person, day as u64]);
    let month = Month::of(day);
    let size = random.between(1, 2 * life.basket as i32 - 1);
    let size = if month.of_year() == 11 { size * 5 / 4 + 1 } else { size };
    let mut lines: Vec<Line> = Vec::with_capacity(size as usize);
    for _ in 0..size {
        let product = if random.chance(700) {
            // The first favourites are bought most.
            let slot = random.below(FAVOURITES as u32).min(random.below(FAVOURITES as u32));
            world
                .catalogue
                .popular(&mut world.random(Topic::Taste, [life.person, u64::from(slot)]))
        } else {
            world.catalogue.popular(&mut random)
        };
        let wanted = world.catalogue.in_season(product, month) && lines.iter().all(|line| line.product != product);
        if wanted || lines.is_empty() {
            lines.push(line(world, product, quantity(world, product, &mut random), day));
        }
    }
    lines
}

/// Something bought before and brought back: its amounts are negative.
pub fn returned(world: &World, life: &Life, day: Day) -> Line {
    let product = world
        .catalogue
        .popular(&mut world.random(Topic::Taste, [life.person, 0]));
    line(world, product, -1000, day)
}

/// The line for `quantity` thousandths of `product` at the prices of `day`.
fn line(world: &World, product: usize, quantity: i64, day: Day) -> Line {
    let price = world.catalogue.price(product, day);
    let gross = rounded(quantity * price, 1000);
    let percent = i64::from(world.catalogue.promotion(product, day));
    let discount = rounded(gross * percent, 100);
    Line {
        product,
        quantity,
        price,
        discount,
        total: gross - discount,
    }
}

fn quantity(world: &World, product: usize, random: &mut Random) -> i64 {
    if world.catalogue.products()[product].by_weight {
        i64::from(random.between(200, 1_000) + random.between(0, 900))
    } else {
        [1, 2, 3, 4, 6][random.weighted(&[66, 22, 6, 4, 2])] * 1000
    }
}

/// `amount / by`, halves away from zero, as tills round.
fn rounded(amount: i64, by: i64) -> i64 {
    (amount.abs() + by / 2) / by * amount.signum()
}

/// What the lines cost together.
pub fn total(lines: &[Line]) -> i64 {
    lines.iter().map(|line| line.total).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_add_up() {
        let world = World::new(500, 9);
        for person in 0..500 {
            let life = Life::new(&world, person);
            let lines = basket(&world, &life, 300);
            assert!(!lines.is_empty() && lines.len() < 20);
            for line in &lines {
                let exact = line.price as f64 * line.quantity as f64 / 1000.0 - line.discount as f64;
                assert!((exact - line.total as f64).abs() <= 0.5, "{line:?}");
                assert!(line.discount >= 0 && line.total > 0, "{line:?}");
            }
        }
        assert_eq!(
            (rounded(5, 10), rounded(-5, 10), rounded(4, 10), rounded(-14, 10)),
            (1, -1, 0, -1)
        );
    }

    #[test]
    fn people_buy_the_same_things_again() {
        let world = World::new(200, 9);
        let (mut again, mut all) = (0, 0);
        for person in 0..200 {
            let life = Life::new(&world, person);
            let before: Vec<usize> = (0..10)
                .flat_map(|week| basket(&world, &life, week * 7))
                .map(|line| line.product)
                .collect();
            for line in basket(&world, &life, 80) {
                all += 1;
                again += usize::from(before.contains(&line.product));
            }
        }
        assert!(again * 100 / all > 45, "{again} of {all} lines are repeated");
    }

    #[test]
    fn christmas_sweets_are_bought_at_christmas() {
        let world = World::new(300, 9);
        let sweets = |day: Day| {
            (0..300)
                .flat_map(|person| basket(&world, &Life::new(&world, person), day))
                .filter(|line| world.catalogue.products()[line.product].name.starts_with("Turrón"))
                .count()
        };
        assert!(
            sweets(350) > 10 * sweets(180).max(1),
            "{} and {}",
            sweets(350),
            sweets(180)
        );
    }
}
