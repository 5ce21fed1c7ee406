//! Proof that a private key belongs to a certificate, by a signature. rustls compares public keys instead, which needs
//! a cryptography provider that gives out the public key of a private one.

use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

use super::der::{BIT_STRING, SEQUENCE, expect};

/// The text that is signed. It resembles nothing that is signed in a TLS handshake.
const TEXT: &[u8] = b"kafka-producer: this key belongs to its certificate";

/// Whether a signature by the private key is valid for the public key of the first certificate.
pub(super) fn signs_for_its_certificate(
    pair: &CertifiedKey,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let schemes = algorithms.mapping.iter().map(|(scheme, _)| *scheme);
    let schemes: Vec<SignatureScheme> = schemes.collect();
    let Some(signer) = pair.key.choose_scheme(&schemes) else {
        return false;
    };
    let Ok(signature) = signer.sign(TEXT) else {
        return false;
    };
    let Some((algorithm, public_key)) = pair.cert.first().and_then(public_key) else {
        return false;
    };
    algorithms
        .mapping
        .iter()
        .filter(|(scheme, _)| *scheme == signer.scheme())
        .flat_map(|(_, verifiers)| verifiers.iter())
        .filter(|verifier| verifier.public_key_alg_id().as_ref() == algorithm)
        .any(|verifier| {
            let verified = verifier.verify_signature(&public_key, TEXT, &signature);
            verified.is_ok()
        })
}

/// The algorithm and the public key of a certificate, as in its `SubjectPublicKeyInfo`.
fn public_key(certificate: &CertificateDer<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let certificate = ParsedCertificate::try_from(certificate).ok()?;
    let info = certificate.subject_public_key_info();
    let mut rest: &[u8] = &info;
    let mut fields = expect(&mut rest, SEQUENCE)?;
    let algorithm = expect(&mut fields, SEQUENCE)?;
    // The first byte is the number of unused bits at the end.
    let (unused, key) = expect(&mut fields, BIT_STRING)?.split_first()?;
    (*unused == 0).then(|| (algorithm.to_vec(), key.to_vec()))
}
