//! Parsing a file that was read, as at construction.

use super::{FileReading, FileRefusal, LoadedStore, Reloader, StoreFile, StoreKind};
use crate::error::ConfigError;
use crate::security::tls::failure::OwnCertificate;
use crate::security::tls::loaded::{BrokerTrust, ClientIdentity};
use crate::security::tls::stores::{self, KEY_LOCATION};
use crate::util::panic::contain;

impl Reloader {
    /// Parses a file that was read. The errors do not contain the values of config providers.
    pub(in crate::security::tls) fn load(
        &self,
        file: &StoreFile,
        reading: &FileReading,
    ) -> Result<LoadedStore, FileRefusal> {
        let loaded = match &reading.bytes {
            Err(error) => Err(FileRefusal::Passing(error.clone())),
            // The cryptography provider is user code: a panic must not keep the other file from being checked.
            Ok(bytes) => contain(|| self.parse(file, bytes))
                .unwrap_or_else(|message| Err(FileRefusal::Passing(panicked(file, &message)))),
        };
        let config = &self.parts.config;
        loaded.map_err(|refusal| refusal.map(|error| config.without_resolved_values(error)))
    }

    fn parse(&self, file: &StoreFile, bytes: &[u8]) -> Result<LoadedStore, FileRefusal> {
        let parts = &self.parts;
        match file.store {
            StoreKind::Key => {
                let store = stores::key_store_of_file(&parts.config, &file.path, bytes);
                let store = store.map_err(FileRefusal::Content)?;
                let identity = ClientIdentity::of(store, &parts.provider, parts.hash)?;
                self.check_validity(identity.own, &file.path)?;
                Ok(LoadedStore::Key(identity))
            }
            StoreKind::Trust => {
                let store = stores::trust_store_of_file(&parts.config, &file.path, bytes);
                Ok(LoadedStore::Trust(BrokerTrust::of(
                    store.map_err(FileRefusal::Content)?,
                    parts.checks_name,
                    &parts.provider,
                    parts.hash,
                )))
            }
        }
    }

    /// Refuses a certificate that has expired or is not valid yet, unless the same holds for the one in use.
    fn check_validity(&self, own: OwnCertificate, path: &str) -> Result<(), FileRefusal> {
        let now = self.parts.clock.timestamp().as_millis() / 1000;
        let now = u64::try_from(now).unwrap_or(0);
        let Some(problem) = own.problem_at(now) else {
            return Ok(());
        };
        let in_use = self.parts.settings.load().own;
        if in_use.is_some_and(|in_use| in_use.problem_at(now).is_some()) {
            return Ok(());
        }
        Err(FileRefusal::Passing(ConfigError::invalid(
            KEY_LOCATION,
            Some(path),
            problem,
            "Name a file with a valid certificate, and check the clock of this machine",
        )))
    }
}

fn panicked(file: &StoreFile, message: &str) -> ConfigError {
    ConfigError::invalid(
        file.store.location(),
        Some(&file.path),
        format!("the cryptography provider panicked: {message}"),
        "Use another provider, or a key that it supports",
    )
}
