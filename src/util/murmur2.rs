//! Murmur2, 32 bits, with Kafka's seed: the hash by which Kafka's Java clients map a key to a partition.

const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;
const ROTATION: u32 = 24;

/// Hashes `data` as Kafka's `Utils#murmur2` does.
pub(crate) fn murmur2(data: &[u8]) -> i32 {
    // The length is mixed in as Java's int; keys of 2 GiB do not exist.
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut four = [0; 4];
        four.copy_from_slice(word);
        let mut k = u32::from_le_bytes(four).wrapping_mul(MULTIPLIER);
        k ^= k >> ROTATION;
        hash = hash.wrapping_mul(MULTIPLIER) ^ k.wrapping_mul(MULTIPLIER);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    (hash ^ (hash >> 15)) as i32
}

/// A hash as a non-negative number: the sign bit is cleared.
pub(crate) fn to_positive(hash: i32) -> u32 {
    hash as u32 & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PT-1, PT-2, PT-3: checked-in vectors that Kafka's own client computed.
    #[test]
    fn hashes_match_those_of_kafkas_java_client() {
        let vectors = include_str!("murmur2/java.txt");
        let mut count = 0;
        for line in vectors.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split(' ').collect();
            let key: Vec<u8> = (0..fields[0].len() / 2)
                .map(|at| u8::from_str_radix(&fields[0][2 * at..2 * at + 2], 16).unwrap())
                .collect();
            let hash = murmur2(&key);
            assert_eq!(hash, fields[1].parse::<i32>().unwrap(), "{line}");
            assert_eq!(
                to_positive(hash) % 12,
                fields[2].parse::<u32>().unwrap(),
                "{line}"
            );
            count += 1;
        }
        assert!(count >= 2000, "{count} vectors");
    }

    /// Java: UtilsTest#testMurmur2 (PT-2)
    #[test]
    fn known_keys_have_known_hashes() {
        let cases: [(&[u8], i32); 7] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (
                b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            (b"abc", 479_470_107),
            (b"", 275_646_681),
        ];
        for (key, hash) in cases {
            assert_eq!(murmur2(key), hash, "{:?}", String::from_utf8_lossy(key));
        }
    }
}
