//! Whole projects, built on a lake in a temporary folder.
