//! Snappy: raw, or in the framing of the xerial library, which Kafka's Java clients write.

use snap::raw::{Decoder, Encoder, decompress_len};

use super::{super::error::corrupt, Output, RecordsError};

const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
/// Magic, version and lowest compatible version.
const FRAMING_HEADER: usize = 16;
const BLOCK: usize = 32 << 10;
/// Three bytes of Snappy give at most 64: what claims more than this many for each is not honest.
const MAX_RATIO: usize = 22;

#[derive(Default)]
pub(super) struct Snappy {
    decoder: Decoder,
}

impl Snappy {
    pub(super) fn decompress(
        &mut self,
        packed: &[u8],
        out: &mut Output<'_>,
    ) -> Result<(), RecordsError> {
        if !packed.starts_with(MAGIC) {
            return self.block(packed, out);
        }
        let mut rest = packed;
        while !rest.is_empty() {
            // A stream may be several that were put together, each with a header of its own.
            if rest.starts_with(MAGIC) {
                let Some(after) = rest.get(FRAMING_HEADER..) else {
                    return corrupt("snappy: the framing's header is cut off");
                };
                rest = after;
                continue;
            }
            let Some((len, after)) = rest.split_first_chunk() else {
                return corrupt("snappy: the length of a block is cut off");
            };
            let len = u32::from_be_bytes(*len) as usize;
            let Some((block, after)) = after.split_at_checked(len) else {
                return corrupt("snappy: a block is longer than the batch");
            };
            self.block(block, out)?;
            rest = after;
        }
        Ok(())
    }

    fn block(&mut self, packed: &[u8], out: &mut Output<'_>) -> Result<(), RecordsError> {
        let Ok(claimed) = decompress_len(packed) else {
            return corrupt("snappy: the length of a block's contents is malformed");
        };
        if claimed > packed.len().saturating_mul(MAX_RATIO) {
            return corrupt("snappy: a block claims more contents than it can hold");
        }
        let limit = out.limit();
        let Some(space) = out.space_for(claimed)?.get_mut(..claimed) else {
            return Err(RecordsError::TooLarge(limit));
        };
        match self.decoder.decompress(packed, space) {
            Ok(written) => out.advance(written),
            Err(_) => corrupt("snappy: the compressed bytes are malformed"),
        }
    }
}

pub(super) fn compress(plain: &[u8]) -> Result<Vec<u8>, RecordsError> {
    let mut packed = MAGIC.to_vec();
    packed.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let mut encoder = Encoder::new();
    for block in plain.chunks(BLOCK) {
        let Ok(block) = encoder.compress_vec(block) else {
            return corrupt("snappy: compression failed");
        };
        packed.extend_from_slice(&(block.len() as u32).to_be_bytes());
        packed.extend_from_slice(&block);
    }
    Ok(packed)
}
