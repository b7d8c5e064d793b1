//! JSON-stat: a cube of statistics as one record a cell (<https://json-stat.org/full/>, and 1.x before it).
//!
//! A record has, for each dimension, the category's code under the dimension's identifier and its label under
//! `<identifier>_label`, then `value`, and `status` where the dataset has any. Cells with neither value nor status have
//! no record: most cubes are mostly empty. Where an answer has several datasets, `dataset` tells them apart.

use std::borrow::Cow;
use std::collections::HashMap;

use cordada_core::{Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::rewrite::Members;
use super::{malformed, push_string, without_mark};

/// A dimension: what a record has of each of its categories, as members of an object.
type Dimension = Vec<Vec<u8>>;

/// Hands out the cells that hold something, in the order of the cube: the last dimension is the fastest.
pub(super) fn each(body: &[u8], each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let root: Members<'_> = read(text(body)?)?;
    if root.get("value").is_some() {
        return dataset(&root, None, each);
    }
    let mut datasets = Vec::new();
    match root.text("class").as_deref() {
        Some("collection") => {
            let link: Option<Link<'_>> = root.get("link").map(|link| read(link.get())).transpose()?;
            let items = link.map(|link| link.item).unwrap_or_default();
            for (at, item) in items.into_iter().enumerate() {
                datasets.push(((at + 1).to_string(), item.get()));
            }
        }
        Some(class) => return Err(wrong(format!("it is a {class}, not a dataset"))),
        None => datasets.extend(root.iter().map(|(name, value)| (name.to_owned(), value.get()))),
    }
    let is_dataset = |text: &str| serde_json::from_str::<Members<'_>>(text).is_ok_and(|it| it.get("value").is_some());
    datasets.retain(|(_, text)| is_dataset(text));
    if datasets.is_empty() {
        return Err(wrong("it holds no dataset"));
    }
    let several = datasets.len() > 1;
    for (name, text) in &datasets {
        dataset(&read(text)?, several.then_some(name), each)?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Link<'a> {
    #[serde(borrow, default)]
    item: Vec<&'a RawValue>,
}

fn text(body: &[u8]) -> Result<&str> {
    std::str::from_utf8(without_mark(body)).map_err(|_| wrong("it is not UTF-8"))
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T> {
    serde_json::from_str(text).map_err(wrong)
}

fn wrong(why: impl std::fmt::Display) -> Error {
    malformed("JSON-stat", why)
}

fn dataset(dataset: &Members<'_>, name: Option<&String>, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let dimensions = dimensions(dataset)?;
    let cells = dimensions
        .iter()
        .try_fold(1_u64, |cells, dimension| cells.checked_mul(dimension.len() as u64))
        .ok_or_else(|| wrong("it has more cells than can be counted"))?;
    let values = dataset.get("value").map(RawValue::get).unwrap_or("[]");
    let mut values = numbered(values, cells)?.into_iter().peekable();
    let (mut statuses, everywhere) = match dataset.get("status").map(RawValue::get) {
        Some(one) if one.starts_with('"') => (Vec::new(), Some(one)),
        // Eurostat once wrapped them in an object with their labels.
        Some(wrapped) => match read::<Members<'_>>(wrapped).ok().and_then(|it| it.get("value")) {
            Some(statuses) => (numbered(statuses.get(), cells)?, None),
            None => (numbered(wrapped, cells)?, None),
        },
        None => (Vec::new(), None),
    };
    let has_status = everywhere.is_some() || !statuses.is_empty();
    let mut statuses = statuses.drain(..).peekable();

    let mut prefix = vec![b'{'];
    if let Some(name) = name {
        prefix.extend_from_slice(b"\"dataset\":");
        push_string(&mut prefix, name);
        prefix.push(b',');
    }
    let mut record = Vec::new();
    loop {
        let cell = match (values.peek(), statuses.peek()) {
            (Some((value, _)), Some((status, _))) => *value.min(status),
            (Some((cell, _)), None) | (None, Some((cell, _))) => *cell,
            (None, None) => return Ok(()),
        };
        let value = values.next_if(|(at, _)| *at == cell).map(|(_, value)| value);
        let status = statuses.next_if(|(at, _)| *at == cell).map(|(_, status)| status);
        record.clear();
        record.extend_from_slice(&prefix);
        let mut rows = cells;
        for dimension in &dimensions {
            rows /= dimension.len() as u64;
            let category = usize::try_from(cell / rows).unwrap_or(usize::MAX) % dimension.len();
            record.extend_from_slice(&dimension[category]);
        }
        record.extend_from_slice(b"\"value\":");
        record.extend_from_slice(value.unwrap_or("null").as_bytes());
        if has_status {
            record.extend_from_slice(b",\"status\":");
            record.extend_from_slice(status.or(everywhere).unwrap_or("null").as_bytes());
        }
        record.push(b'}');
        each(&record)?;
    }
}

/// What an array, or an object whose keys are numbers, has other than null: by number, ascending.
fn numbered<'a>(text: &'a str, cells: u64) -> Result<Vec<(u64, &'a str)>> {
    let mut entries: Vec<(u64, &'a str)> = if text.starts_with('{') {
        let members: Members<'a> = read(text)?;
        let cell = |(key, value): (&str, &'a RawValue)| Some((key.parse().ok()?, value.get()));
        members
            .iter()
            .map(cell)
            .collect::<Option<_>>()
            .ok_or_else(|| wrong("a cell's key is not a number"))?
    } else {
        let items: Vec<&'a RawValue> = read(text)?;
        (0..).zip(items.into_iter().map(RawValue::get)).collect()
    };
    entries.retain(|(_, value)| *value != "null");
    entries.sort_unstable_by_key(|(at, _)| *at);
    let sorted = entries.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if !sorted || entries.last().is_some_and(|(at, _)| *at >= cells) {
        return Err(wrong("it has more values than its dimensions have cells"));
    }
    let scalar = |value: &str| !value.starts_with(['{', '[']);
    if !entries.iter().all(|(_, value)| scalar(value)) {
        return Err(wrong("a value is not a number or text"));
    }
    Ok(entries)
}

/// The dimensions in order, from 2.0's members or 1.x's.
fn dimensions(dataset: &Members<'_>) -> Result<Vec<Dimension>> {
    let all = dataset.get("dimension").ok_or_else(|| wrong("it has no `dimension`"))?;
    let all: Members<'_> = read(all.get())?;
    let (Some(ids), Some(sizes)) = (
        dataset
            .get("id")
            .or_else(|| all.get("id"))
            .filter(|ids| ids.get().starts_with('[')),
        dataset.get("size").or_else(|| all.get("size")),
    ) else {
        return Err(wrong("it has no `id` or `size`"));
    };
    let ids: Vec<Text<'_>> = read(ids.get())?;
    let sizes: Vec<Size> = read(sizes.get())?;
    if ids.len() != sizes.len() {
        return Err(wrong("it has more identifiers than sizes, or fewer"));
    }
    let dimension = |(Text(id), Size(size)): (&Text<'_>, &Size)| {
        let declared = all
            .get(id)
            .ok_or_else(|| wrong(format!("it has no dimension `{id}`")))?;
        let declared: DimensionObject<'_> = read(declared.get())?;
        declared.dimension(id, *size)
    };
    ids.iter().zip(&sizes).map(dimension).collect()
}

/// A string that is borrowed where it can be.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A number, or CSO Ireland's `"37"`.
#[derive(Deserialize)]
#[serde(try_from = "&RawValue")]
struct Size(usize);

impl TryFrom<&RawValue> for Size {
    type Error = &'static str;

    fn try_from(raw: &RawValue) -> Result<Self, Self::Error> {
        let digits = raw.get().trim_matches('"');
        digits.parse().map(Size).map_err(|_| "a size is not a number")
    }
}

#[derive(Deserialize)]
struct DimensionObject<'a> {
    #[serde(borrow)]
    category: Category<'a>,
}

#[derive(Deserialize)]
struct Category<'a> {
    /// The codes, or an object of codes and their places; may be missing where there is one category.
    #[serde(borrow, default)]
    index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    label: Option<&'a RawValue>,
}

impl DimensionObject<'_> {
    fn dimension(&self, id: &str, size: usize) -> Result<Dimension> {
        let labels: Option<Members<'_>> = self.category.label.map(|label| read(label.get())).transpose()?;
        let labels: Option<HashMap<&str, &RawValue>> = labels.as_ref().map(|labels| labels.iter().collect());
        let codes: Vec<String> = match (self.category.index.map(RawValue::get), &labels) {
            (Some(index), _) if index.starts_with('[') => read(index)?,
            (Some(index), _) => {
                let mut places = Vec::new();
                for (code, place) in read::<Members<'_>>(index)?.iter() {
                    places.push((read::<Size>(place.get())?.0, code.to_owned()));
                }
                places.sort_unstable();
                if places.iter().enumerate().any(|(at, (place, _))| at != *place) {
                    return Err(wrong(format!("the categories of `{id}` have gaps")));
                }
                places.into_iter().map(|(_, code)| code).collect()
            }
            (None, Some(labels)) if labels.len() == 1 => labels.keys().map(|code| (*code).to_owned()).collect(),
            (None, _) => return Err(wrong(format!("the categories of `{id}` have no order"))),
        };
        if codes.len() != size {
            return Err(wrong(format!("`{id}` has {} categories, not {size}", codes.len())));
        }
        let categories = codes.iter().map(|code| {
            let mut members = Vec::new();
            push_string(&mut members, column(id));
            members.push(b':');
            push_string(&mut members, code);
            members.push(b',');
            if let Some(labels) = &labels {
                push_string(&mut members, &format!("{id}_label"));
                members.push(b':');
                members.extend_from_slice(labels.get(code.as_str()).map_or("null", |label| label.get()).as_bytes());
                members.push(b',');
            }
            members
        });
        Ok(categories.collect())
    }
}

/// The column of a dimension; some are named as what every record has.
fn column(id: &str) -> &str {
    match id {
        "value" => "value_code",
        "status" => "status_code",
        "dataset" => "dataset_code",
        id => id,
    }
}
