//! When somebody is a customer, where and how often: cheap to derive, because it is asked for every person and day.

use super::calendar::{DAYS, Day, Month, SEASON, is_holiday, weekday};
use super::random::Topic;
use super::world::World;

/// The habits of one person.
#[derive(Debug, Clone)]
pub struct Life {
    /// Index of the person.
    pub person: u64,
    /// First day as a customer; negative when before the generated years.
    pub joined: Day,
    /// The day from which the person never comes again.
    pub left: Option<Day>,
    /// The day of moving to another address in the same province.
    pub moved: Option<Day>,
    /// Index of the usual store.
    pub store: usize,
    /// The days on which loyalty cards were handed out; the second replaces a lost first one.
    pub cards: [Option<Day>; 2],
    /// The days on which accounts were opened in the shop; the second by somebody who forgot the first.
    pub accounts: [Option<Day>; 2],
    /// How many lines a typical basket has.
    pub basket: u32,
    interval: Day,
    phase: Day,
    favourite_weekday: usize,
    online_per_thousand: u32,
    surfs_per_thousand: u32,
}

/// How many in a thousand come every 7, 14, 30 and 60 days.
const RHYTHMS: [(Day, u32); 4] = [(7, 80), (14, 200), (30, 400), (60, 320)];
/// How busy stores, and the shop, are from Monday to Sunday.
const STORE_WEEK: [u32; 7] = [12, 11, 12, 13, 18, 26, 4];
const SHOP_WEEK: [u32; 7] = [15, 14, 13, 13, 12, 12, 21];

impl Life {
    /// The habits of `person`.
    pub fn new(world: &World, person: u64) -> Self {
        let mut random = world.random(Topic::Life, [person]);
        let joined = if random.chance(450) {
            random.between(-1_500, -1)
        } else {
            random.between(0, DAYS - 60)
        };
        let shopping_from = joined.max(0);
        // People who leave do so at any time, but not in the last month: nobody could tell yet.
        let left = random
            .chance(300)
            .then(|| random.between(shopping_from + 15, DAYS - 30));
        let comes_after = |day: &Day| *day < left.unwrap_or(DAYS);
        let moved = random
            .chance(80)
            .then(|| random.between(shopping_from + 90, DAYS - 30))
            .filter(comes_after);

        let (has_card, has_account) = match random.weighted(&[45, 37, 18]) {
            0 => (true, false),
            1 => (true, true),
            _ => (false, true),
        };
        let first_card = has_card.then_some(joined);
        // Who has a card finds the shop later; who has none begins there.
        let first_account = has_account.then(|| joined + if has_card { random.between(0, 200) } else { 0 });
        let first_account = first_account.filter(comes_after);
        let mut again = |first: Option<Day>, per_thousand: u32| {
            let (happens, later) = (random.chance(per_thousand), random.between(60, 600));
            first
                .filter(|_| happens)
                .map(|first| first.max(0) + later)
                .filter(comes_after)
        };
        let second_card = again(first_card, 60);
        let second_account = again(first_account, 40);

        let (interval, _) = RHYTHMS[random.weighted(&RHYTHMS.map(|(_, weight)| weight))];
        Self {
            person,
            joined,
            left,
            moved,
            store: random
                .below(world.stores.len() as u32)
                .min(random.below(world.stores.len() as u32)) as usize,
            cards: [first_card, second_card],
            accounts: [first_account, second_account],
            basket: [3, 4, 5, 7][random.weighted(&[25, 35, 25, 15])],
            interval,
            phase: random.between(0, interval - 1),
            favourite_weekday: random.below(7) as usize,
            online_per_thousand: match (has_card, has_account) {
                (_, false) => 0,
                (true, true) => random.between(100, 650) as u32,
                (false, true) => 880,
            },
            surfs_per_thousand: if has_account { 15 } else { 3 },
        }
    }

    /// Whether the person is a customer on `day`.
    pub fn is_customer(&self, day: Day) -> bool {
        self.joined <= day && self.left.is_none_or(|left| day < left)
    }

    /// Whether the person goes shopping on `day`, and where. Nobody shops twice on one day.
    pub fn visit(&self, world: &World, day: Day) -> Option<Channel> {
        if !self.is_customer(day) {
            return None;
        }
        let since = day - self.phase + self.interval;
        let period = since / self.interval;
        let mut random = world.random(Topic::Rhythm, [self.person, period as u64]);
        let online = random.chance(self.online_per_thousand);
        let week_begins = random.between(0, self.interval - 7);
        let into_week = since % self.interval - week_begins;
        if !(0..7).contains(&into_week) {
            return None;
        }
        let channel = match self.account_on(day) {
            Some(account) if online => Channel::Shop { account },
            _ => Channel::Store {
                card: self.card_on(day),
            },
        };
        let mut week = if online { SHOP_WEEK } else { STORE_WEEK };
        week[self.favourite_weekday] *= 3;
        let chosen = random.weighted(&week);
        let kept = random.chance(SEASON[Month::of(day).of_year()] * 10);
        let fading = self.left.is_some_and(|left| left - day < 3 * self.interval) && random.chance(350);
        let open = matches!(channel, Channel::Shop { .. }) || !is_holiday(day);
        (weekday(day) == chosen && kept && !fading && open).then_some(channel)
    }

    /// Whether the person looks around in the shop on `day` without an intention to buy.
    pub fn surfs(&self, world: &World, day: Day) -> bool {
        self.is_customer(day)
            && world
                .random(Topic::Browse, [self.person, day as u64])
                .chance(self.surfs_per_thousand)
    }

    /// Which of the cards the person carries on `day`.
    pub fn card_on(&self, day: Day) -> Option<u64> {
        latest(&self.cards, day)
    }

    /// Which of the accounts the person uses on `day`.
    pub fn account_on(&self, day: Day) -> Option<u64> {
        latest(&self.accounts, day)
    }
}

/// Where somebody shops, and as whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// In a store; with the n-th card, if there is one.
    Store {
        /// Which of the person's cards.
        card: Option<u64>,
    },
    /// In the shop with the n-th account.
    Shop {
        /// Which of the person's accounts.
        account: u64,
    },
}

/// The last of `days` that is not after `day`.
fn latest(days: &[Option<Day>; 2], day: Day) -> Option<u64> {
    (0..2)
        .rev()
        .find(|&n| days[n].is_some_and(|from| from <= day))
        .map(|n| n as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_behave_like_people() {
        let world = World::new(2_000, 11);
        let lives: Vec<Life> = (0..2_000).map(|person| Life::new(&world, person)).collect();
        let share = |of: &dyn Fn(&Life) -> bool| lives.iter().filter(|life| of(life)).count() * 100 / lives.len();
        assert!((70..95).contains(&share(&|life| life.cards[0].is_some())));
        assert!((45..65).contains(&share(&|life| life.accounts[0].is_some())));
        assert!((25..35).contains(&share(&|life| life.left.is_some())));
        assert_eq!(share(&|life| life.cards[0].is_none() && life.accounts[0].is_none()), 0);

        let mut weekdays = [0; 7];
        let mut visits = 0;
        for life in &lives {
            for day in 0..DAYS {
                if let Some(Channel::Store { .. }) = life.visit(&world, day) {
                    assert!(!is_holiday(day) && life.is_customer(day));
                    weekdays[weekday(day)] += 1;
                    visits += 1;
                }
            }
        }
        assert!(
            weekdays[5] > 2 * weekdays[1] && weekdays[6] < weekdays[0],
            "{weekdays:?}"
        );
        assert!((8..25).contains(&(visits / lives.len())), "{visits} visits to stores");
    }

    #[test]
    fn somebody_comes_at_most_once_a_period() {
        let world = World::new(300, 5);
        for person in 0..300 {
            let life = Life::new(&world, person);
            let days: Vec<Day> = (0..DAYS).filter(|&day| life.visit(&world, day).is_some()).collect();
            let mut periods: Vec<Day> = days
                .iter()
                .map(|day| (day - life.phase + life.interval) / life.interval)
                .collect();
            periods.dedup();
            assert_eq!(periods.len(), days.len());
        }
    }
}
