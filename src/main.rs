//! Cordada.
fn main() {}
