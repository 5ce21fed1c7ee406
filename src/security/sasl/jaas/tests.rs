use super::*;
use crate::config::ProducerConfig;

const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

fn options(text: &str) -> Vec<(String, String)> {
    let entry = parse(&format!("{PLAIN} required {text};")).expect(text);
    assert_eq!(entry.class, PLAIN);
    let options = entry.options.iter();
    options
        .map(|(name, value)| (name.clone(), value.expose().to_owned()))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    expected.iter().map(owned).collect()
}

/// Java: JaasContextTest#testConfigNoOptions, testSingleOption, testMultipleOptions
#[test]
fn options_are_read_with_and_without_quotation_marks() {
    assert_eq!(options(""), []);
    assert_eq!(options("a=b"), pairs(&[("a", "b")]));
    assert_eq!(
        options("username=\"alice\" password='se cret;=,'"),
        pairs(&[("password", "se cret;=,"), ("username", "alice")])
    );
    assert_eq!(
        options("user.name-1_$x=v1.2-3_$"),
        pairs(&[("user.name-1_$x", "v1.2-3_$")])
    );
    assert_eq!(
        options("a=b\n\t c = \n d"),
        pairs(&[("a", "b"), ("c", "d")])
    );
}

/// Java: JaasContextTest#testQuotedOptionValue, testQuotedOptionName
#[test]
fn names_may_be_quoted_and_quotation_marks_may_be_escaped() {
    assert_eq!(options("\"a b\"=\"c d\""), pairs(&[("a b", "c d")]));
    assert_eq!(options(r#"a="x\"y\\z""#), pairs(&[("a", r#"x"y\z"#)]));
    assert_eq!(
        options(r#"a="\t\n\r\101\7\400\q""#),
        pairs(&[("a", "\t\n\rA\u{7}\u{20}0q")])
    );
    assert_eq!(options("a='\"' b=\"'\""), pairs(&[("a", "\""), ("b", "'")]));
    assert_eq!(options("a=\"päss wörd\""), pairs(&[("a", "päss wörd")]));
}

#[test]
fn comments_are_skipped_except_inside_quotation_marks() {
    assert_eq!(options("/* c=d; */ a=b // e=f;\n"), pairs(&[("a", "b")]));
    assert_eq!(
        options("a=\"http://x/*y*/\""),
        pairs(&[("a", "http://x/*y*/")])
    );
    // As in Java, a single slash begins a comment.
    let error = parse(&format!("{PLAIN} required a=b/c;")).unwrap_err();
    assert!(error.contains("comment"), "{error}");
}

/// Java: JaasContextTest#testControlFlag, testInvalidControlFlag
#[test]
fn the_control_flag_is_one_of_four_in_any_case() {
    for flag in ["required", "REQUISITE", "Sufficient", "optional"] {
        assert!(parse(&format!("{PLAIN} {flag};")).is_ok(), "{flag}");
    }
    for text in [
        format!("{PLAIN};"),
        PLAIN.to_owned(),
        format!("{PLAIN} needed a=b;"),
        format!("{PLAIN} a=b;"),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.contains("control flag"), "{error}");
    }
}

/// Java: JaasContextTest#testMissingOptionValue, testMissingSemicolon, testMissingControlFlag,
/// testNumericOptionWithoutQuotes, testNegativeNumericOptionWithQuotes
#[test]
fn a_syntax_error_has_its_position_and_quotes_nothing() {
    for (text, expected) in [
        ("hunter2=", "option 1 has no value"),
        ("hunter2", "option 1"),
        ("a=b hunter2", "option 2"),
        ("a=hunter2 =c", "option 2"),
        ("a==hunter2", "quotation marks"),
        ("a=12hunter2", "begins like a number"),
        ("a=-1 b=hunter2", "begins like a number"),
        ("a=.5", "begins like a number"),
        ("a=-hunter2", "option 1"),
        ("a=hunter2%x", "option 2"),
        ("a=\"hunter2\nx\"", "quotation"),
        ("a=\"hunter2", "quotation"),
    ] {
        let error = parse(&format!("{PLAIN} required {text};")).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("hunter"), "{text}: {error}");
    }
    assert_eq!(
        options("a=\"-1\" b='3.5'"),
        pairs(&[("a", "-1"), ("b", "3.5")])
    );
    let unended = parse(&format!("{PLAIN} required a=hunter2")).unwrap_err();
    assert!(unended.contains("semicolon"), "{unended}");
}

/// Java: JaasContextTest#testLoadForClientWithMultipleModules and the like
#[test]
fn there_is_exactly_one_login_module() {
    for text in ["", "  ", "// nothing", "/* nothing"] {
        assert!(
            parse(text).unwrap_err().contains("no login module"),
            "{text:?}"
        );
    }
    let two = parse(&format!("{PLAIN} required; {PLAIN} required;")).unwrap_err();
    assert!(two.contains("2 login modules"), "{two}");
    for text in ["=", "12 required;", ";"] {
        let error = parse(text).unwrap_err();
        assert!(error.contains("begin"), "{error}");
    }
}

#[test]
fn the_builders_output_is_parsed_unchanged() {
    for value in ["a", "se\"c\\r'e\tt\r\n", "//", "7", "é\u{10ffff} ;"] {
        let config = ProducerConfig::builder().sasl_plain(value, value).build();
        let config = config.unwrap();
        let entry = parse(config.sasl_jaas_config().unwrap().expose()).unwrap();
        assert_eq!(entry.class, PLAIN);
        assert_eq!(entry.options["username"].expose(), value);
        assert_eq!(entry.options["password"].expose(), value);
    }
}

#[test]
fn an_entry_hides_its_values_when_it_is_printed() {
    let entry = parse(&format!("{PLAIN} required password=hunter2;")).unwrap();
    assert!(!format!("{entry:?}").contains("hunter2"));
}
