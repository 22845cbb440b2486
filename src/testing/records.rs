//! How records become a batch of the newest format (magic 2): as small as a test needs it, without compression.

/// The offset of the attributes in a batch, from where on the checksum covers it.
const CHECKED: usize = 21;

/// One record that a test writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The key, or null.
    pub key: Option<Vec<u8>>,
    /// The value, or null.
    pub value: Option<Vec<u8>>,
    /// Names and values, which may be null.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
}

impl Record {
    /// A record without a key.
    #[must_use]
    pub fn value(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), timestamp: 1_700_000_000_000, ..Self::default() }
    }

    /// A record with a key.
    #[must_use]
    pub fn new(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { key: Some(key.into()), ..Self::value(value) }
    }

    /// The same record at another time.
    #[must_use]
    pub fn at(self, timestamp: i64) -> Self {
        Self { timestamp, ..self }
    }

    /// The same record with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), Some(value.into())));
        self
    }
}

impl From<&str> for Record {
    fn from(value: &str) -> Self {
        Self::value(value)
    }
}

impl From<String> for Record {
    fn from(value: String) -> Self {
        Self::value(value)
    }
}

impl From<Vec<u8>> for Record {
    fn from(value: Vec<u8>) -> Self {
        Self::value(value)
    }
}

/// A batch of these records that begins at offset 0; the log that it is appended to gives it its place.
///
/// # Panics
/// For a batch that the format has no room for.
#[must_use]
pub fn encode_batch(records: &[Record]) -> Vec<u8> {
    let base_timestamp = records.first().map_or(-1, |r| r.timestamp);
    let max_timestamp = records.iter().map(|r| r.timestamp).max().unwrap_or(-1);
    let count = i32::try_from(records.len()).expect("fewer records than an i32 can count");
    let mut batch = vec![0; CHECKED];
    batch[16] = 2; // magic
    batch.extend(0_i16.to_be_bytes()); // attributes
    batch.extend((count - 1).to_be_bytes());
    batch.extend(base_timestamp.to_be_bytes());
    batch.extend(max_timestamp.to_be_bytes());
    batch.extend((-1_i64).to_be_bytes()); // producer id
    batch.extend((-1_i16).to_be_bytes()); // producer epoch
    batch.extend((-1_i32).to_be_bytes()); // sequence
    batch.extend(count.to_be_bytes());
    for (offset_delta, record) in (0_i64..).zip(records) {
        encode_record(&mut batch, record, record.timestamp - base_timestamp, offset_delta);
    }
    seal(&mut batch);
    batch
}

/// Corrects length and checksum of a batch that was changed.
///
/// # Panics
/// Where the bytes are shorter than a batch's header.
pub fn seal(batch: &mut [u8]) {
    let length = i32::try_from(batch.len() - 12).expect("a batch of less than 2 GiB");
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&batch[CHECKED..]);
    batch[17..CHECKED].copy_from_slice(&crc.to_be_bytes());
}

fn encode_record(out: &mut Vec<u8>, record: &Record, timestamp_delta: i64, offset_delta: i64) {
    let mut body = vec![0]; // attributes
    varint(&mut body, timestamp_delta);
    varint(&mut body, offset_delta);
    bytes(&mut body, record.key.as_deref());
    bytes(&mut body, record.value.as_deref());
    varint(&mut body, length(record.headers.len()));
    for (name, value) in &record.headers {
        bytes(&mut body, Some(name.as_bytes()));
        bytes(&mut body, value.as_deref());
    }
    varint(out, length(body.len()));
    out.extend(body);
}

fn bytes(out: &mut Vec<u8>, value: Option<&[u8]>) {
    varint(out, value.map_or(-1, |v| length(v.len())));
    out.extend(value.unwrap_or_default());
}

fn length(n: usize) -> i64 {
    i64::try_from(n).expect("a length that memory can have")
}

/// Zigzag: small numbers of either sign are short.
fn varint(out: &mut Vec<u8>, value: i64) {
    let mut left = (value << 1 ^ value >> 63).cast_unsigned();
    while left >= 0x80 {
        out.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::unpack::unpack;

    #[test]
    fn varints_are_zigzag_with_seven_bits_a_byte() {
        for (value, expected) in
            [(0, &[0][..]), (-1, &[1]), (1, &[2]), (-64, &[127]), (64, &[128, 1]), (300, &[216, 4])]
        {
            let mut out = vec![];
            varint(&mut out, value);
            assert_eq!(out, expected, "{value}");
        }
    }

    #[test]
    fn a_batch_says_its_length_its_count_and_its_checksum() {
        let batch = encode_batch(&["a".into(), Record::new("k", "b").header("h", "v")]);
        let int = |at: usize| i32::from_be_bytes(batch[at..at + 4].try_into().unwrap());
        assert_eq!(int(8), i32::try_from(batch.len() - 12).unwrap());
        assert_eq!((int(23), int(57)), (1, 2));
        assert_eq!(int(17).cast_unsigned(), crc32c::crc32c(&batch[21..]));
    }

    #[test]
    fn what_is_encoded_is_unpacked_with_its_offsets() {
        let long = "long ".repeat(100);
        let records =
            [Record::new("k", "a"), Record::default().header("h", "v"), long.clone().into()];
        let unpacked = unpack(&encode_batch(&records)).unwrap();
        let values: Vec<_> = unpacked.into_iter().map(|r| (r.offset, r.value)).collect();
        let long = Some(long.into_bytes());
        assert_eq!(values, [(0, Some(b"a".to_vec())), (1, None), (2, long)]);
    }
}
