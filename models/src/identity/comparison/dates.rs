//! Dates of eight digits.

/// How two dates differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Difference {
    /// One slip: day and month swapped, or one digit.
    Slip,
    /// Two of day, month and year are the same, or they are at most a month apart.
    Near,
    /// The same year.
    Year,
    Far,
}

/// How two dates that differ do so.
pub(super) fn difference(a: &str, b: &str) -> Difference {
    let (Some((year_a, month_a, day_a)), Some((year_b, month_b, day_b))) = (parts(a), parts(b)) else {
        return Difference::Far;
    };
    let is_swapped = year_a == year_b && month_a == day_b && day_a == month_b;
    if is_swapped || super::strings::within(a, b, 1) {
        return Difference::Slip;
    }
    let same = usize::from(year_a == year_b) + usize::from(month_a == month_b) + usize::from(day_a == day_b);
    if same == 2 || days(a).abs_diff(days(b)) <= 31 {
        Difference::Near
    } else if year_a == year_b {
        Difference::Year
    } else {
        Difference::Far
    }
}

fn parts(date: &str) -> Option<(&str, &str, &str)> {
    Some((date.get(..4)?, date.get(4..6)?, date.get(6..8)?))
}

/// Days since a day that is the same for all.
pub(super) fn days(date: &str) -> i64 {
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(0i64);
    let (year, month, day) = (number(date.get(..4)), number(date.get(4..6)), number(date.get(6..8)));
    // Years begin in March here, so that the day that some have more is their last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_from_other_days() {
        for (a, b, expected) in [
            ("19560409", "19560904", Difference::Slip),
            ("19560409", "19560408", Difference::Slip),
            ("19560409", "19650409", Difference::Slip),
            ("19560409", "19230409", Difference::Near),
            ("19560430", "19560529", Difference::Near),
            ("19560409", "19561127", Difference::Year),
            ("19560409", "19721127", Difference::Far),
        ] {
            assert_eq!(difference(a, b), expected, "{a} {b}");
            assert_eq!(difference(b, a), expected, "{b} {a}");
        }
        assert_eq!(days("20240301") - days("20240228"), 2);
        assert_eq!(days("20250101") - days("20241231"), 1);
    }
}
