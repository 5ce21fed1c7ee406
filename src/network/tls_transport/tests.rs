//! The TLS transport against an in-memory server: buffered bytes, close and errors, and malicious input.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::ServerConnection;

use super::*;
use crate::network::poller::Received;
use crate::security::tls::TlsClient;
use crate::security::tls::tests::certificates::Authority;
use crate::security::tls::tests::client_trusting;
use crate::security::tls::tests::server::{ONLY_12, ONLY_13, Server};
use crate::sync::{Mutex, Rank};

/// Mock stream: bytes to read, and bytes that the client wrote.
#[derive(Default)]
struct Bytes {
    incoming: VecDeque<u8>,
    /// Whether the peer has ended its stream.
    is_over: bool,
    written: Vec<u8>,
    /// Number of bytes that the stream still accepts.
    room: usize,
    /// Whether every write fails.
    is_broken: bool,
    /// Maximum number of bytes that one read returns.
    step: usize,
}

#[derive(Clone)]
struct Memory(Arc<Mutex<Bytes>>);

impl Stream for Memory {
    fn finish_connect(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<Received> {
        let mut bytes = self.0.lock();
        if bytes.incoming.is_empty() && !bytes.is_over {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = into.len().min(bytes.incoming.len()).min(bytes.step);
        for (place, byte) in into.iter_mut().zip(bytes.incoming.drain(..len)) {
            *place = byte;
        }
        Ok(Received {
            len,
            drained: bytes.incoming.is_empty() && !bytes.is_over,
        })
    }

    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut bytes = self.0.lock();
        if bytes.is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let all: Vec<u8> = from
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        let len = all.len().min(bytes.room);
        if len == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        bytes.room -= len;
        bytes.written.extend_from_slice(&all[..len]);
        Ok(len)
    }
}

/// A transport and its server.
struct Rig {
    transport: TlsTransport<Memory>,
    bytes: Memory,
    ready: Readiness,
    server: ServerConnection,
    /// Number of plaintext bytes that the server has received.
    received: usize,
}

/// Configurations of client and server, made once for many rigs.
struct Sides {
    client: TlsClient,
    server: Arc<ServerConfig>,
}

impl Sides {
    fn new(versions: &'static [&'static rustls::SupportedProtocolVersion]) -> Self {
        let authority = Authority::new(0);
        let identity = authority.issue(&["broker.test"]);
        let server = Server {
            versions,
            ..Server::new(&identity)
        };
        Self {
            client: client_trusting(&authority),
            server: server.config(),
        }
    }

    fn rig(&self) -> Rig {
        let address = SocketAddr::from(([10, 0, 0, 1], 9093));
        let session = self
            .client
            .session(&Arc::from("broker.test"), address)
            .unwrap();
        let bytes = Bytes {
            room: usize::MAX,
            step: usize::MAX,
            ..Bytes::default()
        };
        let bytes = Memory(Arc::new(Mutex::new(Rank::LEAF, bytes)));
        let mut server = ServerConnection::new(Arc::clone(&self.server)).unwrap();
        server.set_buffer_limit(None);
        Rig {
            transport: TlsTransport::new(bytes.clone(), session),
            bytes,
            ready: Readiness {
                writable: true,
                ..Readiness::default()
            },
            server,
            received: 0,
        }
    }

    /// A rig with an established session.
    fn established(&self) -> Rig {
        let mut rig = self.rig();
        while !rig.transport.handshake(&mut rig.ready).unwrap() {
            let answer = rig.answer();
            rig.arrives(&answer);
        }
        let last = rig.answer();
        rig.arrives(&last);
        rig
    }
}

impl Rig {
    /// The server's response to all bytes written.
    fn answer(&mut self) -> Vec<u8> {
        let written = std::mem::take(&mut self.bytes.0.lock().written);
        let mut rest = &written[..];
        while !rest.is_empty() {
            self.server.read_tls(&mut rest).unwrap();
            let state = self.server.process_new_packets().unwrap();
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            self.server.reader().read_exact(&mut plain).unwrap();
            self.received += plain.len();
        }
        self.sealed()
    }

    fn sealed(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut out).unwrap();
        }
        out
    }

    fn arrives(&mut self, bytes: &[u8]) {
        self.bytes.0.lock().incoming.extend(bytes);
        self.ready.readable = true;
    }

    /// Reads until the stream is empty. Returns the bytes, and the result of the last read if the stream has ended.
    fn read_all(&mut self) -> (Vec<u8>, Option<Result<(), TransportError>>) {
        let mut all = Vec::new();
        let mut into = [0; 100];
        loop {
            match self.transport.read(&mut self.ready, &mut into) {
                Ok(0) => return (all, Some(Ok(()))),
                Ok(len) => all.extend_from_slice(&into[..len]),
                Err(error) if error.is_blocked() && !self.ready.readable => return (all, None),
                Err(error) if error.is_blocked() => {}
                Err(error) => return (all, Some(Err(error))),
            }
        }
    }
}

#[test]
fn buffered_bytes_are_bounded_however_much_is_written_and_however_little_the_stream_takes() {
    for sides in [Sides::new(&ONLY_12), Sides::new(&ONLY_13)] {
        let mut rig = sides.established();
        rig.bytes.0.lock().room = 0;
        let frame = vec![7; 1 << 20];
        let mut taken = 0;
        while rig.ready.writable {
            match rig
                .transport
                .write_vectored(&mut rig.ready, &[IoSlice::new(&frame)])
            {
                Ok(len) => taken += len,
                Err(error) => assert!(error.is_blocked()),
            }
        }
        assert!((1..=64 * 1024).contains(&taken), "{taken}");
        assert!(rig.transport.has_pending_writes());
        rig.bytes.0.lock().room = usize::MAX;
        rig.ready.writable = true;
        assert!(rig.transport.flush(&mut rig.ready).unwrap());
        assert!(!rig.transport.has_pending_writes());
        rig.answer();
        assert_eq!(rig.received, taken);
    }
}

#[test]
fn data_before_the_end_of_stream_is_read_with_and_without_close_notify() {
    for closes_session in [true, false] {
        let mut rig = Sides::new(&ONLY_13).established();
        rig.server.writer().write_all(b"last words").unwrap();
        if closes_session {
            rig.server.send_close_notify();
        }
        let sealed = rig.sealed();
        rig.arrives(&sealed);
        rig.bytes.0.lock().is_over = !closes_session;
        let (words, end) = rig.read_all();
        assert_eq!(words, b"last words");
        assert!(matches!(end, Some(Ok(()))), "{end:?}");
        assert!(
            rig.transport.has_pending_input(),
            "the end is read without an event"
        );
    }
}

#[test]
fn a_corrupt_record_ends_the_stream_and_before_the_first_response_is_an_authentication_failure() {
    for has_answered in [true, false] {
        let mut rig = Sides::new(&ONLY_13).established();
        if has_answered {
            rig.server.writer().write_all(b"answer").unwrap();
        }
        let mut sealed = rig.sealed();
        rig.server.writer().write_all(b"broken").unwrap();
        let mut broken = rig.sealed();
        *broken.last_mut().unwrap() ^= 1;
        sealed.extend(broken);
        rig.arrives(&sealed);
        let (words, end) = rig.read_all();
        assert_eq!(words, if has_answered { &b"answer"[..] } else { b"" });
        match end {
            Some(Err(TransportError::Io(error))) if has_answered => {
                assert!(
                    error.to_string().contains("the broker at 10.0.0.1"),
                    "{error}"
                );
            }
            Some(Err(TransportError::Authentication(_))) if !has_answered => {}
            other => panic!("{other:?}"),
        }
        // An alert was sent to the broker.
        assert!(!rig.bytes.0.lock().written.is_empty());
    }
}

/// SL-22: the alert is read even if the stream takes no more bytes.
#[test]
fn the_alert_of_a_broker_is_read_after_a_failed_write() {
    let sides = Sides::new(&ONLY_13);
    let mut rig = sides.rig();
    assert!(!rig.transport.handshake(&mut rig.ready).unwrap());
    // An alert: handshake_failure.
    rig.arrives(&[21, 3, 3, 0, 2, 2, 40]);
    rig.ready.readable = false;
    rig.transport.session.tls.send_close_notify();
    rig.bytes.0.lock().is_broken = true;
    match rig.transport.handshake(&mut rig.ready) {
        Err(TransportError::Authentication(why)) => {
            assert!(why.contains("ended the handshake"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fragmented_handshake_message_without_end_fails_at_the_size_limit() {
    let mut rig = Sides::new(&ONLY_13).rig();
    assert!(!rig.transport.handshake(&mut rig.ready).unwrap());
    // A message of 65,520 bytes, one byte per record.
    rig.arrives(&[22, 3, 3, 0, 4, 2, 0, 0xff, 0xf0]);
    rig.arrives(&[22, 3, 3, 0, 1, 0].repeat(100_000));
    match rig.transport.handshake(&mut rig.ready) {
        Err(TransportError::Authentication(why)) => {
            assert!(why.contains("HandshakePayloadTooLarge"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let left = rig.bytes.0.lock().incoming.len();
    assert!(left > 400_000, "it was read on: {left} are left");
}

#[test]
fn a_peer_that_sends_only_tls_messages_without_data_does_not_starve_others() {
    let mut rig = Sides::new(&ONLY_13).established();
    rig.read_all();
    for _ in 0..20 {
        rig.server.refresh_traffic_keys().unwrap();
    }
    rig.bytes.0.lock().step = 1;
    rig.server.writer().write_all(b"at last").unwrap();
    let sealed = rig.sealed();
    rig.arrives(&sealed);
    let mut calls = 0;
    let mut into = [0; 100];
    loop {
        calls += 1;
        assert!(calls < 1_000);
        match rig.transport.read(&mut rig.ready, &mut into) {
            Ok(len) => {
                assert_eq!(&into[..len], b"at last");
                break;
            }
            Err(error) => assert!(error.is_blocked() && rig.ready.readable, "{error}"),
        }
    }
    assert!(calls > 10, "{calls}");
    // The response to the key update is sent before the next data.
    rig.transport
        .write_vectored(&mut rig.ready, &[IoSlice::new(b"x")])
        .unwrap();
    assert!(rig.transport.flush(&mut rig.ready).unwrap());
    rig.answer();
    assert_eq!(rig.received, 1);
}

/// The length in a record's header.
fn length(record: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([record[3], record[4]]))
}

/// Changes each byte that the server sends, and truncates after each byte: the handshake always ends. If a byte other
/// than one of a record version was changed, the handshake fails on one of the two sides.
#[test]
fn a_mutated_or_truncated_handshake_terminates() {
    for sides in [Sides::new(&ONLY_12), Sides::new(&ONLY_13)] {
        let first = {
            let mut rig = sides.rig();
            assert!(!rig.transport.handshake(&mut rig.ready).unwrap());
            rig.answer()
        };
        // The length of a signature is random, so no two flights are the same.
        let len = first.len() - 8;
        for at in 0..len {
            for cuts in [false, true] {
                let mut rig = sides.rig();
                assert!(!rig.transport.handshake(&mut rig.ready).unwrap());
                let mut flight = rig.answer();
                if cuts {
                    flight.truncate(at);
                } else {
                    flight[at] ^= 0x41;
                }
                rig.arrives(&flight);
                rig.bytes.0.lock().is_over = true;
                rig.ready.input_ends = true;
                match rig.transport.handshake(&mut rig.ready) {
                    Err(error) => drop(error),
                    Ok(stands) => {
                        // Not every byte is authenticated before the server's Finished message.
                        let written = rig.bytes.0.lock().written.clone();
                        assert!(!cuts && stands, "cut at {at}");
                        let mut rest = &written[..];
                        let mut refused = false;
                        while !rest.is_empty() && !refused {
                            rig.server.read_tls(&mut rest).unwrap();
                            refused = rig.server.process_new_packets().is_err();
                        }
                        // The record version 3.3 is not checked by rustls.
                        let mut record = 0;
                        while record + 5 + length(&flight[record..]) <= at {
                            record += 5 + length(&flight[record..]);
                        }
                        let is_version = (1..=2).contains(&(at - record));
                        assert!(
                            refused || is_version,
                            "changed at {at}, {} of its record",
                            at - record
                        );
                    }
                }
            }
        }
    }
}
