//! The little SQL that is written here, around the campaign's own.

/// The statement of a campaign as it can stand between parentheses: without the semicolon at its end.
///
/// # Errors
/// Text that would not stay between its parentheses: another statement, or brackets, quotes or comments that do
/// not close. This catches mistakes; what the text means is for the server to say.
pub(crate) fn subquery(statement: &str) -> Result<&str, &'static str> {
    let statement = statement.trim().trim_end_matches(';').trim_end();
    if statement.is_empty() {
        return Err("there is no query");
    }
    let mut depth = 0u32;
    let mut rest = statement;
    while let Some(next) = rest.chars().next() {
        let (skipped, unclosed) = match next {
            '\'' => (after(&rest[1..], "'"), "a quote ' does not close"),
            '"' => (after(&rest[1..], "\""), "a quote \" does not close"),
            '-' if rest.starts_with("--") => (Some(rest.split_once('\n').map_or("", |(_, rest)| rest)), ""),
            '/' if rest.starts_with("/*") => (after(&rest[2..], "*/"), "a comment /* does not close"),
            ';' => return Err("there is more than one statement"),
            '(' => {
                depth += 1;
                (Some(&rest[1..]), "")
            }
            ')' => {
                depth = depth.checked_sub(1).ok_or("a parenthesis closes that was not opened")?;
                (Some(&rest[1..]), "")
            }
            other => (Some(&rest[other.len_utf8()..]), ""),
        };
        rest = skipped.ok_or(unclosed)?;
    }
    if depth > 0 {
        Err("a parenthesis does not close")
    } else {
        Ok(statement)
    }
}

fn after<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    text.split_once(end).map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_statement_stays_as_it_is() {
        for statement in [
            "select 1",
            "with a as (select ')' as x, \"(\" from t) select * from a -- done)",
            "select /* ( */ 'it''s' from t",
            "select 'ñ', ';' from t",
        ] {
            assert_eq!(subquery(statement), Ok(statement));
        }
        assert_eq!(subquery("\n select 1 ;\n"), Ok("select 1"));
    }

    #[test]
    fn text_that_would_leave_its_parentheses_is_refused() {
        for (statement, why) in [
            (" ; ", "there is no query"),
            ("select 1; drop table t", "there is more than one statement"),
            ("select * from t) a --", "a parenthesis closes that was not opened"),
            ("select (1", "a parenthesis does not close"),
            ("select 'a", "a quote ' does not close"),
            ("select \"a", "a quote \" does not close"),
            ("select 1 /* ", "a comment /* does not close"),
        ] {
            assert_eq!(subquery(statement), Err(why), "{statement}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(statement in "[a'\"()/*; \n-]{0,30}") {
            let _ = subquery(&statement);
        }
    }
}
