//! Authentication exchanges on a channel: order of frames, re-authentication, failures.

use std::time::Duration;

use super::*;
use crate::network::authenticator::{AuthRefusal, AuthRefusalKind, AuthStep, Authenticator};
use crate::util::backoff::SHORTEST_BACKOFF;

/// Mock of TLS 1.3 after the handshake: the server has rejected the client's certificate, sent an alert and closed.
/// The client's first write fails; the alert is still in the stream.
struct Alerting;

impl Transport for Alerting {
    fn finish_connect(&mut self, _: &mut Readiness) -> Result<bool, TransportError> {
        Ok(true)
    }

    fn handshake(&mut self, _: &mut Readiness) -> Result<bool, TransportError> {
        Ok(true)
    }

    fn read(&mut self, _: &mut Readiness, _: &mut [u8]) -> Result<usize, TransportError> {
        Err(TransportError::Authentication("bad certificate".into()))
    }

    fn write_vectored(
        &mut self,
        _: &mut Readiness,
        _: &[IoSlice<'_>],
    ) -> Result<usize, TransportError> {
        Err(io::Error::from(io::ErrorKind::BrokenPipe).into())
    }

    fn has_pending_writes(&self) -> bool {
        false
    }

    fn flush(&mut self, _: &mut Readiness) -> Result<bool, TransportError> {
        Ok(true)
    }

    fn has_pending_input(&self) -> bool {
        false
    }

    fn shutdown(&mut self, _: &mut Readiness) {}
}

#[test]
fn an_authentication_failure_read_after_a_failed_write_is_the_close_reason() {
    let parts = ChannelParts {
        transport: Box::new(Alerting),
        authenticator: Box::new(NullAuthenticator),
    };
    let mut channel = KafkaChannel::new(1, parts, true, 1000, Instant::ORIGIN);
    let (mut events, mut scratch) = (PollEvents::default(), [0; 64]);
    assert_eq!(
        channel.turn(&mut scratch, at(0), &mut events),
        ChannelTurn::Wait
    );
    channel.send(frame(&[b"first"]), || at(0)).unwrap();
    assert_eq!(
        channel.turn(&mut scratch, at(0), &mut events),
        ChannelTurn::Ended(CloseReason::AuthenticationFailed(AuthRefusal {
            kind: AuthRefusalKind::Tls,
            reason: "bad certificate".into(),
        }))
    );
}

type Step = Result<AuthStep, AuthFailure>;

/// Mock authenticator with scripted steps. A frame that begins with `a` is for the authenticator.
struct Scheme {
    proceeds: VecDeque<Step>,
    receives: VecDeque<Step>,
}

impl Authenticator for Scheme {
    fn proceed(&mut self, _: Instant) -> Step {
        self.proceeds
            .pop_front()
            .expect("a call of proceed is scripted")
    }

    fn receive(&mut self, frame: &Bytes, _: Instant) -> Step {
        let step = self.receives.pop_front();
        step.unwrap_or_else(|| panic!("{frame:?} was not for it"))
    }

    fn is_answer(&self, frame: &Bytes) -> bool {
        frame.first() == Some(&b'a')
    }
}

fn at(secs: u64) -> Instant {
    Instant::ORIGIN + Duration::from_secs(secs)
}

fn complete(again: Deadline) -> AuthStep {
    AuthStep::Complete { again }
}

fn question() -> AuthStep {
    AuthStep::Send(frame(&[b"QUESTION"]))
}

fn rig(proceeds: impl IntoIterator<Item = Step>, receives: impl IntoIterator<Item = Step>) -> Rig {
    let mut rig = Rig::connecting(64);
    rig.channel.exchange.authenticator = Box::new(Scheme {
        proceeds: proceeds.into_iter().collect(),
        receives: receives.into_iter().collect(),
    });
    rig.channel.note(WRITABLE);
    rig
}

/// A channel that has just started re-authentication, before a frame that stays queued.
fn reauthenticating(second: Step, then: Vec<Step>, receives: Vec<Step>) -> Rig {
    let first = [Ok(complete(Deadline::At(Instant::ORIGIN))), second];
    let mut rig = rig(first.into_iter().chain(then), receives);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert_eq!(rig.events.connected, [1]);
    rig.send(frame(&[b"held back"])).unwrap();
    rig
}

#[test]
fn frames_are_delivered_before_a_failed_reauthentication_closes_the_connection() {
    for (failure, reason) in [
        (
            AuthFailure::Refused("no token".into()),
            CloseReason::AuthenticationFailed("no token".into()),
        ),
        (
            AuthFailure::Interrupted("its endpoint is down".into()),
            CloseReason::AuthenticationInterrupted("its endpoint is down".into()),
        ),
    ] {
        // The failure occurs during a pause, or in a response that another frame follows.
        let pause = Ok(AuthStep::Pause(Deadline::Never));
        let paused = reauthenticating(pause, vec![Err(failure.clone())], Vec::new());
        let asking = Ok(AuthStep::Receive);
        let answered = reauthenticating(asking, Vec::new(), vec![Err(failure)]);
        for (mut rig, stream) in [
            (paused, framed(b"one")),
            (answered, [framed(b"a"), framed(b"one")].concat()),
        ] {
            rig.script(|script| script.reads.push_back(Ok(stream)));
            rig.channel.note(READABLE);
            let mut delivered = Vec::new();
            let mut turns = 0;
            let ended = loop {
                let turn = rig.turn();
                delivered.append(&mut rig.events.completed_receives);
                turns += 1;
                assert!(turns < 10, "{turn:?}");
                if let ChannelTurn::Ended(reason) = turn {
                    break reason;
                }
            };
            assert_eq!(delivered, [(1, Bytes::from("one"))]);
            assert_eq!(ended, reason);
            assert!(rig.channel.end(ended).last_frame_untouched);
        }
    }
}

#[test]
fn an_authenticator_gets_no_frame_outside_an_exchange() {
    let mut rig = rig([Ok(complete(Deadline::Never))], []);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    rig.script(|script| {
        script.writes.extend([Ok(6), Err(blocked())]);
        script.reads.push_back(Ok(framed(b"a!")));
    });
    rig.send(frame(&[b"CLIENT"])).unwrap();
    rig.channel.note(READABLE);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert_eq!(rig.events.completed_receives, [(1, Bytes::from("a!"))]);
    rig.script(|script| script.writes.push_back(Ok(100)));
    rig.channel.note(WRITABLE);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    rig.script(|script| assert_eq!(script.written, framed(b"CLIENT")));
}

#[test]
fn a_response_before_the_request_is_written_in_full_closes_the_connection_and_no_frame_is_spliced()
{
    let mut rig = rig([Ok(question())], []);
    rig.script(|script| script.writes.extend([Ok(6), Err(blocked())]));
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    rig.script(|script| {
        script.reads.push_back(Ok(framed(b"a")));
        script.writes.push_back(Ok(100));
    });
    rig.channel.note(READABLE);
    rig.channel.note(WRITABLE);
    let turn = rig.turn();
    assert!(
        matches!(&turn, ChannelTurn::Ended(CloseReason::BadFrame(why)) if why.contains("in full")),
        "{turn:?}"
    );
    rig.script(|script| assert_eq!(script.written, framed(b"QUESTION")[..6]));
}

#[test]
fn an_early_response_in_a_reauthentication_closes_the_connection_after_earlier_frames_are_delivered()
 {
    let mut rig = reauthenticating(Ok(question()), Vec::new(), Vec::new());
    let stream = [framed(b"one"), framed(b"a")].concat();
    rig.script(|script| script.reads.push_back(Ok(stream)));
    rig.channel.note(READABLE);
    assert_eq!(rig.turn(), ChannelTurn::Again);
    assert_eq!(rig.events.completed_receives, [(1, Bytes::from("one"))]);
    assert_eq!(rig.turn(), ChannelTurn::Again);
    let turn = rig.turn();
    assert!(
        matches!(&turn, ChannelTurn::Ended(CloseReason::BadFrame(_))),
        "{turn:?}"
    );
}

#[test]
fn a_reauthentication_is_reported_when_it_starts_and_when_it_completes() {
    let asking = Ok(AuthStep::Receive);
    let answer = Ok(complete(Deadline::Never));
    let mut rig = reauthenticating(asking, Vec::new(), vec![answer]);
    assert!(rig.channel.has_work(), "no I/O event reports it");
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert_eq!(rig.events.authenticating_again, [1]);
    assert!(!rig.channel.is_ready());
    rig.script(|script| {
        script.reads.push_back(Ok(framed(b"a")));
        script.writes.push_back(Ok(100));
    });
    rig.channel.note(READABLE);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert_eq!(rig.events.authenticated_again, [1]);
    assert!(rig.events.connected.is_empty());
    assert_eq!(rig.events.completed_sends, [1]);
}

#[test]
fn a_pause_with_a_past_deadline_lasts_the_shortest_back_off() {
    let mut rig = rig([Ok(AuthStep::Pause(Deadline::At(Instant::ORIGIN)))], []);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert_eq!(
        rig.channel.paused_until(),
        Some(Deadline::after(Instant::ORIGIN, SHORTEST_BACKOFF))
    );
}

#[test]
fn a_connection_closed_during_a_pause_is_not_an_authentication_failure() {
    let mut rig = rig([(); 2].map(|()| Ok(AuthStep::Pause(Deadline::Never))), []);
    assert_eq!(rig.turn(), ChannelTurn::Wait);
    assert_eq!(rig.channel.waits_for(), Some("the broker"));
    rig.script(|script| script.reads.push_back(Ok(Vec::new())));
    rig.channel.note(READABLE);
    let ChannelTurn::Ended(CloseReason::AuthenticationInterrupted(why)) = rig.turn() else {
        panic!("it goes on, or ends for another reason")
    };
    assert!(why.contains("waited for the broker"), "{why}");
}

#[test]
fn an_unauthenticated_peer_may_not_send_large_frames() {
    for (is_over, len) in [(false, MAX_BYTES_BEFORE_READY + 1), (true, 1 << 22)] {
        let first = if is_over {
            Ok(complete(Deadline::Never))
        } else {
            Ok(AuthStep::Receive)
        };
        let mut rig = rig([first], []);
        let parts = ChannelParts {
            transport: Box::new(PlaintextTransport(rig.script.clone())),
            authenticator: rig.channel.exchange.authenticator,
        };
        rig.channel = KafkaChannel::new(1, parts, true, 1 << 22, at(0));
        let header = i32::try_from(len).unwrap().to_be_bytes();
        rig.script(|script| script.reads.push_back(Ok(header.to_vec())));
        rig.channel.note(READABLE);
        let is_taken = rig.turn() == ChannelTurn::Wait;
        assert_eq!(is_taken, is_over);
    }
}
