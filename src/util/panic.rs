//! Catching panics of user code.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code, and returns the message if it panics.
///
/// Unwind safety: the closure has no access to the library's state (no lock is held), so a panic cannot leave that
/// state inconsistent.
///
/// The caller drops the closure's result. If the result is of a user's type, its destructor is user code, too: convert
/// it inside the closure.
pub(crate) fn contain<T>(user_code: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(user_code)).map_err(|payload| {
        let message = message(&*payload);
        let dropped = catch_unwind(AssertUnwindSafe(move || drop(payload)));
        // The payload's destructor is user code, too, and may panic with another such payload, and so on: the second
        // one is leaked.
        if let Err(second) = dropped {
            std::mem::forget(second);
        }
        message
    })
}

/// Runs user code, and ignores its result and panics.
pub(crate) fn run_unheard<T>(user_code: impl FnOnce() -> T) {
    let _ = contain(|| drop(user_code()));
}

/// The text of a user's error. Formatting and dropping it are user code, and each may panic. They are separated,
/// because a panic of the destructor while a panic of the formatter unwinds would abort the process.
pub(crate) fn into_words(error: impl fmt::Display) -> String {
    let words = contain(|| error.to_string());
    run_unheard(move || drop(error));
    words.unwrap_or_else(|panicked| {
        format!("an error that panicked when it was printed: {panicked}")
    })
}

/// The message of a panic payload, if it is a string.
fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_returned_as_its_message() {
        assert_eq!(contain(|| 7), Ok(7));
        assert_eq!(
            contain(|| panic!("plain")),
            Err::<(), _>("plain".to_owned())
        );
        assert_eq!(
            contain(|| panic!("number {}", 3)),
            Err::<(), _>("number 3".to_owned())
        );
        let wordless = contain(|| std::panic::panic_any(3_u8));
        assert_eq!(
            wordless,
            Err::<(), _>("a panic without a message".to_owned())
        );
    }

    #[test]
    fn an_error_that_panics_when_formatted_and_dropped_has_a_text() {
        struct Hopeless;
        impl fmt::Display for Hopeless {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("no words")
            }
        }
        impl Drop for Hopeless {
            fn drop(&mut self) {
                panic!("no end")
            }
        }
        assert!(into_words(Hopeless).ends_with(": no words"));
        assert_eq!(into_words("as it is"), "as it is");
        run_unheard(|| Hopeless);
    }

    #[test]
    fn a_panic_whose_payload_panics_on_drop_is_contained_as_well() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::panic_any(Bomb);
            }
        }
        let contained = contain(|| std::panic::panic_any(Bomb));
        let message = "a panic without a message".to_owned();
        assert_eq!(contained, Err::<(), _>(message));
    }
}
