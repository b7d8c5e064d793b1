//! Dates as eight digits: year, month, day.

/// The first three letters of months in Spanish, Portuguese and English.
#[rustfmt::skip]
const MONTHS: [(&str, u32); 21] = [
    ("jan", 1), ("ene", 1), ("feb", 2), ("fev", 2), ("mar", 3), ("apr", 4), ("abr", 4), ("may", 5), ("mai", 5),
    ("jun", 6), ("jul", 7), ("aug", 8), ("ago", 8), ("sep", 9), ("set", 9), ("oct", 10), ("out", 10), ("nov", 11),
    ("dec", 12), ("dic", 12), ("dez", 12),
];

/// The date that a text begins with: `1956-04-09`, `19560409`, `9/4/1956` or `9 abr 1956`. The day comes before the month
/// where both could be.
pub(crate) fn date(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return written(number(&text[..4])?, number(&text[4..6])?, number(&text[6..])?);
    }
    let day = text
        .split(['T', 't'])
        .next()
        .filter(|day| day.contains(['-', '/']))
        .unwrap_or(text);
    let mut parts = day
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty() && *part != "de");
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    if a.len() == 4 {
        return written(number(a)?, month(b)?, number(c)?);
    }
    let year = match (number(c)?, c.len()) {
        (year, 4) => year,
        (year, 2) => year + if year > 30 { 1900 } else { 2000 },
        _ => return None,
    };
    let day_first = month(b)
        .zip(number(a))
        .and_then(|(month, day)| written(year, month, day));
    day_first.or_else(|| written(year, month(a)?, number(b)?))
}

fn number(digits: &str) -> Option<u32> {
    digits.parse().ok()
}

fn month(text: &str) -> Option<u32> {
    let start = text.get(..3).map(str::to_ascii_lowercase);
    let named = start.and_then(|start| MONTHS.iter().find(|(name, _)| *name == start));
    named.map(|(_, month)| *month).or_else(|| number(text))
}

/// The digits of a day that there is. Centuries in which nobody of now was born are what systems write for nothing.
fn written(year: u32, month: u32, day: u32) -> Option<String> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let is_placeholder = matches!((year, month, day), (1900 | 1901, 1, 1));
    let is_date = (1000..3000).contains(&year) && (1..=days).contains(&day) && !is_placeholder;
    is_date.then(|| format!("{year:04}{month:02}{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_all_forms_are_one() {
        for text in [
            "1956-04-09",
            "19560409",
            "9/4/1956",
            "09-04-56",
            "1956-04-09T00:00:00Z",
            "1956-04-09 12:30:00",
            "9 de abril de 1956",
            "9 Apr 1956",
            "1956/4/9",
        ] {
            assert_eq!(date(text).as_deref(), Some("19560409"), "{text}");
        }
        assert_eq!(date("4/19/1956").as_deref(), Some("19560419"), "there is no month 19");
        for text in [
            "",
            "1956",
            "1956-02-30",
            "1900-01-01",
            "0001-01-01",
            "9999-12-31",
            "soon",
            "1-2-3",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }
}
