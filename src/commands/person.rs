//! `cordada person`: all that the marts know of one person.

use arrow::array::{Array, RecordBatch};
use arrow::compute::{SortOptions, sort_to_indices, take_record_batch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::Cell;
use cordada_core::{Context, Result};
use cordada_project::{PERSON_KEY, PersonPart, PersonView, Project};

use crate::Outcome;
use crate::cli::Shown;
use crate::output::{grouped, json_array, new_table, printable, table};

/// A single row with more columns than this is printed as a list of them.
const COLUMNS: usize = 8;

pub async fn run(project: &Project, who: &str, rows: usize, format: Shown) -> Result<Outcome> {
    let person = project.person(who).await?;
    match format {
        Shown::Table => print(&person, rows)?,
        Shown::Json => println!("{}", json(&person)?),
    }
    Ok(Outcome::Done)
}

fn print(person: &PersonView, most: usize) -> Result<()> {
    println!("{PERSON_KEY} {}, release {}", person.id, person.release);
    for PersonPart { relation, rows } in &person.parts {
        let all = rows.num_rows();
        let shown = newest(&told(rows)?, most)?;
        let count = match all {
            1 => String::new(),
            _ if all > most => format!(" ({}, the newest {most})", grouped(all as u64)),
            _ => format!(" ({})", grouped(all as u64)),
        };
        println!("\n{}{count}", relation.name());
        if all == 1 && shown.num_columns() > COLUMNS {
            print_list(&shown)?;
        } else {
            println!("{}", table(&shown)?);
        }
    }
    Ok(())
}

/// The rows without the person's key, which is the same in all, and without columns that say nothing.
fn told(rows: &RecordBatch) -> Result<RecordBatch> {
    let schema = rows.schema();
    let tells =
        |at: &usize| schema.field(*at).name() != PERSON_KEY && rows.column(*at).logical_null_count() < rows.num_rows();
    let columns: Vec<usize> = (0..rows.num_columns()).filter(tells).collect();
    rows.project(&columns).doing(doing)
}

/// The rows, or if they are more than `most` the last ones by their first column of times.
fn newest(rows: &RecordBatch, most: usize) -> Result<RecordBatch> {
    if rows.num_rows() <= most {
        return Ok(rows.clone());
    }
    let schema = rows.schema();
    let is_time = |at: &usize| {
        let data_type = schema.field(*at).data_type();
        matches!(data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
    };
    let Some(time) = (0..rows.num_columns()).find(is_time) else {
        return Ok(rows.slice(0, most));
    };
    let order = SortOptions {
        descending: true,
        nulls_first: false,
    };
    let order = sort_to_indices(rows.column(time), Some(order), Some(most)).doing(doing)?;
    take_record_batch(rows, &order).doing(doing)
}

/// One row, a line a column.
fn print_list(row: &RecordBatch) -> Result<()> {
    let options = FormatOptions::new().with_null("");
    let mut list = new_table(["column", "value"]);
    for (field, column) in row.schema().fields().iter().zip(row.columns()) {
        let cell = ArrayFormatter::try_new(column, &options).doing(doing)?;
        let cell = cell.value(0).try_to_string().doing(doing)?;
        list.add_row([Cell::new(field.name()), printable(cell)]);
    }
    println!("{list}");
    Ok(())
}

/// A person as one object: the rows of each mart by its name.
fn json(person: &PersonView) -> Result<String> {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let parts = person.parts.iter().map(|PersonPart { relation, rows }| {
        let rows = json_array(rows)?;
        Ok(format!("{}:{rows}", text(relation.name())))
    });
    let parts = parts.collect::<Result<Vec<_>>>()?.join(",");
    Ok(format!(
        r#"{{"{PERSON_KEY}":{},"release":{},"marts":{{{parts}}}}}"#,
        text(&person.id),
        person.release
    ))
}

fn doing() -> &'static str {
    "printing a person"
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Date32Array, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use cordada_core::TableName;

    use super::*;

    fn orders() -> RecordBatch {
        let columns: [(&str, ArrayRef); 4] = [
            ("customer_id", Arc::new(StringArray::from(vec!["p1"; 3]))),
            ("number", Arc::new(Int64Array::from(vec![1, 2, 3]))),
            (
                "ordered_on",
                Arc::new(Date32Array::from(vec![Some(10), None, Some(30)])),
            ),
            ("store", Arc::new(StringArray::from(vec![None::<&str>; 3]))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    }

    #[test]
    fn the_newest_rows_are_shown_without_what_says_nothing() {
        let told = told(&orders()).unwrap();
        assert_eq!(told.num_columns(), 2);
        let numbers = |most| {
            let rows = newest(&told, most).unwrap();
            rows.column(0).as_primitive::<Int64Type>().values().to_vec()
        };
        assert_eq!(numbers(2), [3, 1]);
        assert_eq!(numbers(3), [1, 2, 3]);
    }

    #[test]
    fn json_has_all_rows_by_mart() {
        let person = PersonView {
            id: "p\"1".to_owned(),
            release: 7,
            parts: vec![PersonPart {
                relation: "marts.orders".parse::<TableName>().unwrap(),
                rows: orders(),
            }],
        };
        let value: serde_json::Value = serde_json::from_str(&json(&person).unwrap()).unwrap();
        assert_eq!((&value["customer_id"], &value["release"]), (&"p\"1".into(), &7.into()));
        assert_eq!(value["marts"]["orders"][2]["number"], 3);
    }
}
