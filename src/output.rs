//! Rows for people and for programs.

use std::io::{self, Write};
use std::mem;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder;
use arrow::datatypes::SchemaRef;
use arrow::json::{ArrayWriter, LineDelimitedWriter};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use cordada_core::atomic_file::AtomicFile;
use cordada_core::threads::locked;
use cordada_core::{Context, Result};
use cordada_lake::query::{nested, readable};
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;

use crate::cli::Format;

/// Rows that a table shows; people who want all of them want a file.
const SHOWN_ROWS: usize = 100;

/// Writes the rows in the format to the file, or to stdout. A file appears when it is complete, or not at all, and only
/// its owner may read it, for it may hold personal data.
///
/// Returns the number of rows.
pub async fn write(rows: SendableRecordBatchStream, format: Format, output: Option<&Path>) -> Result<u64> {
    let rows = readable::intervals_as_text(rows);
    let Some(file) = output else {
        return write_to(rows, format, &mut Target::Screen(io::BufWriter::new(io::stdout()))).await;
    };
    let target = std::path::absolute(file).doing(|| format!("writing {}", file.display()))?;
    let mut target = Target::File(Box::new(AtomicFile::create(target).await?));
    let rows = write_to(rows, format, &mut target).await?;
    if let Target::File(mut file) = target {
        file.sync().await?;
        file.rename().await?;
    }
    Ok(rows)
}

/// Where bytes go.
enum Target {
    Screen(io::BufWriter<io::Stdout>),
    File(Box<AtomicFile>),
}

impl Target {
    async fn take(&mut self, bytes: Vec<u8>) -> Result<()> {
        match self {
            Target::Screen(screen) => screen
                .write_all(&bytes)
                .and_then(|()| screen.flush())
                .doing(|| "printing the rows"),
            Target::File(file) => file.write(&bytes).await,
        }
    }
}

/// What a format has written and nobody has taken yet.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Vec<u8> {
        mem::take(&mut locked(&self.0))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        locked(&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn write_to(rows: SendableRecordBatchStream, format: Format, target: &mut Target) -> Result<u64> {
    let doing = || "writing the rows";
    let schema = rows.schema();
    let written = Written::default();
    let count = match format {
        Format::Table => write_table(rows, &written).await?,
        Format::Csv => {
            let mut writer = WriterBuilder::new().with_header(true).build(written.clone());
            // An empty result still has its columns.
            writer
                .write(&nested::as_json(&RecordBatch::new_empty(schema))?)
                .doing(doing)?;
            let write = |batch: &RecordBatch| writer.write(&nested::as_json(batch)?).doing(doing);
            each(rows, (&written, target), write).await?
        }
        Format::Json => {
            let mut writer = LineDelimitedWriter::new(written.clone());
            let count = each(rows, (&written, target), |batch| writer.write(batch).doing(doing)).await?;
            writer.finish().doing(doing)?;
            count
        }
        Format::Parquet => {
            let mut writer = ArrowWriter::try_new(written.clone(), schema, None).doing(doing)?;
            let count = each(rows, (&written, target), |batch| writer.write(batch).doing(doing)).await?;
            writer.close().doing(doing)?;
            count
        }
    };
    target.take(written.take()).await?;
    Ok(count)
}

/// Writes batch after batch, and hands on what each of them has made.
async fn each(
    mut rows: SendableRecordBatchStream,
    (written, target): (&Written, &mut Target),
    mut write: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<u64> {
    let mut count = 0;
    while let Some(batch) = rows.try_next().await.doing(|| "running the query")? {
        count += batch.num_rows() as u64;
        write(&batch)?;
        target.take(written.take()).await?;
    }
    Ok(count)
}

async fn write_table(mut rows: SendableRecordBatchStream, written: &Written) -> Result<u64> {
    let schema = rows.schema();
    let mut table = new_table(schema.fields().iter().map(|field| field.name().as_str()));
    let (mut shown, mut count) = (0, 0);
    while let Some(batch) = rows.try_next().await.doing(|| "running the query")? {
        let more = batch.num_rows().min(SHOWN_ROWS - shown);
        shown += more;
        count += batch.num_rows() as u64;
        add_rows(&mut table, &batch.slice(0, more))?;
    }
    align_numbers(&mut table, &schema);
    let rest = count - shown as u64;
    let more = if rest > 0 {
        format!(", {} shown: --format csv prints all", grouped(shown as u64))
    } else {
        String::new()
    };
    let rows = if count == 1 { "row" } else { "rows" };
    writeln!(written.clone(), "{table}\n{} {rows}{more}", grouped(count)).doing(|| "printing the rows")?;
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

/// The rows as a table that fits the terminal.
pub fn table(rows: &RecordBatch) -> Result<Table> {
    let schema = rows.schema();
    let mut table = new_table(schema.fields().iter().map(|field| field.name().as_str()));
    align_numbers(&mut table, &schema);
    add_rows(&mut table, rows)?;
    Ok(table)
}

/// The rows as the text of a JSON array of objects, without values that are null.
pub fn json_array(rows: &RecordBatch) -> Result<String> {
    let doing = || "printing the rows";
    let mut writer = ArrayWriter::new(Vec::<u8>::new());
    writer.write(rows).doing(doing)?;
    writer.finish().doing(doing)?;
    Ok(String::from_utf8_lossy(&writer.into_inner()).into_owned())
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
pub fn printable(text: String) -> Cell {
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

    use arrow::array::{ArrayRef, Int64Array, StringArray};
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
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.txt");
        assert_eq!(write(rows(1234), Format::Table, Some(&file)).await.unwrap(), 1234);
        let text = std::fs::read_to_string(&file).unwrap();
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
