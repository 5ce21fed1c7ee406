//! Reloading: changed files, broken files, files that are being written, and sessions of earlier certificates.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::server::ServerConnection;
use rustls::{HandshakeKind, ServerConfig};

use super::certificates::{Authority, crypto};
use super::handshakes::{ADDRESS, shake_hands};
use super::server::{ONLY_12, ONLY_13, Server};
use crate::clock::Clock;
use crate::clock::mock::MockClock;
use crate::config::ProducerConfig;
use crate::error::ConfigError;
use crate::security::TlsReload;
use crate::security::background::{Background, Wake, Work};
use crate::security::tls::reload::{ReloadOutcome, StoreKind};
use crate::security::tls::{TlsClient, date};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, Rank};
use crate::util::log::LogContext;

pub(super) const INTERVAL: Duration = Duration::from_secs(60);
pub(super) const SETTLING: Duration = Duration::from_secs(1);

/// A folder for the files of a test, deleted on drop.
pub(super) struct TestFolder(PathBuf);

impl TestFolder {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("kafka-producer-{}-reload-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A client whose background work the test runs itself.
pub(super) struct Rig {
    pub(super) client: TlsClient,
    clock: Arc<MockClock>,
    work: Arc<Mutex<VecDeque<Work>>>,
    woken: Arc<AtomicUsize>,
}

impl Rig {
    fn new(entries: &[(&str, &str)], interval: Option<Duration>) -> Self {
        Self::with_provider(entries, interval, crypto()).unwrap()
    }

    pub(super) fn with_provider(
        entries: &[(&str, &str)],
        interval: Option<Duration>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, ConfigError> {
        let builder = ProducerConfig::builder().set("security.protocol", "SSL");
        let builder = entries
            .iter()
            .fold(builder, |builder, (key, value)| builder.set(*key, *value));
        let config = builder.ssl_reload_interval(interval).build().unwrap();
        let clock = Arc::new(MockClock::new());
        let work = Arc::new(Mutex::new(Rank::LEAF, VecDeque::new()));
        let woken = Arc::new(AtomicUsize::new(0));
        let wake = Arc::new(Wake::default());
        let count = Arc::clone(&woken);
        wake.attach(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let queue = Arc::clone(&work);
        let background = Background {
            run: Arc::new(move |work| {
                queue.lock().push_back(work);
                Ok(())
            }),
            wake,
        };
        let client = TlsClient::from_config(
            &config,
            Some(provider),
            &(Arc::clone(&clock) as Arc<dyn Clock>),
            &LogContext::for_tests(),
            background,
        )?;
        Ok(Self {
            client,
            clock,
            work,
            woken,
        })
    }

    /// Reads all files again, as a call does.
    pub(super) fn reload(&self) -> Result<TlsReload, ConfigError> {
        let (reload, error) = self.client.reload();
        error.map_or(Ok(reload), Err)
    }

    /// A client with a key store and a trust store in PEM, checked every minute.
    fn with_files(keys: &str, trust: &str) -> Self {
        Self::new(&pem_files(keys, trust), Some(INTERVAL))
    }

    /// The time until the next poll; `None` if there is no deadline.
    fn poll(&self) -> Option<Duration> {
        let now = self.clock.now();
        self.client.poll(now).remaining(now)
    }

    /// Runs the check that was started on the helper thread.
    fn run(&self) {
        let woken = self.woken.load(Ordering::Relaxed);
        let work = self.work.lock().pop_front();
        work.expect("a check was started")();
        assert_eq!(self.woken.load(Ordering::Relaxed), woken + 1);
    }

    /// Lets the time pass until the next check, and runs it. Returns the time that has passed.
    pub(super) fn check(&self) -> Duration {
        let left = self.poll().expect("a check is planned");
        self.clock.advance(left);
        assert_eq!(self.poll(), Some(INTERVAL), "the check has time to end");
        self.run();
        left
    }

    /// The year in which the client certificate expires.
    pub(super) fn expires(&self) -> String {
        let until = self.client.settings.load().own.unwrap().valid_until;
        date::format_utc(until.unwrap())[..4].to_owned()
    }

    /// Whether sessions are made with the same settings as `before`.
    pub(super) fn is_unchanged(&self, before: &Settings) -> bool {
        Arc::ptr_eq(&before.0, &self.client.settings.load().config)
    }

    pub(super) fn settings(&self) -> Settings {
        Settings(Arc::clone(&self.client.settings.load().config))
    }

    /// Connects to a server, and returns whether the session was resumed.
    fn connect(&self, server: &Arc<ServerConfig>) -> Result<HandshakeKind, String> {
        let mut session = self
            .client
            .session(&Arc::from("broker.test"), SocketAddr::from(ADDRESS))
            .map_err(|why| why.to_string())?;
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        shake_hands(&mut session, &mut server)?;
        Ok(session.tls.handshake_kind().unwrap())
    }
}

pub(super) struct Settings(Arc<rustls::ClientConfig>);

pub(super) fn pem_files<'a>(keys: &'a str, trust: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", trust),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.location", keys),
    ]
}

/// A key store, a trust store and a client that reads both, checked every minute.
fn begin(name: &str) -> (TestFolder, Authority, Rig) {
    let folder = TestFolder::new(name);
    let authority = Authority::new(0);
    fs::write(folder.path("keys"), authority.client_until(2031).pem()).unwrap();
    fs::write(folder.path("trust"), authority.pem()).unwrap();
    let rig = Rig::with_files(&folder.path("keys"), &folder.path("trust"));
    (folder, authority, rig)
}

#[test]
fn a_changed_certificate_is_used_once_two_checks_have_found_it() {
    let (folder, authority, rig) = begin("changed");
    assert_eq!(rig.poll(), Some(INTERVAL));
    assert!(rig.work.lock().is_empty());
    assert_eq!(rig.check(), INTERVAL);
    assert_eq!(
        (rig.poll(), rig.expires()),
        (Some(INTERVAL), "2031".to_owned())
    );
    fs::write(folder.path("keys"), authority.client_until(2032).pem()).unwrap();
    assert_eq!(rig.check(), INTERVAL);
    assert_eq!(rig.expires(), "2031", "it may be half written");
    assert_eq!(rig.check(), SETTLING);
    assert_eq!(rig.expires(), "2032");
    // Another key, too.
    let other = authority.issue_with(2, &["client"], (2020, 2033));
    fs::write(folder.path("keys"), other.pem()).unwrap();
    assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
    assert_eq!(rig.expires(), "2033");
    assert_eq!(rig.poll(), Some(INTERVAL));
}

#[test]
fn a_call_uses_a_changed_file_at_once_and_says_what_has_changed() {
    let folder = TestFolder::new("call");
    let authority = Authority::new(0);
    let (keys, trust) = (folder.path("keys"), folder.path("trust"));
    fs::write(&keys, authority.client_until(2031).pem()).unwrap();
    fs::write(&trust, authority.pem()).unwrap();
    // Without an interval nothing is polled.
    let rig = Rig::new(&pem_files(&keys, &trust), None);
    assert_eq!(rig.poll(), None);
    let before = rig.settings();
    let reload = rig.reload().unwrap();
    assert!(!reload.is_changed() && rig.is_unchanged(&before));
    assert!(reload.certificate_valid_until().is_some());
    fs::write(&keys, authority.client_until(2032).pem()).unwrap();
    let reload = rig.reload().unwrap();
    assert!(reload.key_store_changed() && !reload.trust_store_changed());
    assert_eq!(rig.expires(), "2032");
    fs::write(&trust, Authority::new(2).pem()).unwrap();
    let reload = rig.reload().unwrap();
    assert!(!reload.key_store_changed() && reload.trust_store_changed());
    assert!(!rig.reload().unwrap().is_changed());
    assert!(rig.work.lock().is_empty());
}

#[test]
fn a_file_that_is_written_again_without_a_change_leaves_the_sessions_alone() {
    let (folder, authority, rig) = begin("unchanged");
    let server = Server::new(&authority.issue(&["broker.test"])).config();
    assert_eq!(rig.connect(&server), Ok(HandshakeKind::Full));
    let before = rig.settings();
    for _ in 0..3 {
        let text = fs::read(folder.path("keys")).unwrap();
        fs::write(folder.path("keys"), text).unwrap();
        assert_eq!(rig.check(), INTERVAL);
    }
    // Other bytes with the same certificates.
    for name in ["keys", "trust"] {
        let text = fs::read_to_string(folder.path(name)).unwrap();
        fs::write(folder.path(name), format!("# renewed\n{text}\n")).unwrap();
    }
    assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
    assert!(!rig.reload().unwrap().is_changed());
    assert!(rig.is_unchanged(&before));
    assert_eq!(rig.connect(&server), Ok(HandshakeKind::Resumed));
}

#[test]
fn a_broken_half_written_or_missing_file_changes_nothing_and_the_next_good_one_is_used() {
    let (folder, authority, rig) = begin("broken");
    let (keys, trust) = (folder.path("keys"), folder.path("trust"));
    let new = authority.issue_with(2, &["client"], (2020, 2032));
    let whole = new.pem();
    let old = fs::read_to_string(&keys).unwrap();
    // A key that came before its certificate.
    let certificate = &old[old.find("-----BEGIN CERTIFICATE").unwrap()..];
    let mixed = format!("{}\n{certificate}", new.key);
    let sealed = include_str!("stores/sealed-keys.pem");
    let before = rig.settings();
    for broken in [
        "",
        "\0\0",
        "-----BEGIN CERTIFICATE-----",
        new.key,
        &new.chain,
        &mixed,
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 30],
        // Without `ssl.key.password`.
        sealed,
    ] {
        fs::write(&keys, broken).unwrap();
        assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
        // It is not parsed again as long as it stays the same.
        assert_eq!(rig.check(), INTERVAL);
        let error = rig.reload().unwrap_err();
        println!("{error}");
        assert!(error.key().unwrap().starts_with("ssl.key"), "{error}");
        assert!(rig.is_unchanged(&before));
    }
    fs::remove_file(&keys).unwrap();
    assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
    assert!(rig.reload().is_err());
    // The file comes back as it was: nothing has changed.
    fs::write(&keys, &old).unwrap();
    assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
    assert!(rig.is_unchanged(&before));
    fs::remove_file(&keys).unwrap();
    fs::create_dir(&keys).unwrap();
    assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
    fs::remove_dir(&keys).unwrap();
    fs::write(&keys, &whole).unwrap();
    assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
    assert_eq!(rig.expires(), "2032");
    // A broken trust store does not hold up the key store.
    fs::write(&trust, "nothing").unwrap();
    fs::write(&keys, authority.client_until(2033).pem()).unwrap();
    let error = rig.reload().unwrap_err();
    assert_eq!(error.key(), Some("ssl.truststore.location"));
    assert_eq!(error.problems().len(), 1);
    assert_eq!(rig.expires(), "2033");
}

#[test]
fn a_file_that_goes_on_changing_is_not_used_before_it_settles() {
    let (folder, authority, rig) = begin("settling");
    let before = rig.settings();
    // More and more authorities are written, and each prefix is a valid trust store.
    let mut text = authority.pem();
    for number in [1, 2] {
        text.push('\n');
        text.push_str(&Authority::new(number).pem());
        fs::write(folder.path("trust"), &text).unwrap();
        let waited = rig.check();
        assert_eq!(waited, if number == 1 { INTERVAL } else { SETTLING });
        assert!(rig.is_unchanged(&before));
    }
    assert_eq!(rig.check(), SETTLING);
    assert!(!rig.is_unchanged(&before));
    // It changes back before it has settled.
    let after = rig.settings();
    fs::write(folder.path("trust"), authority.pem()).unwrap();
    assert_eq!(rig.check(), INTERVAL);
    fs::write(folder.path("trust"), &text).unwrap();
    assert_eq!((rig.check(), rig.check()), (SETTLING, INTERVAL));
    assert!(rig.is_unchanged(&after));
}

#[test]
fn sessions_of_an_earlier_certificate_or_trust_store_are_not_resumed() {
    for versions in [&ONLY_12, &ONLY_13] {
        let (folder, authority, rig) = begin("sessions");
        let (own, stranger) = (authority.issue(&["broker.test"]), Authority::new(2));
        let foreign = stranger.issue(&["broker.test"]);
        let config = |identity| {
            let server = Server {
                versions,
                ..Server::new(identity)
            };
            server.config()
        };
        let (server, other) = (config(&own), config(&foreign));
        assert_eq!(rig.connect(&server), Ok(HandshakeKind::Full));
        assert_eq!(rig.connect(&server), Ok(HandshakeKind::Resumed));
        fs::write(folder.path("keys"), authority.client_until(2032).pem()).unwrap();
        assert!(rig.reload().unwrap().is_changed());
        assert_eq!(rig.connect(&server), Ok(HandshakeKind::Full));
        assert_eq!(rig.connect(&server), Ok(HandshakeKind::Resumed));
        assert!(rig.connect(&other).is_err());
        fs::write(folder.path("trust"), stranger.pem()).unwrap();
        assert!(rig.reload().unwrap().is_changed());
        let why = rig.connect(&server).unwrap_err();
        assert!(why.contains("not signed by an authority"), "{why}");
        assert_eq!(rig.connect(&other), Ok(HandshakeKind::Full));
        assert_eq!(rig.connect(&other), Ok(HandshakeKind::Resumed));
    }
}

#[test]
fn a_broker_sees_the_new_client_certificate() {
    let (folder, authority, rig) = begin("mtls");
    let stranger = Authority::new(2);
    let own = authority.issue(&["broker.test"]);
    let server = |asks_for| {
        let server = Server {
            asks_for: Some(asks_for),
            ..Server::new(&own)
        };
        server.config()
    };
    let (old, new) = (server(&authority), server(&stranger));
    rig.connect(&old).unwrap();
    let why = rig.connect(&new).unwrap_err();
    assert!(why.contains("valid until 2031-01-01"), "{why}");
    fs::write(folder.path("keys"), stranger.client_until(2032).pem()).unwrap();
    assert!(rig.reload().unwrap().key_store_changed());
    rig.connect(&new).unwrap();
    let why = rig.connect(&old).unwrap_err();
    assert!(why.contains("valid until 2032-01-01"), "{why}");
}

#[test]
fn an_expired_certificate_is_refused_while_the_one_in_use_is_valid() {
    let (folder, authority, rig) = begin("expired");
    // The mock clock starts in September 2021.
    fs::write(folder.path("keys"), authority.client_until(2021).pem()).unwrap();
    let error = rig.reload().unwrap_err();
    assert!(error.problem().contains("expired at 2021-01-01"), "{error}");
    assert_eq!(rig.expires(), "2031");
    rig.clock.advance(Duration::from_secs(11 * 366 * 24 * 3600));
    assert!(rig.reload().unwrap().is_changed());
    assert_eq!(rig.expires(), "2021");
}

#[test]
fn a_certificate_that_is_not_valid_yet_is_used_once_it_is_valid() {
    let (folder, authority, rig) = begin("early");
    let early = authority.issue_for(&["client"], (2022, 2040));
    fs::write(folder.path("keys"), early.pem()).unwrap();
    let error = rig.reload().unwrap_err();
    let problem = error.problem();
    assert!(problem.contains("not valid before 2022-01-01"), "{error}");
    assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
    assert_eq!(rig.expires(), "2031");
    // The file stays the same.
    rig.clock.jump_wall(200 * 24 * 3600 * 1000);
    assert_eq!(rig.check(), INTERVAL);
    assert_eq!(rig.expires(), "2040");
}

#[test]
fn a_file_that_always_changes_is_checked_at_the_interval_again() {
    let (folder, authority, rig) = begin("restless");
    let before = rig.settings();
    let pem = authority.pem();
    let more = Authority::new(2).pem();
    let waited: Vec<Duration> = (1..=12)
        .map(|number| {
            fs::write(folder.path("trust"), format!("{pem}\n{more}\n# {number}")).unwrap();
            rig.check()
        })
        .collect();
    assert_eq!(waited[0], INTERVAL);
    assert_eq!(waited[1..10], [SETTLING; 9]);
    assert_eq!(waited[10..], [INTERVAL; 2]);
    assert!(rig.is_unchanged(&before));
    assert_eq!(rig.check(), INTERVAL);
    assert!(!rig.is_unchanged(&before), "two checks found the same file");
}

#[test]
fn while_a_check_hangs_no_other_is_started() {
    let (_folder, _, rig) = begin("hangs");
    rig.clock.advance(INTERVAL);
    assert_eq!(rig.poll(), Some(INTERVAL));
    rig.clock.advance(INTERVAL);
    for _ in 0..2 {
        assert_eq!(rig.poll(), None);
        assert_eq!(rig.work.lock().len(), 1);
        rig.clock.advance(INTERVAL);
    }
    rig.run();
    assert_eq!(rig.poll(), Some(INTERVAL));
}

#[test]
fn a_reading_does_not_replace_one_that_began_later() {
    let (folder, authority, rig) = begin("outdated");
    let reloader = &rig.client.reloader;
    let file = reloader.parts.files.first().unwrap();
    assert_eq!(file.store, StoreKind::Key);
    fs::write(folder.path("keys"), authority.client_until(2032).pem()).unwrap();
    let early = reloader.read(file);
    let loaded = reloader.load(file, &early).unwrap();
    fs::write(folder.path("keys"), authority.client_until(2033).pem()).unwrap();
    assert!(rig.reload().unwrap().key_store_changed());
    let outcome = reloader.commit(early.ticket, StoreKind::Key, early.digest.clone(), &loaded);
    assert_eq!(outcome, ReloadOutcome::Outdated);
    assert_eq!(rig.expires(), "2033");
    let late = reloader.read(file);
    let outcome = reloader.commit(late.ticket, StoreKind::Key, early.digest, &loaded);
    // Every file of this test may be world-readable, which was logged at construction.
    let warnings = Vec::new();
    assert_eq!(outcome, ReloadOutcome::Changed { warnings });
    assert_eq!(rig.expires(), "2032");
}

#[test]
fn calls_on_several_threads_and_checks_end_with_the_last_file() {
    let (folder, authority, rig) = begin("threads");
    let whole: Vec<String> = (2032..2052)
        .map(|year| authority.client_until(year).pem())
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..30 {
                    // A file that is being written is refused or not yet changed.
                    let _ = rig.reload();
                }
            });
        }
        for text in &whole {
            fs::write(folder.path("keys"), text).unwrap();
            rig.check();
        }
    });
    rig.reload().unwrap();
    assert_eq!(rig.expires(), "2051");
    // The checks have nothing left to do.
    assert!((0..4).any(|_| rig.check() == INTERVAL));
    assert_eq!(rig.check(), INTERVAL);
    assert_eq!(rig.expires(), "2051");
}

#[test]
fn a_check_of_a_client_that_was_dropped_does_nothing() {
    let (_folder, _, rig) = begin("dropped");
    rig.clock.advance(INTERVAL);
    assert_eq!(rig.poll(), Some(INTERVAL));
    let work = rig.work.lock().pop_front().unwrap();
    let settings = Arc::downgrade(&rig.client.settings);
    drop(rig.client);
    assert!(
        settings.upgrade().is_none(),
        "the work must not keep it alive"
    );
    work();
    assert_eq!(rig.woken.load(Ordering::Relaxed), 0);
}

#[test]
fn a_check_without_a_helper_thread_is_tried_again_later() {
    let folder = TestFolder::new("no-thread");
    let authority = Authority::new(0);
    let trust = folder.path("trust");
    fs::write(&trust, authority.pem()).unwrap();
    let entries = [
        ("security.protocol", "SSL"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", &trust),
        ("ssl.reload.interval.ms", "60000"),
    ];
    let clock = Arc::new(MockClock::new());
    let background = Background {
        run: Arc::new(|_| Err(io::ErrorKind::OutOfMemory.into())),
        wake: Arc::new(Wake::default()),
    };
    let client = TlsClient::from_config(
        &ProducerConfig::from_map(entries).unwrap(),
        Some(crypto()),
        &(Arc::clone(&clock) as Arc<dyn Clock>),
        &LogContext::for_tests(),
        background,
    )
    .unwrap();
    for _ in 0..3 {
        clock.advance(INTERVAL);
        let now = clock.now();
        assert_eq!(client.poll(now).remaining(now), Some(INTERVAL));
    }
}

#[test]
fn a_producer_without_files_is_not_polled() {
    let rig = Rig::new(
        &[
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.certificates", &Authority::new(0).pem()),
        ],
        Some(INTERVAL),
    );
    assert_eq!(rig.poll(), None);
    let reload = rig.reload().unwrap();
    assert!(!reload.is_changed() && reload.certificate_valid_until().is_none());
}

/// Kubernetes replaces the files of a secret by renaming a symbolic link to their folder.
#[cfg(unix)]
#[test]
fn files_behind_a_symbolic_link_that_is_swapped_are_reloaded() {
    use std::os::unix::fs::symlink;

    let folder = TestFolder::new("links");
    let authority = Authority::new(0);
    let publish = |version: &str, year| {
        let of = folder.path(version);
        fs::create_dir(&of).unwrap();
        fs::write(format!("{of}/keys"), authority.client_until(year).pem()).unwrap();
        fs::write(format!("{of}/trust"), authority.pem()).unwrap();
        symlink(version, folder.path("..tmp")).unwrap();
        fs::rename(folder.path("..tmp"), folder.path("..data")).unwrap();
    };
    publish("..1", 2031);
    for name in ["keys", "trust"] {
        symlink(format!("..data/{name}"), folder.path(name)).unwrap();
    }
    let rig = Rig::with_files(&folder.path("keys"), &folder.path("trust"));
    assert_eq!((rig.check(), rig.expires()), (INTERVAL, "2031".to_owned()));
    publish("..2", 2032);
    fs::remove_dir_all(folder.path("..1")).unwrap();
    assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
    assert_eq!(rig.expires(), "2032");
}

#[cfg(feature = "pkcs12")]
#[test]
fn stores_with_a_password_are_opened_on_the_helper_thread() {
    let folder = TestFolder::new("pkcs12");
    let (keys, trust) = (folder.path("keys"), folder.path("trust"));
    fs::write(&keys, include_bytes!("stores/keys.p12")).unwrap();
    fs::write(&trust, include_bytes!("stores/trust.p12")).unwrap();
    let rig = Rig::new(
        &[
            ("ssl.truststore.location", &trust),
            ("ssl.truststore.password", "changeit"),
            ("ssl.keystore.location", &keys),
            ("ssl.keystore.password", "changeit"),
        ],
        Some(INTERVAL),
    );
    let before = rig.settings();
    // The same key and certificates in another encryption.
    fs::write(&keys, include_bytes!("stores/legacy-keys.p12")).unwrap();
    assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
    assert!(rig.is_unchanged(&before));
    // Other keys and certificates, in both formats.
    for (path, store) in [
        (&keys, &include_bytes!("stores/several.p12")[..]),
        (&trust, include_bytes!("stores/several.jks")),
        (&keys, include_bytes!("stores/keys.jks")),
        (&trust, include_bytes!("stores/java-17-trust.p12")),
    ] {
        let before = rig.settings();
        fs::write(path, store).unwrap();
        assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
        assert!(!rig.is_unchanged(&before));
    }
    let before = rig.settings();
    let whole = include_bytes!("stores/keys.p12");
    fs::write(&keys, &whole[..whole.len() / 2]).unwrap();
    assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
    let error = rig.reload().unwrap_err();
    assert_eq!(error.key(), Some("ssl.keystore.location"), "{error}");
    assert!(rig.is_unchanged(&before));
}
