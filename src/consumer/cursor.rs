//! What the caller touches for every record: the chunk that is handed out, and how far.

use std::sync::Arc;

use crate::{
    ConsumerRecord, Error, Result,
    consumer::options::FetchOptions,
    net::fetch_stream::RecordsPiece,
    records::{
        RecordsError,
        batch::BatchHeader,
        chunk::{Chunk, ChunkPool},
        compression::{Decompressor, codec_name},
        walk::BatchWalk,
    },
    subscriptions::{PartitionId, PartitionState},
    types::TopicPartition,
};

/// The chunk that is open, if there is one, and what opening batches needs.
#[derive(Debug)]
pub(super) struct Cursor {
    open: Option<Open>,
    decompressor: Decompressor,
    check_crcs: bool,
    max_decompressed: usize,
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
            max_decompressed: options.max_decompressed,
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

    /// The next record of the open chunk; `None` when it is at its end.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Result<ConsumerRecord, Damage>> {
        let open = self.open.as_mut()?;
        if let Some((walk, _)) = &mut open.walk {
            if let Some(Ok(record)) = walk.next_record() {
                open.position = record.offset() + 1;
                return Some(Ok(record));
            }
        }
        self.next_batch()
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

    /// The walk is at its end, or there is none: goes on with the next batch that has records for us.
    fn next_batch(&mut self) -> Option<Result<ConsumerRecord, Damage>> {
        loop {
            let open = self.open.as_mut()?;
            if let Some((walk, len)) = &mut open.walk {
                match walk.next_record() {
                    Some(Ok(record)) => {
                        open.position = record.offset() + 1;
                        return Some(Ok(record));
                    }
                    Some(Err(error)) => {
                        // Opened again by the next call, which meets the same.
                        open.walk = None;
                        return Some(Err(self.damage(error)?));
                    }
                    None => {
                        open.position = open.position.max(walk.next_offset());
                        open.at += *len;
                        open.walk = None;
                    }
                }
            }
            if open.at >= open.len {
                return None;
            }
            if let Err(error) = open.open_batch(&mut self.decompressor, self.check_crcs) {
                return Some(Err(self.damage(error)?));
            }
        }
    }

    fn damage(&self, error: RecordsError) -> Option<Damage> {
        let open = self.open.as_ref()?;
        let partition = open.partition.clone();
        let offset = open.position;
        let error = match error {
            RecordsError::Corrupt(reason) => Error::CorruptRecord { partition, offset, reason },
            RecordsError::UnsupportedCodec(codec) => {
                Error::UnsupportedCodec { partition, offset, codec: codec_name(codec).into() }
            }
            RecordsError::TooLarge => Error::RecordTooLarge {
                partition,
                offset,
                limit: self.max_decompressed as u64,
                option: "max_decompressed_batch_bytes",
            },
        };
        Some(Damage { id: open.id, error })
    }
}

impl Open {
    /// Opens the batch at hand, or goes past it if it has nothing for the caller.
    fn open_batch(
        &mut self,
        decompressor: &mut Decompressor,
        check_crcs: bool,
    ) -> Result<(), RecordsError> {
        let bytes = &self.chunk.filled()[self.at..self.len];
        let header = BatchHeader::parse(bytes)?;
        if header.next_offset() <= self.position {
            self.at += header.len;
            return Ok(());
        }
        if check_crcs {
            header.check_crc(bytes)?;
        }
        if header.is_control() {
            self.position = header.next_offset();
            self.at += header.len;
            return Ok(());
        }
        let walk = BatchWalk::open(
            &self.chunk,
            self.at,
            &header,
            &self.partition,
            self.position,
            decompressor,
        )?;
        self.walk = Some((walk, header.len));
        Ok(())
    }
}
