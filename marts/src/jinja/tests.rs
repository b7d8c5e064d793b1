//! The context that templates see.
