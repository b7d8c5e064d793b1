//! A table at one version: its file list and statistics, read once.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use cordada_core::{Error, Result, types};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use deltalake::kernel::{Add, EagerSnapshot, Remove};
use deltalake::logstore::LogStoreRef;
use object_store::path::Path;
use serde_json::Value;

use crate::delta_error::DeltaContext;
use crate::table::data_file::EXACT_DIGITS;

/// The table property that says how columns are named in the files.
const COLUMN_MAPPING: &str = "delta.columnMapping.mode";

/// A table at one version.
#[derive(Debug)]
pub struct TableSnapshot {
    path: String,
    schema: SchemaRef,
    state: EagerSnapshot,
    files: Vec<DataFile>,
    statistics: Statistics,
}

/// One Parquet file of a table.
#[derive(Debug, Clone)]
pub struct DataFile {
    /// Where it is, relative to the lake.
    pub location: Path,
    /// The log's entry, whose path is relative to the table.
    pub add: Add,
    /// What the log says about its rows, for the table's columns.
    pub statistics: Arc<Statistics>,
}

impl DataFile {
    /// The number of rows, if the log says it.
    pub fn rows(&self) -> Option<u64> {
        self.statistics.num_rows.get_value().map(|rows| *rows as u64)
    }

    /// The log's entry that takes the file out of the table.
    pub fn remove(&self) -> Remove {
        Remove {
            path: self.add.path.clone(),
            data_change: true,
            deletion_timestamp: Some(chrono::Utc::now().timestamp_millis()),
            extended_file_metadata: Some(true),
            partition_values: Some(self.add.partition_values.clone()),
            size: Some(self.add.size),
            ..Remove::default()
        }
    }
}

impl TableSnapshot {
    pub(crate) async fn load(path: &str, log_store: &LogStoreRef, version: u64) -> Result<Self> {
        let doing = || format!("reading version {version} of the table at {path}");
        let state = EagerSnapshot::try_new(log_store.as_ref(), Some(version))
            .await
            .doing(doing)?;
        Self::from_state(path, state)
    }

    pub(crate) fn from_state(path: &str, state: EagerSnapshot) -> Result<Self> {
        let doing = format!("reading version {} of the table at {path}", state.version());
        if !state.metadata().partition_columns().is_empty() {
            return Err(
                Error::failed(doing, "the table is partitioned, which the lake's own tables never are")
                    .hint("rewrite it without partitions"),
            );
        }
        let mapping = state.metadata().configuration().get(COLUMN_MAPPING);
        if mapping.is_some_and(|mode| mode != "none") {
            let why = "another writer mapped the table's columns to other names in its files";
            return Err(Error::failed(doing, why).hint("rewrite it without `delta.columnMapping.mode`"));
        }
        let schema = Arc::new(types::storable(&state.arrow_schema()));
        let mut files = Vec::new();
        for view in state.log_data().iter() {
            if view.deletion_vector_descriptor().is_some() {
                return Err(
                    Error::failed(doing, "another writer left deletion vectors in the table")
                        .hint("purge them with the tool that wrote them"),
                );
            }
            let add = Add {
                path: view.path().into_owned(),
                size: view.size(),
                modification_time: view.modification_time(),
                data_change: true,
                stats: view.stats(),
                ..Add::default()
            };
            files.push(data_file(path, add, &schema));
        }
        // The log lists files newest first; the order of arrival is the one people expect.
        files.sort_by(|a, b| (a.add.modification_time, &a.add.path).cmp(&(b.add.modification_time, &b.add.path)));
        let statistics = summarize(&files, &schema);
        Ok(Self {
            path: path.to_owned(),
            schema,
            state,
            files,
            statistics,
        })
    }

    /// The table's folder, relative to the lake.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The Delta version.
    pub fn version(&self) -> u64 {
        self.state.version()
    }

    /// Identifies the table: another one at the same place has another id.
    pub fn id(&self) -> &str {
        self.state.metadata().id()
    }

    /// The columns as the table stores them, with `comment` and `pii` as field metadata.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The number of rows, when every file says how many it has.
    pub fn rows(&self) -> Option<u64> {
        self.files.iter().map(DataFile::rows).sum()
    }

    /// The files, oldest first.
    pub fn files(&self) -> &[DataFile] {
        &self.files
    }

    /// The statistics of the whole table, for the optimizer.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// The table property of that name.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.state.metadata().configuration().get(name).map(String::as_str)
    }

    pub(crate) fn state(&self) -> &EagerSnapshot {
        &self.state
    }

    pub(crate) async fn transactions(&self, log_store: &LogStoreRef, ids: &[String]) -> Result<HashMap<String, i64>> {
        let mut versions = HashMap::new();
        for id in ids {
            let version = self.state.transaction_version(log_store.as_ref(), id).await;
            let version = version.doing(|| format!("reading the transactions of the table at {}", self.path))?;
            versions.extend(version.map(|version| (id.clone(), version)));
        }
        Ok(versions)
    }
}

pub(crate) fn data_file(table: &str, add: Add, schema: &Schema) -> DataFile {
    let statistics = add
        .stats
        .as_deref()
        .and_then(|json| serde_json::from_str::<Value>(json).ok());
    let statistics = statistics.map_or_else(
        || Statistics::new_unknown(schema),
        |json| file_statistics(&json, schema),
    );
    let statistics = statistics.with_total_bytes(add.size);
    let location = Path::from_iter(Path::from(table).parts().chain(Path::from(add.path.as_str()).parts()));
    DataFile {
        location,
        add,
        statistics: Arc::new(statistics),
    }
}

trait WithTotalBytes {
    fn with_total_bytes(self, compressed: i64) -> Self;
}

impl WithTotalBytes for Statistics {
    fn with_total_bytes(mut self, compressed: i64) -> Self {
        self.total_byte_size = Precision::Inexact(usize::try_from(compressed).unwrap_or_default());
        self
    }
}

/// The file's statistics from the log's JSON (Delta protocol, "Per-file Statistics").
fn file_statistics(json: &Value, schema: &Schema) -> Statistics {
    let rows = json["numRecords"]
        .as_u64()
        .map_or(Precision::Absent, |rows| Precision::Exact(rows as usize));
    let columns = schema.fields().iter().map(|field| {
        let bound = |which: &str| bound(&json[which][field.name()], field.data_type());
        ColumnStatistics {
            null_count: json["nullCount"][field.name()]
                .as_u64()
                .map_or(Precision::Absent, |nulls| Precision::Exact(nulls as usize)),
            min_value: bound("minValues"),
            max_value: bound("maxValues"),
            ..ColumnStatistics::new_unknown()
        }
    });
    Statistics {
        num_rows: rows,
        total_byte_size: Precision::Absent,
        column_statistics: columns.collect(),
    }
}

/// A minimum or maximum. Exact where the writers' conventions leave nothing out: text is cut off and timestamps are
/// rounded to milliseconds by some, so theirs bound the values but need not be among them.
fn bound(value: &Value, data_type: &DataType) -> Precision<ScalarValue> {
    let scalar = match (data_type, value) {
        (_, Value::Null) => None,
        (DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64, value) => value
            .as_i64()
            .and_then(|v| ScalarValue::Int64(Some(v)).cast_to(data_type).ok()),
        (DataType::Float32 | DataType::Float64, value) => value
            .as_f64()
            .and_then(|v| ScalarValue::Float64(Some(v)).cast_to(data_type).ok()),
        (DataType::Decimal128(precision, scale), value) => decimal(value, *precision, *scale),
        (DataType::Utf8, Value::String(text)) => {
            return Precision::Inexact(ScalarValue::Utf8View(Some(text.clone())));
        }
        (DataType::Date32, Value::String(text)) => {
            ScalarValue::Utf8(Some(text.clone())).cast_to(&DataType::Date32).ok()
        }
        (DataType::Timestamp(TimeUnit::Microsecond, _), Value::String(text)) => {
            let parsed = chrono::DateTime::parse_from_rfc3339(text).ok();
            let micros = parsed.map(|time| time.timestamp_micros());
            let scalar = micros.map(|micros| ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
            return scalar.map_or(Precision::Absent, Precision::Inexact);
        }
        _ => None,
    };
    scalar.map_or(Precision::Absent, Precision::Exact)
}

fn decimal(value: &Value, precision: u8, scale: i8) -> Option<ScalarValue> {
    let number = value.as_f64()?;
    let text = format!("{number:.*}", usize::try_from(scale).ok()?);
    let unscaled: i128 = text.replace('.', "").parse().ok()?;
    (unscaled.unsigned_abs() < 10_u128.pow(EXACT_DIGITS)).then_some(ScalarValue::Decimal128(
        Some(unscaled),
        precision,
        scale,
    ))
}

pub(crate) fn summarize(files: &[DataFile], schema: &Schema) -> Statistics {
    match Statistics::try_merge_iter(
        files.iter().map(|file| file.statistics.as_ref()),
        &types::readable(schema),
    ) {
        Ok(statistics) if !files.is_empty() => statistics,
        _ => {
            let mut unknown = Statistics::new_unknown(schema);
            if files.is_empty() {
                unknown.num_rows = Precision::Exact(0);
            }
            unknown
        }
    }
}
