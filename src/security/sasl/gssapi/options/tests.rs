use std::ffi::OsString;

use super::*;

/// A file that can be read, in place of a keytab.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

fn read(
    options: &[(&str, &str)],
    environment: &KerberosEnvironment,
) -> Result<Krb5Login, ConfigError> {
    let options = options
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Password::new(*value)))
        .collect();
    Krb5Login::of(&options, environment)
}

fn environment(client_keytab: Option<&str>, ticket_cache: Option<&str>) -> KerberosEnvironment {
    KerberosEnvironment {
        client_keytab: client_keytab.map(OsString::from),
        ticket_cache: ticket_cache.map(OsString::from),
    }
}

#[test]
fn a_keytab_that_the_environment_names_is_used() {
    let named = format!("FILE:{FILE}");
    for variable in [FILE, &*named] {
        let login = read(
            &[
                ("useKeyTab", "true"),
                ("storeKey", "true"),
                ("keyTab", FILE),
                ("principal", "orders@EXAMPLE.COM"),
                ("serviceName", "kafka"),
            ],
            &environment(Some(variable), None),
        );
        let login = login.unwrap();
        assert_eq!(login.principal.as_deref(), Some("orders@EXAMPLE.COM"));
        assert_eq!(login.service(None).unwrap(), "kafka");
        assert_eq!(login.ignored, ["storeKey"]);
    }
}

#[test]
fn a_keytab_that_the_environment_does_not_name_is_refused() {
    let options = [("useKeyTab", "true"), ("keyTab", FILE)];
    for (variable, words) in [
        (None, "KRB5_CLIENT_KTNAME, which is not set"),
        (Some("FILE:/etc/krb5.keytab"), "names another file"),
    ] {
        let error = read(&options, &environment(variable, None)).unwrap_err();
        assert_eq!(error.key(), Some("sasl.jaas.config"));
        assert!(error.to_string().contains(words), "{error}");
        assert!(
            error.remedy().contains("KRB5_CLIENT_KTNAME=FILE:PATH"),
            "{error}"
        );
        assert!(!error.to_string().contains(FILE), "no value is quoted");
    }
}

#[test]
fn a_keytab_that_cannot_be_read_is_refused() {
    let missing = "/nowhere/orders.keytab";
    let error = read(
        &[("useKeyTab", "true"), ("keyTab", missing)],
        &environment(Some(missing), None),
    )
    .unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

/// The library then takes the keytab from `krb5.conf`.
#[test]
fn files_may_be_left_out() {
    for source in ["useKeyTab", "useTicketCache"] {
        let options = [(source, "TRUE"), ("principal", "orders")];
        let login = read(&options, &KerberosEnvironment::default()).unwrap();
        assert_eq!(login.principal.as_deref(), Some("orders"));
    }
}

/// Without one, the library prefers the default ticket cache to the keytab.
#[test]
fn the_principal_may_be_left_out_only_with_a_ticket_cache() {
    let none = KerberosEnvironment::default();
    for options in [
        &[("useTicketCache", "true")][..],
        &[("useTicketCache", "true"), ("useKeyTab", "true")],
    ] {
        assert_eq!(read(options, &none).unwrap(), Krb5Login::default());
    }
    for options in [
        &[("useKeyTab", "true")][..],
        &[("useKeyTab", "true"), ("keyTab", FILE)],
        &[("useKeyTab", "true"), ("useTicketCache", "false")],
    ] {
        let error = read(options, &environment(Some(FILE), None)).unwrap_err();
        assert!(
            error.to_string().contains("needs the option principal"),
            "{error}"
        );
        assert!(error.remedy().contains("useTicketCache=true"), "{error}");
    }
}

#[test]
fn a_ticket_cache_is_that_of_the_environment() {
    let options = [("useTicketCache", "true"), ("ticketCache", "/tmp/orders")];
    let set = environment(None, Some("FILE:/tmp/orders"));
    assert!(read(&options, &set).is_ok());
    for other in [None, Some("MEMORY:"), Some("/tmp/krb5cc_0")] {
        let error = read(&options, &environment(None, other)).unwrap_err();
        assert!(error.remedy().contains("KRB5CCNAME=FILE:PATH"), "{error}");
    }
}

#[test]
fn options_that_cannot_have_their_effect_are_refused_by_name() {
    for (options, words) in [
        (
            &[("principal", "a@B")][..],
            "neither useKeyTab=true nor useTicketCache=true",
        ),
        (&[("useKeyTab", "yes")], "neither useKeyTab=true"),
        (
            &[("useTicketCache", "true"), ("keyTab", FILE)],
            "keyTab needs useKeyTab=true",
        ),
        (
            &[("useKeyTab", "true"), ("ticketCache", FILE)],
            "ticketCache needs useTicketCache=true",
        ),
        (
            &[("useKeyTab", "true"), ("renewTGT", "true")],
            "renewTGT needs useTicketCache=true",
        ),
        (
            &[("useKeyTab", "true"), ("isInitiator", "false")],
            "isInitiator",
        ),
        (
            &[("useKeyTab", "true"), ("useFirstPass", "true")],
            "useFirstPass",
        ),
        (
            &[("useKeyTab", "true"), ("tryFirstPass", "true")],
            "tryFirstPass",
        ),
        (&[("useKeyTab", "true"), ("storePass", "true")], "storePass"),
        (
            &[("useKeyTab", "true"), ("principal", "")],
            "principal is empty",
        ),
        (
            &[("useKeyTab", "true"), ("principal", "a\0@B")],
            "contains a NUL",
        ),
        // The case matters: Java ignores this option, and takes another keytab.
        (
            &[("useKeyTab", "true"), ("keytab", "hunter2")],
            "not an option of Krb5LoginModule",
        ),
    ] {
        let error = read(options, &environment(Some(FILE), None)).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(words), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn options_without_effect_are_accepted_and_known_by_name() {
    let login = read(
        &[
            ("useTicketCache", "true"),
            ("renewTGT", "true"),
            ("debug", "true"),
            ("doNotPrompt", "true"),
            ("refreshKrb5Config", "true"),
            ("clearPass", "false"),
            ("useFirstPass", "false"),
            ("isInitiator", "true"),
        ],
        &KerberosEnvironment::default(),
    );
    let login = login.unwrap();
    login.log_ignored(&LogContext::for_tests());
    assert_eq!(
        login.ignored,
        ["doNotPrompt", "refreshKrb5Config", "renewTGT", "debug"]
    );
}

/// As in Kafka's `KerberosLogin#getServiceName`.
#[test]
fn the_service_is_named_once_or_twice_alike() {
    let with = |option: Option<&str>| Krb5Login {
        service: option.map(str::to_owned),
        ..Krb5Login::default()
    };
    for (option, key) in [
        (Some("kafka"), None),
        (None, Some("kafka")),
        (Some("kafka"), Some("kafka")),
    ] {
        assert_eq!(with(option).service(key).unwrap(), "kafka");
    }
    for (option, key, words) in [
        (Some("kafka"), Some("broker"), "differ"),
        (None, None, "is not set"),
        (None, Some(""), "is not set"),
        (None, Some("kafka/host@REALM"), "not the name of a service"),
    ] {
        let error = with(option).service(key).unwrap_err();
        assert_eq!(error.key(), Some("sasl.kerberos.service.name"));
        assert!(error.to_string().contains(words), "{error}");
    }
}
