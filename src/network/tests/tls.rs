//! The simulation of the parent module with TLS: the library's transport against an in-memory server.

use std::io::{IoSlice, Read, Write};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustls::ServerConfig;
use rustls::server::ServerConnection;

use super::harness::run;
use super::number;
use super::parts::{Cipher, Plan};
use super::plant::Plant;
use super::tally::Tally;
use super::transport::{Facts, Probe};
use crate::network::endpoint::Endpoint;
use crate::network::poller::{Readiness, Stream};
use crate::network::tls_transport::TlsTransport;
use crate::network::transport::{Transport, TransportError};
use crate::security::tls::TlsClient;
use crate::security::tls::tests::certificates::Authority;
use crate::security::tls::tests::client_trusting;
use crate::security::tls::tests::server::{ONLY_12, ONLY_13, Server};

/// Default number of seeds; `SEEDS` overrides it.
const SEEDS: u64 = 60;
/// Number of seeds that each planted bug is run with.
const PLANT_SEEDS: u64 = 20;

/// TLS configurations of clients and servers.
#[derive(Clone)]
pub(super) struct Tls {
    client: TlsClient,
    /// By TLS version.
    servers: [Arc<ServerConfig>; 2],
}

impl Tls {
    fn new() -> Self {
        let authority = Authority::new(0);
        let names: Vec<String> = (0..5).map(|broker| format!("broker-{broker}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let identity = authority.issue(&names);
        let server = |versions| Server {
            versions,
            ..Server::new(&identity)
        };
        Self {
            client: client_trusting(&authority),
            servers: [server(&ONLY_12).config(), server(&ONLY_13).config()],
        }
    }

    pub(super) fn transport<S: Stream + 'static>(
        &self,
        stream: S,
        endpoint: &Endpoint,
        plan: &Plan,
        plant: Plant,
    ) -> Box<dyn Transport> {
        let host = if plan.is_refused {
            "somebody-else".into()
        } else {
            Arc::clone(&endpoint.host)
        };
        let session = self.client.session(&host, endpoint.address).unwrap();
        Box::new(Probed {
            inner: TlsTransport::new(stream, session),
            probe: Arc::clone(&plan.probe),
            plant,
            random: fastrand::Rng::with_seed(plan.seed),
        })
    }

    pub(super) fn peer(&self, seed: u64) -> TlsPeer {
        let config = &self.servers[(seed % 2) as usize];
        let mut tls = ServerConnection::new(Arc::clone(config)).unwrap();
        tls.set_buffer_limit(None);
        TlsPeer(tls)
    }
}

/// The broker's side of one connection.
pub(super) struct TlsPeer(ServerConnection);

impl TlsPeer {
    /// Decrypts received bytes, and appends the plaintext to `plain`. After an error the connection is over.
    pub(super) fn open(
        &mut self,
        mut bytes: &[u8],
        plain: &mut BytesMut,
    ) -> Result<(), rustls::Error> {
        while !bytes.is_empty() {
            if self.0.read_tls(&mut bytes).unwrap() == 0 {
                return Ok(());
            }
            let state = self.0.process_new_packets()?;
            let mut opened = vec![0; state.plaintext_bytes_to_read()];
            self.0.reader().read_exact(&mut opened).unwrap();
            plain.extend_from_slice(&opened);
        }
        Ok(())
    }

    /// Encrypts a frame in pieces, sometimes with a key update after a piece.
    pub(super) fn seal(&mut self, frame: &[u8], random: &mut fastrand::Rng) -> Bytes {
        let mut rest = frame;
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(random.usize(1..=rest.len()));
            self.0.writer().write_all(piece).unwrap();
            rest = others;
            if random.u8(0..4) == 0 {
                // TLS 1.2 has no key update.
                let _ = self.0.refresh_traffic_keys();
            }
        }
        self.take_out()
    }

    /// The bytes to send.
    pub(super) fn take_out(&mut self) -> Bytes {
        let mut out = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut out).unwrap();
        }
        out.into()
    }
}

/// A transport, with a probe that records the bytes written to it.
struct Probed<T> {
    inner: T,
    probe: Arc<Probe>,
    plant: Plant,
    random: fastrand::Rng,
}

impl<T: Transport> Probed<T> {
    fn note(&self) {
        if !self.inner.has_pending_writes() {
            self.probe.change(Facts::holds_nothing);
        }
    }
}

impl<T: Transport> Transport for Probed<T> {
    fn finish_connect(&mut self, ready: &mut Readiness) -> Result<bool, TransportError> {
        self.inner.finish_connect(ready)
    }

    fn handshake(&mut self, ready: &mut Readiness) -> Result<bool, TransportError> {
        self.inner.handshake(ready)
    }

    fn read(&mut self, ready: &mut Readiness, into: &mut [u8]) -> Result<usize, TransportError> {
        // The channel's buffer is larger than any read: smaller buffers must work too.
        let most = if self.random.bool() {
            self.random.usize(1..=into.len().min(1000))
        } else {
            into.len()
        };
        let read = self.inner.read(ready, &mut into[..most]);
        if self.plant == Plant::ReadinessForgotten && read.is_ok() {
            // Planted bug: a read that returned data counts as if it had emptied the stream.
            ready.readable = false;
        }
        self.note();
        read
    }

    fn write_vectored(
        &mut self,
        ready: &mut Readiness,
        from: &[IoSlice<'_>],
    ) -> Result<usize, TransportError> {
        let taken = self.inner.write_vectored(ready, from)?;
        let all: Vec<u8> = from
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        self.probe.change(|facts| facts.took(&all[..taken]));
        self.note();
        Ok(taken)
    }

    fn has_pending_writes(&self) -> bool {
        self.plant != Plant::FlushForgotten && self.inner.has_pending_writes()
    }

    fn flush(&mut self, ready: &mut Readiness) -> Result<bool, TransportError> {
        let flushed = self.inner.flush(ready)?;
        self.note();
        Ok(flushed || self.plant == Plant::RoomForgotten)
    }

    fn has_pending_input(&self) -> bool {
        self.plant != Plant::InputForgotten && self.inner.has_pending_input()
    }

    fn shutdown(&mut self, ready: &mut Readiness) {
        self.inner.shutdown(ready);
        self.probe.change(|facts| facts.is_shut_down = true);
    }
}

/// The length of a signature is random, so a repeated seed may split the bytes at other places.
#[test]
fn frames_arrive_whole_in_order_and_once_through_tls() {
    let cipher = Cipher::Tls(Tls::new());
    let mut all = Tally::default();
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        match run(seed, Plant::Nothing, &cipher) {
            Ok(tally) => all.add(&tally),
            Err(error) => panic!("seed {seed} (replay it with SEED={seed}): {error}"),
        }
    }
    println!("{all:?}");
    if number("SEED").is_none() {
        all.assert_everything_happened();
    }
}

#[test]
fn planted_defects_of_a_tls_transport_are_found() {
    let cipher = Cipher::Tls(Tls::new());
    for plant in [
        Plant::EventForgotten,
        Plant::ReadinessForgotten,
        Plant::InputForgotten,
        Plant::FlushForgotten,
        Plant::RoomForgotten,
    ] {
        let seeds = 0..PLANT_SEEDS;
        let found: Vec<String> = seeds
            .filter_map(|seed| run(seed, plant, &cipher).err())
            .collect();
        println!(
            "{plant:?}: {} of {PLANT_SEEDS} seeds, as {:?}",
            found.len(),
            found.first()
        );
        assert!(found.len() >= 3, "{plant:?} is found by {found:?} only");
    }
}
