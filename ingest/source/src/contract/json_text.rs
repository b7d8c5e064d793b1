//! Values of a column of records or lists that became text, because something else was among them: each is looked into
//! as if it had come alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, StringArray, StringBuilder, StructArray, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};
use cordada_core::names::snake_case;
use cordada_core::{Context, Result};
use cordada_ingest_formats::json::parts::{entries, items, string};
use cordada_ingest_formats::values::zones::Zone;

use super::Misfits;

/// The texts that are JSON of the type `target`, a nested one; null instead of the others.
///
/// # Errors
/// None that a user could cause.
pub(super) fn fit(texts: &StringArray, target: &DataType, zone: Zone<'_>, misfits: &mut Misfits) -> Result<ArrayRef> {
    match target {
        DataType::Struct(fields) => records(texts, fields, zone, misfits),
        DataType::List(item) => lists(texts, item, zone, misfits),
        _ => {
            misfits
                .typed
                .iter_mut()
                .enumerate()
                .for_each(|(row, typed)| *typed |= texts.is_valid(row));
            Ok(new_null_array(target, texts.len()))
        }
    }
}

fn records(texts: &StringArray, fields: &Fields, zone: Zone<'_>, misfits: &mut Misfits) -> Result<ArrayRef> {
    let mut columns: Vec<_> = fields.iter().map(|_| StringBuilder::new()).collect();
    let mut validity = vec![false; texts.len()];
    for (row, text) in texts.iter().enumerate() {
        let mut values: BTreeMap<String, &[u8]> = BTreeMap::new();
        let is_record = text.is_some_and(|text| {
            let pairs = entries(text.as_bytes()).unwrap_or_default();
            let keys = pairs.len();
            let named = pairs
                .into_iter()
                .filter_map(|(key, value)| Some((snake_case(&string(key)?), value)));
            values.extend(named);
            // One that is there twice cannot be told from the other.
            values.len() == keys && text.trim_ascii_start().starts_with('{')
        });
        misfits.typed[row] |= text.is_some() && !is_record;
        validity[row] = is_record;
        for (field, column) in fields.iter().zip(&mut columns) {
            let value = values.remove(field.name()).filter(|_| is_record);
            column.append_option(value.and_then(text_of));
        }
        misfits.new[row] |= is_record && values.values().any(|value| *value != b"null");
    }
    let columns = fields.iter().zip(&mut columns).map(|(field, column)| {
        let texts: ArrayRef = Arc::new(column.finish());
        super::fit(&texts, field.data_type(), zone.field(field.name()), misfits)
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let nulls = Some(NullBuffer::from(validity));
    let record = StructArray::try_new_with_length(fields.clone(), columns, nulls, texts.len());
    Ok(Arc::new(record.doing(|| "checking the contract")?))
}

fn lists(texts: &StringArray, item: &FieldRef, zone: Zone<'_>, misfits: &mut Misfits) -> Result<ArrayRef> {
    let mut values = StringBuilder::new();
    let (mut lengths, mut validity) = (Vec::with_capacity(texts.len()), Vec::with_capacity(texts.len()));
    for (row, text) in texts.iter().enumerate() {
        let found = text.and_then(|text| items(text.as_bytes()).ok());
        misfits.typed[row] |= text.is_some() && found.is_none();
        validity.push(found.is_some());
        let found = found.unwrap_or_default();
        lengths.push(found.len());
        found.into_iter().for_each(|value| values.append_option(text_of(value)));
    }
    let values: ArrayRef = Arc::new(values.finish());
    let mut within = Misfits::new(values.len());
    let values = super::fit(&values, item.data_type(), zone, &mut within)?;
    let mut start = 0;
    for (row, length) in lengths.iter().enumerate() {
        let of_row = start..start + length;
        misfits.new[row] |= within.new[of_row.clone()].contains(&true);
        misfits.typed[row] |= within.typed[of_row].contains(&true);
        start += length;
    }
    let nulls = Some(NullBuffer::from(validity));
    let list = ListArray::try_new(item.clone(), OffsetBuffer::from_lengths(lengths), values, nulls);
    Ok(Arc::new(list.doing(|| "checking the contract")?))
}

/// What a value says: the text itself of a string, and nothing of null.
fn text_of(value: &[u8]) -> Option<String> {
    match value.first()? {
        b'n' => None,
        b'"' => string(value).map(Into::into),
        _ => std::str::from_utf8(value).ok().map(str::to_owned),
    }
}
