//! The names of keys. A project states keys without naming them, so they have the names that PostgreSQL would give.

use cordada_core::TableName;

/// The name of a relation's primary key.
pub fn primary_key_name(relation: &TableName) -> String {
    format!("{}_pkey", relation.name())
}

/// The name of a relation's foreign key of those columns.
pub fn foreign_key_name(relation: &TableName, columns: &[String]) -> String {
    format!("{}_{}_fkey", relation.name(), columns.join("_"))
}
