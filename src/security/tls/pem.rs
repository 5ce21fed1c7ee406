//! Parser of PEM text from files and configurations. It also accepts PEM on one line, because continued lines of a
//! `.properties` file are joined.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

/// A section between `-----BEGIN label-----` and `-----END label-----`.
#[derive(Debug)]
struct Section<'t> {
    label: &'t str,
    body: &'t str,
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The private key of a text.
pub(super) enum PemKey {
    Plain(PrivateKeyDer<'static>),
    /// Encrypted PKCS#8.
    Encrypted(Zeroizing<Vec<u8>>),
}

/// Whether the bytes look like PEM.
pub(super) fn is_pem(bytes: &[u8]) -> bool {
    let begin = BEGIN.as_bytes();
    bytes.windows(begin.len()).any(|window| window == begin)
}

/// All certificates of a text, in their order. Other sections are skipped.
///
/// # Errors
/// A description of the malformed part, as the end of a sentence that begins with the configuration key.
pub(super) fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let sections = sections(text)?;
    let mut certificates = Vec::new();
    for section in &sections {
        if section.label != "CERTIFICATE" && section.label != "X509 CERTIFICATE" {
            continue;
        }
        let number = certificates.len() + 1;
        let text = rewritten("CERTIFICATE", section.body);
        let certificate = CertificateDer::from_pem_slice(text.as_bytes())
            .map_err(|_| format!("certificate {number} in it is not base64"))?;
        certificates.push(certificate);
    }
    if certificates.is_empty() {
        return Err(format!("no certificate is in it, {}", found(&sections)));
    }
    Ok(certificates)
}

/// The private key of a text.
///
/// # Errors
/// As [`certificates`], and if there are several private keys.
pub(super) fn private_key(text: &str) -> Result<PemKey, String> {
    let sections = sections(text)?;
    let mut keys = sections
        .iter()
        .filter(|section| section.label.ends_with("PRIVATE KEY"));
    let Some(key) = keys.next() else {
        return Err(format!("no private key is in it, {}", found(&sections)));
    };
    if keys.next().is_some() {
        return Err("more than one private key is in it".to_owned());
    }
    if key.body.contains("Proc-Type:") {
        return Err(
            "its private key is encrypted in the old way of OpenSSL; `openssl pkcs8 -topk8` writes one that \
             can be read"
                .to_owned(),
        );
    }
    let unreadable = || "its private key is not base64".to_owned();
    if key.label == "ENCRYPTED PRIVATE KEY" {
        // Any label that the parser accepts will do, because only the content is decoded.
        let text = rewritten("CERTIFICATE", key.body);
        let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| unreadable())?;
        return Ok(PemKey::Encrypted(Zeroizing::new(der.to_vec())));
    }
    let text = rewritten(key.label, key.body);
    PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map(PemKey::Plain)
        .map_err(|_| unreadable())
}

/// Splits a text into its sections.
fn sections(text: &str) -> Result<Vec<Section<'_>>, String> {
    let mut sections = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        let (label, begun) = begun
            .split_once(DASHES)
            .filter(|(label, _)| is_label(label))
            .ok_or("a BEGIN line in it does not end")?;
        let (body, ended) = begun
            .split_once(END)
            .ok_or_else(|| format!("BEGIN {label} in it has no END"))?;
        let (ending, after) = ended
            .split_once(DASHES)
            .filter(|(label, _)| is_label(label))
            .ok_or("an END line in it does not end")?;
        if ending != label {
            return Err(format!("BEGIN {label} in it is ended by END {ending}"));
        }
        sections.push(Section { label, body });
        rest = after;
    }
    Ok(sections)
}

/// Errors quote labels, so a label must not be able to contain a secret.
fn is_label(text: &str) -> bool {
    let is_of_labels = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ';
    text.len() <= 40 && text.chars().all(is_of_labels)
}

/// A section in canonical form, for a strict parser.
fn rewritten(label: &str, body: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(body.len() + 2 * label.len() + 64));
    text.extend([BEGIN, label, DASHES, "\n"]);
    // Skips headers of the form `Name: value` before the content.
    let lines = body.lines().filter(|line| !line.contains(':'));
    let mut content = lines.flat_map(str::chars).peekable();
    while let Some(c) = content.next() {
        // In environment variables and JSON a line break may be written as the two characters `\n`.
        let is_escaped = c == '\\' && content.next_if(|c| matches!(c, 'n' | 'r')).is_some();
        if !is_escaped && !c.is_whitespace() {
            text.push(c);
        }
    }
    text.extend(["\n", END, label, DASHES, "\n"]);
    text
}

/// Describes the sections that the text contains instead.
fn found(sections: &[Section<'_>]) -> String {
    if sections.is_empty() {
        return "nor anything else in PEM".to_owned();
    }
    let labels: Vec<&str> = sections.iter().map(|section| section.label).collect();
    let mut labels = labels.join(", ");
    labels.truncate(
        labels
            .char_indices()
            .nth(100)
            .map_or(labels.len(), |(at, _)| at),
    );
    format!("but {labels}")
}
