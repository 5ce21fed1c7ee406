//! Describes failures of TLS handshakes, with the key to change.

use std::borrow::Cow;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::choices::{CIPHER_SUITES, ENABLED_PROTOCOLS, IDENTIFICATION};
use super::date;
use super::stores::{KEY_LOCATION, TRUST_LOCATION};
use crate::util::foreign_text::printable;

/// The first bytes that a peer sent: enough to detect its protocol.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    bytes: [u8; 8],
    len: usize,
}

impl Opening {
    /// Appends received bytes, up to the capacity.
    pub(crate) fn note(&mut self, received: &[u8]) {
        let room = &mut self.bytes[self.len..];
        let len = room.len().min(received.len());
        room[..len].copy_from_slice(&received[..len]);
        self.len += len;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True if the peer does not use TLS: every TLS record begins with its type and the major version 3.
    fn is_not_tls(&self) -> bool {
        let bytes = &self.bytes[..self.len];
        !matches!(bytes, [] | [20..=24] | [20..=24, 3, ..])
    }

    /// Whether the peer sent only zero bytes, as brokers before 4.0 do when the handshake fails before their first
    /// message.
    fn is_blank(&self) -> bool {
        self.len == self.bytes.len() && self.bytes == [0; 8]
    }

    fn is_http(&self) -> bool {
        self.bytes[..self.len].starts_with(b"HTTP/")
    }
}

/// True if an error is permanent: one side rejects the other, or the peer does not use TLS. False for local and
/// transient errors.
pub(super) fn is_for_good(error: &Error) -> bool {
    !matches!(
        error,
        Error::FailedToGetCurrentTime | Error::FailedToGetRandomBytes | Error::General(_)
    )
}

/// Describes an error of a handshake with the broker `who`, whose host name is `host`. `opening` is `None` if the
/// handshake was already complete.
pub(super) fn describe(
    error: &Error,
    opening: Option<&Opening>,
    who: &str,
    host: &str,
    own: Option<OwnCertificate>,
) -> String {
    if opening.is_some_and(Opening::is_http) {
        return format!(
            "{who} responded to TLS with plain HTTP: it is a web server or a proxy, not a broker (check \
             bootstrap.servers, and the advertised.listeners of the brokers)"
        );
    }
    if opening.is_some_and(Opening::is_blank) {
        return format!(
            "{who} ended the handshake with unreadable bytes, as brokers do that have no TLS version or cipher suite \
             in common with this client (check {ENABLED_PROTOCOLS} and {CIPHER_SUITES}, and those of the broker)"
        );
    }
    if opening.is_some_and(Opening::is_not_tls) {
        return format!(
            "{who} did not respond with TLS: its listener accepts plain text (check its port; or set \
             security.protocol to PLAINTEXT or SASL_PLAINTEXT)"
        );
    }
    match error {
        Error::InvalidCertificate(error) => of_certificate(error, who, host),
        Error::NoCertificatesPresented => format!("{who} sent no certificate"),
        Error::AlertReceived(alert) => of_alert(*alert, who, own),
        // Brokers before 4.0 send their previous message again, instead of an alert.
        Error::DecryptError
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
            if opening.is_some() =>
        {
            format!(
                "{who} ended the handshake with unreadable bytes, as brokers do that reject the client certificate or \
                 require one ({})",
                own_certificate(own)
            )
        }
        Error::PeerIncompatible(why) => of_incompatibility(why, who),
        Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion) => of_versions(who),
        other if opening.is_some() => format!(
            "TLS with {who} failed: {other} (check that bootstrap.servers names brokers and ports for TLS, and \
             {ENABLED_PROTOCOLS} and {CIPHER_SUITES})"
        ),
        other => format!("TLS with {who} failed: {other}"),
    }
}

fn of_certificate(error: &CertificateError, who: &str, host: &str) -> String {
    let (what, remedy) = match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "is not signed by an authority that this client trusts".to_owned(),
            format!(
                "add the authority to {TRUST_LOCATION} or ssl.truststore.certificates; brokers must send the \
                 certificates between it and their own"
            ),
        ),
        CertificateError::NotValidForNameContext { presented, .. } => {
            // Eight names are enough to recognise whose certificate it is.
            let names = presented.iter().map(|name| printable(plain(name)));
            let mut names: Vec<Cow<'_, str>> = names.take(8).collect();
            names.extend((presented.len() > 8).then_some("...".into()));
            let names = if names.is_empty() {
                "for no name (it has no subject alternative names; its common name does not count)"
                    .to_owned()
            } else {
                format!("for {}", names.join(", "))
            };
            (
                format!("is not valid for {host}, but {names}"),
                format!(
                    "connect by a name that is in it (bootstrap.servers, and the advertised.listeners of the brokers), \
                     or have it issued for {host}; {IDENTIFICATION} disables this check, and with it the \
                     protection against a man in the middle"
                ),
            )
        }
        CertificateError::NotValidForName => (
            format!("is not valid for {host}"),
            format!(
                "connect by a name that is in it (bootstrap.servers, advertised.listeners), or see {IDENTIFICATION}"
            ),
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "has expired, or that of an authority above it".to_owned(),
            format!(
                "give the broker (or {TRUST_LOCATION}) a new one, and check the clock of this machine{}",
                at(error)
            ),
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            "is not valid yet".to_owned(),
            format!(
                "check the clocks of this machine and of the one that made it{}",
                at(error)
            ),
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => (
            "is not a server certificate".to_owned(),
            "have it issued with the extended key usage serverAuth".to_owned(),
        ),
        other => (
            format!("is refused: {other:?}"),
            format!("check the certificate of the broker, and {TRUST_LOCATION}"),
        ),
    };
    format!("the certificate of {who} {what} ({remedy})")
}

/// The name inside rustls' debug form: `a.b` for `DnsName("a.b")`, `192.0.2.1` for `IpAddress(192.0.2.1)`.
fn plain(name: &str) -> &str {
    let inside = |before: &str, after: &str| name.strip_prefix(before)?.strip_suffix(after);
    inside("DnsName(\"", "\")")
        .or_else(|| inside("UniformResourceIdentifier(\"", "\")"))
        .or_else(|| inside("IpAddress(", ")"))
        .unwrap_or(name)
}

/// The two times that were compared, as the end of a sentence; empty for other errors.
fn at(error: &CertificateError) -> String {
    let (time, bound) = match error {
        CertificateError::ExpiredContext { time, not_after } => (time, not_after),
        CertificateError::NotValidYetContext { time, not_before } => (time, not_before),
        _ => return String::new(),
    };
    format!(
        ", which says {}; the limit is {}",
        date::format_utc(time.as_secs()),
        date::format_utc(bound.as_secs())
    )
}

/// The client's own certificate, for messages about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnCertificate {
    /// `notBefore`, in seconds since 1970; `None` if it cannot be parsed.
    pub(super) valid_from: Option<u64>,
    /// `notAfter`, in seconds since 1970; `None` if it cannot be parsed.
    pub(super) valid_until: Option<u64>,
}

impl OwnCertificate {
    /// Describes why the certificate is not valid at this time, in seconds since 1970; `None` if it is valid.
    pub(super) fn problem_at(self, now: u64) -> Option<String> {
        let expired = self.valid_until.filter(|until| *until < now);
        let early = self.valid_from.filter(|from| *from > now);
        if let Some(until) = expired {
            let until = date::format_utc(until);
            return Some(format!("the client certificate expired at {until}"));
        }
        early.map(|from| {
            let from = date::format_utc(from);
            format!("the client certificate is not valid before {from}")
        })
    }
}

/// The remedy for a problem with the client's own certificate.
fn own_certificate(own: Option<OwnCertificate>) -> String {
    let Some(own) = own else {
        return format!(
            "this client has none: set {KEY_LOCATION}, or ssl.keystore.key and ssl.keystore.certificate.chain"
        );
    };
    let until = own.valid_until.map_or_else(String::new, |until| {
        format!("; this client's is valid until {}", date::format_utc(until))
    });
    format!(
        "check {KEY_LOCATION} or ssl.keystore.certificate.chain, and what the broker trusts{until}"
    )
}

fn of_alert(alert: AlertDescription, who: &str, own: Option<OwnCertificate>) -> String {
    use AlertDescription as Alert;

    let ours = own_certificate(own);
    match alert {
        Alert::CertificateRequired => format!("{who} requires a client certificate ({ours})"),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => {
            format!(
                "{who} rejects the client certificate: {} ({ours})",
                words(alert)
            )
        }
        Alert::ProtocolVersion => of_versions(who),
        Alert::InsufficientSecurity => of_suites(who),
        Alert::HandshakeFailure if own.is_some() => format!(
            "{who} ended the handshake: it has no cipher suite and TLS version in common with this client (check \
             {CIPHER_SUITES} and {ENABLED_PROTOCOLS}), or rejects the client certificate ({ours})"
        ),
        Alert::HandshakeFailure => format!(
            "{who} ended the handshake: it has no cipher suite and TLS version in common with this client (check \
             {CIPHER_SUITES} and {ENABLED_PROTOCOLS}), or requires a client certificate ({ours})"
        ),
        Alert::UnrecognisedName => format!(
            "{who} does not recognize this host name (check bootstrap.servers and advertised.listeners)"
        ),
        other => format!("{who} closed the TLS session: {}", words(other)),
    }
}

fn words(alert: AlertDescription) -> String {
    format!("{alert:?}")
}

fn of_incompatibility(why: &PeerIncompatible, who: &str) -> String {
    use PeerIncompatible as Why;

    match why {
        Why::ServerDoesNotSupportTls12Or13
        | Why::ServerTlsVersionIsDisabledByOurConfig
        | Why::Tls12NotOfferedOrEnabled => of_versions(who),
        Why::NoCipherSuitesInCommon => of_suites(who),
        other => format!("{who} has no compatible TLS settings: {other:?}"),
    }
}

fn of_versions(who: &str) -> String {
    format!(
        "{who} has no TLS version in common with this client (check {ENABLED_PROTOCOLS} and ssl.protocol, and those of \
         the broker)"
    )
}

fn of_suites(who: &str) -> String {
    format!(
        "{who} has no cipher suite in common with this client (check {CIPHER_SUITES}, and that of the broker)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_certificates_are_shown_without_their_debug_form() {
        for (name, shown) in [
            ("DnsName(\"a.test\")", "a.test"),
            ("IpAddress(192.0.2.1)", "192.0.2.1"),
            (
                "UniformResourceIdentifier(\"spiffe://a/b\")",
                "spiffe://a/b",
            ),
            ("DirectoryName", "DirectoryName"),
            ("Unsupported(0x01)", "Unsupported(0x01)"),
        ] {
            assert_eq!(plain(name), shown);
        }
    }
}
