//! Validation of topic names.

use crate::planted::planted;
use std::fmt;

/// Longest topic name, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 249;

/// Why a topic name is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicNameFault {
    Empty,
    /// "." or "..".
    Reserved,
    /// Its length in bytes.
    TooLong(usize),
    Character(char),
}

/// Validates a topic name. The client does this as well as brokers, because one name that cannot be encoded would fail
/// the metadata request for all other topics.
///
/// # Kafka
/// `org.apache.kafka.common.internals.Topic#validate`.
pub(crate) fn check(name: &str) -> Result<(), TopicNameFault> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name {
        _ if planted!(BadTopicNameAskedFor) => Ok(()),
        "" => Err(TopicNameFault::Empty),
        "." | ".." => Err(TopicNameFault::Reserved),
        _ if name.len() > NAME_BYTES_MAX => Err(TopicNameFault::TooLong(name.len())),
        _ => match name.chars().find(|c| !is_legal(*c)) {
            Some(wrong) => Err(TopicNameFault::Character(wrong)),
            None => Ok(()),
        },
    }
}

impl fmt::Display for TopicNameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "it is empty")?,
            Self::Reserved => write!(f, "'.' and '..' are not allowed")?,
            Self::TooLong(bytes) => write!(f, "it has {bytes} bytes")?,
            Self::Character(wrong) => write!(f, "it has the character {wrong:?}")?,
        }
        write!(
            f,
            "; a topic's name has 1 to {NAME_BYTES_MAX} of the letters a-z and A-Z, digits, '.', '_' and '-'"
        )
    }
}

/// Displays a topic name in an error or log line: a valid one as it is, an invalid one escaped and truncated.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = NAME_BYTES_MAX;
        for c in self.0.chars() {
            let Some(after) = left.checked_sub(c.len_utf8()) else {
                return write!(f, "... ({} bytes)", self.0.len());
            };
            left = after;
            write!(f, "{}", c.escape_debug())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Java: TopicTest#shouldAcceptValidTopicNames, #shouldThrowOnInvalidTopicNames
    #[test]
    fn names_are_letters_digits_dots_underscores_and_dashes() {
        let longest = "a".repeat(249);
        for name in [
            "valid", "TOPIC", "nAmEs", "ar6", "VaL1d", "_0-9_.", "...", &longest,
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
            assert_eq!(Shown(name).to_string(), name);
        }
        let too_long = "a".repeat(250);
        for (name, fault) in [
            ("", TopicNameFault::Empty),
            (".", TopicNameFault::Reserved),
            ("..", TopicNameFault::Reserved),
            ("foo bar", TopicNameFault::Character(' ')),
            ("foo:bar", TopicNameFault::Character(':')),
            ("ä", TopicNameFault::Character('ä')),
            ("a\0", TopicNameFault::Character('\0')),
            (&too_long, TopicNameFault::TooLong(250)),
        ] {
            assert_eq!(check(name), Err(fault), "{name:?}");
            assert!(fault.to_string().contains("1 to 249"), "{fault}");
        }
    }

    #[test]
    fn the_displayed_part_of_a_name_is_short_and_one_line() {
        assert_eq!(Shown("a\nb").to_string(), "a\\nb");
        let shown = Shown(&"ä".repeat(50_000)).to_string();
        assert!(
            shown.len() < 300 && shown.ends_with("(100000 bytes)"),
            "{shown}"
        );
    }
}
