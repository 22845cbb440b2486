//! Who owns the memory that records lie in, and how it is used again.
//!
//! Fresh memory costs more than parsing what is read into it, so that chunks go back to the pool that they came
//! from when the last record that points into them is dropped, on whatever thread that happens.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Capacities that are kept; what is smaller or bigger is allocated exactly, and freed.
const CLASSES: [usize; 4] = [16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// A store of chunks to be used again. Clones share it.
#[derive(Clone)]
pub struct ChunkPool {
    shared: Arc<Shared>,
}

struct Shared {
    max_kept: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    bytes: usize,
    free: [Vec<Vec<u8>>; CLASSES.len()],
}

impl ChunkPool {
    /// A pool that keeps at most `max_kept` bytes of free chunks.
    #[must_use]
    pub fn new(max_kept: usize) -> Self {
        Self { shared: Arc::new(Shared { max_kept, kept: Mutex::default() }) }
    }

    /// An empty chunk with room for at least `min_capacity` bytes.
    #[must_use]
    pub fn take(&self, min_capacity: usize) -> Chunk {
        let Some(class) = class_for(min_capacity) else {
            return Chunk { bytes: vec![0; min_capacity], len: 0, home: None };
        };
        let home = Some((Arc::clone(&self.shared), class));
        let used_before = self.shared.lock().take(class);
        // `vec![0; n]` is calloc: large ones come zeroed from the system without a pass over them.
        let bytes = used_before.unwrap_or_else(|| vec![0; CLASSES[class]]);
        Chunk { bytes, len: 0, home }
    }

    /// How many bytes of free chunks are kept at the moment.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.shared.lock().bytes
    }
}

impl fmt::Debug for ChunkPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkPool")
            .field("kept", &self.kept())
            .field("max_kept", &self.shared.max_kept)
            .finish()
    }
}

/// A piece of memory, filled from its start; goes back to its pool when dropped.
///
/// What is behind the filled part is left from earlier use, and is never shown.
pub struct Chunk {
    bytes: Vec<u8>,
    len: usize,
    home: Option<(Arc<Shared>, usize)>,
}

impl Chunk {
    /// The part that is not filled yet, to be read into.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[self.len..]
    }

    /// Counts the first `n` bytes of [`space`](Self::space) as filled.
    ///
    /// # Panics
    /// When `n` is more than the space, which is a mistake of the calling code.
    pub fn advance(&mut self, n: usize) {
        assert!(n <= self.bytes.len() - self.len, "a chunk filled beyond its end");
        self.len += n;
    }

    /// Copies `bytes` to the end of the filled part.
    ///
    /// # Panics
    /// When they do not fit, which is a mistake of the calling code.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.space()[..bytes.len()].copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    /// What was filled.
    #[inline]
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// How much it can hold in all.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing more fits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len == self.bytes.len()
    }
}

/// A chunk that is full and belongs to no pool.
impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Self {
        Self { len: bytes.len(), bytes, home: None }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some((home, class)) = self.home.take() {
            home.put_back(class, std::mem::take(&mut self.bytes));
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("len", &self.len)
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Every change below leaves the lists whole, so that a poisoned lock is as good as any.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the chunk, at the cost of free ones of other classes when there is no room: those are what an
    /// earlier load left behind.
    fn put_back(&self, class: usize, bytes: Vec<u8>) {
        let mut freed = Vec::new(); // dropped after the lock
        let mut kept = self.lock();
        for other in (0..CLASSES.len()).rev().filter(|other| *other != class) {
            while kept.bytes + bytes.len() > self.max_kept {
                let Some(old) = kept.take(other) else { break };
                freed.push(old);
            }
        }
        if kept.bytes + bytes.len() <= self.max_kept {
            kept.bytes += bytes.len();
            kept.free[class].push(bytes);
        } else {
            freed.push(bytes);
        }
        drop(kept);
    }
}

impl Kept {
    fn take(&mut self, class: usize) -> Option<Vec<u8>> {
        let bytes = self.free[class].pop()?;
        self.bytes -= bytes.len();
        Some(bytes)
    }
}

/// The smallest class that holds `capacity`; `None` for what is not kept.
fn class_for(capacity: usize) -> Option<usize> {
    if capacity < CLASSES[0] {
        return None;
    }
    CLASSES.iter().position(|class| capacity <= *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(chunk: &Chunk) -> *const u8 {
        chunk.bytes.as_ptr()
    }

    #[test]
    fn a_dropped_chunk_is_handed_out_again_with_nothing_filled() {
        let pool = ChunkPool::new(4 << 20);
        let mut chunk = pool.take(60_000);
        assert_eq!(chunk.capacity(), 64 << 10);
        chunk.extend_from_slice(b"old");
        let first = pointer(&chunk);
        drop(chunk);
        assert_eq!(pool.kept(), 64 << 10);
        let again = pool.take(50_000);
        assert_eq!((pointer(&again), again.filled()), (first, &b""[..]));
        assert_eq!(pool.kept(), 0);
    }

    #[test]
    fn a_chunk_dropped_on_another_thread_goes_home() {
        let pool = ChunkPool::new(4 << 20);
        let chunk = pool.take(1 << 20);
        std::thread::spawn(move || drop(chunk)).join().unwrap();
        assert_eq!(pool.kept(), 1 << 20);
    }

    #[test]
    fn small_and_huge_chunks_have_exactly_the_capacity_asked_for_and_are_not_kept() {
        let pool = ChunkPool::new(64 << 20);
        for capacity in [0, 1, (16 << 10) - 1, (1 << 20) + 1] {
            assert_eq!(pool.take(capacity).capacity(), capacity);
        }
        assert_eq!(pool.kept(), 0);
    }

    #[test]
    fn the_pool_keeps_no_more_than_it_may() {
        let pool = ChunkPool::new(200 << 10);
        let many: Vec<_> = (0..10).map(|_| pool.take(64 << 10)).collect();
        drop(many);
        assert_eq!(pool.kept(), 3 * (64 << 10));
        drop(pool.take(1 << 20));
        assert!(pool.kept() <= 200 << 10);
    }

    #[test]
    fn a_new_load_pushes_out_what_an_earlier_one_left() {
        let pool = ChunkPool::new(1 << 20);
        drop(pool.take(1 << 20));
        drop(pool.take(16 << 10));
        assert_eq!(pool.kept(), 16 << 10);
    }

    #[test]
    fn a_chunk_is_filled_from_its_start_and_shows_only_that() {
        let mut chunk = ChunkPool::new(0).take(8);
        chunk.space()[..3].copy_from_slice(b"abc");
        chunk.advance(3);
        chunk.extend_from_slice(b"de");
        assert_eq!(chunk.filled(), b"abcde");
        assert_eq!(chunk.space().len(), 3);
        assert!(!chunk.is_full());
    }
}
