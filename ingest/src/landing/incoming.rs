//! What a chunk brings: its rows, of the columns that are to land.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use cordada_core::progress::Task;
use cordada_core::source_names::SourceNames;
use cordada_core::suggest::did_you_mean;
use cordada_core::threads::blocking;
use cordada_core::{Error, Result};
use cordada_ingest_formats::scanned::ScannedFile;
use cordada_ingest_source::extract::Rows;
use cordada_ingest_source::landed::Landed as _;
use cordada_ingest_source::options::Transform;
use cordada_ingest_source::provenance;
use datafusion::execution::SendableRecordBatchStream;

use super::{Attempt, Landing, mapped};
use crate::flagged::flagged;
use crate::kept::Shapes;
use crate::known::Known;
use crate::landed::LandedTable;
use crate::rejected::Rejects;
use crate::typed::{TypedLanding, TypedRows};

/// Rows on their way into a commit.
pub(super) struct LandingRows {
    /// The columns that land, before the contract has been looked at.
    pub(super) schema: SchemaRef,
    /// What their values and those that have landed look like; `None` if their types say all.
    pub(super) shapes: Option<Shapes>,
    pub(super) partitions: Vec<SendableRecordBatchStream>,
    /// By which transaction a file is known again.
    pub(super) contents: HashMap<String, (String, i64)>,
}

impl Landing<'_> {
    /// The rows of a chunk; `None` if nothing is known of their columns.
    pub(super) async fn incoming(
        &self,
        rows: Rows,
        attempt: &mut Attempt,
        known: Known<'_>,
        rejects: &Arc<Rejects>,
        task: &Arc<dyn Task>,
    ) -> Result<Option<LandingRows>> {
        let existing = known.columns;
        // Whoever filled a spool has transformed what is in it.
        let transformed = matches!(rows, Rows::Records(_));
        let are_records = match &rows {
            Rows::Typed { .. } => false,
            Rows::Records(_) => true,
            Rows::Files(files) => files.iter().all(ScannedFile::is_of_records),
        };
        let mut shapes = None;
        let (schema, partitions, contents) = match rows {
            Rows::Typed {
                schema,
                partitions,
                origin,
                deleted,
                misfits,
            } => {
                let rows = TypedRows {
                    schema,
                    partitions,
                    origin,
                    deleted,
                    misfits,
                };
                let landing = TypedLanding {
                    options: &self.options,
                    load: &self.load,
                    zones: self
                        .options
                        .named(&attempt.names)
                        .zones(self.source.source().timezone()),
                    rejects,
                    transforms: &attempt.transforms,
                };
                let (schema, partitions) = rows.landing(&landing, &mut attempt.names);
                (schema, partitions, HashMap::new())
            }
            Rows::Records(spools) => {
                let mut files = Vec::with_capacity(spools.len());
                for spool in spools {
                    let (file, rejected) = blocking("writing the records", || spool.finish()).await?;
                    rejects.add(file.name(), &rejected)?;
                    files.push(file);
                }
                let Some(scanned) = self.scanned(files, known, &mut attempt.names, rejects, task)? else {
                    return emptied(&attempt.table).await;
                };
                shapes = Some(scanned.shapes);
                (scanned.schema, scanned.partitions, HashMap::new())
            }
            Rows::Files(files) => {
                let content = |file: &ScannedFile| Some((file.name().to_owned(), file.content_id.clone()?));
                let contents = files.iter().filter_map(content).collect();
                let Some(scanned) = self.scanned(files, known, &mut attempt.names, rejects, task)? else {
                    return Ok(None);
                };
                shapes = Some(scanned.shapes);
                (scanned.schema, scanned.partitions, contents)
            }
        };
        self.check_names(&attempt.names, &schema, existing, transformed, are_records)?;
        let deleted = self.options.named(&attempt.names).deleted;
        let (schema, partitions) = flagged(deleted, schema, partitions);
        let (schema, partitions) = if transformed || attempt.transforms.is_empty() {
            (schema, partitions)
        } else {
            let transforms = Arc::new(attempt.transforms.named(&attempt.names));
            let result = transforms.schema(&schema);
            mapped(result, partitions, move |batch| transforms.apply(&batch))
        };
        Ok(Some(LandingRows {
            schema,
            shapes,
            partitions,
            contents,
        }))
    }

    /// Whether the columns that the configuration names are there. `dropped` says that those to drop have gone already,
    /// `are_records` that each row has only the columns that it needs.
    fn check_names(
        &self,
        names: &SourceNames,
        incoming: &SchemaRef,
        existing: Option<&SchemaRef>,
        dropped: bool,
        are_records: bool,
    ) -> Result<()> {
        let known = incoming
            .fields()
            .iter()
            .chain(existing.iter().flat_map(|existing| existing.fields()));
        let known: Vec<_> = known
            .map(|field| field.name().as_str())
            .filter(|name| !provenance::is_ours(name))
            .collect();
        let columns = self
            .options
            .columns
            .iter()
            .filter(|(_, column)| !(dropped && column.transform == Some(Transform::Drop)))
            .filter(|(name, _)| !self.source.source().may_lack(self.stream, name))
            .map(|(name, column)| (column.from.as_ref().unwrap_or(name), column.from.is_some()));
        let others = self.options.key.iter().chain(&self.options.deleted);
        let others = others.chain(self.options.unnest.keys()).map(|name| (name, false));
        for (name, exactly) in columns.chain(others) {
            let is_there = match exactly {
                true => names.columns().any(|(source, _)| source == name),
                false => names.find_path(name).is_some(),
            };
            if known.is_empty() || is_there {
                continue;
            }
            // The first record that is gone brings the flag.
            if are_records && self.options.deleted.as_ref() == Some(name) {
                tracing::warn!(table = %self.table, column = name, "no record has the column of `deleted` yet");
                continue;
            }
            let hint = did_you_mean(name, "the columns are", known.iter().copied());
            let doing = format!("landing {}", self.table);
            return Err(Error::config(doing, format!("there is no column `{name}`")).hint(hint));
        }
        Ok(())
    }
}

/// No rows, of the columns that the table has: the source that it is a copy of has become empty.
async fn emptied(table: &LandedTable) -> Result<Option<LandingRows>> {
    let existing = table.schema().await?;
    Ok(existing.map(|schema| LandingRows {
        schema,
        shapes: None,
        partitions: Vec::new(),
        contents: HashMap::new(),
    }))
}
