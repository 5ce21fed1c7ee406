//! The state of reloading that several threads share: the content in use, and the files that were refused.

use std::sync::Arc;

use super::store_file::StoreKind;
use crate::security::tls::loaded::{ContentDigest, StoreInUse};

/// The comparison of a file with the files that earlier checks have found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// The file is the one that was last used, or refused because of its content.
    Known,
    /// The file has changed since the last check: it may be in the middle of being written. `in_a_row` is the number of
    /// checks, this one included, that have found a change since a check found none.
    Changing { in_a_row: u32 },
    /// The file has changed since it was last used, and is the same as in the last check.
    Settled,
}

/// The state of one store.
pub(super) struct StoreProgress {
    /// The digest of the content in use; `None` if there is no such store.
    pub(super) content: Option<ContentDigest>,
    /// The warnings about the content in use.
    warnings: Vec<String>,
    /// The file that was last used, or refused because of its content.
    seen: Option<ContentDigest>,
    /// A changed file that the last check has found, and the next one uses if it is still the same.
    settling: Option<ContentDigest>,
    /// The number of checks in a row that have found another file than the check before.
    changes: u32,
    /// The logged error of the file that was refused last; `None` if the last file was used.
    pub(super) refused: Option<Arc<str>>,
    /// The ticket of the reading that was recorded last.
    ticket: u64,
}

/// The state that readings on several threads share.
pub(super) struct ReloadProgress {
    /// The number of readings that have begun.
    begun: u64,
    stores: [StoreProgress; 2],
}

impl ReloadProgress {
    /// `stores` are the stores in use, by [`StoreKind`], and `seen` the digests of their files.
    pub(super) fn new(
        stores: [Option<StoreInUse>; 2],
        seen: impl IntoIterator<Item = (StoreKind, Option<ContentDigest>)>,
    ) -> Self {
        let stores = stores.map(|store| {
            let (content, warnings) = match store {
                Some(store) => (Some(store.digest), store.warnings),
                None => (None, Vec::new()),
            };
            StoreProgress {
                content,
                warnings,
                seen: None,
                settling: None,
                changes: 0,
                refused: None,
                ticket: 0,
            }
        });
        let mut progress = Self { begun: 0, stores };
        for (store, digest) in seen {
            progress.of(store).seen = digest;
        }
        progress
    }

    /// The ticket of a reading that begins: the number that tells an earlier reading from a later one.
    pub(super) fn take_ticket(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    pub(super) fn of(&mut self, store: StoreKind) -> &mut StoreProgress {
        &mut self.stores[store as usize]
    }

    pub(super) fn contents(&self) -> [Option<ContentDigest>; 2] {
        let [key, trust] = &self.stores;
        [key.content.clone(), trust.content.clone()]
    }
}

impl StoreProgress {
    /// Compares the file that a check has found with the earlier ones, and remembers it.
    pub(super) fn find(&mut self, file: &ContentDigest) -> Finding {
        if self.seen.as_ref() == Some(file) {
            self.settling = None;
            self.changes = 0;
            Finding::Known
        } else if self.settling.as_ref() == Some(file) {
            self.changes = 0;
            Finding::Settled
        } else {
            self.settling = Some(file.clone());
            self.changes = self.changes.saturating_add(1);
            Finding::Changing {
                in_a_row: self.changes,
            }
        }
    }

    /// True if a later reading than this one was recorded.
    pub(super) fn is_outdated(&self, ticket: u64) -> bool {
        ticket < self.ticket
    }

    /// Records a reading whose file was used, or refused because of its content: checks ignore the file until it
    /// changes. Returns false if the reading is outdated.
    pub(super) fn record(&mut self, ticket: u64, file: ContentDigest) -> bool {
        self.record_as(ticket, Some(file), None)
    }

    /// Records a reading that the next check is to repeat, even if the file is the same. Returns false if the reading
    /// is outdated.
    pub(super) fn record_for_retry(&mut self, ticket: u64, file: ContentDigest) -> bool {
        self.record_as(ticket, None, Some(file))
    }

    fn record_as(
        &mut self,
        ticket: u64,
        seen: Option<ContentDigest>,
        settling: Option<ContentDigest>,
    ) -> bool {
        if self.is_outdated(ticket) {
            return false;
        }
        self.ticket = ticket;
        self.seen = seen;
        self.settling = settling;
        self.changes = 0;
        true
    }

    /// Replaces the warnings about the content in use. Returns those that the earlier content did not have.
    pub(super) fn replace_warnings(&mut self, warnings: &[String]) -> Vec<String> {
        let earlier = std::mem::replace(&mut self.warnings, warnings.to_vec());
        let is_new = |warning: &&String| !earlier.contains(warning);
        warnings.iter().filter(is_new).cloned().collect()
    }
}
