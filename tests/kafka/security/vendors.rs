//! Properties of Java clients as vendors of Kafka print them, placeholders and all; only those are replaced.
//!
//! All three have certificates of public authorities, so that no file names a trust store: what the system trusts is the
//! authority of these tests, by `SSL_CERT_FILE`, which a process of its own has. Amazon prints the login as a file of
//! JAAS beside the properties; here it stands in `sasl.jaas.config`, word by word.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::rig::{EVENT_HUBS_PASSWORD, EVENT_HUBS_USER, Mechanism, PASSWORD, Rig, USER, Wire, rig};
use crate::runner::{TestResult, tests};

tests![files_of_three_vendors_work_unchanged];

const OURS: &str = env!("CARGO_BIN_EXE_kafka-producer-perf-test");
const RECORDS: usize = 10_000;

struct Vendor {
    name: &'static str,
    file: &'static str,
    mechanism: Mechanism,
    wire: Wire,
    /// Placeholders; the address is in place of the first.
    placeholders: &'static [(&'static str, &'static str)],
}

const VENDORS: [Vendor; 3] = [
    Vendor {
        name: "confluent-cloud",
        file: include_str!("vendors/confluent_cloud.properties"),
        mechanism: Mechanism::Plain,
        wire: Wire::Tls13,
        placeholders: &[
            ("{{ BOOTSTRAP_SERVERS }}", ""),
            ("{{ CLUSTER_API_KEY }}", USER),
            ("{{ CLUSTER_API_SECRET }}", PASSWORD),
        ],
    },
    Vendor {
        name: "amazon-msk",
        file: include_str!("vendors/amazon_msk.properties"),
        mechanism: Mechanism::Scram512,
        wire: Wire::Tls12,
        placeholders: &[
            ("{{ BootstrapBrokerStringSaslScram }}", ""),
            ("{{ username }}", USER),
            ("{{ password }}", PASSWORD),
        ],
    },
    Vendor {
        name: "event-hubs",
        file: include_str!("vendors/event_hubs.properties"),
        mechanism: Mechanism::Plain,
        wire: Wire::Tls12,
        placeholders: &[
            ("{YOUR.EVENTHUBS.FQDN}:9093", ""),
            ("{YOUR.EVENTHUBS.CONNECTION.STRING}", EVENT_HUBS_PASSWORD),
        ],
    },
];

fn files_of_three_vendors_work_unchanged() -> TestResult {
    let rig = rig("3.0.0")?;
    let folder = rig.cluster.folder();
    let authority = folder.join("authority.pem");
    fs::write(&authority, rig.authority.pem())?;
    assert!(VENDORS[2].file.contains(EVENT_HUBS_USER), "as it stands");
    for vendor in VENDORS {
        let servers = rig.servers(&vendor.mechanism.listener(vendor.wire));
        let mut text = vendor.file.to_owned();
        for (at, (placeholder, value)) in vendor.placeholders.iter().enumerate() {
            assert!(text.contains(placeholder), "{placeholder} in {text}");
            text = text.replace(placeholder, if at == 0 { &servers } else { value });
        }
        let file = folder.join(format!("{}.properties", vendor.name));
        fs::write(&file, text)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        delivers(&rig, vendor.name, &file, &authority)?;
    }
    Ok(())
}

fn delivers(rig: &Rig, vendor: &str, file: &Path, authority: &Path) -> TestResult {
    let topic = format!("vendor-{vendor}");
    rig.cluster.create_topic(&topic, 3, &[])?;
    let output = Command::new(OURS)
        .args([
            "--topic",
            &*topic,
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
    println!("    {vendor}: {} {}", printed.trim(), errors.trim());
    assert_eq!(output.status.code(), Some(0), "{vendor}: {printed}{errors}");
    let mut count = 0;
    rig.cluster.read_back(&topic, |_| count += 1)?;
    assert_eq!(count, RECORDS, "{vendor}");
    Ok(())
}
