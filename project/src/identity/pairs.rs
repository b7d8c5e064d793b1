//! Rows of `<model>__pairs`, whichever fields they have.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use cordada_core::{Context, Error, Result};

use super::waterfall::FieldWeight;

/// What is said of one pair.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PairRow {
    pub a: String,
    pub b: String,
    pub why: String,
    pub same_person: bool,
    pub weight: f64,
    pub probability: f64,
    pub fields: Vec<FieldWeight>,
}

/// The pairs of a batch whose records are those two, in either order, or all of them if `None`.
pub(super) fn read(rows: &RecordBatch, key: &str, of: Option<(&str, &str)>) -> Result<Vec<PairRow>> {
    let doing = || "reading pairs of records";
    let column = |name: &str| {
        rows.column_by_name(name)
            .ok_or_else(|| Error::failed(doing(), format!("there is no column `{name}`")))
    };
    let texts = |name: &str| -> Result<_> {
        let texts = cast(column(name)?, &DataType::Utf8).doing(doing)?;
        Ok(texts.as_string::<i32>().clone())
    };
    let numbers = |name: &str| -> Result<_> {
        let numbers = cast(column(name)?, &DataType::Float64).doing(doing)?;
        Ok(numbers.as_primitive::<Float64Type>().clone())
    };
    let (a, b) = (texts(&format!("{key}_a"))?, texts(&format!("{key}_b"))?);
    let (why, weight, probability) = (texts("why")?, numbers("weight")?, numbers("probability")?);
    let same = cast(column("same_person")?, &DataType::Boolean).doing(doing)?;
    let same = same.as_boolean();
    let mut fields = Vec::new();
    for column in rows.schema().fields() {
        let Some(field) = column.name().strip_suffix("_level") else {
            continue;
        };
        let rarity = format!("{field}_rarity");
        let rarity = match rows.column_by_name(&rarity) {
            Some(_) => Some(numbers(&rarity)?),
            None => None,
        };
        let weights = numbers(&format!("{field}_weight"))?;
        fields.push((field.to_owned(), texts(column.name())?, weights, rarity));
    }
    let is_wanted = |row: &usize| match of {
        None => true,
        Some((one, other)) => {
            let of_row = (a.value(*row), b.value(*row));
            of_row == (one, other) || of_row == (other, one)
        }
    };
    let pair = |row: usize| PairRow {
        a: a.value(row).to_owned(),
        b: b.value(row).to_owned(),
        why: why.value(row).to_owned(),
        same_person: same.is_valid(row) && same.value(row),
        weight: weight.value(row),
        probability: probability.value(row),
        fields: fields
            .iter()
            .map(|(name, level, weight, rarity)| FieldWeight {
                name: name.clone(),
                level: level.value(row).to_owned(),
                weight: weight.value(row),
                rarity: rarity.as_ref().map_or(0.0, |rarity| rarity.value(row)),
            })
            .collect(),
    };
    Ok((0..rows.num_rows()).filter(is_wanted).map(pair).collect())
}
