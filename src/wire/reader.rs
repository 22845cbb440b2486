//! A bounded walk over the bytes of one message.

use super::{DecodeError, Wire};

/// Reads values off the front of a slice and never beyond its end.
///
/// What it hands out as owned memory it counts: at most four times the bytes that it was given and 1 MiB, so that
/// no message, however it lies about its lengths, costs much more memory than it had bytes.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    version: i16,
    flexible: bool,
    budget: usize,
    streaming: bool,
    pending: Option<Pending>,
}

/// What follows a struct that was read in streaming mode: its last field, of which only the size was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// So many items of an array follow.
    Items(usize),
    /// So many record bytes follow, or they are null.
    Bytes(Option<usize>),
}

impl<'a> Reader<'a> {
    /// A reader of whole messages.
    #[must_use]
    pub fn new(bytes: &'a [u8], version: i16, flexible: bool) -> Self {
        let budget = bytes.len().saturating_mul(4).saturating_add(1 << 20);
        Self { bytes, at: 0, version, flexible, budget, streaming: false, pending: None }
    }

    /// A reader of a message that has not arrived in full: of a [`Streamed`](super::Streamed) array and of
    /// [`RecordBytes`](super::RecordBytes) it reads only the size, which [`take_pending`](Self::take_pending) tells.
    #[must_use]
    pub fn streaming(bytes: &'a [u8], version: i16, flexible: bool) -> Self {
        Self { streaming: true, ..Self::new(bytes, version, flexible) }
    }

    /// The size of the field that was not read, once.
    pub fn take_pending(&mut self) -> Option<Pending> {
        self.pending.take()
    }

    pub(super) fn set_pending(&mut self, pending: Pending) {
        self.pending = Some(pending);
    }

    /// Takes the next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.rest().get(..len).ok_or(DecodeError::UnexpectedEnd)?;
        self.at += len;
        Ok(taken)
    }

    /// Takes the next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.rest().first_chunk().ok_or(DecodeError::UnexpectedEnd)?;
        self.at += N;
        Ok(*taken)
    }

    /// Takes an unsigned number of 32 bits in groups of seven, the lowest first.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            let group = u32::from(byte & 0x7f);
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::malformed("a varint of more than 32 bits"))
    }

    /// Takes the length of bytes or the count of an array; `None` is null.
    pub fn len(&mut self) -> Result<Option<usize>, DecodeError> {
        if self.flexible {
            return Ok((self.unsigned_varint()? as usize).checked_sub(1));
        }
        length(i64::from(i32::decode(self)?))
    }

    /// Takes the length of a string; `None` is null.
    pub fn string_len(&mut self) -> Result<Option<usize>, DecodeError> {
        if self.flexible { self.len() } else { length(i64::from(i16::decode(self)?)) }
    }

    /// Takes `count` values. The memory for them is taken at once and exactly, after it is known that the rest of the
    /// bytes can hold so many.
    pub fn items<T: Wire>(&mut self, count: usize) -> Result<Vec<T>, DecodeError> {
        let least = T::min_size(self.version, self.flexible).max(1);
        if count > self.remaining() / least {
            return Err(DecodeError::UnexpectedEnd);
        }
        self.charge(count.saturating_mul(size_of::<T>()))?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(T::decode(self)?);
        }
        Ok(items)
    }

    /// Takes `len` bytes into memory of their own.
    pub fn owned(&mut self, len: usize) -> Result<Vec<u8>, DecodeError> {
        let taken = self.take(len)?;
        self.charge(len)?;
        Ok(taken.to_vec())
    }

    /// Takes the section of tagged fields, where the message has one: calls `field` for each with its tag.
    ///
    /// `field` reads what it knows; bytes that it leaves are skipped.
    pub fn tags(
        &mut self,
        mut field: impl FnMut(&mut Self, u32) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let len = self.unsigned_varint()? as usize;
            let (outer, start) = (self.bytes, self.at);
            self.take(len)?;
            let end = self.at;
            self.bytes = &outer[..end];
            self.at = start;
            let read = field(self, tag);
            self.bytes = outer;
            self.at = end;
            // The field is here in full: that it ends too early does not mean that more will come.
            read.map_err(|error| match error {
                DecodeError::UnexpectedEnd => DecodeError::malformed("a tagged field is cut short"),
                other => other,
            })?;
        }
        Ok(())
    }

    /// How many bytes were read.
    #[must_use]
    pub fn consumed(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The version of the message.
    #[must_use]
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether lengths are compact and structs have tagged fields.
    #[must_use]
    pub fn is_flexible(&self) -> bool {
        self.flexible
    }

    pub(super) fn is_streaming(&self) -> bool {
        self.streaming
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    fn charge(&mut self, memory: usize) -> Result<(), DecodeError> {
        self.budget = self.budget.checked_sub(memory).ok_or(DecodeError::TooLarge)?;
        Ok(())
    }
}

fn length(read: i64) -> Result<Option<usize>, DecodeError> {
    match read {
        -1 => Ok(None),
        _ => {
            usize::try_from(read).map(Some).map_err(|_| DecodeError::malformed("a negative length"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_ends_with_the_first_byte_below_128() {
        for (bytes, value) in [
            (&[0][..], 0),
            (&[0x7f], 127),
            (&[0x80, 1], 128),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], u32::MAX),
        ] {
            let mut r = Reader::new(bytes, 0, true);
            assert_eq!(r.unsigned_varint(), Ok(value));
            assert_eq!(r.consumed(), bytes.len());
        }
    }

    #[test]
    fn a_varint_of_more_than_32_bits_is_malformed() {
        let mut r = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x10], 0, true);
        assert!(matches!(r.unsigned_varint(), Err(DecodeError::Malformed { .. })));
        let mut r = Reader::new(&[0x80; 9], 0, true);
        assert!(matches!(r.unsigned_varint(), Err(DecodeError::Malformed { .. })));
    }

    #[test]
    fn a_varint_that_is_cut_off_may_still_come() {
        let mut r = Reader::new(&[0x80, 0x80], 0, true);
        assert_eq!(r.unsigned_varint(), Err(DecodeError::UnexpectedEnd));
    }

    #[test]
    fn fault_212_a_count_beyond_the_bytes_costs_no_memory() {
        let mut r = Reader::new(&[0x7f, 0xff, 0xff, 0xff, 1, 2, 3], 0, false);
        assert_eq!(Vec::<i32>::decode(&mut r), Err(DecodeError::UnexpectedEnd));
    }

    #[test]
    fn fault_212_many_empty_strings_in_few_bytes_are_refused() {
        let count = 1_000_000_u32;
        let mut bytes = vec![1; count as usize + 4];
        bytes[..4].copy_from_slice(&[0xc1, 0x84, 0x3d, 1]);
        let mut r = Reader::new(&bytes, 0, true);
        assert_eq!(Vec::<String>::decode(&mut r), Err(DecodeError::TooLarge));
    }

    #[test]
    fn fault_214_a_tagged_field_cannot_read_beyond_its_length() {
        let bytes = [1, 0, 2, 0, 0, 9, 9, 9, 9];
        let mut r = Reader::new(&bytes, 0, true);
        let read = r.tags(|r, _| i32::decode(r).map(drop));
        assert!(matches!(read, Err(DecodeError::Malformed { .. })));
    }

    #[test]
    fn fault_214_unknown_tagged_fields_are_skipped() {
        let bytes = [2, 0, 1, 5, 7, 2, 8, 8, 42];
        let mut r = Reader::new(&bytes, 0, true);
        let mut tags = vec![];
        r.tags(|_, tag| {
            tags.push(tag);
            Ok(())
        })
        .expect("the section is well formed");
        assert_eq!(tags, [0, 7]);
        assert_eq!(i8::decode(&mut r), Ok(42));
    }
}
