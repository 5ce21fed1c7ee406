use std::collections::VecDeque;
use std::io;

use super::*;
use crate::clock::Clock;
use crate::clock::mock::MockClock;
use crate::security::sasl::dependencies::{Wake, Work};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::util::log::LogContext;

const SECS: fn(u64) -> Duration = Duration::from_secs;

/// A login with scripted tokens. The test runs the work of the helper thread itself.
struct Rig {
    login: Arc<Login>,
    clock: Arc<MockClock>,
    work: Arc<Mutex<VecDeque<Work>>>,
    answers: Arc<Mutex<VecDeque<Result<OAuthBearerToken, String>>>>,
    wake: Arc<Wake>,
    woken: Arc<AtomicUsize>,
}

const TIMES: RefreshTimes = RefreshTimes {
    window_factor: 0.8,
    window_jitter: 0.0,
    min_period: SECS_60,
    buffer: SECS_300,
};
const SECS_60: Duration = Duration::from_secs(60);
const SECS_300: Duration = Duration::from_secs(300);

impl Rig {
    fn new() -> Self {
        let clock = Arc::new(MockClock::new());
        let work = Arc::new(Mutex::new(Rank::LEAF, VecDeque::new()));
        let answers = Arc::new(Mutex::new(Rank::LEAF, VecDeque::new()));
        let woken = Arc::new(AtomicUsize::new(0));
        let wake = Arc::new(Wake::default());
        let count = Arc::clone(&woken);
        wake.attach(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let (queue, given) = (Arc::clone(&work), Arc::clone(&answers));
        let dependencies = SaslDependencies {
            run: Arc::new(move |work| {
                queue.lock().push_back(work);
                Ok(())
            }),
            wake: Arc::clone(&wake),
            random: Arc::new(|_| Err(io::ErrorKind::Other.into())),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            log: LogContext::for_tests(),
            seed: 0,
        };
        let fetch: FetchToken = Arc::new(move || {
            let answer = given.lock().pop_front();
            answer.expect("a token is asked for once")
        });
        Self {
            login: Login::new(fetch, TIMES, dependencies),
            clock,
            work,
            answers,
            wake,
            woken,
        }
    }

    fn poll(&self) -> Option<Duration> {
        let now = self.clock.now();
        self.login.poll(now).remaining(now)
    }

    fn state(&self) -> TokenState {
        self.login.token(self.clock.now())
    }

    fn is_awaited(&self) -> bool {
        matches!(self.state(), TokenState::Awaited)
    }

    /// Completes the fetch on the helper thread.
    fn answer(&self, answer: Result<OAuthBearerToken, String>) {
        self.answers.lock().push_back(answer);
        let woken = self.woken.load(Ordering::Relaxed);
        let work = self.work.lock().pop_front().expect("a token is asked for");
        work();
        assert_eq!(self.woken.load(Ordering::Relaxed), woken + 1);
    }

    fn token(&self) -> Arc<OAuthBearerToken> {
        match self.state() {
            TokenState::Valid(token) => token,
            other => panic!("{other:?}"),
        }
    }

    fn failure(&self) -> String {
        match self.state() {
            TokenState::Failed(why) => why.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

fn token(seconds: u64) -> OAuthBearerToken {
    OAuthBearerToken::new("token", SECS(seconds))
}

#[test]
fn a_token_is_fetched_in_advance_and_once_for_all_connections() {
    let rig = Rig::new();
    assert_eq!(rig.poll(), None, "the answer wakes the loop");
    assert!(rig.is_awaited() && rig.is_awaited());
    assert_eq!(rig.work.lock().len(), 1);
    rig.answer(Ok(token(3600)));
    rig.token();
    assert!(rig.work.lock().is_empty());
}

/// Java: ExpiringCredentialRefreshingLoginTest#testRefresh
#[test]
fn a_token_is_refreshed_while_it_is_valid() {
    let rig = Rig::new();
    rig.poll();
    rig.answer(Ok(token(3600)));
    assert_eq!(rig.poll(), Some(SECS(2880)));
    let first = rig.token();
    rig.clock.advance(SECS(2880));
    assert_eq!(rig.poll(), None);
    assert!(Arc::ptr_eq(&rig.token(), &first), "it is valid still");
    rig.answer(Ok(token(3600)));
    assert!(!Arc::ptr_eq(&rig.token(), &first));
    assert_eq!(rig.poll(), Some(SECS(2880)));
}

/// Java: ExpiringCredentialRefreshingLoginTest#testRefreshWithMinPeriodIntrusion,
/// testRefreshWithPreExpirationBufferIntrusion, testRefreshWithExpirationSmallerThanConfiguredBuffers
#[test]
fn a_refresh_respects_minimum_period_and_buffer_if_the_lifetime_allows() {
    let after = |valid_for, random| TIMES.after(SECS(valid_for), random);
    assert_eq!(after(3600, 0.9), SECS(2880));
    assert_eq!(after(1000, 0.9), SECS(700), "300 s before its end");
    assert_eq!(
        after(359, 0.0),
        SECS(359).mul_f64(0.8),
        "no room for either"
    );
    let early = RefreshTimes {
        min_period: SECS(900),
        buffer: SECS(0),
        ..TIMES
    };
    assert_eq!(early.after(SECS(1000), 0.0), SECS(900));
    let jitter = RefreshTimes {
        window_jitter: 0.25,
        window_factor: 1.0,
        ..TIMES
    };
    assert_eq!(jitter.after(SECS(100), 0.99), SECS(100));
    assert!(TIMES.after(Duration::MAX, 0.99) < MAX_LIFETIME);
}

/// Java: ExpiringCredentialRefreshingLoginTest#testLoginExceptionCausesCorrectSleepTime
#[test]
fn a_failed_refresh_is_retried_and_the_old_token_used_while_valid() {
    let rig = Rig::new();
    rig.poll();
    rig.answer(Ok(token(100)));
    rig.clock.advance(SECS(80));
    rig.poll();
    rig.answer(Err("the endpoint is down".to_owned()));
    rig.token();
    assert_eq!(rig.poll(), Some(SECS(10)));
    rig.clock.advance(SECS(20));
    assert!(
        rig.is_awaited(),
        "it has ended, and the next attempt is due"
    );
    rig.answer(Err("the endpoint is down".to_owned()));
    assert_eq!(rig.failure(), "the endpoint is down");
    assert_eq!(rig.poll(), Some(SECS(1)));
    rig.clock.advance(SECS(1));
    assert!(rig.is_awaited());
    rig.answer(Ok(token(100)));
    rig.token();
}

#[test]
fn a_failed_refresh_is_retried_no_later_than_the_token_ends() {
    let rig = Rig::new();
    rig.poll();
    rig.answer(Ok(token(30)));
    rig.clock.advance(SECS(24));
    rig.poll();
    rig.answer(Err("the endpoint is down".to_owned()));
    assert_eq!(
        rig.poll(),
        Some(SECS(6)),
        "the rest of the token's lifetime"
    );
    rig.clock.advance(SECS(6));
    assert!(rig.is_awaited());
    rig.answer(Ok(token(30)));
    rig.token();
    // Just before the end of the token the minimum pause applies.
    rig.clock.advance(Duration::from_millis(29_900));
    rig.poll();
    rig.answer(Err("the endpoint is down".to_owned()));
    rig.clock.advance(Duration::from_millis(100));
    assert_eq!(rig.failure(), "the endpoint is down");
    assert_eq!(rig.poll(), Some(Duration::from_millis(900)));
}

#[test]
fn a_failure_of_the_provider_is_kept_on_one_line_and_truncated() {
    let rig = Rig::new();
    rig.poll();
    rig.answer(Err(format!("503\n{}", "x".repeat(10_000_000))));
    let why = rig.failure();
    assert!(
        why.starts_with("503\\nxxx") && why.len() < 1100,
        "{}",
        why.len()
    );
}

#[test]
fn an_invalid_or_expired_token_is_rejected() {
    let rig = Rig::new();
    rig.poll();
    rig.answer(Ok(OAuthBearerToken::new("a b", SECS(100))));
    assert!(rig.failure().contains("blanks"));
    rig.clock.advance(SECS(1));
    assert!(rig.is_awaited());
    rig.answer(Ok(token(0)));
    assert!(rig.failure().contains("ended"));
}

#[test]
fn short_lived_tokens_are_fetched_with_a_pause() {
    let rig = Rig::new();
    rig.poll();
    for _ in 0..3 {
        rig.answer(Ok(OAuthBearerToken::new("token", Duration::from_millis(1))));
        rig.clock.advance(Duration::from_millis(2));
        assert!(rig.is_awaited());
        assert!(rig.work.lock().is_empty());
        let pause = rig.poll().unwrap();
        assert!(pause > Duration::from_millis(900), "{pause:?}");
        rig.clock.advance(SECS(1));
        rig.poll();
    }
}

#[test]
fn a_token_that_expires_while_it_is_fetched_is_rejected_with_an_error() {
    let rig = Rig::new();
    rig.poll();
    rig.clock.advance(SECS(30));
    rig.answer(Ok(token(30)));
    let why = rig.failure();
    assert!(why.contains("expired when it arrived"), "{why}");
    rig.clock.advance(SECS(1));
    rig.poll();
    rig.answer(Ok(token(100)));
    let before = rig.token();
    rig.clock.advance(SECS(80));
    rig.poll();
    rig.clock.advance(SECS(10));
    rig.answer(Ok(token(5)));
    assert!(
        Arc::ptr_eq(&rig.token(), &before),
        "the one before is valid"
    );
}

/// Fetches run user code: the provider, or the cryptography provider of TLS.
#[test]
fn a_panic_inside_a_fetch_is_a_failure_that_is_retried() {
    let rig = Rig::new();
    rig.poll();
    // Without an answer the function of the rig panics.
    let work = rig.work.lock().pop_front().expect("a token is asked for");
    work();
    let why = rig.failure();
    assert!(why.contains("a token is asked for once"), "{why}");
    assert_eq!(rig.poll(), Some(SECS(1)));
    rig.clock.advance(SECS(1));
    assert!(rig.is_awaited());
    rig.answer(Ok(token(100)));
    rig.token();
}

#[test]
fn the_pause_between_failures_is_doubled_up_to_a_minute_until_there_is_a_token() {
    let rig = Rig::new();
    for pause in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        assert_eq!(rig.poll(), None);
        rig.answer(Err("401".to_owned()));
        assert_eq!(rig.poll(), Some(SECS(pause)));
        rig.clock.advance(SECS(pause));
    }
    rig.poll();
    rig.answer(Ok(token(100)));
    rig.clock.advance(SECS(100));
    assert!(rig.is_awaited());
    rig.answer(Err("401".to_owned()));
    assert_eq!(rig.poll(), Some(SECS(1)), "it begins anew");
}

#[test]
fn a_fetch_is_told_when_its_login_is_gone() {
    let rig = Rig::new();
    rig.poll();
    assert!(!rig.wake.is_closed());
    let Rig {
        login, wake, work, ..
    } = rig;
    drop(login);
    assert!(wake.is_closed());
    let fetch = work.lock().pop_front().expect("it is running");
    fetch();
}

/// A failure is logged once, which its text decides.
#[test]
fn a_token_that_expires_on_its_way_fails_with_the_same_text_each_time() {
    let rig = Rig::new();
    rig.poll();
    rig.clock.advance(SECS(30));
    rig.answer(Ok(token(30)));
    let first = rig.failure();
    rig.clock.advance(SECS(1));
    rig.poll();
    rig.clock.advance(SECS(45));
    rig.answer(Ok(token(40)));
    assert_eq!(rig.failure(), first);
}

#[test]
fn a_rejected_token_is_refreshed_but_not_repeatedly() {
    let rig = Rig::new();
    rig.poll();
    rig.answer(Ok(token(3600)));
    let first = rig.token();
    rig.login.refused(&first, rig.clock.now());
    assert_eq!(rig.poll(), Some(SECS(10)));
    rig.clock.advance(SECS(10));
    assert_eq!(rig.poll(), None);
    rig.login.refused(&first, rig.clock.now());
    rig.answer(Ok(token(3600)));
    rig.login.refused(&first, rig.clock.now());
    assert_eq!(rig.poll(), Some(SECS(2880)), "that was another");
}
