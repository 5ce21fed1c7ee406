//! Parser and encoder of SCRAM's messages (RFC 5802, section 7).
//!
//! No error quotes a broker's message: errors are logged, and the message is untrusted.

use std::borrow::Cow;

use crate::security::sasl::base64;

/// `server-first-message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerFirst<'a> {
    pub(crate) nonce: &'a str,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
}

/// `server-final-message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServerFinal<'a> {
    /// `server-error`: the broker rejects the proof, for this reason.
    Error(&'a str),
    /// `verifier`: the server signature.
    Signature(Vec<u8>),
}

/// Encodes a `saslname`: escapes commas and equals signs.
pub(crate) fn sasl_name(name: &str) -> Cow<'_, str> {
    if name.contains(['=', ',']) {
        name.replace('=', "=3D").replace(',', "=2C").into()
    } else {
        name.into()
    }
}

/// Parses a `server-first-message`. Unknown optional extensions are ignored.
///
/// # Errors
/// A description of the malformed part.
///
/// # Kafka
/// `ScramMessages.ServerFirstMessage`. Differs: a mandatory extension (`m=`) is rejected, as the RFC requires, and so
/// is an empty salt.
pub(crate) fn read_server_first(message: &[u8]) -> Result<ServerFirst<'_>, &'static str> {
    let text = std::str::from_utf8(message).map_err(|_| "it is not text")?;
    let mut parts = text.split(',');
    let mut next = |name: &str| parts.next().and_then(|part| part.strip_prefix(name));
    if text.starts_with("m=") {
        return Err("it asks for an extension that is not known here");
    }
    let nonce = next("r=").filter(|nonce| is_printable(nonce));
    let nonce = nonce.ok_or("it has no nonce")?;
    let salt = next("s=").and_then(base64::decode);
    let salt = salt
        .filter(|salt| !salt.is_empty())
        .ok_or("it has no salt")?;
    let digits = next("i=").filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let iterations = digits.and_then(|digits| match digits.parse() {
        // Saturates: a number that does not fit is above the limit in any case.
        Err(_) if !digits.is_empty() => Some(u32::MAX),
        parsed => parsed.ok(),
    });
    let iterations = iterations.ok_or("it has no number of iterations")?;
    check_extensions(parts)?;
    Ok(ServerFirst {
        nonce,
        salt,
        iterations,
    })
}

/// Parses a `server-final-message`.
///
/// # Errors
/// A description of the malformed part.
///
/// # Kafka
/// `ScramMessages.ServerFinalMessage`.
pub(crate) fn read_server_final(message: &[u8]) -> Result<ServerFinal<'_>, &'static str> {
    let text = std::str::from_utf8(message).map_err(|_| "it is not text")?;
    let mut parts = text.split(',');
    let first = parts.next().unwrap_or_default();
    let read = if let Some(error) = first.strip_prefix("e=") {
        let is_error = is_value(error) && !error.contains('=');
        ServerFinal::Error(
            Some(error)
                .filter(|_| is_error)
                .ok_or("its error is empty")?,
        )
    } else {
        let signature = first.strip_prefix("v=").and_then(base64::decode);
        ServerFinal::Signature(signature.ok_or("it has no signature")?)
    };
    check_extensions(parts)?;
    Ok(read)
}

/// Checks the form of extensions (`attr-val`), and otherwise ignores them.
fn check_extensions<'a>(parts: impl Iterator<Item = &'a str>) -> Result<(), &'static str> {
    for part in parts {
        let well_formed = part.split_once('=').is_some_and(|(name, value)| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic()) && is_value(value)
        });
        if !well_formed {
            return Err("it ends with something that is no extension");
        }
    }
    Ok(())
}

/// True for a `printable` of the RFC.
fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, 0x21..=0x7e))
}

/// True for a `value` of the RFC, restricted to ASCII as in Kafka.
fn is_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, 0x01..=0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Result<ServerFirst<'_>, &'static str> {
        read_server_first(text.as_bytes())
    }

    /// Java: ScramMessagesTest#validServerFirstMessage
    #[test]
    fn a_first_message_is_read_with_and_without_extensions() {
        for text in [
            "r=abc+/9,s=Zm9v,i=4096",
            "r=abc+/9,s=Zm9v,i=4096,x=y,abc=d=e",
        ] {
            let read = first(text).unwrap();
            assert_eq!(read.nonce, "abc+/9");
            assert_eq!(read.salt, b"foo");
            assert_eq!(read.iterations, 4096);
        }
        assert_eq!(
            first("r=a,s=Zm9v,i=2147483647").unwrap().iterations,
            2_147_483_647
        );
        let huge = first("r=a,s=Zm9v,i=99999999999999999999").unwrap();
        assert_eq!(huge.iterations, u32::MAX);
    }

    /// Java: ScramMessagesTest#invalidServerFirstMessage
    #[test]
    fn a_malformed_first_message_is_rejected_with_the_name_of_the_missing_part() {
        for (text, why) in [
            ("", "no nonce"),
            ("r=,s=Zm9v,i=4096", "no nonce"),
            ("s=Zm9v,i=4096", "no nonce"),
            ("r=a b,s=Zm9v,i=4096", "no nonce"),
            ("m=x,r=a,s=Zm9v,i=4096", "extension"),
            ("r=a,i=4096", "no salt"),
            ("r=a,s=,i=4096", "no salt"),
            ("r=a,s=Zm9,i=4096", "no salt"),
            ("r=a,s=Zm9v", "iterations"),
            ("r=a,s=Zm9v,i=", "iterations"),
            ("r=a,s=Zm9v,i=-1", "iterations"),
            ("r=a,s=Zm9v,i=4k", "iterations"),
            ("r=a,s=Zm9v,i=4096,", "extension"),
            ("r=a,s=Zm9v,i=4096,1=2", "extension"),
            ("r=a,s=Zm9v,i=4096,a=", "extension"),
        ] {
            let error = first(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(read_server_first(b"r=\xff,s=Zm9v,i=4096").is_err());
    }

    /// Java: ScramMessagesTest#validServerFinalMessage, invalidServerFinalMessage
    #[test]
    fn a_final_message_has_a_signature_or_an_error() {
        let read = |text: &'static str| read_server_final(text.as_bytes());
        assert_eq!(read("v=Zm9v"), Ok(ServerFinal::Signature(b"foo".to_vec())));
        assert_eq!(
            read("v=Zm9v,x=y"),
            Ok(ServerFinal::Signature(b"foo".to_vec()))
        );
        assert_eq!(
            read("e=invalid-proof"),
            Ok(ServerFinal::Error("invalid-proof"))
        );
        for text in ["", "e=", "e=a=b", "v", "v=Zm9", "x=y", "v=Zm9v,"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read_server_final(b"e=\xff").is_err());
    }

    /// Java: ScramFormatterTest#saslName
    #[test]
    fn commas_and_equals_signs_in_names_are_escaped() {
        assert_eq!(sasl_name("user1"), "user1");
        assert_eq!(sasl_name("=,=3D"), "=3D=2C=3D3D");
        assert_eq!(sasl_name("ü"), "ü");
    }
}
