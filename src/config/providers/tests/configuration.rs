use super::*;
use crate::config::checks::Notice;
use crate::config::given::GivenKeys;
use crate::config::strictness::Strictness;
use crate::config::{Acks, environment, properties};
use crate::error::BoxError;

fn noticed(given: GivenKeys) -> (ProducerConfig, Vec<Notice>) {
    ProducerConfig::check_quietly(given, &Strictness::default()).unwrap()
}

/// Java: AbstractConfigTest#testOriginalsWithConfigProvidersProps,
/// #testAutoConfigResolutionWithMultipleConfigProviders, #testConfigProviderConfigurationWithConfigParams
#[test]
fn providers_are_named_by_javas_classes_and_all_keys_get_their_values() {
    let folder = TestFolder::new("configuration");
    let file = folder.file("app.properties", "acks=1\nservers=a:1,b:2\n");
    let secrets = folder.path("secrets");
    folder.file("secrets/token", "t0ken");
    let allowed = folder.path("");
    let config = config_of(&[
        "config.providers=file, directory,env",
        &format!("config.providers.file.class={CLASSES}.FileConfigProvider"),
        &format!("config.providers.file.param.allowed.paths={allowed}"),
        &format!("config.providers.directory.class={CLASSES}.DirectoryConfigProvider"),
        &format!("config.providers.env.class={CLASSES}.EnvVarConfigProvider"),
        "config.providers.env.param.allowlist.pattern=PATH|HOME",
        &format!("bootstrap.servers=${{file:{file}:servers}},c:3"),
        &format!("acks=${{file:{file}:acks}}"),
        &format!("my.token=${{directory:{secrets}:token}}"),
        "my.path=<${env:PATH}>",
    ]);
    let config = config.unwrap();
    assert_eq!(config.bootstrap_servers(), ["a:1", "b:2", "c:3"]);
    assert_eq!(config.acks(), Acks::Leader);
    assert_eq!(config.originals()["my.token"], "t0ken");
    let path = std::env::var("PATH").unwrap();
    assert_eq!(config.originals()["my.path"], format!("<{path}>"));
    assert_eq!(config.plugin_config().get("my.token"), Some("t0ken"));
    assert_eq!(config.unused_keys(), ["my.path"]);
}

#[test]
fn every_source_of_a_configuration_has_its_variables_replaced() {
    let folder = TestFolder::new("sources");
    let file = folder.file("app.properties", "id=me");
    let entries = [
        pair("config.providers", "file"),
        pair(
            "config.providers.file.class",
            &format!("{CLASSES}.FileConfigProvider"),
        ),
        pair("client.id", &format!("${{file:{file}:id}}")),
    ];
    let lines: Vec<_> = entries
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let properties = folder.file("producer.properties", &lines.join("\n"));
    let builder = entries
        .iter()
        .fold(ProducerConfig::builder(), |builder, (key, value)| {
            builder.set(key, value)
        });
    let variables = entries.iter().map(|(key, value)| {
        let name = environment::variable_of("KAFKA_", key);
        (name.into(), value.into())
    });
    let mut of_environment = GivenKeys::default();
    let read = environment::read("KAFKA_", variables).ok().unwrap();
    of_environment.add_environment("KAFKA_", read);
    for config in [
        ProducerConfig::from_map(entries.clone()).unwrap(),
        ProducerConfig::from_properties_str(&lines.join("\n")).unwrap(),
        ProducerConfig::from_properties_file(properties).unwrap(),
        builder.clone().build().unwrap(),
        builder.strict().build().unwrap(),
        noticed(of_environment).0,
    ] {
        assert_eq!(config.client_id(), "me");
        assert_eq!(config.unused_keys(), [""; 0]);
    }
}

/// Java: AbstractConfigTest#testAutoConfigResolutionWithInvalidConfigProviderClass,
/// #testAutoConfigResolutionWithMissingConfigKey
#[test]
fn all_problems_with_providers_and_values_are_in_one_error_and_none_follows_from_another() {
    let folder = TestFolder::new("problems");
    let file = folder.file("app.properties", "acks=hunter2");
    let error = config_of(&[
        "config.providers=file,nothing,other,limited,a b",
        &format!("config.providers.file.class={CLASSES}.FileConfigProvider"),
        "config.providers.other.class=com.example.Other",
        &format!("config.providers.limited.class={CLASSES}.FileConfigProvider"),
        "config.providers.limited.param.allowed.path=/",
        &format!("acks=${{file:{file}:acks}}"),
        "linger.ms=${file:/0/no-such-file:linger}",
        "batch.size=${file:/0/no-such-file:size}",
        &format!("retries=${{file:{file}:retries}}"),
        // Of providers that could not be made.
        "buffer.memory=${other:x:y}",
        "client.id=${limited:x:y}",
        "max.block.ms=soon",
    ])
    .unwrap_err();
    let problems = error.problems().iter();
    let mut problems: Vec<Vec<_>> = problems.map(|it| it.keys().collect()).collect();
    problems.sort();
    let expected: [&[&str]; 8] = [
        &["acks"],
        &["batch.size", "linger.ms"],
        &["config.providers"],
        &["config.providers.limited.param.allowed.path"],
        &["config.providers.nothing.class"],
        &["config.providers.other.class"],
        &["max.block.ms"],
        &["retries"],
    ];
    assert_eq!(problems, expected, "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("/0/no-such-file: No such file"), "{text}");
    assert!(
        text.contains("ProducerConfigBuilder::config_provider"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

/// Java: AbstractConfigTest#testAutoConfigResolutionWithDuplicateConfigProvider
#[test]
fn a_provider_given_in_code_is_used_instead_of_the_class_of_its_name() {
    let vault = |path: &str, keys: &[&str]| -> Result<_, BoxError> {
        let values = keys.iter().map(|key| pair(key, &format!("{path}-{key}")));
        Ok(values.collect())
    };
    let text = "config.providers=vault\nconfig.providers.vault.class=com.example.Vault\n\
                config.providers.vault.param.uri=x\nclient.id=${vault:a:b}\nmy.key=${other:b}";
    let mut given = GivenKeys::from(properties::parse(text).unwrap());
    given
        .providers
        .insert("vault".to_owned(), std::sync::Arc::new(vault));
    let (config, notices) = noticed(given);
    assert_eq!(config.client_id(), "a-b");
    let [notice] = &notices[..] else {
        panic!("{notices:?}");
    };
    assert!(
        notice.text.contains("config.providers.vault.param.uri"),
        "{notice:?}"
    );
}

#[test]
fn a_variable_that_is_not_replaced_in_a_key_of_this_library_is_warned_of_without_its_text() {
    let class = format!("config.providers.file.class={CLASSES}.FileConfigProvider");
    let lines = [
        "config.providers=file",
        &class,
        "sasl.jaas.config=x y password=\"${hunter2:a}\";",
        "client.id=${",
        "my.key=${date:yyyy}",
    ];
    let given = properties::parse(&lines.join("\n")).unwrap();
    let (_, notices) = noticed(given.into());
    let [notice] = &notices[..] else {
        panic!("{notices:?}");
    };
    assert!(notice.text.ends_with(": sasl.jaas.config"), "{notice:?}");
    assert!(!notice.text.contains("hunter2"), "{notice:?}");
}

#[test]
fn the_parameters_of_a_provider_are_used_as_they_are() {
    let error = config_of(&[
        "config.providers=file,env",
        &format!("config.providers.file.class={CLASSES}.FileConfigProvider"),
        &format!("config.providers.env.class={CLASSES}.EnvVarConfigProvider"),
        "config.providers.file.param.allowed.paths=/${env:PATH}",
    ]);
    let error = error.unwrap_err();
    assert_eq!(error.value(), Some("/${env:PATH}"));
    assert!(error.problem().contains("does not exist"), "{error}");
}

/// A limit of a provider whose name is misspelled would allow everything.
#[test]
fn a_key_of_a_provider_that_is_not_named_is_unused_and_an_error_in_a_strict_configuration() {
    const KEY: &str = "config.providers.fil.param.allowed.paths";
    let builder = ProducerConfig::builder()
        .set("config.providers", "file")
        .set(
            "config.providers.file.class",
            format!("{CLASSES}.FileConfigProvider"),
        )
        .set(KEY, "/");
    let config = builder.clone().build().unwrap();
    assert_eq!(config.unused_keys(), [KEY]);
    let error = builder.strict().build().unwrap_err();
    assert_eq!((error.problems().len(), error.key()), (1, Some(KEY)));
    let of_nothing = ProducerConfig::builder().set("config.providers.file.class", "x.Y");
    assert!(of_nothing.strict().build().is_err());
}

#[test]
fn a_key_of_a_named_provider_that_is_neither_class_nor_parameter_is_an_error() {
    let class = format!("{CLASSES}.FileConfigProvider");
    for wrong in ["allowed.paths", "parm.allowed.paths", "param.", "clas"] {
        let key = format!("config.providers.file.{wrong}");
        let builder = ProducerConfig::builder()
            .set("config.providers", "file, file.two")
            .set("config.providers.file.class", &class)
            .set("config.providers.file.param.allowed.paths", "/")
            // Of a provider whose name begins with that of the first one.
            .set("config.providers.file.two.class", &class)
            .set("config.providers.file.two.param.allowed.paths", "/")
            .set(&key, "/");
        for builder in [builder.clone(), builder.strict()] {
            let error = builder.build().unwrap_err();
            assert_eq!((error.problems().len(), error.key()), (1, Some(&*key)));
        }
    }
}

#[test]
fn a_provider_whose_name_no_variable_can_have_is_an_error() {
    let nothing = |_: &str, _: &[&str]| -> Result<_, BoxError> { Ok(BTreeMap::new()) };
    for name in ["a:b", "a}", "${a}"] {
        let builder = ProducerConfig::builder().config_provider(name, nothing);
        let error = builder.build().unwrap_err();
        assert!(error.problem().contains("no variable can name"), "{error}");
    }
}

#[test]
#[cfg(any(feature = "cli", feature = "testing"))]
fn a_changed_configuration_keeps_the_values_of_providers_and_resolves_nothing_again() {
    let vault = |_: &str, keys: &[&str]| -> Result<_, BoxError> {
        let values = keys.iter().map(|key| pair(key, "${vault:again}"));
        Ok(values.collect())
    };
    let config = ProducerConfig::builder()
        .config_provider("vault", vault)
        .set("config.providers", "vault")
        .set("client.id", "${vault:id}")
        .set("transactional.id", "${vault:id}")
        .set("config.providers.other.class", "x.Y")
        .build()
        .unwrap();
    let changed = config.changed(|keys| {
        keys.insert("transactional.id".to_owned(), "mine".to_owned());
    });
    let changed = changed.unwrap();
    assert_eq!(changed.client_id(), "${vault:again}");
    let shown = format!("{changed:?}");
    assert!(shown.contains("\"client.id\": \"[hidden]\""), "{shown}");
    assert!(shown.contains("\"transactional.id\": \"mine\""), "{shown}");
    assert_eq!(changed.unused_keys(), ["config.providers.other.class"]);
}
