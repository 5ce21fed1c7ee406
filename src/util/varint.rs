//! Variable-length integers as Kafka writes them: seven bits a byte, least significant first; signed
//! ones zig-zag, so that small negative numbers stay short.

/// Longest encoding of a 32-bit value.
pub(crate) const MAX_VARINT_BYTES: usize = 5;
/// Longest encoding of a 64-bit value.
pub(crate) const MAX_VARLONG_BYTES: usize = 10;

/// A varint that ran past its longest form, or past the end of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VarintError {
    /// The input ended inside the number.
    Truncated,
    /// More continuation bytes than the type can hold.
    TooLong,
}

const fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

const fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Bytes of an unsigned varint.
#[inline]
pub(crate) const fn unsigned_len(value: u32) -> usize {
    // One byte for each started group of seven bits; zero takes one.
    (38 - (value | 1).leading_zeros() as usize) / 7
}

/// Bytes of a zig-zag varint.
#[inline]
pub(crate) const fn varint_len(value: i32) -> usize {
    unsigned_len(zigzag32(value))
}

/// Bytes of a zig-zag varlong.
#[inline]
pub(crate) const fn varlong_len(value: i64) -> usize {
    (70 - (zigzag64(value) | 1).leading_zeros() as usize) / 7
}

/// Writes an unsigned varint to the front of `out`, which has room for it; returns its length.
#[inline]
fn write_unsigned(out: &mut [u8], mut value: u64) -> usize {
    // Lengths and deltas are nearly always below 128 or 16,384.
    if value < 0x80 {
        out[0] = value as u8;
        return 1;
    }
    if value < 0x4000 {
        out[..2].copy_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]);
        return 2;
    }
    let mut len = 0;
    while value >= 0x80 {
        out[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    out[len] = value as u8;
    len + 1
}

/// Writes a zig-zag varint to the front of `out`, which has room for it; returns its length.
#[inline]
pub(crate) fn write_varint(out: &mut [u8], value: i32) -> usize {
    write_unsigned(out, u64::from(zigzag32(value)))
}

/// Writes a zig-zag varlong to the front of `out`, which has room for it; returns its length.
#[inline]
pub(crate) fn write_varlong(out: &mut [u8], value: i64) -> usize {
    write_unsigned(out, zigzag64(value))
}

/// Appends an unsigned varint.
pub(crate) fn put_unsigned(out: &mut Vec<u8>, value: u32) {
    let mut bytes = [0; MAX_VARINT_BYTES];
    let len = write_unsigned(&mut bytes, u64::from(value));
    out.extend_from_slice(&bytes[..len]);
}

/// Appends a zig-zag varint.
#[cfg(test)]
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_unsigned(out, zigzag32(value));
}

/// Appends a zig-zag varlong.
#[cfg(test)]
pub(crate) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut bytes = [0; MAX_VARLONG_BYTES];
    let len = write_varlong(&mut bytes, value);
    out.extend_from_slice(&bytes[..len]);
}

/// Takes an unsigned varint off the front of `input`.
pub(crate) fn take_unsigned(input: &mut &[u8]) -> Result<u32, VarintError> {
    let mut value = 0u32;
    for i in 0..MAX_VARINT_BYTES {
        let byte = *input.get(i).ok_or(VarintError::Truncated)?;
        // The fifth byte has room for four bits; Kafka's reader drops what does not fit, we refuse it.
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
#[cfg(any(test, feature = "testing"))]
pub(crate) fn take_varint(input: &mut &[u8]) -> Result<i32, VarintError> {
    let raw = take_unsigned(input)?;
    Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Takes a zig-zag varlong off the front of `input`.
#[cfg(any(test, feature = "testing"))]
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
    fn known_values_have_known_bytes() {
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
            assert_eq!(varint_len(value), bytes.len(), "{value}");
        }
    }

    /// Java: ByteUtilsTest#testInvalidVarint
    #[test]
    fn a_varint_without_end_is_refused() {
        assert_eq!(take_varint(&mut &[0xff; 6][..]), Err(VarintError::TooLong));
        assert_eq!(
            take_varlong(&mut &[0xff; 11][..]),
            Err(VarintError::TooLong)
        );
        assert_eq!(take_varint(&mut &[0x80][..]), Err(VarintError::Truncated));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(int in any::<i32>(), long in any::<i64>(), raw in any::<u32>()) {
            let mut out = Vec::new();
            put_varint(&mut out, int);
            prop_assert_eq!(out.len(), varint_len(int));
            put_varlong(&mut out, long);
            prop_assert_eq!(out.len(), varint_len(int) + varlong_len(long));
            put_unsigned(&mut out, raw);
            prop_assert_eq!(out.len(), varint_len(int) + varlong_len(long) + unsigned_len(raw));
            let mut input = &out[..];
            prop_assert_eq!(take_varint(&mut input), Ok(int));
            prop_assert_eq!(take_varlong(&mut input), Ok(long));
            prop_assert_eq!(take_unsigned(&mut input), Ok(raw));
            prop_assert!(input.is_empty());
        }
    }
}
