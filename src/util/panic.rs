//! Containing panics of code that is not ours.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code; a panic comes back as its message.
///
/// The library's own state is not in the closure's hands while it runs (no lock is held), so there
/// is nothing a panic could leave half-done on our side.
pub(crate) fn contain<T>(user_code: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(user_code)).map_err(|payload| message(&*payload))
}

/// What a panic said, if it said it in words.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
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
}
