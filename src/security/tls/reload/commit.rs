//! Using or refusing a file that was parsed.

use std::sync::Arc;

use super::{FileReading, FileRefusal, LoadedStore, Reloader, StoreFile, StoreKind};
use crate::security::tls::SessionSettings;
use crate::security::tls::loaded::ContentDigest;
use crate::security::tls::stores;
use crate::sync;
use crate::util::log;

/// The outcome of a reading whose file can be used.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::security::tls) enum ReloadOutcome {
    /// New sessions use the file. The warnings are those that the earlier content did not have.
    Changed { warnings: Vec<String> },
    /// The content is that in use. `was_refused` is true if the log says that the file was refused before.
    Unchanged { was_refused: bool },
    /// A reading that began later has been used or refused already.
    Outdated,
}

impl Reloader {
    /// Uses a file that was parsed, and logs the change.
    pub(super) fn use_store(&self, file: &StoreFile, reading: FileReading, loaded: &LoadedStore) {
        // Logged without the lock: a logger is user code.
        let log = &self.parts.log;
        let shown = || stores::shown(&self.parts.config, file.store.location(), &file.path);
        match self.commit(reading.ticket, file.store, reading.digest, loaded) {
            ReloadOutcome::Changed { warnings } => {
                for warning in warnings {
                    log::warn!(*log, "{warning}");
                }
                log::info!(*log, "{}: {}", shown(), loaded.change_line());
            }
            ReloadOutcome::Unchanged { was_refused: true } => {
                log::info!(*log, "{}: the file has the content in use again", shown());
            }
            ReloadOutcome::Unchanged { was_refused: false } | ReloadOutcome::Outdated => {}
        }
    }

    /// Replaces the settings of new sessions if the store has another content than the one in use.
    pub(in crate::security::tls) fn commit(
        &self,
        ticket: u64,
        store: StoreKind,
        file: ContentDigest,
        loaded: &LoadedStore,
    ) -> ReloadOutcome {
        let (outcome, earlier) = self.replace_settings(ticket, store, file, loaded);
        // The settings have the private key of a cryptography provider: dropping it is user code.
        sync::assert_unlocked();
        drop(earlier);
        outcome
    }

    /// As `commit`. Returns the replaced settings, too, which are to be dropped without a lock.
    fn replace_settings(
        &self,
        ticket: u64,
        store: StoreKind,
        file: ContentDigest,
        loaded: &LoadedStore,
    ) -> (ReloadOutcome, Option<Arc<SessionSettings>>) {
        let mut progress = self.progress.lock();
        let progress = progress.of(store);
        if !progress.record(ticket, file) {
            return (ReloadOutcome::Outdated, None);
        }
        let was_refused = progress.refused.take().is_some();
        if progress.content.as_ref() == Some(loaded.digest()) {
            return (ReloadOutcome::Unchanged { was_refused }, None);
        }
        progress.content = Some(loaded.digest().clone());
        let warnings = progress.replace_warnings(loaded.warnings());
        // Under the lock: a reload of the other store must not replace the same settings at the same time.
        let earlier = self.parts.settings.load_full();
        let next = match loaded {
            LoadedStore::Key(identity) => earlier.with_identity(identity),
            LoadedStore::Trust(trust) => earlier.with_trust(trust),
        };
        self.parts.settings.store(Arc::new(next));
        (ReloadOutcome::Changed { warnings }, Some(earlier))
    }

    /// Keeps the content in use, and logs the reason: once, however often it is found.
    pub(super) fn refuse(&self, file: &StoreFile, reading: FileReading, refusal: &FileRefusal) {
        let text: Arc<str> = refusal.error().to_string().into();
        let is_new = {
            let mut progress = self.progress.lock();
            let progress = progress.of(file.store);
            let (ticket, digest) = (reading.ticket, reading.digest);
            let is_recorded = match refusal {
                FileRefusal::Content(_) => progress.record(ticket, digest),
                FileRefusal::Passing(_) => progress.record_for_retry(ticket, digest),
            };
            if !is_recorded {
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
