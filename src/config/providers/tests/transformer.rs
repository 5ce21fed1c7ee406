use super::*;
use crate::error::BoxError;

/// The provider of Kafka's test.
#[expect(clippy::unnecessary_wraps, reason = "the signature of a provider")]
fn provider(path: &str, keys: &[&str]) -> Result<BTreeMap<String, String>, BoxError> {
    let values = match path {
        "testPath" => &[
            ("testKey", "testResult"),
            ("testKeyWithTTL", "testResultWithTTL"),
            ("testIndirection", "${test:testPath:testResult}"),
        ][..],
        _ => &[("testKey", "testResultNoPath")],
    };
    let values = values.iter().filter(|(key, _)| keys.contains(key));
    Ok(values.map(|(key, value)| pair(key, value)).collect())
}

fn transformed(value: &str) -> Result<String, ConfigError> {
    let config = ProducerConfig::builder()
        .config_provider("test", provider)
        .set("my.key", value)
        .build()?;
    Ok(config.originals()["my.key"].clone())
}

/// Java: ConfigTransformerTest#testReplaceVariable, #testReplaceVariableWithTTL, #testReplaceMultipleVariablesInValue,
/// #testReplaceVariableNoPath, #testReplaceMultipleVariablesWithoutPathInValue
#[test]
fn all_variables_of_a_value_are_replaced() {
    for (value, expected) in [
        ("${test:testPath:testKey}", "testResult"),
        ("${test:testPath:testKeyWithTTL}", "testResultWithTTL"),
        (
            "hello, ${test:testPath:testKey}; goodbye, ${test:testPath:testKeyWithTTL}!!!",
            "hello, testResult; goodbye, testResultWithTTL!!!",
        ),
        ("${test:testKey}", "testResultNoPath"),
        (
            "first ${test:testKey}; second ${test:testKey}",
            "first testResultNoPath; second testResultNoPath",
        ),
        ("${test::testKey}", "testResultNoPath"),
    ] {
        assert_eq!(transformed(value).unwrap(), expected, "{value}");
    }
}

/// The text behind the last variable counts, too.
#[test]
fn a_value_that_is_too_long_with_those_of_its_provider_is_an_error() {
    let tail = "x".repeat(crate::config::properties::MAX_BYTES as usize);
    let error = transformed(&format!("${{test:testKey}}{tail}")).unwrap_err();
    assert_eq!(error.key(), Some("my.key"));
    assert!(error.problem().contains("bytes"), "{}", error.problem());
}

/// Java: ConfigTransformerTest#testNoReplacement
#[test]
fn a_key_that_the_provider_does_not_have_is_an_error_with_provider_path_and_key() {
    let error = transformed("${test:testPath:missingKey}").unwrap_err();
    assert_eq!(error.key(), Some("my.key"));
    let problem = error.problem();
    assert!(problem.contains("provider test"), "{error}");
    assert!(problem.contains("missingKey in testPath"), "{error}");
}

/// Java: ConfigTransformerTest#testSingleLevelOfIndirection
#[test]
fn the_value_of_a_provider_is_not_resolved_again() {
    let value = transformed("${test:testPath:testIndirection}");
    assert_eq!(value.unwrap(), "${test:testPath:testResult}");
}

/// Java: AbstractConfigTest#testAutoConfigResolutionWithMissingConfigProvider
#[test]
fn a_variable_of_an_unknown_provider_is_left_as_it_is() {
    for value in [
        "${other:testPath:testKey}",
        "x${other:testKey}y",
        "${testKey}",
        "${test${test:testKey}",
    ] {
        assert_eq!(transformed(value).unwrap(), value);
    }
    let mixed = transformed("${a:b}${test:testKey}${c:d:e}");
    assert_eq!(mixed.unwrap(), "${a:b}testResultNoPath${c:d:e}");
    let without = config_of(&["my.key=${test:/foo/bar/testpath:testKey}"]).unwrap();
    assert_eq!(
        without.originals()["my.key"],
        "${test:/foo/bar/testpath:testKey}"
    );
}

#[test]
fn a_path_is_requested_once_with_all_its_keys() {
    use std::sync::Arc;

    use crate::sync::{Mutex, Rank};

    let calls = Arc::new(Mutex::new(Rank::LEAF, Vec::new()));
    let seen = Arc::clone(&calls);
    let counting = move |path: &str, keys: &[&str]| -> Result<_, BoxError> {
        seen.lock().push(format!("{path}: {}", keys.join(" ")));
        Ok(keys.iter().map(|key| pair(key, "x")).collect())
    };
    let config = ProducerConfig::builder()
        .config_provider("v", counting)
        .set("a.a", "${v:p:one}${v:p:two}${v:q:one}")
        .set("a.b", "${v:p:two}${v:three}")
        .build()
        .unwrap();
    assert_eq!(config.originals()["a.a"], "xxx");
    assert_eq!(calls.lock()[..], [": three", "p: one two", "q: one"]);
}

/// 100,000 variables with a value of a kilobyte each.
#[test]
fn a_value_that_would_become_too_long_is_refused() {
    let long = |_: &str, keys: &[&str]| -> Result<_, BoxError> {
        let values = keys.iter().map(|key| pair(key, &"x".repeat(1024)));
        Ok(values.collect())
    };
    let build = |variables: usize| {
        let builder = ProducerConfig::builder().config_provider("v", long);
        builder.set("my.key", "${v:k}".repeat(variables)).build()
    };
    assert_eq!(build(1000).unwrap().originals()["my.key"].len(), 1_024_000);
    let error = build(100_000).unwrap_err();
    assert_eq!(error.key(), Some("my.key"));
    assert!(error.problem().contains("bytes"), "{error}");
}
