//! The zone of times that carry none: of all columns, of one, or of what is within it.

use std::collections::BTreeMap;

use chrono_tz::Tz;

/// The zones of a stream's times that carry none.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    zone: Tz,
    within: Within,
}

/// Where another zone holds, by the names in the lake.
#[derive(Debug, Clone, Default)]
struct Within(BTreeMap<String, (Option<Tz>, Within)>);

/// The zone of the times in one place.
#[derive(Debug, Clone, Copy)]
pub struct Zone<'z> {
    /// The zone.
    pub tz: Tz,
    within: Option<&'z Within>,
}

impl From<Tz> for Zones {
    fn from(zone: Tz) -> Self {
        Self {
            zone,
            within: Within::default(),
        }
    }
}

impl Zones {
    /// Times at `path`, and in everything within it, are of `zone`: a column, then the fields that lead into it.
    pub fn set(&mut self, path: impl IntoIterator<Item = String>, zone: Tz) {
        let (mut place, mut known) = (&mut self.within, None);
        for name in path {
            let (zone, within) = place.0.entry(name).or_default();
            (place, known) = (within, Some(zone));
        }
        if let Some(known) = known {
            *known = Some(zone);
        }
    }

    /// The zone of a column.
    pub fn column(&self, name: &str) -> Zone<'_> {
        self.at([name])
    }

    /// The zone of what is at `path`: a column, then the fields that lead into it.
    pub fn at(&self, path: impl IntoIterator<Item: AsRef<str>>) -> Zone<'_> {
        let all = Zone {
            tz: self.zone,
            within: Some(&self.within),
        };
        path.into_iter().fold(all, |zone, name| zone.field(name.as_ref()))
    }
}

impl<'z> Zone<'z> {
    /// One zone, wherever a time is.
    #[cfg(test)]
    pub(crate) const fn everywhere(tz: Tz) -> Self {
        Self { tz, within: None }
    }

    /// The zone of a field of the records that are here.
    #[must_use]
    pub fn field(self, name: &str) -> Zone<'z> {
        match self.within.and_then(|within| within.0.get(name)) {
            Some((zone, within)) => Zone {
                tz: zone.unwrap_or(self.tz),
                within: Some(within),
            },
            None => Zone {
                tz: self.tz,
                within: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_holds_within_its_column() {
        let mut zones = Zones::from(Tz::Europe__Madrid);
        let path = |path: &str| path.split('.').map(str::to_owned).collect::<Vec<_>>();
        zones.set(path("visit"), Tz::UTC);
        zones.set(path("visit.shop.at"), Tz::Asia__Tokyo);
        assert_eq!(zones.column("at").tz, Tz::Europe__Madrid);
        let visit = zones.column("visit");
        assert_eq!((visit.tz, visit.field("at").tz), (Tz::UTC, Tz::UTC));
        assert_eq!(visit.field("shop").field("at").tz, Tz::Asia__Tokyo);
        assert_eq!(visit.field("shop").field("opened").tz, Tz::UTC);
        assert_eq!(visit.field("other").field("at").tz, Tz::UTC);
        assert_eq!(zones.at(["visit", "shop", "at"]).tz, Tz::Asia__Tokyo);
    }
}
