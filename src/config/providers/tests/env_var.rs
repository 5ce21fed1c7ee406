use std::ffi::OsString;

use super::super::env_var::{EnvVarConfigProvider, whole_name};
use super::*;

/// The variables of Kafka's test.
fn look_up(name: &str) -> Option<OsString> {
    let value = match name {
        "test_var1" => "value1",
        "secret_var2" => "value2",
        "new_var3" => "value3",
        "not_so_secret_var4" => "value4",
        _ => return None,
    };
    Some(value.into())
}

const ALL: [&str; 5] = [
    "test_var1",
    "secret_var2",
    "new_var3",
    "not_so_secret_var4",
    "missing",
];

fn provider(pattern: Option<&str>) -> EnvVarConfigProvider {
    let pattern = pattern.map(|it| whole_name(it).unwrap());
    EnvVarConfigProvider::new(pattern, look_up)
}

/// Java: EnvVarConfigProviderTest#testGetAllEnvVarsNotEmpty, #testGetMultipleKeysAndCompare,
/// #testGetOneKeyWithNullPath, #testGetOneKeyWithEmptyPath, #testGetEnvVarsByKeyList
#[test]
fn the_values_of_environment_variables_are_read() {
    let expected = [
        pair("new_var3", "value3"),
        pair("not_so_secret_var4", "value4"),
        pair("secret_var2", "value2"),
        pair("test_var1", "value1"),
    ];
    assert_eq!(answered(provider(None).get("", &ALL)), expected);
    let one = provider(None).get("", &["secret_var2"]);
    assert_eq!(answered(one), [pair("secret_var2", "value2")]);
}

/// Java: EnvVarConfigProviderTest#testNotNullPathNonEmptyThrowsException
#[test]
fn a_path_is_refused() {
    let failure = provider(None).get("test-path", &["test_var1"]).unwrap_err();
    assert!(failure.problem.contains("test-path"), "{failure:?}");
    assert!(failure.remedy.contains("${provider:NAME}"), "{failure:?}");
}

/// Java: EnvVarConfigProviderTest#testRegExpEnvVarsSingleEntryKeyList, #testRegExpEnvVarsNoKeyList
#[test]
fn a_variable_that_the_pattern_does_not_match_as_a_whole_is_left_out() {
    let allowed = provider(Some("secret_.*")).get("", &ALL);
    assert_eq!(answered(allowed), [pair("secret_var2", "value2")]);
}

#[test]
fn a_pattern_is_one_by_itself_and_matches_whole_names() {
    for (pattern, matches, other) in [
        ("A|BC", &["A", "BC"][..], &["ABC", "AB", ""][..]),
        ("(?:KAFKA|APP)_[A-Z]+", &["KAFKA_A"], &["KAFKA_", "X_APP_A"]),
        ("(a|a)*", &["", "aaaa"], &["aab"]),
        ("^SECRET$", &["SECRET"], &["SECRET\n"]),
        (r"a\.b\d", &["a.b1"], &["axb1"]),
    ] {
        let compiled = whole_name(pattern).expect(pattern);
        for name in matches {
            assert!(compiled.is_match(name), "{pattern} and {name}");
        }
        for name in other {
            assert!(!compiled.is_match(name), "{pattern} and {name}");
        }
    }
    for malformed in ["(", "a)|(b", "[", "*", "(?=a)", "a{1000}{1000}{1000}", "\\"] {
        assert!(whole_name(malformed).is_err(), "{malformed}");
    }
}

#[test]
fn the_variables_of_this_process_are_read() {
    let process = EnvVarConfigProvider::of_process(None);
    let expected = std::env::var("PATH").unwrap();
    let odd = [
        "PATH",
        "",
        "=",
        "A=B",
        "\0",
        "NO_SUCH_VARIABLE_OF_THIS_TEST",
    ];
    assert_eq!(answered(process.get("", &odd)), [pair("PATH", &expected)]);
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_unicode_is_refused_with_the_name_and_without_the_value() {
    use std::os::unix::ffi::OsStringExt;

    let broken = |_: &str| Some(OsString::from_vec(b"hunter2\xff".to_vec()));
    let failure = EnvVarConfigProvider::new(None, broken).get("", &["NAME"]);
    let text = format!("{:?}", failure.unwrap_err());
    assert!(text.contains("NAME") && !text.contains("hunter2"), "{text}");
}
