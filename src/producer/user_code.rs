//! Containment of user code: callbacks, wakers, interceptors, partitioners, serializers, metrics reporters, cluster
//! listeners.
//!
//! User code runs inside a [`Fence`], except destructors ([`drop_contained`]) and the formatting of errors
//! ([`error_text`]). A fence does three things. It asserts that no lock of the library is held. It marks the thread as
//! inside the producer, so that calls that would wait for the sender thread are refused instead of deadlocking. It
//! catches a panic and returns it as a [`UserCodeFailure`], which names the plug-in. `tests/layers.rs` checks that
//! panics of user code are caught nowhere else. The logger has a fence of its own, in `util/log.rs`, because a logger
//! belongs to no producer.
//!
//! In a program that is built with `panic=abort` no panic can be caught: a panic of user code then ends the process, as
//! any other panic does.

use std::fmt;

use super::callback_scope;
use super::instance::Instance;
use crate::error::{BoxError, Misuse, PluginKind};
use crate::planted::planted;
use crate::sync;
use crate::util::log::LogContext;
use crate::util::panic;

/// The kind of user code that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserCode {
    Callback,
    Waker,
    /// A plug-in, and the name of the method that is called.
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

/// Runs user code of one producer: marks the thread, catches panics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fence<'a> {
    instance: &'a Instance,
}

impl<'a> Fence<'a> {
    pub(crate) fn of(instance: &'a Instance) -> Self {
        Self { instance }
    }

    /// The log context for failures.
    pub(crate) fn log(self) -> &'a LogContext {
        self.instance.log()
    }

    /// Runs user code.
    ///
    /// The caller drops the returned value. If the value has a user's type, its destructor is user code: then convert
    /// the value inside the closure.
    ///
    /// # Errors
    /// When the user code panicked.
    #[inline]
    pub(crate) fn call<T>(
        self,
        who: UserCode,
        run: impl FnOnce() -> T,
    ) -> Result<T, UserCodeFailure> {
        // User code may call the producer: a held lock would deadlock, or break the lock order.
        sync::assert_unlocked();
        let _scope = callback_scope::enter(self.instance.id());
        panic::contain(run).map_err(|words| UserCodeFailure::panicked(who, words))
    }

    /// Runs user code that may return an error. The error is reduced to its text.
    ///
    /// # Errors
    /// When the user code panicked or returned an error.
    pub(crate) fn try_call<T>(
        self,
        who: UserCode,
        run: impl FnOnce() -> Result<T, BoxError>,
    ) -> Result<T, UserCodeFailure> {
        let returned = self.call(who, run)?;
        returned.map_err(|error| UserCodeFailure {
            // Formatting and dropping the error are user code, so the error does not leave this function.
            how: "failed",
            ..UserCodeFailure::panicked(who, error_text(error))
        })
    }

    /// Runs many callbacks in one fence, because a fence costs more than most callbacks. `run_rest` runs the callbacks
    /// that have not run yet, and returns when none is left. After a panic it is called again.
    #[inline]
    pub(crate) fn call_all(
        self,
        who: UserCode,
        mut run_rest: impl FnMut(),
        report: impl Fn(UserCodeFailure),
    ) {
        sync::assert_unlocked();
        let _scope = callback_scope::enter(self.instance.id());
        // `run_rest` keeps its own position, so a callback that panicked is not run a second time.
        while let Err(words) = panic::contain(&mut run_rest) {
            report(UserCodeFailure::panicked(who, words));
            if planted!(PanicEndsCallbacks) {
                break;
            }
        }
    }
}

/// Drops a value of a user's type, and catches panics of its destructor. The thread is not marked as inside user code:
/// on an application thread a destructor may block, and a producer that is dropped with the value is closed properly.
/// The sender thread is always marked.
///
/// # Errors
/// When the destructor panicked.
pub(crate) fn drop_contained<T>(who: UserCode, value: T) -> Result<(), UserCodeFailure> {
    sync::assert_unlocked();
    panic::contain(move || drop(value)).map_err(|words| UserCodeFailure::panicked(who, words))
}

/// Limits the nesting of `send` in user code.
///
/// # Errors
/// When user code is nested too deeply on this thread.
pub(crate) fn check_depth() -> Result<(), Misuse> {
    if callback_scope::is_too_deep() {
        // A callback that sends, fails at once and sends again would otherwise overflow the stack.
        return Err(Misuse::NestedTooDeep);
    }
    Ok(())
}

/// The text of a user's error. Formatting and dropping it are user code.
pub(crate) fn error_text(error: impl fmt::Display) -> String {
    sync::assert_unlocked();
    panic::into_words(error)
}

/// User code that panicked or returned an error.
#[derive(Debug)]
pub(crate) struct UserCodeFailure {
    who: UserCode,
    name: Option<String>,
    about: Option<String>,
    how: &'static str,
    words: String,
}

impl UserCodeFailure {
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

    /// Adds the name of the plug-in.
    pub(crate) fn named(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// Adds the object of the call, such as a topic.
    pub(crate) fn about(mut self, what: impl fmt::Display) -> Self {
        self.about = Some(what.to_string());
        self
    }

    /// The text of the panic or the error.
    pub(crate) fn into_words(self) -> String {
        self.words
    }
}

/// `the interceptor billing::Audit panicked in on_send for topic orders: no such entry`.
impl fmt::Display for UserCodeFailure {
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

impl std::error::Error for UserCodeFailure {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::callback_scope::is_inside;

    #[test]
    fn a_thread_is_marked_while_it_runs_user_code_and_not_afterwards_even_after_a_panic() {
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
        drop_contained(UserCode::Waker, OnDrop(|| assert!(!inside()))).unwrap();
    }

    struct OnDrop<F: Fn()>(F);

    impl<F: Fn()> Drop for OnDrop<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }

    #[test]
    fn a_failure_names_the_plugin_the_method_the_object_and_the_reason() {
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
    fn after_a_callback_that_panics_the_following_callbacks_run() {
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
    fn user_code_that_would_run_under_a_lock_is_detected() {
        use crate::sync::{Mutex, Rank};
        let lock = Mutex::new(Rank::LEAF, ());
        let _held = lock.lock();
        let ran = std::panic::catch_unwind(|| {
            let _ = Fence::of(&Instance::for_tests()).call(UserCode::Callback, || ());
        });
        assert!(ran.is_err());
    }
}
