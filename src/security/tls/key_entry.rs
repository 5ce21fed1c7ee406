//! A private key entry of a key store, and the choice of one among several.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The client's private key and its certificate chain.
pub(super) struct KeyEntry {
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// If the store has several private keys: which one this is, as the end of a sentence that begins with the store.
    pub(super) note: Option<String>,
}

/// The index of the private key that Java uses first, of the keys with these aliases; `None` if there are none.
///
/// # Kafka
/// `SunX509KeyManagerImpl`, Java's default key manager, has a `HashMap` of the keys by their alias, and uses the first
/// in the order of that map. Differs: Java skips keys whose certificate was issued by none of the authorities that the
/// broker names.
#[cfg(feature = "pkcs12")]
pub(super) fn first_in_java(aliases: &[String]) -> Option<usize> {
    let mut buckets = 16_usize;
    // A map grows when more than three quarters of its buckets could be in use.
    while aliases.len() > buckets / 4 * 3 {
        buckets *= 2;
    }
    (0..aliases.len()).min_by_key(|&index| {
        let hash = java_hash(&aliases[index]);
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    })
}

/// `String#hashCode`
#[cfg(feature = "pkcs12")]
fn java_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    })
}

/// The note about a key that was chosen among several; `None` if the store has no other.
#[cfg(feature = "pkcs12")]
pub(super) fn note_of(alias: &str, keys: usize) -> Option<String> {
    (keys > 1).then(|| {
        format!(
            "it contains {keys} private keys, and that of the alias {} is used",
            quoted(alias)
        )
    })
}

/// An alias for messages: escaped and bounded, because it is an arbitrary text of a file.
#[cfg(feature = "pkcs12")]
pub(super) fn quoted(alias: &str) -> String {
    const MAX_CHARS: usize = 40;
    let text: String = alias.chars().take(MAX_CHARS).collect();
    format!("{text:?}")
}

#[cfg(all(test, feature = "pkcs12"))]
mod tests {
    use super::*;

    fn aliases(of: &[&str]) -> Vec<String> {
        of.iter().map(ToString::to_string).collect()
    }

    /// Java 17 prints these strings with these hash codes.
    #[test]
    fn hash_codes_are_those_of_java() {
        for (text, hash) in [
            ("", 0),
            ("a", 97),
            ("client", -1_357_712_437),
            ("schlüssel", 180_015_919),
            ("😀", 1_772_899),
        ] {
            assert_eq!(java_hash(text) as i32, hash, "{text}");
        }
    }

    /// A `HashMap` of Java 17 with these keys begins with this one.
    #[test]
    fn the_first_key_is_that_of_a_java_hash_map() {
        assert_eq!(first_in_java(&[]), None);
        for (names, first) in [
            (&["only"][..], "only"),
            (&["client", "server", "backup"], "server"),
            (&["client-2025", "client-2026"], "client-2026"),
            (&["old", "new"], "new"),
        ] {
            let names = aliases(names);
            let index = first_in_java(&names).unwrap();
            assert_eq!(names[index], first, "{names:?}");
        }
        // The map has 16 buckets for up to twelve keys, and 32 for thirteen.
        let numbered = |count: u32| (0..count).map(|n| format!("key-{n}")).collect::<Vec<_>>();
        assert_eq!(first_in_java(&numbered(12)), Some(1));
        assert_eq!(first_in_java(&numbered(13)), Some(1));
        let numbers: Vec<_> = (0..13).map(|n| n.to_string()).collect();
        assert_eq!(first_in_java(&numbers), Some(11));
    }

    #[test]
    fn long_aliases_are_shortened_and_escaped() {
        assert_eq!(quoted("a\n\"b"), r#""a\n\"b""#);
        assert_eq!(
            quoted(&"x".repeat(70_000)),
            format!("\"{}\"", "x".repeat(40))
        );
        assert_eq!(note_of("a", 1), None);
        let note = note_of("a", 2).unwrap();
        assert!(
            note.contains("2 private keys") && note.contains("\"a\""),
            "{note}"
        );
    }
}
