//! A column's part of a row group.

use std::io::Write;
use std::sync::Arc;

use arrow::buffer::BooleanBuffer;
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, PageType};
use parquet::column::page::{CompressedPage, Page, PageReader, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats, ParquetMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use snap::raw::{Encoder, max_compress_len};

use super::page;
use super::values::Values;

/// A column chunk as it goes into a file, with what the file's footer says of it.
pub(crate) struct Chunk {
    bytes: Bytes,
    /// Its offsets count from the beginning of `bytes`.
    close: ColumnCloseResult,
}

impl Chunk {
    /// The chunk of a file of that metadata, page locations included; `bytes` are the chunk's.
    pub(crate) fn copied(metadata: &ParquetMetaData, group: usize, column: usize, bytes: Bytes) -> Result<Self> {
        let rows = metadata.row_group(group).num_rows() as u64;
        let chunk = metadata.row_group(group).column(column);
        let start = chunk.byte_range().0 as i64;
        let locations = metadata
            .offset_index()
            .and_then(|index| Some(index.get(group)?.get(column)?.page_locations()))
            .ok_or_else(|| ParquetError::General("there is no index of pages".to_owned()))?;
        let mut index = OffsetIndexBuilder::new();
        let next = locations.iter().skip(1).map(|page| page.first_row_index);
        for (page, end) in locations.iter().zip(next.chain([rows as i64])) {
            index.append_offset_and_size(page.offset - start, page.compressed_page_size);
            index.append_row_count(end - page.first_row_index);
        }
        Ok(Self {
            close: ColumnCloseResult {
                bytes_written: bytes.len() as u64,
                rows_written: rows,
                metadata: from_zero(chunk)?,
                bloom_filter: None,
                column_index: None,
                offset_index: Some(index.build()),
            },
            bytes,
        })
    }

    /// The rows of a chunk that `keep` names, which has a bit for each of its rows; `bytes` are the chunk's. `None` if
    /// it is not as we have them written, or its statistics would no longer be exact: then it is to be encoded anew.
    pub(crate) fn thinned(chunk: &ColumnChunkMetaData, bytes: &Bytes, keep: &BooleanBuffer) -> Result<Option<Self>> {
        if chunk.compression() != Compression::SNAPPY {
            return Ok(None);
        }
        let source = from_zero(chunk)?;
        let mut pages = SerializedPageReader::new(Arc::new(bytes.clone()), &source, keep.len(), None)?;
        let mut sink = TrackedWrite::new(Vec::with_capacity(bytes.len()));
        let mut writer = SerializedPageWriter::new(&mut sink);
        let mut thinning = Thinning::new(chunk, keep);
        let mut index = OffsetIndexBuilder::new();
        let mut encodings = Vec::new();
        let (mut dictionary_offset, mut data_offset, mut size) = (None, None, 0);
        while let Some(page) = pages.get_next_page()? {
            let (page, rows) = match thinning.next(page)? {
                Next::Page(page, rows) => (page, rows),
                Next::NoRows => continue,
                Next::Unknown => return Ok(None),
            };
            let encoding = page.encoding();
            let written = writer.write_page(page)?;
            count(&mut encodings, written.page_type, encoding);
            size += written.uncompressed_size as i64;
            let offset = written.offset as i64;
            if written.page_type == PageType::DICTIONARY_PAGE {
                dictionary_offset = Some(offset);
            } else {
                data_offset.get_or_insert(offset);
                index.append_offset_and_size(offset, written.compressed_size as i32);
                index.append_row_count(rows as i64);
            }
        }
        writer.close()?;
        let (Some(data_offset), true) = (data_offset, thinning.is_complete()) else {
            return Ok(None);
        };
        let bytes = Bytes::from(sink.into_inner()?);
        let mut metadata = ColumnChunkMetaData::builder(chunk.column_descr_ptr())
            .set_compression_codec(chunk.compression_codec())
            .set_encodings_mask(*chunk.encodings_mask())
            .set_page_encoding_stats(encodings)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(size)
            .set_num_values(thinning.levels)
            .set_data_page_offset(data_offset)
            .set_dictionary_page_offset(dictionary_offset);
        if let Some(statistics) = chunk.statistics() {
            metadata = metadata.set_statistics(with_fewer_nulls(statistics, thinning.nulls_removed));
        }
        Ok(Some(Self {
            close: ColumnCloseResult {
                bytes_written: bytes.len() as u64,
                rows_written: keep.count_set_bits() as u64,
                metadata: metadata.build()?,
                bloom_filter: None,
                column_index: None,
                offset_index: Some(index.build()),
            },
            bytes,
        }))
    }

    /// Adds the chunk to a row group; those of its columns come in order.
    pub(crate) fn append_to<W: Write + Send>(self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<()> {
        group.append_column(&self.bytes, self.close)
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// A chunk whose pages lose rows, one after the other.
struct Thinning<'a> {
    chunk: &'a ColumnChunkMetaData,
    keep: &'a BooleanBuffer,
    values: Values<'a>,
    /// Rows whose pages have been.
    row: usize,
    /// Levels that stay.
    levels: i64,
    nulls_removed: u64,
    compressor: Encoder,
    /// A page before and after it is compressed, in memory that is used again.
    plain: Vec<u8>,
    compressed: Vec<u8>,
}

/// What becomes of a page.
enum Next {
    /// It stays, with so many rows.
    Page(CompressedPage, usize),
    /// None of its rows stays.
    NoRows,
    /// It is not as we have them written.
    Unknown,
}

impl<'a> Thinning<'a> {
    fn new(chunk: &'a ColumnChunkMetaData, keep: &'a BooleanBuffer) -> Self {
        Self {
            chunk,
            keep,
            values: Values::new(chunk.column_descr(), chunk.statistics()),
            row: 0,
            levels: 0,
            nulls_removed: 0,
            compressor: Encoder::new(),
            plain: Vec::new(),
            compressed: Vec::new(),
        }
    }

    fn next(&mut self, page: Page) -> Result<Next> {
        match page {
            Page::DictionaryPage {
                buf,
                num_values,
                encoding: Encoding::PLAIN,
                is_sorted,
            } => {
                if self.values.read_dictionary(&buf, num_values).is_none() {
                    return Ok(Next::Unknown);
                }
                let page = Page::DictionaryPage {
                    buf: compress(&mut self.compressor, &buf, &mut self.compressed)?,
                    num_values,
                    encoding: Encoding::PLAIN,
                    is_sorted,
                };
                Ok(Next::Page(CompressedPage::new(page, buf.len()), 0))
            }
            Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                ..
            } if i64::from(num_values) <= self.chunk.num_values() => {
                let levels = num_values as usize;
                let keep = self.keep.slice(self.row, self.keep.len() - self.row);
                let thin = page::thin(&mut self.values, encoding, &buf, levels, &keep, &mut self.plain);
                let Some(thin) = thin else {
                    return Ok(Next::Unknown);
                };
                self.row += thin.rows_before;
                self.levels += thin.levels as i64;
                self.nulls_removed += thin.nulls_removed as u64;
                if thin.rows == 0 {
                    return Ok(Next::NoRows);
                }
                let page = Page::DataPage {
                    buf: compress(&mut self.compressor, &self.plain, &mut self.compressed)?,
                    num_values: thin.levels as u32,
                    encoding,
                    def_level_encoding: Encoding::RLE,
                    rep_level_encoding: Encoding::RLE,
                    statistics: None,
                };
                Ok(Next::Page(CompressedPage::new(page, self.plain.len()), thin.rows))
            }
            _ => Ok(Next::Unknown),
        }
    }

    /// Whether all rows have been, and the bounds are still exact.
    fn is_complete(&self) -> bool {
        self.row == self.keep.len() && !self.values.bounds_are_lost()
    }
}

fn compress(compressor: &mut Encoder, bytes: &[u8], scratch: &mut Vec<u8>) -> Result<Bytes> {
    scratch.resize(scratch.len().max(max_compress_len(bytes.len())), 0);
    let length = compressor.compress(bytes, scratch);
    let length = length.map_err(|error| ParquetError::External(error.into()))?;
    Ok(Bytes::copy_from_slice(&scratch[..length]))
}

/// The chunk with offsets from its own beginning on.
fn from_zero(chunk: &ColumnChunkMetaData) -> Result<ColumnChunkMetaData> {
    let start = chunk.byte_range().0 as i64;
    let builder = chunk
        .clone()
        .into_builder()
        .set_data_page_offset(chunk.data_page_offset() - start)
        .set_dictionary_page_offset(chunk.dictionary_page_offset().map(|offset| offset - start));
    builder.build()
}

/// Counts a page of that type and encoding.
fn count(pages: &mut Vec<PageEncodingStats>, page_type: PageType, encoding: Encoding) {
    match pages
        .iter_mut()
        .find(|pages| (pages.page_type, pages.encoding) == (page_type, encoding))
    {
        Some(pages) => pages.count += 1,
        None => pages.push(PageEncodingStats {
            page_type,
            encoding,
            count: 1,
        }),
    }
}

/// The same bounds, and fewer nulls.
fn with_fewer_nulls(statistics: &Statistics, removed: u64) -> Statistics {
    fn fewer<T: Clone>(statistics: &ValueStatistics<T>, removed: u64) -> ValueStatistics<T> {
        let nulls = statistics.null_count_opt().map(|nulls| nulls.saturating_sub(removed));
        ValueStatistics::new(
            statistics.min_opt().cloned(),
            statistics.max_opt().cloned(),
            None,
            nulls,
            false,
        )
        .with_min_is_exact(statistics.min_is_exact())
        .with_max_is_exact(statistics.max_is_exact())
    }
    match statistics {
        Statistics::Boolean(of) => Statistics::Boolean(fewer(of, removed)),
        Statistics::Int32(of) => Statistics::Int32(fewer(of, removed)),
        Statistics::Int64(of) => Statistics::Int64(fewer(of, removed)),
        Statistics::Int96(of) => Statistics::Int96(fewer(of, removed)),
        Statistics::Float(of) => Statistics::Float(fewer(of, removed)),
        Statistics::Double(of) => Statistics::Double(fewer(of, removed)),
        Statistics::ByteArray(of) => Statistics::ByteArray(fewer(of, removed)),
        Statistics::FixedLenByteArray(of) => Statistics::FixedLenByteArray(fewer(of, removed)),
    }
}
