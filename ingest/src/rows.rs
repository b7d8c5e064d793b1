//! The rows of a chunk, as partitions of batches that share one schema: the source's columns by their names in the
//! lake, then the provenance.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use cordada_core::batches::WAITING_BATCHES;
use cordada_core::conform::conform;
use cordada_core::progress::Task;
use cordada_core::spelling::Former;
use cordada_core::types::{COMMENT, PII, storable_type};
use cordada_core::{Context, Error, Result};
use cordada_ingest_formats::piece::Decoded;
use cordada_ingest_formats::scanned::ScannedFile;
use cordada_ingest_formats::shape::column_names;
use cordada_ingest_source::options::Options;
use cordada_ingest_source::provenance::{self, Load};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use futures::TryStreamExt;
use tokio_util::sync::CancellationToken;

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
    pub(crate) task: Arc<dyn Task>,
    pub(crate) cancel: CancellationToken,
}

/// Where in the files a partition's pieces are: the file's and the piece's number.
type Places = Vec<(usize, usize)>;

impl RowReader {
    /// Up to `count` partitions of about as many bytes each. Their rows are in the order of the files: those of a
    /// later partition come later.
    pub(crate) fn partitions(&self, count: usize) -> Vec<SendableRecordBatchStream> {
        let places: Vec<_> = self.places();
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
        partitions.into_iter().map(|places| self.stream(places)).collect()
    }

    /// All pieces, in order.
    fn places(&self) -> Places {
        let files = self.files.iter().enumerate();
        let pieces =
            files.flat_map(|(file, scanned)| (0..scanned.scanned.pieces.len()).map(move |piece| (file, piece)));
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
                let mut rows = 0;
                file.decode(piece, &reader.types(file)?, &mut |decoded| {
                    if reader.cancel.is_cancelled() {
                        return Err(Error::cancelled(format!("reading {}", file.name())));
                    }
                    rows += decoded.lines.len() as u64;
                    reader.rejects.unreadable(file.name(), &decoded.rejected)?;
                    let batch = reader.batch(file, decoded)?;
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

/// Rows of `schema`, which names the source's own columns, by their names in the lake and with the provenance.
/// The column `deleted`, if there is one, becomes [`provenance::DELETED`].
///
/// # Errors
/// Config for names that collide.
pub(crate) fn typed(
    schema: &Schema,
    partitions: Vec<SendableRecordBatchStream>,
    deleted: Option<&str>,
    origin: &Arc<str>,
    load: &Load,
    options: &Options,
) -> Result<(SchemaRef, Vec<SendableRecordBatchStream>)> {
    let is_deleted = |field: &Field| deleted == Some(field.name());
    let own = schema.fields().iter().filter(|field| !is_deleted(field));
    let mut names = column_names(own.map(|field| field.name().as_str()))?.into_iter();
    let mut fields = Vec::new();
    for field in schema.fields() {
        if is_deleted(field) {
            fields.push(Field::new(provenance::DELETED, DataType::Boolean, true));
            continue;
        }
        let name = names.next().unwrap_or_default();
        provenance::refuse_ours(origin, [name.as_str()])?;
        let declared = options.column(&name).and_then(|column| column.data_type.clone());
        let data_type = declared.unwrap_or_else(|| storable_type(field.data_type()));
        fields.push(described(options, &name, field.name(), data_type));
    }
    let columns = Arc::new(Schema::new(fields.clone()));
    let schema = with_provenance(fields);
    let partitions = partitions.into_iter().map(|partition| -> SendableRecordBatchStream {
        let (columns, result, load, origin) = (columns.clone(), schema.clone(), load.clone(), origin.clone());
        let rows = partition.and_then(move |batch| {
            let named = named(&batch, &columns).and_then(|batch| arranged(&batch, &result, &load, &origin));
            std::future::ready(named.map_err(Into::into))
        });
        Box::pin(RecordBatchStreamAdapter::new(schema.clone(), rows))
    });
    let partitions = partitions.collect();
    Ok((schema, partitions))
}

/// The batch with the names of `columns`, each cast to its type.
fn named(batch: &RecordBatch, columns: &SchemaRef) -> Result<RecordBatch> {
    let doing = || "reading rows";
    let fields = columns.fields().iter().zip(batch.columns());
    let fields: Vec<_> = fields
        .map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()))
        .collect();
    let renamed = RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec()).doing(doing)?;
    conform(&renamed, columns, &Former::default())
}

/// The batch with the provenance behind its columns.
fn arranged(batch: &RecordBatch, schema: &SchemaRef, load: &Load, origin: &str) -> Result<RecordBatch> {
    let provenance = load.same_origin(origin, batch.num_rows())?;
    let columns = batch.columns().iter().cloned().chain(provenance).collect();
    RecordBatch::try_new(schema.clone(), columns).doing(|| "adding the columns of the load")
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
