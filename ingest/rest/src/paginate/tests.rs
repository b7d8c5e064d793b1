//! What a page means for the next one.

use super::*;

#[test]
fn a_short_page_may_be_the_last_one_and_the_next_one_tells() {
    assert_eq!(numbered::short(250, Some(250)), None);
    assert_eq!(numbered::short(0, Some(250)), Some(Next::End));
    for rows in [1, 37, 100, 249] {
        assert_eq!(numbered::short(rows, Some(250)), Some(Next::Perhaps));
    }
    assert_eq!(numbered::short(37, None), None);
}
