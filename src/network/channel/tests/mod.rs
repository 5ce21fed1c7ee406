//! A plain text channel over a mock stream: short writes, failures and ends of stream in every order.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use super::*;
use crate::network::authenticator::NullAuthenticator;
use crate::network::poller::{Received, Stream};
use crate::network::transport::PlaintextTransport;
use crate::protocol::FrameBuilder;
use crate::sync::{Mutex, Rank};

mod authentication;

/// Script of the mock stream, and the bytes written to it.
#[derive(Default)]
struct Script {
    connects: VecDeque<io::Result<bool>>,
    reads: VecDeque<io::Result<Vec<u8>>>,
    /// How many bytes each write takes; an empty script blocks.
    writes: VecDeque<io::Result<usize>>,
    written: Vec<u8>,
    largest_batch: usize,
    read_calls: usize,
    write_calls: usize,
}

#[derive(Clone)]
struct Scripted(Arc<Mutex<Script>>);

impl Stream for Scripted {
    fn finish_connect(&mut self) -> io::Result<bool> {
        self.0.lock().connects.pop_front().unwrap_or(Ok(true))
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<Received> {
        let mut script = self.0.lock();
        script.read_calls += 1;
        let bytes = script.reads.pop_front().unwrap_or_else(|| Err(blocked()))?;
        into[..bytes.len()].copy_from_slice(&bytes);
        Ok(Received {
            len: bytes.len(),
            drained: bytes.len() < into.len(),
        })
    }

    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut script = self.0.lock();
        script.write_calls += 1;
        script.largest_batch = script.largest_batch.max(from.len());
        let bytes = from
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect::<Vec<_>>();
        let taken = script
            .writes
            .pop_front()
            .unwrap_or_else(|| Err(blocked()))?
            .min(bytes.len());
        script.written.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }
}

struct Rig {
    channel: KafkaChannel,
    script: Scripted,
    events: PollEvents,
    scratch: Vec<u8>,
}

impl Rig {
    /// A channel that is ready, with a read buffer of `scratch` bytes.
    fn new(scratch: usize) -> Self {
        let mut rig = Self::connecting(scratch);
        rig.channel.note(WRITABLE);
        assert_eq!(rig.turn(), ChannelTurn::Wait);
        assert_eq!(rig.events.connected, [1]);
        rig
    }

    fn connecting(scratch: usize) -> Self {
        let script = Scripted(Arc::new(Mutex::new(Rank::LEAF, Script::default())));
        let parts = ChannelParts {
            transport: Box::new(PlaintextTransport(script.clone())),
            authenticator: Box::new(NullAuthenticator),
        };
        let channel = KafkaChannel::new(1, parts, false, 1000, Instant::ORIGIN);
        Self {
            channel,
            script,
            events: PollEvents::default(),
            scratch: vec![0; scratch],
        }
    }

    fn turn(&mut self) -> ChannelTurn {
        self.events.clear();
        let now = Instant::ORIGIN;
        self.channel.turn(&mut self.scratch, now, &mut self.events)
    }

    fn send(&mut self, frame: Frame) -> Result<(), SendRefused> {
        self.channel.send(frame, || Instant::ORIGIN)
    }

    fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.0.lock());
    }
}

const READABLE: Readiness = Readiness {
    readable: true,
    writable: false,
    input_ends: false,
};
const WRITABLE: Readiness = Readiness {
    readable: false,
    writable: true,
    input_ends: false,
};
const ENDING: Readiness = Readiness {
    readable: true,
    writable: true,
    input_ends: true,
};

fn blocked() -> io::Error {
    io::ErrorKind::WouldBlock.into()
}

fn interrupted() -> io::Error {
    io::ErrorKind::Interrupted.into()
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

fn frame(chunks: &[&'static [u8]]) -> Frame {
    let mut builder = FrameBuilder::with_capacity(0, chunks.len());
    for chunk in chunks {
        builder.put_shared(Bytes::from_static(chunk));
    }
    builder.finish().unwrap()
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as i32).to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// SL-9: after a write that the socket accepts only in part, the channel waits until the socket is writable, and then
/// continues with the next byte.
#[test]
fn short_writes_continue_wherever_they_stopped() {
    let expected = framed(b"onetwothree");
    for first in 1..expected.len() {
        let mut rig = Rig::new(64);
        rig.script(|script| script.writes.extend([Ok(first), Err(blocked())]));
        rig.send(frame(&[b"one", b"", b"two", b"three"])).unwrap();
        assert_eq!(rig.turn(), ChannelTurn::Wait, "the socket is full");
        assert!(rig.events.is_empty());
        assert_eq!(rig.send(frame(&[b"more"])), Err(SendRefused::Busy));

        rig.script(|script| script.writes.extend([Ok(1), Err(interrupted()), Ok(100)]));
        rig.channel.note(WRITABLE);
        assert_eq!(rig.turn(), ChannelTurn::Wait);
        assert_eq!(rig.events.completed_sends, [1]);
        rig.script(|script| assert_eq!(script.written, expected));
    }
}

#[test]
fn a_frame_of_many_chunks_is_written_in_batches_without_loss() {
    let chunks = vec![b"ab".as_slice(); 200];
    let mut rig = Rig::new(64);
    rig.script(|script| script.writes.extend((0..100).map(|_| Ok(1000))));
    rig.send(frame(&chunks)).unwrap();
    rig.script(|script| {
        assert_eq!(script.written, framed(&b"ab".repeat(200)));
        assert_eq!(script.largest_batch, 64);
        assert_eq!(script.write_calls, 201_usize.div_ceil(64));
    });
}

#[test]
fn a_frame_that_fits_into_the_socket_buffer_is_written_by_send_with_one_call() {
    let mut rig = Rig::new(64);
    rig.script(|script| script.writes.push_back(Ok(100)));
    rig.send(frame(&[b"hello"])).unwrap();
    rig.script(|script| assert_eq!(script.write_calls, 1));
    assert!(
        rig.channel.has_work(),
        "the completion must still be reported"
    );
    assert_eq!(
        rig.send(frame(&[b"more"])),
        Err(SendRefused::Busy),
        "its completion is not reported yet"
    );
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert_eq!(rig.events.completed_sends, [1]);
    rig.script(|script| script.writes.push_back(Ok(100)));
    rig.send(frame(&[b"more"])).unwrap();
}

#[test]
fn a_frame_of_which_no_byte_was_taken_is_untouched() {
    for (taken, untouched) in [(vec![], true), (vec![Ok(1)], false)] {
        let mut rig = Rig::new(64);
        rig.script(|script| {
            script
                .writes
                .extend(taken.into_iter().chain([Err(reset())]));
        });
        rig.send(frame(&[b"hello"])).unwrap();
        // The socket is read once more, for frames that arrived before the failure.
        let ChannelTurn::Ended(reason) = rig.turn() else {
            panic!("not ended")
        };
        rig.script(|script| assert_eq!(script.read_calls, 1));
        assert!(matches!(reason, CloseReason::Io(_)));
        assert_eq!(rig.channel.end(reason).last_frame_untouched, untouched);
    }
}

#[test]
fn a_frame_that_was_written_in_full_counts_as_touched_when_the_connection_ends() {
    let mut rig = Rig::new(64);
    rig.script(|script| {
        script.writes.push_back(Ok(100));
        script.reads.push_back(Ok(vec![]));
    });
    rig.send(frame(&[b"hello"])).unwrap();
    rig.channel.note(ENDING);
    let ChannelTurn::Ended(reason) = rig.turn() else {
        panic!("not ended")
    };
    assert_eq!(
        rig.events.completed_sends,
        [1],
        "reported before the disconnect"
    );
    assert!(!rig.channel.end(reason).last_frame_untouched);
}

/// SL-11: frames that arrived before a connection ends are still delivered. Differs: this also holds after a failed
/// write.
#[test]
fn frames_received_before_a_failed_write_are_delivered_first() {
    let mut rig = Rig::new(64);
    rig.script(|script| {
        script.writes.push_back(Err(reset()));
        script
            .reads
            .push_back(Ok([framed(b"one"), framed(b"two")].concat()));
        script.reads.push_back(Err(reset()));
    });
    rig.send(frame(&[b"hello"])).unwrap();
    assert!(!rig.channel.is_ready());
    for answer in ["one", "two"] {
        assert_eq!(rig.turn(), ChannelTurn::Again);
        assert_eq!(rig.events.completed_receives, [(1, Bytes::from(answer))]);
    }
    let ChannelTurn::Ended(reason) = rig.turn() else {
        panic!("not ended")
    };
    let end = rig.channel.end(reason);
    assert!(matches!(end.reason, CloseReason::Io(_)), "{end:?}");
    assert!(end.last_frame_untouched);
}

/// After a failed write, each turn still delivers one of the frames that have arrived (SL-12). A frame that is sent in
/// between is not written; when the channel has ended, it is reported as untouched (SL-10).
#[test]
fn a_frame_queued_on_a_closing_channel_is_reported_as_untouched() {
    let mut rig = Rig::new(64);
    rig.script(|script| {
        script.writes.extend([Ok(100), Err(reset())]);
        script
            .reads
            .push_back(Ok([framed(b"one"), framed(b"two")].concat()));
    });
    rig.channel.note(READABLE);
    rig.send(frame(&[b"first"])).unwrap();
    assert_eq!(rig.turn(), ChannelTurn::Again);
    rig.send(frame(&[b"fails"])).unwrap();
    assert_eq!(rig.send(frame(&[b"another"])), Err(SendRefused::Busy));
    assert_eq!(rig.turn(), ChannelTurn::Again);
    assert_eq!(rig.events.completed_receives.len(), 1);
    let ChannelTurn::Ended(reason) = rig.turn() else {
        panic!("not ended")
    };
    assert!(rig.channel.end(reason).last_frame_untouched);
}

#[test]
fn after_a_short_read_the_socket_counts_as_drained() {
    let mut rig = Rig::new(64);
    rig.script(|script| script.reads.push_back(Ok(framed(b"one"))));
    rig.channel.note(READABLE);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert_eq!(rig.events.completed_receives, [(1, Bytes::from("one"))]);
    rig.script(|script| assert_eq!(script.read_calls, 1));
}

/// The end of a stream has one event. If this event came together with the last bytes, a short read of these bytes must
/// be followed by another read.
#[test]
fn an_end_of_stream_reported_with_the_last_bytes_is_found() {
    let mut rig = Rig::new(64);
    rig.script(|script| script.reads.extend([Ok(framed(b"one")), Ok(vec![])]));
    rig.channel.note(ENDING);
    assert_eq!(rig.turn(), ChannelTurn::Again);
    assert_eq!(rig.events.completed_receives, [(1, Bytes::from("one"))]);
    assert_eq!(rig.turn(), ChannelTurn::Ended(CloseReason::ClosedByPeer));
}

#[test]
fn a_read_that_fills_the_buffer_is_followed_by_another() {
    let body = [5; 100];
    let stream = framed(&body);
    let mut rig = Rig::new(10);
    rig.script(|script| {
        script
            .reads
            .extend(stream.chunks(10).map(|part| Ok(part.to_vec())));
    });
    rig.channel.note(READABLE);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert_eq!(
        rig.events.completed_receives,
        [(1, Bytes::copy_from_slice(&body))]
    );
}

#[test]
fn a_large_frame_does_not_starve_other_connections() {
    let stream = framed(&[5; 500]);
    let mut rig = Rig::new(10);
    rig.script(|script| {
        script
            .reads
            .extend(stream.chunks(10).map(|part| Ok(part.to_vec())));
    });
    rig.channel.note(READABLE);
    let mut turns = 0;
    loop {
        let turn = rig.turn();
        turns += 1;
        if !rig.events.completed_receives.is_empty() {
            break;
        }
        assert_eq!(turn, ChannelTurn::Again);
    }
    assert_eq!(turns, stream.len().div_ceil(10 * READS_PER_TURN));
}

#[test]
fn interrupted_calls_are_retried() {
    let mut rig = Rig::connecting(64);
    rig.script(|script| {
        script.connects.extend([Err(interrupted()), Ok(true)]);
        script
            .reads
            .extend([Err(interrupted()), Ok(framed(b"one"))]);
    });
    rig.channel.note(ENDING);
    assert_eq!(rig.turn(), ChannelTurn::Again);
    assert_eq!(rig.events.connected, [1]);
    assert_eq!(rig.events.completed_receives, [(1, Bytes::from("one"))]);
}

#[test]
fn a_spurious_event_before_the_connection_is_established_is_ignored() {
    let mut rig = Rig::connecting(64);
    rig.script(|script| script.connects.extend([Ok(false), Ok(true)]));
    assert_eq!(rig.send(frame(&[b"x"])), Err(SendRefused::NoConnection));
    rig.channel.note(WRITABLE);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert!(rig.events.is_empty());
    rig.channel.note(WRITABLE);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert_eq!(rig.events.connected, [1]);
}

/// SL-19: the size of a frame is invalid if it is negative, or above the configured limit.
#[test]
fn an_invalid_length_closes_the_connection_after_the_frames_before_it() {
    for (len, what) in [(-1, "-1"), (1001, "1001")] {
        let mut rig = Rig::new(64);
        let stream = [framed(b"good"), i32::to_be_bytes(len).to_vec()].concat();
        rig.script(|script| script.reads.push_back(Ok(stream)));
        rig.channel.note(READABLE);
        assert_eq!(rig.turn(), ChannelTurn::Again);
        assert_eq!(rig.events.completed_receives, [(1, Bytes::from("good"))]);
        let ChannelTurn::Ended(CloseReason::BadFrame(text)) = rig.turn() else {
            panic!("{len}")
        };
        assert!(text.contains(what), "{text}");
    }
}

#[test]
fn a_frame_without_bytes_is_delivered() {
    let mut rig = Rig::new(64);
    rig.script(|script| script.reads.push_back(Ok(framed(b""))));
    rig.channel.note(READABLE);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert_eq!(rig.events.completed_receives, [(1, Bytes::new())]);
}

#[test]
fn a_frame_can_be_withdrawn_until_its_first_byte_is_written() {
    let mut rig = Rig::new(64);
    rig.send(frame(&[b"one"])).unwrap();
    assert!(rig.channel.is_send_untouched());
    assert!(rig.channel.withdraw_send());
    assert!(!rig.channel.is_send_untouched());
    rig.send(frame(&[b"two"])).unwrap();
    rig.script(|script| script.writes.push_back(Ok(1)));
    rig.channel.note(WRITABLE);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert!(!rig.channel.is_send_untouched());
    assert!(
        !rig.channel.withdraw_send(),
        "half a frame would be garbage"
    );
    rig.script(|script| script.writes.push_back(Ok(100)));
    rig.channel.note(WRITABLE);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert_eq!(rig.events.completed_sends, [1]);
    rig.script(|script| assert_eq!(script.written, framed(b"two")));
}
