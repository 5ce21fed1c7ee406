//! Detects secrets in texts that are about to be shown in an error or log line.

/// Markers of secrets: private keys in PEM, JAAS logins, connection strings.
const MARKS: [&str; 5] = [
    "PRIVATE KEY-----",
    "password=",
    "password =",
    "secret=",
    "SharedAccessKey=",
];

/// Whether a text looks as if it contained a secret, such as a password that was set for the wrong configuration key.
/// The caller then redacts it.
pub(crate) fn holds_secret(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_marked = MARKS.iter().any(|mark| {
        let mut windows = bytes.windows(mark.len());
        windows.any(|window| window.eq_ignore_ascii_case(mark.as_bytes()))
    });
    is_marked || has_user_info(text)
}

/// Whether a URL in the text has a user or a password in it: `https://user:password@host/`.
fn has_user_info(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority =
            rest.split(|c: char| matches!(c, '/' | '?' | '#' | ',') || c.is_whitespace());
        authority.take(1).any(|authority| authority.contains('@'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_keys_and_connection_strings_are_recognized_by_their_markers() {
        for text in [
            "org.apache.PlainLoginModule required username=\"a\" Password=\"b\";",
            "x password = b",
            "-----BEGIN EC PRIVATE KEY-----",
            "clientSecret=b",
            "Endpoint=sb://x;SharedAccessKeyName=a;SharedAccessKey=b",
            "https://user:b@host/ca.pem",
            "PLAINTEXT://a:1,SASL_SSL://user:b@host:1",
        ] {
            assert!(holds_secret(text), "{text}");
        }
        for text in [
            "",
            "SCRAM-SHA-512",
            "SASL_SSL://host:9092,SSL://[::1]:9092",
            "https://host/a@b",
            "team@host",
            "/etc/kafka/private keys/password.p12",
            "-----BEGIN CERTIFICATE-----",
            "org.apache.kafka.common.security.plain.PlainLoginModule",
        ] {
            assert!(!holds_secret(text), "{text}");
        }
    }
}
