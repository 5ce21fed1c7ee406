use std::collections::BTreeMap;

use super::*;

/// The value of a header; `None` for null.
type HeaderText = (String, Option<String>);

/// Key, value and headers of a record.
#[derive(Debug, PartialEq, Eq)]
struct Parsed {
    key: Option<String>,
    value: Option<String>,
    headers: Vec<HeaderText>,
}

fn format(properties: &[&str]) -> LineFormat {
    let properties = ["topic=t"].iter().chain(properties);
    let properties: BTreeMap<String, String> = properties
        .map(|property| property.split_once('=').unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    LineFormat::of(&properties).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn parse(properties: &[&str], line: &str) -> Result<Parsed, String> {
    let format = format(properties);
    let record = format.parse(line.as_bytes());
    let record = record.map_err(|error| error.to_string())?;
    assert_eq!(record.topic(), "t");
    let headers = record.headers().iter();
    Ok(Parsed {
        key: record.key().map(text),
        value: record.value().map(text),
        headers: headers
            .map(|it| (it.key().to_owned(), it.value().map(text)))
            .collect(),
    })
}

fn parsed(key: Option<&str>, value: Option<&str>, headers: &[(&str, Option<&str>)]) -> Parsed {
    let headers = headers.iter();
    Parsed {
        key: key.map(str::to_owned),
        value: value.map(str::to_owned),
        headers: headers
            .map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)))
            .collect(),
    }
}

#[test]
fn without_properties_the_line_is_the_value() {
    assert_eq!(parse(&[], "a\tb"), Ok(parsed(None, Some("a\tb"), &[])));
    assert_eq!(parse(&[], ""), Ok(parsed(None, Some(""), &[])));
}

#[test]
fn the_key_ends_at_the_first_separator() {
    for (properties, line, key, value) in [
        (&["parse.key=true"][..], "k\tv\tw", "k", "v\tw"),
        (&["parse.key=true"], "\tv", "", "v"),
        (&["parse.key=true"], "k\t", "k", ""),
        (&["parse.key=true", "key.separator=::"], "k:::v", "k", ":v"),
        (&["parse.key=true", "key.separator=="], "k=v", "k", "v"),
        (&["parse.key=true", "key.separator=ä"], "käv", "k", "v"),
    ] {
        assert_eq!(
            parse(properties, line),
            Ok(parsed(Some(key), Some(value), &[]))
        );
    }
}

#[test]
fn a_line_without_its_separator_is_an_error_that_quotes_the_line() {
    let error = parse(&["parse.key=true"], "no tab").unwrap_err();
    assert!(
        error.contains(r#"no key.separator "\t": "no tab""#),
        "{error}"
    );
    assert!(error.contains("ignore.error"), "{error}");
    let both = ["parse.key=true", "parse.headers=true"];
    let error = parse(&both, "h:v\tno second tab").unwrap_err();
    assert!(error.contains("no key.separator"), "{error}");
    let error = parse(&["parse.headers=true"], "h:v").unwrap_err();
    assert!(error.contains("no headers.delimiter"), "{error}");
    let error = parse(&["parse.key=true"], &"x".repeat(10_000)).unwrap_err();
    assert!(error.len() < 250 && error.contains("x…"), "{error}");
}

#[test]
fn ignored_errors_leave_the_missing_part_out() {
    let ignoring = ["parse.key=true", "ignore.error=true"];
    assert_eq!(parse(&ignoring, "v"), Ok(parsed(None, Some("v"), &[])));
    let both = ["parse.key=true", "parse.headers=true", "ignore.error=true"];
    assert_eq!(
        parse(&both, "h:1\tv"),
        Ok(parsed(None, Some("v"), &[("h", Some("1"))]))
    );
    assert_eq!(
        parse(&both, "h:1,alone\tk\tv"),
        Ok(parsed(
            Some("k"),
            Some("v"),
            &[("h", Some("1")), ("alone", None)]
        ))
    );
}

#[test]
fn headers_come_before_the_key() {
    let both = ["parse.key=true", "parse.headers=true"];
    let headers = [("h", Some("1")), ("i", Some("2:3")), ("h", Some(""))];
    assert_eq!(
        parse(&both, "h:1,i:2:3,h:\tk\tv"),
        Ok(parsed(Some("k"), Some("v"), &headers))
    );
    assert_eq!(
        parse(&["parse.headers=true"], "h:1,,\tk\tv").map(|it| it.headers.len()),
        Ok(1)
    );
    for line in [",\tv", ",,\tv"] {
        assert_eq!(
            parse(&["parse.headers=true"], line),
            Ok(parsed(None, Some("v"), &[]))
        );
    }
    let other = [
        "parse.headers=true",
        "parse.key=true",
        "headers.delimiter=|",
        "headers.separator=.",
        "headers.key.separator=->",
        "key.separator=|",
    ];
    assert_eq!(
        parse(&other, "h->1.i->2|k|v"),
        Ok(parsed(
            Some("k"),
            Some("v"),
            &[("h", Some("1")), ("i", Some("2"))]
        ))
    );
}

#[test]
fn a_header_without_its_separator_is_an_error() {
    for line in ["h\tv", "\tv", "h:1,,i:2\tv", ",h:1\tv"] {
        let error = parse(&["parse.headers=true"], line).unwrap_err();
        assert!(error.contains("no headers.key.separator"), "{error}");
    }
}

#[test]
fn the_null_marker_stands_for_null() {
    let all = ["parse.key=true", "parse.headers=true", "null.marker=NULL"];
    assert_eq!(parse(&all, "NULL\tNULL\tNULL"), Ok(parsed(None, None, &[])));
    assert_eq!(
        parse(&all, "h:NULL,i:NULLX\tk\tv"),
        Ok(parsed(
            Some("k"),
            Some("v"),
            &[("h", None), ("i", Some("NULLX"))]
        ))
    );
    assert_eq!(parse(&["null.marker="], ""), Ok(parsed(None, None, &[])));
    let error = parse(&all, "NULL:v\tk\tv").unwrap_err();
    assert!(error.contains("cannot be null"), "{error}");
}

#[test]
fn bytes_of_keys_and_values_are_kept_and_a_header_key_must_be_utf_8() {
    let format = format(&["parse.key=true", "parse.headers=true"]);
    let record = format.parse(b"h:\xfe\t\xff\t\xc3(").unwrap();
    assert_eq!(record.key(), Some(&b"\xff"[..]));
    assert_eq!(record.value(), Some(&b"\xc3("[..]));
    assert_eq!(
        record.headers().last("h").unwrap().value(),
        Some(&b"\xfe"[..])
    );
    let error = format.parse(b"\xff:1\tk\tv").unwrap_err().to_string();
    assert!(error.contains("not UTF-8"), "{error}");
}
