//! How roles say what they show of a relation.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

/// What somebody sees in the place of a column's values. Null stays null, and the column keeps its type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mask {
    /// The values.
    Clear,
    /// Nothing: the column is not there. A view that reads it reads null.
    Hidden,
    /// Null.
    Null,
    /// HMAC-SHA-256 in hexadecimal under a key of the lake: equal texts have equal hashes.
    Hash,
    /// Of a text, as much as tells a reader that it is plausible: `a***@acme.com`, `*** *** 789`, `M***`.
    Partial,
    /// Of a date or time, the first moment of its year; of a text that begins with a date, the year.
    Year,
    /// The same for all, as text that the column's type takes.
    Constant(String),
    /// An SQL expression over the relation's columns, cast to the column's type.
    Expression(String),
}

/// What becomes of columns that are tagged as personal data, where a role says nothing of the column itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Personal {
    /// They are shown.
    #[default]
    Clear,
    /// They are masked: by the kind of personal data, or the kind's preset.
    Masked(BTreeMap<String, Mask>),
}

const MASKS: &str = "`clear`, `hidden`, `null`, `hash`, `partial`, `year`, `{constant: …}` or `{expression: …}`";

impl Mask {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "clear" => Self::Clear,
            "hidden" => Self::Hidden,
            "null" => Self::Null,
            "hash" => Self::Hash,
            "partial" => Self::Partial,
            "year" => Self::Year,
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for Mask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MaskVisitor)
    }
}

struct MaskVisitor;

impl<'de> Visitor<'de> for MaskVisitor {
    type Value = Mask;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASKS)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Mask, E> {
        Ok(Mask::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Mask, E> {
        Ok(Mask::Null)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Mask, E> {
        Mask::named(name).ok_or_else(|| E::custom(format!("`{name}` is no mask: it is one of {MASKS}")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Mask, A::Error> {
        let mask = match map.next_key::<String>()?.as_deref() {
            Some("constant") => Mask::Constant(map.next_value::<Constant>()?.0),
            Some("expression") => Mask::Expression(map.next_value()?),
            Some(other) => return Err(de::Error::unknown_field(other, &["constant", "expression"])),
            None => return Err(de::Error::custom(format!("a mask is one of {MASKS}"))),
        };
        match map.next_key::<String>()? {
            None => Ok(mask),
            Some(_) => Err(de::Error::custom("a mask is one thing")),
        }
    }
}

/// A value of YAML as the text of it.
struct Constant(String);

impl<'de> Deserialize<'de> for Constant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConstantVisitor)
    }
}

struct ConstantVisitor;

impl Visitor<'_> for ConstantVisitor {
    type Value = Constant;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, or true or false")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Constant, E> {
        Ok(Constant(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Constant, E> {
        Ok(Constant(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Constant, E> {
        Ok(Constant(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Constant, E> {
        Ok(Constant(value.to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Constant, E> {
        Ok(Constant(value.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Personal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PersonalVisitor)
    }
}

struct PersonalVisitor;

impl<'de> Visitor<'de> for PersonalVisitor {
    type Value = Personal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`clear`, `masked`, or masks by the kind of personal data: `{email: hash}`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Personal, E> {
        match name {
            "clear" => Ok(Personal::Clear),
            "masked" => Ok(Personal::Masked(BTreeMap::new())),
            other => Err(E::custom(format!(
                "personal columns are `clear` or `masked`, or each kind has its mask: not `{other}`"
            ))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Personal, A::Error> {
        let mut masks = BTreeMap::new();
        while let Some(kind) = map.next_key::<String>()? {
            let mask = map.next_value()?;
            if matches!(mask, Mask::Expression(_)) {
                return Err(de::Error::custom(format!(
                    "`{kind}` names no column that an expression could be over: write it under `columns`"
                )));
            }
            masks.insert(kind, mask);
        }
        Ok(Personal::Masked(masks))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use cordada_core::yaml;

    use super::*;
    use crate::users::Role;

    fn role(text: &str) -> Result<Role, String> {
        yaml::parse(Path::new("cordada.yml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_role_says_what_it_shows() {
        let role = role(
            "read: [warehouse]\n\
             rows: {warehouse.fct_sale: \"country = attribute('country')\"}\n\
             columns:\n  warehouse.dim_customer: {phone: null, email: hash, score: {constant: 0}, vat: hidden}\n\
             pii: {name: partial, email: clear}\n",
        )
        .unwrap();
        let columns = &role.columns["warehouse.dim_customer"];
        assert_eq!(columns["phone"], Mask::Null);
        assert_eq!(columns["score"], Mask::Constant("0".to_owned()));
        assert_eq!(columns["vat"], Mask::Hidden);
        let kinds = [("name".to_owned(), Mask::Partial), ("email".to_owned(), Mask::Clear)];
        assert_eq!(role.pii, Personal::Masked(kinds.into()));
    }

    #[test]
    fn what_is_no_mask_is_refused() {
        for (text, says) in [
            ("columns: {a.b: {c: hsah}}", "`hsah` is no mask"),
            ("columns: {a.b: {c: {konstant: 1}}}", "konstant"),
            ("columns: {a.b: {c: {constant: 1, expression: x}}}", "one thing"),
            ("pii: mask", "not `mask`"),
            ("pii: {email: {expression: \"'x'\"}}", "under `columns`"),
        ] {
            let error = role(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
