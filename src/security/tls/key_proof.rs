//! Proof that a private key belongs to a certificate, by a signature. rustls compares public keys instead, which needs
//! a cryptography provider that gives out the public key of a private one.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureScheme};

use super::der::{BIT_STRING, SEQUENCE, expect};

/// The text that is signed. It resembles nothing that is signed in a TLS handshake.
const TEXT: &[u8] = b"kafka-producer: this key belongs to its certificate";

/// Checks that a signature by the private key is valid for the public key of the first certificate. A key whose
/// signatures this cryptography provider cannot verify is not checked.
///
/// # Errors
/// `InconsistentKeys` if the two do not belong together; another error if the provider cannot sign.
pub(super) fn prove(
    pair: &CertifiedKey,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), Error> {
    let schemes = algorithms.mapping.iter().map(|(scheme, _)| *scheme);
    let schemes: Vec<SignatureScheme> = schemes.collect();
    let Some(signer) = pair.key.choose_scheme(&schemes) else {
        return Ok(());
    };
    let signature = signer.sign(TEXT)?;
    let Some((algorithm, public_key)) = pair.cert.first().and_then(public_key) else {
        return Err(InconsistentKeys::KeyMismatch.into());
    };
    let is_valid = algorithms
        .mapping
        .iter()
        .filter(|(scheme, _)| *scheme == signer.scheme())
        .flat_map(|(_, verifiers)| verifiers.iter())
        .filter(|verifier| verifier.public_key_alg_id().as_ref() == algorithm)
        .any(|verifier| {
            let verified = verifier.verify_signature(&public_key, TEXT, &signature);
            verified.is_ok()
        });
    if is_valid {
        Ok(())
    } else {
        Err(InconsistentKeys::KeyMismatch.into())
    }
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
