//! The one door to code of the user's: callbacks, wakers, interceptors, partitioners, serializers, cluster listeners.
//!
//! Whoever runs such code does it through a [`Fence`], which sees to three things at once: no lock of the library is
//! held; the thread is marked as inside the producer, so that calls that would wait for its thread are refused there
//! and do not wait for themselves; and a panic ends here, as a [`Failure`] that says who it was. `tests/layers.rs`
//! checks that panics of the user's are contained nowhere else. The logger has a fence of its own, `util/log.rs`,
//! because it is everybody's and no producer's.
//!
//! In a program that is built with `panic=abort` nothing can be contained: there a panic of the user's code ends the
//! process, as any other does.

use std::fmt;

use super::callback_scope;
use super::instance::Instance;
use crate::error::{BoxError, Misuse, PluginKind};
use crate::planted::planted;
use crate::sync;
use crate::util::log::LogContext;
use crate::util::panic;

/// Who is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserCode {
    Callback,
    Waker,
    /// A plug-in, and the method of it.
    Plugin(PluginKind, &'static str),
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Callback => f.write_str("callback"),
            Self::Waker => f.write_str("waker"),
            Self::Plugin(kind, _) => kind.fmt(f),
        }
    }
}

/// The door of one producer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fence<'a> {
    instance: &'a Instance,
}

impl<'a> Fence<'a> {
    pub(crate) fn of(instance: &'a Instance) -> Self {
        Self { instance }
    }

    /// Where what goes wrong in it is logged.
    pub(crate) fn log(self) -> &'a LogContext {
        self.instance.log()
    }

    /// Runs user code.
    ///
    /// What it returns is the caller's to drop. If it is of the user's types, its drop is user code too: make what
    /// is needed of it inside.
    ///
    /// # Errors
    /// When it panicked.
    #[inline]
    pub(crate) fn call<T>(self, who: UserCode, run: impl FnOnce() -> T) -> Result<T, Failure> {
        sync::assert_unlocked();
        let _scope = callback_scope::enter(self.instance.id());
        panic::contain(run).map_err(|words| Failure::panicked(who, words))
    }

    /// Runs user code that may return an error, of which only the words stay.
    ///
    /// # Errors
    /// When it panicked or returned one.
    pub(crate) fn try_call<T>(
        self,
        who: UserCode,
        run: impl FnOnce() -> Result<T, BoxError>,
    ) -> Result<T, Failure> {
        let returned = self.call(who, run)?;
        returned.map_err(|error| Failure {
            how: "failed",
            ..Failure::panicked(who, in_words(error))
        })
    }

    /// Runs much user code, one piece after the other, in one fence: it costs more than most callbacks do.
    /// `run_rest` returns when nothing is left; after a piece that panicked it is called again, for the rest.
    #[inline]
    pub(crate) fn call_all(
        self,
        who: UserCode,
        mut run_rest: impl FnMut(),
        report: impl Fn(Failure),
    ) {
        sync::assert_unlocked();
        let _scope = callback_scope::enter(self.instance.id());
        while let Err(words) = panic::contain(&mut run_rest) {
            report(Failure::panicked(who, words));
            if planted!(PanicEndsCallbacks) {
                break;
            }
        }
    }
}

/// Drops a value of the user's, on whatever thread this is. One of the user's own is not marked: what it may
/// wait for elsewhere it may wait for here, and a producer that goes with the value is closed, not given up.
/// The producer's thread is marked anyway.
///
/// # Errors
/// When it panicked.
pub(crate) fn let_go<T>(who: UserCode, value: T) -> Result<(), Failure> {
    sync::assert_unlocked();
    panic::contain(move || drop(value)).map_err(|words| Failure::panicked(who, words))
}

/// Whether a record may be sent here for which more user code may have to run.
///
/// # Errors
/// When this thread is too deep inside such code.
pub(crate) fn check_depth() -> Result<(), Misuse> {
    if callback_scope::is_too_deep() {
        return Err(Misuse::NestedTooDeep);
    }
    Ok(())
}

/// An error of the user's in words: printing and dropping it are user code.
pub(crate) fn in_words(error: impl fmt::Display) -> String {
    sync::assert_unlocked();
    panic::into_words(error)
}

/// User code that panicked or returned an error.
#[derive(Debug)]
pub(crate) struct Failure {
    who: UserCode,
    name: Option<String>,
    about: Option<String>,
    how: &'static str,
    words: String,
}

impl Failure {
    #[cold]
    fn panicked(who: UserCode, words: String) -> Self {
        Self {
            who,
            name: None,
            about: None,
            how: "panicked",
            words,
        }
    }

    /// What it calls itself.
    pub(crate) fn named(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// What it was called for.
    pub(crate) fn about(mut self, what: impl fmt::Display) -> Self {
        self.about = Some(what.to_string());
        self
    }

    /// What the panic or the error said.
    pub(crate) fn into_words(self) -> String {
        self.words
    }
}

/// `the interceptor billing::Audit panicked in on_send for topic orders: no such entry`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {}", self.who)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        write!(f, " {}", self.how)?;
        if let UserCode::Plugin(_, method) = self.who {
            write!(f, " in {method}")?;
        }
        if let Some(about) = &self.about {
            write!(f, " for {about}")?;
        }
        write!(f, ": {}", self.words)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::callback_scope::is_inside;

    #[test]
    fn what_runs_inside_is_marked_and_what_comes_after_is_not_even_after_a_panic() {
        let instance = Instance::for_tests();
        let fence = Fence::of(&instance);
        let inside = || is_inside(instance.id());
        assert!(fence.call(UserCode::Callback, inside).unwrap());
        assert!(!inside());
        let failure = fence
            .call(UserCode::Callback, || panic!("{}", inside()))
            .map(|()| "nothing")
            .unwrap_err();
        assert_eq!(failure.to_string(), "the callback panicked: true");
        assert!(!inside());
        let_go(UserCode::Waker, OnDrop(|| assert!(!inside()))).unwrap();
    }

    struct OnDrop<F: Fn()>(F);

    impl<F: Fn()> Drop for OnDrop<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }

    #[test]
    fn a_failure_says_who_it_was_what_it_did_for_what_and_why() {
        let who = UserCode::Plugin(PluginKind::Interceptor, "on_send");
        let failed = Fence::of(&Instance::for_tests())
            .try_call(who, || Err::<(), _>("no such entry".into()));
        let failure = failed
            .unwrap_err()
            .named("billing::Audit".to_owned())
            .about("topic orders");
        assert_eq!(
            failure.to_string(),
            "the interceptor billing::Audit failed in on_send for topic orders: no such entry"
        );
        assert_eq!(failure.into_words(), "no such entry");
    }

    #[test]
    fn after_a_piece_that_panics_the_rest_runs() {
        let (mut next, reports) = (0, std::cell::RefCell::new(Vec::new()));
        Fence::of(&Instance::for_tests()).call_all(
            UserCode::Callback,
            || {
                while next < 5 {
                    next += 1;
                    assert!(next % 2 == 1, "{next} is even");
                }
            },
            |failure| reports.borrow_mut().push(failure.into_words()),
        );
        assert_eq!((next, reports.into_inner().len()), (5, 2));
    }

    #[test]
    #[cfg(debug_assertions)]
    fn user_code_that_would_run_under_a_lock_is_found() {
        use crate::sync::{Mutex, Rank};
        let lock = Mutex::new(Rank::LEAF, ());
        let _held = lock.lock();
        let ran = std::panic::catch_unwind(|| {
            let _ = Fence::of(&Instance::for_tests()).call(UserCode::Callback, || ());
        });
        assert!(ran.is_err());
    }
}
