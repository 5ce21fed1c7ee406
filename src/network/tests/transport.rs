//! Mock transport that behaves like TLS, without secrets: a handshake in rounds, encryption, buffers of encrypted bytes
//! until a flush and of decrypted ones until a read, and responses of its own.

use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Buf, BytesMut};

use super::plant::Plant;
use super::record::{Kind, LARGEST, has_whole, open, seal};
use crate::network::poller::{Readiness, Stream};
use crate::network::transport::{Transport, TransportError};
use crate::sync::{Mutex, Rank};

/// Probe: records facts about a transport for the test.
#[derive(Debug)]
pub(super) struct Probe(Mutex<Facts>);

#[derive(Debug, Default, Clone)]
pub(super) struct Facts {
    /// Bytes written to the transport that do not form a whole frame yet.
    pub(super) part: Vec<u8>,
    /// Number of whole frames written to the transport: the authenticator's and the client's.
    pub(super) auth_frames: usize,
    pub(super) client_frames: usize,
    /// Frames that the authenticator asked to send.
    pub(super) auth_wanted: usize,
    /// Number of encrypted bytes so far, number of those that the stream has taken, and end of the last data among
    /// them.
    sealed: u64,
    taken: u64,
    data_ends: u64,
    pub(super) is_shut_down: bool,
}

impl Facts {
    /// Whether the stream has all data.
    pub(super) fn is_flushed(&self) -> bool {
        self.taken >= self.data_ends
    }

    /// Whether a partly written frame is the client's.
    pub(super) fn has_part_of_clients(&self) -> bool {
        !self.part.is_empty() && self.auth_wanted == self.auth_frames
    }

    /// Notes data written to a transport whose encrypted bytes are not counted.
    pub(super) fn took(&mut self, plain: &[u8]) {
        self.sealed += plain.len() as u64;
        self.data_ends = self.sealed;
        self.given(plain);
    }

    /// Notes that a transport whose encrypted bytes are not counted has no pending writes.
    pub(super) fn holds_nothing(&mut self) {
        self.taken = self.sealed;
    }

    fn given(&mut self, plain: &[u8]) {
        self.part.extend_from_slice(plain);
        while let Some(length) = self.part.first_chunk::<4>() {
            let whole = 4 + u32::from_be_bytes(*length) as usize;
            if self.part.len() < whole {
                return;
            }
            match self.part[4] {
                b'A' => self.auth_frames += 1,
                _ => self.client_frames += 1,
            }
            self.part.drain(..whole);
        }
    }
}

impl Probe {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Rank::LEAF, Facts::default())))
    }

    pub(super) fn change(&self, how: impl FnOnce(&mut Facts)) {
        how(&mut self.0.lock());
    }

    pub(super) fn facts(&self) -> Facts {
        self.0.lock().clone()
    }
}

pub(super) struct SealedTransport<S> {
    stream: S,
    probe: Arc<Probe>,
    plant: Plant,
    random: fastrand::Rng,
    /// Number of handshake rounds without a response yet. The message of the first of them was sent.
    hellos_left: u8,
    /// Encrypted bytes that the stream has not taken.
    out: BytesMut,
    /// Capacity of `out`.
    room: usize,
    raw: BytesMut,
    plain: BytesMut,
    /// Buffer for reads from the stream.
    piece: Vec<u8>,
}

impl<S: Stream> SealedTransport<S> {
    pub(super) fn new(
        stream: S,
        probe: Arc<Probe>,
        plant: Plant,
        hellos: u8,
        is_refused: bool,
        mut random: fastrand::Rng,
    ) -> Self {
        let mut transport = Self {
            stream,
            probe,
            plant,
            hellos_left: hellos,
            out: BytesMut::new(),
            room: 1 << random.u32(0..16),
            raw: BytesMut::new(),
            plain: BytesMut::new(),
            piece: vec![0; 1 << random.u32(2..16)],
            random,
        };
        if hellos > 0 {
            transport.seal(Kind::Hello, &[hellos, u8::from(is_refused)]);
        }
        transport
    }

    fn seal(&mut self, kind: Kind, plain: &[u8]) {
        let before = self.out.len();
        seal(&mut self.out, kind, plain);
        let added = (self.out.len() - before) as u64;
        self.probe.change(|facts| {
            facts.sealed += added;
            if kind == Kind::Data {
                facts.data_ends = facts.sealed;
            }
        });
    }

    /// Writes to the stream. Returns whether everything was written.
    fn push(&mut self, ready: &mut Readiness) -> io::Result<bool> {
        while !self.out.is_empty() {
            let slices = [IoSlice::new(&self.out)];
            match ready.write_vectored(&mut self.stream, &slices) {
                Ok(len) => {
                    self.out.advance(len);
                    self.probe.change(|facts| facts.taken += len as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The next record, from the buffer or else from the stream; `UnexpectedEof` at the end of the stream.
    fn record(&mut self, ready: &mut Readiness) -> io::Result<(Kind, bytes::Bytes)> {
        loop {
            if let Some(record) = open(&mut self.raw) {
                return Ok(record);
            }
            let len = ready.read(&mut self.stream, &mut self.piece)?;
            if self.plant == Plant::ReadinessForgotten && len == self.piece.len() {
                // Planted bug: a read that filled its buffer counts as if it had emptied the stream.
                ready.readable = false;
            }
            if len == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.raw.extend_from_slice(&self.piece[..len]);
        }
    }

    /// Handles a record after the handshake.
    fn take(&mut self, (kind, plain): (Kind, bytes::Bytes)) {
        match kind {
            Kind::Data => self.plain.extend_from_slice(&plain),
            Kind::NewKey => self.seal(Kind::KeyTaken, &[]),
            other => panic!("{other:?} after the handshake"),
        }
    }
}

impl<S: Stream> Transport for SealedTransport<S> {
    fn finish_connect(&mut self, ready: &mut Readiness) -> Result<bool, TransportError> {
        Ok(ready.finish_connect(&mut self.stream)?)
    }

    fn handshake(&mut self, ready: &mut Readiness) -> Result<bool, TransportError> {
        while self.hellos_left > 0 {
            match self.record(ready) {
                Ok((Kind::Hello, answer)) => {
                    self.hellos_left -= 1;
                    if self.hellos_left > 0 {
                        self.seal(Kind::Hello, &[self.hellos_left, answer[1]]);
                    }
                }
                Ok((Kind::Alert, why)) => {
                    let why = String::from_utf8_lossy(&why).into_owned();
                    return Err(TransportError::Authentication(why.into()));
                }
                Ok((other, _)) => panic!("{other:?} in the handshake"),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.push(ready)?;
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.push(ready)?)
    }

    fn read(&mut self, ready: &mut Readiness, into: &mut [u8]) -> Result<usize, TransportError> {
        while self.plain.is_empty() {
            match self.record(ready) {
                Ok(record) => self.take(record),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) => return Err(error.into()),
            }
        }
        // The remaining bytes may be decrypted now or later: callers must not depend on it.
        while self.random.bool() {
            let Some(record) = open(&mut self.raw) else {
                break;
            };
            self.take(record);
        }
        let most = self.plain.len().min(into.len());
        let len = if self.random.bool() {
            self.random.usize(1..=most)
        } else {
            most
        };
        self.plain.copy_to_slice(&mut into[..len]);
        Ok(len)
    }

    fn write_vectored(
        &mut self,
        ready: &mut Readiness,
        from: &[IoSlice<'_>],
    ) -> Result<usize, TransportError> {
        if self.out.len() >= self.room && !self.push(ready)? {
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        let offered = from.iter().map(|slice| slice.len()).sum::<usize>();
        let len = self.random.usize(1..=offered.min(LARGEST));
        let mut taken = Vec::with_capacity(len);
        for slice in from {
            let rest = len - taken.len();
            taken.extend_from_slice(&slice[..rest.min(slice.len())]);
        }
        self.seal(Kind::Data, &taken);
        self.probe.change(|facts| facts.given(&taken));
        Ok(len)
    }

    fn has_pending_writes(&self) -> bool {
        self.plant != Plant::FlushForgotten && !self.out.is_empty()
    }

    fn flush(&mut self, ready: &mut Readiness) -> Result<bool, TransportError> {
        let flushed = self.push(ready)?;
        // Planted bug: bytes that the stream has not taken count as flushed.
        Ok(flushed || self.plant == Plant::RoomForgotten)
    }

    fn has_pending_input(&self) -> bool {
        self.plant != Plant::InputForgotten && (!self.plain.is_empty() || has_whole(&self.raw))
    }

    fn shutdown(&mut self, ready: &mut Readiness) {
        // Writes as many bytes as the stream takes.
        let _ = self.push(ready);
        self.probe.change(|facts| facts.is_shut_down = true);
    }
}
