//! The mock broker: decrypts, authenticates the client, and echoes each request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::parts::Cipher;
use super::record::{Kind, LARGEST, open, seal};
#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
use super::tls::TlsPeer;
use crate::sync::{Mutex, Rank};
use crate::testing::sim::network::{PeerActions, SimPeer};

/// A request: kind, number, the action of the broker, and bytes derived from the number.
pub(super) fn request(number: u32, action: u8, size: usize) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u8(b'R');
    body.put_u32(number);
    body.put_u8(action);
    body.extend((0..size).map(|at| (number as usize * 7 + at) as u8));
    body.freeze()
}

/// The broker's response to a request.
pub(super) fn response(request: &[u8]) -> Bytes {
    [b"r", &request[1..]].concat().into()
}

/// The action of a broker after it has read a request.
pub(super) const ANSWER: u8 = 0;
pub(super) const CLOSE: u8 = 1;
pub(super) const RESET: u8 = 2;

/// Log of the bytes that brokers have received.
#[derive(Debug)]
pub(super) struct Log(Mutex<Seen>);

#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The numbers of the requests to an address.
    pub(super) requests: BTreeMap<SocketAddr, Vec<u32>>,
    /// Unexpected bytes.
    pub(super) wrong: Vec<String>,
    /// The last connection to each address, and the number of its key updates that the client has not acknowledged.
    pub(super) keys_open: BTreeMap<SocketAddr, (u64, usize)>,
}

impl Log {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Rank::LEAF, Seen::default())))
    }

    pub(super) fn look<T>(&self, how: impl FnOnce(&mut Seen) -> T) -> T {
        how(&mut self.0.lock())
    }
}

pub(super) struct TestPeer {
    log: Arc<Log>,
    address: SocketAddr,
    number: u64,
    random: fastrand::Rng,
    sealed: BytesMut,
    plain: BytesMut,
    is_over: bool,
    #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
    tls: Option<TlsPeer>,
}

impl TestPeer {
    pub(super) fn new(log: Arc<Log>, address: SocketAddr, seed: u64, cipher: &Cipher) -> Self {
        log.look(|seen| seen.keys_open.insert(address, (seed, 0)));
        Self {
            log,
            address,
            number: seed,
            random: fastrand::Rng::with_seed(seed),
            sealed: BytesMut::new(),
            plain: BytesMut::new(),
            is_over: false,
            #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
            tls: match cipher {
                Cipher::Drawn => None,
                Cipher::Tls(tls) => Some(tls.peer(seed)),
            },
        }
    }

    fn take_hello(&mut self, plain: &[u8], actions: &mut PeerActions) {
        let mut out = BytesMut::new();
        if plain == [1, 1] {
            seal(&mut out, Kind::Alert, b"unknown certificate");
            self.is_over = true;
        } else {
            seal(&mut out, Kind::Hello, plain);
        }
        actions.send(out.freeze(), self.delay());
        if self.is_over {
            actions.close(Duration::ZERO);
        }
    }

    fn take_frames(&mut self, actions: &mut PeerActions) {
        while let Some(length) = self.plain.first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            if self.is_over || self.plain.len() < 4 + length {
                break;
            }
            self.plain.advance(4);
            let body = self.plain.split_to(length);
            self.take_frame(&body, actions);
        }
    }

    fn take_frame(&mut self, body: &[u8], actions: &mut PeerActions) {
        match body {
            [b'A', round, refused, wants_answer] => {
                if *wants_answer == 1 {
                    self.answer(&[b'a', *round, *refused], actions);
                }
                if *refused == 1 {
                    self.is_over = true;
                    actions.close(Duration::ZERO);
                }
            }
            [b'R', number @ ..] if number.len() >= 5 => self.take_request(body, actions),
            other => {
                let what = format!("not a request: {:?}", &other[..other.len().min(20)]);
                self.log.look(|seen| seen.wrong.push(what));
            }
        }
    }

    fn take_request(&mut self, body: &[u8], actions: &mut PeerActions) {
        let number = (&body[1..]).get_u32();
        let action = body[5];
        if body != request(number, action, body.len() - 6) {
            let what = format!("request {number} is not what was sent");
            self.log.look(|seen| seen.wrong.push(what));
        }
        let address = self.address;
        self.log
            .look(|seen| seen.requests.entry(address).or_default().push(number));
        match action {
            CLOSE => {
                self.is_over = true;
                if self.random.bool() {
                    self.answer(&response(body), actions);
                }
                actions.close(self.delay());
            }
            RESET => {
                self.is_over = true;
                actions.reset(self.delay());
            }
            _ => self.answer(&response(body), actions),
        }
    }

    fn answer(&mut self, body: &[u8], actions: &mut PeerActions) {
        let mut frame = (body.len() as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
        if let Some(tls) = &mut self.tls {
            let sealed = tls.seal(&frame, &mut self.random);
            actions.send(sealed, self.delay());
            return;
        }
        let mut out = BytesMut::new();
        let mut rest = &frame[..];
        while !rest.is_empty() {
            let len = self.random.usize(1..=rest.len().min(LARGEST));
            seal(&mut out, Kind::Data, &rest[..len]);
            rest = &rest[len..];
        }
        if self.random.u8(0..4) == 0 {
            seal(&mut out, Kind::NewKey, &[]);
            self.count_keys(|open| *open += 1);
        }
        actions.send(out.freeze(), self.delay());
    }

    fn count_keys(&self, how: impl FnOnce(&mut usize)) {
        self.log.look(|seen| {
            if let Some((number, open)) = seen.keys_open.get_mut(&self.address) {
                if *number == self.number {
                    how(open);
                }
            }
        });
    }

    fn delay(&mut self) -> Duration {
        if self.random.bool() {
            Duration::ZERO
        } else {
            Duration::from_micros(self.random.u64(0..100_000))
        }
    }
}

impl SimPeer for TestPeer {
    fn receive(&mut self, bytes: &[u8], actions: &mut PeerActions) {
        #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
        if let Some(tls) = &mut self.tls {
            let opened = tls.open(bytes, &mut self.plain);
            actions.send(tls.take_out(), self.delay());
            if opened.is_err() && !self.is_over {
                self.is_over = true;
                actions.close(Duration::ZERO);
            }
            return self.take_frames(actions);
        }
        self.sealed.extend_from_slice(bytes);
        while let Some((kind, plain)) = open(&mut self.sealed) {
            if self.is_over {
                return;
            }
            match kind {
                Kind::Hello => self.take_hello(&plain, actions),
                Kind::Data => self.plain.extend_from_slice(&plain),
                Kind::KeyTaken => self.count_keys(|open| *open -= 1),
                Kind::NewKey | Kind::Alert => panic!("{kind:?} from a client"),
            }
            self.take_frames(actions);
        }
    }
}
