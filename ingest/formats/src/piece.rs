//! Parts of a file, and what is known and read of them.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use crate::rejected::Rejected;
use crate::shape::Shape;

/// A part of a file that is read on its own: bytes of a text, or row groups of Parquet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub start: u64,
    pub end: u64,
    /// The line of its first byte, or the number of its first row, from 1.
    pub first: u64,
    pub rows: u64,
    pub rejected: u64,
}

/// What is known about a file's columns before their values are.
#[derive(Debug, Default)]
pub struct TextPlan {
    /// The source's own names.
    pub originals: Vec<String>,
    /// Their names in the lake.
    pub names: Vec<String>,
    pub declared: Vec<Option<DataType>>,
}

/// What the first reading of a file found.
#[derive(Debug, Default)]
pub struct Scanned {
    pub plan: TextPlan,
    pub shapes: Vec<Shape>,
    pub pieces: Vec<Piece>,
}

/// Rows of a file.
#[derive(Debug)]
pub struct Decoded {
    pub columns: Vec<ArrayRef>,
    /// The line that each row begins on, or its number.
    pub lines: Vec<u64>,
    pub rejected: Vec<Rejected>,
}
