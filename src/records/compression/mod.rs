//! Decompression, bounded: a batch says how it is compressed, and an option how large it may become.

use crate::records::{
    RecordsError,
    chunk::{Chunk, ChunkPool},
};

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

/// The name of a codec, or its number where it has none.
#[must_use]
pub fn codec_name(codec: u8) -> String {
    ["none", "gzip", "snappy", "lz4", "zstd"]
        .get(usize::from(codec))
        .map_or_else(|| codec.to_string(), |n| (*n).to_owned())
}

/// The codecs' state and memory, kept from batch to batch.
#[derive(Debug)]
pub struct Decompressor {
    pool: ChunkPool,
    limit: usize,
    #[cfg(feature = "zstd")]
    zstd: Option<zstd::Context>,
    #[cfg(feature = "snappy")]
    snappy: snappy::Decoder,
}

impl Decompressor {
    /// A decompressor whose outputs are chunks of `pool`, each of at most `limit` bytes.
    #[must_use]
    pub fn new(pool: ChunkPool, limit: usize) -> Self {
        Self {
            pool,
            limit,
            #[cfg(feature = "zstd")]
            zstd: None,
            #[cfg(feature = "snappy")]
            snappy: snappy::Decoder::default(),
        }
    }

    /// Decompresses the records of a batch.
    ///
    /// # Errors
    /// Where the codec is unknown or left out, the input malformed or cut off, or the output too large.
    pub fn decompress(&mut self, codec: u8, input: &[u8]) -> Result<Chunk, RecordsError> {
        let mut output = Output::new(&self.pool, self.limit, input.len());
        match codec {
            #[cfg(feature = "gzip")]
            1 => gzip::decompress(input, &mut output)?,
            #[cfg(feature = "snappy")]
            2 => self.snappy.decompress(input, &mut output)?,
            #[cfg(feature = "lz4")]
            3 => lz4::decompress(input, &mut output)?,
            #[cfg(feature = "zstd")]
            4 => zstd::Context::kept(&mut self.zstd)?.decompress(input, &mut output)?,
            _ => return Err(RecordsError::UnsupportedCodec(codec)),
        }
        Ok(output.chunk)
    }
}

/// What a codec writes to: grows with what is really written, and not beyond the limit.
struct Output<'a> {
    pool: &'a ChunkPool,
    limit: usize,
    chunk: Chunk,
}

#[allow(dead_code, reason = "each codec uses what it needs of it, and there may be none")]
impl<'a> Output<'a> {
    fn new(pool: &'a ChunkPool, limit: usize, input: usize) -> Self {
        // Records shrink to a third or so; what is less than expected stays unused, what is more grows.
        let expected = input.saturating_mul(4).clamp(1 << 10, 1 << 20).min(limit.max(1));
        Self { pool, limit, chunk: pool.take(expected) }
    }

    /// At least `n` bytes of room.
    fn room(&mut self, n: usize) -> Result<&mut [u8], RecordsError> {
        let filled = self.chunk.filled().len();
        let needed = filled
            .checked_add(n)
            .filter(|needed| *needed <= self.limit)
            .ok_or(RecordsError::TooLarge)?;
        if needed > self.chunk.capacity() {
            let capacity = needed.max((self.chunk.capacity() * 2).min(self.limit));
            let mut larger = self.pool.take(capacity);
            larger.space()[..filled].copy_from_slice(self.chunk.filled());
            larger.advance(filled);
            self.chunk = larger;
        }
        let allowed = (self.limit - filled).min(self.chunk.capacity() - filled);
        Ok(&mut self.chunk.space()[..allowed])
    }

    /// `n` bytes were written into the room.
    fn advance(&mut self, n: usize) {
        self.chunk.advance(n);
    }
}
