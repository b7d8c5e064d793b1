//! Object identifiers. They are hashes of names, so that a function can tell a relation's without looking, and the same
//! relation has the same one in every release. Those of PostgreSQL's own objects are PostgreSQL's.

use super::NAME;

/// The owner of everything.
pub(in crate::query) const OWNER: i64 = 10;
/// The database.
pub(super) const DATABASE: i64 = 5;
/// The first identifier that PostgreSQL gives to objects of users.
const FIRST: u32 = 16_384;

/// PostgreSQL's tables that others refer to.
const SYSTEM: [(&str, i64); 9] = [
    ("pg_type", 1247),
    ("pg_attribute", 1249),
    ("pg_proc", 1255),
    ("pg_class", 1259),
    ("pg_authid", 1260),
    ("pg_database", 1262),
    ("pg_constraint", 2606),
    ("pg_namespace", 2615),
    ("pg_rewrite", 2618),
];

/// A schema's.
pub(in crate::query) fn of_schema(schema: &str) -> i64 {
    match schema {
        NAME => 11,
        other => of(&["schema", other]),
    }
}

/// A relation's.
pub(in crate::query) fn of_relation(schema: &str, name: &str) -> i64 {
    let system = SYSTEM.iter().filter(|_| schema == NAME);
    let mut system = system.filter(|(table, _)| *table == name);
    system
        .next()
        .map_or_else(|| of(&["relation", schema, name]), |(_, oid)| *oid)
}

/// A key's.
pub(super) fn of_constraint(schema: &str, relation: &str, name: &str) -> i64 {
    of(&["constraint", schema, relation, name])
}

/// A function's.
pub(super) fn of_function(name: &str) -> i64 {
    of(&["function", name])
}

/// FNV-1a over the parts, in the range of PostgreSQL's identifiers that fit into a signed number of four bytes.
fn of(parts: &[&str]) -> i64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let range = u64::from(i32::MAX.unsigned_abs() - FIRST);
    i64::from(FIRST) + i64::try_from(hash % range).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_stable_and_told_apart() {
        assert_eq!(of_relation("marts", "customers"), of_relation("marts", "customers"));
        assert_ne!(of_relation("marts", "customers"), of_relation("staging", "customers"));
        assert_ne!(of_relation("a", "bc"), of_relation("ab", "c"));
        assert_eq!(of_relation("pg_catalog", "pg_class"), 1259);
        assert!(of_relation("marts", "customers") >= i64::from(FIRST));
    }
}
