//! Code in documents that is quoted from a file of the repository, where it is compiled and tested: quote and file do not
//! differ, except in indentation.
//!
//! The line before a quote names the file: `<!-- quoted from PATH -->`.

use crate::{documents, read};

/// The file of each quote of a document, with the quoted lines.
fn quotes(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut quotes = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let file = line.strip_prefix("<!-- quoted from ");
        let Some(file) = file.and_then(|rest| rest.strip_suffix(" -->")) else {
            continue;
        };
        let block = lines.by_ref().skip_while(|line| !line.starts_with("```"));
        let code = block.skip(1).take_while(|line| !line.starts_with("```"));
        quotes.push((file, code.collect()));
    }
    quotes
}

/// The lines without their indentation.
fn unindented<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    lines.into_iter().map(str::trim_start).collect()
}

fn contains(file: &str, quote: &[&str]) -> bool {
    let file = unindented(file.lines());
    let quote = unindented(quote.iter().copied());
    !quote.is_empty() && file.windows(quote.len()).any(|lines| lines == quote)
}

/// A file says with this that it is quoted whole, without the lines up to this one.
const WHOLE: &str = "quotes the code from here on, up to the end of the file.\n";

fn is_complete(file: &str, quote: &[&str]) -> bool {
    match file.split_once(WHOLE) {
        Some((_, rest)) => unindented(rest.lines()) == unindented(quote.iter().copied()),
        None => true,
    }
}

#[test]
fn quoted_code_is_that_of_its_file() {
    let mut found = 0;
    let mut differing = Vec::new();
    for document in documents() {
        let text = read(&document);
        for (file, quote) in quotes(&text) {
            found += 1;
            let code = read(file);
            if !contains(&code, &quote) || !is_complete(&code, &quote) {
                let first = quote.first().unwrap_or(&"nothing");
                differing.push(format!(
                    "{document}: {file}: the block that begins with {first}"
                ));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert!(found >= 4, "only {found} quotes");
}

#[test]
fn a_quote_that_differs_from_its_file_is_found() {
    let document = "text\n<!-- quoted from a.rs -->\n\n```rust\na();\nb();\n```\n```\nc();\n```\n";
    let quotes = quotes(document);
    assert_eq!(quotes, [("a.rs", vec!["a();", "b();"])]);
    assert!(contains("fn f() {\n    a();\n    b();\n}", &quotes[0].1));
    assert!(!contains(
        "fn f() {\n    a();\n    c();\n    b();\n}",
        &quotes[0].1
    ));
    assert!(!contains("a();", &[]));
    let file = format!("// The page {WHOLE}a();\nb();\n");
    assert!(is_complete(&file, &["a();", "b();"]));
    assert!(!is_complete(&file, &["a();"]));
}
