//! How a batch is opened, and its records are handed out one after the other.

use std::{fmt, sync::Arc};

use super::{
    BATCH_OVERHEAD, BatchHeader, Chunk, Codec, Decompressor, RecordRef, TimestampType,
    entry::{Entry, parse},
    error::{RecordsError, corrupt},
};

/// What the records of a batch share: their bytes, and where they are from.
pub struct Batch {
    chunk: Arc<Chunk>,
    topic: Arc<str>,
    partition: i32,
    leader_epoch: i32,
    timestamp_type: TimestampType,
}

impl Batch {
    /// A batch around bytes that are already records' contents.
    pub(crate) fn new(
        chunk: Arc<Chunk>,
        topic: Arc<str>,
        partition: i32,
        leader_epoch: i32,
        timestamp_type: TimestampType,
    ) -> Self {
        Self { chunk, topic, partition, leader_epoch, timestamp_type }
    }

    /// The same batch around other bytes.
    pub(crate) fn with_bytes(&self, bytes: Vec<u8>) -> Self {
        Self {
            chunk: Arc::new(Chunk::from(bytes)),
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            leader_epoch: self.leader_epoch,
            timestamp_type: self.timestamp_type,
        }
    }

    /// The topic's name.
    #[inline]
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The topic's name, shared.
    pub(crate) fn shared_topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The partition.
    #[inline]
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The leader's epoch in which the batch was written.
    #[must_use]
    pub fn leader_epoch(&self) -> Option<i32> {
        (self.leader_epoch >= 0).then_some(self.leader_epoch)
    }

    /// Who set the timestamps.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        self.timestamp_type
    }

    /// The bytes that the ranges of an [`Entry`] point into.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.chunk.filled()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

/// A cursor over the records of an open batch.
///
/// An error does not move it: the next call gives the same error.
#[derive(Clone, Debug)]
pub struct BatchWalk {
    batch: Arc<Batch>,
    at: usize,
    end: usize,
    left: i32,
    previous_delta: i32,
    header: BatchHeader,
}

impl BatchWalk {
    /// Opens the batch that begins at `start` of `chunk` and is wholly in it: checks its header and its checksum,
    /// and decompresses it. Also control batches, so that their checksum is checked; the caller skips those.
    pub fn open(
        chunk: &Arc<Chunk>,
        start: usize,
        topic: &Arc<str>,
        partition: i32,
        check_crcs: bool,
        decompressor: &mut Decompressor,
    ) -> Result<Self, RecordsError> {
        let rest = chunk.filled().get(start..).unwrap_or_default();
        let header = BatchHeader::parse(rest)?;
        let Some(whole) = rest.get(..header.total_len()) else {
            return corrupt("a batch is longer than the bytes that came");
        };
        if check_crcs {
            header.check_crc(whole)?;
        }
        let codec = header.codec()?;
        let (chunk, at, end) = if codec == Codec::None || whole.len() == BATCH_OVERHEAD {
            (Arc::clone(chunk), start + BATCH_OVERHEAD, start + whole.len())
        } else {
            let plain = decompressor.decompress(codec, &whole[BATCH_OVERHEAD..])?;
            let end = plain.filled().len();
            (Arc::new(plain), 0, end)
        };
        // The ranges of an entry have 32 bits.
        if u32::try_from(chunk.filled().len()).is_err() {
            return Err(RecordsError::TooLarge(u32::MAX as usize));
        }
        header.check_count(end - at)?;
        let batch = Batch {
            chunk,
            topic: Arc::clone(topic),
            partition,
            leader_epoch: header.partition_leader_epoch,
            timestamp_type: header.timestamp_type(),
        };
        let left = header.record_count;
        Ok(Self { batch: Arc::new(batch), at, end, left, previous_delta: -1, header })
    }

    /// What the records have in common; a clone of it makes a record own its bytes.
    #[inline]
    #[must_use]
    pub fn batch(&self) -> &Arc<Batch> {
        &self.batch
    }

    /// The header, as it was when the batch was opened.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The next record; `None` at the end, when everything was as the header said.
    #[inline(always)]
    pub fn next_entry(&mut self) -> Result<Option<Entry>, RecordsError> {
        if self.left == 0 { self.finish().map(|()| None) } else { self.parse_next().map(Some) }
    }

    /// The next record where there is one and it is whole: the hot half of [`next_entry`](Self::next_entry), which says
    /// why there is none. Kept apart so that what it gives stays in registers.
    #[inline(always)]
    pub fn next_whole(&mut self) -> Option<Entry> {
        if self.left == 0 { None } else { self.parse_next().ok() }
    }

    #[inline(always)]
    fn parse_next(&mut self) -> Result<Entry, RecordsError> {
        // A message set's bytes may follow in the same chunk: the batch ends here.
        let record = parse(&self.batch.bytes()[..self.end], self.at)?;
        if record.offset_delta <= self.previous_delta {
            return corrupt("the offsets of a batch do not increase");
        }
        if record.offset_delta > self.header.last_offset_delta {
            return corrupt("an offset is beyond the last one of its batch");
        }
        self.at = record.next;
        self.left -= 1;
        self.previous_delta = record.offset_delta;
        let timestamp = match self.batch.timestamp_type {
            TimestampType::CreateTime => {
                self.header.base_timestamp.saturating_add(record.timestamp_delta)
            }
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        Ok(Entry {
            offset: self.header.base_offset + i64::from(record.offset_delta),
            timestamp,
            key: record.key,
            value: record.value,
            headers: record.headers,
        })
    }

    /// The next record, borrowed.
    #[inline(always)]
    pub fn next_ref(&mut self) -> Result<Option<RecordRef<'_>>, RecordsError> {
        Ok(self.next_entry()?.map(|entry| RecordRef::new(&self.batch, entry)))
    }

    /// Steps over the records below `position`, so that the next one is at or above it.
    pub fn skip_to(&mut self, position: i64) -> Result<(), RecordsError> {
        loop {
            let (at, left, previous_delta) = (self.at, self.left, self.previous_delta);
            match self.next_entry()? {
                Some(entry) if entry.offset < position => {}
                Some(_) => {
                    (self.at, self.left, self.previous_delta) = (at, left, previous_delta);
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }

    /// The smallest offset that the next record can have.
    pub(crate) fn next_candidate(&self) -> i64 {
        self.header.base_offset + i64::from(self.previous_delta) + 1
    }

    /// How many records are still to come, as the header says.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.left.unsigned_abs() as usize
    }

    #[cold]
    fn finish(&self) -> Result<(), RecordsError> {
        if self.at == self.end {
            Ok(())
        } else {
            corrupt("a batch has bytes left over behind its last record")
        }
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
