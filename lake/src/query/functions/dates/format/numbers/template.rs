//! PostgreSQL's templates of numbers, read once (its documentation, table 9.29).

use datafusion::common::{Result, exec_err};

/// A piece of a template of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// `9`
    Digit,
    /// `0`: shown even where the number has none.
    Zero,
    /// `.` and `D`
    Point,
    /// `,` and `G`
    Group,
    /// `MI`
    Minus,
    /// `PL`
    Plus,
    /// `SG`
    Sign,
    /// `S`: beside the number.
    Anchored,
    /// `PR`: `<1>` is -1.
    Brackets,
    /// `L`
    Currency,
    /// `TH`, `th`
    Ordinal {
        upper: bool,
    },
    /// `RN`, `rn`
    Roman {
        upper: bool,
    },
    /// `V`: digits after it multiply the number.
    Shift,
    /// `EEEE`
    Exponent,
    Text(char),
}

/// A template of numbers.
#[derive(Debug, Default)]
pub(super) struct Template {
    pub pieces: Vec<Piece>,
    /// `FM`
    pub unpadded: bool,
    /// Places before the point.
    pub before: usize,
    /// Places after it.
    pub after: usize,
    /// Places after `V`.
    pub shift: usize,
}

const WORDS: &[(&str, Piece)] = &[
    ("9", Piece::Digit),
    ("0", Piece::Zero),
    (".", Piece::Point),
    ("D", Piece::Point),
    (",", Piece::Group),
    ("G", Piece::Group),
    ("MI", Piece::Minus),
    ("PL", Piece::Plus),
    ("SG", Piece::Sign),
    ("S", Piece::Anchored),
    ("PR", Piece::Brackets),
    ("L", Piece::Currency),
    ("RN", Piece::Roman { upper: true }),
    ("V", Piece::Shift),
    ("EEEE", Piece::Exponent),
];

impl Template {
    pub fn parse(text: &str) -> Result<Self> {
        let mut template = Self::default();
        let (mut pointed, mut shifted) = (false, false);
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            let begins = |word: &str| {
                rest.get(..word.len())
                    .is_some_and(|begins| begins.eq_ignore_ascii_case(word))
            };
            if letter == '"' {
                let inside: String = rest.chars().skip(1).take_while(|&letter| letter != '"').collect();
                template.pieces.extend(inside.chars().map(Piece::Text));
                rest = rest.get(inside.len() + 1..).unwrap_or_default();
                rest = rest.strip_prefix('"').unwrap_or(rest);
                continue;
            }
            if begins("FM") {
                template.unpadded = true;
                rest = rest.get(2..).unwrap_or_default();
                continue;
            }
            let (piece, length) = if begins("TH") {
                (Piece::Ordinal { upper: letter == 'T' }, 2)
            } else {
                match WORDS.iter().find(|(word, _)| begins(word)) {
                    Some((word, Piece::Roman { .. })) => (Piece::Roman { upper: letter == 'R' }, word.len()),
                    Some((word, piece)) => (*piece, word.len()),
                    None => (Piece::Text(letter), letter.len_utf8()),
                }
            };
            match piece {
                Piece::Digit | Piece::Zero if shifted => template.shift += 1,
                Piece::Digit | Piece::Zero if pointed => template.after += 1,
                Piece::Digit | Piece::Zero => template.before += 1,
                Piece::Point if pointed => return exec_err!("multiple decimal points"),
                Piece::Point if shifted => return exec_err!("cannot use \"V\" and decimal point together"),
                Piece::Point => pointed = true,
                Piece::Shift if pointed => return exec_err!("cannot use \"V\" and decimal point together"),
                Piece::Shift => shifted = true,
                _ => {}
            }
            template.pieces.push(piece);
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(template)
    }

    /// Whether a number is written by it at all.
    pub fn has_places(&self) -> bool {
        let is_place = |piece: &Piece| matches!(piece, Piece::Digit | Piece::Zero | Piece::Roman { .. });
        self.pieces.iter().any(is_place)
    }

    pub fn has(&self, piece: Piece) -> bool {
        self.pieces.contains(&piece)
    }
}
