//! The memory that records are read into: used again and again while it is warm.
//!
//! A chunk goes back to its pool when the last record that points into it is dropped, on whichever thread that is.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// The sizes that are kept for reuse. Smaller ones are cheap to allocate, larger ones rare.
const CLASSES: [usize; 4] = [16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// Hands out chunks, and takes them back up to a limit.
#[derive(Clone)]
pub struct ChunkPool {
    free: Arc<Mutex<Free>>,
}

struct Free {
    classes: [Vec<Vec<u8>>; CLASSES.len()],
    bytes: usize,
    limit: usize,
}

impl ChunkPool {
    /// A pool that keeps up to `limit` bytes that nobody uses.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { free: Arc::new(Mutex::new(Free { classes: Default::default(), bytes: 0, limit })) }
    }

    /// An empty chunk with room for at least `capacity` bytes.
    #[must_use]
    pub fn take(&self, capacity: usize) -> Chunk {
        let class =
            CLASSES.iter().position(|size| *size >= capacity).filter(|_| capacity >= CLASSES[0]);
        let Some(class) = class else {
            return Chunk { bytes: vec![0; capacity], len: 0, home: None };
        };
        let recycled = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let bytes = free.classes[class].pop();
            free.bytes -= bytes.as_ref().map_or(0, Vec::len);
            bytes
        };
        let bytes = recycled.unwrap_or_else(|| vec![0; CLASSES[class]]);
        Chunk { bytes, len: 0, home: Some((class, self.clone())) }
    }

    fn give_back(&self, class: usize, bytes: Vec<u8>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.bytes + bytes.len() <= free.limit {
            free.bytes += bytes.len();
            free.classes[class].push(bytes);
        }
    }
}

impl fmt::Debug for ChunkPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("ChunkPool").field("bytes", &free.bytes).field("limit", &free.limit).finish()
    }
}

/// Memory that is filled from the front.
///
/// All of it is initialized from the start, once, so that sockets can be read into it and nothing is zeroed again.
pub struct Chunk {
    bytes: Vec<u8>,
    len: usize,
    home: Option<(usize, ChunkPool)>,
}

impl Chunk {
    /// A chunk of its own that holds these bytes.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self { len: bytes.len(), bytes, home: None }
    }

    /// What was put in so far.
    #[inline]
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Where the next bytes go.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[self.len..]
    }

    /// `n` bytes were put into [`space`](Self::space).
    ///
    /// # Panics
    /// When there was not so much room.
    pub fn advance(&mut self, n: usize) {
        assert!(n <= self.bytes.len() - self.len, "more bytes than there was room for");
        self.len += n;
    }

    /// How many bytes fit in.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some((class, pool)) = self.home.take() {
            pool.give_back(class, std::mem::take(&mut self.bytes));
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("len", &self.len)
            .field("capacity", &self.bytes.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_not_cleared() {
        let pool = ChunkPool::new(1 << 20);
        let mut chunk = pool.take(20_000);
        chunk.space()[0] = 7;
        chunk.advance(1);
        let address = chunk.filled().as_ptr();
        drop(chunk);
        let mut again = pool.take(64 << 10);
        assert_eq!(
            (again.filled().len(), again.space().as_ptr(), again.space()[0]),
            (0, address, 7)
        );
    }

    #[test]
    fn a_pool_keeps_no_more_than_its_limit() {
        let pool = ChunkPool::new(100 << 10);
        let chunks: Vec<Chunk> = (0..4).map(|_| pool.take(64 << 10)).collect();
        drop(chunks);
        assert_eq!(format!("{pool:?}"), "ChunkPool { bytes: 65536, limit: 102400 }");
    }

    #[test]
    fn small_and_huge_chunks_are_made_to_measure() {
        let pool = ChunkPool::new(1 << 20);
        assert_eq!(pool.take(100).capacity(), 100);
        assert_eq!(pool.take((1 << 20) + 1).capacity(), (1 << 20) + 1);
        assert_eq!(pool.take(16 << 10).capacity(), 16 << 10);
        assert_eq!(pool.take((16 << 10) + 1).capacity(), 64 << 10);
    }

    #[test]
    fn a_chunk_returns_from_another_thread() {
        let pool = ChunkPool::new(1 << 20);
        let chunk = pool.take(1 << 20);
        std::thread::spawn(move || drop(chunk)).join().unwrap();
        assert_eq!(format!("{pool:?}"), "ChunkPool { bytes: 1048576, limit: 1048576 }");
    }
}
