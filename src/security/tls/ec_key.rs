//! Adds the public key to an elliptic-curve private key. Java writes private keys without the public key, which *ring*
//! requires. The certificate contains the public key.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ParsedCertificate;
use zeroize::Zeroizing;

use super::der::{BIT_STRING, INTEGER, OCTETS, SEQUENCE, expect, explicit, tagged, take};

/// `id-ecPublicKey`
const EC: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const OBJECT_ID: u8 = 0x06;
/// The tag of the public key in `ECPrivateKey`.
const PUBLIC: u8 = explicit(1);

/// Adds the public key of the first certificate to a private key. Returns the private key unchanged if it already has a
/// public key, or is not an elliptic-curve key in PKCS#8.
pub(super) fn completed(
    key: PrivateKeyDer<'static>,
    chain: &[CertificateDer<'static>],
) -> PrivateKeyDer<'static> {
    let PrivateKeyDer::Pkcs8(pkcs8) = &key else {
        return key;
    };
    let completed = chain
        .first()
        .and_then(public_point)
        .and_then(|point| with_public(pkcs8.secret_pkcs8_der(), &point));
    match completed {
        Some(der) => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)),
        None => key,
    }
}

/// The public key of a certificate: the encoded point.
fn public_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let certificate = ParsedCertificate::try_from(certificate).ok()?;
    let spki = certificate.subject_public_key_info();
    let mut rest: &[u8] = &spki;
    let mut inner = expect(&mut rest, SEQUENCE)?;
    is_ec(expect(&mut inner, SEQUENCE)?)?;
    expect(&mut inner, BIT_STRING).map(<[u8]>::to_vec)
}

fn with_public(pkcs8: &[u8], point: &[u8]) -> Option<Vec<u8>> {
    let mut rest = pkcs8;
    let mut info = expect(&mut rest, SEQUENCE)?;
    let version = expect(&mut info, INTEGER)?;
    let algorithm = expect(&mut info, SEQUENCE)?;
    is_ec(algorithm)?;
    let mut sealed = expect(&mut info, OCTETS)?;
    let key = expect(&mut sealed, SEQUENCE)?;
    let mut parts = key;
    while let Some((tag, _)) = take(&mut parts) {
        if tag == PUBLIC {
            return None;
        }
    }
    let public = tagged(PUBLIC, &tagged(BIT_STRING, point));
    let key = Zeroizing::new(tagged(SEQUENCE, &Zeroizing::new([key, &public].concat())));
    let info = Zeroizing::new(
        [
            tagged(INTEGER, version),
            tagged(SEQUENCE, algorithm),
            tagged(OCTETS, &key),
        ]
        .concat(),
    );
    Some(tagged(SEQUENCE, &info))
}

fn is_ec(mut algorithm: &[u8]) -> Option<()> {
    (expect(&mut algorithm, OBJECT_ID)? == EC).then_some(())
}
