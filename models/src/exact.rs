//! Floating-point numbers in artefacts: as text, because `serde_json` reads numbers to within the last bit, and a
//! score must not depend on whether its model was fitted just now or read from the lake.

use serde::{Deserialize, Deserializer, Serializer};

/// The shortest text that is this number and no other.
pub(crate) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:?}"))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    parse::<D::Error>(&String::deserialize(deserializer)?)
}

fn parse<E: serde::de::Error>(text: &str) -> Result<f64, E> {
    text.parse().map_err(|_| E::custom("this is not a number"))
}

/// Rows of numbers.
pub(crate) mod table {
    use super::{Deserialize, Deserializer, Serializer, parse};

    pub(crate) fn serialize<S: Serializer>(rows: &[Vec<f64>], serializer: S) -> Result<S::Ok, S::Error> {
        let text = |row: &Vec<f64>| row.iter().map(|number| format!("{number:?}")).collect::<Vec<_>>();
        serializer.collect_seq(rows.iter().map(text))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<f64>>, D::Error> {
        let rows = Vec::<Vec<String>>::deserialize(deserializer)?;
        let row = |row: Vec<String>| row.iter().map(|text| parse(text)).collect();
        rows.into_iter().map(row).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Numbers {
        #[serde(with = "super")]
        one: f64,
        #[serde(with = "super::table")]
        many: Vec<Vec<f64>>,
    }

    proptest! {
        #[test]
        fn every_bit_comes_back(
            one in any::<f64>(),
            many in prop::collection::vec(prop::collection::vec(any::<f64>(), 0..4), 0..4),
        ) {
            let bits = |numbers: &Numbers| {
                let many = numbers.many.iter().map(|row| row.iter().map(|number| number.to_bits()).collect::<Vec<_>>());
                (numbers.one.to_bits(), many.collect::<Vec<_>>())
            };
            let numbers = Numbers { one, many };
            let text = serde_json::to_string(&numbers).unwrap();
            prop_assert_eq!(bits(&serde_json::from_str(&text).unwrap()), bits(&numbers));
        }
    }
}
