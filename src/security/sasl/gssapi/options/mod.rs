//! The options of `Krb5LoginModule`, the JDK's login module for Kerberos, as far as the Kerberos library has a
//! counterpart. All others are refused, or logged as without effect.

use std::collections::BTreeMap;
use std::fs::File;

use super::environment::{CLIENT_KEYTAB, KerberosEnvironment, TICKET_CACHE, is_same_file, path_of};
use crate::config::Password;
use crate::error::ConfigError;
use crate::security::sasl::jaas::KEY;
use crate::util::log::{self, LogContext};

const SERVICE_NAME: &str = "sasl.kerberos.service.name";

/// The options that are read.
const READ: [&str; 7] = [
    "useKeyTab",
    "keyTab",
    "useTicketCache",
    "ticketCache",
    "principal",
    "serviceName",
    "isInitiator",
];

/// The options without effect, since the library works like that anyway, or has no passwords.
const WITHOUT_EFFECT: [&str; 4] = ["storeKey", "doNotPrompt", "refreshKrb5Config", "clearPass"];

/// The options without the effect that a user may rely on, each with an alternative.
const REPLACED: [(&str, &str); 2] = [
    (
        "renewTGT",
        "tickets in a cache are renewed by the program that put them there, such as k5start; those of a keytab are \
         renewed by the Kerberos library",
    ),
    (
        "debug",
        "the environment variable KRB5_TRACE names a file to which the Kerberos library writes its steps",
    ),
];

/// The options for passwords of other login modules, of which there is none.
const OF_PASSWORDS: [&str; 3] = ["useFirstPass", "tryFirstPass", "storePass"];

/// The validated options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Krb5Login {
    /// The client's principal; `None` for that of the ticket cache, or the first one of the keytab if the cache is
    /// empty.
    pub(super) principal: Option<String>,
    service: Option<String>,
    /// Names in `WITHOUT_EFFECT` and `REPLACED` that are set to true.
    ignored: Vec<String>,
}

impl Krb5Login {
    /// # Errors
    /// The option that is wrong, and how to correct it.
    /// # Kafka
    /// `com.sun.security.auth.module.Krb5LoginModule`. Differs: an unknown option is an error, `principal` may be left
    /// out with a ticket cache, and a file must be the one that the environment names.
    pub(crate) fn of(
        options: &BTreeMap<String, Password>,
        environment: &KerberosEnvironment,
    ) -> Result<Self, ConfigError> {
        let given = |name: &str| options.get(name).map(|value| value.expose().to_owned());
        let is_true =
            |name: &str| given(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        check_names_and_values(options)?;
        check_sources(&is_true, &|name: &str| options.contains_key(name))?;
        if let Some(file) = given("keyTab") {
            check_keytab(&file, environment)?;
        }
        if let Some(file) = given("ticketCache") {
            check_ticket_cache(&file, environment)?;
        }
        if !options.contains_key("principal") && !is_true("useTicketCache") {
            return Err(no_principal());
        }
        let replaced = REPLACED.iter().map(|(name, _)| *name);
        let ignored = WITHOUT_EFFECT.into_iter().chain(replaced);
        Ok(Self {
            principal: given("principal"),
            service: given("serviceName"),
            ignored: ignored
                .filter(|name| is_true(name))
                .map(str::to_owned)
                .collect(),
        })
    }

    /// The service in the brokers' principals, from the option `serviceName` or from `sasl.kerberos.service.name`.
    ///
    /// # Errors
    /// Both are set and differ, or none is.
    /// # Kafka
    /// `KerberosLogin#getServiceName`.
    pub(crate) fn service(&self, of_config: Option<&str>) -> Result<String, ConfigError> {
        let service = match (self.service.as_deref(), of_config) {
            (Some(option), Some(key)) if option != key => {
                return Err(ConfigError::conflict(
                    &[SERVICE_NAME, KEY],
                    format!("the option serviceName of {KEY} and {SERVICE_NAME} differ"),
                    "Remove one of them",
                ));
            }
            (Some(service), _) | (None, Some(service)) => service,
            (None, None) => "",
        };
        let remedy = "Set it to the part of the brokers' principal before the slash: kafka for kafka/HOST@REALM";
        let problem = if service.is_empty() {
            "the key is not set, and neither is the option serviceName of sasl.jaas.config; \
             sasl.mechanism=GSSAPI needs it"
        } else if service.contains(['/', '@', '\0']) {
            "it is not the name of a service, but more"
        } else {
            return Ok(service.to_owned());
        };
        Err(ConfigError::invalid(SERVICE_NAME, None, problem, remedy))
    }

    /// Logs the options without effect.
    pub(crate) fn log_ignored(&self, log: &LogContext) {
        for (name, instead) in REPLACED {
            if self.ignored.iter().any(|ignored| ignored == name) {
                log::warn!(log, "the option {name} of {KEY} has no effect: {instead}");
            }
        }
        if !self.ignored.is_empty() {
            let names = self.ignored.join(", ");
            log::debug!(log, "options of {KEY} without effect: {names}");
        }
    }
}

fn invalid(problem: impl Into<String>, remedy: impl Into<String>) -> ConfigError {
    ConfigError::invalid(KEY, None, problem, remedy)
}

/// Unknown names are not quoted: in a malformed text they may be parts of secrets.
fn check_names_and_values(options: &BTreeMap<String, Password>) -> Result<(), ConfigError> {
    let replaced = REPLACED.iter().map(|(name, _)| *name);
    let known = READ
        .into_iter()
        .chain(WITHOUT_EFFECT)
        .chain(replaced)
        .chain(OF_PASSWORDS);
    let known: Vec<&str> = known.collect();
    for (name, value) in options {
        if !known.contains(&name.as_str()) {
            return Err(invalid(
                "one of its options is not an option of Krb5LoginModule, whose case matters",
                format!("Known are {}", known.join(", ")),
            ));
        }
        let value = value.expose();
        if value.is_empty() || value.contains('\0') {
            let problem = format!("the option {name} is empty, or contains a NUL");
            return Err(invalid(problem, "Set a value, or leave the option out"));
        }
    }
    Ok(())
}

/// Checks that there is a source of tickets, and that options belong to one that is switched on.
fn check_sources(
    is_true: &dyn Fn(&str) -> bool,
    is_given: &dyn Fn(&str) -> bool,
) -> Result<(), ConfigError> {
    if !is_true("useKeyTab") && !is_true("useTicketCache") {
        return Err(invalid(
            "it has neither useKeyTab=true nor useTicketCache=true, and nobody can be asked for a password",
            "Add one of them",
        ));
    }
    for (option, source) in [
        ("keyTab", "useKeyTab"),
        ("ticketCache", "useTicketCache"),
        ("renewTGT", "useTicketCache"),
    ] {
        let is_used = match option {
            "renewTGT" => is_true(option),
            _ => is_given(option),
        };
        if is_used && !is_true(source) {
            return Err(invalid(
                format!("the option {option} needs {source}=true"),
                format!("Add {source}=true, or remove {option}"),
            ));
        }
    }
    if is_given("isInitiator") && !is_true("isInitiator") {
        let problem = "isInitiator=false is for servers: a client needs a ticket";
        return Err(invalid(problem, "Remove the option"));
    }
    if let Some(name) = OF_PASSWORDS.iter().find(|name| is_true(name)) {
        return Err(invalid(
            format!(
                "the option {name} needs a password from another login module, and there is none"
            ),
            "Remove the option, and use a keytab",
        ));
    }
    Ok(())
}

/// Without a principal the library takes that of the default ticket cache before it reads the keytab, so that the
/// tickets of somebody who has called `kinit` would be used.
fn no_principal() -> ConfigError {
    invalid(
        "useKeyTab=true needs the option principal: without it the Kerberos library takes any tickets in the default \
         ticket cache instead of the keytab",
        "Add principal=\"NAME@REALM\", as in the keytab; or useTicketCache=true, if such tickets are to be used",
    )
}

fn check_keytab(file: &str, environment: &KerberosEnvironment) -> Result<(), ConfigError> {
    let variable = environment.client_keytab.as_deref();
    if !is_same_file(variable, file) {
        return Err(invalid(
            not_chosen("keyTab", CLIENT_KEYTAB, variable.is_some()),
            format!(
                "Start the program with the environment variable {CLIENT_KEYTAB}=FILE:PATH, with the path of keyTab; \
                 or remove keyTab, and set default_client_keytab_name in krb5.conf"
            ),
        ));
    }
    File::open(path_of(file)).map(drop).map_err(|error| {
        invalid(
            format!("the file of the option keyTab cannot be read: {error}"),
            "Correct the path, or the file's permissions",
        )
    })
}

fn check_ticket_cache(file: &str, environment: &KerberosEnvironment) -> Result<(), ConfigError> {
    let variable = environment.ticket_cache.as_deref();
    if is_same_file(variable, file) {
        return Ok(());
    }
    Err(invalid(
        not_chosen("ticketCache", TICKET_CACHE, variable.is_some()),
        format!(
            "Start the program with the environment variable {TICKET_CACHE}=FILE:PATH, with the path of ticketCache; \
             or remove ticketCache, and set default_ccache_name in krb5.conf"
        ),
    ))
}

fn not_chosen(option: &str, variable: &str, is_set: bool) -> String {
    let state = if is_set {
        "names another file"
    } else {
        "is not set"
    };
    format!(
        "the Kerberos library would not use the file of the option {option}: it takes the name from the environment \
         variable {variable}, which {state}"
    )
}

#[cfg(test)]
mod tests;
