//! The shape of a column's values, gathered over all files of a load, and the type it asks for.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use cordada_core::Result;
use cordada_core::source_names::SourceNames;
use cordada_core::spelling::{self, Spelling};
use cordada_core::types::widest;
use serde::{Deserialize, Serialize};

use crate::values::evidence::Evidence;
use crate::values::zones::Zone;

/// Objects with more keys than this are maps rather than records: they land as JSON text.
pub(crate) const MAX_FIELDS: usize = 1_000;

/// Records and lists that may be within one another in a column. What is deeper lands as JSON text, for neither this
/// program nor others read tables of types that are nested without end.
pub const MAX_LEVELS: usize = 16;

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
    /// Their keys, as they were met.
    #[serde(rename = "k")]
    pub keys: Vec<Key>,
    /// Where they are, as far as somebody looked.
    #[serde(skip)]
    places: Places,
}

/// Where the keys of objects are, by their names. It says nothing that the keys themselves do not say.
#[derive(Debug, Clone, Default)]
struct Places(HashMap<Vec<u8>, usize>);

impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Places {}

/// Keys of objects up to which it is quicker to compare all of them.
const FEW_KEYS: usize = 16;

/// A key of objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// As the source calls it, until it is given the lake's name.
    #[serde(rename = "k")]
    pub name: String,
    /// What the source calls it, if that is another.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
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
            (Shape::List(ours), Shape::List(theirs)) => {
                ours.merge(*theirs);
                ours.bound();
            }
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

    /// Makes text of what is within a column and has more keys than a record: nobody needs to know them all.
    pub(crate) fn bound(&mut self) {
        if matches!(self, Shape::Object(object) if object.keys.len() > MAX_FIELDS) {
            *self = Shape::TEXT;
        }
    }

    /// The type of the values, for a table whose column is `existing` so far: that one if every value fits it. Null if
    /// there is no value; what has none within lists is text, and within records is left out.
    ///
    /// # Errors
    /// None that a user could cause.
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
    pub fn spelling(&self, zone: Zone<'_>) -> Spelling {
        match self {
            Shape::Scalar(evidence) => evidence.spelling(zone.tz),
            Shape::List(item) => Spelling::List(Box::new(item.spelling(zone))),
            Shape::Object(object) => {
                let keys = object.keys.iter().map(|key| spelling::Key {
                    own: key.own.as_ref().unwrap_or(&key.name).clone(),
                    name: key.name.clone(),
                    values: key.values.spelling(zone.field(&key.name)),
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
        let at = at.or_else(|| self.place(name)).unwrap_or_else(|| {
            self.keys.push(Key {
                name: String::from_utf8_lossy(name).into_owned(),
                own: None,
                values: Shape::default(),
            });
            self.keys.len() - 1
        });
        &mut self.keys[at].values
    }

    /// Where the key of that name is.
    fn place(&mut self, name: &[u8]) -> Option<usize> {
        if self.keys.len() <= FEW_KEYS {
            return self.keys.iter().position(|key| key.name.as_bytes() == name);
        }
        let known = self.places.0.len();
        let new = self.keys.iter().enumerate().skip(known);
        self.places
            .0
            .extend(new.map(|(at, key)| (key.name.clone().into_bytes(), at)));
        self.places.0.get(name).copied()
    }

    fn merge(&mut self, other: Object) {
        for (expected, theirs) in other.keys.into_iter().enumerate() {
            let at = Some(expected).filter(|at| self.keys.get(*at).is_some_and(|ours| ours.name == theirs.name));
            match at.or_else(|| self.place(theirs.name.as_bytes())) {
                Some(at) => {
                    let ours = &mut self.keys[at];
                    ours.values.merge(theirs.values);
                    ours.values.bound();
                }
                None => self.keys.push(theirs),
            }
        }
    }

    /// Gives the keys other names.
    pub(crate) fn rename(&mut self, mut rename: impl FnMut(&mut Key)) {
        self.keys.iter_mut().for_each(&mut rename);
        self.places = Places::default();
    }

    /// The keys that have values, as fields.
    fn fields(&self, existing: Option<&Fields>) -> Result<Fields> {
        // Names that have been given stay as they are.
        let keys: Vec<_> = self.keys.iter().map(|key| key.name.clone()).collect();
        let names = SourceNames::default().assign(&keys);
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

    fn kept(&self) -> Option<Object> {
        let keys = self.keys.iter().map(|key| {
            Some(Key {
                name: key.name.clone(),
                own: key.own.clone(),
                values: key.values.kept()?,
            })
        });
        Some(Object {
            keys: keys.collect::<Option<_>>()?,
            places: Places::default(),
        })
    }
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
            let mut object = Object::default();
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
    fn many_keys_in_any_order_are_found_and_too_many_are_text() {
        let object = |keys: &mut dyn Iterator<Item = usize>| {
            let mut object = Object::default();
            for (at, key) in keys.enumerate() {
                *object.key(at, format!("k{key}").as_bytes()) = scalar("1");
            }
            object
        };
        let mut all = object(&mut (0..MAX_FIELDS));
        all.merge(object(&mut (0..MAX_FIELDS).rev()));
        assert_eq!(all.keys.len(), MAX_FIELDS);
        // As a column of its own it may have as many as it likes; within one it is text.
        let within = |object: Object| {
            let mut outer = Object::default();
            *outer.key(0, b"c") = Shape::Object(object);
            Shape::Object(outer)
        };
        let mut shape = within(all);
        shape.merge(within(object(&mut (MAX_FIELDS..=MAX_FIELDS))));
        let Shape::Object(outer) = shape else { unreachable!() };
        assert_eq!(outer.keys[0].values, Shape::TEXT);
    }
}
