//! The rows of files that have been read once: their columns, of types that hold every value of theirs and of the table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use cordada_core::progress::Task;
use cordada_core::source_names::SourceNames;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use cordada_ingest_formats::scanned::ScannedFile;
use cordada_ingest_formats::shape::Shape;
use cordada_ingest_source::options::{Options, Transform};
use datafusion::execution::SendableRecordBatchStream;

use crate::kept::Shapes;
use crate::known::Known;
use crate::landing::Landing;
use crate::rejected::Rejects;
use crate::rows::{RowReader, described, with_provenance};

/// The rows of scanned files.
pub(crate) struct ScannedRows {
    pub(crate) schema: SchemaRef,
    pub(crate) shapes: Shapes,
    pub(crate) partitions: Vec<SendableRecordBatchStream>,
}

impl Landing<'_> {
    /// The rows of scanned files; `None` if not even a header says what their columns are.
    pub(crate) fn scanned(
        &self,
        mut files: Vec<ScannedFile>,
        known: Known<'_>,
        names: &mut SourceNames,
        rejects: &Arc<Rejects>,
        task: &Arc<dyn Task>,
    ) -> Result<Option<ScannedRows>> {
        if files.iter().all(|file| file.scanned.shapes.is_empty()) && known.columns.is_none() {
            return Ok(None);
        }
        files.iter_mut().for_each(|file| file.name_columns(names));
        let all = Arc::new(names.clone());
        files.iter_mut().for_each(|file| file.read_by(&all));
        let (schema, shapes) = self.columns(&files, known, names)?;
        let rows = RowReader {
            files: Arc::new(files),
            schema: schema.clone(),
            load: self.load.clone(),
            rejects: rejects.clone(),
            cut_times: self.cut_times.clone(),
            task: task.clone(),
            cancel: self.cancel.clone(),
        };
        let partitions = rows.partitions(self.lake.parallelism());
        Ok(Some(ScannedRows {
            schema,
            shapes,
            partitions,
        }))
    }

    /// The columns of all files, of types that hold every value of theirs and of the table; what all these look like.
    fn columns(&self, files: &[ScannedFile], known: Known<'_>, names: &SourceNames) -> Result<(SchemaRef, Shapes)> {
        let mut columns: Vec<(&str, Shape)> = Vec::new();
        let mut by_name = HashMap::new();
        for file in files {
            self.check_key(file, names)?;
            for (name, shape) in file.scanned.plan.names.iter().zip(&file.scanned.shapes) {
                let at = *by_name.entry(name.as_str()).or_insert_with(|| {
                    columns.push((name, Shape::default()));
                    columns.len() - 1
                });
                columns[at].1.merge(shape.clone());
            }
        }
        let options = self.options.named(names);
        let types = known.data_types();
        let mut shapes = known.shapes.clone();
        let fields = columns.into_iter().map(|(name, shape)| {
            shapes.remove(name);
            let existing = types.get(name).copied();
            let data_type = match known.shape(name, existing) {
                None => shape.data_type(existing)?,
                // What is hashed is hashed as it is written, whatever comes beside it.
                Some(_) if is_hashed(&options, name) && matches!(shape, Shape::Scalar(_)) => DataType::Utf8,
                Some(mut all) => {
                    all.merge(shape);
                    shapes.extend(all.kept().map(|kept| (name.to_owned(), kept)));
                    all.data_type(None)?
                }
            };
            Ok(described(&options, name, names.source(name).unwrap_or(name), data_type))
        });
        let fields = fields.collect::<Result<Vec<_>>>()?;
        Ok((with_provenance(fields), shapes))
    }

    /// Whether a file has the columns of the key, without which none of its rows could land.
    fn check_key(&self, file: &ScannedFile, all: &SourceNames) -> Result<()> {
        let has_rows = file.scanned.pieces.iter().any(|piece| piece.rows > 0);
        if file.content_id.is_none() || !has_rows || !self.options.disposition().needs_key() {
            return Ok(());
        }
        let names = &file.scanned.plan.names;
        match self.options.named(all).key().iter().find(|key| !names.contains(key)) {
            None => Ok(()),
            Some(key) => {
                let hint = did_you_mean(key, "the columns are", names.iter().map(String::as_str));
                let why = format!("there is no column `{key}`, which is the key");
                Err(Error::config(format!("reading {}", file.name()), why).hint(hint))
            }
        }
    }
}

/// Whether a column lands as a hash or a token of its text.
fn is_hashed(options: &Options, name: &str) -> bool {
    let transform = options.column(name).and_then(|column| column.transform);
    matches!(transform, Some(Transform::Hash | Transform::Tokenise))
}
