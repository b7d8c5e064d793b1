//! The rows of files, as partitions of batches that share one schema: the source's columns by their names in the lake,
//! then the provenance.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, new_null_array};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use cordada_core::batches::WAITING_BATCHES;
use cordada_core::progress::Task;
use cordada_core::types::{COMMENT, PII};
use cordada_core::{Context, Error, Result};
use cordada_ingest_formats::piece::Decoded;
use cordada_ingest_formats::scanned::ScannedFile;
use cordada_ingest_source::options::Options;
use cordada_ingest_source::provenance::{self, Load};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::cut_times::CutTimes;
use crate::rejected::Rejects;

/// Reads files a second time, into batches.
#[derive(Clone)]
pub(crate) struct RowReader {
    pub(crate) files: Arc<Vec<ScannedFile>>,
    /// The columns of all files, then those of [`cordada_ingest_source::provenance::fields`].
    pub(crate) schema: SchemaRef,
    pub(crate) load: Load,
    /// Where records go that cannot be read.
    pub(crate) rejects: Arc<Rejects>,
    /// Where it is noted which columns were cut.
    pub(crate) cut_times: CutTimes,
    pub(crate) task: Arc<dyn Task>,
    pub(crate) cancel: CancellationToken,
}

/// Bytes of a partition, at least: below that, the file that it becomes costs every query more than a core saves the load.
const LEAST: u64 = 8 << 20;

/// Where in the files a partition's pieces are: the file's and the piece's number.
type Places = Vec<(usize, usize)>;

impl RowReader {
    /// Up to `count` partitions of about as many bytes each, and not of few. Their rows are in the order of the files: those of a
    /// later partition come later.
    pub(crate) fn partitions(&self, count: usize) -> Vec<SendableRecordBatchStream> {
        let places: Vec<_> = self.places();
        let size =
            |(file, piece): &(usize, usize)| self.files[*file].bytes_of(&self.files[*file].scanned.pieces[*piece]);
        let share = places.iter().map(size).sum::<u64>().div_ceil(count as u64).max(LEAST);
        let mut partitions: Vec<Places> = Vec::new();
        let mut seen = 0;
        for place in places {
            let partition = usize::try_from(seen / share).unwrap_or(usize::MAX);
            if partitions.len() <= partition {
                partitions.push(Vec::new());
            }
            seen += size(&place);
            partitions
                .last_mut()
                .into_iter()
                .for_each(|partition| partition.push(place));
        }
        partitions.into_iter().map(|places| self.stream(places)).collect()
    }

    /// All pieces, in order.
    fn places(&self) -> Places {
        let files = self.files.iter().enumerate();
        let pieces = files.flat_map(|(file, scanned)| {
            let pieces = &scanned.scanned.pieces;
            // A piece ends before the line on which the next one begins.
            let landed = |piece: &usize| {
                let next = pieces.get(piece + 1);
                next.is_some_and(|next| next.first <= scanned.landed_lines + 1)
            };
            (0..pieces.len())
                .filter(move |piece| !landed(piece))
                .map(move |piece| (file, piece))
        });
        pieces.collect()
    }

    /// The rows of the pieces, one piece after the other.
    fn stream(&self, places: Places) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStream::builder(self.schema.clone(), WAITING_BATCHES);
        let (reader, sender) = (self.clone(), stream.tx());
        stream.spawn_blocking(move || {
            for (file, piece) in places {
                let file = &reader.files[file];
                let piece = &file.scanned.pieces[piece];
                let places = reader.places_of(file);
                let mut rows = 0;
                file.decode(piece, &reader.types(file, &places)?, &mut |decoded| {
                    if reader.cancel.is_cancelled() {
                        return Err(Error::cancelled(format!("reading {}", file.name())));
                    }
                    rows += (decoded.lines.len() + decoded.rejected.len()) as u64;
                    let decoded = new_rows(decoded, file.landed_lines)?;
                    for column in &decoded.cut {
                        reader.cut_times.add(&file.scanned.plan.names[*column]);
                    }
                    reader.rejects.unreadable(file.name(), &decoded.rejected)?;
                    let batch = reader.batch(file, &places, decoded)?;
                    let gone = |_| Error::cancelled(format!("reading {}", file.name()));
                    sender.blocking_send(Ok(batch)).map_err(gone)
                })?;
                let before = piece.rows + piece.rejected;
                if rows != before {
                    let why = format!("it had {before} rows and then {rows}");
                    return Err(Error::conflict(format!("reading {}", file.name()), why).into());
                }
                reader.task.advance(file.bytes_of(piece));
            }
            Ok(())
        });
        stream.build()
    }

    /// Which of a file's columns each of the schema's is, those of the provenance aside.
    fn places_of(&self, file: &ScannedFile) -> Vec<Option<usize>> {
        let names = file.scanned.plan.names.iter().enumerate();
        let by_name: HashMap<&str, usize> = names.map(|(column, name)| (name.as_str(), column)).collect();
        let columns = self.schema.fields().iter().take(self.schema.fields().len() - 3);
        columns
            .map(|field| by_name.get(field.name().as_str()).copied())
            .collect()
    }

    /// The types that the columns of a file become.
    fn types(&self, file: &ScannedFile, places: &[Option<usize>]) -> Result<Vec<DataType>> {
        let mut types = vec![None; file.scanned.plan.names.len()];
        for (field, column) in self.schema.fields().iter().zip(places) {
            if let Some(column) = column {
                types[*column] = Some(field.data_type().clone());
            }
        }
        let types: Option<_> = types.into_iter().collect();
        types.ok_or_else(|| Error::failed(format!("reading {}", file.name()), "a column of it has no type"))
    }

    /// Rows of a file, with the columns of all files and the provenance.
    fn batch(&self, file: &ScannedFile, places: &[Option<usize>], decoded: Decoded) -> Result<RecordBatch> {
        let rows = decoded.lines.len();
        let [id, at, origin] = self.load.columns(file.name(), &decoded.lines)?;
        let columns = self.schema.fields().iter().zip(places);
        let columns = columns.map(|(field, column)| match column {
            Some(column) => decoded.columns[*column].clone(),
            None => new_null_array(field.data_type(), rows),
        });
        let columns = columns.chain([id, at, origin]).collect();
        RecordBatch::try_new(self.schema.clone(), columns).doing(|| format!("reading {}", file.name()))
    }
}

/// What of the rows begins after so many lines.
fn new_rows(mut decoded: Decoded, lines: u64) -> Result<Decoded> {
    if decoded.lines.first().is_some_and(|line| *line <= lines) {
        let new = decoded
            .lines
            .iter()
            .map(|line| Some(*line > lines))
            .collect::<BooleanArray>();
        let columns = decoded.columns.iter().map(|column| filter(column, &new));
        decoded.columns = columns
            .collect::<Result<_, _>>()
            .doing(|| "passing over rows that have landed")?;
        decoded.lines.retain(|line| *line > lines);
    }
    decoded.rejected.retain(|rejected| rejected.line > lines);
    Ok(decoded)
}

/// A column as the table has it: with the source's own name and the kind of personal data.
pub(crate) fn described(options: &Options, name: &str, original: &str, data_type: DataType) -> Field {
    let comment = (name != original).then(|| original.to_owned());
    let metadata = [(COMMENT, comment), (PII, options.pii(name))];
    let metadata = metadata
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Field::new(name, data_type, true).with_metadata(metadata.collect())
}

/// The schema of some columns with the provenance behind them.
pub(crate) fn with_provenance(columns: Vec<Field>) -> SchemaRef {
    let fields = columns.into_iter().chain(provenance::fields());
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
