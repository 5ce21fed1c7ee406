//! A provider of any kind, and the errors of all of them.

use std::collections::BTreeMap;

use super::directory::DirectoryConfigProvider;
use super::env_var::EnvVarConfigProvider;
use super::file::FileConfigProvider;
use crate::config::Password;
use crate::config::given::SharedProvider;
use crate::util::foreign_text::{printable, printable_start};
use crate::util::panic;
use crate::util::secret_text::holds_secret;

/// Longest part of a variable, in bytes, that is shown.
const MAX_SHOWN_BYTES: usize = 512;

/// Why a provider has no values for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProviderFailure {
    pub(super) problem: String,
    pub(super) remedy: String,
}

impl ProviderFailure {
    pub(super) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

/// A provider that variables may name.
pub(super) enum ProviderSource {
    File(FileConfigProvider),
    Directory(DirectoryConfigProvider),
    EnvVar(EnvVarConfigProvider),
    InCode(SharedProvider),
    /// A provider whose own configuration is wrong, which is a problem of its own.
    Invalid,
}

impl ProviderSource {
    /// The values of these keys at a path, as far as the provider has them.
    pub(super) fn get(
        &self,
        path: &str,
        keys: &[&str],
    ) -> Result<BTreeMap<String, String>, ProviderFailure> {
        match self {
            Self::File(provider) => provider.get(path, keys),
            Self::Directory(provider) => provider.get(path, keys),
            Self::EnvVar(provider) => provider.get(path, keys),
            Self::InCode(provider) => get_in_code(provider, path, keys),
            Self::Invalid => Ok(BTreeMap::new()),
        }
    }

    /// The remedy if the provider does not have a key.
    pub(super) fn remedy_without_key(&self) -> &'static str {
        match self {
            Self::File(_) => "Check path and key of the variable, or add the key to the file",
            Self::Directory(_) => {
                "Check path and key of the variable, or add a file with the name of the key to the directory; \
                 subdirectories, pipes and devices are not read"
            }
            Self::EnvVar(_) => {
                "Set the environment variable; if the provider has a parameter allowlist.pattern, that has to match \
                 the variable's name"
            }
            Self::InCode(_) | Self::Invalid => "Check path and key of the variable",
        }
    }
}

/// Calls a provider of the application, which may fail and panic.
fn get_in_code(
    provider: &SharedProvider,
    path: &str,
    keys: &[&str],
) -> Result<BTreeMap<String, String>, ProviderFailure> {
    // The error is converted inside, because printing and dropping it are code of the application, too.
    let answer = panic::contain(|| provider.get(path, keys).map_err(panic::into_words));
    let (verb, words) = match answer {
        Ok(Ok(values)) => return Ok(values),
        Ok(Err(words)) => ("failed", words),
        Err(words) => ("panicked", words),
    };
    let words = if holds_secret(&words) {
        Password::HIDDEN.into()
    } else {
        printable_start(&words)
    };
    Err(ProviderFailure::new(
        format!("{verb}: {words}"),
        "Check path and key of the variable, and the provider",
    ))
}

/// A path or a key of a variable as it is shown in an error. If a brace is missing, a variable extends over the text
/// behind it, which may be a password: so a text with quotation marks, separators, line ends or invisible characters is
/// hidden.
pub(super) fn shown_part(part: &str) -> &str {
    let is_odd = |c: char| "\"'=;,${".contains(c);
    let is_hidden = || part.contains(is_odd) || printable(part) != part || holds_secret(part);
    if part.len() > MAX_SHOWN_BYTES || is_hidden() {
        Password::HIDDEN
    } else {
        part
    }
}
