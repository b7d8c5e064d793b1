//! What a page means for the next one.

use super::*;

#[test]
fn a_short_page_ends_unless_it_may_be_a_limit_of_the_system() {
    let short = |longest, rows, size| {
        numbered::short(
            &Position {
                longest,
                ..Position::default()
            },
            rows,
            Some(size),
        )
    };
    assert_eq!(short(0, 250, 250), None);
    assert_eq!(short(0, 0, 250), Some(Next::End));
    assert_eq!(short(0, 37, 250), Some(Next::End));
    // 100 may be all there is, or all that it gives at a time.
    assert_eq!(short(0, 100, 250), Some(Next::Perhaps));
    assert_eq!(short(100, 100, 250), Some(Next::Perhaps));
    assert_eq!(short(100, 95, 250), Some(Next::End));
}
