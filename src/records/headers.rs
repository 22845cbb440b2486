//! The headers of a record: checked when the record is read, decoded when asked for.

use std::{borrow::Cow, fmt, iter::FusedIterator};

use super::{
    entry::read_field,
    error::{RecordsError, corrupt},
    varint::read_i32,
};

/// One header of a record: a key and a value that may be null.
///
/// ```
/// # use kafka_blocking::ConsumerRecord;
/// let record = ConsumerRecord::builder("t", 0, 0).header("trace", "17").header("trace", "18").build();
/// let values: Vec<_> = record.headers().filter(|h| h.key() == "trace").filter_map(|h| h.value()).collect();
/// assert_eq!(values, [b"17", b"18"]);
/// ```
///
/// kafka-python: a `(str, bytes)` tuple in `record.headers`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// The key as text; bytes that are not UTF-8 are shown as `�`, and are in [`key_bytes`](Self::key_bytes).
    #[must_use]
    pub fn key(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }

    /// The key as it was sent.
    #[must_use]
    pub fn key_bytes(&self) -> &'a [u8] {
        self.key
    }

    /// The value, `None` for null.
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.value
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Header").field(&Text(Some(self.key))).field(&Text(self.value)).finish()
    }
}

/// An iterator over the headers of a record, in the order in which they were sent.
///
/// Keys may repeat.
///
/// ```
/// # use kafka_blocking::ConsumerRecord;
/// let record = ConsumerRecord::builder("t", 0, 0).header("trace", "17").header("trace", "18").build();
/// let values: Vec<_> = record.headers().filter(|h| h.key() == "trace").filter_map(|h| h.value()).collect();
/// assert_eq!(values, [b"17", b"18"]);
/// ```
#[derive(Clone)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Headers<'a> {
    /// Of the bytes from the header count to the end of the record, empty when there are none.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut at = 0;
        let left = read_i32(bytes, &mut at).ok().and_then(|count| usize::try_from(count).ok());
        Self { bytes, at, left: left.unwrap_or(0) }
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        // `check` has seen them all when the record was read: nothing fails here.
        let key = read_field(self.bytes, &mut self.at).ok()?.of(self.bytes)?;
        let value = read_field(self.bytes, &mut self.at).ok()?.of(self.bytes);
        Some(Header { key, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}
impl FusedIterator for Headers<'_> {}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// Checks the headers from their count at `at` to the end of the record, which they must fill.
#[inline(never)]
pub(super) fn check(body: &[u8], mut at: usize) -> Result<(), RecordsError> {
    if at > body.len() {
        return corrupt("the contents of a record are longer than it");
    }
    let count = read_i32(body, &mut at)?;
    let Ok(count) = usize::try_from(count) else {
        return corrupt("the header count of a record is negative");
    };
    // Two bytes are the smallest header, so that a huge count ends here and not after a long loop.
    if count > body.len().saturating_sub(at) / 2 {
        return corrupt("a record says to have more headers than fit in it");
    }
    for _ in 0..count {
        if read_field(body, &mut at)?.size().is_none() {
            return corrupt("the key of a header is null");
        }
        read_field(body, &mut at)?;
    }
    if at == body.len() { Ok(()) } else { corrupt("a record is longer than its contents") }
}

/// Bytes as text for `Debug`: lossy, escaped, and not longer than a line.
pub(crate) struct Text<'a>(pub(crate) Option<&'a [u8]>);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 64;
        let Some(bytes) = self.0 else { return f.write_str("None") };
        let (shown, more) = bytes.split_at(bytes.len().min(MOST));
        fmt::Debug::fmt(&String::from_utf8_lossy(shown), f)?;
        if more.is_empty() { Ok(()) } else { write!(f, "… ({} bytes)", bytes.len()) }
    }
}
