//! What the caller touches for every record: the chunk that is handed out, and how far.

use std::sync::Arc;

use crate::{
    ConsumerRecord, Error, Result,
    consumer::options::FetchOptions,
    net::fetch_stream::RecordsPiece,
    records::{BatchHeader, BatchWalk, Chunk, ChunkPool, Codec, Decompressor, RecordsError},
    subscriptions::{PartitionId, PartitionState},
    types::TopicPartition,
};

/// The chunk that is open, if there is one, and what opening batches needs.
#[derive(Debug)]
pub(super) struct Cursor {
    open: Option<Open>,
    decompressor: Decompressor,
    check_crcs: bool,
}

#[derive(Debug)]
struct Open {
    id: PartitionId,
    partition: TopicPartition,
    chunk: Arc<Chunk>,
    /// Where the batch begins that is walked, or is to be opened next.
    at: usize,
    len: usize,
    position: i64,
    walk: Option<(BatchWalk, usize)>,
}

/// Data that cannot be read; the cursor stays where it is.
#[derive(Debug)]
pub(super) struct Damage {
    pub(super) id: PartitionId,
    pub(super) error: Error,
}

impl Cursor {
    pub(super) fn new(options: &FetchOptions, pool: ChunkPool) -> Self {
        Self {
            open: None,
            decompressor: Decompressor::new(pool, options.max_decompressed),
            check_crcs: options.check_crcs,
        }
    }

    /// Hands out this chunk from now on.
    pub(super) fn open(&mut self, id: PartitionId, state: &PartitionState, piece: RecordsPiece) {
        let partition = state.partition.clone();
        let position = state.position.unwrap_or(0);
        self.open = Some(Open {
            id,
            partition,
            chunk: piece.chunk,
            at: 0,
            len: piece.len,
            position,
            walk: None,
        });
    }

    /// The next record of the batch that is open; `None` when [`advance`](Self::advance) has to go on first.
    ///
    /// The hot path: what it gives is built where the caller wants it, and copied nowhere.
    #[inline(always)]
    pub(super) fn next_in_batch(&mut self) -> Option<ConsumerRecord> {
        let open = self.open.as_mut()?;
        let (walk, _) = open.walk.as_mut()?;
        let entry = walk.next_whole()?;
        open.position = entry.offset + 1;
        Some(ConsumerRecord::new(walk.batch(), entry))
    }

    /// Goes on to the next record, without handing it out; says whether the open chunk has one.
    pub(super) fn advance(&mut self) -> Result<bool, Damage> {
        while let Some(open) = &mut self.open {
            let moved = match &open.walk {
                Some(_) => open.stay_or_leave(),
                None if open.at >= open.len => return Ok(false),
                None => open.open_batch(&mut self.decompressor, self.check_crcs),
            };
            match moved {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => {
                    // The same is met again by the next call.
                    open.walk = None;
                    return Err(damage(open, error));
                }
            }
        }
        Ok(false)
    }

    /// How far the open chunk's partition has been handed out.
    pub(super) fn position(&self) -> Option<(PartitionId, i64)> {
        self.open.as_ref().map(|open| (open.id, open.position))
    }

    /// Drops the open chunk if it is of this partition.
    pub(super) fn discard(&mut self, id: PartitionId) {
        if self.open.as_ref().is_some_and(|open| open.id == id) {
            self.open = None;
        }
    }

    /// Drops the open chunk.
    pub(super) fn clear(&mut self) {
        self.open = None;
    }
}

impl Open {
    /// Whether the batch that is walked has another record for the caller; leaves it if it has none.
    fn stay_or_leave(&mut self) -> Result<bool, RecordsError> {
        let Some((walk, len)) = &mut self.walk else { return Ok(false) };
        walk.skip_to(self.position)?;
        if walk.remaining() > 0 {
            return Ok(true);
        }
        self.position = self.position.max(walk.header().next_offset());
        self.at += *len;
        self.walk = None;
        Ok(false)
    }

    /// Opens the batch at hand, or goes past it if it has nothing for the caller; says whether it has.
    fn open_batch(
        &mut self,
        decompressor: &mut Decompressor,
        check_crcs: bool,
    ) -> Result<bool, RecordsError> {
        let header = BatchHeader::parse(&self.chunk.filled()[self.at..self.len])?;
        if header.next_offset() <= self.position {
            self.at += header.total_len();
            return Ok(false);
        }
        let (topic, partition) = (self.partition.shared_topic(), self.partition.partition());
        let walk =
            BatchWalk::open(&self.chunk, self.at, topic, partition, check_crcs, decompressor)?;
        if header.is_control() {
            // A marker of brokers: its checksum was worth a look, its records are not for the caller.
            self.position = header.next_offset();
            self.at += header.total_len();
            return Ok(false);
        }
        self.walk = Some((walk, header.total_len()));
        self.stay_or_leave()
    }
}

fn damage(open: &Open, error: RecordsError) -> Damage {
    let (partition, offset) = (open.partition.clone(), open.position);
    let header = BatchHeader::parse(open.chunk.filled().get(open.at..open.len).unwrap_or_default());
    let next_offset =
        header.map_or(offset, |header| header.next_offset()).max(offset.saturating_add(1));
    let error = match error {
        RecordsError::UnsupportedCodec(id) => {
            let codec =
                Codec::from_id(id).map_or_else(|| id.to_string(), |codec| codec.to_string());
            Error::UnsupportedCodec { partition, offset, next_offset, codec: codec.into() }
        }
        RecordsError::TooLarge(limit) => {
            let option = "max_decompressed_batch_bytes";
            Error::RecordTooLarge { partition, offset, next_offset, limit: limit as u64, option }
        }
        other => {
            let reason = other.to_string().into();
            Error::CorruptRecord { partition, offset, next_offset, reason }
        }
    };
    Damage { id: open.id, error }
}
