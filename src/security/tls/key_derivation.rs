//! Limits the cost of the password-based key derivation of a store. The parameters are checked before the store is
//! opened, because the derivation cannot be interrupted once it has started.
//!
//! Derivation parameters inside an encrypted safe are not checked: they can be written only with the password. Stores
//! of OpenSSL and keytool contain none there, because they do not encrypt the content of such a safe a second time.

use super::der::{INTEGER, OCTETS, SEQUENCE, expect, take};

/// Limit of iterations of one derivation. The PKCS#12 crate has the same limit, but reports it as a wrong password.
const MAX_ITERATIONS: u64 = 1_000_000;
/// Limit of the sum of all iterations and scrypt costs of one store; keytool uses 10,000 iterations for each key. With
/// PBKDF2-SHA-512, the slowest kind, the limit takes about three seconds on a processor of 2023.
const MAX_TOTAL_ITERATIONS: u64 = 5_000_000;
/// Limit of the scrypt cost, `N * r * p`: sixteen times OpenSSL's default. A derivation at the limit uses at most
/// 256 MiB. It takes about as long as the same number of iterations of PBKDF2-SHA-512, so both count alike in the sum.
const MAX_SCRYPT_COST: u64 = 1 << 21;

/// Limit of the recursion: deeper than any derivation in a real store.
const MAX_DEPTH: u32 = 32;

const OID: u8 = 0x06;
const PBKDF2_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
const SCRYPT_ID: &[u8] = &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 4, 11];
/// The common prefix of PKCS#12's own derivations, each of which includes a cipher.
const PKCS12_IDS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 1];

/// Checks that opening a store takes a few seconds at most.
///
/// # Errors
/// The parameter that exceeds its limit.
pub(super) fn check(store: &[u8]) -> Result<(), String> {
    let mut found = Found::default();
    found.scan_store(store);
    if found.scrypt > MAX_SCRYPT_COST {
        return Err(format!(
            "its key derivation is scrypt with N * r * p = {}, but at most {MAX_SCRYPT_COST} is allowed",
            found.scrypt
        ));
    }
    if found.iterations > MAX_ITERATIONS {
        return Err(format!(
            "one of its key derivations has {} iterations, but at most {MAX_ITERATIONS} are allowed",
            found.iterations
        ));
    }
    if found.total > MAX_TOTAL_ITERATIONS {
        return Err(format!(
            "its {} key derivations have {} iterations in all, but at most {MAX_TOTAL_ITERATIONS} are allowed",
            found.count, found.total
        ));
    }
    Ok(())
}

/// The derivations found in a store.
#[derive(Debug, Default)]
struct Found {
    count: usize,
    /// The highest number of iterations of a single derivation.
    iterations: u64,
    /// The highest scrypt cost (`N * r * p`) of a single derivation.
    scrypt: u64,
    /// The sum of all iterations and scrypt costs.
    total: u64,
}

impl Found {
    /// Scans a `PFX`: version, content, and the MAC with its derivation.
    fn scan_store(&mut self, mut store: &[u8]) {
        let Some(mut parts) = expect(&mut store, SEQUENCE) else {
            return;
        };
        let (Some(_version), Some((_, content))) = (take(&mut parts), take(&mut parts)) else {
            return;
        };
        self.scan_values(content, 0);
        if let Some(mut checksum) = expect(&mut parts, SEQUENCE) {
            let (_digest, _salt) = (take(&mut checksum), take(&mut checksum));
            self.note_iterations(number(&mut checksum).unwrap_or(1));
        }
    }

    /// Scans consecutive values, recursively.
    fn scan_values(&mut self, mut values: &[u8], depth: u32) {
        if depth > MAX_DEPTH {
            return;
        }
        while let Some((tag, content)) = take(&mut values) {
            if tag == OID {
                self.note(content, values);
            }
            // An octet string may contain nested DER, as it does in stores.
            if tag & IS_CONSTRUCTED != 0 || tag == OCTETS {
                self.scan_values(content, depth + 1);
            }
        }
    }

    /// Notes an `AlgorithmIdentifier` if it is a derivation. `name` is its OID; `after` begins with its parameters.
    fn note(&mut self, name: &[u8], mut after: &[u8]) {
        let Some(mut parameters) = expect(&mut after, SEQUENCE) else {
            return;
        };
        let _salt = take(&mut parameters);
        if name == SCRYPT_ID {
            let mut factor = || number(&mut parameters).unwrap_or(u64::MAX);
            let cost = factor().saturating_mul(factor()).saturating_mul(factor());
            self.scrypt = self.scrypt.max(cost);
            self.add(cost);
        } else if name == PBKDF2_ID || name.starts_with(PKCS12_IDS) {
            self.note_iterations(number(&mut parameters).unwrap_or(u64::MAX));
        }
    }

    fn note_iterations(&mut self, iterations: u64) {
        self.iterations = self.iterations.max(iterations);
        self.add(iterations);
    }

    fn add(&mut self, cost: u64) {
        self.count += 1;
        self.total = self.total.saturating_add(cost);
    }
}

const IS_CONSTRUCTED: u8 = 0x20;

/// Parses the next value as an integer; saturates for numbers that do not fit.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let digits = expect(rest, INTEGER)?;
    let first = digits.iter().position(|byte| *byte != 0);
    let digits = &digits[first.unwrap_or(digits.len())..];
    if digits.len() > size_of::<u64>() {
        return Some(u64::MAX);
    }
    let number = digits.iter().fold(0, |n, byte| (n << 8) | u64::from(*byte));
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::super::der::{explicit, tagged};
    use super::*;

    fn sequence(parts: &[&[u8]]) -> Vec<u8> {
        tagged(SEQUENCE, &parts.concat())
    }

    fn integer(digits: &[u8]) -> Vec<u8> {
        tagged(INTEGER, digits)
    }

    /// A store with this content in its only safe, and without a MAC.
    fn store_of(content: &[u8]) -> Vec<u8> {
        let content = tagged(explicit(0), &tagged(OCTETS, content));
        sequence(&[&integer(&[3]), &sequence(&[&tagged(OID, &[1]), &content])])
    }

    fn pbkdf2(iterations: &[u8]) -> Vec<u8> {
        let parameters = sequence(&[&tagged(OCTETS, b"salt"), &integer(iterations)]);
        sequence(&[&tagged(OID, PBKDF2_ID), &parameters])
    }

    #[test]
    fn integers_of_every_size_are_parsed() {
        for (digits, is_fine) in [
            (&[1][..], true),
            (&[0], true),
            (&[0x0f, 0x42, 0x40], true),
            (&[0x0f, 0x42, 0x41], false),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1], true),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0], false),
            (&[0x7f; 40], false),
            // Negative in DER, but parsed without a sign.
            (&[0xff], true),
            (&[0xff; 8], false),
        ] {
            let checked = check(&store_of(&pbkdf2(digits)));
            assert_eq!(checked.is_ok(), is_fine, "{digits:?}: {checked:?}");
        }
    }

    #[test]
    fn derivations_are_found_at_any_depth_and_added_up() {
        let deep = (0..8).fold(pbkdf2(&[0x0f, 0x42, 0x40]), |inner, _| {
            tagged(OCTETS, &tagged(explicit(0), &sequence(&[&inner])))
        });
        let of = |count| check(&store_of(&deep.repeat(count)));
        assert_eq!(of(1), Ok(()));
        assert_eq!(of(5), Ok(()));
        let six = of(6).unwrap_err();
        assert!(
            six.contains("6 key derivations have 6000000 iterations in all"),
            "{six}"
        );
        // A derivation behind a malformed value is found, too.
        let broken = tagged(OCTETS, &[0x30, 0x85, 1]);
        let many = pbkdf2(&[0x7f; 4]);
        assert!(check(&store_of(&[&broken[..], &many].concat())).is_err());
    }

    #[test]
    fn the_mac_of_a_store_counts_as_a_derivation() {
        let with = |iterations: &[u8]| {
            let digest = sequence(&[&tagged(OCTETS, b"digest")]);
            let checksum = sequence(&[&digest, &tagged(OCTETS, b"salt"), iterations]);
            sequence(&[&integer(&[3]), &sequence(&[]), &checksum])
        };
        assert_eq!(check(&with(&[])), Ok(()), "one, if none are given");
        assert_eq!(check(&with(&integer(&[0x27, 0x10]))), Ok(()));
        assert!(check(&with(&integer(&[0x7f; 4]))).is_err());
    }

    #[test]
    fn the_search_for_derivations_stops_at_a_maximum_depth() {
        let mut nested = pbkdf2(&[0x7f; 4]);
        for _ in 0..10_000 {
            nested = tagged(OCTETS, &nested);
        }
        assert_eq!(check(&store_of(&nested)), Ok(()), "nothing reads it there");
        assert_eq!(check(&[0x30]), Ok(()));
        assert_eq!(check(&[]), Ok(()));
    }
}
