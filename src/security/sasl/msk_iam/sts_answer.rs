//! Reader of STS' answers: the few elements of XML that contain credentials or an error.
//!
//! It accepts XML as AWS writes it, which is a small part of XML: elements, attributes that are ignored, text with the
//! five predefined entities and numbers. Comments, CDATA and document types are rejected, so nothing is ever expanded
//! beyond the size of the answer.

use std::fmt;

use super::aws_credentials::AwsCredentials;
use super::aws_time::parse_utc;
use crate::config::Password;

/// Deepest nesting of elements; STS uses four levels.
const MAX_DEPTH: usize = 16;

/// The texts of the elements that are read, each of its first occurrence.
#[derive(Default)]
pub(super) struct StsAnswer {
    access_key_id: Option<Password>,
    secret_access_key: Option<Password>,
    session_token: Option<Password>,
    expiration: Option<Password>,
    /// The code of an error, such as `AccessDenied`.
    pub(super) code: Option<String>,
    /// The text of an error.
    pub(super) message: Option<String>,
}

impl StsAnswer {
    /// Parses an answer.
    ///
    /// # Errors
    /// A description of the problem, which does not quote the answer.
    pub(super) fn parse(xml: &str) -> Result<Self, String> {
        let mut answer = Self::default();
        visit_texts(xml, |path, text| {
            let [.., parent, name] = path else { return };
            let secret = match (*parent, *name) {
                ("Credentials", "AccessKeyId") => &mut answer.access_key_id,
                ("Credentials", "SecretAccessKey") => &mut answer.secret_access_key,
                ("Credentials", "SessionToken") => &mut answer.session_token,
                ("Credentials", "Expiration") => &mut answer.expiration,
                ("Error", "Code") => {
                    answer.code.get_or_insert(text);
                    return;
                }
                ("Error", "Message") => {
                    answer.message.get_or_insert(text);
                    return;
                }
                _ => return,
            };
            secret.get_or_insert_with(|| Password::new(text));
        })?;
        Ok(answer)
    }

    /// The credentials of an answer without an error.
    ///
    /// # Errors
    /// The missing or invalid element, which is not quoted.
    pub(super) fn credentials(&self) -> Result<AwsCredentials, String> {
        fn of<'v>(name: &str, value: Option<&'v Password>) -> Result<&'v str, String> {
            let value = value.map(Password::expose);
            value.ok_or_else(|| format!("the answer has no element {name}"))
        }
        let key_id = of("AccessKeyId", self.access_key_id.as_ref())?;
        let secret = of("SecretAccessKey", self.secret_access_key.as_ref())?;
        let session = of("SessionToken", self.session_token.as_ref())?;
        let end = parse_utc(of("Expiration", self.expiration.as_ref())?);
        let end = end.ok_or("the element Expiration of the answer is not a time")?;
        AwsCredentials::new(key_id, secret, Some(session), Some(end))
    }
}

impl fmt::Debug for StsAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StsAnswer")
            .field("code", &self.code)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

/// Calls `visit` for each text that is not blank, with the names of the elements around it, from the root.
fn visit_texts<'x>(
    xml: &'x str,
    mut visit: impl FnMut(&[&'x str], String),
) -> Result<(), &'static str> {
    let mut open: Vec<&str> = Vec::new();
    let mut has_root = false;
    let mut rest = xml.strip_prefix('\u{feff}').unwrap_or(xml);
    loop {
        let (text, tag) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
        let text = text.trim();
        if !text.is_empty() {
            if open.is_empty() {
                return Err("the answer is not XML");
            }
            visit(&open, unescaped(text)?);
        }
        let Some(tag) = tag.strip_prefix('<') else {
            return if has_root && open.is_empty() {
                Ok(())
            } else {
                Err("the answer is not XML, or it is truncated")
            };
        };
        let Some((tag, behind)) = tag.split_once('>') else {
            return Err("the answer is truncated XML");
        };
        rest = behind;
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name.trim_end()) {
                return Err("the elements of the answer are not nested");
            }
        } else if tag.starts_with('?') {
            if has_root || !tag.ends_with('?') {
                return Err("the answer has an instruction, which is not read");
            }
        } else {
            let element = tag.strip_suffix('/');
            let name = element.unwrap_or(tag);
            let name = name.split_ascii_whitespace().next().unwrap_or_default();
            if !is_name(name) || (has_root && open.is_empty()) {
                return Err("the answer is not XML as STS writes it");
            }
            has_root = true;
            if element.is_none() {
                if open.len() == MAX_DEPTH {
                    return Err("the elements of the answer are nested too deeply");
                }
                open.push(name);
            }
        }
    }
}

/// Whether this can be the name of an element. `<!--`, `<!DOCTYPE` and `<![CDATA[` have none.
fn is_name(name: &str) -> bool {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_in_name)
}

/// The text with its entities replaced. The result is never longer.
fn unescaped(text: &str) -> Result<String, &'static str> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        plain.push_str(before);
        let Some((entity, behind)) = behind.split_once(';') else {
            return Err("the answer has a malformed entity");
        };
        plain.push(character(entity).ok_or("the answer has an unknown entity")?);
        rest = behind;
    }
    plain.push_str(rest);
    Ok(plain)
}

/// The character of a predefined entity, or of a number.
fn character(entity: &str) -> Option<char> {
    let (digits, radix) = match entity {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => match entity.strip_prefix('#')?.strip_prefix('x') {
            Some(digits) => (digits, 16),
            None => (entity.strip_prefix('#')?, 10),
        },
    };
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    let number = u32::from_str_radix(digits, radix).ok();
    number.filter(|_| is_number).and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    const ASSUMED: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <SourceIdentity/>
    <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/demo/x</Arn></AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>
      <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
      <SessionToken> AQoDYXdz&#x2b;&amp;&#61; </SessionToken>
      <Expiration>2019-11-09T13:34:41Z</Expiration>
    </Credentials>
  </AssumeRoleResult>
  <ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>
</AssumeRoleResponse>
"#;

    #[test]
    fn the_documented_answer_has_credentials() {
        for declaration in ["", "\u{feff}<?xml version=\"1.0\"?>\n"] {
            let answer = StsAnswer::parse(&format!("{declaration}{ASSUMED}")).unwrap();
            let credentials = answer.credentials().unwrap();
            assert_eq!(credentials.access_key_id, "ASIAIOSFODNN7EXAMPLE");
            assert_eq!(
                credentials.secret_access_key.expose(),
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY"
            );
            assert_eq!(credentials.session_token.unwrap().expose(), "AQoDYXdz+&=");
            assert_eq!(
                credentials.expires,
                Some(Timestamp::from_millis(1_573_306_481_000))
            );
            assert_eq!(format!("{answer:?}").matches("AQoD").count(), 0);
        }
    }

    #[test]
    fn an_error_has_a_code_and_a_message() {
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: x is not \
            authorized &lt;here&gt;</Message></Error><RequestId>1</RequestId></ErrorResponse>";
        let answer = StsAnswer::parse(xml).unwrap();
        assert_eq!(answer.code.as_deref(), Some("AccessDenied"));
        assert_eq!(
            answer.message.as_deref(),
            Some("User: x is not authorized <here>")
        );
        assert!(answer.credentials().unwrap_err().contains("AccessKeyId"));
    }

    #[test]
    fn other_text_is_rejected_and_not_quoted() {
        for xml in [
            "",
            "hunter2",
            "{\"hunter2\": 1}",
            "<a>hunter2",
            "<a><b>hunter2</a></b>",
            "<a/><b/>",
            "<a/>hunter2",
            "<!DOCTYPE html><html>hunter2</html>",
            "<!DOCTYPE a [<!ENTITY hunter2 \"x\">]><a>&hunter2;</a>",
            "<a><![CDATA[hunter2]]></a>",
            "<a><!-- hunter2 --></a>",
            "<a>&hunter2;</a>",
            "<a>&#xD800;</a>",
            "<a>&#+9;</a>",
            "<a>&</a>",
            "<a",
            "<a></b>",
            "<1/>",
            "<a><?hunter2?></a>",
        ] {
            let why = StsAnswer::parse(xml).expect_err(xml);
            assert!(!why.contains("hunter2"), "{why}");
        }
        let deep = "<a>".repeat(1_000_000);
        assert!(StsAnswer::parse(&deep).unwrap_err().contains("deeply"));
        for part in ["SecretAccessKey", "SessionToken", "Expiration"] {
            let without = ASSUMED.replace(&format!("<{part}>"), "<X>");
            let without = without.replace(&format!("</{part}>"), "</X>");
            let answer = StsAnswer::parse(&without).unwrap();
            assert!(answer.credentials().unwrap_err().contains(part));
        }
    }
}
