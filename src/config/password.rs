//! A secret that `Debug` and `Display` do not print.

use std::borrow::Cow;
use std::fmt;

use crate::util::foreign_text::{ELLIPSIS, printable};
use crate::util::wipe::wipe;

/// Longest start of a secret, in bytes, that is not recognized at the end of a truncated text: almost any text ends
/// with the first character of some password.
const MAX_SHOWN_START: usize = 3;

/// A secret from the configuration. `Debug` and `Display` print `[hidden]`, and its memory is overwritten when it is
/// dropped.
///
/// ```
/// use kafka_producer::Password;
///
/// let password = Password::new("s3cret");
/// assert_eq!(format!("{password} {password:?}").matches("s3cret").count(), 0);
/// assert_eq!(password.expose(), "s3cret");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The text that is printed instead of a secret.
    pub const HIDDEN: &str = "[hidden]";

    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself. Do not log it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A text of a broker without this secret: each occurrence is replaced by [`HIDDEN`](Self::HIDDEN). The text may be
    /// in [printable form](printable), and truncated inside the secret.
    pub(crate) fn hidden_in<'w>(&self, words: &'w str) -> Cow<'w, str> {
        let secret = printable(&self.0);
        if secret.is_empty() {
            return words.into();
        }
        let mut shown = Cow::Borrowed(words);
        for form in [&self.0, &*secret] {
            if shown.contains(form) {
                shown = shown.replace(form, Self::HIDDEN).into();
            }
        }
        if let Some(kept) = shown.strip_suffix(ELLIPSIS) {
            let longest = kept.len().saturating_sub(secret.len());
            let begin = (longest..kept.len().saturating_sub(MAX_SHOWN_START))
                .find(|at| kept.get(*at..).is_some_and(|end| secret.starts_with(end)));
            if let Some(begin) = begin {
                shown = format!("{}{}{ELLIPSIS}", &kept[..begin], Self::HIDDEN).into();
            }
        }
        shown
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        wipe(&mut std::mem::take(&mut self.0).into_bytes());
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::HIDDEN)
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Java: ConfigDefTest#testSslPasswords
    #[test]
    fn a_password_prints_as_hidden_and_still_can_be_used() {
        let password = Password::new("s3cret");
        assert_eq!(format!("{password} {password:?}"), "[hidden] [hidden]");
        assert_eq!(password.expose(), "s3cret");
    }

    #[test]
    fn a_password_is_replaced_in_the_text_of_a_broker() {
        let password = Password::new("s3cret\t!");
        let hidden = |words| password.hidden_in(words).into_owned();
        assert_eq!(hidden("no such user"), "no such user");
        assert_eq!(hidden("s3cret\t!, a: s3cret\\t!"), "[hidden], a: [hidden]");
        assert_eq!(hidden("bad: s3cret..."), "bad: [hidden]...");
        assert_eq!(hidden("bad: s3c..."), "bad: s3c...");
        assert_eq!(hidden("s3cret"), "s3cret", "not truncated");
        assert_eq!(Password::new("").hidden_in("as it is"), "as it is");
    }
}
