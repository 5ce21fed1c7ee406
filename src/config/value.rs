//! Parser and range checks of values, by Kafka's rules.

use std::fmt;

use super::Password;
use super::definition::{ConfigKey, ConfigType, Validator};
use crate::error::ConfigError;
use crate::util::secret_text::holds_secret;

/// A parsed value. `None` in an `Option<ConfigValue>` is Kafka's null: not set, no default.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ConfigValue {
    Boolean(bool),
    /// `short`, `int` and `long`; the range of the declared width has been checked.
    Integer(i64),
    Double(f64),
    Text(String),
    List(Vec<String>),
    Password(Password),
}

/// The printable form of a value that is not a password: hidden if it looks like a secret, which may have been put into
/// the wrong key.
pub(crate) fn shown(value: &str) -> &str {
    if holds_secret(value) {
        Password::HIDDEN
    } else {
        value
    }
}

/// The form for logs: passwords hidden, lists joined by commas.
impl fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(shown(value)),
            Self::List(items) => f.write_str(shown(&items.join(","))),
            Self::Password(value) => write!(f, "{value}"),
        }
    }
}

/// Parses and validates the value of a key.
pub(crate) fn parse(key: &ConfigKey, given: &str) -> Result<ConfigValue, ConfigError> {
    let text = trim(given);
    let value = match key.config_type() {
        ConfigType::Boolean => parse_boolean(text).map(ConfigValue::Boolean),
        ConfigType::Short => text
            .parse::<i16>()
            .ok()
            .map(|n| ConfigValue::Integer(n.into())),
        ConfigType::Int => text
            .parse::<i32>()
            .ok()
            .map(|n| ConfigValue::Integer(n.into())),
        ConfigType::Long => text.parse::<i64>().ok().map(ConfigValue::Integer),
        ConfigType::Double => text.parse::<f64>().ok().map(ConfigValue::Double),
        ConfigType::Text | ConfigType::Class => Some(ConfigValue::Text(text.to_owned())),
        ConfigType::List => Some(ConfigValue::List(split_list(text))),
        ConfigType::Password => Some(ConfigValue::Password(Password::new(text))),
    };
    let Some(value) = value else {
        return Err(refuse(
            key,
            given,
            format!("this is not {}", key.config_type().with_article()),
        ));
    };
    match key.validator().problem_with(&value) {
        None => Ok(value),
        Some(problem) => Err(refuse(key, given, problem)),
    }
}

fn refuse(key: &ConfigKey, given: &str, problem: impl Into<String>) -> ConfigError {
    let shown = (key.config_type() != ConfigType::Password).then_some(given);
    let remedy = match (key.validator().describe(), key.config_type()) {
        (Some(valid), ConfigType::Text) => format!("Set it to {valid}"),
        (Some(valid), kind) => format!("Set it to {}, {valid}", kind.with_article()),
        (None, kind) => format!("Set it to {}", kind.with_article()),
    };
    ConfigError::invalid(key.name(), shown, problem, remedy)
}

impl Validator {
    /// The problem with an invalid value; `None` if the value is valid.
    fn problem_with(self, value: &ConfigValue) -> Option<String> {
        match (self, value) {
            (Self::AtLeast(min), ConfigValue::Integer(n)) if *n < min => {
                Some(format!("the value is below {min}"))
            }
            (Self::Between(min, max), ConfigValue::Integer(n)) if *n < min || *n > max => {
                Some(format!("the value is not between {min} and {max}"))
            }
            (Self::BetweenOr(min, max, other), ConfigValue::Integer(n))
                if (*n < min || *n > max) && *n != other =>
            {
                Some(format!(
                    "the value is not between {min} and {max}, nor {other}"
                ))
            }
            // `!contains` instead of two comparisons, so that NaN is rejected too.
            (Self::Fraction(min, max), ConfigValue::Double(x)) if !(min..=max).contains(x) => {
                Some(format!("the value is not between {min} and {max}"))
            }
            (Self::OneOf(valid), ConfigValue::Text(text)) if !valid.contains(&text.as_str()) => {
                Some(match valid.iter().find(|v| v.eq_ignore_ascii_case(text)) {
                    Some(meant) => format!("the value must be written {meant}: case matters"),
                    None => "there is no such value".to_owned(),
                })
            }
            (Self::Bytes(min, _), ConfigValue::Text(text)) if text.len() < min => {
                Some(if text.is_empty() {
                    "the value is empty".to_owned()
                } else {
                    format!("the value has only {} bytes", text.len())
                })
            }
            (Self::Bytes(_, max), ConfigValue::Text(text)) if text.len() > max => {
                Some(format!("the value has {} bytes", text.len()))
            }
            _ => None,
        }
    }
}

/// Trims like Java's `String#trim`: everything up to U+0020, control characters included.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

fn parse_boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Splits at commas and trims each item; empty items are kept.
fn split_list(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|item| trim(item).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::definition::key;

    fn parsed(name: &str, text: &str) -> Result<ConfigValue, ConfigError> {
        parse(key(name).expect("the test names a key of the table"), text)
    }

    /// Java: ConfigDefTest#testBasicTypes
    #[test]
    fn text_becomes_a_value_of_the_declared_type() {
        assert_eq!(
            parsed("batch.size", "1   ").unwrap(),
            ConfigValue::Integer(1)
        );
        assert_eq!(parsed("linger.ms", "2").unwrap(), ConfigValue::Integer(2));
        assert_eq!(
            parsed("client.id", "\t hello\n").unwrap(),
            ConfigValue::Text("hello".into())
        );
        assert_eq!(
            parsed("bootstrap.servers", " a , b, c").unwrap(),
            ConfigValue::List(vec!["a".into(), "b".into(), "c".into()])
        );
        assert_eq!(
            parsed("sasl.kerberos.ticket.renew.jitter", "42.5").unwrap(),
            ConfigValue::Double(42.5)
        );
        for (text, value) in [("true", true), ("FalSE", false), ("TRUE", true)] {
            assert_eq!(
                parsed("enable.idempotence", text).unwrap(),
                ConfigValue::Boolean(value)
            );
        }
        let ConfigValue::Password(password) = parsed("ssl.key.password", " pass word ").unwrap()
        else {
            panic!("not parsed as a password");
        };
        assert_eq!(password.expose(), "pass word");
    }

    /// Java: ConfigDefTest#testBadInputs
    #[test]
    fn text_that_is_not_of_the_type_is_refused() {
        let long = i64::MAX.to_string();
        let too_long = format!("{long}00");
        let cases: [(&str, &[&str]); 5] = [
            ("batch.size", &["hello", "42.5", &long, "", "1_000", "0x10"]),
            ("linger.ms", &["hello", "42.5", &too_long, ""]),
            ("sasl.login.refresh.buffer.seconds", &["hello", "40000"]),
            ("sasl.kerberos.ticket.renew.jitter", &["hello", ""]),
            ("enable.idempotence", &["hello", "truee", "fals", "1", ""]),
        ];
        for (name, texts) in cases {
            for text in texts {
                let error = parsed(name, text).expect_err(text);
                assert_eq!(error.key(), Some(name));
                assert_eq!(error.value(), Some(*text));
            }
        }
    }

    /// Java: ConfigDefTest#testValidators
    #[test]
    fn valid_strings_are_compared_case_sensitively() {
        assert!(parsed("acks", " all ").is_ok());
        let error = parsed("acks", "ALL").unwrap_err();
        assert!(error.to_string().contains("must be written all"), "{error}");
        assert!(parsed("acks", "2").is_err());
        assert!(parsed("metrics.recording.level", "info").is_err());
    }

    #[test]
    fn nan_is_outside_every_range() {
        assert!(parsed("sasl.login.refresh.window.factor", "NaN").is_err());
        assert!(parsed("sasl.login.refresh.window.factor", "0.5").is_ok());
        assert!(parsed("sasl.login.refresh.window.factor", "0.49").is_err());
    }

    #[test]
    fn lists_keep_empty_items_and_an_empty_text_is_an_empty_list() {
        assert_eq!(split_list(""), Vec::<String>::new());
        assert_eq!(split_list("a,,b,"), ["a", "", "b", ""]);
    }
}
