//! What a role shows to one of its users, and how much of a relation that is.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, Field, Schema};
use cordada_core::TableName;
use cordada_core::types::PII;

use super::config::{Mask, Personal};
use super::mask::{fits, preset};
use super::template::Asker;
use crate::access::Reach;
use crate::users::Role;

/// What a policy is about when it is about all relations.
pub(super) const ALL: &str = "*";
/// A condition that holds for nothing: of a policy that cannot be read.
const NOTHING: &str = "false";

/// The relations that a role shows, and its policies, filled for one user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Grant {
    pub(crate) role: String,
    pub(crate) reads: Reach,
    rows: BTreeMap<String, String>,
    columns: BTreeMap<String, BTreeMap<String, Mask>>,
    personal: Personal,
}

/// What one role shows of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub role: String,
    /// The condition for its rows; all of them without one.
    pub rows: Option<String>,
    /// What is seen of each column, in their order.
    pub columns: Vec<Mask>,
}

impl Grant {
    /// What the role shows to that user. A condition that cannot be read holds for nothing, and a mask that cannot is
    /// null: [`Role`]s are checked before anybody is let in.
    pub(crate) fn new(role: &Role, asker: &Asker<'_>) -> Self {
        let fill = |condition: &String| asker.fill(condition).unwrap_or_else(|_| NOTHING.to_owned());
        let fill_mask = |mask: &Mask| match mask {
            Mask::Expression(sql) => asker.fill(sql).map_or(Mask::Null, Mask::Expression),
            other => other.clone(),
        };
        let of_columns = |masks: &BTreeMap<String, Mask>| {
            let masks = masks.iter().map(|(column, mask)| (column.clone(), fill_mask(mask)));
            masks.collect()
        };
        let rows = role.rows.iter().map(|(target, rows)| (target.clone(), fill(rows)));
        let columns = role.columns.iter();
        Self {
            role: asker.role.to_owned(),
            reads: Reach::of(role.read.iter()),
            rows: rows.collect(),
            columns: columns
                .map(|(target, masks)| (target.clone(), of_columns(masks)))
                .collect(),
            personal: role.pii.clone(),
        }
    }

    /// Whether a role hides the column by name: whatever its type, and of whatever is known of it.
    pub(crate) fn hides(&self, relation: &TableName, column: &str) -> bool {
        self.mask_by_name(relation, column) == Some(&Mask::Hidden)
    }

    /// The part of the relation that the role shows. `tags` are the kinds of personal data, by column.
    ///
    /// # Errors
    /// Why its policies do not fit the relation: a column that is not there, a mask that is not for its type.
    pub(super) fn part(
        &self,
        relation: &TableName,
        schema: &Schema,
        tags: &BTreeMap<String, String>,
    ) -> Result<Part, String> {
        let of_relation = self.columns.get(&relation.to_string());
        let known: BTreeSet<_> = schema.fields().iter().map(|field| field.name()).collect();
        if let Some(missing) = of_relation.and_then(|masks| masks.keys().find(|column| !known.contains(column))) {
            return Err(format!("there is no column `{missing}`"));
        }
        let columns = schema.fields().iter().map(|field| self.mask(relation, field, tags));
        let rows = targets(relation).filter_map(|target| self.rows.get(&target));
        let rows: Vec<_> = rows.map(|condition| format!("(\n{condition}\n)")).collect();
        Ok(Part {
            role: self.role.clone(),
            columns: columns.collect::<Result<_, _>>()?,
            rows: (!rows.is_empty()).then(|| rows.join(" and ")),
        })
    }

    fn mask(&self, relation: &TableName, field: &Field, tags: &BTreeMap<String, String>) -> Result<Mask, String> {
        if let Some(mask) = self.mask_by_name(relation, field.name()) {
            return match fits(mask, field.data_type()) {
                true => Ok(mask.clone()),
                false => Err(format!("the mask of `{}` is not for values of its type", field.name())),
            };
        }
        let kind = || tags.get(field.name()).cloned().or_else(|| kind_within(field));
        let Personal::Masked(kinds) = &self.personal else {
            return Ok(Mask::Clear);
        };
        Ok(kind().map_or(Mask::Clear, |kind| {
            let mask = kinds
                .get(&kind)
                .cloned()
                .unwrap_or_else(|| preset(&kind, field.data_type()));
            match fits(&mask, field.data_type()) {
                true => mask,
                false => Mask::Null,
            }
        }))
    }

    fn mask_by_name(&self, relation: &TableName, column: &str) -> Option<&Mask> {
        targets(relation).find_map(|target| self.columns.get(&target)?.get(column))
    }
}

impl Part {
    /// Whether it is all of the relation, as it is.
    pub(super) fn is_all(&self) -> bool {
        self.rows.is_none() && self.columns.iter().all(|mask| *mask == Mask::Clear)
    }
}

/// What a policy of a role may name that is about the relation, the nearest first.
fn targets(relation: &TableName) -> impl Iterator<Item = String> {
    [relation.to_string(), relation.schema().to_owned(), ALL.to_owned()].into_iter()
}

/// The kind of personal data that the column is, or has within its values.
fn kind_within(field: &Field) -> Option<String> {
    if let Some(kind) = field.metadata().get(PII) {
        return Some(kind.clone());
    }
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().find_map(|field| kind_within(field)),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => kind_within(item),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn grant(role: Role) -> Grant {
        let asker = Asker {
            user: "ana",
            role: "analyst",
            attributes: &BTreeMap::new(),
        };
        Grant::new(&role, &asker)
    }

    fn masks(masks: &[(&str, Mask)]) -> BTreeMap<String, Mask> {
        let masks = masks.iter().map(|(column, mask)| ((*column).to_owned(), mask.clone()));
        masks.collect()
    }

    fn customer() -> (TableName, Schema) {
        let tagged = |field: Field, kind: &str| field.with_metadata([(PII.to_owned(), kind.to_owned())].into());
        let within = tagged(Field::new("line", DataType::Utf8, true), "address");
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            tagged(Field::new("email", DataType::Utf8View, true), "email"),
            Field::new("home", DataType::Struct(vec![Arc::new(within)].into()), true),
            Field::new("phone", DataType::Utf8View, true),
        ]);
        ("warehouse.dim_customer".parse().unwrap(), schema)
    }

    #[test]
    fn the_nearest_policy_holds_for_a_column_and_all_of_them_for_rows() {
        let (relation, schema) = customer();
        let tags = BTreeMap::from([("phone".to_owned(), "phone".to_owned())]);
        let role = Role {
            rows: [("*", "a"), ("warehouse", "b"), ("marts", "c")]
                .map(|(target, rows)| (target.to_owned(), rows.to_owned()))
                .into(),
            columns: BTreeMap::from([
                (relation.to_string(), masks(&[("id", Mask::Null)])),
                (
                    "warehouse".to_owned(),
                    masks(&[("id", Mask::Hidden), ("other", Mask::Hidden)]),
                ),
            ]),
            pii: Personal::Masked(masks(&[("phone", Mask::Hash)])),
            ..Role::default()
        };
        let part = grant(role).part(&relation, &schema, &tags).unwrap();
        assert_eq!(part.columns, [Mask::Null, Mask::Partial, Mask::Null, Mask::Hash]);
        assert_eq!(part.rows.unwrap(), "(\nb\n) and (\na\n)");
        assert!(grant(Role::default()).part(&relation, &schema, &tags).unwrap().is_all());
    }

    #[test]
    fn a_policy_that_does_not_fit_is_said() {
        let (relation, schema) = customer();
        for (column, mask) in [("emial", Mask::Null), ("id", Mask::Hash)] {
            let role = Role {
                columns: BTreeMap::from([(relation.to_string(), masks(&[(column, mask)]))]),
                ..Role::default()
            };
            let why = grant(role).part(&relation, &schema, &BTreeMap::new()).unwrap_err();
            assert!(why.contains(column), "{why}");
        }
    }
}
