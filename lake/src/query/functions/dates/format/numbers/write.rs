//! `to_char` of a number.

use super::digits::{Digits, Number};
use super::template::{Piece, Template};

/// The number as the template says.
pub(super) fn write(template: &Template, number: Number) -> String {
    if let Some(Piece::Roman { upper }) = template
        .pieces
        .iter()
        .find(|piece| matches!(piece, Piece::Roman { .. }))
    {
        return roman(number, *upper, template.unpadded);
    }
    if template.has(Piece::Exponent) {
        return scientific(template, number);
    }
    let mut digits = number.digits(template.shift, template.after);
    if digits.is_zero() {
        digits.negative = false;
    }
    let before = template.before + template.shift;
    if digits.before.len() > before {
        digits.before = "#".repeat(before);
        digits.after = "#".repeat(template.after);
    }
    Writing::new(template, &digits, before).write()
}

/// One number being written.
struct Writing<'a> {
    template: &'a Template,
    digits: &'a Digits,
    /// Places before the point.
    before: usize,
    /// The first of these that the number has a digit for.
    first: usize,
    /// The first that is not blank.
    shown_from: usize,
    /// Digits after the point that are written whatever they are.
    relevant: usize,
    out: String,
    signed: bool,
}

impl<'a> Writing<'a> {
    fn new(template: &'a Template, digits: &'a Digits, before: usize) -> Self {
        let mut places = template
            .pieces
            .iter()
            .filter(|piece| matches!(piece, Piece::Digit | Piece::Zero | Piece::Point));
        let first_zero = places.clone().take(before).position(|piece| *piece == Piece::Zero);
        let any_zero = places
            .clone()
            .take_while(|piece| **piece != Piece::Point)
            .any(|piece| *piece == Piece::Zero);
        let first = before.saturating_sub(digits.before.len());
        // 0.5 is .5 where no zero is asked for.
        let blank_zero = !any_zero && digits.before == "0" && template.after > 0;
        let first_shown = if blank_zero { before } else { first };
        let last_zero_after = {
            let after = places.by_ref().skip_while(|piece| **piece != Piece::Point).skip(1);
            after
                .enumerate()
                .filter(|(_, piece)| **piece == Piece::Zero)
                .map(|(place, _)| place + 1)
                .last()
        };
        let relevant = digits
            .after
            .trim_end_matches('0')
            .len()
            .max(last_zero_after.unwrap_or(0));
        Self {
            template,
            digits,
            before,
            first,
            shown_from: first_zero.map_or(first_shown, |zero| zero.min(first_shown)),
            relevant: if template.unpadded { relevant } else { template.after },
            out: String::new(),
            signed: false,
        }
    }

    fn write(mut self) -> String {
        let (mut place, mut pointed) = (0, false);
        let is_place = |piece: &Piece| matches!(piece, Piece::Digit | Piece::Zero | Piece::Point);
        let last = self.template.pieces.iter().rposition(is_place);
        let first = self.template.pieces.iter().position(is_place);
        for (at, piece) in self.template.pieces.iter().enumerate() {
            match *piece {
                Piece::Digit | Piece::Zero if pointed => {
                    let of_after = place - self.before;
                    if of_after < self.relevant {
                        self.out
                            .push_str(self.digits.after.get(of_after..=of_after).unwrap_or(""));
                    }
                    place += 1;
                }
                Piece::Digit | Piece::Zero => {
                    self.digit_before(place);
                    place += 1;
                }
                Piece::Point => {
                    self.sign_before();
                    // FM9.9 of 0 is `0.`.
                    if self.template.unpadded && self.shown_from == self.before && self.relevant == 0 && self.before > 0
                    {
                        self.out.push('0');
                    }
                    if self.template.after > 0 || self.digits.before.starts_with('#') {
                        self.out.push('.');
                    }
                    pointed = true;
                }
                Piece::Group if place > self.shown_from || pointed => self.out.push(','),
                Piece::Group if self.template.unpadded => {}
                Piece::Group => self.out.push(' '),
                Piece::Minus => self.either(self.digits.negative, "-", " "),
                Piece::Plus => self.either(!self.digits.negative, "+", " "),
                Piece::Sign => self.out.push(if self.digits.negative { '-' } else { '+' }),
                Piece::Currency if self.template.unpadded => {}
                Piece::Currency => self.out.push(' '),
                Piece::Ordinal { upper } => self.ordinal(upper),
                Piece::Text(letter) => self.out.push(letter),
                Piece::Anchored | Piece::Brackets | Piece::Shift | Piece::Exponent | Piece::Roman { .. } => {}
            }
            if Some(at) == last {
                self.sign_after(first);
            }
        }
        self.out
    }

    fn either(&mut self, holds: bool, sign: &str, else_sign: &str) {
        if holds {
            self.out.push_str(sign);
        } else if !self.template.unpadded {
            self.out.push_str(else_sign);
        }
    }

    fn digit_before(&mut self, place: usize) {
        if place < self.shown_from {
            if !self.template.unpadded {
                self.out.push(' ');
            }
            return;
        }
        self.sign_before();
        let digit = place
            .checked_sub(self.first)
            .and_then(|at| self.digits.before.get(at..=at));
        self.out.push_str(digit.unwrap_or("0"));
    }

    /// Where the sign is put beside the number, at its left.
    fn sign_before(&mut self) {
        if self.signed {
            return;
        }
        self.signed = true;
        let template = self.template;
        let has = |piece| template.has(piece);
        if has(Piece::Minus) || has(Piece::Sign) || has(Piece::Plus) && has(Piece::Minus) {
            return;
        }
        let negative = self.digits.negative;
        if has(Piece::Anchored) {
            if self.anchored_left() {
                self.out.push(if negative { '-' } else { '+' });
            }
        } else if has(Piece::Brackets) {
            self.either(negative, "<", " ");
        } else {
            self.either(negative, "-", " ");
        }
    }

    /// Whether `S` is before the places of digits.
    fn anchored_left(&self) -> bool {
        let of = |wanted: fn(&Piece) -> bool| self.template.pieces.iter().position(wanted);
        let sign = of(|piece| *piece == Piece::Anchored);
        sign < of(|piece| matches!(piece, Piece::Digit | Piece::Zero | Piece::Point))
    }

    /// Where the sign is put beside the number, at its right.
    fn sign_after(&mut self, first: Option<usize>) {
        let negative = self.digits.negative;
        if self.template.has(Piece::Brackets) {
            self.either(negative, ">", " ");
        } else if self.template.has(Piece::Anchored) && !self.anchored_left() && first.is_some() {
            self.out.push(if negative { '-' } else { '+' });
        }
    }

    fn ordinal(&mut self, upper: bool) {
        if self.digits.negative || self.template.has(Piece::Point) || self.digits.before.starts_with('#') {
            return;
        }
        let last_two = self
            .digits
            .before
            .get(self.digits.before.len().saturating_sub(2)..)
            .unwrap_or_default();
        let value: u32 = last_two.parse().unwrap_or(0);
        let suffix = match (value, value % 10) {
            (11..=13, _) => "th",
            (_, 1) => "st",
            (_, 2) => "nd",
            (_, 3) => "rd",
            _ => "th",
        };
        self.out.push_str(&if upper {
            suffix.to_ascii_uppercase()
        } else {
            suffix.to_owned()
        });
    }
}

fn scientific(template: &Template, number: Number) -> String {
    let (negative, mantissa, exponent) = number.scientific(template.after);
    let sign = if negative {
        "-"
    } else if template.unpadded {
        ""
    } else {
        " "
    };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{mantissa}e{exponent_sign}{:02}", exponent.abs())
}

fn roman(number: Number, upper: bool, unpadded: bool) -> String {
    const NUMERALS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut rest: i64 = number.digits(0, 0).before.parse().unwrap_or(0);
    let mut text = String::new();
    if (1..=3999).contains(&rest) && number.as_double() > 0.0 {
        for (value, numeral) in NUMERALS {
            while rest >= value {
                text.push_str(numeral);
                rest -= value;
            }
        }
    } else {
        text = "#".repeat(15);
    }
    let text = if upper { text } else { text.to_ascii_lowercase() };
    if unpadded { text } else { format!("{text:>15}") }
}
