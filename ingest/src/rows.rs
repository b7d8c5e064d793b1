//! The rows of scanned files, as partitions of batches that share one schema.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use cordada_lake::progress::Task;
use cordada_lake::{Context, Error, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::files::{Decoded, Piece, ScannedFile};
use crate::provenance::Load;

/// Batches that wait for their reader, each partition.
const WAITING_BATCHES: usize = 2;

/// Reads files a second time, into batches.
#[derive(Clone)]
pub(crate) struct RowReader {
    pub(crate) files: Arc<Vec<ScannedFile>>,
    /// The columns of all files, then those of [`crate::provenance::fields`].
    pub(crate) schema: SchemaRef,
    pub(crate) load: Load,
    pub(crate) task: Arc<dyn Task>,
    pub(crate) cancel: CancellationToken,
}

/// Where in the files a partition's pieces are: the file's and the piece's number.
pub(crate) type Places = Vec<(usize, usize)>;

impl RowReader {
    /// Up to `count` partitions of about as many bytes each. Their rows are in the order of the files: those of a
    /// later partition come later.
    pub(crate) fn partitions(&self, count: usize) -> Vec<SendableRecordBatchStream> {
        let places: Vec<_> = self.places(|_| true);
        let size =
            |(file, piece): &(usize, usize)| self.files[*file].bytes_of(&self.files[*file].scanned.pieces[*piece]);
        let share = places.iter().map(size).sum::<u64>().div_ceil(count as u64).max(1);
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
        partitions
            .into_iter()
            .map(|places| self.stream(places, self.schema.clone(), Self::batch))
            .collect()
    }

    /// The pieces that are wanted, in order.
    pub(crate) fn places(&self, wanted: impl Fn(&Piece) -> bool) -> Places {
        let files = self.files.iter().enumerate();
        let pieces = files.flat_map(|(file, scanned)| {
            let pieces = scanned.scanned.pieces.iter().enumerate();
            pieces.map(move |(number, piece)| (file, number, piece))
        });
        pieces
            .filter(|(.., piece)| wanted(piece))
            .map(|(file, number, _)| (file, number))
            .collect()
    }

    /// What `make` makes of the pieces, one after the other.
    pub(crate) fn stream(
        &self,
        places: Places,
        schema: SchemaRef,
        make: impl Fn(&Self, &ScannedFile, Decoded) -> Result<RecordBatch> + Send + 'static,
    ) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStream::builder(schema, WAITING_BATCHES);
        let (reader, sender) = (self.clone(), stream.tx());
        stream.spawn_blocking(move || {
            for (file, piece) in places {
                let file = &reader.files[file];
                let piece = &file.scanned.pieces[piece];
                let mut rows = 0;
                file.decode(piece, &reader.types(file)?, &mut |decoded| {
                    if reader.cancel.is_cancelled() {
                        return Err(Error::cancelled(format!("reading {}", file.name())));
                    }
                    rows += decoded.lines.len() as u64;
                    let batch = make(&reader, file, decoded)?;
                    let gone = |_| Error::cancelled(format!("reading {}", file.name()));
                    sender.blocking_send(Ok(batch)).map_err(gone)
                })?;
                if rows != piece.rows {
                    let why = format!("it had {} rows and then {rows}", piece.rows);
                    return Err(Error::conflict(format!("reading {}", file.name()), why).into());
                }
                reader.task.advance(file.bytes_of(piece));
            }
            Ok(())
        });
        stream.build()
    }

    /// The types that the columns of a file become.
    fn types(&self, file: &ScannedFile) -> Result<Vec<DataType>> {
        let data_type = |name: &String| {
            let field = self
                .schema
                .field_with_name(name)
                .doing(|| format!("reading {}", file.name()))?;
            Ok(field.data_type().clone())
        };
        file.scanned.plan.names.iter().map(data_type).collect()
    }

    /// Rows of a file, with the columns of all files and the provenance.
    fn batch(&self, file: &ScannedFile, decoded: Decoded) -> Result<RecordBatch> {
        let rows = decoded.lines.len();
        let names = &file.scanned.plan.names;
        let [id, at, origin] = self.load.columns(file.name(), &decoded.lines)?;
        let source_columns = self.schema.fields().len() - 3;
        let column = |at: usize| -> ArrayRef {
            let field = self.schema.field(at);
            match names.iter().position(|name| name == field.name()) {
                Some(column) => decoded.columns[column].clone(),
                None => new_null_array(field.data_type(), rows),
            }
        };
        let columns = (0..source_columns).map(column).chain([id, at, origin]).collect();
        RecordBatch::try_new(self.schema.clone(), columns).doing(|| format!("reading {}", file.name()))
    }
}

/// The schema of some columns with the provenance behind them.
pub(crate) fn with_provenance(columns: Vec<arrow::datatypes::Field>) -> SchemaRef {
    Arc::new(Schema::new(
        columns
            .into_iter()
            .chain(crate::provenance::fields())
            .collect::<Vec<_>>(),
    ))
}
