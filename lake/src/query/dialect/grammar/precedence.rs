//! Operators bind as in PostgreSQL: random expressions without parentheses are read as its operator table says.

#![allow(clippy::unwrap_used, clippy::panic)]

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::parser::Parser;
use proptest::prelude::*;

use super::Grammar;

/// The expression as we read it, all parentheses written.
fn read(sql: &str) -> Result<String, String> {
    let mut parser = Parser::new(&Grammar)
        .try_with_sql(sql)
        .map_err(|error| error.to_string())?;
    let expr = parser.parse_expr().map_err(|error| error.to_string())?;
    match parser.peek_token_ref().token {
        datafusion::sql::sqlparser::tokenizer::Token::EOF => Ok(written(&expr)),
        _ => Err(format!("stops after {}", written(&expr))),
    }
}

fn written(expr: &Expr) -> String {
    let not = |negated: &bool| if *negated { "not " } else { "" };
    match expr {
        Expr::Identifier(name) => name.value.clone(),
        Expr::BinaryOp { left, op, right } => {
            format!(
                "({} {} {})",
                written(left),
                op.to_string().to_lowercase(),
                written(right)
            )
        }
        Expr::UnaryOp { op, expr } => format!("({} {})", op.to_string().to_lowercase(), written(expr)),
        Expr::IsNull(expr) => format!("({} is null)", written(expr)),
        Expr::IsNotNull(expr) => format!("({} is not null)", written(expr)),
        Expr::IsTrue(expr) => format!("({} is true)", written(expr)),
        Expr::IsNotUnknown(expr) => format!("({} is not unknown)", written(expr)),
        Expr::IsDistinctFrom(left, right) => format!("({} is distinct from {})", written(left), written(right)),
        Expr::IsNotDistinctFrom(left, right) => format!("({} is not distinct from {})", written(left), written(right)),
        Expr::Cast { expr, data_type, .. } => format!("({}::{})", written(expr), data_type.to_string().to_lowercase()),
        Expr::AtTimeZone { timestamp, time_zone } => {
            format!("({} at time zone {})", written(timestamp), written(time_zone))
        }
        Expr::Like {
            negated, expr, pattern, ..
        } => format!("({} {}like {})", written(expr), not(negated), written(pattern)),
        Expr::ILike {
            negated, expr, pattern, ..
        } => format!("({} {}ilike {})", written(expr), not(negated), written(pattern)),
        Expr::InList { expr, list, negated } => {
            let list: Vec<_> = list.iter().map(written).collect();
            format!("({} {}in ({}))", written(expr), not(negated), list.join(", "))
        }
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => format!(
            "({} {}between {} and {})",
            written(expr),
            not(negated),
            written(low),
            written(high)
        ),
        other => panic!("not in the test's grammar: {other}"),
    }
}

/// What may stand between operands, and after one.
#[derive(Clone, Copy, Debug)]
enum Operator {
    Left(&'static str, u8),
    /// Two of that level without parentheses are an error.
    Alone(&'static str, u8),
    Postfix(&'static str, u8),
    Between(&'static str),
}

use Operator::{Alone, Between, Left, Postfix};

/// PostgreSQL's table, from the loosest: "Lexical Structure", 4.1.6, and the declarations of its grammar.
const OPERATORS: [Operator; 37] = [
    Left("or", 1),
    Left("and", 2),
    Alone("is distinct from", 4),
    Alone("is not distinct from", 4),
    Postfix("is null", 4),
    Postfix("is not null", 4),
    Postfix("is true", 4),
    Postfix("is not unknown", 4),
    Alone("=", 5),
    Alone("<", 5),
    Alone(">", 5),
    Alone("<=", 5),
    Alone(">=", 5),
    Alone("<>", 5),
    Alone("like", 6),
    Alone("not like", 6),
    Alone("ilike", 6),
    Postfix("in (a, b)", 6),
    Postfix("not in (a, b)", 6),
    Between("between"),
    Between("not between"),
    Left("||", 7),
    Left("->", 7),
    Left("->>", 7),
    Left("~", 7),
    Left("!~*", 7),
    Left("&", 7),
    Left("|", 7),
    Left("<<", 7),
    Left(">>", 7),
    Left("+", 8),
    Left("-", 8),
    Left("*", 9),
    Left("/", 9),
    Left("%", 9),
    Left("^", 10),
    Left("at time zone", 11),
];

const NOT: (&str, u8) = ("not", 3);
const PREFIXES: [(&str, u8); 3] = [NOT, ("~", 7), ("-", 12)];
const BETWEEN: u8 = 6;
const CAST: u8 = 13;

/// A word of an expression.
#[derive(Clone, Debug)]
enum Word {
    Operand(String),
    Prefix(&'static str, u8),
    Operator(Operator),
    Cast,
}

/// Reads words by the table; none if it allows no reading.
struct Reference<'a> {
    words: &'a [Word],
}

impl Reference<'_> {
    fn next(&mut self) -> Option<Word> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first.clone())
    }

    fn expr(&mut self, above: u8) -> Option<String> {
        let mut left = match self.next()? {
            Word::Operand(name) => name,
            Word::Prefix(op, level) => format!("({op} {})", self.expr(level)?),
            _ => return None,
        };
        // The level of the operator that was read last, if a second of that level is an error.
        let mut alone = None;
        while let Some(word) = self.words.first() {
            let (level, operator) = match word {
                Word::Cast => (CAST, None),
                Word::Operator(operator) => match operator {
                    Left(_, level) | Alone(_, level) | Postfix(_, level) => (*level, Some(*operator)),
                    Between(_) => (BETWEEN, Some(*operator)),
                },
                _ => return None,
            };
            if level <= above {
                break;
            }
            if alone == Some(level) {
                return None;
            }
            self.next();
            alone = None;
            left = match operator {
                None => format!("({left}::text)"),
                Some(Left(op, _)) => format!("({left} {op} {})", self.expr(level)?),
                Some(Alone(op, _)) => {
                    let right = self.expr(level)?;
                    alone = Some(level);
                    format!("({left} {op} {right})")
                }
                Some(Postfix(op, _)) => format!("({left} {op})"),
                Some(Between(op)) => {
                    let low = self.expr(BETWEEN)?;
                    match self.next()? {
                        Word::Operator(Left("and", _)) => {}
                        _ => return None,
                    }
                    let high = self.expr(BETWEEN)?;
                    alone = Some(BETWEEN);
                    format!("({left} {op} {low} and {high})")
                }
            };
        }
        Some(left)
    }
}

fn text(words: &[Word]) -> String {
    let texts: Vec<_> = words
        .iter()
        .map(|word| match word {
            Word::Operand(name) => name.as_str(),
            Word::Prefix(op, _) => op,
            Word::Operator(Left(op, _) | Alone(op, _) | Postfix(op, _) | Between(op)) => op,
            Word::Cast => "::text",
        })
        .collect();
    texts.join(" ")
}

/// An operand with what may stand before and after it, and an operator.
fn step() -> impl Strategy<Value = Vec<Word>> {
    let operand = proptest::sample::select(vec!["a", "b", "c", "d"]);
    let prefix = proptest::option::weighted(0.2, proptest::sample::select(PREFIXES.to_vec()));
    let operator = proptest::sample::select(OPERATORS.to_vec());
    (prefix, operand, proptest::bool::weighted(0.1), operator).prop_map(|(prefix, operand, cast, operator)| {
        let mut words = Vec::new();
        words.extend(prefix.map(|(op, level)| Word::Prefix(op, level)));
        words.push(Word::Operand(operand.to_owned()));
        if cast {
            words.push(Word::Cast);
        }
        words.push(Word::Operator(operator));
        match operator {
            // Nothing but an operator comes after one that ends an expression.
            Postfix(..) => words.push(Word::Operator(Left("and", 2))),
            Between(_) => words.extend([
                Word::Operand("x".to_owned()),
                Word::Operator(Left("and", 2)),
                Word::Operand("y".to_owned()),
                Word::Operator(Left("||", 7)),
            ]),
            _ => {}
        }
        words
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn operators_bind_as_in_postgresql(steps in proptest::collection::vec(step(), 1..6)) {
        let mut words = steps.concat();
        words.push(Word::Operand("e".to_owned()));
        if let Some(expected) = (Reference { words: &words }).expr(0) {
            let sql = text(&words);
            prop_assert_eq!(read(&sql), Ok(expected), "{}", sql);
        }
    }
}

/// Read by PostgreSQL 15 itself: what `pg_get_viewdef` wrote of them.
#[test]
fn what_postgresql_itself_reads() {
    for (sql, expected) in [
        ("a is distinct from b and c", "((a is distinct from b) and c)"),
        ("a is not distinct from b or c", "((a is not distinct from b) or c)"),
        ("not a is distinct from b", "(not (a is distinct from b))"),
        ("a is distinct from b = c", "(a is distinct from (b = c))"),
        ("not a = b", "(not (a = b))"),
        ("- a ^ b", "((- a) ^ b)"),
        ("a || b like c", "((a || b) like c)"),
        ("a = b is null", "((a = b) is null)"),
        ("a + b || c", "((a + b) || c)"),
        ("a between b + c and d and e", "((a between (b + c) and d) and e)"),
        ("a < b + c * d ^ e", "(a < (b + (c * (d ^ e))))"),
        ("a & b + c", "(a & (b + c))"),
        ("~ a & b", "((~ a) & b)"),
        ("a not in (b, c) = d", "((a not in (b, c)) = d)"),
        ("- a::int", "(- (a::int))"),
        ("a ->> b = c", "((a ->> b) = c)"),
    ] {
        assert_eq!(read(sql), Ok(expected.to_owned()), "{sql}");
    }
}
