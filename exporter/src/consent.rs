//! Consent: only those who gave it leave the server.
//!
//! A project has a relation `marts.consents(customer_id, purpose, status, valid_until)`: the current consent of each
//! person to each purpose (`valid_until` may be missing). A row of the audience is sent only if its person has
//! `status = 'granted'` for the campaign's purpose, and the consent has not run out: `valid_until` is null, a day
//! that is not past, or a moment that is still to come. Should a relation hold several rows for a person and
//! purpose, every one has to be so: what contradicts itself is not consent. The condition is part of the query, so
//! that what is withheld never crosses the wire.

use std::fmt;

use arrow::datatypes::{DataType, Schema};
use cordada_core::sql_text::Dialect;
use cordada_core::suggest::did_you_mean;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The consent that a campaign rests on: a purpose, or a purpose and where to find it.
///
/// ```yaml
/// consent: email_marketing
/// consent: {purpose: email_marketing, relation: marts.consents, key: customer_id}
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Consent {
    /// What the person agreed to, as the column `purpose` says it.
    pub purpose: String,
    /// The relation that holds the consents.
    pub relation: String,
    /// The column that identifies a person, there and in the audience.
    pub key: String,
}

/// The column that identifies a person unless a campaign names another.
pub(crate) const DEFAULT_KEY: &str = "customer_id";
const DEFAULT_RELATION: &str = "marts.consents";
const VALID_UNTIL: &str = "valid_until";

impl Consent {
    /// The consent to `purpose`, found in the usual place.
    pub fn to(purpose: impl Into<String>) -> Self {
        Self {
            purpose: purpose.into(),
            relation: DEFAULT_RELATION.to_owned(),
            key: DEFAULT_KEY.to_owned(),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), String> {
        let is_name =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if self.purpose.trim().is_empty() {
            return Err("the purpose is empty".to_owned());
        }
        if self.key.is_empty() {
            return Err("the key is empty".to_owned());
        }
        if !self.relation.split('.').all(is_name) {
            return Err(format!(
                "`{}` is not a relation; write it as schema.table",
                self.relation
            ));
        }
        Ok(())
    }

    /// A query that returns no rows, for the columns of the relation.
    pub(crate) fn probe(&self) -> String {
        format!("select * from {} where false", self.from())
    }

    /// Checks the relation's columns and returns the condition that `row`, an alias in the query, has consent.
    pub(crate) fn condition(&self, row: &str, relation: &Schema) -> Result<String, String> {
        for column in [self.key.as_str(), "purpose", "status"] {
            if relation.column_with_name(column).is_none() {
                let columns = relation.fields().iter().map(|field| field.name().as_str());
                let hint = did_you_mean(column, "it has", columns);
                return Err(format!("`{}` has no column `{column}`; {hint}", self.relation));
            }
        }
        let valid = match relation.field_with_name(VALID_UNTIL).map(|field| field.data_type()) {
            Err(_) => String::new(),
            Ok(DataType::Date32 | DataType::Date64) => format!(" and coalesce({VALID_UNTIL} >= current_date, true)"),
            Ok(DataType::Timestamp(..)) => format!(" and coalesce({VALID_UNTIL} > now(), true)"),
            Ok(other) => {
                return Err(format!(
                    "`{}`.{VALID_UNTIL} is neither a date nor a timestamp but {other}",
                    self.relation
                ));
            }
        };
        let key = Dialect::Standard.identifier(&self.key);
        Ok(format!(
            "{row}.{key} in (select {key} from {} where purpose = {} group by {key} \
             having min(case when status = 'granted'{valid} then 1 else 0 end) = 1)",
            self.from(),
            Dialect::Standard.literal(&self.purpose),
        ))
    }

    fn from(&self) -> String {
        let parts = self.relation.split('.').map(|part| Dialect::Standard.identifier(part));
        parts.collect::<Vec<_>>().join(".")
    }
}

impl<'de> Deserialize<'de> for Consent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            purpose: String,
            relation: Option<String>,
            key: Option<String>,
        }

        struct ShortOrLong;

        impl<'de> Visitor<'de> for ShortOrLong {
            type Value = Consent;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a purpose, or `purpose`, `relation` and `key`")
            }

            fn visit_str<E>(self, purpose: &str) -> Result<Consent, E> {
                Ok(Consent::to(purpose))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Consent, A::Error> {
                let Long { purpose, relation, key } = Long::deserialize(MapAccessDeserializer::new(map))?;
                let usual = Consent::to(purpose);
                Ok(Consent {
                    relation: relation.unwrap_or(usual.relation),
                    key: key.unwrap_or(usual.key),
                    ..usual
                })
            }
        }

        deserializer.deserialize_any(ShortOrLong)
    }
}
