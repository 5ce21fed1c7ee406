//! The step of the configuration.

use std::time::{Duration, Instant};

use kafka_producer::probe::{self, ConnectionProbe, ProbeStage};
use kafka_producer::{
    ClientDnsLookup, ConfigError, ConfigKey, ConfigProblem, Group, ProducerConfig,
    ProducerConfigBuilder, SecurityProtocol,
};

use crate::config_failures::failures;
use crate::finding::{CheckProblem, CheckStep, KeySide};
use crate::options::CheckOptions;
use crate::{construction, warnings};

/// A valid configuration.
pub(crate) struct CheckedSettings {
    pub(crate) config: ProducerConfig,
    pub(crate) probe: ConnectionProbe,
    /// Hosts and ports of `bootstrap.servers`, at least one.
    pub(crate) servers: Vec<(String, u16)>,
}

/// Runs the step; the settings are `None` if the configuration cannot be used.
pub(crate) fn check(options: &CheckOptions) -> (CheckStep, Option<CheckedSettings>) {
    let began = Instant::now();
    let ((settings, mut problems), logged) = warnings::collected(|| read(options));
    problems.extend(logged.into_iter().map(CheckProblem::warning));
    problems.sort_by_key(|problem| problem.is_warning);
    let mut step = CheckStep::new("configuration", "", "configuration").took(began.elapsed());
    if let Some(settings) = &settings {
        step = step.detail(summary(settings));
    }
    (step.problems(problems), settings)
}

fn read(options: &CheckOptions) -> (Option<CheckedSettings>, Vec<CheckProblem>) {
    let builder = match builder(options) {
        Ok(builder) => builder,
        Err(error) => return (None, failures(&error)),
    };
    let lenient = builder.clone().build();
    let mut problems = unknown_keys(builder, lenient.as_ref().err());
    problems.extend(options.env_prefix.as_deref().and_then(unused_prefix));
    let config = match lenient {
        Ok(config) => config,
        Err(error) => {
            problems.extend(failures(&error));
            return (None, problems);
        }
    };
    problems.extend(canonical_names(&config));
    problems.extend(construction::problems(&config, &options.registered));
    problems.extend(without_effect(&config));
    match usable(config, options.timeout) {
        Ok(settings) => (Some(settings), problems),
        Err(error) => {
            // The dry construction may have failed for the same reason.
            for failure in failures(&error) {
                if problems.iter().all(|known| known.text != failure.text) {
                    problems.push(failure);
                }
            }
            (None, problems)
        }
    }
}

/// A warning about a prefix with which no environment variable begins.
fn unused_prefix(prefix: &str) -> Option<CheckProblem> {
    let is_key = |name: &str| name.len() > prefix.len() && name.starts_with(prefix);
    let mut names = std::env::vars_os().map(|(name, _)| name);
    let is_used = names.any(|name| name.to_str().is_some_and(is_key));
    (!is_used).then(|| {
        CheckProblem::warning(format!(
            "no environment variable begins with {prefix}, the prefix of --from-env"
        ))
    })
}

/// All sources, each of which overrides those before it.
fn builder(options: &CheckOptions) -> Result<ProducerConfigBuilder, ConfigError> {
    let mut builder = ProducerConfig::builder();
    if let Some(path) = &options.config_file {
        builder = builder.properties_file(path)?;
    }
    if let Some(prefix) = &options.env_prefix {
        builder = builder.env(prefix)?;
    }
    for (key, value) in &options.properties {
        builder = builder.set(key, value);
    }
    if let Some(servers) = &options.servers {
        builder = builder.set("bootstrap.servers", servers);
    }
    Ok(builder)
}

/// Warnings about keys of a producer that have no effect in combination with the other keys, such as a trust store
/// without TLS. Unknown keys are problems already.
fn without_effect(config: &ProducerConfig) -> Vec<CheckProblem> {
    let unused = config.unused_keys();
    let rows = ProducerConfig::keys().filter(|row| unused.contains(&row.name()));
    let protocol = config.security_protocol();
    let uses_tls = matches!(protocol, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl);
    let uses_sasl = matches!(
        protocol,
        SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl
    );
    let warning = |row: &'static ConfigKey| {
        let key = row.name();
        let problem = CheckProblem::warning(format!("{key} has no effect with the other keys"));
        match row.group() {
            Group::Tls if !uses_tls => problem.change(
                "security.protocol",
                KeySide::Client,
                format!("SSL or SASL_SSL uses this key; here it is {protocol}"),
            ),
            Group::Sasl if !uses_sasl => problem.change(
                "security.protocol",
                KeySide::Client,
                format!("SASL_SSL or SASL_PLAINTEXT uses this key; here it is {protocol}"),
            ),
            _ => problem.change(
                key,
                KeySide::Client,
                "leave it out, unless a plug-in reads it",
            ),
        }
    };
    rows.map(warning).collect()
}

/// A warning about the one key of connections that the checks ignore.
fn canonical_names(config: &ProducerConfig) -> Option<CheckProblem> {
    let lookup = config.client_dns_lookup();
    (lookup == ClientDnsLookup::ResolveCanonicalBootstrapServersOnly).then(|| {
        CheckProblem::warning(format!(
            "client.dns.lookup={lookup}: a producer connects to the canonical names of the bootstrap servers; the \
             names in bootstrap.servers are checked instead"
        ))
    })
}

fn usable(config: ProducerConfig, timeout: Duration) -> Result<CheckedSettings, ConfigError> {
    let probe = ConnectionProbe::new(&config, timeout)?;
    let servers = probe.bootstrap_servers()?;
    Ok(CheckedSettings {
        config,
        probe,
        servers,
    })
}

/// The problems that a strict configuration has in addition: its unknown keys. One that resembles a known key is a
/// failure; another may be that of a plug-in.
fn unknown_keys(builder: ProducerConfigBuilder, others: Option<&ConfigError>) -> Vec<CheckProblem> {
    let Err(strict) = builder.strict().build() else {
        return Vec::new();
    };
    let others = others.map_or(&[][..], ConfigError::problems);
    let unknown = strict.problems().iter().filter(|it| !others.contains(it));
    unknown.map(unknown_key).collect()
}

fn unknown_key(problem: &ConfigProblem) -> CheckProblem {
    let Some(key) = problem.key() else {
        // Its name may be a secret, or there are too many.
        let text = format!("{}. {}", problem.problem(), problem.remedy());
        return CheckProblem::warning(text);
    };
    if key.starts_with("config.providers.") {
        // The key may be a limit of a provider whose name is misspelled.
        let text = format!("{key}: {}", problem.problem());
        return CheckProblem::warning(text).change(key, KeySide::Client, problem.remedy());
    }
    match probe::suggested_key(key) {
        // The remedy begins with the question that names the key that was meant, or its environment variable.
        Some(nearest) => CheckProblem::failure(format!("{key} is no key of a producer")).change(
            key,
            KeySide::Client,
            match problem.remedy().split_once('?') {
                Some((question, _)) => format!("{question}?"),
                None => format!("Did you mean {nearest}?"),
            },
        ),
        None => CheckProblem::warning(format!("{key} is no key of a producer")).change(
            key,
            KeySide::Client,
            "has no effect, unless a plug-in reads it",
        ),
    }
}

/// The settings that matter for connections.
fn summary(settings: &CheckedSettings) -> String {
    let config = &settings.config;
    let keys = config.originals().len();
    let protocol = config.security_protocol();
    let mut summary = format!(
        "{keys} {}, {protocol}",
        if keys == 1 { "key" } else { "keys" }
    );
    if settings.probe.stages().contains(&ProbeStage::Sasl) {
        summary.push_str(", ");
        summary.push_str(config.sasl_mechanism());
    }
    summary.push_str(", acks=");
    summary.push_str(config.acks().as_str());
    summary
}
