//! Reloading with cryptography providers that fail, panic, or give out no public keys.

use std::fs;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use super::certificates::{Authority, crypto};
use super::reload::{INTERVAL, Rig, SETTLING, TestFolder, pem_files};
use crate::sync::assert_unlocked;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The faults of a provider, which the tests set, and its dropped keys.
#[derive(Debug, Default)]
struct ProviderFaults {
    /// Loading a private key panics.
    panics: AtomicBool,
    /// The next signature fails.
    fails_once: AtomicBool,
    /// The number of private keys that were dropped.
    dropped: AtomicUsize,
}

/// Private keys that do not give out their public key.
#[derive(Debug)]
struct SecretiveKeys(Arc<ProviderFaults>);

#[derive(Debug)]
struct SecretiveKey {
    key: Arc<dyn SigningKey>,
    faults: Arc<ProviderFaults>,
}

#[derive(Debug)]
struct FailingSigner(SignatureScheme);

impl SecretiveKeys {
    /// The cryptography provider of this build with such keys.
    fn provider() -> (Arc<CryptoProvider>, Arc<ProviderFaults>) {
        let faults = Arc::new(ProviderFaults::default());
        let provider = CryptoProvider {
            key_provider: Box::leak(Box::new(Self(Arc::clone(&faults)))),
            ..(*crypto()).clone()
        };
        (Arc::new(provider), faults)
    }
}

impl KeyProvider for SecretiveKeys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        let faults = Arc::clone(&self.0);
        assert!(!faults.panics.load(Ordering::Relaxed), "as planned");
        let key = crypto().key_provider.load_private_key(key)?;
        Ok(Arc::new(SecretiveKey { key, faults }))
    }
}

impl SigningKey for SecretiveKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.key.choose_scheme(offered)?;
        if self.faults.fails_once.swap(false, Ordering::Relaxed) {
            return Some(Box::new(FailingSigner(signer.scheme())));
        }
        Some(signer)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

impl Signer for FailingSigner {
    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, Error> {
        Err(Error::General("the module is locked".to_owned()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.0
    }
}

impl Drop for SecretiveKey {
    fn drop(&mut self) {
        self.faults.dropped.fetch_add(1, Ordering::Relaxed);
        assert_unlocked();
    }
}

/// A key store, a trust store, and a client with such keys that reads both, checked every minute.
fn begin(name: &str) -> (TestFolder, Authority, Rig, Arc<ProviderFaults>) {
    let folder = TestFolder::new(name);
    let authority = Authority::new(0);
    let (keys, trust) = (folder.path("keys"), folder.path("trust"));
    fs::write(&keys, authority.client_until(2031).pem()).unwrap();
    fs::write(&trust, authority.pem()).unwrap();
    let (provider, faults) = SecretiveKeys::provider();
    let rig = Rig::with_provider(&pem_files(&keys, &trust), Some(INTERVAL), provider);
    (folder, authority, rig.unwrap(), faults)
}

#[test]
fn keys_of_a_provider_that_gives_out_no_public_keys_are_checked_by_a_signature() {
    let (folder, authority, rig, _) = begin("secretive");
    let (keys, trust) = (folder.path("keys"), folder.path("trust"));
    let (old, new) = (
        authority.client_until(2031),
        authority.issue_with(2, &["client"], (2020, 2032)),
    );
    fs::write(&keys, format!("{}\n{}", new.key, old.chain)).unwrap();
    let error = rig.reload().unwrap_err();
    assert!(error.problem().contains("does not belong"), "{error}");
    let (provider, _) = SecretiveKeys::provider();
    let built = Rig::with_provider(&pem_files(&keys, &trust), None, provider);
    assert_eq!(built.map(drop).unwrap_err(), error, "at construction, too");
    fs::write(&keys, new.pem()).unwrap();
    assert!(rig.reload().unwrap().key_store_changed());
    assert_eq!(rig.expires(), "2032");
}

#[test]
fn a_file_that_the_provider_could_not_use_once_is_used_by_the_next_check() {
    let (folder, authority, rig, faults) = begin("fails-once");
    let keys = folder.path("keys");
    fs::write(&keys, authority.client_until(2032).pem()).unwrap();
    faults.fails_once.store(true, Ordering::Relaxed);
    let error = rig.reload().unwrap_err();
    assert!(error.problem().contains("the module is locked"), "{error}");
    faults.fails_once.store(true, Ordering::Relaxed);
    assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
    assert_eq!(rig.expires(), "2031");
    assert_eq!(rig.check(), INTERVAL);
    assert_eq!(rig.expires(), "2032");
}

#[test]
fn a_file_at_which_the_provider_panics_is_refused_and_the_other_one_is_used() {
    let (folder, authority, rig, faults) = begin("panics");
    let before = rig.settings();
    let both = format!("{}\n{}", authority.pem(), Authority::new(2).pem());
    fs::write(folder.path("keys"), authority.client_until(2032).pem()).unwrap();
    fs::write(folder.path("trust"), both).unwrap();
    faults.panics.store(true, Ordering::Relaxed);
    assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
    assert_eq!(rig.expires(), "2031");
    assert!(!rig.is_unchanged(&before), "the trust store is used");
    let error = rig.reload().unwrap_err();
    assert!(error.problem().contains("panicked: as planned"), "{error}");
    faults.panics.store(false, Ordering::Relaxed);
    assert_eq!(rig.check(), INTERVAL);
    assert_eq!(rig.expires(), "2032");
}

/// A destructor of a private key is user code.
#[test]
fn a_replaced_private_key_is_dropped_without_a_lock() {
    let (folder, authority, rig, faults) = begin("drops");
    fs::write(folder.path("keys"), authority.client_until(2032).pem()).unwrap();
    assert!(rig.reload().unwrap().key_store_changed());
    assert_eq!(faults.dropped.load(Ordering::Relaxed), 1);
    fs::write(folder.path("keys"), authority.client_until(2033).pem()).unwrap();
    assert_eq!((rig.check(), rig.check()), (INTERVAL, SETTLING));
    assert_eq!(faults.dropped.load(Ordering::Relaxed), 2);
}
