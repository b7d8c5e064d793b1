//! Rows for people and for programs.

use std::io::{self, Write};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder;
use arrow::datatypes::SchemaRef;
use arrow::json::LineDelimitedWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use cordada_core::{Context, Result};
use cordada_lake::query::nested;
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use tempfile::Builder;

use crate::cli::Format;

/// Rows that a table shows; people who want all of them want a file.
const SHOWN_ROWS: usize = 100;

/// Writes the rows in the format to the file, or to stdout. A file appears when it is complete, or not at all.
///
/// Returns the number of rows.
pub async fn write(rows: SendableRecordBatchStream, format: Format, output: Option<&Path>) -> Result<u64> {
    let Some(file) = output else {
        return write_to(rows, format, io::BufWriter::new(io::stdout())).await;
    };
    let doing = || format!("writing {}", file.display());
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = format!(".{}.", file.file_name().unwrap_or_default().to_string_lossy());
    // Only its owner may read it, for it may hold personal data; dropped before it has its name, it is removed.
    let partial = Builder::new()
        .prefix(&name)
        .suffix(".partial")
        .tempfile_in(folder)
        .doing(doing)?;
    let rows = write_to(rows, format, partial.as_file()).await?;
    partial.persist(file).map_err(|failed| failed.error).doing(doing)?;
    Ok(rows)
}

async fn write_to(rows: SendableRecordBatchStream, format: Format, mut sink: impl Write + Send) -> Result<u64> {
    let doing = || "writing the rows";
    let schema = rows.schema();
    match format {
        Format::Table => write_table(rows, &mut sink).await,
        Format::Csv => {
            let mut writer = WriterBuilder::new().with_header(true).build(&mut sink);
            // An empty result still has its columns.
            writer
                .write(&nested::as_json(&RecordBatch::new_empty(schema))?)
                .doing(doing)?;
            let count = each(rows, |batch| writer.write(&nested::as_json(batch)?).doing(doing)).await?;
            drop(writer);
            sink.flush().doing(doing)?;
            Ok(count)
        }
        Format::Json => {
            let mut writer = LineDelimitedWriter::new(&mut sink);
            let count = each(rows, |batch| writer.write(batch).doing(doing)).await?;
            writer.finish().doing(doing)?;
            drop(writer);
            sink.flush().doing(doing)?;
            Ok(count)
        }
        Format::Parquet => {
            let mut writer = ArrowWriter::try_new(&mut sink, schema, None).doing(doing)?;
            let count = each(rows, |batch| writer.write(batch).doing(doing)).await?;
            writer.close().doing(doing)?;
            Ok(count)
        }
    }
}

async fn each(mut rows: SendableRecordBatchStream, mut write: impl FnMut(&RecordBatch) -> Result<()>) -> Result<u64> {
    let mut count = 0;
    while let Some(batch) = rows.try_next().await.doing(|| "running the query")? {
        count += batch.num_rows() as u64;
        write(&batch)?;
    }
    Ok(count)
}

async fn write_table(rows: SendableRecordBatchStream, sink: &mut impl Write) -> Result<u64> {
    let schema = rows.schema();
    let mut table = new_table(schema.fields().iter().map(|field| field.name().as_str()));
    let mut shown = 0;
    let count = each(rows, |batch| {
        let rows = batch.num_rows().min(SHOWN_ROWS - shown);
        shown += rows;
        add_rows(&mut table, &batch.slice(0, rows))
    })
    .await?;
    align_numbers(&mut table, &schema);
    let rest = count - shown as u64;
    let more = if rest > 0 {
        format!(", {} shown: --format csv prints all", grouped(shown as u64))
    } else {
        String::new()
    };
    let rows = if count == 1 { "row" } else { "rows" };
    writeln!(sink, "{table}\n{} {rows}{more}", grouped(count))
        .and_then(|()| sink.flush())
        .doing(|| "printing the rows")?;
    Ok(count)
}

/// A table that fits the terminal.
pub fn new_table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table
        .load_preset(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

fn add_rows(table: &mut Table, batch: &RecordBatch) -> Result<()> {
    let doing = || "printing the rows";
    let options = FormatOptions::new().with_null("");
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options));
    let columns = columns.collect::<Result<Vec<_>, _>>().doing(doing)?;
    for row in 0..batch.num_rows() {
        let cells = columns
            .iter()
            .map(|column| column.value(row).try_to_string().map(printable));
        table.add_row(cells.collect::<Result<Vec<_>, _>>().doing(doing)?);
    }
    Ok(())
}

/// The text without characters that would drive the terminal.
fn printable(text: String) -> Cell {
    Cell::new(text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}"))
}

fn align_numbers(table: &mut Table, schema: &SchemaRef) {
    for (index, field) in schema.fields().iter().enumerate() {
        if field.data_type().is_numeric()
            && let Some(column) = table.column_mut(index)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// `1536` as `1.5 KiB`.
pub fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray};
    use arrow::datatypes::Int64Type;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

    use super::*;

    fn rows(rows: usize) -> SendableRecordBatchStream {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        let names: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..rows).map(|row| format!("n{row}\u{1b}[2J")),
        ));
        let batch = RecordBatch::try_from_iter([("id", ids), ("name", names)]).unwrap();
        let schema = batch.schema();
        Box::pin(RecordBatchStreamAdapter::new(
            schema,
            futures::stream::iter([Ok(batch)]),
        ))
    }

    #[tokio::test]
    async fn a_long_result_is_cut_and_says_so_and_cannot_drive_the_terminal() {
        let mut text = Vec::new();
        assert_eq!(write_table(rows(1234), &mut text).await.unwrap(), 1234);
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.ends_with("1,234 rows, 100 shown: --format csv prints all\n"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'));
    }

    #[tokio::test]
    async fn an_empty_result_keeps_its_columns_in_csv() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.csv");
        assert_eq!(write(rows(0), Format::Csv, Some(&file)).await.unwrap(), 0);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "id,name\n");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "only its owner reads it");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no partial file stays"
        );
    }

    #[tokio::test]
    async fn lists_are_json_in_csv() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from_iter_values(0..2)) as ArrayRef),
            ("list", Arc::new(lists)),
        ])
        .unwrap();
        let schema = batch.schema();
        let rows = Box::pin(RecordBatchStreamAdapter::new(
            schema,
            futures::stream::iter([Ok(batch)]),
        ));
        let mut text = Vec::new();
        assert_eq!(write_to(rows, Format::Csv, &mut text).await.unwrap(), 2);
        assert_eq!(String::from_utf8(text).unwrap(), "id,list\n0,\"[1, null]\"\n1,\n");
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (541_909, "541,909"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
