//! The cost of encryption alone: encrypts the requests of a scenario in place, in full TLS records. Nothing is copied,
//! and nothing is sent.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use driver_kit::{About, Blocks, Client, Mode, Record, Refusal, Setup, Share, Ticket};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::requests::{Maker, Shape};

/// A cipher, and its input.
pub struct CipherAlone {
    inner: Mutex<Inner>,
}

struct Inner {
    key: LessSafeKey,
    /// The sequence number of the next TLS record.
    number: u64,
    /// Whole requests, without gaps. Encrypted bytes are encrypted again: the speed does not depend on their values.
    bytes: Vec<u8>,
    /// The number of records in all requests.
    records: u64,
}

/// The size of the input. It fits into a cache near the processor, where a producer's batch is after its checksum was
/// computed.
const BYTES: usize = 256 * 1024;

/// The maximum content of a TLS record.
const TLS_RECORD_BYTES: usize = 16_384;
/// The header of a TLS record: kind, version and length. It is authenticated too.
const TLS_HEADER_BYTES: usize = 5;

impl Client for CipherAlone {
    fn start(setup: &Setup) -> Result<(Self, About), Refusal> {
        if setup.authority.is_none() {
            return Err(Refusal::Unable("there is nothing to encrypt".into()));
        }
        let shape = Shape::of(setup, false);
        let (values, keys) = Blocks::of(setup).map_err(Refusal::Failed)?;
        let mut maker = Maker::new(&shape, &setup.topic, &values, keys.as_ref(), None);
        let count = (BYTES / shape.batch_bytes).max(1);
        let requests = maker.make(count, 1, shape.batch_bytes);
        let requests = requests.map_err(Refusal::Failed)?;
        let records: u64 = requests.iter().map(|request| request.records).sum();
        let bytes: Vec<u8> = requests
            .iter()
            .flat_map(|request| request.as_ref().iter().copied())
            .collect();
        let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).map_err(Refusal::failed)?;
        let about = About {
            client: "AES-256-GCM of ring, as this project's producer uses it".into(),
            settings: [
                ("bytes of a record of TLS", TLS_RECORD_BYTES.to_string()),
                ("bytes encrypted in turn", bytes.len().to_string()),
                ("records in them", records.to_string()),
            ]
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
            unequal: Vec::new(),
            notes: vec![
                "no producer and nothing sent: requests made beforehand are encrypted in place, again and again, in \
                 memory that the processor's cache holds; a blast's records are rounded up to all that are there"
                    .into(),
            ],
        };
        let inner = Inner {
            key: LessSafeKey::new(key),
            number: 0,
            bytes,
            records,
        };
        Ok((
            Self {
                inner: Mutex::new(inner),
            },
            about,
        ))
    }

    fn send(&self, _: Record<'_>, _: Ticket) -> Result<(), String> {
        Err("it encrypts whole requests, as fast as it can".into())
    }

    fn send_quietly(&self, record: Record<'_>) -> Result<(), String> {
        self.send_and_wait(record)
    }

    fn send_and_wait(&self, _: Record<'_>) -> Result<(), String> {
        Err("nothing is sent, so nothing can be waited for".into())
    }

    fn flush(&self, _: Option<Instant>) -> Result<(), String> {
        Ok(())
    }

    fn share(&self, share: &Share) {
        if share.mode() != Mode::Blast {
            return self.one_after_the_other(share);
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = share.len();
        while left > 0 {
            if let Err(reason) = inner.encrypt() {
                return share.failed(share.len(), reason);
            }
            share.sent(inner.records);
            share.acked(inner.records);
            left = left.saturating_sub(inner.records);
        }
    }
}

impl Inner {
    fn encrypt(&mut self) -> Result<(), String> {
        for record in self.bytes.chunks_mut(TLS_RECORD_BYTES) {
            self.number += 1;
            let mut nonce = [0; NONCE_LEN];
            nonce[NONCE_LEN - 8..].copy_from_slice(&self.number.to_be_bytes());
            let nonce = Nonce::assume_unique_for_key(nonce);
            let header = Aad::from([23; TLS_HEADER_BYTES]);
            let tag = self
                .key
                .seal_in_place_separate_tag(nonce, header, record)
                .map_err(|error| error.to_string())?;
            let _ = black_box(tag);
        }
        black_box(&self.bytes);
        Ok(())
    }
}
