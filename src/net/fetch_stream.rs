//! A Fetch response, decoded as it streams in.
//!
//! The small fields go through the connection's staging buffer; the bytes of records are read into chunks that hold
//! whole batches, straight from the socket as soon as the staging buffer is empty. A partition's records are
//! usable as soon as they are in, and nothing is ever as large as the response.
//!
//! ```text
//!  Header ─▶ Top ─▶ Topic ─▶ Partition ─▶ Records ─▶ PartitionTags ─┐
//!                    ▲ ▲         ▲────────────────────────────────── │ next partition
//!                    │ └─ next topic ── TopicTags ◀──────────────────┘
//!                    └ none left ─▶ TopTags ─▶ Done
//! ```

use std::sync::Arc;

use crate::{
    net::staging::Staging,
    protocol::{
        Request,
        fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData},
    },
    records::{BatchHeader, Chunk, ChunkPool, next_batch_len},
    wire::{DecodeError, Pending, Reader},
};

/// Batches up to this size share chunks of it; a larger one gets a chunk of its own.
const CHUNK: usize = 1 << 20;

/// What a streamed response consists of, in the order in which it comes.
#[derive(Debug)]
pub enum FetchPiece {
    /// The fields before the first topic.
    Start(Box<FetchResponse>),
    /// The name or id that the following partitions belong to.
    Topic(Box<FetchableTopicResponse>),
    /// A partition's fields before its records.
    Partition(Box<PartitionData>),
    /// Whole batches of the partition named last.
    Records(RecordsPiece),
    /// A partition is complete; its fields again, now with the tagged ones.
    PartitionEnd {
        /// All fields of the partition, without records.
        partition: Box<PartitionData>,
        /// Whether there were records, but not a single whole batch.
        truncated: bool,
    },
    /// The response is complete; the top level's fields again, now with the tagged ones.
    End(Box<FetchResponse>),
}

/// A chunk that holds whole batches.
#[derive(Debug)]
pub struct RecordsPiece {
    /// The memory.
    pub chunk: Arc<Chunk>,
    /// How many of its bytes are whole batches.
    pub len: usize,
    /// The offset after the last batch, or `None` where the bytes end in something that is no batch.
    pub next_offset: Option<i64>,
    /// The leader's epoch in which the last batch was written, where it is known.
    pub last_epoch: Option<i32>,
}

/// The decoder: fed from a [`Staging`] buffer, and by direct reads into [`space`](Self::space).
#[derive(Debug)]
pub(crate) struct FetchStream {
    version: i16,
    /// Bytes of the frame that were not yet consumed.
    left: usize,
    state: State,
    top: Box<FetchResponse>,
    topics_left: usize,
    topic: Box<FetchableTopicResponse>,
    partitions_left: usize,
    partition: Box<PartitionData>,
    records: Records,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    Top,
    Topic,
    Partition,
    Records,
    PartitionTags,
    TopicTags,
    TopTags,
    Rest,
    Done,
}

/// The records of the partition that is being read.
#[derive(Debug, Default)]
struct Records {
    left: usize,
    /// Bytes at the end that nobody wants.
    skip: usize,
    chunk: Option<Chunk>,
    /// Whole batches seen, and whether there were any bytes.
    batches: bool,
    bytes: bool,
}

impl FetchStream {
    /// A response whose correlation id has been read, with `left` bytes still to come.
    pub(crate) fn new(version: i16, left: usize) -> Self {
        Self {
            version,
            left,
            state: State::Header,
            top: Box::default(),
            topics_left: 0,
            topic: Box::default(),
            partitions_left: 0,
            partition: Box::default(),
            records: Records::default(),
        }
    }

    /// Where the next bytes are best read to, when that is not the staging buffer.
    pub(crate) fn space(&mut self) -> Option<&mut [u8]> {
        let left = self.records.left;
        let space = self.records.chunk.as_mut()?.space();
        let n = space.len().min(left);
        Some(&mut space[..n])
    }

    /// Whether [`space`](Self::space) has any.
    pub(crate) fn has_space(&self) -> bool {
        let records = &self.records;
        let full = |chunk: &Chunk| chunk.filled().len() == chunk.capacity();
        self.state == State::Records
            && records.left > 0
            && records.chunk.as_ref().is_some_and(|c| !full(c))
    }

    /// Whether what comes next are the bytes of records.
    pub(crate) fn is_in_records(&self) -> bool {
        self.state == State::Records && self.records.left > 0
    }

    /// `n` bytes were read into [`space`](Self::space).
    pub(crate) fn advance(&mut self, n: usize) {
        if let Some(chunk) = &mut self.records.chunk {
            chunk.advance(n);
        }
        self.records.left -= n;
        self.left -= n;
    }

    /// Whether the response is complete.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Decodes what is there. Returns at the first place where more bytes are needed, or after a chunk of records,
    /// so that the reader can stop when it has enough.
    pub(crate) fn decode(
        &mut self,
        staging: &mut Staging,
        pool: &ChunkPool,
    ) -> Result<Option<FetchPiece>, DecodeError> {
        loop {
            let step = match self.state {
                State::Records => self.decode_records(staging, pool)?,
                State::Rest => {
                    let n = staging.data().len().min(self.left);
                    staging.consume(n);
                    self.left -= n;
                    if self.left > 0 {
                        return Ok(None);
                    }
                    self.state = State::Done;
                    Step::Piece(FetchPiece::End(std::mem::take(&mut self.top)))
                }
                State::Done => return Ok(None),
                _ => self.decode_fields(staging)?,
            };
            match step {
                Step::Starved => return Ok(None),
                Step::Piece(piece) => return Ok(Some(piece)),
                Step::Next => {}
            }
        }
    }

    /// One of the states that are plain fields: tried on the bytes that are there, and again when there are more.
    fn decode_fields(&mut self, staging: &mut Staging) -> Result<Step, DecodeError> {
        let available = &staging.data()[..staging.data().len().min(self.left)];
        let flexible = self.version >= FetchRequest::FLEXIBLE;
        let mut reader = Reader::streaming(available, self.version, flexible);
        match self.read_fields(&mut reader) {
            Ok(step) => {
                let n = reader.consumed();
                self.left -= n;
                staging.consume(n);
                Ok(step)
            }
            Err(error) if error == DecodeError::UnexpectedEnd && available.len() < self.left => {
                Ok(Step::Starved)
            }
            Err(error) => Err(error),
        }
    }

    fn read_fields(&mut self, r: &mut Reader<'_>) -> Result<Step, DecodeError> {
        match self.state {
            State::Header => {
                r.tags(|_, _| Ok(()))?;
                self.state = State::Top;
                Ok(Step::Next)
            }
            State::Top => {
                *self.top = FetchResponse::decode_fields(r)?;
                self.topics_left = self.count(r)?;
                self.next_topic();
                Ok(Step::Piece(FetchPiece::Start(self.top.clone())))
            }
            State::Topic => {
                *self.topic = FetchableTopicResponse::decode_fields(r)?;
                self.partitions_left = self.count(r)?;
                self.topics_left -= 1;
                self.next_partition();
                Ok(Step::Piece(FetchPiece::Topic(self.topic.clone())))
            }
            State::Partition => {
                *self.partition = PartitionData::decode_fields(r)?;
                let bytes = match r.take_pending() {
                    Some(Pending::Bytes(bytes)) => bytes.unwrap_or(0),
                    _ => return Err(DecodeError::malformed("records")),
                };
                if bytes > self.left - r.consumed() {
                    return Err(DecodeError::malformed("records: longer than the response"));
                }
                self.partitions_left -= 1;
                self.records = Records { left: bytes, bytes: bytes > 0, ..Records::default() };
                self.state = State::Records;
                Ok(Step::Piece(FetchPiece::Partition(self.partition.clone())))
            }
            State::PartitionTags => {
                self.partition.decode_tags(r)?;
                self.next_partition();
                Ok(Step::Piece(FetchPiece::PartitionEnd {
                    partition: std::mem::take(&mut self.partition),
                    truncated: self.records.bytes && !self.records.batches,
                }))
            }
            State::TopicTags => {
                self.topic.decode_tags(r)?;
                self.next_topic();
                Ok(Step::Next)
            }
            _ => {
                self.top.decode_tags(r)?;
                self.state = State::Rest;
                Ok(Step::Next)
            }
        }
    }

    /// The count of an array, each item of which takes at least a byte of what is left of the frame.
    fn count(&self, r: &mut Reader<'_>) -> Result<usize, DecodeError> {
        match r.take_pending() {
            Some(Pending::Items(n)) if n <= self.left - r.consumed() => Ok(n),
            _ => Err(DecodeError::malformed("array: more items than bytes")),
        }
    }

    fn next_topic(&mut self) {
        self.state = if self.topics_left > 0 { State::Topic } else { State::TopTags };
    }

    fn next_partition(&mut self) {
        self.state = if self.partitions_left > 0 { State::Partition } else { State::TopicTags };
    }

    fn decode_records(
        &mut self,
        staging: &mut Staging,
        pool: &ChunkPool,
    ) -> Result<Step, DecodeError> {
        if self.records.skip > 0 {
            let n = staging.data().len().min(self.records.skip);
            staging.consume(n);
            self.left -= n;
            self.records.skip -= n;
            if self.records.skip > 0 {
                return Ok(Step::Starved);
            }
        }
        if self.records.left == 0 && self.records.chunk.is_none() {
            self.state = State::PartitionTags;
            return Ok(Step::Next);
        }
        let left = self.records.left;
        let chunk = self.records.chunk.get_or_insert_with(|| pool.take(left.min(CHUNK)));
        let space = chunk.space();
        let room = space.len().min(left);
        let moved = staging.move_to(&mut space[..room]);
        self.advance(moved);
        let chunk = self.records.chunk.as_mut().expect("put there above");
        if self.records.left > 0 && !chunk.space().is_empty() {
            return Ok(Step::Starved);
        }
        Ok(self.cut(pool))
    }

    /// The chunk is full, or the partition's records are at their end: hands out its whole batches, and begins the
    /// next chunk with what is left over.
    fn cut(&mut self, pool: &ChunkPool) -> Step {
        let Some(chunk) = self.records.chunk.take() else { return Step::Next };
        let run = whole_batches(chunk.filled());
        let rest = chunk.filled().len() - run.len;
        match run.end {
            RunEnd::Nonsense => {
                // Handed on with the bytes that are no batch, so that the error is met at its offset.
                self.skip_records();
                let len = chunk.filled().len();
                return self.piece(chunk, len, None);
            }
            RunEnd::Partial(wanted) if self.records.left > 0 => {
                let mut next = match wanted {
                    // A batch that the response cannot complete: the broker cut it off at the size limit.
                    Some(n) if n - rest > self.records.left => {
                        self.skip_records();
                        None
                    }
                    Some(n) if n > CHUNK => Some(pool.take(n)),
                    _ => Some(pool.take((rest + self.records.left).min(CHUNK))),
                };
                if let Some(next) = &mut next {
                    next.space()[..rest].copy_from_slice(&chunk.filled()[run.len..]);
                    next.advance(rest);
                }
                self.records.chunk = next;
            }
            RunEnd::Partial(_) => {}
        }
        if run.len == 0 { Step::Next } else { self.piece(chunk, run.len, run.last) }
    }

    fn piece(&mut self, chunk: Chunk, len: usize, last: Option<BatchHeader>) -> Step {
        self.records.batches = true;
        let next_offset = last.map(|header| header.next_offset());
        let last_epoch = last.map(|header| header.partition_leader_epoch).filter(|e| *e >= 0);
        let chunk = Arc::new(chunk);
        Step::Piece(FetchPiece::Records(RecordsPiece { chunk, len, next_offset, last_epoch }))
    }

    /// Leaves the rest of this partition's records unread.
    fn skip_records(&mut self) {
        self.records.skip = self.records.left;
        self.records.left = 0;
    }
}

enum Step {
    /// More bytes are needed.
    Starved,
    Piece(FetchPiece),
    Next,
}

/// Batches that follow each other from the start of some bytes.
struct Run {
    len: usize,
    last: Option<BatchHeader>,
    end: RunEnd,
}

enum RunEnd {
    /// The bytes end here, or within a batch, whose length stands here if that much is there.
    Partial(Option<usize>),
    /// What follows is no batch.
    Nonsense,
}

fn whole_batches(bytes: &[u8]) -> Run {
    let (mut at, mut last) = (0, None);
    let end = loop {
        match next_batch_len(&bytes[at..]) {
            Ok(Some(n)) if n <= bytes.len() - at => {
                last = Some(at);
                at += n;
            }
            Ok(wanted) => break RunEnd::Partial(wanted),
            Err(_) => break RunEnd::Nonsense,
        }
    };
    let header = last.and_then(|at| BatchHeader::parse(&bytes[at..]).ok());
    // A header that cannot be parsed is met, and reported, when the batch is opened.
    let end = if last.is_some() && header.is_none() { RunEnd::Nonsense } else { end };
    Run { len: at, last: header, end }
}
