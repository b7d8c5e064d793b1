//! Parts of a file, and what is known and read of them.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use crate::rejected::Rejected;
use crate::shape::Shape;

/// A part of a file that is read on its own: bytes of a text, or row groups of Parquet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its first byte, or the number of its first row group.
    pub start: u64,
    /// The byte or the row group after its last one.
    pub end: u64,
    /// The line of its first byte, or the number of its first row, from 1.
    pub first: u64,
    /// Rows that can land.
    pub rows: u64,
    /// Records that cannot.
    pub rejected: u64,
}

/// What is known about a file's columns before their values are.
#[derive(Debug, Default)]
pub struct TextPlan {
    /// The source's own names.
    pub originals: Vec<String>,
    /// Their names in the lake.
    pub names: Vec<String>,
    /// The types that are declared for them.
    pub declared: Vec<Option<DataType>>,
    /// How many of the last ones have neither a name nor, in some rows, a field.
    pub unnamed: usize,
}

/// What the first reading of a file found.
#[derive(Debug, Default)]
pub struct Scanned {
    /// What is known about the columns.
    pub plan: TextPlan,
    /// What their values look like.
    pub shapes: Vec<Shape>,
    /// The parts that the file is read in.
    pub pieces: Vec<Piece>,
}

/// Rows of a file.
#[derive(Debug)]
pub struct Decoded {
    /// A column of values for each of the file's.
    pub columns: Vec<ArrayRef>,
    /// The line that each row begins on, or its number.
    pub lines: Vec<u64>,
    /// Records that cannot land.
    pub rejected: Vec<Rejected>,
    /// The columns, by their positions, with nanoseconds that were cut.
    pub cut: Vec<usize>,
}
