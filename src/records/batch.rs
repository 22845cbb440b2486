//! What stands at the head of a batch of records, and where the next batch begins.

use super::{
    Codec,
    error::{RecordsError, corrupt},
};

/// The base offset and the length, which every message format begins with.
pub const LOG_OVERHEAD: usize = 12;

/// The size of a batch's header, base offset and length included; records follow.
pub const BATCH_OVERHEAD: usize = 61;

/// The smallest length that any message format has: magic 0, neither key nor value.
const MIN_LENGTH: i32 = 14;
/// The smallest length of a batch: its header behind the length field.
const MIN_BATCH_LENGTH: i32 = (BATCH_OVERHEAD - LOG_OVERHEAD) as i32;
/// Where the part that the checksum covers begins.
const CRC_FROM: usize = 21;
/// The smallest record: seven integers of one byte.
pub(super) const MIN_RECORD: usize = 7;

/// Where a record's timestamp comes from.
///
/// ```
/// use kafka_blocking::{ConsumerRecord, TimestampType};
///
/// let record = ConsumerRecord::builder("t", 0, 0).timestamp(1_700_000_000_000).build();
/// assert_eq!(record.timestamp_type(), TimestampType::CreateTime);
/// ```
///
/// kafka-python: the `timestamp_type` 0 and 1 of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimestampType {
    /// The producer set it: `0` in kafka-python.
    CreateTime,
    /// The broker set it when it wrote the batch to its log: `1` in kafka-python.
    LogAppendTime,
}

/// How many bytes the batch takes that begins at the start of `bytes`, from its first 12 bytes.
///
/// It may be more than there is: a broker cuts the last batch of an answer anywhere. `None` when not even the length
/// is there.
pub fn next_batch_len(bytes: &[u8]) -> Result<Option<usize>, RecordsError> {
    let Some(prefix) = bytes.first_chunk::<LOG_OVERHEAD>() else { return Ok(None) };
    let length = i32_at(prefix, 8);
    if length < MIN_LENGTH {
        return corrupt("the length of a batch is too small");
    }
    match usize::try_from(length).ok().and_then(|length| length.checked_add(LOG_OVERHEAD)) {
        Some(total) => Ok(Some(total)),
        None => corrupt("the length of a batch is too large"),
    }
}

/// The header of a batch of magic 2, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset that the records' offsets are relative to.
    pub base_offset: i64,
    /// How many bytes follow the length field.
    pub batch_length: i32,
    /// The leader's epoch in which the batch was written; −1 when unknown.
    pub partition_leader_epoch: i32,
    /// The CRC-32C of what follows it.
    pub crc: u32,
    /// Codec, timestamp type, transactional, control.
    pub attributes: i16,
    /// Where the batch ends in the log, relative to the base offset, also when compaction took its last record.
    pub last_offset_delta: i32,
    /// The timestamp that the records' timestamps are relative to.
    pub base_timestamp: i64,
    /// The largest timestamp; that of every record when the broker set it.
    pub max_timestamp: i64,
    /// The idempotent or transactional producer's id; −1 for others.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The producer's sequence number of the first record.
    pub base_sequence: i32,
    /// How many records there are.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which must hold all its 61 bytes; the records may be missing.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordsError> {
        if let Some(magic) = bytes.get(16).filter(|magic| **magic != 2) {
            return Err(RecordsError::UnsupportedMagic(magic.cast_signed()));
        }
        let Some(bytes) = bytes.first_chunk::<BATCH_OVERHEAD>() else {
            return corrupt("a batch is shorter than its header");
        };
        let header = Self {
            base_offset: i64_at(bytes, 0),
            batch_length: i32_at(bytes, 8),
            partition_leader_epoch: i32_at(bytes, 12),
            crc: i32_at(bytes, 17).cast_unsigned(),
            attributes: i16_at(bytes, 21),
            last_offset_delta: i32_at(bytes, 23),
            base_timestamp: i64_at(bytes, 27),
            max_timestamp: i64_at(bytes, 35),
            producer_id: i64_at(bytes, 43),
            producer_epoch: i16_at(bytes, 51),
            base_sequence: i32_at(bytes, 53),
            record_count: i32_at(bytes, 57),
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), RecordsError> {
        if self.batch_length < MIN_BATCH_LENGTH {
            return corrupt("the length of a batch is too small");
        }
        if self.base_offset < 0 {
            return corrupt("the base offset of a batch is negative");
        }
        if self.last_offset_delta < 0 {
            return corrupt("the last offset of a batch is below its base offset");
        }
        // One more than the last offset, the next position, must be an offset, too.
        if self.base_offset.checked_add(i64::from(self.last_offset_delta) + 1).is_none() {
            return corrupt("the last offset of a batch is too large");
        }
        if self.record_count < 0 {
            return corrupt("the record count of a batch is negative");
        }
        if i64::from(self.record_count) > i64::from(self.last_offset_delta) + 1 {
            return corrupt("a batch says to have more records than offsets");
        }
        Ok(())
    }

    /// The size of the batch, header and all.
    #[must_use]
    pub fn total_len(&self) -> usize {
        // Checked to be positive when parsed.
        LOG_OVERHEAD + self.batch_length.unsigned_abs() as usize
    }

    /// The last offset that the batch covers.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// The position behind the batch, whatever records compaction left in it.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// The codec's number, known or not.
    #[must_use]
    pub fn codec_id(&self) -> u8 {
        (self.attributes & 7) as u8
    }

    /// The codec of the records.
    pub fn codec(&self) -> Result<Codec, RecordsError> {
        let id = self.codec_id();
        Codec::from_id(id).ok_or(RecordsError::UnsupportedCodec(id))
    }

    /// Who set the records' timestamps.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & 8 == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the records belong to a transaction of `producer_id`.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & 16 != 0
    }

    /// Whether the records are markers of the broker's own, never to be handed out.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & 32 != 0
    }

    /// Checks `batch`, which is the whole of it, against its checksum.
    pub fn check_crc(&self, batch: &[u8]) -> Result<(), RecordsError> {
        let computed = crc32c::crc32c(batch.get(CRC_FROM..).unwrap_or_default());
        if computed == self.crc {
            Ok(())
        } else {
            Err(RecordsError::WrongCrc { stated: self.crc, computed })
        }
    }

    /// Whether `len` bytes of records, uncompressed, can hold as many records as the header says.
    pub(super) fn check_count(&self, len: usize) -> Result<(), RecordsError> {
        if self.record_count.unsigned_abs() as usize > len / MIN_RECORD {
            return corrupt("a batch says to have more records than fit in it");
        }
        Ok(())
    }
}

fn i16_at<const N: usize>(bytes: &[u8; N], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn i32_at<const N: usize>(bytes: &[u8; N], at: usize) -> i32 {
    i32::from_be_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn i64_at<const N: usize>(bytes: &[u8; N], at: usize) -> i64 {
    i64::from_be_bytes(std::array::from_fn(|i| bytes[at + i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::BatchWriter;

    fn header(change: impl Fn(&mut BatchWriter)) -> Result<BatchHeader, RecordsError> {
        let mut writer = BatchWriter::new(7);
        writer.append(7, 100, Some(b"k"), Some(b"v"), &[]);
        change(&mut writer);
        BatchHeader::parse(&writer.finish().unwrap())
    }

    #[test]
    fn a_good_header_is_read_field_by_field() {
        let header = header(|w| {
            w.partition_leader_epoch = 3;
            w.transactional = true;
            w.producer_id = 4000;
            w.producer_epoch = 5;
            w.base_sequence = 6;
            w.last_offset_delta = Some(9);
        })
        .unwrap();
        assert_eq!((header.base_offset, header.last_offset(), header.next_offset()), (7, 16, 17));
        assert_eq!((header.partition_leader_epoch, header.record_count), (3, 1));
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (4000, 5, 6));
        assert_eq!((header.base_timestamp, header.max_timestamp), (100, 100));
        assert!(header.is_transactional() && !header.is_control());
        assert_eq!(header.timestamp_type(), TimestampType::CreateTime);
    }

    #[test]
    fn fault_194_an_unknown_magic_is_an_error() {
        for magic in [3, 127, -1, 0, 1] {
            assert_eq!(header(|w| w.magic = magic), Err(RecordsError::UnsupportedMagic(magic)));
        }
    }

    #[test]
    fn fault_197_a_batch_length_below_49_is_corrupt() {
        for length in [48, 14, 0, -1, i32::MIN] {
            assert!(matches!(
                header(|w| w.batch_length = Some(length)),
                Err(RecordsError::Corrupt("the length of a batch is too small"))
            ));
        }
        assert!(header(|w| w.batch_length = Some(49)).is_ok());
    }

    #[test]
    fn fault_197_the_length_of_the_next_batch_is_checked_before_memory_is_spent() {
        let of = |length: i32| {
            let mut bytes = [0; 12];
            bytes[8..].copy_from_slice(&length.to_be_bytes());
            next_batch_len(&bytes)
        };
        for length in [13, 0, -1, i32::MIN] {
            assert!(of(length).is_err());
        }
        assert_eq!(of(49), Ok(Some(61)));
        assert_eq!(
            of(i32::MAX),
            Ok(Some(12 + 0x7fff_ffff)),
            "the caller compares it with its limits"
        );
        assert_eq!(next_batch_len(&[0; 11]), Ok(None));
    }

    #[test]
    fn fault_198_a_negative_record_count_is_corrupt() {
        assert!(header(|w| w.record_count = Some(-1)).is_err());
        assert!(header(|w| w.record_count = Some(i32::MIN)).is_err());
    }

    #[test]
    fn fault_198_more_records_than_offsets_are_corrupt() {
        assert!(header(|w| w.record_count = Some(1 << 20)).is_err());
    }

    #[test]
    fn fault_202_offsets_out_of_range_are_corrupt() {
        assert!(header(|w| w.base_offset = -1).is_err());
        assert!(header(|w| w.last_offset_delta = Some(-1)).is_err());
        assert!(header(|w| w.base_offset = i64::MAX).is_err());
        assert!(header(|w| w.base_offset = i64::MAX - 1).is_ok());
    }

    #[test]
    fn a_header_that_is_cut_off_is_corrupt() {
        let whole = BatchWriter::new(0).finish().unwrap();
        for len in 0..BATCH_OVERHEAD {
            assert!(BatchHeader::parse(&whole[..len]).is_err());
        }
    }
}
