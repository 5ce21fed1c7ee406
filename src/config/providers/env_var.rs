//! The provider of the values of environment variables (KIP-887).

use std::collections::BTreeMap;
use std::ffi::OsString;

use regex_lite::{Regex, RegexBuilder};

use super::source::{ProviderFailure, shown_part};

/// The name of the parameter with the pattern.
pub(super) const PARAMETER: &str = "allowlist.pattern";

/// `${env:NAME}`: the value of an environment variable whose name the pattern matches as a whole.
///
/// # Kafka
/// `EnvVarConfigProvider`. Differs: the pattern is one of `regex-lite`, which matches in linear time and has no
/// look-around and no back-references; `\d` and `\w` are ASCII, as in Java.
pub(super) struct EnvVarConfigProvider {
    /// `None` if all variables are allowed.
    allowed: Option<Regex>,
    look_up: fn(&str) -> Option<OsString>,
}

/// Size limit of a compiled pattern in bytes: some thousand characters, or a few with large counts.
const MAX_PATTERN_BYTES: usize = 256 * 1024;

/// Compiles a pattern, which is to match whole names.
///
/// # Errors
/// What is wrong with the pattern.
pub(super) fn whole_name(pattern: &str) -> Result<Regex, String> {
    // By itself too: `a)|(b` would become valid, and mean something else, inside a group.
    let compiled = |pattern: &str| {
        let mut builder = RegexBuilder::new(pattern);
        let result = builder.size_limit(MAX_PATTERN_BYTES).build();
        result.map_err(|error| error.to_string())
    };
    compiled(pattern)?;
    compiled(&format!(r"\A(?:{pattern})\z"))
}

impl EnvVarConfigProvider {
    /// The provider of this process's variables.
    pub(super) fn of_process(allowed: Option<Regex>) -> Self {
        Self::new(allowed, |name: &str| std::env::var_os(name))
    }

    pub(super) fn new(allowed: Option<Regex>, look_up: fn(&str) -> Option<OsString>) -> Self {
        Self { allowed, look_up }
    }

    pub(super) fn get(
        &self,
        path: &str,
        keys: &[&str],
    ) -> Result<BTreeMap<String, String>, ProviderFailure> {
        if !path.is_empty() {
            return Err(ProviderFailure::new(
                format!("has no path like {}", shown_part(path)),
                "Write the variable as ${provider:NAME}",
            ));
        }
        let is_allowed = |name: &str| {
            // The system's function must not be called with such names.
            let is_name = !name.is_empty() && !name.contains(['=', '\0']);
            is_name
                && self
                    .allowed
                    .as_ref()
                    .is_none_or(|pattern| pattern.is_match(name))
        };
        let mut values = BTreeMap::new();
        for name in keys.iter().filter(|name| is_allowed(name)) {
            let Some(value) = (self.look_up)(name) else {
                continue;
            };
            let value = value.into_string().map_err(|_| {
                ProviderFailure::new(
                    format!("cannot read {}: it is not valid Unicode", shown_part(name)),
                    "Write the value of the environment variable in UTF-8",
                )
            })?;
            values.insert((*name).to_owned(), value);
        }
        Ok(values)
    }
}
