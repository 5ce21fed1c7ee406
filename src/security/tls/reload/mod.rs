//! Reloading: reads the files of the key store and the trust store again while the producer runs, at an interval on a
//! helper thread, or by a call on the caller's thread.
//!
//! A check compares digests of the files, and not their times. A changed file is used once two checks in a row have
//! found the same content, since it may be in the middle of being written. It is then parsed as at construction; a file
//! that cannot be used changes nothing. Each file by itself is consistent (a key store has the key and its
//! certificate), so the two stores are reloaded independently of each other.
//!
//! | file | what is in it |
//! |---|---|
//! | `schedule` | the times of the checks |
//! | `store_file` | the files, reading them, and the stores that they contain |
//! | `load`, `refusal` | parsing a file, and the reasons for which it is not used |
//! | `progress` | the state that readings on several threads share |
//! | `commit` | using or refusing a file |

mod commit;
mod load;
mod progress;
mod refusal;
mod schedule;
mod store_file;

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;

#[cfg(test)]
pub(super) use self::commit::ReloadOutcome;
use self::progress::{Finding, ReloadProgress};
pub(super) use self::refusal::FileRefusal;
use self::schedule::{CheckSchedule, DueAction};
use self::store_file::FileReading;
pub(super) use self::store_file::{LoadedStore, StoreFile, StoreKind, files_of, warning};
use super::loaded::{ContentHash, StoreInUse};
use super::{SessionSettings, stores};
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

/// How often a call parses a file that changes while it is read.
const READ_ATTEMPTS: usize = 3;

/// The number of checks in a row that have found a change, after which the file is reported and checked at the interval
/// again.
const MAX_CHANGES: u32 = 10;

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
    /// `in_use` are the stores in use, by [`StoreKind`].
    pub(super) fn new(parts: ReloaderParts, in_use: [Option<StoreInUse>; 2]) -> Self {
        let interval = parts.config.ssl_reload_interval();
        let interval = interval.filter(|_| !parts.files.is_empty());
        let interval = interval.map(|interval| interval.max(SHORTEST_BACKOFF));
        let seen = parts
            .files
            .iter()
            .map(|file| (file.store, file.seen.clone()));
        let progress = ReloadProgress::new(in_use, seen);
        let schedule = CheckSchedule::new(interval, parts.clock.now());
        Self {
            parts,
            interval,
            progress: Mutex::new(Rank::LEAF, progress),
            schedule: Mutex::new(Rank::LEAF, schedule),
        }
    }

    /// Starts a check if one is due. Returns the time of the next call.
    pub(super) fn poll(self: &Arc<Self>, now: Instant) -> Deadline {
        let Some(interval) = self.interval else {
            return Deadline::Never;
        };
        let due = self.schedule.lock().due(now);
        match due {
            DueAction::Nothing(deadline) => deadline,
            DueAction::StartCheck => {
                self.start_check(interval);
                self.schedule.lock().deadline()
            }
            DueAction::ReportCheck => {
                log::warn!(
                    self.parts.log,
                    "the check for changed certificates has not ended for more than a minute, and no other one is \
                     started before it ends: check whether the file system of the key store and trust store responds"
                );
                Deadline::Never
            }
        }
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
            let is_first = self.schedule.lock().is_first_without_thread();
            if is_first {
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

    /// Returns true if the file has changed, and the next check is to follow after the settling time.
    fn check_file(&self, file: &StoreFile) -> bool {
        let reading = self.read(file);
        let finding = self.progress.lock().of(file.store).find(&reading.digest);
        match finding {
            Finding::Known => return false,
            Finding::Changing { in_a_row } => {
                if in_a_row == MAX_CHANGES {
                    log::warn!(
                        self.parts.log,
                        "{}: each of the last {MAX_CHANGES} checks has found another content, which is not used before \
                         two checks in a row find the same; write complete files, and less often",
                        stores::shown(&self.parts.config, file.store.location(), &file.path)
                    );
                }
                return in_a_row < MAX_CHANGES;
            }
            Finding::Settled => {}
        }
        match self.load(file, &reading) {
            Ok(loaded) => self.use_store(file, reading, &loaded),
            Err(refusal) => self.refuse(file, reading, &refusal),
        }
        false
    }

    /// Reads all files again. Those with another content are used at once. Returns the changes, and the error of the
    /// files that cannot be used.
    ///
    /// # Blocking
    /// Reads files, and derives keys from passwords.
    pub(super) fn reload(&self) -> (TlsReload, Option<ConfigError>) {
        let before = self.progress.lock().contents();
        let files = self.parts.files.iter();
        let problems = files.filter_map(|file| self.reload_file(file).err());
        let error = ConfigError::all(problems.collect());
        let after = self.progress.lock().contents();
        let [key_store, trust_store] = [0, 1].map(|store| before[store] != after[store]);
        let own = self.parts.settings.load().own;
        let reload = TlsReload {
            key_store,
            trust_store,
            valid_until: own.and_then(|own| timestamp(own.valid_until?)),
        };
        (reload, error)
    }

    fn reload_file(&self, file: &StoreFile) -> Result<(), ConfigError> {
        let mut reading = self.read(file);
        for _ in 0..READ_ATTEMPTS {
            let loaded = self.load(file, &reading);
            // The file may be in the middle of being written.
            let again = self.read(file);
            if again.digest != reading.digest {
                reading = again;
                continue;
            }
            return match loaded {
                Ok(loaded) => {
                    self.use_store(file, reading, &loaded);
                    Ok(())
                }
                // The caller gets the error, so it is not logged. A check that finds the same file logs it.
                Err(refusal) if !self.is_outdated(file, &reading) => Err(refusal.into_error()),
                Err(_) => Ok(()),
            };
        }
        let error = ConfigError::invalid(
            file.store.location(),
            Some(&file.path),
            "the file changes while it is read",
            "Write the new content to another file, rename that to this one, and reload again",
        );
        Err(self.parts.config.without_resolved_values(error))
    }

    /// Reads a file. The ticket is taken before, so that a reading with a later ticket has no earlier content.
    pub(super) fn read(&self, file: &StoreFile) -> FileReading {
        let ticket = self.progress.lock().take_ticket();
        file.read(ticket, self.parts.hash)
    }

    fn is_outdated(&self, file: &StoreFile, reading: &FileReading) -> bool {
        let mut progress = self.progress.lock();
        progress.of(file.store).is_outdated(reading.ticket)
    }
}

/// Schedules the next check when one ends, also if it panics: dropping a replaced private key is user code.
struct EndOfCheck<'r> {
    reloader: &'r Reloader,
    /// The time until the next check.
    pause: Duration,
}

impl Drop for EndOfCheck<'_> {
    fn drop(&mut self) {
        let parts = &self.reloader.parts;
        let now = parts.clock.now();
        self.reloader.schedule.lock().end(now, self.pause);
        parts.background.wake.wake();
    }
}

fn timestamp(seconds: u64) -> Option<Timestamp> {
    let millis = seconds.checked_mul(1000)?;
    Some(Timestamp::from_millis(i64::try_from(millis).ok()?))
}
