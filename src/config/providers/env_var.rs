//! The provider of the values of environment variables (KIP-887).

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::pattern::Pattern;
use super::source::{ProviderFailure, shown_part};

/// The name of the parameter with the pattern.
pub(super) const PARAMETER: &str = "allowlist.pattern";

/// `${env:NAME}`: the value of an environment variable whose name the pattern matches as a whole.
///
/// # Kafka
/// `EnvVarConfigProvider`. Differs: a pattern uses a part of Java's syntax, see [`Pattern`].
pub(super) struct EnvVarConfigProvider {
    /// `None` if all variables are allowed.
    allowed: Option<Pattern>,
    look_up: fn(&str) -> Option<OsString>,
}

impl EnvVarConfigProvider {
    /// The provider of this process's variables.
    pub(super) fn of_process(allowed: Option<Pattern>) -> Self {
        Self::new(allowed, |name: &str| std::env::var_os(name))
    }

    pub(super) fn new(allowed: Option<Pattern>, look_up: fn(&str) -> Option<OsString>) -> Self {
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
                    .is_none_or(|pattern| pattern.matches(name))
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
