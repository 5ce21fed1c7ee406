//! The OAUTHBEARER token of a producer: fetched in advance and refreshed before it expires, on a helper thread.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::dependencies::SaslDependencies;
use super::token::OAuthBearerToken;
use crate::clock::{Deadline, Instant};
use crate::config::ProducerConfig;
use crate::planted::planted;
use crate::sync::{Mutex, Rank};
use crate::util::foreign_text::printable_start;
use crate::util::log;
use crate::util::panic::contain;

/// Fetches a token; may block. The error is the reason as text.
pub(crate) type FetchToken = Arc<dyn Fn() -> Result<OAuthBearerToken, String> + Send + Sync>;

/// Retry interval of a failed refresh while the previous token is still valid, shortened to the end of that token:
/// Kafka's `DELAY_SECONDS_BEFORE_NEXT_RETRY_WHEN_RELOGIN_FAILS`. Also the minimum age of a token before a broker's
/// rejection triggers a refresh.
const RETRY: Duration = Duration::from_secs(10);
/// Retry interval after the first failure without a valid token. Each further failure doubles it.
const RETRY_WITHOUT_TOKEN: Duration = Duration::from_secs(1);
/// Longest retry interval while there is no valid token: a refusal may be permanent.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Upper bound of a token's lifetime, against overflow in the arithmetic with it.
const MAX_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The keys `sasl.login.refresh.*`: when a token is refreshed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefreshTimes {
    window_factor: f64,
    window_jitter: f64,
    min_period: Duration,
    buffer: Duration,
}

impl RefreshTimes {
    pub(crate) fn of(config: &ProducerConfig) -> Self {
        Self {
            window_factor: config.sasl_login_refresh_window_factor(),
            window_jitter: config.sasl_login_refresh_window_jitter(),
            min_period: config.sasl_login_refresh_min_period(),
            buffer: config.sasl_login_refresh_buffer(),
        }
    }

    /// The time from the request of a token to its refresh; `random` is uniform in `[0, 1)`.
    ///
    /// # Kafka
    /// `ExpiringCredentialRefreshingLogin#refreshMs`.
    fn after(&self, valid_for: Duration, random: f64) -> Duration {
        let valid_for = valid_for.min(MAX_LIFETIME);
        let proposed = valid_for.mul_f64(self.window_factor + self.window_jitter * random);
        if self.min_period + self.buffer > valid_for {
            // The lifetime is too short for both margins. As in Kafka both are then ignored.
            return proposed.min(valid_for);
        }
        let latest = valid_for.saturating_sub(self.buffer);
        if proposed > latest {
            latest
        } else {
            proposed.max(self.min_period)
        }
    }
}

/// The state of the token, as a connection sees it.
#[derive(Debug, Clone)]
pub(crate) enum TokenState {
    /// The token is valid.
    Valid(Arc<OAuthBearerToken>),
    /// The token is being fetched; the poller is woken when the fetch has ended.
    Awaited,
    /// The token could not be fetched, for this reason; the fetch will be retried.
    Failed(Arc<str>),
}

struct LoginState {
    /// The token and its expiry; `None` before the first token, and once the token has expired.
    token: Option<(Arc<OAuthBearerToken>, Deadline)>,
    /// The time at which the last fetch started.
    requested: Instant,
    /// Why the last fetch failed; `None` if it succeeded.
    failure: Option<Arc<str>>,
    /// The number of fetches that failed in succession without a valid token.
    failures: u32,
    /// The time at which the next fetch is due.
    refresh: Deadline,
    is_fetching: bool,
    random: fastrand::Rng,
}

impl LoginState {
    /// The time until the next fetch after one that failed.
    fn pause_after_failure(&mut self, now: Instant) -> Duration {
        if let Some((_, end)) = &self.token {
            // A retry that came after the end of the token would leave the producer without one.
            let left = end.remaining(now);
            return left.map_or(RETRY, |left| left.clamp(RETRY_WITHOUT_TOKEN, RETRY));
        }
        let pause = RETRY_WITHOUT_TOKEN * (1 << self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        pause.min(LONGEST_RETRY)
    }
}

/// The login of a producer with tokens: caches the token and schedules its refresh.
///
/// # Threads
/// The sender thread calls `poll` and `token` and starts a fetch; a helper thread runs it and stores the result.
/// # Kafka
/// `ExpiringCredentialRefreshingLogin`. Differs: no thread sleeps until a refresh is due, since the sender's poll
/// timeout covers it; the constructor of the producer does not wait for the first token.
pub(crate) struct Login {
    shared: Arc<SharedLogin>,
}

/// The part of a login that a running fetch shares.
struct SharedLogin {
    fetch: FetchToken,
    times: RefreshTimes,
    dependencies: SaslDependencies,
    state: Mutex<LoginState>,
}

impl Login {
    pub(crate) fn new(
        fetch: FetchToken,
        times: RefreshTimes,
        dependencies: SaslDependencies,
    ) -> Arc<Self> {
        let state = LoginState {
            token: None,
            requested: Instant::ORIGIN,
            failure: None,
            failures: 0,
            refresh: Deadline::At(Instant::ORIGIN),
            is_fetching: false,
            random: fastrand::Rng::with_seed(dependencies.seed),
        };
        let shared = Arc::new(SharedLogin {
            fetch,
            times,
            dependencies,
            state: Mutex::new(Rank::LEAF, state),
        });
        Arc::new(Self { shared })
    }

    /// Starts a fetch if one is due. Returns the time of the next call.
    pub(crate) fn poll(&self, now: Instant) -> Deadline {
        if self.begin(now) {
            self.run();
        }
        let state = self.shared.state.lock();
        // While a fetch runs there is no deadline: the end of the fetch wakes the poller.
        if state.is_fetching {
            Deadline::Never
        } else {
            state.refresh
        }
    }

    /// The token for a connection that authenticates.
    pub(crate) fn token(&self, now: Instant) -> TokenState {
        let valid = |state: &LoginState| match &state.token {
            Some((token, end)) if !end.is_over(now) => Some(TokenState::Valid(Arc::clone(token))),
            _ => None,
        };
        // The fast path: most connections find a valid token, under one short lock.
        if let Some(token) = valid(&self.shared.state.lock()) {
            return token;
        }
        {
            let mut state = self.shared.state.lock();
            if state.token.take().is_some() && !state.is_fetching {
                // The token expired before its refresh was due, or before the next poll. The refresh may be the retry
                // of one that failed; a pause after the last fetch bounds their rate in either case.
                let soonest = state.requested.saturating_add(RETRY_WITHOUT_TOKEN).max(now);
                state.refresh = state.refresh.min(Deadline::At(soonest));
            }
        }
        if self.begin(now) {
            self.run();
        }
        // A fetch that ran on this thread (in tests) has ended already, and its result is in the state.
        let state = self.shared.state.lock();
        match (&state.failure, state.is_fetching) {
            (_, true) => TokenState::Awaited,
            (Some(why), false) => TokenState::Failed(Arc::clone(why)),
            (None, false) => valid(&state).unwrap_or(TokenState::Awaited),
        }
    }

    /// Called when a broker has rejected this token. Schedules a refresh: now, or when the token is `RETRY` old, so
    /// that a broker that rejects every token does not cause a fetch for each connection.
    pub(crate) fn refused(&self, refused: &Arc<OAuthBearerToken>, now: Instant) {
        let mut state = self.shared.state.lock();
        // The rejection of an older token is ignored, because that token has been replaced.
        let is_held = matches!(&state.token, Some((token, _)) if Arc::ptr_eq(token, refused));
        if is_held && !state.is_fetching {
            let soonest = state.requested.saturating_add(RETRY).max(now);
            state.refresh = state.refresh.min(Deadline::At(soonest));
        }
    }

    /// Returns true if a fetch is due, and then marks it as running.
    fn begin(&self, now: Instant) -> bool {
        let mut state = self.shared.state.lock();
        let begins = !state.is_fetching && state.refresh.is_over(now);
        if begins {
            state.is_fetching = true;
            state.requested = now;
        }
        begins
    }

    /// Runs a fetch. No lock is held: `dependencies.run` may run it on this thread, and the provider is user code.
    fn run(&self) {
        let shared = Arc::clone(&self.shared);
        let work = move || {
            // All sources of tokens run user code: a provider, or the cryptography provider of TLS.
            let fetched = contain(|| (shared.fetch)())
                .unwrap_or_else(|panicked| Err(format!("the fetch panicked: {panicked}")))
                .and_then(|token| token.check().map(|()| token));
            shared.finish(fetched);
        };
        if let Err(error) = (self.shared.dependencies.run)(Box::new(work)) {
            self.shared.finish(Err(format!(
                "no thread could be started to fetch a token: {error}"
            )));
        }
    }
}

/// The last user of the login is gone: a fetch that is running has become useless.
impl Drop for Login {
    fn drop(&mut self) {
        self.shared.dependencies.wake.close();
    }
}

impl SharedLogin {
    fn finish(&self, fetched: Result<OAuthBearerToken, String>) {
        let now = self.dependencies.clock.now();
        let news = {
            let mut state = self.state.lock();
            state.is_fetching = false;
            let requested = state.requested;
            let usable = fetched.and_then(|token| {
                let valid_for = token.valid_for();
                // The provider may have taken long: a token that has expired meanwhile is useless.
                if Deadline::after(requested, valid_for).is_over(now) {
                    // The times differ each time, and a text that is the same is logged only once.
                    return Err(
                        "it had expired when it arrived: check how long the request takes, and the lifetime of tokens"
                            .to_owned(),
                    );
                }
                Ok(token)
            });
            match usable {
                Ok(token) => {
                    // The lifetime is counted from the request: the token was issued between the request and now.
                    let valid_for = token.valid_for();
                    let random = state.random.f64();
                    let refresh = Deadline::after(requested, self.times.after(valid_for, random));
                    let soonest = Deadline::after(now, RETRY_WITHOUT_TOKEN);
                    state.refresh = refresh.max(soonest);
                    state.token = Some((Arc::new(token), Deadline::after(requested, valid_for)));
                    state.failure = None;
                    state.failures = 0;
                    None
                }
                Err(why) => {
                    let pause = state.pause_after_failure(now);
                    state.refresh = Deadline::after(now, pause);
                    // The provider may quote what its token endpoint responded.
                    let why: Arc<str> = printable_start(&why).into();
                    // Each failure is logged once, however often it is repeated.
                    let is_new = state.failure.as_ref() != Some(&why);
                    state.failure = Some(Arc::clone(&why));
                    let is_logged = is_new && !self.dependencies.wake.is_closed();
                    is_logged.then_some((why, pause))
                }
            }
        };
        // Logged without the lock: a logger is user code.
        if let Some((why, pause)) = news {
            log::warn!(
                self.dependencies.log,
                "no token for OAUTHBEARER: {why}; tried again after {pause:.1?}, then after {} s at most, until there \
                 is one",
                LONGEST_RETRY.as_secs()
            );
        }
        if !planted!(TokenWakesNobody) {
            self.dependencies.wake.wake();
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
