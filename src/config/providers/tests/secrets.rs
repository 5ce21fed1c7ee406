use super::*;
use crate::error::BoxError;

/// The value of every key that the provider of these tests has.
const SECRET: &str = "hunter2-secret";

#[expect(clippy::unnecessary_wraps, reason = "the signature of a provider")]
fn secret(_: &str, keys: &[&str]) -> Result<BTreeMap<String, String>, BoxError> {
    Ok(keys.iter().map(|key| pair(key, SECRET)).collect())
}

#[test]
fn a_value_of_a_provider_is_hidden_whatever_its_key() {
    let builder = ProducerConfig::builder()
        .config_provider("vault", secret)
        .set("client.id", "id-${vault:p:k}")
        .set("ssl.key.password", "${vault:p:k}")
        .set("ssl.truststore.location", "/etc/${vault:p:k}")
        .set("interceptor.classes", "a.B,${vault:k}")
        .set("my.key", "${vault:p:k}")
        .set("linger.ms", "5");
    let config = builder.clone().build().unwrap();
    assert_eq!(config.client_id(), format!("id-{SECRET}"));
    let shown = format!(
        "{builder:?} {config:?} {:?} {:?}",
        config.effective(),
        config.plugin_config()
    );
    // Every producer's log lines begin with its client id, which a plug-in's view shows as well.
    let shown = shown.replace(&format!("client_id: \"id-{SECRET}\""), "");
    assert!(!shown.contains(SECRET), "{shown}");
    let of_client_id = config
        .effective()
        .into_iter()
        .find(|it| it.0 == "client.id");
    assert_eq!(of_client_id.unwrap().1, "[hidden]");
    assert_eq!(config.originals()["my.key"], SECRET);
}

#[test]
fn no_error_about_a_key_shows_the_value_of_its_provider() {
    for (key, value) in [
        ("acks", "${vault:k}"),
        ("linger.ms", "${vault:k}"),
        ("security.protocol", "${vault:k}"),
        ("compression.type", "${vault:k}"),
        ("bootstrap.servers", "a:1,${vault:k}:hunter2"),
        ("bootstrap.servers", "[${vault:k}]:1"),
        ("bootstrap.servers", "a:${vault:k}"),
        ("bootstrap.servers", "user@${vault:k}:1"),
        ("partitioner.ignore.keys", "${vault:k}"),
    ] {
        let builder = ProducerConfig::builder().config_provider("vault", secret);
        let error = builder.set(key, value).build().unwrap_err();
        assert_eq!((error.key(), error.value()), (Some(key), None), "{error}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn a_value_that_is_derived_from_one_of_a_provider_is_hidden() {
    let times = |_: &str, keys: &[&str]| -> Result<_, BoxError> {
        Ok(keys.iter().map(|key| pair(key, "4321")).collect())
    };
    let config = ProducerConfig::builder()
        .config_provider("vault", secret)
        .config_provider("times", times)
        .set("transactional.id", "${vault:k}")
        .set("reconnect.backoff.ms", "${times:k}")
        .build()
        .unwrap();
    assert_eq!(config.client_id(), format!("producer-{SECRET}"));
    let shown = format!("{:?} {config:?}", config.effective());
    assert!(
        !shown.contains(SECRET) && !shown.contains("4321"),
        "{shown}"
    );
}

#[test]
fn a_part_of_a_variable_with_invisible_characters_is_not_shown() {
    let nothing = |_: &str, _: &[&str]| -> Result<_, BoxError> { Ok(BTreeMap::new()) };
    for odd in ["hunter2\u{202e}", "hunter2\u{200b}", "hunter2\u{1b}"] {
        let builder = ProducerConfig::builder().config_provider("vault", nothing);
        let builder = builder.set("my.key", format!("${{vault:{odd}:{odd}}}"));
        let error = builder.build().unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_provider_that_fails_or_panics_is_an_error_of_the_configuration_without_secrets() {
    let failing =
        |_: &str, _: &[&str]| -> Result<_, BoxError> { Err("the vault\nis sealed".into()) };
    let leaking = |_: &str, _: &[&str]| -> Result<_, BoxError> { Err("password=hunter2".into()) };
    let panicking = |_: &str, _: &[&str]| -> Result<_, BoxError> { panic!("no vault") };
    let error = ProducerConfig::builder()
        .config_provider("failing", failing)
        .config_provider("leaking", leaking)
        .config_provider("panicking", panicking)
        .set("acks", "${failing:a:b}")
        .set("linger.ms", "${leaking:a:b}")
        .set("retries", "${panicking:a:b}")
        .build()
        .unwrap_err();
    let problems: Vec<_> = error
        .problems()
        .iter()
        .map(|it| (it.key(), it.problem()))
        .collect();
    let expected = [
        (
            Some("acks"),
            "the config provider failing failed: the vault\\nis sealed",
        ),
        (
            Some("linger.ms"),
            "the config provider leaking failed: [hidden]",
        ),
        (
            Some("retries"),
            "the config provider panicking panicked: no vault",
        ),
    ];
    assert_eq!(problems, expected);
}

/// A variable without its brace extends to the next one, over a password.
#[test]
fn a_variable_that_extends_over_other_text_is_not_shown() {
    let nothing = |_: &str, _: &[&str]| -> Result<_, BoxError> { Ok(BTreeMap::new()) };
    for login in [
        "x.Y required username=\"${vault:a:user\" password=\"hunter2}\";",
        "x.Y required username=\"${vault:user\" password=\"hunter2}:b}\";",
        "${vault:a=hunter2:b}",
    ] {
        let builder = ProducerConfig::builder().config_provider("vault", nothing);
        let error = builder.set("sasl.jaas.config", login).build().unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("[hidden]") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
