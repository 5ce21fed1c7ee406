//! What the readings of files on several threads share: which content is in use, and which was refused.

use std::sync::Arc;

use super::store_file::StoreKind;
use crate::security::tls::loaded::ContentDigest;

/// What a check finds in place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// The file that was last used or refused.
    Known,
    /// Another one than the last check has found: it may be in the middle of being written.
    Changing,
    /// A changed file, for the second time.
    Settled,
}

/// How far the reloading of one store has come.
pub(super) struct StoreProgress {
    /// The content in use; `None` if there is no such store.
    pub(super) content: Option<ContentDigest>,
    /// The file whose content was last used or refused by a check.
    pub(super) seen: Option<ContentDigest>,
    /// A changed file that the last check has found, and the next one uses if it is still the same.
    pub(super) settling: Option<ContentDigest>,
    /// The error of a file that was refused, and logged.
    pub(super) refused: Option<Arc<str>>,
    /// The reading that the fields above come from.
    pub(super) ticket: u64,
}

/// The state that readings on several threads share.
pub(super) struct ReloadProgress {
    /// Number of readings that were begun. The number of a reading, its ticket, tells older content from newer.
    pub(super) begun: u64,
    pub(super) stores: [StoreProgress; 2],
}

impl ReloadProgress {
    /// `contents` are the digests of the stores in use, and `seen` those of their files.
    pub(super) fn new(
        contents: [Option<ContentDigest>; 2],
        seen: impl IntoIterator<Item = (StoreKind, Option<ContentDigest>)>,
    ) -> Self {
        let stores = contents.map(|content| StoreProgress {
            content,
            seen: None,
            settling: None,
            refused: None,
            ticket: 0,
        });
        let mut progress = Self { begun: 0, stores };
        for (store, digest) in seen {
            progress.of(store).seen = digest;
        }
        progress
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
    /// Notes the file that a check has found.
    pub(super) fn find(&mut self, digest: &ContentDigest) -> Finding {
        if self.seen.as_ref() == Some(digest) {
            self.settling = None;
            Finding::Known
        } else if self.settling.as_ref() == Some(digest) {
            Finding::Settled
        } else {
            self.settling = Some(digest.clone());
            Finding::Changing
        }
    }

    /// Records a reading. Returns false if a later one was recorded before.
    pub(super) fn record(&mut self, ticket: u64, seen: ContentDigest) -> bool {
        if ticket < self.ticket {
            return false;
        }
        self.ticket = ticket;
        self.seen = Some(seen);
        self.settling = None;
        true
    }
}
