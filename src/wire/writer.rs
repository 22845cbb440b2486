//! Appends the values of one message to a buffer.

use super::EncodeError;

/// Appends to a `Vec<u8>` that the caller keeps.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    version: i16,
    flexible: bool,
}

impl<'a> Writer<'a> {
    /// A writer of a message of this version.
    pub fn new(out: &'a mut Vec<u8>, version: i16, flexible: bool) -> Self {
        Self { out, version, flexible }
    }

    /// Appends bytes as they are.
    pub fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Appends a number in groups of seven bits, the lowest first.
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    /// Appends the length of bytes or the count of an array; `None` is null.
    pub fn len(&mut self, len: Option<usize>) -> Result<(), EncodeError> {
        let Some(len) = len else {
            if self.flexible {
                self.unsigned_varint(0)
            } else {
                self.put(&(-1_i32).to_be_bytes())
            }
            return Ok(());
        };
        let fits =
            i32::try_from(len).map_err(|_| EncodeError::TooLong { what: "an array", len })?;
        if self.flexible {
            self.unsigned_varint(fits.unsigned_abs() + 1);
        } else {
            self.put(&fits.to_be_bytes());
        }
        Ok(())
    }

    /// Appends the length of a string; `None` is null.
    pub fn string_len(&mut self, len: Option<usize>) -> Result<(), EncodeError> {
        if self.flexible {
            return self.len(len);
        }
        let fits = match len {
            None => -1,
            Some(len) => {
                i16::try_from(len).map_err(|_| EncodeError::TooLong { what: "a string", len })?
            }
        };
        self.put(&fits.to_be_bytes());
        Ok(())
    }

    /// Appends a tagged field: its tag, the length of what `body` appends, and that.
    pub fn tag(
        &mut self,
        tag: u32,
        body: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.unsigned_varint(tag);
        let start = self.out.len();
        body(self)?;
        let len = self.out.len() - start;
        let fits =
            u32::try_from(len).map_err(|_| EncodeError::TooLong { what: "a tagged field", len })?;
        self.unsigned_varint(fits);
        // The length is known only now: it moves from behind the body to before it.
        self.out[start..].rotate_left(len);
        Ok(())
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(flexible: bool, f: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut out = vec![];
        f(&mut Writer::new(&mut out, 0, flexible));
        out
    }

    #[test]
    fn compact_lengths_are_one_higher_and_null_is_zero() {
        let out = written(true, |w| {
            w.len(None).expect("null has a length");
            w.len(Some(0)).expect("0 fits");
            w.len(Some(127)).expect("127 fits");
        });
        assert_eq!(out, [0, 1, 0x80, 1]);
    }

    #[test]
    fn a_string_of_32_kib_needs_a_flexible_version() {
        let error = EncodeError::TooLong { what: "a string", len: 32_768 };
        written(false, |w| assert_eq!(w.string_len(Some(32_768)), Err(error)));
        written(true, |w| assert_eq!(w.string_len(Some(32_768)), Ok(())));
    }

    #[test]
    fn a_tagged_field_is_preceded_by_its_length() {
        let body = [7; 200];
        let out = written(true, |w| {
            w.tag(3, |w| {
                w.put(&body);
                Ok(())
            })
            .expect("200 bytes fit");
        });
        assert_eq!(out[..3], [3, 0xc8, 1]);
        assert_eq!(out[3..], body);
    }
}
