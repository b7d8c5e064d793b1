//! What somebody may read and write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cordada_core::TableName;

use crate::users::Role;

/// What somebody may read and write. Two users with equal access share plans.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Access {
    reads: Reach,
    writes: Reach,
}

/// Relations that are named one by one or by their schemas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Reach {
    /// All there are.
    all: bool,
    /// Whole schemas.
    schemas: BTreeSet<String>,
    /// Single relations.
    relations: BTreeSet<TableName>,
}

impl Access {
    /// Whoever may read and write all there is.
    pub fn everything() -> Self {
        let all = Reach {
            all: true,
            ..Reach::default()
        };
        Self {
            reads: all.clone(),
            writes: all,
        }
    }

    /// The union of what these roles may; of a role that is not among `all`, nothing.
    pub fn of(roles: &[String], all: &BTreeMap<String, Role>) -> Self {
        let roles = || roles.iter().filter_map(|role| all.get(role));
        Self {
            reads: Reach::of(roles().flat_map(|role| &role.read)),
            writes: Reach::of(roles().flat_map(|role| &role.write)),
        }
    }

    /// Whether all there is may be read, as it is.
    pub fn reads_everything(&self) -> bool {
        self.reads.all
    }

    /// Whether the relation may be read.
    pub fn may_read(&self, schema: &str, relation: &str) -> bool {
        self.reads.has(schema, relation)
    }

    /// Whether the relation may be written. It need not exist: who may write a schema may add relations to it.
    pub fn may_write(&self, schema: &str, relation: &str) -> bool {
        self.writes.has(schema, relation)
    }

    /// Whether anything at all may be written.
    pub fn writes(&self) -> bool {
        let Reach {
            all,
            schemas,
            relations,
        } = &self.writes;
        *all || !schemas.is_empty() || !relations.is_empty()
    }

    /// Whether anything in the schema may be read.
    pub fn sees_schema(&self, schema: &str) -> bool {
        self.reads.touches(schema)
    }
}

impl Reach {
    fn of<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        let mut reach = Self::default();
        for name in names {
            if name == "*" {
                reach.all = true;
            } else if let Ok(relation) = name.parse() {
                reach.relations.insert(relation);
            } else {
                reach.schemas.insert(name.clone());
            }
        }
        reach
    }

    fn has(&self, schema: &str, relation: &str) -> bool {
        let is_named = |named: &TableName| named.schema() == schema && named.name() == relation;
        self.all || self.schemas.contains(schema) || self.relations.iter().any(is_named)
    }

    fn touches(&self, schema: &str) -> bool {
        let is_in_schema = |named: &TableName| named.schema() == schema;
        self.all || self.schemas.contains(schema) || self.relations.iter().any(is_in_schema)
    }
}

/// The cause of an error that is about what somebody may do.
#[derive(Debug)]
pub struct Forbidden;

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no role of this user allows it")
    }
}

impl std::error::Error for Forbidden {}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(roles: &[&str]) -> Access {
        let role = |name: &str, read: &str, write: &[&str]| {
            let role = Role {
                read: vec![read.to_owned()],
                write: write.iter().map(|name| (*name).to_owned()).collect(),
            };
            (name.to_owned(), role)
        };
        let all = BTreeMap::from([
            role("analyst", "marts", &["sandbox"]),
            role("crm", "warehouse.dim_customer", &["crm.segments"]),
            role("admin", "*", &[]),
        ]);
        let roles: Vec<_> = roles.iter().map(|role| (*role).to_owned()).collect();
        Access::of(&roles, &all)
    }

    #[test]
    fn roles_add_up_and_nothing_is_readable_without_one() {
        let both = access(&["analyst", "crm"]);
        assert!(both.may_read("marts", "sales") && both.sees_schema("marts"));
        assert!(both.may_read("warehouse", "dim_customer") && both.sees_schema("warehouse"));
        assert!(!both.may_read("warehouse", "fct_sales"));
        assert!(!both.may_read("raw_shop", "orders") && !both.sees_schema("raw_shop"));
        assert!(!access(&[]).may_read("marts", "sales") && !access(&[]).sees_schema("marts"));
        assert!(access(&["admin"]).may_read("ops", "runs") && access(&["admin"]).reads_everything());
        assert_eq!(access(&["analyst", "crm"]), access(&["crm", "analyst"]));
    }

    #[test]
    fn who_reads_does_not_write() {
        let both = access(&["analyst", "crm"]);
        assert!(both.may_write("sandbox", "new") && both.may_write("crm", "segments"));
        assert!(!both.may_write("crm", "other") && !both.may_write("marts", "sales"));
        assert!(!access(&["admin"]).may_write("marts", "sales"));
        assert!(Access::everything().may_write("marts", "sales"));
    }
}
