use arrow::array::{Array, AsArray};

use super::*;
use crate::local::Local;
use crate::scanned::plan;

/// Rows, what was rejected, and the types.
fn read(content: &str, format: Format) -> Result<(u64, Vec<Rejected>, Vec<DataType>)> {
    let cancel = CancellationToken::new();
    let text = Plain::text(
        Local::holding(content.as_bytes(), "x.json")?,
        encoding_rs::UTF_8,
        &cancel,
    )?;
    let declared = [("n".to_owned(), DataType::Int64)].into_iter().collect::<Declared>();
    let json = Json::new(&text, &Reading::of_records(declared, chrono_tz::UTC), format)?;
    let mut all = Vec::new();
    for block in [1 << 20, 3] {
        let scanned = json.scan_in_blocks(block, &text, |names| Ok(plan(names, &json.declared)), 2, &cancel)?;
        let types: Vec<_> = scanned
            .shapes
            .iter()
            .map(|shape| shape.data_type(None))
            .collect::<Result<_>>()?;
        let (mut rows, mut rejected) = (0, Vec::new());
        for piece in &scanned.pieces {
            let decoded = json.decode(&text, piece, &scanned.plan, &types)?;
            rows += decoded.lines.len() as u64;
            rejected.extend(decoded.rejected);
        }
        all.push((rows, rejected, types));
    }
    assert_eq!(all[0], all[1]);
    Ok(all.remove(0))
}

fn reasons(content: &str, format: Format) -> (u64, Vec<(u64, String)>) {
    let (rows, rejected, _) = read(content, format).unwrap();
    (
        rows,
        rejected
            .into_iter()
            .map(|rejected| (rejected.line, rejected.reason))
            .collect(),
    )
}

#[test]
fn an_array_that_breaks_off_is_no_file() {
    for cut in [
        "[{\"a\":1},\n{\"a\":2}",
        "[{\"a\":1},\n{\"a\":2},\n",
        "[{\"a\":1},{\"a\":",
        "[{\"a\":\"x]},{}]",
        "[",
        "[{}],[{}",
    ] {
        let error = read(cut, Format::Json).unwrap_err().to_string();
        assert!(error.contains("x.json") && error.contains("not closed"), "{error}");
    }
    for (whole, rows) in [
        ("[]", 0),
        ("[{\"a\":1}\n]\n", 1),
        ("[{\"a\":1}][{\"a\":2}]\n[]\n[{\"a\":3},{\"a\":4}]", 4),
        ("\u{feff}[{\"a\":1}]\n\u{feff}[{\"a\":1}]", 2),
    ] {
        assert_eq!(reasons(whole, Format::Json), (rows, Vec::new()), "{whole}");
    }
    let behind = reasons("[{\"a\":1},\n{\"a\":2}]\n{\"error\": [{\"a\":3}]}\n", Format::Json);
    assert_eq!(
        behind,
        (2, vec![(3, "it stands behind the end of the array".to_owned())])
    );
}

#[test]
fn a_key_that_is_there_twice_costs_its_record() {
    let content = "{\"a\":1,\"b\":{\"x\":1}}\n{\"a\":1,\"a\":2}\n{\"b\":{\"x\":1,\"\\u0078\":2}}\n\u{feff}{\"a\":3}\n";
    let twice = |line| (line, "a key is in it twice".to_owned());
    assert_eq!(reasons(content, Format::Ndjson), (2, vec![twice(2), twice(3)]));
    assert_eq!(reasons("{\"a\":1}\r{\"a\":2}\r", Format::Ndjson).0, 2);
}

#[test]
fn an_empty_text_is_nothing_where_a_number_is_declared() {
    let found = reasons("{\"n\":\"\"}\n{\"n\":\"7\"}\n{\"n\":\" \"}\n", Format::Ndjson);
    assert_eq!(found, (2, vec![(3, "n is not of the declared type".to_owned())]));
}

#[test]
fn what_is_deep_is_text_and_what_has_no_end_is_rejected() {
    let nested = |depth: usize| {
        format!(
            "{{\"a\":{}1{}}}\n",
            "[{\"b\":".repeat(depth / 2),
            "}]".repeat(depth / 2)
        )
    };
    for depth in [2, 16, 18, 60, 126] {
        let content = nested(depth);
        let (rows, rejected, types) = read(&content, Format::Ndjson).unwrap();
        assert_eq!((rows, rejected.len()), (1, 0), "{depth}");
        let mut levels = 0;
        let mut within = types[0].clone();
        loop {
            within = match within {
                DataType::List(item) => item.data_type().clone(),
                DataType::Struct(fields) => fields[0].data_type().clone(),
                innermost => break assert_eq!(innermost == DataType::Utf8, depth > MAX_LEVELS, "{depth}"),
            };
            levels += 1;
        }
        assert_eq!(levels, depth.min(MAX_LEVELS));
    }
    let (rows, rejected, _) = read(&(nested(2) + &nested(100_000)), Format::Ndjson).unwrap();
    assert_eq!((rows, rejected.len()), (1, 1));
}

#[test]
fn the_text_of_what_is_deep_is_what_was_written() {
    let deep = "[".repeat(MAX_LEVELS) + "{\"b\": [1.10, \"é\"]}" + &"]".repeat(MAX_LEVELS);
    let content = format!("{{\"a\":{deep}}}\n{{\"a\":[[]]}}\n");
    let cancel = CancellationToken::new();
    let text = Plain::text(
        Local::holding(content.as_bytes(), "x").unwrap(),
        encoding_rs::UTF_8,
        &cancel,
    )
    .unwrap();
    let json = Json::new(
        &text,
        &Reading::of_records(Declared::new(), chrono_tz::UTC),
        Format::Ndjson,
    )
    .unwrap();
    let scanned = json
        .scan(&text, |names| Ok(plan(names, &json.declared)), 1, &cancel)
        .unwrap();
    let types = [scanned.shapes[0].data_type(None).unwrap()];
    let decoded = json.decode(&text, &scanned.pieces[0], &scanned.plan, &types).unwrap();
    let mut values = decoded.columns[0].slice(0, 1);
    for _ in 0..MAX_LEVELS {
        values = values.as_list::<i32>().value(0);
    }
    assert_eq!(values.as_string::<i32>().value(0), "{\"b\":[1.10,\"é\"]}");
}
