//! The step of the configuration.

use std::process::Command;
use std::time::Duration;

use kafka_producer::testing::{Api, Rule, TestCluster};

use super::{PROGRAM, assert_says, document, run, run_on};
use crate::command_lines::assert_printable;
use crate::support::TempFile;

#[test]
fn all_problems_of_the_configuration_are_reported_at_once() {
    let file = TempFile::new(
        "check-bad.properties",
        b"bootstrap.servers=127.0.0.1:1\nacks=7\nlinger.ms=soon\nliger.ms=5\n",
    );
    let ended = run(&["--producer.config", file.name()]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_says(
        &ended,
        &[
            "acks=\"7\"",
            "linger.ms=\"soon\"",
            "liger.ms is no key of a producer",
            "Did you mean linger.ms?",
            "1 step failed.",
        ],
    );
    assert!(!ended.stdout.contains("TCP"), "{}", ended.stdout);
}

#[test]
fn an_unknown_key_fails_if_it_resembles_another_and_the_other_steps_are_run() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let ended = run_on(&cluster, &["--producer-property", "liger.ms=5"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_says(
        &ended,
        &["Did you mean linger.ms?", "metadata ok", "1 step failed."],
    );
    let ended = run_on(&cluster, &["--producer-property", "schema.registry.url=x"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_says(
        &ended,
        &[
            "schema.registry.url is no key of a producer",
            "unless a plug-in reads it",
            "All is well, 1 step with a warning.",
        ],
    );
}

#[test]
fn later_sources_override_earlier_ones() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let file = TempFile::new(
        "check-sources.properties",
        b"bootstrap.servers=127.0.0.1:1\nacks=0\nclient.id=of-file\n",
    );
    let servers = cluster.bootstrap_servers();
    let run = |of_environment: &str, further: &[&str]| {
        let output = Command::new(PROGRAM)
            .args(["--producer.config", file.name(), "--from-env", "CHECKED_"])
            .args(["--topic", "t", "--send", "--json"])
            .args(further)
            .env("CHECKED_BOOTSTRAP_SERVERS", of_environment)
            .env("CHECKED_ACKS", "1")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        text
    };
    let text = run(&servers, &[]);
    assert!(text.contains("acks=1"), "{text}");
    let properties = [
        "--bootstrap-server",
        &servers,
        "--producer-property",
        "bootstrap.servers=127.0.0.1:1",
        "--producer-property",
        "acks=all",
    ];
    let text = run("127.0.0.1:1", &properties);
    assert!(text.contains("acks=all"), "{text}");
    assert_eq!(cluster.record_count("t"), 2);
}

/// An unknown key of one letter is not in every warning with that letter.
#[test]
fn a_warning_of_the_library_is_shown_beside_an_unknown_key() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let properties = |unknown: &'static str| {
        let warned = "delivery.timeout.ms=1";
        [
            "--producer-property",
            warned,
            "--producer-property",
            unknown,
        ]
    };
    let ended = run_on(&cluster, &properties("e=1"));
    assert_says(&ended, &["e is no key of a producer"]);
    let warnings =
        |ended: &crate::support::Ended| ended.stdout.matches("delivery.timeout.ms").count();
    let alone = run_on(&cluster, &properties("schema.registry.url=x"));
    assert!(warnings(&alone) > 0, "{alone:?}");
    assert_eq!(warnings(&ended), warnings(&alone), "{ended:?}");
}

#[test]
fn a_key_that_has_no_effect_with_the_others_is_warned_of() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    for (property, hint) in [
        ("ssl.truststore.location=/x", "SSL or SASL_SSL"),
        ("sasl.mechanism=PLAIN", "SASL_SSL or SASL_PLAINTEXT"),
        ("compression.zstd.level=3", "leave it out"),
    ] {
        let ended = run_on(&cluster, &["--producer-property", property]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let (key, _) = property.split_once('=').unwrap();
        let warning = format!("{key} has no effect with the other keys");
        assert_says(
            &ended,
            &[&warning, hint, "All is well, 1 step with a warning."],
        );
    }
}

#[test]
fn a_key_of_a_config_provider_that_is_not_named_is_warned_of() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let key = "config.providers.fil.param.allowed.paths";
    let property = format!("{key}=/");
    let ended = run_on(&cluster, &["--producer-property", &property]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let warning = format!("{key}: config.providers names no provider with this key");
    assert_says(&ended, &[&warning, "Check the name of the provider"]);
}

#[test]
fn canonical_names_are_warned_of_since_they_are_not_checked() {
    let cluster = TestCluster::builder().start().unwrap();
    let canonical = "client.dns.lookup=resolve_canonical_bootstrap_servers_only";
    let ended = run_on(&cluster, &["--producer-property", canonical]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_says(&ended, &[canonical, "All is well, 1 step with a warning."]);
}

#[test]
fn a_missing_file_and_missing_servers_are_failures_of_the_configuration() {
    let ended = run(&["--producer.config", "/no/such/file"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_says(&ended, &["/no/such/file"]);
    let (code, document) = document(&["--producer-property", "acks=all"]);
    assert_eq!(code, Some(1));
    let change = &document["steps"][0]["problems"][0]["change"][0];
    assert_eq!(change["key"], "bootstrap.servers");
    assert_eq!(change["where"], "client");
}

/// The transactional id of the service must not be used: its producer would be fenced.
#[test]
fn plug_ins_and_the_transactional_id_of_the_service_are_not_used() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let file = TempFile::new(
        "check-service.properties",
        b"transactional.id=service-1\ninterceptor.classes=com.example.Audit\n\
          key.serializer=com.example.Mine\nvalue.serializer=com.example.Mine\n\
          partitioner.class=com.example.Mine\nlinger.ms=60000\ndelivery.timeout.ms=600000\n",
    );
    let arguments = ["--producer.config", file.name(), "--topic", "t", "--send"];
    let registered = [
        "--registered-class",
        "com.example.Audit",
        "--registered-class",
        "com.example.Mine",
    ];
    let ended = run_on(&cluster, &[&arguments[..], &registered].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(cluster.record_count("t"), 1);
    assert!(cluster.transaction("service-1").is_none());
    assert_says(&ended, &["transactions are not checked"]);
}

#[test]
fn secrets_are_in_no_output() {
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .sasl_user("alice", "s3cret-of-alice")
        .start()
        .unwrap();
    let login = |password: &str| {
        format!(
            "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
             username=\"alice\" password=\"{password}\";"
        )
    };
    let good = login("s3cret-of-alice");
    let wrong = login("s3cret-and-wrong");
    let misspelled = good.replace("sasl.jaas.config", "sasl.jaas.confg");
    let broken = good.replace("required", "perhaps");
    let misplaced = good.replace("sasl.jaas.config=", "acks=");
    for (property, code) in [
        (&good, 0),
        (&wrong, 1),
        (&misspelled, 1),
        (&broken, 1),
        (&misplaced, 1),
    ] {
        let arguments = [
            "--producer-property",
            "security.protocol=SASL_PLAINTEXT",
            "--producer-property",
            "sasl.mechanism=PLAIN",
            "--producer-property",
            property,
            "--topic",
            "t",
            "--send",
        ];
        for further in [&[][..], &["--json"]] {
            let servers = cluster.bootstrap_servers();
            let arguments = [&arguments[..], &["--bootstrap-server", &servers], further].concat();
            let ended = crate::support::run(PROGRAM, &arguments);
            assert_eq!(ended.code, Some(code), "{ended:?}");
            let shown = format!("{}{}", ended.stdout, ended.stderr);
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}

/// The record is sent by a producer with other keys, which must not request the secrets again.
#[test]
fn secrets_of_a_config_provider_and_a_password_on_a_line_of_its_own_are_in_no_output() {
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .sasl_user("alice", "s3cret-of-alice")
        .start()
        .unwrap();
    let secrets = TempFile::new("check-secrets", b"password=s3cret-of-alice\nacks=s3cret\n");
    let common = format!(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nconfig.providers=file\n\
         config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider\n\
         sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=alice \
         password=\"${{file:{}:password}}\";\n",
        secrets.name()
    );
    let wrong = format!("{common}acks=${{file:{}:acks}}\n", secrets.name());
    for (text, code, said) in [
        (common.clone(), 0, "All is well"),
        (
            format!("{common}s3cret!on-its-own\n"),
            0,
            "line 6 of the properties",
        ),
        (wrong, 1, "acks: there is no such value"),
    ] {
        let file = TempFile::new("check-provider.properties", text.as_bytes());
        let arguments = ["--producer.config", file.name(), "--topic", "t", "--send"];
        let ended = run_on(&cluster, &arguments);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_says(&ended, &[said]);
        let shown = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn a_prefix_of_no_environment_variable_is_warned_of() {
    let cluster = TestCluster::builder().start().unwrap();
    let ended = run_on(&cluster, &["--from-env", "NO_SUCH_PREFIX_"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = "no environment variable begins with NO_SUCH_PREFIX_, the prefix of --from-env";
    assert_says(&ended, &[text]);
}

#[test]
fn an_unknown_environment_variable_is_reported_with_the_one_that_was_meant() {
    let mut check = Command::new(PROGRAM);
    check.env("CHECKED_LINGER", "5");
    check.args([
        "--from-env",
        "CHECKED_",
        "--bootstrap-server",
        "127.0.0.1:1",
    ]);
    let ended = check.output().unwrap();
    let stdout = String::from_utf8(ended.stdout).unwrap();
    assert!(
        stdout.contains("Did you mean CHECKED_LINGER_MS?"),
        "{stdout}"
    );
}

/// A producer with such a class cannot be built, unless the application registers it.
#[test]
fn a_class_that_the_builder_does_not_know_is_a_failure_and_the_other_steps_are_run() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    for key in [
        "interceptor.classes",
        "metric.reporters",
        "partitioner.class",
        "key.serializer",
        "value.serializer",
    ] {
        let property = format!("{key}=com.foo.Bar");
        let arguments = ["--producer-property", &property];
        let ended = run_on(&cluster, &arguments);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let named = format!("{key}=\"com.foo.Bar\"");
        assert_says(
            &ended,
            &[
                &named,
                "--registered-class",
                "metadata ok",
                "1 step failed.",
            ],
        );
        let registered = ["--registered-class", "com.foo.Bar"];
        let ended = run_on(&cluster, &[&arguments[..], &registered].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn a_limit_that_no_record_satisfies_is_a_failure_without_a_record_too() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let property = ["--producer-property", "max.request.size=10"];
    let ended = run_on(&cluster, &property);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let texts = [
        "max.request.size=10: no record can be sent",
        "max.request.size (client)",
    ];
    assert_says(&ended, &texts);
}

#[test]
fn a_record_has_the_time_limits_of_the_configuration_if_they_are_shorter() {
    let send = ["--topic", "t", "--send", "--timeout-ms", "20000"];
    let slow = |api: Api| {
        let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
        let slow = Rule::on(api).delay(Duration::from_millis(500));
        cluster.script(slow.always()).unwrap();
        cluster
    };
    let property = ["--producer-property", "max.block.ms=50"];
    let ended = run_on(&slow(Api::Metadata), &[&send[..], &property].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_says(&ended, &["(50 ms)", "max.block.ms (client): above 50"]);
    let properties = [
        "--producer-property",
        "delivery.timeout.ms=200",
        "--producer-property",
        "request.timeout.ms=100",
    ];
    let ended = run_on(&slow(Api::Produce), &[&send[..], &properties].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_says(&ended, &["delivery.timeout.ms (client): above 200"]);
}

#[test]
fn control_characters_of_names_are_escaped_or_the_name_is_hidden() {
    let cluster = TestCluster::builder().start().unwrap();
    let ended = run_on(
        &cluster,
        &[
            "--topic",
            "a\u{1b}[31mb",
            "--producer-property",
            "c\u{9b}d=1",
        ],
    );
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_printable(&ended);
    assert_says(&ended, &["a\\u{1b}[31mb", "an unknown key is not shown"]);
}
