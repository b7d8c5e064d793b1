//! What people agreed to, when, and when they took it back.

use super::calendar::{DAYS, Day, Moment};
use super::life::Life;
use super::person::System;
use super::random::Topic;
use super::world::World;

/// What personal data may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Offers by e-mail.
    EmailMarketing,
    /// Offers by text message.
    SmsMarketing,
    /// Offers made to measure.
    Profiling,
}

impl Purpose {
    /// All of them, with how many in a thousand agree when asked.
    const ASKED: [(Purpose, u32); 3] = [
        (Purpose::EmailMarketing, 620),
        (Purpose::SmsMarketing, 330),
        (Purpose::Profiling, 480),
    ];
}

/// A decision about one purpose.
#[derive(Debug, Clone)]
pub struct Decision {
    /// What for.
    pub purpose: Purpose,
    /// Yes, or no.
    pub granted: bool,
    /// When.
    pub moment: Moment,
    /// The last day of a consent that was given for a time only, as for a raffle.
    pub expires: Option<Day>,
    /// Whether it is the answer on the registration form.
    pub first: bool,
}

/// The decisions of the person of `life` about the `number`-th record in `system`, which began on `begun`.
/// Who was never asked has no decision.
pub fn decisions(world: &World, life: &Life, system: System, number: u64, begun: Day) -> Vec<Decision> {
    let mut random = world.random(Topic::Consent, [life.person, system as u64, number]);
    let mut decisions = Vec::new();
    for (purpose, agree) in Purpose::ASKED {
        if random.chance(100) {
            continue;
        }
        let granted = random.chance(agree);
        let moment = Moment {
            day: begun,
            second: random.between(36_000, 75_000),
        };
        let expires = (granted && random.chance(40)).then(|| begun.max(0) + 180);
        decisions.push(Decision {
            purpose,
            granted,
            moment,
            expires,
            first: true,
        });
        // Some change their mind later, most of them to no; leaving customers more often.
        if random.chance(if life.left.is_some() { 220 } else { 110 }) {
            let day = begun.max(0) + random.between(20, 500);
            if day < DAYS {
                let moment = Moment {
                    day,
                    second: random.between(36_000, 75_000),
                };
                decisions.push(Decision {
                    purpose,
                    granted: !granted,
                    moment,
                    expires: None,
                    first: false,
                });
            }
        }
    }
    decisions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_decision_differs_from_the_first() {
        let world = World::new(2_000, 4);
        let mut granted = 0;
        let mut changed = 0;
        for person in 0..2_000 {
            let life = Life::new(&world, person);
            for decision in decisions(&world, &life, System::Shop, 0, 10) {
                granted += usize::from(decision.granted && decision.purpose == Purpose::EmailMarketing);
                changed += usize::from(!decision.first);
            }
        }
        assert!((1_000..1_500).contains(&granted), "{granted} of 2000 grant e-mail");
        assert!((500..1_100).contains(&changed), "{changed} change their mind");
    }
}
