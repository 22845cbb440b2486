//! The zigzag integers of variable length that records are made of.

use super::error::{RecordsError, corrupt};

/// Reads a 32-bit number at `*at` and moves behind it.
#[inline(always)]
pub(super) fn read_i32(bytes: &[u8], at: &mut usize) -> Result<i32, RecordsError> {
    let raw = match read_short(bytes, at) {
        // At most 21 bits.
        Some(raw) => raw as u32,
        None => {
            let (raw, next) = read_long(bytes, *at, 5)?;
            let Ok(raw) = u32::try_from(raw) else {
                return corrupt("a variable-length integer has more than 32 bits");
            };
            *at = next;
            raw
        }
    };
    Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}

/// Reads a 64-bit number at `*at` and moves behind it.
#[inline(always)]
pub(super) fn read_i64(bytes: &[u8], at: &mut usize) -> Result<i64, RecordsError> {
    let raw = match read_short(bytes, at) {
        Some(raw) => raw,
        None => {
            let (raw, next) = read_long(bytes, *at, 10)?;
            *at = next;
            raw
        }
    };
    Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}

/// The bits of a number of up to three bytes, which almost all are, out of one load of eight.
///
/// `None` for longer ones, and for those near the end, which the load would cross.
#[inline(always)]
fn read_short(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let word = u64::from_le_bytes(*bytes.get(*at..)?.first_chunk()?);
    if word & 0x80 == 0 {
        *at += 1;
        Some(word & 0x7f)
    } else if word & 0x8000 == 0 {
        *at += 2;
        Some(word & 0x7f | word >> 1 & 0x3f80)
    } else if word & 0x80_0000 == 0 {
        *at += 3;
        Some(word & 0x7f | word >> 1 & 0x3f80 | word >> 2 & 0x1f_c000)
    } else {
        None
    }
}

/// Any number of at most `most` bytes: its bits, and where the next thing begins.
#[inline(never)]
fn read_long(bytes: &[u8], at: usize, most: usize) -> Result<(u64, usize), RecordsError> {
    let mut value = 0;
    for (index, byte) in bytes.get(at..).unwrap_or_default().iter().take(most).enumerate() {
        let bits = u64::from(*byte & 0x7f);
        if index == 9 && bits > 1 {
            return corrupt("a variable-length integer has more than 64 bits");
        }
        value |= bits << (7 * index);
        if *byte < 0x80 {
            return Ok((value, at + index + 1));
        }
    }
    if bytes.len().saturating_sub(at) < most {
        corrupt("a variable-length integer is cut off")
    } else {
        corrupt("a variable-length integer has too many bytes")
    }
}

/// Appends a number; 32-bit ones have the same form.
pub(super) fn write(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for shift in 0..64 {
            for value in
                [1_i64 << shift, (1_i64 << shift).wrapping_neg(), (1_i64 << shift).wrapping_sub(1)]
            {
                let mut bytes = Vec::new();
                write(&mut bytes, value);
                let mut at = 0;
                assert_eq!(read_i64(&bytes, &mut at), Ok(value));
                assert_eq!(at, bytes.len());
                let mut at = 0;
                assert_eq!(read_i32(&bytes, &mut at).ok(), i32::try_from(value).ok());
            }
        }
    }

    #[test]
    fn fault_201_a_varint_of_six_bytes_is_corrupt() {
        for bytes in [&[0x80, 0x80, 0x80, 0x80, 0x80, 1][..], &[0xff; 6], &[0xff; 20]] {
            assert!(read_i32(bytes, &mut 0).is_err());
        }
        assert!(read_i32(&[0xff, 0xff, 0xff, 0xff, 0x10], &mut 0).is_err(), "33 bits");
        assert_eq!(read_i32(&[0xff, 0xff, 0xff, 0xff, 0x0f], &mut 0), Ok(i32::MIN));
    }

    #[test]
    fn fault_201_a_varlong_of_eleven_bytes_is_corrupt() {
        assert!(read_i64(&[0xff; 11], &mut 0).is_err());
        let mut longest = [0xff; 10];
        longest[9] = 1;
        assert_eq!(read_i64(&longest, &mut 0), Ok(i64::MIN));
        longest[9] = 2;
        assert!(read_i64(&longest, &mut 0).is_err(), "65 bits");
    }

    #[test]
    fn fault_201_a_truncated_varint_is_corrupt() {
        for bytes in [&[][..], &[0x80], &[0x80, 0x80, 0x80]] {
            assert!(read_i32(bytes, &mut 0).is_err());
            assert!(read_i64(bytes, &mut 0).is_err());
        }
        assert!(read_i32(&[1], &mut 7).is_err(), "beyond the end");
    }
}
