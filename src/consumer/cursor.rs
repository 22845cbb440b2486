//! What the caller touches for every record: the chunk that is handed out, and how far.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    ConsumerRecord, Error, Result,
    consumer::options::FetchOptions,
    fetcher::Fetched,
    records::{BatchHeader, BatchWalk, Chunk, ChunkPool, Codec, Decompressor, RecordsError},
    subscriptions::{PartitionId, PartitionState, Place, Subscriptions, Ticket},
    types::TopicPartition,
};

/// The chunk that is open, if there is one, and what opening batches needs.
#[derive(Debug)]
pub struct Cursor {
    open: Option<Open>,
    /// What was open of partitions that are paused now.
    parked: Vec<Open>,
    /// What was parked of partitions that were resumed: comes before what was fetched since.
    resumed: VecDeque<Open>,
    decompressor: Decompressor,
    check_crcs: bool,
}

#[derive(Debug)]
struct Open {
    ticket: Ticket,
    partition: TopicPartition,
    chunk: Arc<Chunk>,
    /// The base offsets of batches that are left out, in order.
    aborted: Vec<i64>,
    /// Where the batch begins that is walked, or is to be opened next.
    at: usize,
    len: usize,
    position: i64,
    /// The epoch of the batch before the one that is walked.
    epoch: Option<i32>,
    walk: Option<(BatchWalk, usize)>,
}

/// With so many chunks kept for paused partitions, another one is fetched again instead.
const PARKED_FULL: usize = 16;

/// Data that cannot be read; the cursor stays where it is.
#[derive(Debug)]
pub struct Damage {
    pub id: PartitionId,
    pub error: Error,
}

impl Cursor {
    pub fn new(options: &FetchOptions, pool: ChunkPool) -> Self {
        Self {
            open: None,
            parked: Vec::new(),
            resumed: VecDeque::new(),
            decompressor: Decompressor::new(pool, options.max_decompressed),
            check_crcs: options.check_crcs,
        }
    }

    /// Hands out this chunk from now on.
    pub fn open(&mut self, id: PartitionId, state: &PartitionState, fetched: Fetched) {
        let Some(place) = state.position else { return };
        self.open = Some(Open {
            ticket: Ticket { id, voids: state.voids },
            partition: state.partition.clone(),
            chunk: fetched.piece.chunk,
            aborted: fetched.aborted,
            at: 0,
            len: fetched.piece.len,
            position: place.offset,
            epoch: place.epoch,
            walk: None,
        });
    }

    /// Goes on with a chunk of a partition that was resumed, if there is one.
    pub fn open_resumed(&mut self) -> bool {
        self.open = self.resumed.pop_front();
        self.open.is_some()
    }

    /// The next record of the batch that is open; `None` when [`advance`](Self::advance) has to go on first.
    ///
    /// The hot path: what it gives is built where the caller wants it, and copied nowhere.
    #[inline(always)]
    pub fn next_in_batch(&mut self) -> Option<ConsumerRecord> {
        let open = self.open.as_mut()?;
        let (walk, _) = open.walk.as_mut()?;
        let entry = walk.next_whole()?;
        open.position = entry.offset + 1;
        Some(ConsumerRecord::new(walk.batch(), entry))
    }

    /// Goes on to the next record, without handing it out; says whether the open chunk has one.
    pub fn advance(&mut self) -> Result<bool, Damage> {
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

    /// Hands out the rest of the open batch as a whole.
    pub fn take_batch(&mut self) -> Option<BatchWalk> {
        let open = self.open.as_mut()?;
        let (walk, len) = open.walk.take()?;
        open.leave(walk.header(), len);
        Some(walk)
    }

    /// The record at `offset`, handed out last, was not taken: it comes again, unless its chunk is not open any more.
    pub fn untake(&mut self, partition: (&str, i32), offset: i64) -> bool {
        let open = self.open.as_mut().filter(|open| {
            (open.partition.topic(), open.partition.partition()) == partition
                && open.position == offset + 1
        });
        let Some(open) = open else { return false };
        open.position = offset;
        open.walk = None;
        true
    }

    /// How far the open chunk's partition has been handed out.
    pub fn position(&self) -> Option<(Ticket, Place)> {
        self.open.as_ref().map(|open| (open.ticket, open.place()))
    }

    /// Drops what has become void, and keeps what was paused for later.
    pub fn follow(&mut self, subscriptions: &mut Subscriptions) {
        let paused = |open: &Open| subscriptions.is_paused(open.ticket.id);
        let kept = std::mem::take(&mut self.parked).into_iter().chain(self.resumed.drain(..));
        for open in kept.filter(|open| subscriptions.honours(open.ticket)).collect::<Vec<_>>() {
            if paused(&open) { self.parked.push(open) } else { self.resumed.push_back(open) }
        }
        let Some(open) =
            self.open.take_if(|open| !subscriptions.honours(open.ticket) || paused(open))
        else {
            return;
        };
        if !subscriptions.honours(open.ticket) {
            return;
        }
        if self.parked.len() < PARKED_FULL {
            self.parked.push(open);
        } else {
            subscriptions.void(open.ticket.id);
        }
    }

    /// Drops the open chunk, which has nothing more to hand out.
    pub fn clear(&mut self) {
        self.open = None;
    }

    /// Drops everything.
    pub fn clear_all(&mut self) {
        self.open = None;
        self.parked.clear();
        self.resumed.clear();
    }
}

impl Open {
    /// The position, and the epoch of the record before it.
    fn place(&self) -> Place {
        let begun = self.walk.as_ref().map(|(walk, _)| walk.header());
        let begun = begun.filter(|header| self.position > header.base_offset);
        Place { offset: self.position, epoch: begun.map_or(self.epoch, epoch) }
    }

    /// Whether the batch that is walked has another record for the caller; leaves it if it has none.
    fn stay_or_leave(&mut self) -> Result<bool, RecordsError> {
        let Some((walk, _)) = &mut self.walk else { return Ok(false) };
        walk.skip_to(self.position)?;
        if walk.remaining() > 0 {
            return Ok(true);
        }
        if let Some((walk, len)) = self.walk.take() {
            self.leave(walk.header(), len);
        }
        Ok(false)
    }

    /// Goes on behind a batch.
    fn leave(&mut self, header: &BatchHeader, len: usize) {
        self.position = self.position.max(header.next_offset());
        self.epoch = epoch(header);
        self.at += len;
    }

    /// Opens the batch at hand, or goes past it if it has nothing for the caller; says whether it has.
    fn open_batch(
        &mut self,
        decompressor: &mut Decompressor,
        check_crcs: bool,
    ) -> Result<bool, RecordsError> {
        let header = BatchHeader::parse(&self.chunk.filled()[self.at..self.len])?;
        let len = header.total_len();
        if header.next_offset() <= self.position {
            self.at += len;
            return Ok(false);
        }
        if self.aborted.binary_search(&header.base_offset).is_ok() {
            self.leave(&header, len);
            return Ok(false);
        }
        let (topic, partition) = (self.partition.shared_topic(), self.partition.partition());
        let walk =
            BatchWalk::open(&self.chunk, self.at, topic, partition, check_crcs, decompressor)?;
        if header.is_control() {
            // A marker of brokers: its checksum was worth a look, its records are not for the caller.
            self.leave(&header, len);
            return Ok(false);
        }
        self.walk = Some((walk, len));
        self.stay_or_leave()
    }
}

fn epoch(header: &BatchHeader) -> Option<i32> {
    Some(header.partition_leader_epoch).filter(|epoch| *epoch >= 0)
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
    Damage { id: open.ticket.id, error }
}
