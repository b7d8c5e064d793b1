//! Window functions of which the engine knows less than SQL.

mod shift;

use super::Functions;

/// The window functions.
pub(super) fn all() -> Functions {
    Functions {
        window: shift::all(),
        ..Functions::default()
    }
}
