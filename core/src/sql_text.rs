//! Names and texts in standard SQL.

/// The name in double quotes.
pub fn escape_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The text in single quotes, where a backslash is a character like any other.
pub fn escape_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
