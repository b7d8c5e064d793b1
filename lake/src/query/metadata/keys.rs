//! Keys. A project states them without naming them, so they have the names that PostgreSQL would give.

use cordada_core::TableName;

use crate::release::Docs;

/// The columns of a relation's primary key, if it has one: what is tested unique and not null. The key of a landed stream
/// is not such: it tells the rows of one record apart, and may be null.
pub fn primary_key<'a>(relation: &TableName, docs: &'a Docs) -> &'a [String] {
    match relation.schema().starts_with("raw_") {
        true => &[],
        false => &docs.primary_key,
    }
}

/// The name of a relation's primary key.
pub fn primary_key_name(relation: &TableName) -> String {
    format!("{}_pkey", relation.name())
}

/// The name of a relation's foreign key of those columns.
pub fn foreign_key_name(relation: &TableName, columns: &[String]) -> String {
    format!("{}_{}_fkey", relation.name(), columns.join("_"))
}
