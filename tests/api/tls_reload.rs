//! Reloading of certificates against embedded brokers that require them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use std::{fs, thread};

use kafka_producer::testing::TestCluster;
use kafka_producer::{BoxError, Misuse, ProducerConfigBuilder, ReloadTlsError};

use crate::support::{LONG, config, lines_of, producer, record, values};
use crate::tls::certificates::{Authority, Identity};
use crate::tls::{cluster, refused, tls};

/// A folder with a key store and a trust store, deleted on drop.
struct StoreFolder(PathBuf);

impl StoreFolder {
    fn new(name: &str, keys: &Identity, trust: &Authority) -> Self {
        let name = format!("kafka-producer-{}-{name}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        let _ = fs::remove_dir_all(&folder.0);
        fs::create_dir(&folder.0).unwrap();
        folder.replace(&keys.pem());
        fs::write(folder.0.join("trust.pem"), trust.pem()).unwrap();
        folder
    }

    /// Replaces the key store by renaming a complete file.
    fn replace(&self, keys: &str) {
        fs::write(self.0.join("new.pem"), keys).unwrap();
        fs::rename(self.0.join("new.pem"), self.0.join("client.pem")).unwrap();
    }

    fn config(&self, cluster: &TestCluster) -> ProducerConfigBuilder {
        let path = |name: &str| self.0.join(name).to_str().unwrap().to_owned();
        config(cluster)
            .set("security.protocol", "SSL")
            .set("ssl.truststore.type", "PEM")
            .set("ssl.truststore.location", path("trust.pem"))
            .set("ssl.keystore.type", "PEM")
            .set("ssl.keystore.location", path("client.pem"))
    }
}

impl Drop for StoreFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn certificates_are_replaced_twenty_times_while_records_are_sent_and_old_ones_are_refused_then() {
    let (old, new) = (Authority::new(0), Authority::new(2));
    let brokers = tls(&old.issue(&["127.0.0.1"]));
    let both = format!("{}\n{}", old.pem(), new.pem());
    let cluster = cluster(brokers.clone().require_client_certificate(both));
    let folder = StoreFolder::new("twenty", &old.client_until(2031), &old);
    let sending = producer(folder.config(&cluster));
    let stop = AtomicBool::new(false);
    let futures = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut futures = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..50 {
                    futures.push(sending.send(record("x")).unwrap());
                }
                futures.last().unwrap().get().unwrap();
            }
            futures
        });
        for number in 1..=20 {
            let authority = if number % 2 == 0 { &new } else { &old };
            let keys = authority.client_until(2031 + number).pem();
            if number == 10 {
                folder.replace(&keys[..keys.len() / 2]);
                let error = sending.reload_tls().unwrap_err();
                assert!(matches!(error, ReloadTlsError::Refused { .. }));
                assert!(
                    error.to_string().contains("ssl.keystore.location"),
                    "{error}"
                );
            } else {
                folder.replace(&keys);
                assert!(sending.reload_tls().unwrap().key_store_changed());
            }
            // New connections authenticate with the new certificate.
            cluster.disconnect_clients(0);
            sending.send(record("after")).unwrap().get().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    let count = futures.len();
    for future in futures {
        future.get().unwrap();
    }
    assert_eq!(values(&cluster, 0).len(), count + 20);
    println!("{count} records");
    // The brokers trust only the new authority now, and the producer has its certificate.
    cluster
        .change_tls(brokers.require_client_certificate(new.pem()))
        .unwrap();
    cluster.disconnect_clients(0);
    sending.send(record("new")).unwrap().get().unwrap();
    folder.replace(&old.client_until(2031).pem());
    let why = refused(&producer(folder.config(&cluster)));
    assert!(why.contains("client certificate"), "{why}");
    sending.reload_tls().unwrap();
    cluster.disconnect_clients(0);
    let why = sending.partitions_for("other").unwrap_err().to_string();
    assert!(why.contains("client certificate"), "{why}");
}

#[test]
fn files_are_checked_at_an_interval_and_a_broken_one_is_logged_once() {
    let (old, new) = (Authority::new(0), Authority::new(2));
    let brokers = tls(&old.issue(&["127.0.0.1"]));
    let cluster = cluster(brokers.clone().require_client_certificate(old.pem()));
    let folder = StoreFolder::new("interval", &old.client_until(2031), &old);
    let lines = lines_of("reloads");
    let interval = Duration::from_millis(20);
    let producer = producer(
        folder
            .config(&cluster)
            .set("client.id", "reloads")
            .ssl_reload_interval(Some(interval)),
    );
    producer.send(record("before")).unwrap().get().unwrap();
    folder.replace("-----BEGIN CERTIFICATE-----");
    let counted = |words: &str| lines().iter().filter(|line| line.contains(words)).count();
    let refused = "a changed file is not used";
    let end = Instant::now() + LONG;
    while counted(refused) == 0 {
        assert!(Instant::now() < end);
        producer.send(record("during")).unwrap().get().unwrap();
    }
    cluster
        .change_tls(brokers.require_client_certificate(new.pem()))
        .unwrap();
    cluster.disconnect_clients(0);
    folder.replace(&new.client_until(2032).pem());
    // It stays queued until a connection has the new certificate.
    producer.send(record("after")).unwrap().get().unwrap();
    producer.close().unwrap();
    assert_eq!(counted(refused), 1, "{:?}", lines());
    let changed =
        "client.pem: new connections use this client certificate, which is valid until 2032-01-01";
    assert_eq!(counted(changed), 1, "{:?}", lines());
    assert_eq!(counted("trust.pem: "), 0, "{:?}", lines());
}

#[test]
fn a_reload_inside_a_callback_is_refused() {
    let authority = Authority::new(0);
    let cluster = cluster(tls(&authority.issue(&["127.0.0.1"])));
    let folder = StoreFolder::new("callback", &authority.client_until(2031), &authority);
    let producer = Arc::new(producer(folder.config(&cluster)));
    let (outcome, outcomes) = channel();
    let inside = Arc::clone(&producer);
    let sent = producer.send_with_callback(record("x"), move |_| {
        outcome.send(inside.reload_tls()).unwrap();
    });
    drop(sent.unwrap());
    let refused = Err(ReloadTlsError::Misuse(Misuse::InsideCallback));
    assert_eq!(outcomes.recv_timeout(LONG).unwrap(), refused);
    producer.reload_tls().unwrap();
}

#[test]
fn a_producer_may_be_closed_while_certificates_are_reloaded() {
    let authority = Authority::new(0);
    let cluster = cluster(tls(&authority.issue(&["127.0.0.1"])));
    let folder = StoreFolder::new("closing", &authority.client_until(2031), &authority);
    let config = folder
        .config(&cluster)
        .ssl_reload_interval(Some(Duration::from_millis(10)));
    let producer = producer(config);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    match producer.reload_tls() {
                        Ok(reload) => assert!(!reload.is_changed()),
                        Err(error) => return assert_eq!(error, ReloadTlsError::Closed),
                    }
                }
            });
        }
        producer.send(record("x")).unwrap().get().unwrap();
        producer.close().unwrap();
    });
    assert_eq!(values(&cluster, 0), ["x"]);
}

#[test]
fn a_path_of_a_config_provider_is_in_no_error_and_no_log_line_of_a_reload() {
    let (old, new) = (Authority::new(0), Authority::new(2));
    let cluster = cluster(tls(&old.issue(&["127.0.0.1"])));
    let folder = StoreFolder::new("vault", &old.client_until(2031), &old);
    let trust = folder.0.join("trust.pem");
    let path = trust.to_str().unwrap().to_owned();
    let vault = move |_: &str, _: &[&str]| -> Result<BTreeMap<String, String>, BoxError> {
        Ok(BTreeMap::from([("trust".to_owned(), path.clone())]))
    };
    let lines = lines_of("vault-path");
    let producer = producer(
        folder
            .config(&cluster)
            .config_provider("vault", vault)
            .set("ssl.truststore.location", "${vault:files:trust}")
            .set("client.id", "vault-path")
            .ssl_reload_interval(Some(Duration::from_millis(20))),
    );
    let send_until_logged = |words: &str| {
        let end = Instant::now() + LONG;
        while !lines().iter().any(|line| line.contains(words)) {
            assert!(Instant::now() < end, "{:?}", lines());
            producer.send(record("x")).unwrap().get().unwrap();
        }
    };
    fs::remove_file(&trust).unwrap();
    let refused = producer.reload_tls().unwrap_err();
    let ReloadTlsError::Refused { error, .. } = &refused else {
        panic!("{refused}");
    };
    let (key, value) = (error.key(), error.value());
    assert_eq!((key, value), (Some("ssl.truststore.location"), None));
    send_until_logged("a changed file is not used");
    fs::write(&trust, format!("{}\n{}", old.pem(), new.pem())).unwrap();
    send_until_logged("ssl.truststore.location=[hidden]: new connections use this trust store");
    for text in lines()
        .into_iter()
        .chain([format!("{refused} {refused:?}")])
    {
        assert!(!text.contains("trust.pem"), "{text}");
    }
}

#[test]
fn an_error_about_one_file_says_that_the_other_was_replaced() {
    let authority = Authority::new(0);
    let cluster = cluster(tls(&authority.issue(&["127.0.0.1"])));
    let folder = StoreFolder::new("one-of-two", &authority.client_until(2031), &authority);
    let producer = producer(folder.config(&cluster));
    folder.replace(&authority.client_until(2032).pem());
    fs::write(folder.0.join("trust.pem"), "nothing").unwrap();
    match producer.reload_tls().unwrap_err() {
        ReloadTlsError::Refused {
            error,
            key_store_changed: true,
            trust_store_changed: false,
            ..
        } => assert_eq!(error.key(), Some("ssl.truststore.location")),
        other => panic!("{other:?}"),
    }
}
