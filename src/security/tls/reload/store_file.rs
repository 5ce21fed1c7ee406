//! The files that are reloaded, their digests, and the stores that were read from them.

use zeroize::Zeroizing;

use crate::config::ProducerConfig;
use crate::error::ConfigError;
use crate::security::tls::loaded::{BrokerTrust, ClientIdentity, ContentDigest, ContentHash};
use crate::security::tls::stores::{KEY_LOCATION, TRUST_LOCATION};
use crate::security::tls::{date, file};

/// The store that a file contains; also an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::security::tls) enum StoreKind {
    Key = 0,
    Trust = 1,
}

impl StoreKind {
    /// The configuration key that names the file.
    pub(super) fn location(self) -> &'static str {
        match self {
            Self::Key => KEY_LOCATION,
            Self::Trust => TRUST_LOCATION,
        }
    }
}

/// A file that is reloaded.
pub(in crate::security::tls) struct StoreFile {
    pub(in crate::security::tls) store: StoreKind,
    pub(super) path: String,
    /// The digest of the file at construction; `None` if the producer does not check files at an interval.
    pub(super) seen: Option<ContentDigest>,
}

/// The files of a configuration: those of its key store and its trust store, if it names them.
pub(in crate::security::tls) fn files_of(
    config: &ProducerConfig,
    hash: ContentHash,
) -> Vec<StoreFile> {
    let is_checked = config.ssl_reload_interval().is_some();
    let of = |store: StoreKind| {
        let path = config.text(store.location())?;
        Some(StoreFile {
            store,
            path: path.to_owned(),
            seen: is_checked.then(|| digest_of(&file::read(store.location(), path), hash)),
        })
    };
    [StoreKind::Key, StoreKind::Trust]
        .into_iter()
        .filter_map(of)
        .collect()
}

/// A warning if the files are to be checked, and there are none.
pub(in crate::security::tls) fn warning(
    config: &ProducerConfig,
    files: &[StoreFile],
) -> Option<String> {
    let is_useless = config.ssl_reload_interval().is_some() && files.is_empty();
    is_useless.then(|| {
        format!(
            "ssl.reload.interval.ms has no effect: neither {KEY_LOCATION} nor {TRUST_LOCATION} is set, and only files \
             are read again"
        )
    })
}

/// The bytes of a file, or the error of reading it.
type FileBytes = Result<Zeroizing<Vec<u8>>, ConfigError>;

/// One reading of a file. The digest is that of the bytes, which are parsed: the file itself is not read again.
pub(in crate::security::tls) struct FileReading {
    /// The number of the reading; a reading that began later has a higher one.
    pub(in crate::security::tls) ticket: u64,
    pub(super) bytes: FileBytes,
    /// The digest of the bytes, or of the error.
    pub(in crate::security::tls) digest: ContentDigest,
}

impl StoreFile {
    pub(super) fn read(&self, ticket: u64, hash: ContentHash) -> FileReading {
        let bytes = file::read(self.store.location(), &self.path);
        let digest = digest_of(&bytes, hash);
        FileReading {
            ticket,
            bytes,
            digest,
        }
    }
}

fn digest_of(bytes: &FileBytes, hash: ContentHash) -> ContentDigest {
    match bytes {
        Ok(bytes) => hash.digest([&b"content"[..], &bytes[..]]),
        Err(error) => hash.digest([&b"error"[..], error.to_string().as_bytes()]),
    }
}

/// A store that was read again.
pub(in crate::security::tls) enum LoadedStore {
    Key(ClientIdentity),
    Trust(BrokerTrust),
}

impl LoadedStore {
    pub(super) fn digest(&self) -> &ContentDigest {
        match self {
            Self::Key(identity) => &identity.digest,
            Self::Trust(trust) => &trust.digest,
        }
    }

    pub(super) fn warnings(&self) -> &[String] {
        match self {
            Self::Key(identity) => &identity.warnings,
            Self::Trust(trust) => &trust.warnings,
        }
    }

    /// The log line of a change.
    pub(super) fn change_line(&self) -> String {
        match self {
            Self::Key(identity) => {
                let until = identity.own.valid_until;
                let until = until.map_or_else(|| "an unreadable date".to_owned(), date::format_utc);
                format!("new connections use this client certificate, which is valid until {until}")
            }
            Self::Trust(trust) => {
                let count = trust.count;
                format!("new connections use this trust store, with {count} certificate(s)")
            }
        }
    }
}
