//! Varints as Kafka encodes them: seven bits per byte, least significant first; signed numbers in zig-zag encoding, so
//! that small negative numbers stay short.

/// Longest encoding of a 32-bit value, in bytes.
pub(crate) const MAX_VARINT_BYTES: usize = 5;
/// Longest encoding of a 64-bit value, in bytes.
pub(crate) const MAX_VARLONG_BYTES: usize = 10;

/// Error: a varint is longer than its type allows, or truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VarintError {
    /// The input ended inside the number.
    Truncated,
    /// More continuation bytes than the type can hold.
    TooLong,
}

/// Zig-zag encoding: maps a signed number to an unsigned one that is small if the signed one is near zero.
pub(crate) const fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Encoded size of an unsigned varint.
#[inline]
pub(crate) const fn unsigned_len(value: u64) -> usize {
    // Lengths and deltas are nearly always below 16,384.
    if value < 0x4000 {
        return 1 + (value >= 0x80) as usize;
    }
    // One byte for each started group of seven bits.
    (70 - value.leading_zeros() as usize) / 7
}

/// Encoded size of a non-negative 31-bit number as a zig-zag varint.
#[inline]
pub(crate) const fn length_len(length: usize) -> usize {
    unsigned_len((length as u64) << 1)
}

/// Encoded size of a zig-zag varlong.
#[inline]
pub(crate) const fn varlong_len(value: i64) -> usize {
    unsigned_len(zigzag64(value))
}

/// Appends an unsigned varint.
pub(crate) fn put_unsigned(out: &mut Vec<u8>, value: u32) {
    put_unsigned64(out, u64::from(value));
}

/// Appends a zig-zag varint.
#[cfg(test)]
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_varlong(out, i64::from(value));
}

/// Appends a zig-zag varlong.
#[cfg(test)]
pub(crate) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    put_unsigned64(out, zigzag64(value));
}

/// Appends an unsigned varint of up to 64 bits.
pub(crate) fn put_unsigned64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes an unsigned varint off the front of `input`.
pub(crate) fn take_unsigned(input: &mut &[u8]) -> Result<u32, VarintError> {
    let mut value = 0u32;
    for i in 0..MAX_VARINT_BYTES {
        let byte = *input.get(i).ok_or(VarintError::Truncated)?;
        // The fifth byte has only four significant bits. Kafka's reader ignores its other bits; here they are an error.
        if i == MAX_VARINT_BYTES - 1 && byte > 0x0f {
            return Err(VarintError::TooLong);
        }
        value |= u32::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            *input = &input[i + 1..];
            return Ok(value);
        }
    }
    Err(VarintError::TooLong)
}

/// Takes a zig-zag varint off the front of `input`.
pub(crate) fn take_varint(input: &mut &[u8]) -> Result<i32, VarintError> {
    let raw = take_unsigned(input)?;
    Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Takes a zig-zag varlong off the front of `input`.
pub(crate) fn take_varlong(input: &mut &[u8]) -> Result<i64, VarintError> {
    let mut raw = 0u64;
    for i in 0..MAX_VARLONG_BYTES {
        let byte = *input.get(i).ok_or(VarintError::Truncated)?;
        if i == MAX_VARLONG_BYTES - 1 && byte > 1 {
            return Err(VarintError::TooLong);
        }
        raw |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            *input = &input[i + 1..];
            return Ok((raw >> 1) as i64 ^ -((raw & 1) as i64));
        }
    }
    Err(VarintError::TooLong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Java: ByteUtilsTest#testVarintSerde
    #[test]
    fn varints_are_encoded_as_kafka_encodes_them() {
        let cases: [(i32, &[u8]); 8] = [
            (0, &[0x00]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (8191, &[0xfe, 0x7f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(varlong_len(i64::from(value)), bytes.len(), "{value}");
        }
    }

    /// Java: ByteUtilsTest#testInvalidVarint
    #[test]
    fn a_varint_that_is_too_long_or_truncated_is_an_error() {
        assert_eq!(take_varint(&mut &[0xff; 6][..]), Err(VarintError::TooLong));
        assert_eq!(
            take_varlong(&mut &[0xff; 11][..]),
            Err(VarintError::TooLong)
        );
        assert_eq!(take_varint(&mut &[0x80][..]), Err(VarintError::Truncated));
    }

    proptest! {
        #[test]
        fn a_varint_is_read_back_unchanged(int in any::<i32>(), long in any::<i64>(), raw in any::<u32>()) {
            let mut out = Vec::new();
            put_varint(&mut out, int);
            prop_assert_eq!(out.len(), varlong_len(i64::from(int)));
            put_varlong(&mut out, long);
            prop_assert_eq!(out.len(), varlong_len(i64::from(int)) + varlong_len(long));
            put_unsigned(&mut out, raw);
            prop_assert_eq!(out.len(), varlong_len(i64::from(int)) + varlong_len(long) + unsigned_len(u64::from(raw)));
            let mut input = &out[..];
            prop_assert_eq!(take_varint(&mut input), Ok(int));
            prop_assert_eq!(take_varlong(&mut input), Ok(long));
            prop_assert_eq!(take_unsigned(&mut input), Ok(raw));
            prop_assert!(input.is_empty());
        }
    }
}
