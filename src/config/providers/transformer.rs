//! Replaces the variables in values by the values of their providers.

use std::collections::{BTreeMap, BTreeSet};

use super::ResolvedKeys;
use super::source::{ProviderFailure, ProviderSource, shown_part};
use super::variables::{ConfigVariable, variables};
use crate::config::properties::MAX_BYTES;
use crate::error::ConfigError;

/// The request of one path from one provider.
#[derive(Default)]
struct PathRequest<'g> {
    /// The keys at the path, each with the keys of the configuration that contain a variable with it.
    keys: BTreeMap<&'g str, BTreeSet<&'g str>>,
}

/// A provider's name and a path.
type ProviderPath<'g> = (&'g str, &'g str);

/// Replaces the variables in all entries but those of providers, whose own values are used as they are.
///
/// # Kafka
/// `ConfigTransformer#transform`. As there, each path is requested once, a variable of a provider that is not in
/// `sources` is left as it is, and values of providers are not searched for variables.
pub(super) fn transform(
    entries: &BTreeMap<String, String>,
    sources: &BTreeMap<String, ProviderSource>,
    problems: &mut Vec<ConfigError>,
) -> ResolvedKeys {
    let mut found: BTreeMap<ProviderPath<'_>, BTreeMap<String, String>> = BTreeMap::new();
    let mut failed: BTreeSet<&str> = BTreeSet::new();
    for ((name, path), request) in requests(entries, sources) {
        // Requests are made for providers in `sources` only.
        let Some(source) = sources.get(name) else {
            continue;
        };
        let keys: Vec<&str> = request.keys.keys().copied().collect();
        let values = match source.get(path, &keys) {
            Ok(values) => values,
            Err(failure) => {
                let users: BTreeSet<_> = request.keys.into_values().flatten().collect();
                problems.push(of_failure(name, &users, failure));
                failed.extend(users);
                continue;
            }
        };
        for (key, users) in request.keys {
            if !values.contains_key(key) {
                if !matches!(source, ProviderSource::Invalid) {
                    problems.push(of_missing_key(name, path, key, &users, source));
                }
                failed.extend(users);
            }
        }
        found.insert((name, path), values);
    }
    let mut answer = ResolvedKeys::default();
    for (key, value) in entries {
        if failed.contains(key.as_str()) {
            continue;
        }
        match replaced(key, value, &found) {
            Replaced::Unchanged => {
                answer.entries.insert(key.clone(), value.clone());
            }
            Replaced::By(value) => {
                answer.entries.insert(key.clone(), value);
                answer.resolved.insert(key.clone());
            }
            Replaced::TooLong => problems.push(ConfigError::unresolved(
                vec![key.clone()],
                format!("with the values of config providers this has more than {MAX_BYTES} bytes"),
                "Use fewer variables, or shorter values",
            )),
        }
    }
    answer
}

/// The requests for all variables of known providers, in the order of providers and paths.
fn requests<'g>(
    entries: &'g BTreeMap<String, String>,
    sources: &BTreeMap<String, ProviderSource>,
) -> BTreeMap<ProviderPath<'g>, PathRequest<'g>> {
    let mut requests: BTreeMap<_, PathRequest<'g>> = BTreeMap::new();
    for (key, value) in entries {
        if super::is_key(key) {
            continue;
        }
        for ConfigVariable {
            provider,
            path,
            key: wanted,
            ..
        } in variables(value)
        {
            if sources.contains_key(provider) {
                let request = requests.entry((provider, path)).or_default();
                request.keys.entry(wanted).or_default().insert(key.as_str());
            }
        }
    }
    requests
}

fn of_failure(name: &str, users: &BTreeSet<&str>, failure: ProviderFailure) -> ConfigError {
    ConfigError::unresolved(
        users.iter().map(|key| (*key).to_owned()).collect(),
        format!("the config provider {name} {}", failure.problem),
        failure.remedy,
    )
}

fn of_missing_key(
    name: &str,
    path: &str,
    key: &str,
    users: &BTreeSet<&str>,
    source: &ProviderSource,
) -> ConfigError {
    let place = match path {
        "" => String::new(),
        path => format!(" in {}", shown_part(path)),
    };
    let problem = format!("has no key {}{place}", shown_part(key));
    let failure = ProviderFailure::new(problem, source.remedy_without_key());
    of_failure(name, users, failure)
}

/// The outcome of replacing the variables in a value.
enum Replaced {
    /// There was no variable to replace.
    Unchanged,
    By(String),
    TooLong,
}

fn replaced(
    key: &str,
    value: &str,
    found: &BTreeMap<ProviderPath<'_>, BTreeMap<String, String>>,
) -> Replaced {
    if super::is_key(key) {
        return Replaced::Unchanged;
    }
    let mut text = String::new();
    let mut end = None;
    for variable in variables(value) {
        let values = found.get(&(variable.provider, variable.path));
        let Some(replacement) = values.and_then(|values| values.get(variable.key)) else {
            continue;
        };
        let before = &value[end.unwrap_or(0)..variable.range.start];
        if (text.len() + before.len() + replacement.len()) as u64 > MAX_BYTES {
            return Replaced::TooLong;
        }
        text.push_str(before);
        text.push_str(replacement);
        end = Some(variable.range.end);
    }
    match end {
        None => Replaced::Unchanged,
        Some(end) if (text.len() + value[end..].len()) as u64 > MAX_BYTES => Replaced::TooLong,
        Some(end) => {
            text.push_str(&value[end..]);
            Replaced::By(text)
        }
    }
}

/// For fuzzing: transforms a text with a provider `a`, whose values look like variables.
///
/// # Panics
/// If a variable of another provider is changed, one of `a` is not replaced, or a value is resolved again.
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) fn check_text(text: &str) {
    const VALUE: &str = "${a:again}";
    let provider = |_: &str, keys: &[&str]| -> Result<BTreeMap<_, _>, crate::error::BoxError> {
        let values = keys.iter().map(|key| ((*key).to_owned(), VALUE.to_owned()));
        Ok(values.collect())
    };
    let source = ProviderSource::InCode(std::sync::Arc::new(provider));
    let sources = BTreeMap::from([("a".to_owned(), source)]);
    let entries = BTreeMap::from([("key".to_owned(), text.to_owned())]);
    let mut problems = Vec::new();
    let answer = transform(&entries, &sources, &mut problems);
    let (mut expected, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        expected.push_str(before);
        let Some((inner, behind)) = after.split_once('}') else {
            expected.push_str("${");
            rest = after;
            continue;
        };
        match inner.split_once(':') {
            Some(("a", _)) => expected.push_str(VALUE),
            _ => expected.extend(["${", inner, "}"]),
        }
        rest = behind;
    }
    expected.push_str(rest);
    assert_eq!(answer.entries.get("key"), Some(&expected));
}
