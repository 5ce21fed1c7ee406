//! The cost of the kernel and the network without a producer: writes requests that were built before the round
//! to the socket, and reads the responses.
//!
//! With one batch in each request this is the traffic of a producer that sends batches when they are full. With
//! `--full-requests` it is the minimum cost of these bytes.

mod alone;
mod cipher;
mod codec;
mod requests;
mod wire;

use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use alone::CodecAlone;
use cipher::CipherAlone;
use codec::Codec;
use driver_kit::{About, Blocks, Client, Mode, Record, Refusal, Setup, Share, Ticket};
use requests::{Request, Shape};
use wire::Wire;

fn main() -> ExitCode {
    if is_asked_for(ALONE) {
        driver_kit::run::<CodecAlone>()
    } else if is_asked_for(CIPHER) {
        driver_kit::run::<CipherAlone>()
    } else {
        driver_kit::run::<Floor>()
    }
}

fn is_asked_for(option: &str) -> bool {
    std::env::args().any(|argument| argument == option)
}

struct Floor {
    inner: Mutex<Inner>,
    answered: bool,
}

struct Inner {
    wire: Wire,
    full: Vec<Request>,
    single: Vec<Request>,
    max_in_flight: usize,
}

/// The argument for compression only, without requests.
const ALONE: &str = "--codec-alone";

/// The argument for encryption only, without requests.
const CIPHER: &str = "--cipher-alone";

/// The argument for full requests, instead of one batch in each.
const FULL: &str = "--full-requests";

/// The number of full requests that are sent in turn. Together they are as large as the batches that a producer has in
/// flight.
const FULL_REQUESTS: usize = 5;
/// The number of requests of one record that are sent in turn.
const SINGLE_REQUESTS: usize = 1000;

impl Client for Floor {
    fn start(setup: &Setup) -> Result<(Self, About), Refusal> {
        if let Some(reason) = unable(setup) {
            return Err(Refusal::Unable(reason.into()));
        }
        let shape = Shape::of(setup, is_asked_for(FULL));
        let (values, keys) = Blocks::of(setup).map_err(Refusal::Failed)?;
        let codec = Codec::of(setup).map_err(Refusal::Failed)?;
        let mut maker = requests::Maker::new(&shape, &setup.topic, &values, keys.as_ref(), codec);
        let full = maker.make(FULL_REQUESTS, shape.batches, shape.batch_bytes);
        let full = full.map_err(Refusal::Failed)?;
        let single = maker.make(SINGLE_REQUESTS, 1, 0).map_err(Refusal::Failed)?;
        let wire = Wire::connect(&setup.bootstrap).map_err(Refusal::Failed)?;
        let records = full.first().map_or(0, |request| request.records);
        let about = About {
            client: format!("prebuilt Produce v{} requests", requests::VERSION),
            settings: [
                ("acks", shape.acks.to_string()),
                ("batch bytes", shape.batch_bytes.to_string()),
                ("compression", setup.compression.clone()),
                ("batches per request", shape.batches.to_string()),
                ("records per request", records.to_string()),
                ("requests in flight", shape.max_in_flight.to_string()),
                ("send buffer bytes", wire::SEND_BUFFER_BYTES.to_string()),
            ]
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
            unequal: Vec::new(),
            notes: vec![
                "no producer: whole requests, made (and compressed) beforehand; a blast's records are rounded up to \
                 whole requests"
                    .into(),
                "at a fixed rate nothing is sent: the figures are those of the pacing itself".into(),
            ],
        };
        let floor = Self {
            inner: Mutex::new(Inner {
                wire,
                full,
                single,
                max_in_flight: shape.max_in_flight,
            }),
            answered: shape.acks != 0,
        };
        Ok((floor, about))
    }

    /// Sends nothing: in a paced round this measures the cost of the pacing.
    fn send(&self, _: Record<'_>, ticket: Ticket) -> Result<(), String> {
        ticket.acked();
        Ok(())
    }

    fn send_quietly(&self, record: Record<'_>) -> Result<(), String> {
        self.send_and_wait(record)
    }

    fn send_and_wait(&self, _: Record<'_>) -> Result<(), String> {
        Err("the floor sends what it made beforehand".into())
    }

    fn flush(&self, _: Option<Instant>) -> Result<(), String> {
        // Nothing to wait for: a share ends when all its requests have responses.
        Ok(())
    }

    fn share(&self, share: &Share) {
        match share.mode() {
            Mode::Blast => self.blast(share),
            Mode::OneByOne => self.one_by_one(share),
            Mode::Rate | Mode::Groups => self.one_after_the_other(share),
        }
    }
}

impl Floor {
    fn blast(&self, share: &Share) {
        let mut inner = self.inner();
        let inner = &mut *inner;
        let (mut left, mut in_flight) = (share.len(), std::collections::VecDeque::new());
        let mut requests = (0..inner.full.len()).cycle();
        let outcome = (|| {
            while left > 0 {
                let request = &mut inner.full[requests.next().unwrap_or(0)];
                let records = request.records;
                inner.wire.write(request)?;
                share.sent(records);
                left = left.saturating_sub(records);
                if self.answered {
                    in_flight.push_back(records);
                } else {
                    share.acked(records);
                }
                if in_flight.len() == inner.max_in_flight {
                    inner.wire.read()?;
                    share.acked(in_flight.pop_front().unwrap_or(0));
                }
            }
            while let Some(records) = in_flight.pop_front() {
                inner.wire.read()?;
                share.acked(records);
            }
            Ok::<_, String>(())
        })();
        if let Err(reason) = outcome {
            share.failed(share.len(), reason);
        }
    }

    fn one_by_one(&self, share: &Share) {
        let mut inner = self.inner();
        let inner = &mut *inner;
        let mut requests = (0..inner.single.len()).cycle();
        for turn in share.turns() {
            let request = &mut inner.single[requests.next().unwrap_or(0)];
            let outcome = inner.wire.write(request).and_then(|()| {
                if self.answered {
                    inner.wire.read()
                } else {
                    Ok(())
                }
            });
            match outcome {
                Ok(()) => turn.ticket.acked(),
                Err(reason) => turn.ticket.failed(reason),
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unable(setup: &Setup) -> Option<&'static str> {
    if setup.threads > 1 {
        Some("one connection, one thread: nothing that threads could share")
    } else if setup.idempotent {
        Some("its batches are made beforehand and carry no sequence numbers")
    } else if setup.bootstrap.contains(',') {
        Some("it knows one broker")
    } else if setup.authority.is_some() {
        Some("it does not use TLS; see cipher-alone")
    } else {
        None
    }
}
