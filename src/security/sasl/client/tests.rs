use std::sync::Arc;

use super::super::dependencies::{Wake, random_of_seed};
use super::super::mechanism::MechanismStep;
use super::super::token::OAuthBearerToken;
use super::*;
use crate::clock::Clock;
use crate::clock::mock::MockClock;
use crate::util::log::LogContext;

const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";
const OAUTH: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";
const LOGIN: &str = "required username=\"alice\" password=\"hunter2\"";

fn dependencies() -> SaslDependencies {
    SaslDependencies {
        run: Arc::new(|work| {
            work();
            Ok(())
        }),
        wake: Arc::new(Wake::default()),
        random: random_of_seed(1),
        clock: Arc::new(MockClock::new()),
        log: LogContext::for_tests(),
        seed: 0,
    }
}

fn client_with(
    entries: &[(&str, &str)],
    tokens: Option<FetchToken>,
) -> Result<SaslClient, ConfigError> {
    let builder = ProducerConfig::builder().set("security.protocol", "SASL_PLAINTEXT");
    let builder = entries
        .iter()
        .fold(builder, |builder, (key, value)| builder.set(*key, *value));
    let parts = SecurityParts::with_tokens(tokens);
    SaslClient::from_config(&builder.build().unwrap(), parts, dependencies())
}

fn client(mechanism: &str, jaas: &str) -> Result<SaslClient, ConfigError> {
    client_with(
        &[("sasl.mechanism", mechanism), ("sasl.jaas.config", jaas)],
        None,
    )
}

/// The first token of an exchange.
fn first(client: &SaslClient) -> String {
    // The same time as on the clock of `dependencies`, which the lifetimes of tokens are measured with.
    match client
        .start(&"broker".into())
        .proceed(MockClock::new().now())
    {
        Ok(MechanismStep::Send(token)) => String::from_utf8_lossy(token.expose()).into_owned(),
        other => panic!("{other:?}"),
    }
}

/// Amazon MSK's documentation has the login in a JVM login file, separate from the properties.
#[test]
fn a_login_in_a_file_for_the_jvm_is_an_error_that_names_sasl_jaas_config() {
    let error = client_with(&[("sasl.mechanism", "PLAIN")], None).unwrap_err();
    assert_eq!(error.key(), Some("sasl.jaas.config"));
    assert!(
        error.remedy().contains("java.security.auth.login.config"),
        "{error}"
    );
}

#[test]
fn each_mechanism_has_its_login_module() {
    let plain = client("PLAIN", &format!("{PLAIN} {LOGIN};")).unwrap();
    assert_eq!(first(&plain), "\0alice\0hunter2");
    assert_eq!(plain.poll(Instant::ORIGIN), Deadline::Never);
    #[cfg(feature = "sasl-scram")]
    for (mechanism, extension) in [("SCRAM-SHA-256", ""), ("SCRAM-SHA-512", ",tokenauth=true")] {
        let token = if extension.is_empty() {
            ""
        } else {
            "tokenauth=TRUE"
        };
        let scram = client(mechanism, &format!("{SCRAM} {LOGIN} {token};")).unwrap();
        let message = first(&scram);
        assert!(
            message.starts_with("n,,n=alice,r=") && message.ends_with(extension),
            "{message}"
        );
        assert_ne!(
            first(&scram),
            message,
            "each exchange has a nonce of its own"
        );
    }
    let jaas = format!("{OAUTH} required unsecuredLoginStringClaim_sub=alice;");
    let token = client("OAUTHBEARER", &jaas).unwrap();
    assert!(first(&token).starts_with("n,,\u{1}auth=Bearer eyJ"));
}

#[test]
fn a_token_provider_needs_no_login_and_takes_precedence_over_a_class() {
    let fetch: FetchToken = Arc::new(|| {
        Ok(OAuthBearerToken::new(
            "t",
            std::time::Duration::from_secs(60),
        ))
    });
    let entries = [
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.login.callback.handler.class", "com.example.Handler"),
    ];
    let with = client_with(&entries, Some(fetch)).unwrap();
    assert_eq!(first(&with), "n,,\u{1}auth=Bearer t\u{1}\u{1}");
    let without = client_with(&entries, None).unwrap_err();
    assert_eq!(without.key(), Some("sasl.login.callback.handler.class"));
    assert!(without.remedy().contains("token_provider"), "{without}");
    let bare = client("OAUTHBEARER", &format!("{OAUTH} required;")).unwrap_err();
    assert!(bare.to_string().contains("TokenProvider"), "{bare}");
}

#[test]
fn an_invalid_login_error_names_the_key_and_no_secret() {
    let other = "com.example.OtherLoginModule";
    let kerberos = "com.sun.security.auth.module.Krb5LoginModule";
    let iam = "software.amazon.msk.auth.iam.IAMLoginModule";
    for (mechanism, jaas, key, expected) in [
        #[cfg(not(feature = "gssapi"))]
        (
            "GSSAPI",
            format!("{kerberos} required;"),
            "sasl.mechanism",
            "Kerberos needs the feature `gssapi`",
        ),
        #[cfg(feature = "gssapi")]
        (
            "GSSAPI",
            format!("{kerberos} required;"),
            "sasl.jaas.config",
            "neither useKeyTab=true nor useTicketCache=true",
        ),
        #[cfg(feature = "gssapi")]
        (
            "GSSAPI",
            format!("{kerberos} required useTicketCache=true;"),
            "sasl.kerberos.service.name",
            "is not set",
        ),
        #[cfg(feature = "gssapi")]
        (
            "GSSAPI",
            "com.ibm.security.auth.module.Krb5LoginModule required useKeytab=x;".to_owned(),
            "sasl.jaas.config",
            "com.sun.security.auth.module.Krb5LoginModule",
        ),
        (
            "plain",
            format!("{PLAIN} {LOGIN};"),
            "sasl.mechanism",
            "PLAIN",
        ),
        (
            "PLAIN",
            format!("{kerberos} {LOGIN};"),
            "sasl.jaas.config",
            if cfg!(feature = "gssapi") {
                "sasl.mechanism=PLAIN needs"
            } else {
                "GSSAPI (Kerberos) needs the feature `gssapi`"
            },
        ),
        (
            "PLAIN",
            format!("{iam} {LOGIN};"),
            "sasl.jaas.config",
            "OAUTHBEARER",
        ),
        (
            "PLAIN",
            format!("{other} {LOGIN};"),
            "sasl.jaas.config",
            other,
        ),
        (
            "AWS_MSK_IAM",
            format!("{iam} required;"),
            "sasl.mechanism",
            "IAMOAuthBearerLoginCallbackHandler",
        ),
        (
            "PLAIN",
            "hunter2 required;".to_owned(),
            "sasl.jaas.config",
            PLAIN,
        ),
        (
            "PLAIN",
            format!("PlainLoginModule {LOGIN};"),
            "sasl.jaas.config",
            "it names no supported login module",
        ),
        (
            "PLAIN",
            "hunter2".to_owned(),
            "sasl.jaas.config",
            "control flag",
        ),
        (
            "PLAIN",
            format!("{SCRAM} {LOGIN};"),
            "sasl.jaas.config",
            "needs",
        ),
        (
            "PLAIN",
            format!("{PLAIN} {LOGIN}; {PLAIN} {LOGIN};"),
            "sasl.jaas.config",
            "2 login modules",
        ),
        (
            "PLAIN",
            format!("{PLAIN} required password=hunter2;"),
            "sasl.jaas.config",
            "username",
        ),
        (
            "PLAIN",
            format!("{PLAIN} required username=hunter2;"),
            "sasl.jaas.config",
            "password",
        ),
        (
            "PLAIN",
            format!("{PLAIN} required username=a password='hunter2\\0';"),
            "sasl.jaas.config",
            "NUL",
        ),
        (
            "OAUTHBEARER",
            format!("{OAUTH} {LOGIN};"),
            "sasl.jaas.config",
            "options is not known",
        ),
    ] {
        let error = client(mechanism, &jaas).unwrap_err();
        assert_eq!(error.key(), Some(key), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(expected), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let unset = client_with(&[("sasl.mechanism", "PLAIN")], None).unwrap_err();
    assert_eq!(unset.key(), Some("sasl.jaas.config"));
    assert!(unset.remedy().contains("sasl_plain"), "{unset}");
}

#[test]
fn kafkas_default_classes_are_accepted() {
    let jaas = format!("{PLAIN} {LOGIN};");
    for (key, class, is_own) in [
        ("sasl.login.class", OWN_LOGINS[0], true),
        ("sasl.login.class", "com.example.Login", false),
        (
            "sasl.client.callback.handler.class",
            OWN_CLIENT_HANDLERS[0],
            true,
        ),
        (
            "sasl.client.callback.handler.class",
            "com.example.Handler",
            false,
        ),
        (
            "sasl.login.callback.handler.class",
            "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredLoginCallbackHandler",
            true,
        ),
    ] {
        let entries = [
            ("sasl.mechanism", "PLAIN"),
            ("sasl.jaas.config", &*jaas),
            (key, class),
        ];
        match client_with(&entries, None) {
            Ok(_) => assert!(is_own, "{class}"),
            Err(error) => {
                assert!(!is_own && error.is_not_built(), "{error}");
                assert_eq!(error.key(), Some(key));
            }
        }
    }
}

#[cfg(feature = "gssapi")]
#[test]
fn kerberos_needs_the_name_of_the_service_once() {
    let module = "com.sun.security.auth.module.Krb5LoginModule required useTicketCache=true";
    for (jaas, service, is_right) in [
        (format!("{module};"), "kafka", true),
        (format!("{module} serviceName=kafka;"), "kafka", true),
        (format!("{module} serviceName=broker;"), "kafka", false),
    ] {
        // GSSAPI is the default of sasl.mechanism.
        let entries = [
            ("sasl.jaas.config", &*jaas),
            ("sasl.kerberos.service.name", service),
            (
                "sasl.login.class",
                "org.apache.kafka.common.security.kerberos.KerberosLogin",
            ),
        ];
        match client_with(&entries, None) {
            Ok(client) => assert_eq!((client.mechanism(), is_right), (Mechanism::Gssapi, true)),
            Err(error) => assert!(!is_right && error.to_string().contains("differ"), "{error}"),
        }
    }
}

#[test]
fn a_client_prints_no_secret() {
    let plain = client("PLAIN", &format!("{PLAIN} {LOGIN};")).unwrap();
    assert!(!format!("{plain:?}").contains("hunter2"));
}

#[cfg(not(feature = "oidc"))]
#[test]
fn a_login_handler_whose_feature_is_off_is_an_error_that_names_the_feature() {
    for package in ["", "secured."] {
        let class = format!(
            "org.apache.kafka.common.security.oauthbearer.{package}OAuthBearerLoginCallbackHandler"
        );
        let entries = [
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.login.callback.handler.class", class.as_str()),
        ];
        let error = client_with(&entries, None).unwrap_err();
        assert_eq!(error.key(), Some("sasl.login.callback.handler.class"));
        assert!(error.problem().contains("`oidc`"), "{error}");
    }
}

#[test]
fn options_of_a_login_handler_without_its_class_are_an_error_that_names_the_class() {
    for (option, class) in [
        ("clientId=a", "OAuthBearerLoginCallbackHandler"),
        ("awsRegion=eu-central-1", MSK_IAM),
    ] {
        let error = client("OAUTHBEARER", &format!("{OAUTH} required {option};")).unwrap_err();
        assert_eq!(error.key(), Some("sasl.jaas.config"), "{error}");
        assert!(error.remedy().contains(class), "{error}");
    }
}

const MSK_IAM: &str = "software.amazon.msk.auth.iam.IAMOAuthBearerLoginCallbackHandler";

#[cfg(not(feature = "msk-iam"))]
#[test]
fn the_login_handler_of_amazon_msk_needs_its_feature() {
    let entries = [
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.login.callback.handler.class", MSK_IAM),
    ];
    let error = client_with(&entries, None).unwrap_err();
    assert_eq!(error.key(), Some("sasl.login.callback.handler.class"));
    assert!(error.problem().contains("`msk-iam`"), "{error}");
}

/// Amazon's documentation names its class in two keys.
#[cfg(feature = "msk-iam")]
#[test]
fn the_login_handler_of_amazon_msk_takes_its_options() {
    let with = |mechanism: &str, jaas: &str| {
        let entries = [
            ("sasl.mechanism", mechanism),
            ("sasl.jaas.config", jaas),
            ("sasl.login.callback.handler.class", MSK_IAM),
            ("sasl.client.callback.handler.class", MSK_IAM),
        ];
        client_with(&entries, None)
    };
    for options in ["", "awsRegion=eu-central-1 awsProfileName=\"a b\""] {
        assert!(with("OAUTHBEARER", &format!("{OAUTH} required {options};")).is_ok());
    }
    let unset = [
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.login.callback.handler.class", MSK_IAM),
    ];
    assert!(client_with(&unset, None).is_ok());
    for (mechanism, jaas, key, expected) in [
        (
            "OAUTHBEARER",
            format!("{OAUTH} required hunter2=x;"),
            "sasl.jaas.config",
            "awsRoleArn",
        ),
        (
            "OAUTHBEARER",
            format!("{PLAIN} {LOGIN};"),
            "sasl.jaas.config",
            "OAuthBearerLoginModule",
        ),
        (
            "PLAIN",
            format!("{PLAIN} {LOGIN};"),
            "sasl.login.callback.handler.class",
            "OAUTHBEARER",
        ),
    ] {
        let error = with(mechanism, &jaas).unwrap_err();
        assert_eq!(error.key(), Some(key), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains(expected) && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
