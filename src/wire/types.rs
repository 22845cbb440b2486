//! The types that fields can have: numbers, strings, bytes, arrays.

use std::fmt;

use super::{DecodeError, EncodeError, Nullable, Reader, Sampler, Wire, Writer};

macro_rules! integers {
    ($($int:ident)+) => {$(
        impl Wire for $int {
            fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
                w.put(&self.to_be_bytes());
                Ok(())
            }

            fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                r.array().map(Self::from_be_bytes)
            }

            fn min_size(_: i16, _: bool) -> usize {
                size_of::<Self>()
            }

            fn sample(s: &mut Sampler) -> Self {
                s.number() as Self
            }
        }
    )+};
}

integers! { i8 i16 i32 i64 }

impl Wire for bool {
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        i8::from(*self).encode(w)
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(i8::decode(r)? != 0)
    }

    fn min_size(_: i16, _: bool) -> usize {
        1
    }

    fn sample(s: &mut Sampler) -> Self {
        s.number() % 2 == 1
    }
}

/// The id of a topic or a directory; all zero where there is none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The id that means "no id".
    pub const ZERO: Self = Self([0; 16]);

    /// Whether this is the id that means "no id".
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl Wire for Uuid {
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.put(&self.0);
        Ok(())
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.array().map(Self)
    }

    fn min_size(_: i16, _: bool) -> usize {
        16
    }

    fn sample(s: &mut Sampler) -> Self {
        Self([s.number() as u8; 16])
    }
}

impl Wire for String {
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        Self::encode_nullable(Some(self), w)
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::decode_nullable(r)?.ok_or(NULL)
    }

    fn min_size(version: i16, flexible: bool) -> usize {
        Self::min_size_nullable(version, flexible)
    }

    fn sample(s: &mut Sampler) -> Self {
        format!("text-{}-\u{e4}", s.number())
    }
}

impl Nullable for String {
    fn encode_nullable(value: Option<&Self>, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.string_len(value.map(Self::len))?;
        w.put(value.map_or(&[], |text| text.as_bytes()));
        Ok(())
    }

    fn decode_nullable(r: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let Some(len) = r.string_len()? else { return Ok(None) };
        match Self::from_utf8(r.owned(len)?) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(DecodeError::malformed("a string that is not UTF-8")),
        }
    }

    fn min_size_nullable(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 2 }
    }
}

/// Bytes.
impl Wire for Vec<u8> {
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        Self::encode_nullable(Some(self), w)
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::decode_nullable(r)?.ok_or(NULL)
    }

    fn min_size(version: i16, flexible: bool) -> usize {
        Self::min_size_nullable(version, flexible)
    }

    fn sample(s: &mut Sampler) -> Self {
        vec![s.number() as u8, 0xff, 0]
    }
}

impl Nullable for Vec<u8> {
    fn encode_nullable(value: Option<&Self>, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.len(value.map(Self::len))?;
        w.put(value.map_or(&[], |bytes| bytes));
        Ok(())
    }

    fn decode_nullable(r: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        r.len()?.map(|len| r.owned(len)).transpose()
    }

    fn min_size_nullable(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        Self::encode_nullable(Some(self), w)
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::decode_nullable(r)?.ok_or(NULL)
    }

    fn min_size(version: i16, flexible: bool) -> usize {
        Self::min_size_nullable(version, flexible)
    }

    fn sample(s: &mut Sampler) -> Self {
        vec![T::sample(s), T::sample(s)]
    }
}

impl<T: Wire> Nullable for Vec<T> {
    fn encode_nullable(value: Option<&Self>, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.len(value.map(Self::len))?;
        value.into_iter().flatten().try_for_each(|item| item.encode(w))
    }

    fn decode_nullable(r: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        r.len()?.map(|count| r.items(count)).transpose()
    }

    fn min_size_nullable(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }
}

impl<T: Nullable> Wire for Option<T> {
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        T::encode_nullable(self.as_ref(), w)
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::decode_nullable(r)
    }

    fn min_size(version: i16, flexible: bool) -> usize {
        T::min_size_nullable(version, flexible)
    }

    fn sample(s: &mut Sampler) -> Self {
        if s.nulls { None } else { Some(T::sample(s)) }
    }
}

/// Bytes that may hold a password or a token: `Debug` tells only how many there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretBytes(pub Vec<u8>);

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

impl Wire for SecretBytes {
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.0.encode(w)
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Vec::decode(r).map(Self)
    }

    fn min_size(version: i16, flexible: bool) -> usize {
        Vec::<u8>::min_size(version, flexible)
    }

    fn sample(s: &mut Sampler) -> Self {
        Self(Vec::sample(s))
    }
}

pub(super) const NULL: DecodeError =
    DecodeError::Malformed { what: "null where a value must be", field: "" };

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &impl Wire, flexible: bool) -> Vec<u8> {
        let mut out = vec![];
        value.encode(&mut Writer::new(&mut out, 0, flexible)).expect("the value can be written");
        out
    }

    fn read<T: Wire>(bytes: &[u8], flexible: bool) -> Result<T, DecodeError> {
        T::decode(&mut Reader::new(bytes, 0, flexible))
    }

    #[test]
    fn numbers_are_big_endian() {
        assert_eq!(written(&0x0102_0304_i32, false), [1, 2, 3, 4]);
        assert_eq!(read::<i64>(&[0xff; 8], false), Ok(-1));
        assert_eq!(written(&true, false), [1]);
        assert_eq!(read::<bool>(&[7], false), Ok(true));
    }

    #[test]
    fn null_and_empty_are_different() {
        let null: Option<String> = None;
        assert_eq!(written(&null, false), [0xff, 0xff]);
        assert_eq!(written(&null, true), [0]);
        assert_eq!(written(&Some(String::new()), false), [0, 0]);
        assert_eq!(written(&Some(String::new()), true), [1]);
        assert_eq!(read::<Option<Vec<i32>>>(&[0xff; 4], false), Ok(None));
        assert_eq!(read::<Option<Vec<i32>>>(&[0; 4], false), Ok(Some(vec![])));
    }

    #[test]
    fn fault_213_null_where_a_value_must_be_is_malformed() {
        assert_eq!(read::<String>(&[0xff, 0xff], false), Err(NULL));
        assert_eq!(read::<Vec<u8>>(&[0], true), Err(NULL));
    }

    #[test]
    fn fault_213_negative_lengths_other_than_null_are_malformed() {
        let wrong = Err(DecodeError::malformed("a negative length"));
        assert_eq!(read::<Option<String>>(&[0xff, 0xfe], false), wrong.map(|()| None));
        assert_eq!(read::<Option<Vec<u8>>>(&[0x80, 0, 0, 0], false), wrong.map(|()| None));
    }

    #[test]
    fn fault_213_a_string_that_is_not_utf8_is_malformed() {
        let error = read::<String>(&[0, 2, 0xc3, 0x28], false).expect_err("0xc3 0x28 is not UTF-8");
        assert_eq!(error.to_string(), "a string that is not UTF-8");
    }
}
