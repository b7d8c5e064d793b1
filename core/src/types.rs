//! Which Arrow types a Delta table holds, and how the others are converted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

/// The field metadata that a table keeps: text for people, and the kind of personal data.
pub const COMMENT: &str = "comment";
/// See [`COMMENT`]; a column with it gets no statistics, because minimum and maximum are values.
pub const PII: &str = "pii";

/// The schema as a Delta table holds it: UInt64 → Decimal(20,0), other unsigned → the next wider signed,
/// timestamps → microseconds UTC, Date64 → Date32, decimals of more than 38 digits → Utf8, Utf8View, LargeUtf8, Null, times,
/// durations and intervals → Utf8, dictionaries → their values; every column nullable; of the field metadata only
/// `comment` and `pii` stay (anything else makes some foreign readers misread).
pub fn storable(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(storable_field).collect::<Vec<_>>())
}

fn storable_field(field: &FieldRef) -> Field {
    let kept: HashMap<_, _> = field
        .metadata()
        .iter()
        .filter(|(key, _)| [COMMENT, PII].contains(&key.as_str()))
        .collect();
    let kept = kept
        .into_iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Field::new(field.name(), storable_type(field.data_type()), true).with_metadata(kept)
}

/// One type as a Delta table holds it; see [`storable`].
pub fn storable_type(data_type: &DataType) -> DataType {
    use DataType as T;
    let nested = |field: &FieldRef| Arc::new(storable_field(field));
    match data_type {
        T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        T::UInt32 => T::Int64,
        T::UInt64 => T::Decimal128(20, 0),
        T::Float16 => T::Float32,
        T::Timestamp(_, _) => T::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        T::Date64 => T::Date32,
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) if *s >= 0 => T::Decimal128(*p, *s),
        T::Decimal256(p, s) if *p <= 38 && *s >= 0 => T::Decimal128(*p, *s),
        T::Decimal256(..) => T::Utf8,
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) => {
            T::Decimal128(p.saturating_add(s.unsigned_abs()).min(38), 0)
        }
        T::Utf8View | T::LargeUtf8 | T::Null | T::Time32(_) | T::Time64(_) | T::Duration(_) | T::Interval(_) => T::Utf8,
        T::BinaryView | T::LargeBinary | T::FixedSizeBinary(_) => T::Binary,
        T::Dictionary(_, values) => storable_type(values),
        T::RunEndEncoded(_, values) => storable_type(values.data_type()),
        T::List(item) | T::LargeList(item) | T::ListView(item) | T::LargeListView(item) | T::FixedSizeList(item, _) => {
            T::List(Arc::new(storable_field(item).with_name("element")))
        }
        T::Struct(fields) => T::Struct(fields.iter().map(nested).collect()),
        T::Map(entries, _) => T::Map(map_entries(entries), false),
        other => other.clone(),
    }
}

/// Map entries as Delta names them; a map's key is never null.
fn map_entries(entries: &FieldRef) -> FieldRef {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => {
            let key = storable_field(&fields[0]).with_name("key").with_nullable(false);
            let value = storable_field(&fields[1]).with_name("value");
            Arc::new(Field::new(
                "key_value",
                DataType::Struct(vec![key, value].into()),
                false,
            ))
        }
        _ => entries.clone(),
    }
}

/// The schema as sessions read it from a table that was written with `schema`: [`storable`] with Utf8View/BinaryView.
pub fn readable(schema: &Schema) -> SchemaRef {
    let fields = storable(schema)
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 => field.as_ref().clone().with_data_type(DataType::Utf8View),
            DataType::Binary => field.as_ref().clone().with_data_type(DataType::BinaryView),
            _ => field.as_ref().clone(),
        })
        .collect::<Vec<_>>();
    Arc::new(Schema::new(fields))
}

/// Whether both hold the same values in the same places, whatever is said of them besides.
pub fn same(a: &DataType, b: &DataType) -> bool {
    use DataType as T;
    match (a, b) {
        (T::Struct(ours), T::Struct(theirs)) => {
            let pairs = || ours.iter().zip(theirs);
            ours.len() == theirs.len()
                && pairs().all(|(a, b)| a.name() == b.name() && same(a.data_type(), b.data_type()))
        }
        (T::List(ours), T::List(theirs)) => same(ours.data_type(), theirs.data_type()),
        (T::Map(ours, _), T::Map(theirs, _)) => match (ours.data_type(), theirs.data_type()) {
            (T::Struct(ours), T::Struct(theirs)) => {
                let mut pairs = ours.iter().zip(theirs);
                pairs.all(|(a, b)| same(a.data_type(), b.data_type()))
            }
            _ => false,
        },
        (a, b) => a == b,
    }
}

/// Whether `new` is `old` with fields more within its records: files that were written with `old` can be read with it
/// as they are, by every engine.
pub fn only_grows(old: &DataType, new: &DataType) -> bool {
    use DataType as T;
    match (old, new) {
        (T::Struct(old), T::Struct(new)) => old.iter().all(|field| {
            let now = new.find(field.name());
            now.is_some_and(|(_, now)| only_grows(field.data_type(), now.data_type()))
        }),
        (T::List(old), T::List(new)) => only_grows(old.data_type(), new.data_type()),
        (old, new) => same(old, new),
    }
}

/// The type of a column whose values become those of `decided`, which has been chosen for old and new values alike;
/// fields that only `ours` has stay.
pub fn decided(ours: &DataType, decided: &DataType) -> DataType {
    use DataType as T;
    match (ours, decided) {
        (ours, T::Null) => ours.clone(),
        (T::Struct(ours), T::Struct(theirs)) => T::Struct(joined(ours, theirs, self::decided).into()),
        (T::List(ours), T::List(theirs)) => {
            let item = self::decided(ours.data_type(), theirs.data_type());
            T::List(Arc::new(ours.as_ref().clone().with_data_type(item)))
        }
        (_, decided) => decided.clone(),
    }
}

/// The narrowest type that holds every value of both without loss; text holds everything. In whatever order types are
/// put together, the same type comes of them.
pub fn widest(a: &DataType, b: &DataType) -> DataType {
    use DataType as T;
    let digits = |t: &DataType| match t {
        T::Int8 => Some((3, 0)),
        T::Int16 => Some((5, 0)),
        T::Int32 => Some((10, 0)),
        T::Int64 => Some((19, 0)),
        T::Decimal128(p, s) => Some((*p, *s)),
        _ => None,
    };
    let bits = |t: &DataType| match t {
        T::Int8 => Some(8),
        T::Int16 => Some(16),
        T::Int32 => Some(32),
        T::Int64 => Some(64),
        _ => None,
    };
    match (a, b) {
        (a, b) if a == b => a.clone(),
        (T::Null, other) | (other, T::Null) => other.clone(),
        (a, b) if bits(a).is_some() && bits(b).is_some() => if bits(a) > bits(b) { a } else { b }.clone(),
        (T::Float32 | T::Float64, T::Float32 | T::Float64) => T::Float64,
        (T::Int8 | T::Int16 | T::Int32, T::Float32 | T::Float64)
        | (T::Float32 | T::Float64, T::Int8 | T::Int16 | T::Int32) => T::Float64,
        (T::Struct(ours), T::Struct(theirs)) => T::Struct(merge_fields(ours, theirs).into()),
        (T::List(ours), T::List(theirs)) => {
            let item = widest(ours.data_type(), theirs.data_type());
            T::List(Arc::new(ours.as_ref().clone().with_data_type(item)))
        }
        (T::Map(ours, sorted), T::Map(theirs, _)) => match (ours.data_type(), theirs.data_type()) {
            (T::Struct(our_fields), T::Struct(their_fields)) if our_fields.len() == 2 && their_fields.len() == 2 => {
                let wider = our_fields.iter().zip(their_fields).map(|(ours, theirs)| {
                    let data_type = widest(ours.data_type(), theirs.data_type());
                    Arc::new(ours.as_ref().clone().with_data_type(data_type))
                });
                let entries = T::Struct(wider.collect::<Vec<FieldRef>>().into());
                T::Map(Arc::new(ours.as_ref().clone().with_data_type(entries)), *sorted)
            }
            _ => T::Utf8,
        },
        (a, b) => match (digits(a), digits(b)) {
            (Some((p1, s1)), Some((p2, s2))) => {
                let scale = s1.max(s2);
                let whole = (i16::from(p1) - i16::from(s1)).max(i16::from(p2) - i16::from(s2));
                match u8::try_from(whole + i16::from(scale)) {
                    Ok(precision) if precision <= 38 => T::Decimal128(precision, scale),
                    _ => T::Utf8,
                }
            }
            _ => T::Utf8,
        },
    }
}

/// The columns of both: ours in our order, widened to hold theirs, then those that only they have. A column is personal
/// if either says so.
pub fn merge_fields(ours: &Fields, theirs: &Fields) -> Vec<FieldRef> {
    joined(ours, theirs, widest)
}

/// The columns of both, ours in our order; the type of what both have is for `join` to say.
pub fn joined(ours: &Fields, theirs: &Fields, join: impl Fn(&DataType, &DataType) -> DataType) -> Vec<FieldRef> {
    let pairs = counterparts(ours, theirs);
    let mut merged: Vec<FieldRef> = ours
        .iter()
        .zip(&pairs)
        .map(|(field, other)| match other {
            Some(other) => {
                let other = &theirs[*other];
                let mut metadata = field.metadata().clone();
                // What is known to be personal by now is so in the rows that are there, too.
                metadata.extend(other.metadata().get(PII).map(|pii| (PII.to_owned(), pii.clone())));
                let data_type = join(field.data_type(), other.data_type());
                Arc::new(field.as_ref().clone().with_data_type(data_type).with_metadata(metadata))
            }
            None => field.clone(),
        })
        .collect();
    let paired: HashSet<usize> = pairs.into_iter().flatten().collect();
    let new = theirs.iter().enumerate().filter(|(at, _)| !paired.contains(at));
    merged.extend(new.map(|(_, field)| field.clone()));
    merged
}

/// Which of `others` each of `fields` is: that of the same name, or else the first left whose name differs only in the
/// case of its letters, which Delta's readers take for the same. None of them is two of the fields.
pub fn counterparts(fields: &Fields, others: &Fields) -> Vec<Option<usize>> {
    let mut by_name: HashMap<&str, usize> = HashMap::with_capacity(others.len());
    for (at, other) in others.iter().enumerate() {
        by_name.entry(other.name()).or_insert(at);
    }
    let mut pairs: Vec<Option<usize>> = fields
        .iter()
        .map(|field| by_name.remove(field.name().as_str()))
        .collect();
    if by_name.is_empty() || pairs.iter().all(Option::is_some) {
        return pairs;
    }
    let mut left: HashMap<String, VecDeque<usize>> = HashMap::new();
    for (at, other) in others.iter().enumerate() {
        if by_name.get(other.name().as_str()) == Some(&at) {
            left.entry(other.name().to_ascii_lowercase()).or_default().push_back(at);
        }
    }
    for (field, pair) in fields.iter().zip(&mut pairs).filter(|(_, pair)| pair.is_none()) {
        *pair = left
            .get_mut(&field.name().to_ascii_lowercase())
            .and_then(VecDeque::pop_front);
    }
    pairs
}

/// The columns as their writers see them: those of these names, of which no row has a value yet, have the type Null.
pub fn with_open(schema: &SchemaRef, open: &[String]) -> SchemaRef {
    if open.is_empty() {
        return schema.clone();
    }
    let fields = schema.fields().iter().map(|field| match open.contains(field.name()) {
        true => Arc::new(field.as_ref().clone().with_data_type(DataType::Null)),
        false => field.clone(),
    });
    Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_type() -> impl Strategy<Value = DataType> {
        let plain = prop_oneof![
            Just(DataType::Null),
            Just(DataType::Boolean),
            Just(DataType::Int8),
            Just(DataType::Int16),
            Just(DataType::Int32),
            Just(DataType::Int64),
            Just(DataType::Float32),
            Just(DataType::Float64),
            Just(DataType::Date32),
            Just(DataType::Utf8),
            (1u8..=38, 0i8..=10).prop_map(|(p, s)| DataType::Decimal128(p.max(s.unsigned_abs()), s)),
        ];
        plain.prop_recursive(3, 12, 3, |inner| {
            let item = inner.clone();
            let record = prop::collection::btree_map("[abc]", inner, 1..4).prop_map(|fields| {
                let fields = fields
                    .into_iter()
                    .map(|(name, data_type)| Field::new(name, data_type, true));
                DataType::Struct(fields.collect())
            });
            prop_oneof![
                item.prop_map(|item| DataType::List(Arc::new(Field::new("element", item, true)))),
                record,
            ]
        })
    }

    /// The same fields, whatever their order.
    fn sorted(data_type: &DataType) -> DataType {
        match data_type {
            DataType::Struct(fields) => {
                let fields = fields
                    .iter()
                    .map(|field| field.as_ref().clone().with_data_type(sorted(field.data_type())));
                let mut fields: Vec<_> = fields.collect();
                fields.sort_by(|a, b| a.name().cmp(b.name()));
                DataType::Struct(fields.into())
            }
            DataType::List(item) => {
                DataType::List(Arc::new(item.as_ref().clone().with_data_type(sorted(item.data_type()))))
            }
            other => other.clone(),
        }
    }

    fn fields(names: &[&str]) -> Fields {
        let fields = names.iter().map(|name| Field::new(*name, DataType::Int64, true));
        fields.collect::<Vec<_>>().into()
    }

    #[test]
    fn no_field_is_taken_for_two_and_none_is_left_out() {
        let (ours, theirs) = (fields(&["id", "x"]), fields(&["ID", "Id", "x"]));
        assert_eq!(counterparts(&ours, &theirs), [Some(0), Some(2)]);
        let names: Vec<_> = merge_fields(&ours, &theirs)
            .iter()
            .map(|field| field.name().clone())
            .collect();
        assert_eq!(names, ["id", "x", "Id"]);
        assert_eq!(counterparts(&fields(&["ID", "id"]), &fields(&["id"])), [None, Some(0)]);
        assert_eq!(counterparts(&fields(&["ID", "iD"]), &fields(&["id"])), [Some(0), None]);
    }

    proptest! {
        #[test]
        fn types_are_put_together_in_any_order(a in any_type(), b in any_type(), c in any_type()) {
            prop_assert_eq!(sorted(&widest(&a, &b)), sorted(&widest(&b, &a)));
            let (left, right) = (widest(&widest(&a, &b), &c), widest(&a, &widest(&b, &c)));
            prop_assert_eq!(sorted(&left), sorted(&right));
        }
    }
}
