//! Formats of other products, as pieces of a template: C's `%Y-%m-%d` (DuckDB, BigQuery), MySQL's, and Java's
//! `yyyy-MM-dd` (Spark, .NET).

use datafusion::common::{Result, exec_err};

use super::template::{Case, Field, Node, What};

fn field(what: What) -> Field {
    Field {
        what,
        case: Case::Upper,
        unpadded: false,
        translated: true,
        ordinal: None,
        word: "format",
    }
}

fn node(what: What) -> Node {
    Node::Field(field(what))
}

fn title(what: What) -> Node {
    Node::Field(Field {
        case: Case::Title,
        ..field(what)
    })
}

fn unpadded(what: What) -> Node {
    Node::Field(Field {
        unpadded: true,
        ..field(what)
    })
}

/// What is between fields.
fn between(letter: char) -> Node {
    match letter.is_whitespace() || letter.is_ascii_punctuation() {
        true => Node::Separator(letter),
        false => Node::Text(letter),
    }
}

/// Pieces with what is between them.
fn joined(text: &str, piece: fn(char) -> Option<Node>) -> Vec<Node> {
    text.chars()
        .map(|letter| piece(letter).unwrap_or_else(|| between(letter)))
        .collect()
}

/// `y`, `m`, `d`, `H`, `M`, `S`, as the longer conversions are made of.
fn simple(letter: char) -> Option<Node> {
    Some(node(match letter {
        'Y' => What::Year(4),
        'y' => What::Year(2),
        'm' => What::Month,
        'd' => What::Day,
        'H' => What::Hour24,
        'I' => What::Hour12,
        'M' => What::Minute,
        'S' => What::Second,
        'p' => What::Meridiem { dotted: false },
        _ => return None,
    }))
}

/// The pieces of C's format, with DuckDB's and BigQuery's additions. `%-d` is not padded.
///
/// # Errors
/// Execution: there is no such conversion.
pub(super) fn of_c(format: &str) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            nodes.push(between(letter));
            continue;
        }
        let mut next = letters.next();
        let not_padded = next == Some('-');
        let mut precision = None;
        if not_padded || next == Some('E') {
            next = letters.next();
            if let Some(digit) = next.and_then(|digit| digit.to_digit(10)) {
                precision = Some(digit);
                next = letters.next();
            }
        }
        let Some(letter) = next else {
            return exec_err!("the format ends within a conversion");
        };
        let of_letter = match letter {
            'a' => title(What::DayName { short: true }),
            'A' => title(What::DayName { short: false }),
            'b' | 'h' => title(What::MonthName { short: true }),
            'B' => title(What::MonthName { short: false }),
            'C' => node(What::Century),
            'e' => unpadded(What::Day),
            'f' => node(What::Microseconds),
            'g' => node(What::Milliseconds),
            'G' => node(What::IsoYear(4)),
            'j' => node(What::DayOfYear),
            'k' => unpadded(What::Hour24),
            'l' => unpadded(What::Hour12),
            'L' => node(What::Milliseconds),
            'P' => Node::Field(Field {
                case: Case::Lower,
                ..field(What::Meridiem { dotted: false })
            }),
            'Q' => node(What::Quarter),
            's' => node(What::Epoch),
            'u' => node(What::IsoWeekday),
            'U' => node(What::WeekFrom(0)),
            'V' => node(What::IsoWeek),
            'w' => node(What::WeekdayFromZero),
            'W' => node(What::WeekFrom(1)),
            'z' => node(What::PlainOffset),
            'Z' => node(What::Zone),
            '%' => Node::Separator('%'),
            'n' => {
                nodes.push(node(What::Microseconds));
                nodes.extend(['0'; 3].map(Node::Text));
                continue;
            }
            't' => Node::Separator('\t'),
            'S' if precision.is_some() => {
                nodes.extend([node(What::Second), Node::Separator('.')]);
                node(What::Fraction(precision.unwrap_or(6).clamp(1, 6)))
            }
            'D' => {
                nodes.extend(joined("m/d/y", simple));
                continue;
            }
            'F' | 'x' => {
                nodes.extend(joined("Y-m-d", simple));
                continue;
            }
            'T' | 'X' => {
                nodes.extend(joined("H:M:S", simple));
                continue;
            }
            'R' => {
                nodes.extend(joined("H:M", simple));
                continue;
            }
            'r' => {
                nodes.extend(joined("I:M:S p", simple));
                continue;
            }
            'c' => {
                nodes.extend(joined("Y-m-d H:M:S", simple));
                continue;
            }
            letter => match simple(letter) {
                Some(node) => node,
                None => return exec_err!("formats have no conversion `%{letter}`"),
            },
        };
        nodes.push(match of_letter {
            Node::Field(field) => Node::Field(Field {
                unpadded: field.unpadded || not_padded,
                ..field
            }),
            other => other,
        });
    }
    Ok(nodes)
}

/// The pieces of MySQL's format. A letter that is no conversion is itself.
pub(super) fn of_mysql(format: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            nodes.push(between(letter));
            continue;
        }
        let Some(letter) = letters.next() else {
            break;
        };
        nodes.push(match letter {
            'a' => title(What::DayName { short: true }),
            'b' => title(What::MonthName { short: true }),
            'c' => unpadded(What::Month),
            'd' => node(What::Day),
            'D' => Node::Field(Field {
                ordinal: Some(Case::Lower),
                unpadded: true,
                ..field(What::Day)
            }),
            'e' => unpadded(What::Day),
            'f' => node(What::Microseconds),
            'H' => node(What::Hour24),
            'h' | 'I' => node(What::Hour12),
            'i' => node(What::Minute),
            'j' => node(What::DayOfYear),
            'k' => unpadded(What::Hour24),
            'l' => unpadded(What::Hour12),
            'M' => title(What::MonthName { short: false }),
            'm' => node(What::Month),
            'p' => node(What::Meridiem { dotted: false }),
            'S' | 's' => node(What::Second),
            'U' | 'V' => node(What::WeekFrom(0)),
            'u' | 'v' => node(What::IsoWeek),
            'W' => title(What::DayName { short: false }),
            'w' => node(What::WeekdayFromZero),
            'X' | 'x' => node(What::IsoYear(4)),
            'Y' => node(What::Year(4)),
            'y' => node(What::Year(2)),
            'T' => {
                nodes.extend(joined("H:M:S", simple));
                continue;
            }
            'r' => {
                nodes.extend(joined("I:M:S p", simple));
                continue;
            }
            other => between(other),
        });
    }
    nodes
}

/// The pieces of Java's and .NET's format: letters that are repeated, and text in single quotes.
///
/// # Errors
/// Execution: there is no such letter.
pub(super) fn of_java(format: &str) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\'' {
            if letters.next_if_eq(&'\'').is_some() {
                nodes.push(Node::Text('\''));
                continue;
            }
            nodes.extend(letters.by_ref().take_while(|&letter| letter != '\'').map(Node::Text));
            continue;
        }
        if !letter.is_ascii_alphabetic() {
            nodes.push(between(letter));
            continue;
        }
        let mut count = 1;
        while letters.next_if_eq(&letter).is_some() {
            count += 1;
        }
        let number = |what: What| if count == 1 { unpadded(what) } else { node(what) };
        nodes.push(match (letter, count) {
            ('y' | 'u', 2) => node(What::Year(2)),
            ('y' | 'u', _) => node(What::Year(4)),
            ('M' | 'L', 3) => title(What::MonthName { short: true }),
            ('M' | 'L', 4) => title(What::MonthName { short: false }),
            ('M' | 'L', _) => number(What::Month),
            ('d', 3) | ('E', 1..=3) => title(What::DayName { short: true }),
            ('d' | 'E', 4) => title(What::DayName { short: false }),
            ('d', _) => number(What::Day),
            ('D', _) => number(What::DayOfYear),
            ('H', _) => number(What::Hour24),
            ('h', _) => number(What::Hour12),
            ('m', _) => number(What::Minute),
            ('s', _) => number(What::Second),
            ('S' | 'f' | 'F', digits) => node(What::Fraction(digits.min(6))),
            ('a' | 't', _) => node(What::Meridiem { dotted: false }),
            ('Q' | 'q', _) => number(What::Quarter),
            ('w', _) => number(What::IsoWeek),
            ('Y', _) => node(What::IsoYear(4)),
            ('z' | 'V', _) => node(What::Zone),
            ('X' | 'x' | 'K', _) => node(What::Offset),
            ('Z', _) => node(What::PlainOffset),
            _ => return exec_err!("formats have no letter `{letter}`"),
        });
    }
    Ok(nodes)
}
