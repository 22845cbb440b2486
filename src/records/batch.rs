//! The header of a batch, and where a batch ends.

use crate::records::RecordsError;

/// Bytes before the records of a batch.
pub const HEADER: usize = 61;

/// Bytes before those that the length counts: the base offset and the length itself.
const PREFIX: usize = 12;

/// The least that a length can count: the rest of a header of magic 2; message sets before had less.
const LEAST: usize = 14;

/// The checksum covers what follows it.
const AFTER_CRC: usize = 21;

/// What stands before the records of a batch (magic 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset that the records' deltas count from.
    pub base_offset: i64,
    /// All bytes of the batch.
    pub len: usize,
    /// The epoch of the leader that took it; -1 is unknown.
    pub leader_epoch: i32,
    /// The checksum of what follows it.
    pub crc: u32,
    /// Codec, timestamp type, transaction.
    pub attributes: i16,
    /// The last offset, counted from the base; compaction leaves it as it was.
    pub last_offset_delta: i32,
    /// The timestamp that the records' deltas count from.
    pub base_timestamp: i64,
    /// The largest timestamp; with LogAppendTime the one of every record.
    pub max_timestamp: i64,
    /// The producer, -1 for one that is not idempotent.
    pub producer_id: i64,
    /// How many records there are.
    pub count: i32,
}

impl BatchHeader {
    /// Reads the header of the batch at the start of `bytes`.
    ///
    /// # Errors
    /// Where it contradicts itself, or the batch is not whole.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordsError> {
        let len = next_batch_len(bytes)?.filter(|n| *n <= bytes.len());
        let batch = &bytes[..len.ok_or(RecordsError::Corrupt("the batch is cut off"))?];
        let Some(header) = batch.first_chunk::<HEADER>() else {
            return Err(match batch.get(16) {
                Some(2) | None => RecordsError::Corrupt("its length is less than its header's"),
                Some(_) => unsupported_magic(batch[16]),
            });
        };
        if header[16] != 2 {
            return Err(unsupported_magic(header[16]));
        }
        let parsed = Self {
            base_offset: i64::from_be_bytes(part(header, 0)),
            len: batch.len(),
            leader_epoch: i32::from_be_bytes(part(header, 12)),
            crc: u32::from_be_bytes(part(header, 17)),
            attributes: i16::from_be_bytes(part(header, 21)),
            last_offset_delta: i32::from_be_bytes(part(header, 23)),
            base_timestamp: i64::from_be_bytes(part(header, 27)),
            max_timestamp: i64::from_be_bytes(part(header, 35)),
            producer_id: i64::from_be_bytes(part(header, 43)),
            count: i32::from_be_bytes(part(header, 57)),
        };
        parsed.checked()
    }

    /// Compares the checksum of the batch at the start of `bytes`.
    ///
    /// # Errors
    /// Where it differs.
    pub fn check_crc(&self, bytes: &[u8]) -> Result<(), RecordsError> {
        match crc32c::crc32c(&bytes[AFTER_CRC..self.len]) == self.crc {
            true => Ok(()),
            false => Err(RecordsError::Corrupt("its checksum (CRC-32C) does not match")),
        }
    }

    /// The offset after the batch.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// The last offset of the batch, whether there is a record with it or not.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// The number of the codec that the records are compressed with; 0 is none.
    #[must_use]
    pub fn codec(&self) -> u8 {
        (self.attributes & 7) as u8
    }

    /// Whether the broker set the timestamps, when it took the batch.
    #[must_use]
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & 8 != 0
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & 16 != 0
    }

    /// Whether the batch is a marker of brokers, and not for consumers.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & 32 != 0
    }

    fn checked(self) -> Result<Self, RecordsError> {
        let corrupt = |what| Err(RecordsError::Corrupt(what));
        if self.base_offset < 0 {
            return corrupt("its base offset is negative");
        }
        if self.last_offset_delta < 0 {
            return corrupt("its last offset is before its base offset");
        }
        // The offset after it must exist too.
        if self.base_offset.checked_add(i64::from(self.last_offset_delta) + 1).is_none() {
            return corrupt("its last offset is beyond all offsets");
        }
        if self.count < 0 {
            return corrupt("its number of records is negative");
        }
        Ok(self)
    }
}

/// How many bytes the batch at the start of `bytes` has; `None` when too few are there to tell.
///
/// # Errors
/// Where what stands there can be no length.
pub fn next_batch_len(bytes: &[u8]) -> Result<Option<usize>, RecordsError> {
    let Some(prefix) = bytes.first_chunk::<PREFIX>() else { return Ok(None) };
    let length = usize::try_from(i32::from_be_bytes(part(prefix, 8))).ok();
    match length.filter(|n| *n >= LEAST) {
        Some(length) => Ok(Some(length + PREFIX)),
        None => Err(RecordsError::Corrupt("its length is negative, or less than a batch has")),
    }
}

fn unsupported_magic(magic: u8) -> RecordsError {
    RecordsError::Corrupt(match magic {
        0 | 1 => "it is a message set (magic 0 or 1), which this version does not read",
        _ => "its magic number is none that Kafka has",
    })
}

/// `N` bytes at a place that is in the header.
fn part<const N: usize>(header: &[u8], at: usize) -> [u8; N] {
    *header[at..].first_chunk().expect("the places are within the header")
}
