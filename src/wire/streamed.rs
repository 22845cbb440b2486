//! The fields that can be read while their message still arrives.

use std::ops::{Deref, DerefMut};

use super::{DecodeError, EncodeError, Pending, Reader, Sampler, Wire, Writer, types::NULL};

/// An array that is read item by item while the message still arrives.
///
/// A reader in streaming mode reads only its count and leaves it empty; any other reader reads it all.
#[derive(Clone, Debug, PartialEq)]
pub struct Streamed<T>(pub Vec<T>);

impl<T> Default for Streamed<T> {
    fn default() -> Self {
        Self(vec![])
    }
}

impl<T> Deref for Streamed<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> DerefMut for Streamed<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T> From<Vec<T>> for Streamed<T> {
    fn from(items: Vec<T>) -> Self {
        Self(items)
    }
}

impl<T> IntoIterator for Streamed<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Streamed<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: Wire> Wire for Streamed<T> {
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.0.encode(w)
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if !r.is_streaming() {
            return Vec::decode(r).map(Self);
        }
        let count = r.len()?.ok_or(NULL)?;
        r.set_pending(Pending::Items(count));
        Ok(Self::default())
    }

    fn min_size(version: i16, flexible: bool) -> usize {
        Vec::<T>::min_size(version, flexible)
    }

    fn sample(s: &mut Sampler) -> Self {
        Self(Vec::sample(s))
    }
}

/// The records of a partition as the broker keeps them: batches, or message sets before 0.11.
///
/// A reader in streaming mode reads only their length and leaves this null; any other reader reads them all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordBytes(pub Option<Vec<u8>>);

impl RecordBytes {
    /// The bytes; empty where they are null.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl From<Vec<u8>> for RecordBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Some(bytes))
    }
}

impl Wire for RecordBytes {
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.0.encode(w)
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if !r.is_streaming() {
            return Option::decode(r).map(Self);
        }
        let len = r.len()?;
        r.set_pending(Pending::Bytes(len));
        Ok(Self(None))
    }

    fn min_size(version: i16, flexible: bool) -> usize {
        Vec::<u8>::min_size(version, flexible)
    }

    fn sample(s: &mut Sampler) -> Self {
        Self(Option::sample(s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streaming_reader_leaves_streamed_fields_to_the_caller() {
        let mut r = Reader::streaming(&[0, 0, 0, 9, 1], 0, false);
        assert_eq!(Streamed::<i32>::decode(&mut r), Ok(Streamed(vec![])));
        assert_eq!(r.take_pending(), Some(Pending::Items(9)));
        assert_eq!(r.take_pending(), None);
        assert_eq!(r.remaining(), 1);

        let mut r = Reader::streaming(&[0], 0, true);
        assert_eq!(RecordBytes::decode(&mut r), Ok(RecordBytes(None)));
        assert_eq!(r.take_pending(), Some(Pending::Bytes(None)));
    }
}
