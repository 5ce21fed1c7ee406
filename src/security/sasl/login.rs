//! The token of a producer: had before it is needed, and refreshed before it ends, on a helper thread.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::outside::Outside;
use super::token::OAuthBearerToken;
use crate::clock::{Deadline, Instant};
use crate::config::ProducerConfig;
use crate::planted::planted;
use crate::sync::{Mutex, Rank};
use crate::util::log;

/// How a token is got; may block, and says in words why there is none. Panics are its own matter.
pub(crate) type FetchToken = Arc<dyn Fn() -> Result<OAuthBearerToken, String> + Send + Sync>;

/// When a refresh that failed is tried again while the token before is valid: Kafka's
/// `DELAY_SECONDS_BEFORE_NEXT_RETRY_WHEN_RELOGIN_FAILS`. Also the least time between a token and the next
/// because the broker did not take it.
const RETRY: Duration = Duration::from_secs(10);
/// When it is tried again while there is none.
const RETRY_WITHOUT_TOKEN: Duration = Duration::from_secs(1);

/// A token that is valid for longer is as good as one that is valid for so long.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// When a token is refreshed.
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

    /// How long after it was had a token is refreshed; `random` is uniform in `[0, 1)`.
    ///
    /// # Kafka
    /// `ExpiringCredentialRefreshingLogin#refreshMs`.
    fn after(&self, valid_for: Duration, random: f64) -> Duration {
        let valid_for = valid_for.min(LONGEST);
        let proposed = valid_for.mul_f64(self.window_factor + self.window_jitter * random);
        if self.min_period + self.buffer > valid_for {
            // There is no room for the two.
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

/// What is known of the token.
#[derive(Debug, Clone)]
pub(crate) enum TokenState {
    /// It is there, and valid.
    Valid(Arc<OAuthBearerToken>),
    /// It is being got; the loop is woken when that is over.
    Awaited,
    /// It could not be had, for this reason, and will be asked for again.
    Failed(Arc<str>),
}

struct State {
    /// With the time when it ends.
    token: Option<(Arc<OAuthBearerToken>, Deadline)>,
    /// When it was asked for last.
    asked: Instant,
    /// Why the last attempt brought none.
    failure: Option<Arc<str>>,
    /// When the next attempt is due.
    refresh: Deadline,
    is_fetching: bool,
    random: fastrand::Rng,
}

/// The login of a producer that has tokens.
///
/// # Threads
/// The producer's thread asks and begins; a helper thread answers.
/// # Kafka
/// `ExpiringCredentialRefreshingLogin`. Differs: it has no thread that sleeps until a refresh is due, since the
/// producer's loop knows the time anyway; the first token is not waited for when the producer is built.
pub(crate) struct Login {
    fetch: FetchToken,
    times: RefreshTimes,
    outside: Outside,
    state: Mutex<State>,
}

impl Login {
    pub(crate) fn new(fetch: FetchToken, times: RefreshTimes, outside: Outside) -> Arc<Self> {
        let state = State {
            token: None,
            asked: Instant::ORIGIN,
            failure: None,
            refresh: Deadline::At(Instant::ORIGIN),
            is_fetching: false,
            random: fastrand::Rng::with_seed(outside.seed),
        };
        Arc::new(Self {
            fetch,
            times,
            outside,
            state: Mutex::new(Rank::LEAF, state),
        })
    }

    /// Gets a token if that is due. Returns when to ask again.
    pub(crate) fn poll(self: &Arc<Self>, now: Instant) -> Deadline {
        if self.begin(now) {
            self.run();
        }
        let state = self.state.lock();
        if state.is_fetching {
            Deadline::Never
        } else {
            state.refresh
        }
    }

    /// The token, for a connection that needs it.
    pub(crate) fn token(self: &Arc<Self>, now: Instant) -> TokenState {
        let valid = |state: &State| match &state.token {
            Some((token, end)) if !end.is_over(now) => Some(TokenState::Valid(Arc::clone(token))),
            _ => None,
        };
        if let Some(token) = valid(&self.state.lock()) {
            return token;
        }
        {
            let mut state = self.state.lock();
            if state.token.take().is_some() && !state.is_fetching && state.failure.is_none() {
                // It ended before its refresh was due, or before anybody looked.
                let soonest = state.asked.saturating_add(RETRY_WITHOUT_TOKEN).max(now);
                state.refresh = state.refresh.min(Deadline::At(soonest));
            }
        }
        if self.begin(now) {
            self.run();
        }
        let state = self.state.lock();
        match (&state.failure, state.is_fetching) {
            (_, true) => TokenState::Awaited,
            (Some(why), false) => TokenState::Failed(Arc::clone(why)),
            (None, false) => valid(&state).unwrap_or(TokenState::Awaited),
        }
    }

    /// A broker does not take this token: the next is due, unless this one is new.
    pub(crate) fn refused(&self, refused: &Arc<OAuthBearerToken>, now: Instant) {
        let mut state = self.state.lock();
        let is_held = matches!(&state.token, Some((token, _)) if Arc::ptr_eq(token, refused));
        if is_held && !state.is_fetching {
            let soonest = state.asked.saturating_add(RETRY).max(now);
            state.refresh = state.refresh.min(Deadline::At(soonest));
        }
    }

    /// Whether an attempt is due; if so it is under way.
    fn begin(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        let begins = !state.is_fetching && state.refresh.is_over(now);
        if begins {
            state.is_fetching = true;
            state.asked = now;
        }
        begins
    }

    /// Makes an attempt, with no lock held: elsewhere may be here.
    fn run(self: &Arc<Self>) {
        let login = Arc::clone(self);
        let work = move || {
            let fetched = (login.fetch)().and_then(|token| token.check().map(|()| token));
            login.finish(fetched);
        };
        if let Err(error) = (self.outside.run)(Box::new(work)) {
            self.finish(Err(format!("no thread to get a token on: {error}")));
        }
    }

    fn finish(&self, fetched: Result<OAuthBearerToken, String>) {
        let now = self.outside.clock.now();
        let news = {
            let mut state = self.state.lock();
            state.is_fetching = false;
            match fetched {
                Ok(token) => {
                    // It was made somewhere between.
                    let (asked, valid_for) = (state.asked, token.valid_for());
                    let random = state.random.f64();
                    let refresh = Deadline::after(asked, self.times.after(valid_for, random));
                    let soonest = Deadline::after(now, RETRY_WITHOUT_TOKEN);
                    state.refresh = refresh.max(soonest);
                    state.token = Some((Arc::new(token), Deadline::after(asked, valid_for)));
                    state.failure = None;
                    None
                }
                Err(why) => {
                    let is_valid = matches!(&state.token, Some((_, end)) if !end.is_over(now));
                    let pause = if is_valid { RETRY } else { RETRY_WITHOUT_TOKEN };
                    state.refresh = Deadline::after(now, pause);
                    let why: Arc<str> = why.into();
                    let is_new = state.failure.as_ref() != Some(&why);
                    state.failure = Some(Arc::clone(&why));
                    is_new.then_some((why, pause))
                }
            }
        };
        if let Some((why, pause)) = news {
            log::warn!(
                self.outside.log,
                "no token for OAUTHBEARER: {why}; tried again after {} s, until there is one",
                pause.as_secs()
            );
        }
        if !planted!(TokenWakesNobody) {
            self.outside.wake.wake();
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
