//! Reloading: reads the files of the key store and the trust store again while the producer runs, at an interval on a
//! helper thread, or by a call on the caller's thread.
//!
//! A check compares digests of the files, and not their times. A changed file is used once two checks in a row have
//! found the same content, since it may be in the middle of being written. It is then parsed as at construction; a file
//! that cannot be used changes nothing. Each file by itself is consistent (a key store has the key and its
//! certificate), so the two stores are reloaded independently of each other.

mod progress;
mod store_file;

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;

use self::progress::{Finding, ReloadProgress};
pub(super) use self::store_file::{LoadedStore, StoreFile, StoreKind, files_of, warning};
use super::failure::OwnCertificate;
use super::loaded::{BrokerTrust, ClientIdentity, ContentDigest, ContentHash};
use super::stores::KEY_LOCATION;
use super::{SessionSettings, date, stores};
use crate::clock::{Clock, Deadline, Instant, Timestamp};
use crate::config::ProducerConfig;
use crate::error::ConfigError;
use crate::security::TlsReload;
use crate::security::background::Background;
use crate::sync::{ArcSwap, Mutex, Rank};
use crate::util::backoff::SHORTEST_BACKOFF;
use crate::util::log::{self, LogContext};

/// The time between the check that finds another content and the check that uses it, if the interval is not shorter.
const SETTLING_TIME: Duration = Duration::from_secs(1);

/// How often a call reads a file that changes while it is read.
const READ_ATTEMPTS: usize = 3;

/// The times of the checks.
struct CheckSchedule {
    next: Deadline,
    is_checking: bool,
    /// Whether the log has the warning that no helper thread could be started.
    has_warned: bool,
}

/// The outcome of a reading.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReloadOutcome {
    Changed,
    /// The content is that in use. `was_refused` is true if the log says that the file was refused before.
    Unchanged {
        was_refused: bool,
    },
    /// A reading that began later has been used or refused already.
    Outdated,
}

/// The unchangeable parts of a [`Reloader`].
pub(super) struct ReloaderParts {
    pub(super) config: ProducerConfig,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) hash: ContentHash,
    pub(super) checks_name: bool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) log: LogContext,
    pub(super) background: Background,
    pub(super) settings: Arc<ArcSwap<SessionSettings>>,
    pub(super) files: Vec<StoreFile>,
}

/// Reads changed files again, and replaces the settings of new sessions.
///
/// # Threads
/// The sender thread calls `poll`, which starts a check on a helper thread. Any thread calls `reload`. No lock is held
/// while files are read and parsed.
/// # Kafka
/// No counterpart in clients; brokers reload key stores when their configuration is altered (`SslFactory#reconfigure`).
pub(super) struct Reloader {
    pub(super) parts: ReloaderParts,
    /// The interval of the checks; `None` if files are read again by calls only.
    interval: Option<Duration>,
    progress: Mutex<ReloadProgress>,
    schedule: Mutex<CheckSchedule>,
}

impl Reloader {
    /// `contents` are the digests of the stores in use, by [`StoreKind`].
    pub(super) fn new(parts: ReloaderParts, contents: [Option<ContentDigest>; 2]) -> Self {
        let interval = parts.config.ssl_reload_interval();
        let interval = interval.filter(|_| !parts.files.is_empty());
        let interval = interval.map(|interval| interval.max(SHORTEST_BACKOFF));
        let seen = parts
            .files
            .iter()
            .map(|file| (file.store, file.seen.clone()));
        let progress = ReloadProgress::new(contents, seen);
        let now = parts.clock.now();
        let next = interval.map_or(Deadline::Never, |interval| Deadline::after(now, interval));
        Self {
            parts,
            interval,
            progress: Mutex::new(Rank::LEAF, progress),
            schedule: Mutex::new(
                Rank::LEAF,
                CheckSchedule {
                    next,
                    is_checking: false,
                    has_warned: false,
                },
            ),
        }
    }

    /// Starts a check if one is due. Returns the time of the next call.
    pub(super) fn poll(self: &Arc<Self>, now: Instant) -> Deadline {
        let Some(interval) = self.interval else {
            return Deadline::Never;
        };
        if self.begins_check(now) {
            self.start_check(interval);
        }
        let schedule = self.schedule.lock();
        // While a check runs there is no deadline: its end wakes the poller.
        if schedule.is_checking {
            Deadline::Never
        } else {
            schedule.next
        }
    }

    /// Returns true if a check is due, and then marks it as running.
    fn begins_check(&self, now: Instant) -> bool {
        let mut schedule = self.schedule.lock();
        let begins = !schedule.is_checking && schedule.next.is_over(now);
        schedule.is_checking |= begins;
        begins
    }

    fn start_check(self: &Arc<Self>, interval: Duration) {
        // Weak: a check that has not begun does nothing once the producer is gone.
        let reloader = Arc::downgrade(self);
        let work = move || {
            if let Some(reloader) = reloader.upgrade() {
                reloader.check(interval);
            }
        };
        if let Err(error) = (self.parts.background.run)(Box::new(work)) {
            drop(EndOfCheck {
                reloader: self,
                pause: interval,
            });
            let had_warned = std::mem::replace(&mut self.schedule.lock().has_warned, true);
            if !had_warned {
                log::warn!(
                    self.parts.log,
                    "no thread could be started to look for changed certificates: {error}; tried again every \
                     {interval:?}"
                );
            }
        }
    }

    /// Looks at each file, and uses those that have changed.
    fn check(&self, interval: Duration) {
        let mut end = EndOfCheck {
            reloader: self,
            pause: interval,
        };
        for file in &self.parts.files {
            if self.check_file(file) {
                end.pause = interval.min(SETTLING_TIME);
            }
        }
    }

    /// Returns true if the file has changed, and the next check is to use it.
    fn check_file(&self, file: &StoreFile) -> bool {
        let (ticket, _) = self.begin();
        let digest = self.digest(file);
        let finding = self.progress.lock().of(file.store).find(&digest);
        match finding {
            Finding::Known => return false,
            Finding::Changing => return true,
            Finding::Settled => {}
        }
        let loaded = self.load(file);
        let after = self.digest(file);
        if after != digest {
            self.progress.lock().of(file.store).find(&after);
            return true;
        }
        match loaded {
            Ok(loaded) => self.take(ticket, file, digest, &loaded),
            Err(error) => self.refuse(ticket, file, digest, &error),
        }
        false
    }

    /// Reads all files again. Those with another content are used at once.
    ///
    /// # Errors
    /// The files that cannot be used.
    /// # Blocking
    /// Reads files, and derives keys from passwords.
    pub(super) fn reload(&self) -> Result<TlsReload, ConfigError> {
        let (ticket, before) = self.begin();
        let files = self.parts.files.iter();
        let problems = files.filter_map(|file| self.reload_file(ticket, file).err());
        if let Some(error) = ConfigError::all(problems.collect()) {
            return Err(error);
        }
        let after = self.contents();
        let [key_store, trust_store] = [0, 1].map(|store| before[store] != after[store]);
        let own = self.parts.settings.load().own;
        Ok(TlsReload {
            key_store,
            trust_store,
            valid_until: own.and_then(|own| timestamp(own.valid_until?)),
        })
    }

    fn reload_file(&self, ticket: u64, file: &StoreFile) -> Result<(), ConfigError> {
        let mut before = self.digest(file);
        for _ in 0..READ_ATTEMPTS {
            let loaded = self.load(file);
            let after = self.digest(file);
            if before == after {
                return match loaded {
                    Ok(loaded) => {
                        self.take(ticket, file, after, &loaded);
                        Ok(())
                    }
                    // The caller gets the error, so it is not logged. A check that finds the same file logs it.
                    Err(error) if !self.is_outdated(ticket, file) => Err(error),
                    Err(_) => Ok(()),
                };
            }
            before = after;
        }
        Err(ConfigError::invalid(
            file.store.location(),
            Some(&file.path),
            "the file changes while it is read",
            "Write the new content to another file, rename that to this one, and reload again",
        ))
    }

    /// Begins a reading. Returns its ticket, and the contents in use.
    pub(super) fn begin(&self) -> (u64, [Option<ContentDigest>; 2]) {
        let mut progress = self.progress.lock();
        progress.begun += 1;
        (progress.begun, progress.contents())
    }

    fn contents(&self) -> [Option<ContentDigest>; 2] {
        self.progress.lock().contents()
    }

    fn is_outdated(&self, ticket: u64, file: &StoreFile) -> bool {
        ticket < self.progress.lock().of(file.store).ticket
    }

    pub(super) fn digest(&self, file: &StoreFile) -> ContentDigest {
        file.digest(self.parts.hash)
    }

    /// Reads and parses a file, as at construction.
    pub(super) fn load(&self, file: &StoreFile) -> Result<LoadedStore, ConfigError> {
        let parts = &self.parts;
        match file.store {
            StoreKind::Key => {
                let store = stores::key_store(&parts.config)?;
                let store = store.ok_or_else(|| no_key_store(&file.path))?;
                let identity = ClientIdentity::of(store, &parts.provider, parts.hash)?;
                identity.prove(&parts.provider)?;
                self.check_expiry(identity.own, &file.path)?;
                Ok(LoadedStore::Key(identity))
            }
            StoreKind::Trust => {
                let store = stores::trust_store(&parts.config)?;
                Ok(LoadedStore::Trust(BrokerTrust::of(
                    store,
                    parts.checks_name,
                    &parts.provider,
                    parts.hash,
                )))
            }
        }
    }

    /// Refuses a certificate that has expired, unless the one in use has expired as well.
    fn check_expiry(&self, own: OwnCertificate, path: &str) -> Result<(), ConfigError> {
        let now = self.parts.clock.timestamp().as_millis() / 1000;
        let now = u64::try_from(now).unwrap_or(0);
        let expired = |own: OwnCertificate| own.valid_until.filter(|until| *until < now);
        let in_use = self.parts.settings.load().own;
        match (expired(own), in_use.and_then(expired)) {
            (Some(until), None) => Err(ConfigError::invalid(
                KEY_LOCATION,
                Some(path),
                format!(
                    "the client certificate expired at {}",
                    date::format_utc(until)
                ),
                "Name a file with a valid certificate, and check the clock of this machine",
            )),
            _ => Ok(()),
        }
    }

    /// Uses a store that was read, and logs the change.
    fn take(&self, ticket: u64, file: &StoreFile, seen: ContentDigest, loaded: &LoadedStore) {
        // Logged without the lock: a logger is user code.
        let (log, key, path) = (&self.parts.log, file.store.location(), &file.path);
        match self.commit(ticket, file.store, seen, loaded) {
            ReloadOutcome::Changed => {
                for warning in loaded.warnings() {
                    log::warn!(*log, "{warning}");
                }
                log::info!(*log, "{key}={path}: {}", loaded.news());
            }
            ReloadOutcome::Unchanged { was_refused: true } => {
                log::info!(*log, "{key}={path}: the file has the content in use again");
            }
            ReloadOutcome::Unchanged { was_refused: false } | ReloadOutcome::Outdated => {}
        }
    }

    /// Replaces the settings of new sessions if the store has another content than the one in use.
    pub(super) fn commit(
        &self,
        ticket: u64,
        store: StoreKind,
        seen: ContentDigest,
        loaded: &LoadedStore,
    ) -> ReloadOutcome {
        let mut progress = self.progress.lock();
        let progress = progress.of(store);
        if !progress.record(ticket, seen) {
            return ReloadOutcome::Outdated;
        }
        let was_refused = progress.refused.take().is_some();
        if progress.content.as_ref() == Some(loaded.digest()) {
            return ReloadOutcome::Unchanged { was_refused };
        }
        progress.content = Some(loaded.digest().clone());
        // Under the lock: a reload of the other store must not replace the same settings at the same time.
        let current = self.parts.settings.load();
        let next = match loaded {
            LoadedStore::Key(identity) => current.with_identity(identity),
            LoadedStore::Trust(trust) => current.with_trust(trust),
        };
        self.parts.settings.store(Arc::new(next));
        ReloadOutcome::Changed
    }

    /// Keeps the content in use, and logs why: once, however often the file is found.
    fn refuse(&self, ticket: u64, file: &StoreFile, seen: ContentDigest, error: &ConfigError) {
        let text: Arc<str> = error.to_string().into();
        let is_new = {
            let mut progress = self.progress.lock();
            let progress = progress.of(file.store);
            if !progress.record(ticket, seen) {
                return;
            }
            let before = progress.refused.replace(Arc::clone(&text));
            before.as_ref() != Some(&text)
        };
        if is_new {
            log::warn!(
                self.parts.log,
                "a changed file is not used, new connections use its earlier content: {text}"
            );
        }
    }
}

/// Schedules the next check when one ends, also if it panics: cryptography providers are user code.
struct EndOfCheck<'r> {
    reloader: &'r Reloader,
    /// The time until the next check.
    pause: Duration,
}

impl Drop for EndOfCheck<'_> {
    fn drop(&mut self) {
        let parts = &self.reloader.parts;
        let now = parts.clock.now();
        {
            let mut schedule = self.reloader.schedule.lock();
            schedule.is_checking = false;
            schedule.next = Deadline::after(now, self.pause);
        }
        parts.background.wake.wake();
    }
}

fn timestamp(seconds: u64) -> Option<Timestamp> {
    let millis = seconds.checked_mul(1000)?;
    Some(Timestamp::from_millis(i64::try_from(millis).ok()?))
}

fn no_key_store(path: &str) -> ConfigError {
    ConfigError::invalid(
        KEY_LOCATION,
        Some(path),
        "there is no key store in it",
        "Check what it holds",
    )
}
