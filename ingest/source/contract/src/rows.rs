//! The rows of a chunk, read as landing reads them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use cordada_core::names::snake_case;
use cordada_core::{Context, Result};
use cordada_ingest_formats::rejected::Rejected;
use cordada_ingest_formats::scanned::ScannedFile;
use cordada_ingest_source::extract::Rows;
use futures::TryStreamExt;

/// What a chunk brought, its columns by their names in the lake.
#[derive(Default)]
pub(crate) struct ChunkRows {
    pub(crate) batches: Vec<RecordBatch>,
    /// What could not be read, and the file that it was in.
    pub(crate) rejected: Vec<(String, Rejected)>,
    /// The column that says which rows are gone.
    deleted: Option<String>,
}

/// Reads all rows.
///
/// # Errors
/// Those of the rows themselves. Whether a load is cancelled is not looked at: that is for whoever gives the rows.
pub(crate) async fn take(rows: Rows) -> Result<ChunkRows> {
    let mut taken = ChunkRows::default();
    match rows {
        Rows::Typed {
            schema,
            partitions,
            deleted,
            ..
        } => {
            for partition in partitions {
                let batches: Vec<RecordBatch> = partition.try_collect().await.doing(|| "reading the rows")?;
                for batch in batches {
                    assert_eq!(batch.schema(), schema, "rows are of the schema that came before them");
                    taken.batches.push(named(&batch));
                }
            }
            taken.deleted = deleted.map(|name| snake_case(&name));
        }
        Rows::Records(spools) => {
            for spool in spools {
                let (file, rejected) = spool.finish()?;
                let name = file.name().to_owned();
                taken
                    .rejected
                    .extend(rejected.into_iter().map(|rejected| (name.clone(), rejected)));
                taken.decode(&file)?;
            }
        }
        Rows::Files(files) => files.iter().try_for_each(|file| taken.decode(file))?,
    }
    Ok(taken)
}

impl ChunkRows {
    fn decode(&mut self, file: &ScannedFile) -> Result<()> {
        let types = file.scanned.shapes.iter().map(|shape| shape.data_type(None));
        let types = types.collect::<Result<Vec<_>>>()?;
        let fields = file.scanned.plan.names.iter().zip(&types);
        let fields = fields.map(|(name, data_type)| Field::new(name, data_type.clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        for piece in &file.scanned.pieces {
            file.decode(piece, &types, &mut |decoded| {
                let rejected = decoded.rejected.into_iter();
                self.rejected
                    .extend(rejected.map(|rejected| (file.name().to_owned(), rejected)));
                if !decoded.lines.is_empty() {
                    let batch = RecordBatch::try_new(schema.clone(), decoded.columns);
                    self.batches.push(batch.doing(|| "reading the rows")?);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The records by the value of `column`: those that are there, and those that are gone.
    pub(crate) fn records(&self, column: &str) -> (Vec<String>, BTreeSet<String>) {
        let (mut there, mut gone) = (Vec::new(), BTreeSet::new());
        for batch in &self.batches {
            let flags = self.deleted.as_ref().map(|name| batch[name.as_str()].as_boolean());
            let values = texts(batch, column);
            for (row, value) in values.into_iter().enumerate() {
                match flags.is_some_and(|flags| flags.value(row)) {
                    true => drop(gone.insert(value)),
                    false => there.push(value),
                }
            }
        }
        (there, gone)
    }

    /// All that would be written somewhere, as text.
    pub(crate) fn text(&self) -> String {
        let mut text: String = self.rejected.iter().map(|(_, rejected)| &*rejected.record).collect();
        for batch in &self.batches {
            let schema = batch.schema();
            for field in schema.fields() {
                text.push_str(&texts(batch, field.name()).join("\n"));
            }
        }
        text
    }
}

fn named(batch: &RecordBatch) -> RecordBatch {
    let fields = batch
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let name = snake_case(field.name());
            field.as_ref().clone().with_name(name)
        })
        .collect::<Vec<_>>();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec()).unwrap()
}

/// The values of a column, null as nothing.
fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let found = batch.column_by_name(column);
    let found = found.unwrap_or_else(|| panic!("there is no column {column} in {}", batch.schema()));
    let texts = cast(found, &DataType::Utf8).unwrap();
    let texts = texts.as_string::<i32>().iter();
    texts.map(|text| text.unwrap_or_default().to_owned()).collect()
}
