//! The shape of a column's values, gathered over all files of a load, and the type it asks for.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use chrono_tz::Tz;
use cordada_core::names::snake_case;
use cordada_core::spelling::{self, Spelling};
use cordada_core::types::widest;
use cordada_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::values::evidence::Evidence;

/// Objects with more keys than this are maps rather than records: they land as JSON text.
const MAX_FIELDS: usize = 1_000;

/// What the values of a column look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// Single values, or nothing but nulls.
    #[serde(rename = "v")]
    Scalar(Evidence),
    /// Lists, with the shape of their items.
    #[serde(rename = "l")]
    List(Box<Shape>),
    /// Objects.
    #[serde(rename = "o")]
    Object(Object),
    /// Values of a type that the source or the configuration declares.
    #[serde(skip)]
    Declared(DataType),
}

/// What objects look like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// How many there are.
    #[serde(rename = "n")]
    pub objects: u64,
    /// Their keys, as they were met.
    #[serde(rename = "k")]
    pub keys: Vec<Key>,
}

/// A key of objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// As the source calls it.
    #[serde(rename = "k")]
    pub name: String,
    /// How many objects have it.
    #[serde(rename = "n")]
    pub objects: u64,
    /// What its values look like.
    #[serde(rename = "v")]
    pub values: Shape,
}

impl Default for Shape {
    fn default() -> Self {
        Shape::Scalar(Evidence::default())
    }
}

impl Shape {
    /// A shape that only text holds.
    pub const TEXT: Shape = Shape::Scalar(Evidence::TEXT);

    /// Whether only nulls have been seen.
    fn is_empty(&self) -> bool {
        matches!(self, Shape::Scalar(evidence) if evidence.is_empty())
    }

    /// Takes in everything that `other` has seen. What does not go together is text.
    pub fn merge(&mut self, other: Shape) {
        match (&mut *self, other) {
            (_, other) if other.is_empty() => {}
            (ours, other) if ours.is_empty() => *ours = other,
            (Shape::Scalar(ours), Shape::Scalar(theirs)) => ours.merge(&theirs),
            (Shape::List(ours), Shape::List(theirs)) => ours.merge(*theirs),
            (Shape::Object(ours), Shape::Object(theirs)) => ours.merge(theirs),
            (Shape::Declared(ours), Shape::Declared(theirs)) => *ours = widest(ours, &theirs),
            (Shape::Declared(ours), Shape::Scalar(theirs)) if theirs.fits(ours) => {}
            (Shape::Declared(ours), Shape::Scalar(theirs)) => *ours = widest(ours, &theirs.tight_type()),
            (Shape::Scalar(_), declared @ Shape::Declared(_)) => {
                let ours = std::mem::replace(self, declared);
                self.merge(ours);
            }
            (ours, _) => *ours = Shape::TEXT,
        }
    }

    /// The type of the values, for a table whose column is `existing` so far: that one if every value fits it. Null if
    /// there is no value; what has none within lists is text, and within records is left out.
    ///
    /// # Errors
    /// Config: two keys of an object have the same name in snake_case.
    pub fn data_type(&self, existing: Option<&DataType>) -> Result<DataType> {
        let existing = existing.filter(|existing| **existing != DataType::Null);
        let own = match (self, existing) {
            (Shape::Scalar(evidence), Some(existing)) if evidence.fits(existing) => return Ok(existing.clone()),
            // No room to grow: the table's own type brings that.
            (Shape::Scalar(evidence), Some(DataType::Decimal128(..))) => evidence.tight_type(),
            (Shape::Scalar(evidence), _) => evidence.data_type(),
            (Shape::Declared(data_type), _) => data_type.clone(),
            (Shape::List(item), existing) => {
                let existing = match existing {
                    Some(DataType::List(item)) => Some(item.data_type()),
                    _ => None,
                };
                let item = match item.data_type(existing)? {
                    DataType::Null => DataType::Utf8,
                    item => item,
                };
                DataType::List(Arc::new(Field::new("element", item, true)))
            }
            (Shape::Object(object), _) if object.keys.len() > MAX_FIELDS => DataType::Utf8,
            (Shape::Object(object), existing) => {
                let existing = match existing {
                    Some(DataType::Struct(fields)) => Some(fields),
                    _ => None,
                };
                match object.fields(existing)? {
                    fields if !fields.is_empty() => DataType::Struct(fields),
                    // Objects in which nothing has a value yet are their own JSON until then.
                    _ => existing.map_or(DataType::Utf8, |fields| DataType::Struct(fields.clone())),
                }
            }
        };
        Ok(match existing {
            Some(existing) => widest(existing, &own),
            None => own,
        })
    }

    /// As much as a table keeps of it, so that what lands later is as if it had landed with the rest; `None` if a type is
    /// declared, which says all itself.
    pub fn kept(&self) -> Option<Shape> {
        Some(match self {
            Shape::Scalar(evidence) => Shape::Scalar(evidence.kept()),
            Shape::List(item) => Shape::List(Box::new(item.kept()?)),
            Shape::Object(object) if object.keys.len() > MAX_FIELDS => Shape::TEXT,
            Shape::Object(object) => Shape::Object(object.kept()?),
            Shape::Declared(_) => return None,
        })
    }

    /// How the values were written; times that carry no zone are of `zone`.
    pub fn spelling(&self, zone: Tz) -> Spelling {
        match self {
            Shape::Scalar(evidence) => evidence.spelling(zone),
            Shape::List(item) => Spelling::List(Box::new(item.spelling(zone))),
            Shape::Object(object) => {
                let keys = object.keys.iter().map(|key| spelling::Key {
                    own: key.name.clone(),
                    name: snake_case(&key.name),
                    always: key.objects == object.objects,
                    values: key.values.spelling(zone),
                });
                Spelling::Object(keys.collect())
            }
            Shape::Declared(_) => Spelling::Canonical,
        }
    }
}

impl Object {
    /// Takes in that the next object has a key of that name; what its values look like. The keys of one object mostly
    /// come in the order of those of the last, in which this one is `expected`.
    pub fn key(&mut self, expected: usize, name: &[u8]) -> &mut Shape {
        let is_it = |key: &Key| key.name.as_bytes() == name;
        let at = Some(expected).filter(|at| self.keys.get(*at).is_some_and(is_it));
        let at = at.or_else(|| self.keys.iter().position(is_it)).unwrap_or_else(|| {
            self.keys.push(Key {
                name: String::from_utf8_lossy(name).into_owned(),
                objects: 0,
                values: Shape::default(),
            });
            self.keys.len() - 1
        });
        let key = &mut self.keys[at];
        key.objects += 1;
        &mut key.values
    }

    fn merge(&mut self, other: Object) {
        self.objects += other.objects;
        let counterparts: Vec<_> = other
            .keys
            .iter()
            .map(|key| self.counterpart(&key.name, &other))
            .collect();
        for (theirs, ours) in other.keys.into_iter().zip(counterparts) {
            match ours.map(|at| &mut self.keys[at]) {
                Some(ours) => {
                    ours.objects += theirs.objects;
                    ours.values.merge(theirs.values);
                }
                None => self.keys.push(theirs),
            }
        }
    }

    /// Which of our keys is that of `other`: the same, or one that the source writes in another case now.
    fn counterpart(&self, name: &str, other: &Object) -> Option<usize> {
        let exact = self.keys.iter().position(|ours| ours.name == name);
        exact.or_else(|| {
            let column = snake_case(name);
            let is_theirs = |ours: &Key| other.keys.iter().any(|theirs| theirs.name == ours.name);
            let same = |ours: &Key| snake_case(&ours.name) == column && !is_theirs(ours);
            self.keys.iter().position(same)
        })
    }

    /// The keys that have values, as fields.
    fn fields(&self, existing: Option<&Fields>) -> Result<Fields> {
        let names = column_names(self.keys.iter().map(|key| key.name.as_str()))?;
        let mut fields: Vec<Arc<Field>> = Vec::with_capacity(self.keys.len());
        for (key, name) in self.keys.iter().zip(names) {
            let existing = existing
                .and_then(|fields| fields.find(&name))
                .map(|(_, field)| field.data_type());
            match key.values.data_type(existing)? {
                DataType::Null => {}
                data_type => fields.push(Arc::new(Field::new(name, data_type, true))),
            }
        }
        Ok(fields.into())
    }

    /// Of the numbers only whether all objects have a key.
    fn kept(&self) -> Option<Object> {
        let keys = self.keys.iter().map(|key| {
            Some(Key {
                name: key.name.clone(),
                objects: u64::from(key.objects == self.objects && self.objects > 0),
                values: key.values.kept()?,
            })
        });
        Some(Object {
            objects: self.objects.min(1),
            keys: keys.collect::<Option<_>>()?,
        })
    }
}

/// The names in snake_case.
///
/// # Errors
/// Config: two names become the same, or nothing is left of one.
pub fn column_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<String>> {
    let mut seen = std::collections::HashMap::new();
    let named = |name: &'a str| {
        let column = snake_case(name);
        if column.is_empty() {
            let why = format!("nothing is left of `{name}` without its punctuation");
            return Err(Error::config("naming the columns", why).hint("rename it in the source"));
        }
        match seen.insert(column.clone(), name) {
            None => Ok(column),
            Some(other) => {
                let why = format!("`{other}` and `{name}` would both be the column {column}");
                Err(Error::config("naming the columns", why).hint("rename one of them in the source"))
            }
        }
    };
    names.map(named).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::values::evidence::timestamp;

    fn scalar(value: &str) -> Shape {
        let mut evidence = Evidence::default();
        evidence.observe(value.as_bytes(), b'.');
        Shape::Scalar(evidence)
    }

    #[test]
    fn what_does_not_go_together_is_text() {
        let mut shape = Shape::default();
        shape.merge(scalar("1"));
        assert_eq!(shape.data_type(None).unwrap(), DataType::Int64);
        shape.merge(Shape::default());
        shape.merge(Shape::List(Box::default()));
        assert_eq!(shape.data_type(None).unwrap(), DataType::Utf8);
    }

    #[test]
    fn a_table_widens_only_for_what_does_not_fit() {
        let money = DataType::Decimal128(18, 2);
        assert_eq!(scalar("7").data_type(Some(&money)).unwrap(), money);
        assert_eq!(
            scalar("7.125").data_type(Some(&money)).unwrap(),
            DataType::Decimal128(19, 3)
        );
        assert_eq!(
            scalar("85123A").data_type(Some(&DataType::Int64)).unwrap(),
            DataType::Utf8
        );
        assert_eq!(scalar("5").data_type(Some(&DataType::Utf8)).unwrap(), DataType::Utf8);
        assert_eq!(scalar("2024-01-01").data_type(Some(&timestamp())).unwrap(), timestamp());
        assert_eq!(Shape::default().data_type(Some(&money)).unwrap(), money);
    }

    #[test]
    fn objects_merge_by_key() {
        let object = |keys: Vec<(&str, Shape)>| {
            let mut object = Object {
                objects: 1,
                ..Object::default()
            };
            for (at, (key, shape)) in keys.into_iter().enumerate() {
                *object.key(at, key.as_bytes()) = shape;
            }
            Shape::Object(object)
        };
        let mut shape = object(vec![("zipCode", scalar("1")), ("fax", Shape::default())]);
        shape.merge(object(vec![("zipCode", scalar("A1")), ("city", scalar("x"))]));
        assert_eq!(
            serde_json::from_str::<Shape>(&serde_json::to_string(&shape).unwrap()).unwrap(),
            shape
        );
        let DataType::Struct(fields) = shape.data_type(None).unwrap() else {
            unreachable!()
        };
        let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["zip_code", "city"]);
        assert_eq!(fields[0].data_type(), &DataType::Utf8);
    }

    #[test]
    fn a_key_in_another_case_is_the_same_unless_both_come_together() {
        let object = |keys: &[&str]| {
            let mut object = Object::default();
            for (at, key) in keys.iter().enumerate() {
                *object.key(at, key.as_bytes()) = scalar("1");
            }
            Shape::Object(object)
        };
        let mut shape = object(&["userId"]);
        shape.merge(object(&["userID"]));
        assert!(matches!(shape.data_type(None).unwrap(), DataType::Struct(fields) if fields.len() == 1));
        shape.merge(object(&["userId", "userID"]));
        assert!(shape.data_type(None).is_err());
    }

    #[test]
    fn names_that_collide_are_named() {
        let error = column_names(["userId", "b", "user_id"].into_iter()).unwrap_err();
        assert!(error.to_string().contains("`userId` and `user_id`"), "{error}");
        assert!(column_names(["***"].into_iter()).is_err());
    }
}
