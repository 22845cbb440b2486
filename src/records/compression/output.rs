//! Where a codec writes to: memory that grows with what really comes out, up to a limit.

use super::super::{Chunk, ChunkPool, RecordsError};

/// The first guess is not larger than the largest chunk that the pool keeps, whatever was seen before.
const MAX_GUESS: usize = 1 << 20;
/// The least that is worth a chunk of its own.
const MIN_GUESS: usize = 1 << 10;

pub(super) struct Output<'a> {
    pool: &'a ChunkPool,
    chunk: Chunk,
    limit: usize,
}

impl<'a> Output<'a> {
    /// For `packed` bytes of input; `last` is the size of an earlier output of the same kind.
    pub(super) fn new(pool: &'a ChunkPool, limit: usize, packed: usize, last: usize) -> Self {
        let guess = packed.saturating_mul(4).max(last).clamp(MIN_GUESS, MAX_GUESS).max(packed);
        // One byte more than the limit: the byte that proves it to be exceeded needs a place.
        Self { pool, chunk: pool.take(guess.min(limit.saturating_add(1))), limit }
    }

    /// Room for at least one byte more; an error when the limit is exceeded.
    pub(super) fn space(&mut self) -> Result<&mut [u8], RecordsError> {
        self.space_for(1)
    }

    /// Room for `wanted` bytes, or for as many as the limit allows and one more. The caller answers for `wanted`
    /// being justified by its input.
    pub(super) fn space_for(&mut self, wanted: usize) -> Result<&mut [u8], RecordsError> {
        let len = self.len();
        if len > self.limit {
            return Err(RecordsError::TooLarge(self.limit));
        }
        let most = self.limit.saturating_add(1);
        let needed = len.saturating_add(wanted).min(most);
        if needed > self.chunk.capacity() {
            let mut larger =
                self.pool.take(needed.max(self.chunk.capacity().saturating_mul(2)).min(most));
            larger.extend_from_slice(self.chunk.filled());
            self.chunk = larger;
        }
        let room = most - len;
        let space = self.chunk.space();
        let room = room.min(space.len());
        Ok(&mut space[..room])
    }

    /// Counts `n` bytes of the space as written.
    pub(super) fn advance(&mut self, n: usize) -> Result<(), RecordsError> {
        self.chunk.advance(n);
        if self.len() > self.limit { Err(RecordsError::TooLarge(self.limit)) } else { Ok(()) }
    }

    pub(super) fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), RecordsError> {
        let limit = self.limit;
        let Some(space) = self.space_for(bytes.len())?.get_mut(..bytes.len()) else {
            return Err(RecordsError::TooLarge(limit));
        };
        space.copy_from_slice(bytes);
        self.advance(bytes.len())
    }

    pub(super) fn len(&self) -> usize {
        self.chunk.filled().len()
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// What was written from `start` on.
    pub(super) fn written_from(&self, start: usize) -> &[u8] {
        &self.chunk.filled()[start..]
    }

    pub(super) fn into_chunk(self) -> Chunk {
        self.chunk
    }
}
