//! PostgreSQL's templates of dates and times, read once: fields, and what is between them.
//! (PostgreSQL, "Data Type Formatting Functions", tables 9.27 and 9.28.)

/// What a field tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// `AD`, `BC`; with points where `dotted`.
    Era {
        dotted: bool,
    },
    /// `AM`, `PM`; with points where `dotted`.
    Meridiem {
        dotted: bool,
    },
    Century,
    /// A name is padded to nine characters; `short` is of three.
    DayName {
        short: bool,
    },
    MonthName {
        short: bool,
    },
    DayOfYear,
    IsoDayOfYear,
    Day,
    /// Sunday is 1.
    Weekday,
    /// Monday is 1.
    IsoWeekday,
    /// So many digits of a second's fraction.
    Fraction(u32),
    Milliseconds,
    Microseconds,
    /// Fixed width, of the whole template.
    Fixed,
    Hour24,
    Hour12,
    IsoWeek,
    /// So many last digits of the year of ISO 8601's week.
    IsoYear(u32),
    Julian,
    Minute,
    Month,
    Offset,
    Quarter,
    Roman,
    SecondsOfDay,
    Second,
    ZoneHours,
    ZoneMinutes,
    Zone,
    WeekOfYear,
    WeekOfMonth,
    /// `Y,YYY`.
    YearWithComma,
    /// So many last digits of the year.
    Year(u32),
    /// The week of the year, the first one begins with its first Sunday (0) or Monday (1). Only in other products' formats,
    /// like those that follow.
    WeekFrom(i64),
    /// Sunday is 0.
    WeekdayFromZero,
    /// Seconds since 1970.
    Epoch,
    /// `+0200`.
    PlainOffset,
}

/// How letters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Title,
    Lower,
}

/// A field of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub what: What,
    pub case: Case,
    /// `FM`: no padding.
    pub unpadded: bool,
    /// `TM`: a name in the language of the session, which is English and not padded.
    pub translated: bool,
    /// `TH` or `th` after it.
    pub ordinal: Option<Case>,
    /// Its keyword.
    pub word: &'static str,
}

impl Field {
    /// How many characters it is read from, where numbers follow each other.
    pub fn width(&self) -> usize {
        match self.what {
            What::Fraction(digits) | What::Year(digits) | What::IsoYear(digits) => digits as usize,
            What::DayOfYear | What::IsoDayOfYear | What::Milliseconds => 3,
            What::Microseconds => 6,
            What::SecondsOfDay => 5,
            What::Weekday | What::IsoWeekday | What::Quarter | What::WeekOfMonth => 1,
            What::Julian => 7,
            What::Epoch => 20,
            _ => 2,
        }
    }

    /// Whether it is read and written as digits.
    pub fn is_number(&self) -> bool {
        !matches!(
            self.what,
            What::Era { .. }
                | What::Meridiem { .. }
                | What::DayName { .. }
                | What::MonthName { .. }
                | What::Fixed
                | What::Offset
                | What::Roman
                | What::Zone
                | What::PlainOffset
                | What::YearWithComma
        )
    }
}

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Field(Field),
    /// A space, or a sign that is neither a letter nor a digit.
    Separator(char),
    /// Anything else, or what is in quotes.
    Text(char),
}

/// Keywords in the order in which they are tried.
const KEYWORDS: &[(&str, What)] = &[
    ("A.D.", What::Era { dotted: true }),
    ("A.M.", What::Meridiem { dotted: true }),
    ("AD", What::Era { dotted: false }),
    ("AM", What::Meridiem { dotted: false }),
    ("B.C.", What::Era { dotted: true }),
    ("BC", What::Era { dotted: false }),
    ("CC", What::Century),
    ("DAY", What::DayName { short: false }),
    ("DDD", What::DayOfYear),
    ("DD", What::Day),
    ("DY", What::DayName { short: true }),
    ("D", What::Weekday),
    ("FF1", What::Fraction(1)),
    ("FF2", What::Fraction(2)),
    ("FF3", What::Fraction(3)),
    ("FF4", What::Fraction(4)),
    ("FF5", What::Fraction(5)),
    ("FF6", What::Fraction(6)),
    ("FX", What::Fixed),
    ("HH24", What::Hour24),
    ("HH12", What::Hour12),
    ("HH", What::Hour12),
    ("IDDD", What::IsoDayOfYear),
    ("ID", What::IsoWeekday),
    ("IW", What::IsoWeek),
    ("IYYY", What::IsoYear(4)),
    ("IYY", What::IsoYear(3)),
    ("IY", What::IsoYear(2)),
    ("I", What::IsoYear(1)),
    ("J", What::Julian),
    ("MI", What::Minute),
    ("MM", What::Month),
    ("MONTH", What::MonthName { short: false }),
    ("MON", What::MonthName { short: true }),
    ("MS", What::Milliseconds),
    ("OF", What::Offset),
    ("P.M.", What::Meridiem { dotted: true }),
    ("PM", What::Meridiem { dotted: false }),
    ("Q", What::Quarter),
    ("RM", What::Roman),
    ("SSSSS", What::SecondsOfDay),
    ("SSSS", What::SecondsOfDay),
    ("SS", What::Second),
    ("TZH", What::ZoneHours),
    ("TZM", What::ZoneMinutes),
    ("TZ", What::Zone),
    ("US", What::Microseconds),
    ("WW", What::WeekOfYear),
    ("W", What::WeekOfMonth),
    ("Y,YYY", What::YearWithComma),
    ("YYYY", What::Year(4)),
    ("YYY", What::Year(3)),
    ("YY", What::Year(2)),
    ("Y", What::Year(1)),
];

/// The pieces of a template.
pub(super) fn parse(template: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        if let Some((field, after)) = field(rest) {
            nodes.push(Node::Field(field));
            rest = after;
            continue;
        }
        let mut letters = rest.chars();
        match letters.next() {
            Some('"') => rest = quoted(letters.as_str(), &mut nodes),
            // A quote that is meant as one.
            Some('\\') if letters.as_str().starts_with('"') => {
                nodes.push(Node::Text('"'));
                rest = letters.as_str().get(1..).unwrap_or_default();
            }
            Some(letter) => {
                let separates = letter.is_whitespace() || letter.is_ascii_punctuation();
                nodes.push(if separates {
                    Node::Separator(letter)
                } else {
                    Node::Text(letter)
                });
                rest = letters.as_str();
            }
            None => break,
        }
    }
    nodes
}

/// Takes what is in quotes, and gives what follows.
fn quoted<'a>(text: &'a str, nodes: &mut Vec<Node>) -> &'a str {
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return letters.as_str(),
            '\\' => nodes.extend(letters.next().map(Node::Text)),
            letter => nodes.push(Node::Text(letter)),
        }
    }
    ""
}

/// The field that the text begins with, and what follows it.
fn field(text: &str) -> Option<(Field, &str)> {
    let (mut unpadded, mut translated) = (false, false);
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            (unpadded, rest) = (true, after);
        } else if let Some(after) = rest.strip_prefix("TM").or_else(|| rest.strip_prefix("tm")) {
            (translated, rest) = (true, after);
        } else {
            break;
        }
    }
    let (word, what, case) = KEYWORDS
        .iter()
        .find_map(|&(word, what)| Some((word, what, case(rest, word, what)?)))?;
    rest = rest.get(word.len()..)?;
    let mut ordinal = None;
    for (suffix, case) in [
        ("TH", Case::Upper),
        ("th", Case::Lower),
        ("SP", Case::Upper),
        ("sp", Case::Lower),
    ] {
        if let Some(after) = rest.strip_prefix(suffix) {
            ordinal = suffix.eq_ignore_ascii_case("th").then_some(case);
            rest = after;
            break;
        }
    }
    let field = Field {
        what,
        case,
        unpadded,
        translated,
        ordinal,
        word,
    };
    Some((field, rest))
}

/// The case in which the text begins with the keyword: all upper, all lower, or of a name its first letter upper.
fn case(text: &str, word: &str, what: What) -> Option<Case> {
    let begins = text.get(..word.len())?;
    let is_name = matches!(what, What::DayName { .. } | What::MonthName { .. });
    let lower = word.to_ascii_lowercase();
    if begins == word {
        Some(Case::Upper)
    } else if begins == lower {
        Some(Case::Lower)
    } else {
        let title = begins.get(..1) == word.get(..1) && begins.get(1..) == lower.get(1..);
        (is_name && title).then_some(Case::Title)
    }
}
