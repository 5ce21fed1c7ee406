//! Containing panics of code that is not ours.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code; a panic comes back as its message.
///
/// The library's own state is not in the closure's hands while it runs (no lock is held), so there
/// is nothing a panic could leave half-done on our side.
///
/// What the closure returns is the caller's to drop. If it is of the user's types, its drop is user code too:
/// make what is needed of it inside.
pub(crate) fn contain<T>(user_code: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(user_code)).map_err(|payload| {
        let message = message(&*payload);
        let dropped = catch_unwind(AssertUnwindSafe(move || drop(payload)));
        // What a panic carries is user code as well. One whose drop panics may carry another such one, and
        // so on: the second is not dropped any more.
        if let Err(second) = dropped {
            std::mem::forget(second);
        }
        message
    })
}

/// Runs user code of which nothing is to be known, how it ended included.
pub(crate) fn run_unheard<T>(user_code: impl FnOnce() -> T) {
    let _ = contain(|| drop(user_code()));
}

/// What an error of the user's says. Printing and dropping it are user code, each of which may panic: the one
/// while the other does would be the end of the process.
pub(crate) fn into_words(error: impl fmt::Display) -> String {
    let words = contain(|| error.to_string());
    run_unheard(move || drop(error));
    words.unwrap_or_else(|panicked| {
        format!("an error that panicked when it was printed: {panicked}")
    })
}

/// What a panic said, if it said it in words.
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
    fn a_panic_comes_back_as_what_it_said() {
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
    fn an_error_that_can_be_neither_printed_nor_dropped_is_put_into_words() {
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
    fn a_panic_that_carries_what_panics_when_dropped_is_contained_as_well() {
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
