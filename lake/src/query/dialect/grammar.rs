//! How a statement is read: the parser's generic dialect, with what people write besides, and with PostgreSQL's
//! precedence of operators.

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::tokens::is_word;

#[cfg(test)]
mod precedence;

/// The SQL that is spoken here.
#[derive(Debug)]
pub(super) struct Grammar;

/// How tightly operators bind: <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-PRECEDENCE>.
mod binding {
    pub const PERIOD: u8 = 200;
    pub const CAST: u8 = 140;
    pub const BRACKET: u8 = 130;
    pub const SIGN: u8 = 120;
    pub const AT_TIME_ZONE: u8 = 110;
    pub const EXPONENT: u8 = 100;
    pub const TIMES: u8 = 90;
    pub const PLUS: u8 = 80;
    /// All operators that have no place of their own: `||`, `->`, `~`, `&` …
    pub const OTHER: u8 = 70;
    pub const BETWEEN: u8 = 60;
    pub const COMPARISON: u8 = 50;
    pub const IS: u8 = 40;
    pub const NOT: u8 = 30;
    pub const AND: u8 = 20;
    /// MySQL's, which PostgreSQL has not.
    pub const XOR: u8 = 15;
    pub const OR: u8 = 10;
    /// Does not continue an expression.
    pub const NONE: u8 = 0;
}

/// Whether the n-th token from here is that keyword, not in quotes.
fn is_keyword(parser: &Parser, n: usize, keyword: Keyword) -> bool {
    matches!(&parser.peek_nth_token_ref(n).token, Token::Word(word) if word.keyword == keyword)
}

/// Whether the next token is within `[…]` or `{…}`, where a colon separates: `a[1:n]`, `{key: value}`.
fn in_brackets(parser: &Parser) -> bool {
    let mut open = 0_usize;
    for at in (0..=parser.get_current_index()).rev() {
        match parser.token_at(at).token {
            Token::RParen | Token::RBracket | Token::RBrace => open += 1,
            Token::LParen if open == 0 => return false,
            Token::LBracket | Token::LBrace if open == 0 => return true,
            Token::LParen | Token::LBracket | Token::LBrace => open -= 1,
            _ => {}
        }
    }
    false
}

/// `[not] between symmetric`: between two bounds in either order. (SQL:2016, 8.3, "between predicate".)
fn between_symmetric(parser: &mut Parser, value: &Expr) -> Option<Result<Expr, ParserError>> {
    fn bounds(parser: &mut Parser) -> Result<(Expr, Expr), ParserError> {
        let low = parser.parse_subexpr(binding::BETWEEN)?;
        parser.expect_keyword_is(Keyword::AND)?;
        Ok((low, parser.parse_subexpr(binding::BETWEEN)?))
    }
    let negated = is_keyword(parser, 0, Keyword::NOT);
    let between = usize::from(negated);
    let is_symmetric = is_keyword(parser, between, Keyword::BETWEEN)
        && is_word(&parser.peek_nth_token_ref(between + 1).token, "symmetric");
    // A column may have that name: `x between symmetric and 5`.
    if !is_symmetric || is_keyword(parser, between + 2, Keyword::AND) {
        return None;
    }
    for _ in 0..between + 2 {
        parser.advance_token();
    }
    let one = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(value.clone()),
        negated,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    let op = if negated {
        BinaryOperator::And
    } else {
        BinaryOperator::Or
    };
    Some(bounds(parser).map(|(low, high)| {
        let either = Expr::BinaryOp {
            left: Box::new(one(&low, &high)),
            op,
            right: Box::new(one(&high, &low)),
        };
        Expr::Nested(Box::new(either))
    }))
}

/// Says yes to what the parser asks.
macro_rules! supports {
    ($($what:ident,)*) => {
        $(fn $what(&self) -> bool {
            true
        })*
    };
}

impl Dialect for Grammar {
    /// The parser asks by type in some places: it is the generic dialect, and more.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, first: char) -> bool {
        GenericDialect.is_delimited_identifier_start(first)
    }

    /// `#` is an operator, and begins others.
    fn is_identifier_start(&self, first: char) -> bool {
        first != '#' && GenericDialect.is_identifier_start(first)
    }

    /// Operators need no space before them: `document#>>'{a}'`, `document@>'{}'`.
    fn is_identifier_part(&self, part: char) -> bool {
        !matches!(part, '#' | '@') && GenericDialect.is_identifier_part(part)
    }

    fn prec_value(&self, of: Precedence) -> u8 {
        match of {
            Precedence::Period => binding::PERIOD,
            Precedence::DoubleColon => binding::CAST,
            Precedence::AtTz => binding::AT_TIME_ZONE,
            Precedence::Caret => binding::EXPONENT,
            Precedence::MulDivModOp => binding::TIMES,
            Precedence::PlusMinus => binding::PLUS,
            Precedence::Ampersand | Precedence::Pipe | Precedence::PgOther => binding::OTHER,
            Precedence::Between | Precedence::Like => binding::BETWEEN,
            Precedence::Eq => binding::COMPARISON,
            Precedence::Is => binding::IS,
            Precedence::UnaryNot => binding::NOT,
            Precedence::And => binding::AND,
            Precedence::Xor => binding::XOR,
            Precedence::Or => binding::OR,
            // What the parser reads up to, where a colon separates.
            Precedence::Colon => binding::NONE,
        }
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let binds = match &parser.peek_token_ref().token {
            Token::LBracket => binding::BRACKET,
            Token::StringConcat
            | Token::ShiftLeft
            | Token::ShiftRight
            | Token::Sharp
            | Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk
            | Token::DoubleTilde
            | Token::DoubleTildeAsterisk
            | Token::ExclamationMarkDoubleTilde
            | Token::ExclamationMarkDoubleTildeAsterisk
            | Token::CaretAt => binding::OTHER,
            Token::Word(word) if word.keyword == Keyword::OPERATOR => binding::OTHER,
            token if is_word(token, "isnull") => binding::IS,
            // `document:path`, as Snowflake writes it, unless the colon separates.
            Token::Colon if in_brackets(parser) => binding::NONE,
            Token::Colon => binding::CAST,
            _ => return None,
        };
        Some(Ok(binds))
    }

    /// A sign binds before every operator but `::`, `[…]` and `.`; `~`, `|/`, `||/` and `@` after all arithmetic.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let (op, binds) = match parser.peek_token_ref().token {
            Token::Minus => (UnaryOperator::Minus, binding::SIGN),
            Token::Plus => (UnaryOperator::Plus, binding::SIGN),
            Token::Tilde => (UnaryOperator::BitwiseNot, binding::OTHER),
            Token::PGSquareRoot => (UnaryOperator::PGSquareRoot, binding::OTHER),
            Token::PGCubeRoot => (UnaryOperator::PGCubeRoot, binding::OTHER),
            Token::AtSign => (UnaryOperator::PGAbs, binding::OTHER),
            _ => return None,
        };
        parser.advance_token();
        Some(parser.parse_subexpr(binds).map(|expr| Expr::UnaryOp {
            op,
            expr: Box::new(expr),
        }))
    }

    /// `#`, PostgreSQL's exclusive or; `between symmetric`; `is [not] distinct from`, whose right side the parser would read up to the end, `and` and `or` included; `isnull`.
    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        if is_word(&parser.peek_token_ref().token, "isnull") {
            parser.advance_token();
            return Some(Ok(Expr::IsNull(Box::new(left.clone()))));
        }
        if parser.peek_token_ref().token == Token::Sharp {
            parser.advance_token();
            return Some(parser.parse_subexpr(precedence).map(|right| Expr::BinaryOp {
                left: Box::new(left.clone()),
                op: BinaryOperator::PGBitwiseXor,
                right: Box::new(right),
            }));
        }
        if let Some(between) = between_symmetric(parser, left) {
            return Some(between);
        }
        let negated = is_keyword(parser, 1, Keyword::NOT);
        let distinct = 1 + usize::from(negated);
        let is_distinct = is_keyword(parser, 0, Keyword::IS)
            && is_keyword(parser, distinct, Keyword::DISTINCT)
            && is_keyword(parser, distinct + 1, Keyword::FROM);
        if !is_distinct {
            return None;
        }
        for _ in 0..distinct + 2 {
            parser.advance_token();
        }
        let left = Box::new(left.clone());
        Some(parser.parse_subexpr(precedence).map(|right| match negated {
            true => Expr::IsNotDistinctFrom(left, Box::new(right)),
            false => Expr::IsDistinctFrom(left, Box::new(right)),
        }))
    }

    // What the generic dialect supports.
    supports! {
        supports_string_literal_concatenation_with_newline,
        supports_named_fn_args_with_colon_operator,
        supports_unicode_string_literal,
        supports_numeric_literal_underscores,
        supports_partition_by_after_order_by,
        supports_array_join_syntax,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_left_associative_joins_without_parens,
        supports_connect_by,
        supports_match_recognize,
        supports_pipe_operator,
        supports_start_transaction_modifier,
        supports_window_function_null_treatment_arg,
        supports_dictionary_syntax,
        supports_window_clause_named_window_reference,
        supports_parenthesized_set_variables,
        supports_select_wildcard_except,
        support_map_literal_syntax,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_extract_comma_syntax,
        supports_create_view_comment_syntax,
        supports_parens_around_table_factor,
        supports_values_as_table_factor,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_limit_comma,
        supports_update_order_by,
        supports_from_first_select,
        supports_projection_trailing_commas,
        supports_asc_desc_in_column_definition,
        supports_try_convert,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_named_fn_args_with_assignment_operator,
        supports_struct_literal,
        supports_empty_projections,
        supports_nested_comments,
        supports_multiline_comment_hints,
        supports_user_host_grantee,
        supports_string_escape_constant,
        supports_array_typedef_with_brackets,
        supports_match_against,
        supports_set_names,
        supports_comma_separated_set_assignments,
        supports_filter_during_aggregation,
        supports_select_wildcard_exclude,
        supports_data_type_signed_suffix,
        supports_interval_options,
        supports_quote_delimited_string,
        supports_select_wildcard_replace,
        supports_select_wildcard_ilike,
        supports_select_wildcard_rename,
        supports_optimize_table,
        supports_install,
        supports_detach,
        supports_prewhere,
        supports_with_fill,
        supports_limit_by,
        supports_interpolate,
        supports_settings,
        supports_select_format,
        supports_comment_optimizer_hint,
        supports_constraint_keyword_without_name,
        supports_key_column_option,
        supports_comma_separated_trim,
        supports_cte_without_as,
        supports_select_item_multi_column_alias,
        supports_xml_expressions,
    }

    // What it does not, and people write.
    supports! {
        supports_notnull_operator,
        supports_order_by_all,
    }
}
