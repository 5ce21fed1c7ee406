//! Input in several parts, regrouped into blocks of fixed size, or into one slice.

/// Calls `each` with the concatenated parts in blocks of `size` bytes; the last block may be shorter, and empty input
/// has no blocks. A block within one part is not copied; a block that spans parts is assembled in `scratch`, which need
/// not be empty.
#[cfg(any(feature = "snappy", feature = "lz4"))]
pub(super) fn for_each_block<E>(
    parts: &[&[u8]],
    size: usize,
    scratch: &mut Vec<u8>,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    scratch.clear();
    // Number of bytes not passed to `each` yet, those in `scratch` included.
    let mut left: usize = parts.iter().map(|part| part.len()).sum();
    for &part in parts {
        let mut rest = part;
        while !rest.is_empty() {
            let wanted = size.min(left) - scratch.len();
            let (piece, behind) = rest.split_at(wanted.min(rest.len()));
            rest = behind;
            if piece.len() < wanted {
                scratch.extend_from_slice(piece);
            } else if scratch.is_empty() {
                left -= piece.len();
                each(piece)?;
            } else {
                scratch.extend_from_slice(piece);
                left -= scratch.len();
                each(scratch)?;
                scratch.clear();
            }
        }
    }
    Ok(())
}

/// All parts as one slice: the only non-empty part, or a copy in `scratch`.
#[cfg(any(feature = "zstd", feature = "zstd-pure"))]
pub(super) fn in_one_piece<'a>(parts: &[&'a [u8]], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let mut filled = parts.iter().filter(|part| !part.is_empty());
    match (filled.next(), filled.next()) {
        (None, _) => &[],
        (Some(only), None) => only,
        _ => {
            scratch.clear();
            for part in parts {
                scratch.extend_from_slice(part);
            }
            scratch
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(parts: &[&[u8]], size: usize) -> Vec<Vec<u8>> {
        let mut blocks = Vec::new();
        // `scratch` still holds a block of an earlier call, which must not become part of this one.
        let mut scratch = vec![9; 3];
        for_each_block(parts, size, &mut scratch, |block| {
            blocks.push(block.to_vec());
            Ok::<(), ()>(())
        })
        .unwrap();
        blocks
    }

    #[test]
    fn blocks_do_not_depend_on_where_parts_end() {
        let bytes: Vec<u8> = (0..23).collect();
        let expected: Vec<_> = bytes.chunks(5).map(<[u8]>::to_vec).collect();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(blocks(&parts, 5), expected, "cut at {first} and {second}");
            }
        }
        assert_eq!(blocks(&[&bytes[..20]], 5).len(), 4);
        assert_eq!(blocks(&[&[], &[]], 5).len(), 0);
    }

    #[test]
    fn a_block_within_a_part_is_not_copied() {
        let bytes = [7; 12];
        let mut scratch = Vec::new();
        for_each_block(&[&[], &bytes], 5, &mut scratch, |_| Ok::<(), ()>(())).unwrap();
        assert_eq!(scratch.capacity(), 0);
        assert_eq!(in_one_piece(&[&[], &bytes], &mut scratch), bytes);
        assert_eq!(scratch.capacity(), 0);
    }
}
