//! Names and texts in SQL, quoted as its dialects do.

use crate::hex;

/// How SQL is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// As the standard has it, a backslash being a character like any other: the lake's, PostgreSQL's, SQLite's.
    Standard,
    /// MySQL's and MariaDB's.
    Mysql,
}

impl Dialect {
    /// The name in quotes.
    pub fn identifier(self, name: &str) -> String {
        let quote = self.quote();
        let mut quoted = String::with_capacity(name.len() + 2);
        quoted.push(quote);
        for c in name.chars() {
            quoted.push(c);
            if c == quote {
                quoted.push(c);
            }
        }
        quoted.push(quote);
        quoted
    }

    /// The text as a literal.
    pub fn literal(self, text: &str) -> String {
        match self {
            Dialect::Standard => format!("'{}'", text.replace('\'', "''")),
            Dialect::Mysql if text.is_empty() => "''".to_owned(),
            // In hexadecimal: what a backslash means depends on the server's settings.
            Dialect::Mysql => format!("_utf8mb4 0x{}", hex::encode(text.as_bytes())),
        }
    }

    /// The schema, if there is one, and the name in `name` or `schema.name`, each of them in quotes if it has dots.
    pub fn split_name(self, written: &str) -> (Option<String>, String) {
        let mut is_quoted = false;
        let dot = written.char_indices().find_map(|(at, c)| {
            is_quoted ^= c == self.quote();
            (c == '.' && !is_quoted).then_some(at)
        });
        match dot {
            Some(dot) => (Some(self.unquoted(&written[..dot])), self.unquoted(&written[dot + 1..])),
            None => (None, self.unquoted(written)),
        }
    }

    fn unquoted(self, name: &str) -> String {
        let quote = self.quote();
        match name.strip_prefix(quote).and_then(|name| name.strip_suffix(quote)) {
            Some(inner) => inner.replace(&format!("{quote}{quote}"), &quote.to_string()),
            None => name.to_owned(),
        }
    }

    fn quote(self) -> char {
        match self {
            Dialect::Standard => '"',
            Dialect::Mysql => '`',
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_within_are_doubled() {
        assert_eq!(Dialect::Standard.identifier("a\"b`"), "\"a\"\"b`\"");
        assert_eq!(Dialect::Mysql.identifier("a\"b`"), "`a\"b```");
        assert_eq!(Dialect::Standard.literal("it's \\"), "'it''s \\'");
    }

    #[test]
    fn texts_for_mysql_do_not_depend_on_settings() {
        assert_eq!(Dialect::Mysql.literal("a'\\"), "_utf8mb4 0x61275c");
        assert_eq!(Dialect::Mysql.literal(""), "''");
    }

    #[test]
    fn names_are_split_at_the_dot_that_separates() {
        let split = |written| Dialect::Standard.split_name(written);
        assert_eq!(split("public.sales"), (Some("public".into()), "sales".into()));
        assert_eq!(split("\"Order.Lines\""), (None, "Order.Lines".into()));
        assert_eq!(
            split("erp.\"Order \"\"Lines\"\"\""),
            (Some("erp".into()), "Order \"Lines\"".into())
        );
        assert_eq!(
            Dialect::Mysql.split_name("`a.b`.`c``d`"),
            (Some("a.b".into()), "c`d".into())
        );
    }

    proptest! {
        #[test]
        fn any_quoted_name_is_read_back(schema: String, name: String) {
            for dialect in [Dialect::Standard, Dialect::Mysql] {
                let written = format!("{}.{}", dialect.identifier(&schema), dialect.identifier(&name));
                prop_assert_eq!(dialect.split_name(&written), (Some(schema.clone()), name.clone()));
            }
        }
    }
}
