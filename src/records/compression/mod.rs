//! Which codec a batch has, and how its records are unpacked into recycled memory, within a limit.

#[cfg_attr(
    not(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd")),
    allow(dead_code, reason = "each codec uses a part of it")
)]
mod output;

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(test)]
mod tests;

use std::fmt;

use self::output::Output;
use super::{Chunk, ChunkPool, RecordsError};

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// gzip, of one or more members.
    Gzip,
    /// Snappy, raw or in the framing of the xerial library.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard frames.
    Zstd,
}

impl Codec {
    /// The codec of a number in a batch's attributes.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd].get(usize::from(id)).copied()
    }

    /// Its number in a batch's attributes.
    #[must_use]
    pub fn id(self) -> u8 {
        self as u8
    }

    /// Whether this build has it.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::None => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Snappy => cfg!(feature = "snappy"),
            Self::Lz4 => cfg!(feature = "lz4"),
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

/// Unpacks batches; keeps the codecs' contexts, which cost more to make than a small batch to unpack.
pub struct Decompressor {
    pool: ChunkPool,
    limit: usize,
    /// The size of the last output: what comes next is likely as large.
    last_len: usize,
    #[cfg(feature = "gzip")]
    gzip: Option<gzip::Gzip>,
    #[cfg(feature = "snappy")]
    snappy: snappy::Snappy,
    #[cfg(feature = "zstd")]
    zstd: Option<zstd::Zstd>,
}

impl Decompressor {
    /// Takes its output buffers from `pool`; a batch of more than `limit` bytes is an error.
    #[must_use]
    pub fn new(pool: ChunkPool, limit: usize) -> Self {
        Self {
            pool,
            limit,
            last_len: 0,
            #[cfg(feature = "gzip")]
            gzip: None,
            #[cfg(feature = "snappy")]
            snappy: snappy::Snappy::default(),
            #[cfg(feature = "zstd")]
            zstd: None,
        }
    }

    /// All of what `packed` holds.
    pub fn decompress(&mut self, codec: Codec, packed: &[u8]) -> Result<Chunk, RecordsError> {
        let mut out = Output::new(&self.pool, self.limit, packed.len(), self.last_len);
        match codec {
            Codec::None => out.extend_from_slice(packed)?,
            #[cfg(feature = "gzip")]
            Codec::Gzip => {
                self.gzip.get_or_insert_with(gzip::Gzip::default).decompress(packed, &mut out)?;
            }
            #[cfg(feature = "snappy")]
            Codec::Snappy => self.snappy.decompress(packed, &mut out)?,
            #[cfg(feature = "lz4")]
            Codec::Lz4 => lz4::decompress(packed, &mut out)?,
            #[cfg(feature = "zstd")]
            Codec::Zstd => {
                let limit = self.limit;
                self.zstd
                    .get_or_insert_with(|| zstd::Zstd::new(limit))
                    .decompress(packed, &mut out)?;
            }
            #[allow(unreachable_patterns, reason = "with all features there is no other codec")]
            off => return Err(RecordsError::UnsupportedCodec(off.id())),
        }
        let chunk = out.into_chunk();
        self.last_len = chunk.filled().len();
        Ok(chunk)
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Packs the records of a batch as Kafka's own producer does.
pub(super) fn compress(codec: Codec, plain: &[u8]) -> Result<Vec<u8>, RecordsError> {
    match codec {
        Codec::None => Ok(plain.to_vec()),
        #[cfg(feature = "gzip")]
        Codec::Gzip => gzip::compress(plain),
        #[cfg(feature = "snappy")]
        Codec::Snappy => snappy::compress(plain),
        #[cfg(feature = "lz4")]
        Codec::Lz4 => lz4::compress(plain),
        #[cfg(feature = "zstd")]
        Codec::Zstd => zstd::compress(plain),
        #[allow(unreachable_patterns, reason = "with all features there is no other codec")]
        off => Err(RecordsError::UnsupportedCodec(off.id())),
    }
}
