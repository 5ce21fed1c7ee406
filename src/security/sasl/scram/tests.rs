use std::collections::VecDeque;
use std::io;

use super::*;
use crate::clock::mock::MockClock;
use crate::config::Password;
use crate::security::sasl::dependencies::{Wake, Work};
use crate::sync::{Mutex, Rank};
use crate::util::log::LogContext;

const NOW: Instant = Instant::ORIGIN;

/// The work of the helper thread, queued until the test runs it.
#[derive(Clone)]
struct DeferredWork(Arc<Mutex<VecDeque<Work>>>);

impl DeferredWork {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Rank::LEAF, VecDeque::new())))
    }

    fn run_one(&self) -> bool {
        let work = self.0.lock().pop_front();
        work.map(|work| work()).is_some()
    }
}

fn dependencies(deferred: &DeferredWork, nonce: &'static [u8; NONCE_BYTES]) -> SaslDependencies {
    let queue = deferred.clone();
    SaslDependencies {
        run: Arc::new(move |work| {
            queue.0.lock().push_back(work);
            Ok(())
        }),
        wake: Arc::new(Wake::default()),
        random: Arc::new(|bytes| {
            bytes.copy_from_slice(nonce);
            Ok(())
        }),
        clock: Arc::new(MockClock::new()),
        log: LogContext::for_tests(),
        seed: 0,
    }
}

fn client(hash: ScramHash, deferred: &DeferredWork) -> ScramClient {
    let credentials = Credentials {
        username: "user".to_owned(),
        password: Password::new("pencil"),
    };
    ScramClient::new(
        hash,
        &credentials,
        false,
        dependencies(deferred, &[0; NONCE_BYTES]),
    )
}

fn sent(step: Result<MechanismStep, MechanismFailure>) -> String {
    match step {
        Ok(MechanismStep::Send(token)) => String::from_utf8(token.expose().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn refusal(step: Result<MechanismStep, MechanismFailure>) -> String {
    match step {
        Err(MechanismFailure::Refused(_, why)) => why,
        other => panic!("{other:?}"),
    }
}

/// The nonce of [`client`].
const NONCE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A mechanism that has sent the client's first message.
fn begun(deferred: &DeferredWork) -> ScramMechanism {
    let mut mechanism = client(ScramHash::Sha256, deferred).start();
    let first = sent(mechanism.proceed(NOW));
    assert_eq!(first, format!("n,,n=user,r={NONCE}"));
    mechanism
}

/// The example of RFC 7677, section 3. The test begins with the server's first message, because the client's nonce in
/// the example is unlike those that this client generates.
#[test]
fn the_example_of_the_rfc_matches() {
    let deferred = DeferredWork::new();
    let nonce = "rOprNGfwEbeRWgbNEkqO";
    let mut mechanism = client(ScramHash::Sha256, &deferred).start();
    mechanism.state = ScramState::First {
        bare: format!("n=user,r={nonce}"),
        nonce: nonce.to_owned(),
    };
    let first =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    let step = mechanism.evaluate(first.as_bytes(), NOW);
    assert!(matches!(step, Ok(MechanismStep::Wait(..))), "{step:?}");
    assert!(matches!(
        mechanism.proceed(NOW),
        Ok(MechanismStep::Wait(..))
    ));
    assert!(deferred.run_one() && !deferred.run_one());
    assert_eq!(
        sent(mechanism.proceed(NOW)),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    let last = mechanism.evaluate(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", NOW);
    assert!(matches!(last, Ok(MechanismStep::Complete)), "{last:?}");
}

/// There are no published test vectors for SHA-512. Here both sides are those of this library; `tests/kafka` tests the
/// client with Kafka's server.
#[test]
fn client_and_server_authenticate_each_other_with_both_hash_functions() {
    for hash in [ScramHash::Sha256, ScramHash::Sha512] {
        let deferred = DeferredWork::new();
        let mut mechanism = client(hash, &deferred).start();
        let first = sent(mechanism.proceed(NOW));
        let server_first = format!("r={NONCE}xyz,s={},i=5000", base64::encode(b"salt"));
        let _ = mechanism.evaluate(server_first.as_bytes(), NOW);
        assert!(deferred.run_one());
        let last = sent(mechanism.proceed(NOW));
        let (without_proof, proof) = last.rsplit_once(",p=").unwrap();
        let message = format!("{},{server_first},{without_proof}", &first[3..]);
        let keys = ScramKeys::derive(hash, b"pencil", b"salt", 5000);
        let proof = base64::decode(proof).unwrap();
        let signature = keys
            .check(hash, message.as_bytes(), &proof)
            .expect("the proof is right");
        assert!(keys.check(hash, b"another", &proof).is_none());
        let answer = format!("v={}", base64::encode(&signature));
        let step = mechanism.evaluate(answer.as_bytes(), NOW);
        assert!(matches!(step, Ok(MechanismStep::Complete)), "{step:?}");
    }
}

#[test]
fn keys_are_derived_once_for_all_brokers_and_again_for_another_salt() {
    let deferred = DeferredWork::new();
    let client = client(ScramHash::Sha256, &deferred);
    let reach = |salt: &[u8]| {
        let mut mechanism = client.start();
        sent(mechanism.proceed(NOW));
        let first = format!("r={NONCE}x,s={},i=4096", base64::encode(salt));
        let step = mechanism.evaluate(first.as_bytes(), NOW);
        (mechanism, matches!(step, Ok(MechanismStep::Wait(..))))
    };
    let (mut one, waits) = reach(b"a");
    assert!(waits);
    let (mut other, waits) = reach(b"a");
    assert!(waits, "it is derived already");
    let (_, waits) = reach(b"b");
    assert!(waits);
    let (mut late, waits) = reach(b"c");
    assert!(waits);
    assert!(deferred.run_one());
    sent(one.proceed(NOW));
    sent(other.proceed(NOW));
    assert!(deferred.run_one() && !deferred.run_one(), "two at once");
    assert!(matches!(late.proceed(NOW), Ok(MechanismStep::Wait(..))));
    assert!(deferred.run_one());
    sent(late.proceed(NOW));
    let (_, waits) = reach(b"a");
    assert!(!waits && !deferred.run_one());
}

/// Java: `ScramSaslClient`, `MIN_ITERATIONS`
#[test]
fn iterations_have_a_lower_and_an_upper_bound() {
    let deferred = DeferredWork::new();
    for (iterations, expected) in [
        ("4095", "fewer than 4096"),
        ("0", "fewer than 4096"),
        ("1000001", "no more than 1000000"),
        ("2147483647", "no more than 1000000"),
        ("99999999999999999999", "no more than 1000000"),
    ] {
        let first = format!("r={NONCE}x,s=Zm9v,i={iterations}");
        let why = refusal(begun(&deferred).evaluate(first.as_bytes(), NOW));
        assert!(why.contains(expected), "{why}");
    }
    assert!(!deferred.run_one(), "nothing was begun");
}

#[test]
fn a_first_message_with_another_nonce_a_long_salt_or_a_wrong_form_is_rejected() {
    let deferred = DeferredWork::new();
    for nonce in ["x", "AAAA", NONCE, &NONCE.to_lowercase()] {
        let first = format!("r={nonce},s=Zm9v,i=4096");
        let why = refusal(begun(&deferred).evaluate(first.as_bytes(), NOW));
        assert!(why.contains("nonce"), "{nonce}: {why}");
    }
    let salt = base64::encode(&[7; MAX_SALT_BYTES + 1]);
    let first = format!("r={NONCE}x,s={salt},i=4096");
    let why = refusal(begun(&deferred).evaluate(first.as_bytes(), NOW));
    assert!(why.contains("salt"), "{why}");
    for token in [&b""[..], b"v=Zm9v", b"\xff\xfe"] {
        let why = refusal(begun(&deferred).evaluate(token, NOW));
        assert!(why.contains("first message"), "{why}");
    }
}

/// A mechanism that has sent the proof.
fn proved(deferred: &DeferredWork) -> ScramMechanism {
    let mut mechanism = begun(deferred);
    let first = format!("r={NONCE}x,s=Zm9v,i=4096");
    let _ = mechanism.evaluate(first.as_bytes(), NOW);
    while deferred.run_one() {}
    sent(mechanism.proceed(NOW));
    mechanism
}

/// Java: `ScramSaslClient`, "Invalid server signature"
#[test]
fn a_broker_that_does_not_know_the_password_is_refused() {
    let deferred = DeferredWork::new();
    let forged = format!("v={}", base64::encode(&[7; 32]));
    let why = refusal(proved(&deferred).evaluate(forged.as_bytes(), NOW));
    assert!(why.contains("did not prove"), "{why}");
    let why = refusal(proved(&deferred).evaluate(b"v=", NOW));
    assert!(why.contains("did not prove"), "{why}");
    let why = refusal(proved(&deferred).evaluate(b"e=invalid-proof", NOW));
    assert!(why.ends_with("invalid-proof"), "{why}");
    let why = refusal(proved(&deferred).evaluate(b"", NOW));
    assert!(why.contains("final message"), "{why}");
}

#[test]
fn an_unexpected_message_is_rejected() {
    let deferred = DeferredWork::new();
    let mut waits = begun(&deferred);
    let first = format!("r={NONCE}x,s=Zm9v,i=4096");
    let _ = waits.evaluate(first.as_bytes(), NOW);
    let again = waits.evaluate(first.as_bytes(), NOW);
    assert!(
        matches!(again, Err(MechanismFailure::Interrupted(_))),
        "{again:?}"
    );
}

#[test]
fn a_delegation_token_sends_tokenauth_and_names_are_escaped() {
    let credentials = Credentials {
        username: "a=b,c".to_owned(),
        password: Password::new("x"),
    };
    let dependencies = dependencies(&DeferredWork::new(), &[0; NONCE_BYTES]);
    let client = ScramClient::new(ScramHash::Sha512, &credentials, true, dependencies);
    let first = sent(client.start().proceed(NOW));
    assert_eq!(first, format!("n,,n=a=3Db=2Cc,r={NONCE},tokenauth=true"));
}

#[test]
fn a_lack_of_random_numbers_or_threads_is_a_transient_failure() {
    let deferred = DeferredWork::new();
    let mut client = client(ScramHash::Sha256, &deferred);
    client.dependencies.random = Arc::new(|_| Err(io::ErrorKind::Other.into()));
    let step = client.start().proceed(NOW);
    assert!(
        matches!(step, Err(MechanismFailure::Interrupted(_))),
        "{step:?}"
    );
    let mut without_threads = dependencies(&deferred, &[0; NONCE_BYTES]);
    without_threads.run = Arc::new(|_| Err(io::ErrorKind::OutOfMemory.into()));
    let credentials = Credentials {
        username: "user".to_owned(),
        password: Password::new("x"),
    };
    let client = ScramClient::new(ScramHash::Sha256, &credentials, false, without_threads);
    let mut mechanism = client.start();
    sent(mechanism.proceed(NOW));
    let first = format!("r={NONCE}x,s=Zm9v,i=4096");
    let step = mechanism.evaluate(first.as_bytes(), NOW);
    let Err(MechanismFailure::Interrupted(why)) = step else {
        panic!("{step:?}");
    };
    assert!(why.contains("no thread"), "{why}");
}
