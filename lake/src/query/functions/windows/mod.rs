//! Window functions of which the engine knows less than SQL.

pub(in crate::query) mod nth;
mod shift;

use super::Functions;

/// The window functions.
pub(super) fn all() -> Functions {
    Functions {
        scalar: vec![nth::function()],
        window: shift::all(),
        ..Functions::default()
    }
}
