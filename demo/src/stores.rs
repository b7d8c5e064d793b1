//! The chain's stores.

use super::names::STREETS;
use super::provinces::{PROVINCES, Province};
use super::random::{Random, Topic};

/// A store.
#[derive(Debug, Clone)]
pub struct Store {
    /// `T001`
    pub code: String,
    /// What the sign says.
    pub name: String,
    /// Index in [`PROVINCES`].
    pub province: usize,
    /// Street and number.
    pub address: String,
    /// Five digits.
    pub postcode: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Sales area in square metres.
    pub area: u32,
    /// The year it opened.
    pub opened: u32,
}

impl Store {
    /// The province it is in.
    pub fn province(&self) -> &'static Province {
        &PROVINCES[self.province]
    }
}

/// Neighbourhood, codes of the provinces whose capitals have a store of that name.
const SIGNS: [(&str, &[&str]); 7] = [
    (
        "Centro",
        &[
            "28", "08", "46", "41", "50", "29", "30", "48", "15", "33", "47", "03", "18", "14",
        ],
    ),
    ("Estación", &["28", "08", "46", "41", "50", "29", "48", "39", "31"]),
    ("Universidad", &["28", "08", "46", "41", "37", "15", "18"]),
    ("Norte", &["28", "08", "46"]),
    ("Sur", &["28", "08", "41"]),
    ("Puerto", &["08", "46", "29", "36"]),
    ("Plaza Mayor", &["28", "45", "09", "24"]),
];

/// The 44 stores. Their places shift a little with the seed.
pub fn stores(seed: u64) -> Vec<Store> {
    let mut stores = Vec::new();
    for (sign, provinces) in SIGNS {
        for code in provinces {
            let Some(index) = PROVINCES.iter().position(|province| province.code == *code) else {
                continue;
            };
            let province = &PROVINCES[index];
            let number = stores.len() + 1;
            let mut random = Random::new(seed, Topic::Store, [number as u64]);
            let mut shifted = |degrees: f64| degrees + f64::from(random.between(-2_500, 2_500)) / 100_000.0;
            let (latitude, longitude) = (shifted(province.latitude), shifted(province.longitude));
            stores.push(Store {
                code: format!("T{number:03}"),
                name: format!("Colmado {} {sign}", province.capital),
                province: index,
                address: format!("{}, {}", random.pick(&STREETS), random.between(1, 180)),
                postcode: format!("{code}{:03}", random.between(1, 40)),
                latitude,
                longitude,
                area: 400 + 50 * random.below(40),
                opened: 1994 + random.below(29),
            });
        }
    }
    stores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_finds_its_province() {
        let stores = stores(1);
        assert_eq!(
            stores.len(),
            SIGNS.iter().map(|(_, provinces)| provinces.len()).sum::<usize>()
        );
        assert_eq!(stores.len(), 44);
    }
}
