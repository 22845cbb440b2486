//! How one record is read: the hot path of every consumer.

use super::{
    error::{RecordsError, corrupt},
    headers,
    varint::{read_i32, read_i64},
};

/// Where the parts of a record lie in its batch's bytes, with its offset and timestamp.
///
/// It was checked when it was read: its ranges are inside the batch, and its headers are well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The record's offset.
    pub offset: i64,
    /// Milliseconds since 1970, −1 when unknown.
    pub timestamp: i64,
    pub(crate) key: Field,
    pub(crate) value: Field,
    pub(crate) headers: Field,
}

/// A range of bytes that may be null. Two words of 32 bits, since a batch has less than 2 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    start: u32,
    len: i32,
}

impl Field {
    /// A range of nothing that is there.
    pub(crate) const NULL: Self = Self { start: 0, len: -1 };

    /// The range, which the caller knows to lie in a batch: below 4 GiB, shorter than 2 GiB.
    #[inline(always)]
    pub(crate) fn new(start: usize, len: i32) -> Self {
        Self { start: start as u32, len }
    }

    /// Its bytes in the batch that it was read from.
    #[inline(always)]
    pub(crate) fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        let len = usize::try_from(self.len).ok()?;
        // Checked when the record was read, so that this is always a slice.
        bytes.get(self.start as usize..)?.get(..len)
    }

    /// The range of `bytes` that are appended to `out`, or null.
    pub(crate) fn append_to(out: &mut Vec<u8>, bytes: Option<&[u8]>) -> Self {
        let Some(bytes) = bytes else { return Self::NULL };
        let field = Self::new(out.len(), bytes.len() as i32);
        out.extend_from_slice(bytes);
        field
    }

    /// Appends what it is in `from`, and gives where it is now.
    pub(crate) fn copy_to(self, out: &mut Vec<u8>, from: &[u8]) -> Self {
        Self::append_to(out, self.of(from))
    }

    /// Its length, `None` when null.
    #[inline]
    pub(crate) fn size(self) -> Option<usize> {
        usize::try_from(self.len).ok()
    }
}

/// A record as it stands in the batch: deltas in place of offset and timestamp.
pub(super) struct Parsed {
    pub(super) offset_delta: i32,
    pub(super) timestamp_delta: i64,
    pub(super) key: Field,
    pub(super) value: Field,
    pub(super) headers: Field,
    /// Where the next record begins.
    pub(super) next: usize,
}

/// Reads the record that begins at `start`, and checks everything in it.
#[inline(always)]
pub(super) fn parse(bytes: &[u8], start: usize) -> Result<Parsed, RecordsError> {
    let mut at = start;
    let length = read_i32(bytes, &mut at)?;
    let next = at.wrapping_add(length as usize);
    if length < 1 || next > bytes.len() {
        return corrupt("the length of a record is out of range");
    }
    let body = &bytes[..next];
    at += 1; // The attributes of a record: none is defined.
    let timestamp_delta = read_i64(body, &mut at)?;
    let offset_delta = read_i32(body, &mut at)?;
    let key = read_field(body, &mut at)?;
    let value = read_field(body, &mut at)?;
    let headers = if body.get(at) == Some(&0) && at + 1 == next {
        Field::NULL
    } else {
        headers::check(body, at)?;
        Field::new(at, (next - at) as i32)
    };
    Ok(Parsed { offset_delta, timestamp_delta, key, value, headers, next })
}

/// Reads a length, −1 for null, and steps over as many bytes.
#[inline(always)]
pub(super) fn read_field(body: &[u8], at: &mut usize) -> Result<Field, RecordsError> {
    let len = read_i32(body, at)?;
    let field = Field::new(*at, len);
    if len >= 0 {
        let end = at.wrapping_add(len as usize);
        if end > body.len() {
            return corrupt("a key, value or header is longer than its record");
        }
        *at = end;
    } else if len != -1 {
        return corrupt("the length of a key, value or header is negative");
    }
    Ok(field)
}
