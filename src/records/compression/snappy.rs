//! snappy, in the framing of the xerial library that Kafka uses, or raw.

use super::Output;
use crate::records::RecordsError;

const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";

/// The magic, a version and a compatible version.
const HEADER: usize = 16;

const MALFORMED: RecordsError = RecordsError::Corrupt("its snappy data are malformed or cut off");

#[derive(Default)]
pub(super) struct Decoder(snap::raw::Decoder);

impl Decoder {
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<(), RecordsError> {
        if !input.starts_with(MAGIC) {
            return self.block(input, output);
        }
        let mut rest = input.get(HEADER..).ok_or(MALFORMED)?;
        while let Some((length, data)) = rest.split_first_chunk::<4>() {
            // A stream that was appended to begins with its magic again, whose first bytes are no length.
            if rest.starts_with(MAGIC) {
                rest = rest.get(HEADER..).ok_or(MALFORMED)?;
                continue;
            }
            let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| MALFORMED)?;
            let (block, after) = data.split_at_checked(length).ok_or(MALFORMED)?;
            self.block(block, output)?;
            rest = after;
        }
        if rest.is_empty() { Ok(()) } else { Err(MALFORMED) }
    }

    fn block(&mut self, block: &[u8], output: &mut Output<'_>) -> Result<(), RecordsError> {
        let length = snap::raw::decompress_len(block).map_err(|_| MALFORMED)?;
        // Snappy shrinks no more than to a twentieth or so: a claim beyond that costs no memory.
        if length > block.len().saturating_mul(64) {
            return Err(MALFORMED);
        }
        let room = output.room(length)?;
        let n = self.0.decompress(block, room).map_err(|_| MALFORMED)?;
        output.advance(n);
        Ok(())
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}
