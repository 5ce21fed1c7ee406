//! mTLS with key stores and trust stores that `keytool` writes, in JKS and in both generations of PKCS#12.
//!
//! Kafka's own client is accepted with the same properties first. A build without the feature `pkcs12`, which reads
//! these stores, does not list the test.
#![cfg_attr(
    not(feature = "pkcs12"),
    allow(dead_code, reason = "only the test uses it")
)]

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::rig::{Mechanism, Rig, Wire, rig};
use super::vendors::delivers;
use crate::runner::{TestResult, tests};

tests![
    #[cfg(feature = "pkcs12")]
    clients_with_stores_of_keytool_deliver
];

/// The password of the stores, and that of the private key in the JKS store.
const STORE_PASSWORD: &str = "changeit";
const KEY_PASSWORD: &str = "key-secret";

struct Kind {
    name: &'static str,
    /// Options of `keytool` that choose the format.
    options: &'static [&'static str],
    /// The value of `ssl.keystore.type`; `None` for its default, `JKS`.
    named: Option<&'static str>,
    key_password: &'static str,
    /// The first bytes of both files.
    begins: &'static [u8],
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "jks",
        options: &["-deststoretype", "JKS"],
        named: None,
        key_password: KEY_PASSWORD,
        begins: &[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2],
    },
    Kind {
        name: "jks-named-pkcs12",
        options: &["-deststoretype", "JKS"],
        named: Some("PKCS12"),
        key_password: STORE_PASSWORD,
        begins: &[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2],
    },
    Kind {
        name: "pkcs12",
        options: &["-deststoretype", "PKCS12"],
        named: Some("PKCS12"),
        key_password: STORE_PASSWORD,
        begins: &[0x30],
    },
    Kind {
        name: "pkcs12-legacy-named-jks",
        options: &["-deststoretype", "PKCS12", "-J-Dkeystore.pkcs12.legacy"],
        named: Some("JKS"),
        key_password: STORE_PASSWORD,
        begins: &[0x30],
    },
];

fn clients_with_stores_of_keytool_deliver() -> TestResult {
    let rig = rig("3.0.0")?;
    let folder = rig.cluster.folder();
    pack_identity(&rig)?;
    for kind in KINDS {
        make_stores(folder, &kind)?;
        let properties = properties(&rig, folder, &kind);
        let pairs: Vec<_> = properties
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let answer = rig.cluster.check_connection(&pairs)?;
        assert!(answer.contains("accepted"), "{}: {answer}", kind.name);
        let mut text = String::new();
        for (key, value) in properties {
            writeln!(text, "{key}={value}")?;
        }
        let file = folder.join(format!("{}.properties", kind.name));
        fs::write(&file, text)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        delivers(&rig, &format!("store-{}", kind.name), &file, Path::new(""))?;
    }
    Ok(())
}

/// Writes the identity of a client in a form that `keytool` imports, and the authority.
fn pack_identity(rig: &Rig) -> TestResult {
    let folder = rig.cluster.folder();
    let own = rig.authority.issue(&["client"]);
    fs::write(folder.join("own.key"), own.key)?;
    fs::write(folder.join("own.pem"), &own.chain)?;
    fs::write(folder.join("own-authority.pem"), rig.authority.pem())?;
    let pack = "pkcs12 -export -inkey own.key -in own.pem -name client -out own.p12 -passout";
    let words: Vec<_> = pack.split(' ').collect();
    let password = format!("pass:{STORE_PASSWORD}");
    run(folder, "openssl", &[&words[..], &[&password]].concat())
}

/// Creates a key store and a trust store, and checks that they have this format.
fn make_stores(folder: &Path, kind: &Kind) -> TestResult {
    let (keys, trust) = (
        format!("{}.keys", kind.name),
        format!("{}.trust", kind.name),
    );
    let import = "-importkeystore -noprompt -srckeystore own.p12 -srcalias client";
    let import: Vec<_> = import.split(' ').collect();
    let passwords = [
        "-srcstorepass",
        STORE_PASSWORD,
        "-deststorepass",
        STORE_PASSWORD,
        "-destkeypass",
        kind.key_password,
        "-destkeystore",
        &keys,
    ];
    run(
        folder,
        "keytool",
        &[&import[..], &passwords, kind.options].concat(),
    )?;
    // The same options, with their names in this command.
    let options: Vec<_> = kind
        .options
        .iter()
        .map(|option| match *option {
            "-deststoretype" => "-storetype",
            other => other,
        })
        .collect();
    let import = "-importcert -noprompt -alias ca -file own-authority.pem -storepass";
    let import: Vec<_> = import.split(' ').collect();
    run(
        folder,
        "keytool",
        &[
            &import[..],
            &[STORE_PASSWORD, "-keystore", &trust],
            &options,
        ]
        .concat(),
    )?;
    for store in [keys, trust] {
        let bytes = fs::read(folder.join(&store))?;
        assert!(
            bytes.starts_with(kind.begins),
            "{store}: {:02x?}",
            &bytes[..8]
        );
    }
    Ok(())
}

/// The properties of a client with these stores, exactly as for a Java client.
fn properties(rig: &Rig, folder: &Path, kind: &Kind) -> Vec<(&'static str, String)> {
    let path = |end: &str| {
        folder
            .join(format!("{}.{end}", kind.name))
            .display()
            .to_string()
    };
    let mut all = vec![
        (
            "bootstrap.servers",
            rig.servers(&Mechanism::Mtls.listener(Wire::Tls13)),
        ),
        ("security.protocol", "SSL".to_owned()),
        ("ssl.truststore.location", path("trust")),
        ("ssl.truststore.password", STORE_PASSWORD.to_owned()),
        ("ssl.keystore.location", path("keys")),
        ("ssl.keystore.password", STORE_PASSWORD.to_owned()),
    ];
    if kind.key_password != STORE_PASSWORD {
        all.push(("ssl.key.password", kind.key_password.to_owned()));
    }
    if let Some(named) = kind.named {
        all.push(("ssl.truststore.type", named.to_owned()));
        all.push(("ssl.keystore.type", named.to_owned()));
    }
    all
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> TestResult {
    let done = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()?;
    assert!(done.status.success(), "{program} {arguments:?}: {done:?}");
    Ok(())
}
