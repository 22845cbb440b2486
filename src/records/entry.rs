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

/// A range of bytes that may be null: the length, and above it the start, in 32 bits each.
///
/// It is one integer so that it is stored and moved as a whole: a wide load behind two narrow stores stalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field(u64);

impl Field {
    /// A range of nothing that is there.
    pub(crate) const NULL: Self = Self(u32::MAX as u64);

    /// The range, which the caller knows to lie in a batch: below 4 GiB, shorter than 2 GiB.
    #[inline(always)]
    pub(crate) fn new(start: usize, len: i32) -> Self {
        Self((start as u64) << 32 | u64::from(len.cast_unsigned()))
    }

    /// Its bytes in the batch that it was read from.
    #[inline(always)]
    pub(crate) fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        let (start, len) = ((self.0 >> 32) as usize, self.size()?);
        // Checked when the record was read, so that this is always a slice.
        bytes.get(start..)?.get(..len)
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
    #[inline(always)]
    pub(crate) fn size(self) -> Option<usize> {
        usize::try_from(self.0 as i32).ok()
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
///
/// Its parts are held against the end of the batch as they are read, and against the end of the record once: they
/// follow each other, so that they are all inside when the last one ends where the record does.
#[inline(always)]
pub(super) fn parse(bytes: &[u8], start: usize) -> Result<Parsed, RecordsError> {
    let mut at = start;
    let length = read_i32(bytes, &mut at)?;
    let next = at.wrapping_add(length as usize);
    if length < 1 || next > bytes.len() {
        return corrupt("the length of a record is out of range");
    }
    at += 1; // The attributes of a record: none is defined.
    let timestamp_delta = read_i64(bytes, &mut at)?;
    let offset_delta = read_i32(bytes, &mut at)?;
    let key = read_field(bytes, &mut at)?;
    let value = read_field(bytes, &mut at)?;
    let headers = if at + 1 == next && bytes.get(at) == Some(&0) {
        Field::NULL
    } else {
        headers::check(bytes.get(..next).unwrap_or_default(), at)?;
        Field::new(at, (next - at) as i32)
    };
    Ok(Parsed { offset_delta, timestamp_delta, key, value, headers, next })
}

/// Reads a length, −1 for null, and steps over as many bytes.
#[inline(always)]
pub(super) fn read_field(bytes: &[u8], at: &mut usize) -> Result<Field, RecordsError> {
    let len = read_i32(bytes, at)?;
    let field = Field::new(*at, len);
    if len >= 0 {
        let end = at.wrapping_add(len as usize);
        if end > bytes.len() {
            return corrupt("a key, value or header is longer than its record");
        }
        *at = end;
    } else if len != -1 {
        return corrupt("the length of a key, value or header is negative");
    }
    Ok(field)
}
