//! Parser of `sasl.jaas.config` (JAAS syntax): a Java login module, a control flag and options.
//!
//! Values are secrets, and in malformed text any part may belong to one: errors name the position of the problem, and
//! never quote the text.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use crate::config::Password;

/// The key that is parsed.
pub(super) const KEY: &str = "sasl.jaas.config";

/// A parsed login module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoginModuleEntry {
    /// The name of the module's Java class.
    pub(crate) class: String,
    pub(crate) options: BTreeMap<String, Password>,
}

/// Control flags. They have no effect, because there is exactly one module.
const CONTROL_FLAGS: [&str; 4] = ["required", "requisite", "sufficient", "optional"];

/// Parses the one login module of a text.
///
/// # Errors
/// A description of the syntax error, which does not quote the text.
///
/// # Kafka
/// `org.apache.kafka.common.security.JaasConfig` and `JaasContext#load`, with the tokens of `java.io.StreamTokenizer`.
/// Differs: a quoted string that ends at a line end instead of a quotation mark is rejected, and so is an option
/// without a name.
pub(crate) fn parse(text: &str) -> Result<LoginModuleEntry, String> {
    let mut tokens = Tokens(text.chars().peekable());
    let mut entries = Vec::new();
    while let Some(first) = tokens.next()? {
        entries.push(entry(first, &mut tokens)?);
    }
    match entries.len() {
        0 => Err("it names no login module".to_owned()),
        1 => Ok(entries.remove(0)),
        count => Err(format!("it names {count} login modules, and must name one")),
    }
}

fn entry(first: Token, tokens: &mut Tokens<'_>) -> Result<LoginModuleEntry, String> {
    let Token::Text(class) = first else {
        return Err(
            "it does not begin with the name of a login module's class, such as \
             org.apache.kafka.common.security.plain.PlainLoginModule"
                .to_owned(),
        );
    };
    match tokens.next()? {
        Some(Token::Text(flag)) if CONTROL_FLAGS.iter().any(|f| f.eq_ignore_ascii_case(&flag)) => {}
        _ => {
            return Err(format!(
                "the login module's name is not followed by a control flag, one of {}",
                CONTROL_FLAGS.join(", ")
            ));
        }
    }
    let mut options = BTreeMap::new();
    for number in 1.. {
        let name = match tokens.next()? {
            Some(Token::Mark(';')) => break,
            Some(Token::Text(name)) => name,
            Some(Token::Number | Token::Mark(_)) => return Err(no_option(number)),
            None => {
                return Err(
                    "it does not end with a semicolon, or that stands in a comment, which a '/' \
                     outside of quotation marks begins"
                        .to_owned(),
                );
            }
        };
        if tokens.next()? != Some(Token::Mark('=')) {
            return Err(no_option(number));
        }
        match tokens.next()? {
            Some(Token::Text(value)) => options.insert(name, Password::new(value)),
            Some(Token::Number) => {
                return Err(format!(
                    "the value of option {number} begins like a number, and has to be put in quotation marks"
                ));
            }
            Some(Token::Mark(_)) | None => {
                return Err(format!(
                    "option {number} has no value, or one that has to be put in quotation marks"
                ));
            }
        };
    }
    Ok(LoginModuleEntry { class, options })
}

fn no_option(number: usize) -> String {
    format!(
        "option {number} is malformed: options have the form name=\"value\", the \
         last is followed by a semicolon, and values of other than letters, digits, '.', '-', '_' and '$' \
         have to be put in quotation marks"
    )
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A word or a quoted string.
    Text(String),
    /// Text that begins like a number. Java parses it as a number, and then rejects it as a value.
    Number,
    /// Any other character.
    Mark(char),
}

struct Tokens<'a>(Peekable<Chars<'a>>);

impl Tokens<'_> {
    fn next(&mut self) -> Result<Option<Token>, String> {
        loop {
            let Some(c) = self.0.next() else {
                return Ok(None);
            };
            return Ok(Some(match c {
                '\0'..=' ' => continue,
                '/' => {
                    self.skip_comment();
                    continue;
                }
                '-' if !self
                    .0
                    .peek()
                    .is_some_and(|next| is_numeric(*next) && *next != '-') =>
                {
                    Token::Mark('-')
                }
                '0'..='9' | '.' | '-' => {
                    self.skip_number(c);
                    Token::Number
                }
                '"' | '\'' => Token::Text(self.quotation(c)?),
                _ if is_word(c) => Token::Text(self.word(c)),
                _ => Token::Mark(c),
            }));
        }
    }

    /// Skips a comment. As in `StreamTokenizer`, a single slash begins one too.
    fn skip_comment(&mut self) {
        if self.0.peek() == Some(&'*') {
            self.0.next();
            let mut before = ' ';
            for c in self.0.by_ref() {
                if before == '*' && c == '/' {
                    return;
                }
                before = c;
            }
            return;
        }
        while self.0.next_if(|c| !matches!(c, '\n' | '\r')).is_some() {}
    }

    fn skip_number(&mut self, first: char) {
        let mut has_point = first == '.';
        while let Some(c) = self
            .0
            .next_if(|c| c.is_ascii_digit() || *c == '.' && !has_point)
        {
            has_point |= c == '.';
        }
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        while let Some(c) = self.0.next_if(|c| is_word(*c) || is_numeric(*c)) {
            word.push(c);
        }
        word
    }

    fn quotation(&mut self, mark: char) -> Result<String, String> {
        let mut text = String::new();
        while let Some(c) = self.0.next_if(|c| !matches!(c, '\n' | '\r')) {
            match c {
                _ if c == mark => return Ok(text),
                '\\' => text.extend(self.escaped()),
                _ => text.push(c),
            }
        }
        Err("a quotation does not end before the end of its line".to_owned())
    }

    /// The character of an escape sequence, after the backslash.
    fn escaped(&mut self) -> Option<char> {
        Some(match self.0.next()? {
            first @ '0'..='7' => {
                let longest = if first <= '3' { 2 } else { 1 };
                let mut code = first.to_digit(8)?;
                for _ in 0..longest {
                    let Some(digit) = self.0.next_if(|c| matches!(c, '0'..='7')) else {
                        break;
                    };
                    code = code * 8 + digit.to_digit(8)?;
                }
                char::from_u32(code)?
            }
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            other => other,
        })
    }
}

/// Whether a word can begin with this character.
fn is_word(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '_' | '$' | '-') || c >= '\u{a0}'
}

/// True if a number can begin with this character. The character may also occur within a word.
fn is_numeric(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '.' | '-')
}

#[cfg(test)]
mod tests;
