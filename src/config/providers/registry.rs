//! The providers of a configuration: those that `config.providers` names by Java's classes, and those given in code.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;

use super::allowed_paths::{self, AllowedPaths};
use super::directory::DirectoryConfigProvider;
use super::env_var::{self, EnvVarConfigProvider};
use super::file::FileConfigProvider;
use super::source::{ProviderSource, shown_part};
use super::{KEY, PREFIX};
use crate::config::checks::Notice;
use crate::config::given::GivenKeys;
use crate::config::shown_key;
use crate::error::ConfigError;
use crate::util::log::Level;

const FILE_CLASS: &str = "org.apache.kafka.common.config.provider.FileConfigProvider";
const DIRECTORY_CLASS: &str = "org.apache.kafka.common.config.provider.DirectoryConfigProvider";
const ENV_VAR_CLASS: &str = "org.apache.kafka.common.config.provider.EnvVarConfigProvider";

/// The providers of a configuration.
pub(super) struct ProviderRegistry {
    pub(super) sources: BTreeMap<String, ProviderSource>,
    /// The keys of the providers that `config.providers` names, and those that are problems already.
    pub(super) used: BTreeSet<String>,
}

impl ProviderRegistry {
    /// Makes the providers. A provider given in code is used whether or not `config.providers` names it, and instead of
    /// the class of that name.
    ///
    /// # Kafka
    /// `AbstractConfig#instantiateConfigProviders`. Differs: blanks around a name are left out; a name without a class,
    /// an unknown parameter, and a key of the provider that is neither class nor parameter, are errors.
    pub(super) fn of(
        given: &GivenKeys,
        notices: &mut Vec<Notice>,
        problems: &mut Vec<ConfigError>,
    ) -> Self {
        problems.extend(unusable_names(given));
        let in_code = given.providers.iter().map(|(name, provider)| {
            let provider = ProviderSource::InCode(provider.clone());
            (name.clone(), provider)
        });
        let mut registry = Self {
            sources: in_code.collect(),
            used: BTreeSet::new(),
        };
        let Some(names) = given.entries.get(KEY) else {
            return registry;
        };
        registry.used.insert(KEY.to_owned());
        let mut names: BTreeSet<_> = names.split(',').map(str::trim).collect();
        names.remove("");
        for key in misplaced_keys(&names, given) {
            problems.push(refuse_misplaced(key));
            registry.used.insert(key.to_owned());
        }
        for name in names {
            if !is_name(name) {
                problems.push(ConfigError::invalid(
                    KEY,
                    None,
                    "the name of a provider has other characters than letters, digits, '.', '_' and '-'",
                    "Write the names with commas between them",
                ));
                continue;
            }
            let section = ProviderKeys::of(name, given);
            registry.used.extend(section.keys());
            if registry.sources.contains_key(name) {
                notices.extend(section.without_effect());
                continue;
            }
            let source = section.make().unwrap_or_else(|problem| {
                problems.push(problem);
                ProviderSource::Invalid
            });
            registry.sources.insert(name.to_owned(), source);
        }
        registry
    }
}

/// The problems with the names of providers that were given in code.
fn unusable_names(given: &GivenKeys) -> Vec<ConfigError> {
    let names = given.providers.keys();
    let unusable = names.filter(|name| name.contains([':', '}']));
    let refuse = |name: &String| {
        let name = shown_part(name);
        ConfigError::of_unnamed_keys(
            format!(
                "no variable can name the config provider {name}: the provider ends at ':' and the variable at '}}'"
            ),
            "Give config_provider a name without them",
        )
    };
    unusable.map(refuse).collect()
}

/// The start of the keys of parameters, behind the provider's name and a dot.
const PARAMETERS: &str = "param.";

/// The keys of named providers that are neither the class nor a parameter of one. A limit that is misspelled in this
/// way would allow everything.
fn misplaced_keys<'g>(names: &BTreeSet<&str>, given: &'g GivenKeys) -> Vec<&'g str> {
    let is_proper = |rest: &str| {
        let parameter = rest.strip_prefix(PARAMETERS);
        rest == "class" || parameter.is_some_and(|name| !name.is_empty())
    };
    let is_misplaced = |key: &&str| {
        // A name may contain dots, and so be the start of another one.
        let rest = &key[PREFIX.len()..];
        let dots = rest.match_indices('.').map(|(at, _)| at);
        let mut owned = dots.filter(|at| names.contains(&rest[..*at])).peekable();
        owned.peek().is_some() && !owned.any(|at| is_proper(&rest[at + 1..]))
    };
    let keys = given.entries.range(PREFIX.to_owned()..);
    let keys = keys.map(|(key, _)| key.as_str());
    let keys = keys.take_while(|key| key.starts_with(PREFIX));
    keys.filter(is_misplaced).collect()
}

fn refuse_misplaced(key: &str) -> ConfigError {
    let problem = "this key of a config provider names neither its class nor a parameter";
    let remedy = "Write config.providers.NAME.class, or config.providers.NAME.param. and the parameter, or leave the \
                  key out";
    if shown_key(key) == key {
        ConfigError::invalid(key, None, problem, remedy)
    } else {
        let problem = format!("{problem}, and is not shown: it may be a secret");
        ConfigError::of_unnamed_keys(problem, remedy)
    }
}

fn is_name(name: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    name.len() <= 100 && name.bytes().all(is_allowed)
}

/// The keys of one provider.
struct ProviderKeys<'g> {
    name: &'g str,
    class_key: String,
    class: Option<&'g str>,
    /// `config.providers.NAME.param.`
    prefix: String,
    /// The parameters' keys without the prefix, and their values.
    parameters: BTreeMap<&'g str, &'g str>,
}

impl<'g> ProviderKeys<'g> {
    fn of(name: &'g str, given: &'g GivenKeys) -> Self {
        let class_key = format!("{PREFIX}{name}.class");
        let prefix = format!("{PREFIX}{name}.{PARAMETERS}");
        let parameters = given.entries.range(prefix.clone()..);
        let parameters = parameters.map_while(|(key, value)| {
            let parameter = key.strip_prefix(&*prefix)?;
            Some((parameter, value.as_str()))
        });
        Self {
            name,
            class: given.entries.get(&class_key).map(|class| class.trim()),
            parameters: parameters.filter(|(name, _)| !name.is_empty()).collect(),
            class_key,
            prefix,
        }
    }

    fn key(&self, parameter: &str) -> String {
        format!("{}{parameter}", self.prefix)
    }

    /// The names of the given keys.
    fn keys(&self) -> impl Iterator<Item = String> {
        let parameters = self.parameters.keys().map(|parameter| self.key(parameter));
        let class = self.class.map(|_| self.class_key.clone());
        parameters.chain(class)
    }

    /// The notice about parameters of a provider that was given in code.
    fn without_effect(&self) -> Option<Notice> {
        let keys: Vec<_> = self.parameters.keys().map(|it| self.key(it)).collect();
        (!keys.is_empty()).then(|| Notice {
            level: Level::Warn,
            text: format!(
                "the config provider {} was given in code, so these keys have no effect: {}",
                self.name,
                keys.join(", ")
            ),
        })
    }

    fn make(&self) -> Result<ProviderSource, ConfigError> {
        match self.class {
            Some(FILE_CLASS) => {
                let provider = FileConfigProvider::new(self.allowed_paths()?);
                Ok(ProviderSource::File(provider))
            }
            Some(DIRECTORY_CLASS) => {
                let provider = DirectoryConfigProvider::new(self.allowed_paths()?);
                Ok(ProviderSource::Directory(provider))
            }
            Some(ENV_VAR_CLASS) => {
                let provider = EnvVarConfigProvider::of_process(self.pattern()?);
                Ok(ProviderSource::EnvVar(provider))
            }
            None | Some("") => Err(ConfigError::invalid(
                &*self.class_key,
                None,
                format!(
                    "the config provider {} has no class, and was not given in code",
                    self.name
                ),
                self.remedy(),
            )),
            class => Err(ConfigError::not_built(
                &*self.class_key,
                class,
                "Java classes are not loaded, and this one has no counterpart here",
                self.remedy(),
            )),
        }
    }

    fn remedy(&self) -> String {
        format!(
            "Set it to {FILE_CLASS}, {DIRECTORY_CLASS} or {ENV_VAR_CLASS}, or give another provider to \
             ProducerConfigBuilder::config_provider with the name {}",
            self.name
        )
    }

    fn allowed_paths(&self) -> Result<AllowedPaths, ConfigError> {
        let name = allowed_paths::PARAMETER;
        self.refuse_other_parameters(name)?;
        match self.parameters.get(name) {
            None => Ok(AllowedPaths::default()),
            Some(value) => AllowedPaths::parse(&self.key(name), value),
        }
    }

    fn pattern(&self) -> Result<Option<Regex>, ConfigError> {
        let name = env_var::PARAMETER;
        self.refuse_other_parameters(name)?;
        let Some(&value) = self.parameters.get(name) else {
            return Ok(None);
        };
        let refuse = |why| {
            let remedy = "Write a regular expression that matches whole names, such as KAFKA_.*";
            ConfigError::invalid(self.key(name), Some(value), why, remedy)
        };
        env_var::whole_name(value).map(Some).map_err(refuse)
    }

    /// A misspelled limit would allow everything.
    fn refuse_other_parameters(&self, only: &str) -> Result<(), ConfigError> {
        match self.parameters.keys().find(|parameter| **parameter != only) {
            None => Ok(()),
            Some(other) => Err(ConfigError::invalid(
                self.key(other),
                None,
                format!("the class of this provider has no parameter but {only}"),
                format!("Write {}, or leave the key out", self.key(only)),
            )),
        }
    }
}
