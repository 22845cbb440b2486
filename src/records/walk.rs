//! A batch, opened, and the cursor that hands out its records one by one.

use std::sync::Arc;

use crate::{
    records::{
        RecordsError,
        batch::{BatchHeader, HEADER},
        chunk::Chunk,
        compression::Decompressor,
        record::{ConsumerRecord, Content, Raw, Span},
    },
    types::TopicPartition,
};

/// What all records of a batch share.
#[derive(Debug)]
pub struct Batch {
    pub(crate) partition: TopicPartition,
    pub(crate) leader_epoch: i32,
    pub(crate) log_append_time: bool,
    pub(crate) memory: Arc<Chunk>,
}

/// The cursor within a batch.
#[derive(Debug)]
pub struct BatchWalk {
    batch: Arc<Batch>,
    at: usize,
    end: usize,
    left: i32,
    base_offset: i64,
    /// The least offset that may come: what is wanted, and after the one before.
    wanted: i64,
    least: i64,
    last_offset: i64,
    base_timestamp: i64,
    append_time: Option<i64>,
}

impl BatchWalk {
    /// Opens the batch that begins at `at` in `memory` and hands out its records from `position` on.
    ///
    /// # Errors
    /// Where the checksum does not match, the records cannot be decompressed, or their number makes no sense.
    pub fn open(
        memory: &Arc<Chunk>,
        at: usize,
        header: &BatchHeader,
        partition: &TopicPartition,
        position: i64,
        decompressor: &mut Decompressor,
    ) -> Result<Self, RecordsError> {
        let whole = &memory.filled()[at..at + header.len];
        let (memory, at, end) = match header.codec() {
            0 => (memory.clone(), at + HEADER, at + header.len),
            codec => {
                let records = decompressor.decompress(codec, &whole[HEADER..])?;
                let end = records.filled().len();
                (Arc::new(records), 0, end)
            }
        };
        // A record has seven bytes at least.
        if usize::try_from(header.count).is_ok_and(|n| n > (end - at) / 7) {
            return Err(RecordsError::Corrupt("it has more records than bytes for them"));
        }
        let log_append_time = header.is_log_append_time();
        let partition = partition.clone();
        let batch = Batch { partition, leader_epoch: header.leader_epoch, log_append_time, memory };
        Ok(Self {
            batch: Arc::new(batch),
            at,
            end,
            left: header.count,
            base_offset: header.base_offset,
            wanted: position,
            least: header.base_offset,
            last_offset: header.last_offset(),
            base_timestamp: header.base_timestamp,
            append_time: log_append_time.then_some(header.max_timestamp),
        })
    }

    /// The offset after the batch: where to go on when it is at its end.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset + 1
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// Where it is malformed. Nothing after it can be read then.
    #[inline]
    pub fn next_record(&mut self) -> Option<Result<ConsumerRecord, RecordsError>> {
        loop {
            if self.left == 0 {
                let rest = self.at != self.end;
                return rest
                    .then_some(Err(RecordsError::Corrupt("bytes are left after its last record")));
            }
            match self.parse() {
                Ok(record) if record.offset() >= self.wanted => return Some(Ok(record)),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    #[inline]
    fn parse(&mut self) -> Result<ConsumerRecord, RecordsError> {
        let mut r = Fields { bytes: &self.batch.memory.filled()[..self.end], at: self.at };
        let length = r.varint()?;
        let length = usize::try_from(length)
            .map_err(|_| RecordsError::Corrupt("a record's length is negative"))?;
        let Some(end) = r.at.checked_add(length).filter(|end| *end <= self.end) else {
            return Err(RecordsError::Corrupt("a record is longer than its batch"));
        };
        r.bytes = &r.bytes[..end];
        let _attributes = r.byte()?;
        let timestamp_delta = r.varlong()?;
        let offset_delta = r.varint()?;
        let key = r.nullable()?;
        let value = r.nullable()?;
        let headers = r.headers(end)?;
        let offset = self.base_offset + i64::from(offset_delta);
        if offset < self.least || offset > self.last_offset {
            return Err(RecordsError::Corrupt("its offsets do not ascend, or leave the batch"));
        }
        let timestamp =
            self.append_time.unwrap_or_else(|| self.base_timestamp.saturating_add(timestamp_delta));
        self.at = end;
        self.left -= 1;
        self.least = offset + 1;
        let (stored_key, stored_value) =
            (<Raw as Content>::Stored::default(), <Raw as Content>::Stored::default());
        Ok(ConsumerRecord {
            batch: self.batch.clone(),
            offset,
            timestamp,
            key,
            value,
            headers,
            stored_key,
            stored_value,
        })
    }
}

/// The fields of one record.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

const SHORT: RecordsError = RecordsError::Corrupt("a record ends within one of its fields");

impl Fields<'_> {
    #[inline]
    fn byte(&mut self) -> Result<u8, RecordsError> {
        let byte = *self.bytes.get(self.at).ok_or(SHORT)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn varint(&mut self) -> Result<i32, RecordsError> {
        let first = self.byte()?;
        if first < 0x80 {
            let value = u32::from(first);
            return Ok((value >> 1) as i32 ^ -((value & 1) as i32));
        }
        let value = self.long_varint(u64::from(first & 0x7f), 5)?;
        let value = u32::try_from(value)
            .map_err(|_| RecordsError::Corrupt("a varint has more than 32 bits"))?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    #[inline]
    fn varlong(&mut self) -> Result<i64, RecordsError> {
        let first = self.byte()?;
        let value = if first < 0x80 {
            u64::from(first)
        } else {
            self.long_varint(u64::from(first & 0x7f), 10)?
        };
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The groups after the first.
    #[inline]
    fn long_varint(&mut self, first: u64, most: u32) -> Result<u64, RecordsError> {
        let mut value = first;
        for group in 1..most {
            let byte = self.byte()?;
            let shift = 7 * group;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(RecordsError::Corrupt("a varint is too long"))
    }

    /// A length and so many bytes; -1 is null.
    #[inline]
    fn nullable(&mut self) -> Result<Span, RecordsError> {
        let length = self.varint()?;
        let start = self.at;
        if length > 0 {
            let n = length.unsigned_abs() as usize;
            if n > self.bytes.len() - self.at {
                return Err(SHORT);
            }
            self.at += n;
        } else if length < -1 {
            return Err(RecordsError::Corrupt("a length in a record is negative"));
        }
        Ok(Span { start: start as u32, len: length })
    }

    /// The headers, checked so that reading them later cannot fail; `end` is the record's.
    #[inline]
    fn headers(&mut self, end: usize) -> Result<Span, RecordsError> {
        let count = self.varint()?;
        let start = self.at;
        if count != 0 {
            self.check_headers(count)?;
        }
        if self.at != end {
            return Err(RecordsError::Corrupt("a record's length is not that of its fields"));
        }
        Ok(Span { start: start as u32, len: (end - start) as i32 })
    }

    fn check_headers(&mut self, count: i32) -> Result<(), RecordsError> {
        let left = self.bytes.len() - self.at;
        if usize::try_from(count).map_or(true, |n| n > left / 2) {
            return Err(RecordsError::Corrupt("a record's number of headers makes no sense"));
        }
        for _ in 0..count {
            if self.nullable()?.len < 0 {
                return Err(RecordsError::Corrupt("a header's key is null"));
            }
            self.nullable()?;
        }
        Ok(())
    }
}

/// Reads the headers of a record that was checked.
#[derive(Clone, Debug)]
pub(crate) struct HeaderWalk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> HeaderWalk<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl<'a> Iterator for HeaderWalk<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let mut fields = Fields { bytes: self.bytes, at: self.at };
        let (key, value) = (fields.nullable().ok()?, fields.nullable().ok()?);
        self.at = fields.at;
        Some((key.of(self.bytes)?, value.of(self.bytes)))
    }
}
