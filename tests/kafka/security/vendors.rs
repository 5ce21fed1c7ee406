//! Properties of Java clients as published by vendors of Kafka, with only their placeholders replaced.
//!
//! Confluent and Event Hubs have certificates of public authorities, so their files name no trust store: the test
//! replaces the system's trust store by `SSL_CERT_FILE`, which needs a process of its own. Amazon's file names a copy
//! of Java's `cacerts`, which in Java 18 and later is a PKCS12 store without a password. Aiven has its own authority,
//! and the stores are created with the commands of its documentation. In a build without the feature `pkcs12` the
//! vendors with a store are skipped. Settings that are not in a vendor's file are appended: Amazon, and Aiven for
//! certificates, pass the brokers to Kafka's tools as an argument. Amazon's login is in a file that a JVM reads
//! (`java.security.auth.login.config`): the text between the braces of that file is used as `sasl.jaas.config`, with
//! only its placeholders replaced.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::rig::{EVENT_HUBS_PASSWORD, EVENT_HUBS_USER, Mechanism, PASSWORD, Rig, USER, Wire, rig};
use crate::runner::{TestResult, tests};

tests![files_of_four_vendors_work_unchanged];

const OURS: &str = env!("CARGO_BIN_EXE_kafka-producer-perf-test");
const RECORDS: usize = 10_000;

const STORE_PASSWORD: &str = "changeit";

struct Vendor {
    name: &'static str,
    file: &'static str,
    mechanism: Mechanism,
    wire: Wire,
    placeholders: &'static [(&'static str, Value)],
    /// Settings that are not in the file, and are appended.
    beside: &'static [(&'static str, Value)],
}

/// The value of a placeholder.
#[derive(Clone, Copy)]
enum Value {
    Servers,
    Text(&'static str),
    /// The name of a file in the folder of the stores.
    Store(&'static str),
    /// The text between the braces of this file for `java.security.auth.login.config`, with its placeholders for user
    /// and password.
    Login(&'static str, &'static str, &'static str),
}

const AMAZON_LOGIN: Value = Value::Login(
    include_str!("vendors/amazon_msk.users_jaas.conf"),
    "\"alice\"",
    "\"alice-secret\"",
);

const VENDORS: [Vendor; 5] = [
    Vendor {
        name: "confluent-cloud",
        file: include_str!("vendors/confluent_cloud.properties"),
        mechanism: Mechanism::Plain,
        wire: Wire::Tls13,
        placeholders: &[
            ("{{ BOOTSTRAP_SERVERS }}", Value::Servers),
            ("{{ CLUSTER_API_KEY }}", Value::Text(USER)),
            ("{{ CLUSTER_API_SECRET }}", Value::Text(PASSWORD)),
        ],
        beside: &[],
    },
    Vendor {
        name: "amazon-msk",
        file: include_str!("vendors/amazon_msk.client_sasl.properties"),
        mechanism: Mechanism::Scram512,
        wire: Wire::Tls12,
        placeholders: &[(
            "<path-to-keystore-file>/kafka.client.truststore.jks",
            Value::Store("cacerts"),
        )],
        beside: &[
            ("bootstrap.servers", Value::Servers),
            ("sasl.jaas.config", AMAZON_LOGIN),
        ],
    },
    Vendor {
        name: "event-hubs",
        file: include_str!("vendors/event_hubs.properties"),
        mechanism: Mechanism::Plain,
        wire: Wire::Tls12,
        placeholders: &[
            ("{YOUR.EVENTHUBS.FQDN}:9093", Value::Servers),
            (
                "{YOUR.EVENTHUBS.CONNECTION.STRING}",
                Value::Text(EVENT_HUBS_PASSWORD),
            ),
        ],
        beside: &[],
    },
    Vendor {
        name: "aiven-certificate",
        file: include_str!("vendors/aiven_certificate.properties"),
        mechanism: Mechanism::Mtls,
        wire: Wire::Tls13,
        placeholders: &[
            ("client.keystore.p12", Value::Store("client.keystore.p12")),
            (
                "client.truststore.jks",
                Value::Store("client.truststore.jks"),
            ),
        ],
        beside: &[("bootstrap.servers", Value::Servers)],
    },
    Vendor {
        name: "aiven-sasl",
        file: include_str!("vendors/aiven_sasl.properties"),
        mechanism: Mechanism::Scram256,
        wire: Wire::Tls13,
        placeholders: &[
            ("HOST:SASL_PORT", Value::Servers),
            ("USER_NAME", Value::Text(USER)),
            ("SASL_PASSWORD", Value::Text(PASSWORD)),
            ("TRUSTSTORE_LOCATION", Value::Store("client.truststore.jks")),
            ("TRUSTSTORE_PASSWORD", Value::Text(STORE_PASSWORD)),
        ],
        beside: &[],
    },
];

impl Vendor {
    fn names_a_store(&self) -> bool {
        let mut values = self.placeholders.iter().chain(self.beside);
        values.any(|(_, value)| matches!(value, Value::Store(_)))
    }
}

impl Value {
    fn resolve(self, rig: &Rig, servers: &str) -> String {
        match self {
            Self::Servers => servers.to_owned(),
            Self::Text(text) => text.to_owned(),
            Self::Store(name) => rig.cluster.folder().join(name).display().to_string(),
            Self::Login(file, user, password) => {
                let (_, login) = file.split_once('{').expect("a login");
                let (login, _) = login.rsplit_once('}').expect("a login");
                assert!(login.contains(user) && login.contains(password), "{login}");
                let login = login.replace(password, &format!("\"{PASSWORD}\""));
                login
                    .replace(user, &format!("\"{USER}\""))
                    .trim()
                    .to_owned()
            }
        }
    }
}

fn files_of_four_vendors_work_unchanged() -> TestResult {
    let rig = rig("3.0.0")?;
    let folder = rig.cluster.folder();
    let authority = folder.join("authority.pem");
    fs::write(&authority, rig.authority.pem())?;
    make_stores(&rig)?;
    assert!(VENDORS[2].file.contains(EVENT_HUBS_USER), "as it stands");
    for vendor in VENDORS {
        if vendor.names_a_store() && !cfg!(feature = "pkcs12") {
            println!(
                "    {}: not run, this build has no feature pkcs12",
                vendor.name
            );
            continue;
        }
        let servers = rig.servers(&vendor.mechanism.listener(vendor.wire));
        let mut text = vendor.file.to_owned();
        for (placeholder, value) in vendor.placeholders {
            assert!(text.contains(placeholder), "{placeholder} in {text}");
            text = text.replace(placeholder, &value.resolve(&rig, &servers));
        }
        for (key, value) in vendor.beside {
            let value = value.resolve(&rig, &servers).replace('\n', " ");
            writeln!(text, "{key}={value}")?;
        }
        let file = folder.join(format!("{}.properties", vendor.name));
        fs::write(&file, text)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        delivers(&rig, &format!("vendor-{}", vendor.name), &file, &authority)?;
    }
    Ok(())
}

/// Creates Aiven's stores, with the commands of its documentation, and the trust store of Java 18 and later.
fn make_stores(rig: &Rig) -> TestResult {
    let folder = rig.cluster.folder();
    let own = rig.authority.issue(&["client"]);
    fs::write(folder.join("service.key"), own.key)?;
    fs::write(folder.join("service.cert"), &own.chain)?;
    fs::write(folder.join("ca.pem"), rig.authority.pem())?;
    let keys = "openssl pkcs12 -export -inkey service.key -in service.cert -out client.keystore.p12 -name service_key -passout";
    let trust = "keytool -import -file ca.pem -alias CA -noprompt -keystore";
    let unsealed =
        "-J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE -J-Dkeystore.pkcs12.macAlgorithm=NONE";
    for command in [
        format!("{keys} pass:{STORE_PASSWORD}"),
        format!("{trust} client.truststore.jks -storepass {STORE_PASSWORD}"),
        format!("{trust} cacerts -storepass {STORE_PASSWORD} {unsealed}"),
    ] {
        let mut words = command.split(' ');
        let program = words.next().unwrap_or_default();
        let made = Command::new(program)
            .args(words)
            .current_dir(folder)
            .output()?;
        assert!(made.status.success(), "{command}: {made:?}");
    }
    Ok(())
}

/// Sends to a new topic with the command line tool and this file of properties, and reads the records back. `authority`
/// replaces the system's trust store.
pub(super) fn delivers(rig: &Rig, topic: &str, file: &Path, authority: &Path) -> TestResult {
    rig.cluster.create_topic(topic, 3, &[])?;
    let output = Command::new(OURS)
        .args([
            "--topic",
            topic,
            "--record-size",
            "100",
            "--throughput",
            "-1",
            "--num-records",
            &*RECORDS.to_string(),
            "--producer.config",
        ])
        .arg(file)
        .env("SSL_CERT_FILE", authority)
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    println!("    {topic}: {} {}", printed.trim(), errors.trim());
    assert_eq!(output.status.code(), Some(0), "{topic}: {printed}{errors}");
    let mut count = 0;
    rig.cluster.read_back(topic, |_| count += 1)?;
    assert_eq!(count, RECORDS, "{topic}");
    Ok(())
}
