//! Names of relations, the one rule that makes snake_case of a source's names, and the column that landing and tables
//! both know.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::latin::{latin, spelled_out};
use crate::{Error, Result};

/// The column that landing adds to say where a row came from; tables write it in an encoding of its own.
pub const ORIGIN: &str = "_origin";

/// The column that landing adds to say when a row came.
pub const LOADED_AT: &str = "_loaded_at";

/// A table or view of the lake: `schema.name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName {
    schema: String,
    name: String,
}

impl TableName {
    /// A name from its parts.
    ///
    /// # Errors
    /// A part that is empty, begins with a dot or an underscore, or has characters other than letters, digits,
    /// `_` and `-`: it becomes a folder, so it must not wander.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Result<Self> {
        let (schema, name) = (schema.into(), name.into());
        for part in [&schema, &name] {
            let legal = part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
            if part.is_empty() || part.starts_with('_') || !legal {
                return Err(Error::config(
                    format!("naming the table {schema}.{name}"),
                    format!("`{part}` is not a name"),
                )
                .hint("use letters, digits and underscores, beginning with a letter or a digit"));
            }
        }
        Ok(Self { schema, name })
    }

    /// The schema: `raw_shop`, `staging`, `warehouse`, `marts`, `ml` or `ops`.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The relation's own name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl FromStr for TableName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('.') {
            Some((schema, name)) => Self::new(schema, name),
            None => Err(
                Error::config(format!("naming the table {text}"), "the schema is missing")
                    .hint("write it as schema.table"),
            ),
        }
    }
}

impl TryFrom<String> for TableName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.to_string()
    }
}

/// A source's name as a column or table name that nobody has to quote; empty when nothing is left of it.
///
/// Letters of other scripts are written in Latin ones. Symbols separate words; of a name that has nothing else they are
/// spelled out.
///
/// ```
/// use cordada_core::names::snake_case;
///
/// assert_eq!(snake_case("CustomerID"), "customer_id");
/// assert_eq!(snake_case("Unit Price (€)"), "unit_price");
/// assert_eq!(snake_case("2nd"), "_2nd");
/// assert_eq!(snake_case("Año"), "ano");
/// assert_eq!(snake_case("名称"), "ming_cheng");
/// assert_eq!(snake_case("%"), "percent");
/// ```
pub fn snake_case(name: &str) -> String {
    let snake = words(&latin(name));
    let snake = if snake.is_empty() {
        words(&spelled_out(name))
    } else {
        snake
    };
    if snake.is_empty() || !(name.starts_with('_') || snake.starts_with(|c: char| c.is_ascii_digit())) {
        snake
    } else {
        format!("_{snake}")
    }
}

/// The words of a text in Latin letters and digits, with underscores between them.
fn words(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut snake = String::with_capacity(text.len() + 4);
    for (at, &c) in characters.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            if !snake.is_empty() && !snake.ends_with('_') {
                snake.push('_');
            }
            continue;
        }
        let previous = at.checked_sub(1).map(|at| characters[at]);
        let next = characters.get(at + 1);
        let starts_word = c.is_ascii_uppercase()
            && previous.is_some_and(|p| {
                p.is_ascii_lowercase()
                    || (p.is_ascii_uppercase() && next.is_some_and(char::is_ascii_lowercase))
                    || (p.is_ascii_digit() && next.is_some_and(char::is_ascii_lowercase))
            });
        if starts_word && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake.trim_end_matches('_').to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_become_snake_case() {
        for (name, expected) in [
            ("CustomerID", "customer_id"),
            ("InvoiceNo", "invoice_no"),
            ("Unit Price (€)", "unit_price"),
            ("already_snake", "already_snake"),
            ("HTTPServer", "http_server"),
            ("2nd", "_2nd"),
            ("_id", "_id"),
            ("Año de alta", "ano_de_alta"),
            ("Straße", "strasse"),
            ("address2Line", "address2_line"),
            ("***", ""),
            ("An\u{303}o", "ano"),
            ("Größe in Ελλάδα", "grosse_in_ellada"),
            ("ОТЧЕТ", "otchet"),
            ("Размер Шага", "razmer_shaga"),
            ("中文 Name", "zhong_wen_name"),
            ("👍", "thumbsup"),
            ("+1", "_1"),
            ("#", "number"),
            ("€", "eur"),
        ] {
            assert_eq!(snake_case(name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn snake_case_is_stable_and_needs_no_quotes(name in "\\PC{0,30}") {
            let once = snake_case(&name);
            prop_assert_eq!(&snake_case(&once), &once);
            prop_assert!(once.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
        }
    }

    #[test]
    fn a_table_name_cannot_wander() {
        for text in ["a", "a.", ".b", "../x.b", "a.b/c", "_cordada.x", "a.b c"] {
            assert!(text.parse::<TableName>().is_err(), "{text}");
        }
        assert_eq!("raw_shop.orders".parse::<TableName>().unwrap().schema(), "raw_shop");
    }
}
