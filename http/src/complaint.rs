//! Errors in answers whose status says that all went well.
//!
//! Many systems answer 200 whatever happens and write an object with an `error` where records were. It is not a record,
//! and must not take the place of those that are in a table.

use cordada_core::names::snake_case;
use cordada_ingest_formats::json::pointer::Pointer;
use serde_json::{Map, Value as Json};

use crate::answer::{Answer, AnswerOptions};

/// Members of an answer that say what went wrong, unless they are empty.
const FAULTS: [&str; 5] = ["error", "errors", "Error", "fault", "exception"];
/// Members that are false then.
const SUCCESSES: [&str; 2] = ["success", "ok"];
/// Members that are a word for it then.
const STATES: [&str; 2] = ["status", "result"];
/// Members that are a status of HTTP then.
const STATUSES: [&str; 3] = ["code", "status", "status_code"];
const WORDS: [&str; 4] = ["error", "fail", "failed", "failure"];
/// What stands for no error where one would be.
const NOTHING: [&str; 7] = ["null", "false", "0", "\"\"", "[]", "{}", "\"0\""];
const NO_ERROR: [&str; 5] = ["none", "no", "ok", "success", "false"];
/// Words that errors are described by, and few records by nothing else.
const VOCABULARY: [&str; 29] = [
    "code",
    "data",
    "description",
    "detail",
    "details",
    "docs",
    "documentation_url",
    "error",
    "error_code",
    "error_description",
    "error_message",
    "error_type",
    "errors",
    "exception",
    "fault",
    "instance",
    "message",
    "messages",
    "ok",
    "path",
    "request_id",
    "result",
    "status",
    "status_code",
    "success",
    "timestamp",
    "title",
    "trace_id",
    "type",
];

/// How clearly an answer says that it is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Clarity {
    /// A word that may mean something else in an answer with records.
    Word,
    Fault,
}

/// The places that are looked at.
pub(crate) fn pointers() -> Vec<Pointer> {
    let names = FAULTS.iter().chain(&SUCCESSES).chain(&STATES).chain(&STATUSES);
    names.map(|name| Pointer::dotted(name)).collect()
}

/// Why the records of an answer are not what was asked for, if they are not.
pub(crate) fn complaint(answer: &Answer, options: &AnswerOptions) -> Option<&'static str> {
    let records = options.records.as_ref()?;
    let announced = announced(answer);
    let at_root = records.at.0.is_empty() && !options.format.is_tree();
    if at_root && answer.is_object() {
        if options.paged {
            return Some(match announced {
                Some(_) => "it answers with an error",
                None => "there is an object where a list of records was",
            });
        }
        return is_error(answer.last()?, &options.key, announced).then_some("it answers with an error");
    }
    if announced == Some(Clarity::Fault) || (answer.rows() == 0 && (announced.is_some() || is_refusal(answer))) {
        return Some("it answers with an error");
    }
    // A list of errors, or a line that is one.
    let alone = answer.last().filter(|_| at_root && answer.rows() == 1)?;
    is_error(alone, &options.key, None).then_some("it answers with an error")
}

/// Whether the root of an answer without records has the status of an error.
fn is_refusal(answer: &Answer) -> bool {
    let is_error = |name: &&str| {
        let status = answer.text(&Pointer::dotted(name));
        let status = status.and_then(|text| std::str::from_utf8(text).ok());
        let status = status.and_then(|text| text.trim_matches('"').parse::<u16>().ok());
        status.is_some_and(|status| (400..600).contains(&status))
    };
    STATUSES.iter().any(is_error)
}

/// Whether the root of an answer says that it is an error.
fn announced(answer: &Answer) -> Option<Clarity> {
    let text = |name: &str| {
        answer
            .text(&Pointer::dotted(name))
            .and_then(|text| std::str::from_utf8(text).ok())
    };
    let word = |text: &str| text.trim_matches('"').to_lowercase();
    let is_fault = |text: &str| {
        let bare: String = text.split_ascii_whitespace().collect();
        !NOTHING.contains(&bare.as_str()) && !NO_ERROR.contains(&word(text).as_str())
    };
    if FAULTS.iter().filter_map(|name| text(name)).any(is_fault) {
        return Some(Clarity::Fault);
    }
    if SUCCESSES
        .iter()
        .filter_map(|name| text(name))
        .any(|text| word(text) == "false")
    {
        return Some(Clarity::Fault);
    }
    let mut states = STATES.iter().filter_map(|name| text(name));
    let is_word = |text: &str| text.len() < 16 && WORDS.contains(&word(text).as_str());
    states.any(is_word).then_some(Clarity::Word)
}

/// Whether a record is one that is about an error rather than one of the stream, which would have its key.
fn is_error(record: &[u8], key: &[Pointer], announced: Option<Clarity>) -> bool {
    let Ok(members) = serde_json::from_slice::<Map<String, Json>>(record) else {
        return false;
    };
    let names: Vec<_> = members.keys().map(|name| snake_case(name)).collect();
    let has_key = |place: &Pointer| place.0.first().is_some_and(|name| names.contains(&snake_case(name)));
    if key.iter().any(has_key) {
        return false;
    }
    if announced.is_some() && !key.is_empty() {
        return true;
    }
    let in_vocabulary = names.iter().all(|name| VOCABULARY.contains(&name.as_str()));
    let says_so = names
        .iter()
        .any(|name| name.contains("error") || name == "fault" || name == "exception");
    let told = ["message", "detail", "title"]
        .iter()
        .any(|name| members.contains_key(*name));
    let code = ["code", "status", "statusCode", "status_code"]
        .iter()
        .filter_map(|name| members.get(*name));
    let refused = code
        .into_iter()
        .any(|code| code.as_u64().is_some_and(|code| (400..600).contains(&code)));
    in_vocabulary && !names.is_empty() && (announced.is_some() || says_so || (told && refused))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use cordada_ingest_formats::json::pointer::Records;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::client::{Body, Raw};
    use crate::decode::Format;

    fn found(body: &str, at: &str, optional: bool, paged: bool, key: &[&str]) -> Option<&'static str> {
        let records = Records {
            at: Pointer::new(at).unwrap(),
            optional,
        };
        let mut options = AnswerOptions::new(Format::Json, Some(records), &pointers());
        options.paged = paged;
        options.key = key.iter().map(|name| Pointer::dotted(name)).collect();
        let options = Arc::new(options);
        let raw = Raw {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Body::Memory(body.to_owned().into()),
        };
        complaint(&Answer::read(raw, &options).unwrap(), &options)
    }

    #[test]
    fn errors_are_not_records() {
        for body in [
            r#"{"error": {"code": "ACCESS_DENIED", "message": "the token ran out"}}"#,
            r#"{"errors": [{"detail": "gone"}]}"#,
            r#"{"message": "Unauthorized", "code": 401}"#,
            r#"{"status": "error", "message": "x"}"#,
            r#"{"success": false, "message": "x"}"#,
            r#"{"ok": false, "error": "ratelimited"}"#,
            r#"{"errorCode": "E17", "message": "x"}"#,
            r#"{"result": "error", "message": "x"}"#,
            r#"[{"errorCode": "E17", "message": "x"}]"#,
            r#"{"title": "Too many", "status": 429, "type": "about:blank"}"#,
        ] {
            for (paged, key) in [(true, &["id"][..]), (false, &["id"]), (false, &[])] {
                assert!(found(body, "", false, paged, key).is_some(), "{body} {paged} {key:?}");
            }
            if body.starts_with('{') && !body.contains("401") && !body.contains("429") && !body.contains("errorCode") {
                assert!(found(body, "/items", true, true, &["id"]).is_some(), "{body}");
            }
        }
        assert!(found(r#"{"items": [], "error": "quota"}"#, "/items", false, true, &[]).is_some());
        for refused in [
            r#"{"items": [], "code": 401, "msg": "unauthorized"}"#,
            r#"{"items": [], "status": "503", "detail": "later"}"#,
            r#"{"items": [], "success": "false", "message": "session expired"}"#,
        ] {
            assert!(found(refused, "/items", false, true, &[]).is_some(), "{refused}");
        }
        assert!(found(r#"{"items": [{"id": 1}], "errors": [{}]}"#, "/items", false, true, &[]).is_some());
        assert!(found(r#"{"name": "x"}"#, "", false, true, &[]).is_some());
    }

    #[test]
    fn records_are_not_errors() {
        for (body, at) in [
            (r#"{"id": 1, "status": "failed", "error": "disk full"}"#, ""),
            (r#"{"id": 1, "message": "hello"}"#, ""),
            (
                r#"{"items": [{"id": 1}], "errors": [], "error": null, "success": true}"#,
                "/items",
            ),
            (r#"{"items": [{"id": 1}], "error": false, "status": "error"}"#, "/items"),
            (r#"{"items": [{"id": 1}], "code": 404}"#, "/items"),
            (r#"{"items": [], "code": 200, "status": "0"}"#, "/items"),
            (
                r#"{"items": [], "errors": {}, "error": "none", "status": "ok"}"#,
                "/items",
            ),
            (r#"[{"id": 1, "error": "disk full"}, {"id": 2, "error": "x"}]"#, ""),
            (r#"[]"#, ""),
        ] {
            assert_eq!(found(body, at, false, false, &["id"]), None, "{body}");
        }
        assert_eq!(
            found(r#"[{"code": "ES", "title": "Spain"}]"#, "", false, true, &[]),
            None
        );
        assert_eq!(
            found(r#"{"status": "up", "message": "fine"}"#, "", false, false, &[]),
            None
        );
    }
}
