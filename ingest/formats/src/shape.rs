//! The shape of a column's values, gathered over all files of a load, and the type it asks for.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use cordada_core::Result;
use cordada_core::source_names::SourceNames;
use cordada_core::types::widest;

use crate::values::evidence::Evidence;

/// Objects with more keys than this are maps rather than records: they land as JSON text.
pub(crate) const MAX_FIELDS: usize = 1_000;

/// Records and lists that may be within one another in a column. What is deeper lands as JSON text, for neither this
/// program nor others read tables of types that are nested without end.
pub const MAX_LEVELS: usize = 16;

/// What the values of a column look like.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Single values, or nothing but nulls.
    Scalar(Evidence),
    /// Lists, with the shape of their items.
    List(Box<Shape>),
    /// Objects, with the shape of the value of each key: by the source's own names until they are given the lake's.
    Object(Vec<(String, Shape)>),
    /// Values of a type that the source or the configuration declares.
    Declared(DataType),
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
            (Shape::Object(ours), Shape::Object(theirs)) => {
                for (key, theirs) in theirs {
                    match ours.iter_mut().find(|(ours, _)| *ours == key) {
                        Some((_, ours)) => ours.merge(theirs),
                        None => ours.push((key, theirs)),
                    }
                }
            }
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

    /// The type of the values, for a table whose column is `existing` so far: that one if every value fits it.
    ///
    /// # Errors
    /// None that a user could cause.
    pub fn data_type(&self, existing: Option<&DataType>) -> Result<DataType> {
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
                DataType::List(Arc::new(Field::new("element", item.data_type(existing)?, true)))
            }
            (Shape::Object(keys), _) if keys.is_empty() || keys.len() > MAX_FIELDS => DataType::Utf8,
            (Shape::Object(keys), existing) => {
                let existing = match existing {
                    Some(DataType::Struct(fields)) => Some(fields),
                    _ => None,
                };
                DataType::Struct(object_fields(keys, existing)?)
            }
        };
        Ok(match existing {
            Some(existing) => widest(existing, &own),
            None => own,
        })
    }
}

fn object_fields(keys: &[(String, Shape)], existing: Option<&Fields>) -> Result<Fields> {
    // Names that have been given stay as they are.
    let keys_alone: Vec<_> = keys.iter().map(|(key, _)| key.clone()).collect();
    let names = SourceNames::default().assign(&keys_alone);
    let mut fields: Vec<Arc<Field>> = Vec::with_capacity(keys.len());
    for ((_, shape), name) in keys.iter().zip(names) {
        let existing = existing
            .and_then(|fields| fields.find(&name))
            .map(|(_, field)| field.data_type());
        let data_type = shape.data_type(existing)?;
        fields.push(Arc::new(Field::new(name, data_type, true)));
    }
    Ok(fields.into())
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
        let mut shape = Shape::Object(vec![("zipCode".into(), scalar("1"))]);
        shape.merge(Shape::Object(vec![
            ("zipCode".into(), scalar("A1")),
            ("city".into(), scalar("x")),
        ]));
        let DataType::Struct(fields) = shape.data_type(None).unwrap() else {
            unreachable!()
        };
        let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["zip_code", "city"]);
        assert_eq!(fields[0].data_type(), &DataType::Utf8);
    }
}
