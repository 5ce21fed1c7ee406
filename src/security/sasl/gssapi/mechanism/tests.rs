use std::collections::VecDeque;

use std::time::Duration;

use super::super::GssapiClient;
use super::super::calls::KdcTurns;
use super::*;
use crate::clock::mock::MockClock;
use crate::security::sasl::dependencies::{SaslDependencies, Wake, Work, random_of_seed};
use crate::sync::{Mutex, Rank};
use crate::util::log::LogContext;

type Steps = VecDeque<Result<GssStep, GssFailure>>;

/// A context with prepared steps. A message for it is its content after an exclamation mark.
struct DoubleContext {
    steps: Steps,
    is_endless: bool,
}

impl GssContext for DoubleContext {
    fn step(&mut self, _token: Option<&[u8]>) -> Result<GssStep, GssFailure> {
        if self.is_endless {
            return Ok(GssStep::Continue(b"more".to_vec()));
        }
        self.steps.pop_front().expect("no further step")
    }

    fn open_message(&mut self, message: &[u8]) -> Result<Vec<u8>, GssFailure> {
        let content = message.strip_prefix(b"!").map(<[u8]>::to_vec);
        content.ok_or_else(|| failure(GssFailureKind::Permanent, "the signature is wrong"))
    }

    fn seal_message(&mut self, content: &[u8]) -> Result<Vec<u8>, GssFailure> {
        Ok([b"!", content].concat())
    }
}

fn failure(kind: GssFailureKind, text: &str) -> GssFailure {
    GssFailure {
        kind,
        text: text.to_owned(),
    }
}

type Queue = Arc<Mutex<VecDeque<Work>>>;

/// A client whose contexts take the steps of the script, one after another.
struct Rig {
    client: GssapiClient,
    /// Work that no helper thread has run yet.
    queue: Queue,
    /// The hosts for which contexts were made.
    hosts: Arc<Mutex<Vec<String>>>,
}

fn rig(script: Vec<Steps>, is_endless: bool, runs_at_once: bool) -> Rig {
    let queue: Queue = Arc::new(Mutex::new(Rank::LEAF, VecDeque::new()));
    let hosts = Arc::new(Mutex::new(Rank::LEAF, Vec::new()));
    let script = Mutex::new(Rank::LEAF, VecDeque::from(script));
    let asked = Arc::clone(&hosts);
    let open: OpenContext = Arc::new(move |host: &str| {
        asked.lock().push(host.to_owned());
        let steps = script.lock().pop_front().unwrap_or_default();
        Ok(Box::new(DoubleContext { steps, is_endless }) as Box<dyn GssContext>)
    });
    let queued = Arc::clone(&queue);
    let dependencies = SaslDependencies {
        run: Arc::new(move |work: Work| {
            if runs_at_once {
                work();
            } else {
                queued.lock().push_back(work);
            }
            Ok(())
        }),
        wake: Arc::new(Wake::default()),
        random: random_of_seed(1),
        clock: Arc::new(MockClock::new()),
        log: LogContext::for_tests(),
        seed: 0,
    };
    Rig {
        client: GssapiClient::with(
            open,
            dependencies,
            KdcTurns::new(Arc::new(MockClock::new())),
        ),
        queue,
        hosts,
    }
}

impl Rig {
    fn at_once(script: Vec<Steps>) -> Self {
        rig(script, false, true)
    }

    fn start(&self) -> GssapiMechanism {
        self.client.start(&Arc::from("broker-1"))
    }

    fn run_one(&self) {
        let work = self.queue.lock().pop_front();
        work.expect("work")();
    }
}

/// The steps of Kerberos: a ticket, and the broker's proof.
fn kerberos() -> Steps {
    Steps::from([
        Ok(GssStep::Continue(b"ticket".to_vec())),
        Ok(GssStep::Established(Vec::new())),
    ])
}

#[track_caller]
fn sent(step: Result<MechanismStep, MechanismFailure>) -> Vec<u8> {
    match step {
        Ok(MechanismStep::Send(token)) => token.expose().to_vec(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn sent_last(step: Result<MechanismStep, MechanismFailure>) -> Vec<u8> {
    match step {
        Ok(MechanismStep::SendLast(token)) => token.expose().to_vec(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(step: Result<MechanismStep, MechanismFailure>) -> String {
    match step {
        Err(MechanismFailure::Refused(MechanismRefusal::Credentials, why)) => why,
        other => panic!("{other:?}"),
    }
}

/// A refusal that other credentials would not change.
#[track_caller]
fn violation(step: Result<MechanismStep, MechanismFailure>) -> String {
    match step {
        Err(MechanismFailure::Refused(MechanismRefusal::Protocol, why)) => why,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn interrupted(step: Result<MechanismStep, MechanismFailure>) -> String {
    match step {
        Err(MechanismFailure::Interrupted(why)) => why,
        other => panic!("{other:?}"),
    }
}

const NOW: Instant = Instant::ORIGIN;

/// An exchange up to the broker's offer of security layers.
fn established(rig: &Rig) -> GssapiMechanism {
    let mut mechanism = rig.start();
    assert_eq!(sent(mechanism.proceed(NOW)), b"ticket");
    assert_eq!(sent(mechanism.evaluate(b"proof", NOW)), b"");
    mechanism
}

#[test]
fn an_exchange_establishes_a_context_and_then_chooses_no_security_layer() {
    let rig = Rig::at_once(vec![kerberos()]);
    let mut mechanism = established(&rig);
    let reply = sent_last(mechanism.evaluate(b"!\x01\x01\x00\x00", NOW));
    assert_eq!(reply, b"!\x01\x00\x00\x00");
    let end = mechanism.evaluate(b"", NOW);
    assert!(matches!(end, Ok(MechanismStep::Complete)), "{end:?}");
    assert_eq!(*rig.hosts.lock(), ["broker-1"]);
}

/// With a mechanism of one token.
#[test]
fn a_context_may_be_established_by_the_first_step() {
    let only = Steps::from([Ok(GssStep::Established(b"ticket".to_vec()))]);
    let rig = Rig::at_once(vec![only]);
    let mut mechanism = rig.start();
    assert_eq!(sent(mechanism.proceed(NOW)), b"ticket");
    // The broker acknowledges with an empty token before it offers layers.
    assert_eq!(sent(mechanism.evaluate(b"", NOW)), b"");
    sent_last(mechanism.evaluate(b"!\x07\xff\xff\xff", NOW));
}

#[test]
fn a_broker_that_offers_no_connection_without_a_security_layer_is_refused() {
    let rig = Rig::at_once(vec![kerberos(), kerberos(), kerberos()]);
    for (offer, words) in [
        (&b"!\x06\x01\x00\x00"[..], "demands a security layer"),
        (b"!\x01\x00", "2 bytes instead of 4"),
        (b"\x01\x01\x00\x00", "the signature is wrong"),
    ] {
        let why = violation(established(&rig).evaluate(offer, NOW));
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn a_broker_that_sends_tokens_without_end_is_refused() {
    let rig = rig(Vec::new(), true, true);
    let mut mechanism = rig.start();
    sent(mechanism.proceed(NOW));
    for _ in 0..MAX_TOKENS {
        sent(mechanism.evaluate(b"more", NOW));
    }
    let why = violation(mechanism.evaluate(b"more", NOW));
    assert!(why.contains("more than 8 tokens"), "{why}");
}

#[test]
fn a_broker_that_never_offers_layers_is_refused() {
    let rig = Rig::at_once(vec![kerberos()]);
    let mut mechanism = established(&rig);
    for _ in 1..MAX_TOKENS {
        sent(mechanism.evaluate(b"", NOW));
    }
    violation(mechanism.evaluate(b"", NOW));
}

#[test]
fn a_connection_waits_while_the_library_asks_the_kdc() {
    let rig = rig(vec![kerberos(), kerberos()], false, false);
    let (mut first, mut second) = (rig.start(), rig.start());
    let waits = |step: Result<MechanismStep, MechanismFailure>, event: &str, until| match step {
        Ok(MechanismStep::Wait(what, at)) => assert_eq!((what, at), (event, until)),
        other => panic!("{other:?}"),
    };
    let next_turn = Deadline::after(NOW, Duration::from_secs(30));
    for _ in 0..3 {
        waits(first.proceed(NOW), WAITS_FOR_TICKET, Deadline::Never);
        // Its turn comes after the first one.
        waits(second.proceed(NOW), WAITS_FOR_TURN, next_turn);
    }
    assert_eq!(rig.queue.lock().len(), 1);
    rig.run_one();
    assert_eq!(sent(first.proceed(NOW)), b"ticket");
    waits(second.proceed(NOW), WAITS_FOR_TICKET, Deadline::Never);
    rig.run_one();
    assert_eq!(sent(second.proceed(NOW)), b"ticket");
    // The proof is checked on a helper thread too.
    let wait = first.evaluate(b"proof", NOW);
    waits(wait, WAITS_FOR_CHECK, Deadline::Never);
    rig.run_one();
    assert_eq!(sent(first.proceed(NOW)), b"");
}

#[test]
fn a_frame_that_arrives_during_a_call_is_unexpected() {
    let rig = rig(vec![kerberos()], false, false);
    let mut mechanism = rig.start();
    let wait = mechanism.proceed(NOW);
    assert!(matches!(wait, Ok(MechanismStep::Wait(..))), "{wait:?}");
    interrupted(mechanism.evaluate(b"early", NOW));
}

#[test]
fn a_closed_connection_does_not_wait_for_its_call() {
    let rig = rig(vec![kerberos(), kerberos()], false, false);
    let mut mechanism = rig.start();
    drop(mechanism.proceed(NOW));
    drop(mechanism);
    // The call ends later; nobody needs its result.
    rig.run_one();
    let mut next = rig.start();
    drop(next.proceed(NOW));
    rig.run_one();
    assert_eq!(sent(next.proceed(NOW)), b"ticket");
}

/// Transient errors of Kerberos are retried, as in Java.
#[test]
fn a_transient_failure_is_retried_and_others_are_reported_at_once() {
    let failing = |kind| Steps::from([Err(failure(kind, "the library's words"))]);
    let rig = Rig::at_once(vec![
        failing(GssFailureKind::Permanent),
        failing(GssFailureKind::Transient),
        // There has never been a ticket: the configuration is wrong.
        failing(GssFailureKind::NoCredentials),
        kerberos(),
        failing(GssFailureKind::NoCredentials),
    ]);
    let mut all = vec![
        refused(rig.start().proceed(NOW)),
        interrupted(rig.start().proceed(NOW)),
        refused(rig.start().proceed(NOW)),
    ];
    established(&rig);
    all.push(interrupted(rig.start().proceed(NOW)));
    for why in all {
        assert!(why.contains("broker-1: the library's words"), "{why}");
    }
}

#[test]
fn a_broker_that_cannot_prove_its_identity_is_refused() {
    let rig = Rig::at_once(vec![Steps::from([
        Ok(GssStep::Continue(b"ticket".to_vec())),
        Err(failure(GssFailureKind::Permanent, "Wrong key")),
    ])]);
    let mut mechanism = rig.start();
    sent(mechanism.proceed(NOW));
    refused(mechanism.evaluate(b"forged", NOW));
}
