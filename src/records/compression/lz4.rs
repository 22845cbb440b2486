//! LZ4 frames: walked here, so that their blocks are decoded straight into the output.
//!
//! Checksums inside of frames are stepped over: the batch's CRC-32C covers all of it, and old clients wrote wrong
//! header checksums. Frames of dependent blocks, which Java refuses, go through the C library's frame decoder.

use std::io::{Read as _, Write as _};

use lz4::{BlockMode, BlockSize, ContentChecksum, EncoderBuilder, block, liblz4::BlockChecksum};

use super::{super::error::corrupt, Output, RecordsError};

const MAGIC: u32 = 0x184d_2204;
/// Frames of this magic, or one of the 15 above it, hold something for others and are to be skipped.
const SKIPPABLE: u32 = 0x184d_2a50;
/// Set in a block's length when the block is not compressed.
const STORED: u32 = 1 << 31;

pub(super) fn decompress(packed: &[u8], out: &mut Output<'_>) -> Result<(), RecordsError> {
    let mut rest = packed;
    loop {
        rest = frame(rest, out)?;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// Unpacks one frame, and gives what follows it.
fn frame<'p>(packed: &'p [u8], out: &mut Output<'_>) -> Result<&'p [u8], RecordsError> {
    let mut rest = packed;
    let magic = word(&mut rest)?;
    if magic & !15 == SKIPPABLE {
        let len = word(&mut rest)? as usize;
        take(&mut rest, len)?;
        return Ok(rest);
    }
    if magic != MAGIC {
        return corrupt("lz4: this is not a frame");
    }
    let header = FrameHeader::read(&mut rest)?;
    let start = out.len();
    loop {
        let length = word(&mut rest)?;
        if length == 0 {
            break;
        }
        let block = take(&mut rest, (length & !STORED) as usize)?;
        if header.block_checksums {
            take(&mut rest, 4)?;
        }
        if header.linked {
            continue;
        }
        if length & STORED != 0 {
            out.extend_from_slice(block)?;
        } else {
            decode_block(block, header.max_block, out)?;
        }
    }
    if header.content_checksum {
        take(&mut rest, 4)?;
    }
    if header.linked {
        linked(&packed[..packed.len() - rest.len()], out)?;
    }
    if header.content_size.is_some_and(|size| size != (out.len() - start) as u64) {
        return corrupt("lz4: a frame's contents have not the size that it states");
    }
    Ok(rest)
}

fn decode_block(block: &[u8], max_block: usize, out: &mut Output<'_>) -> Result<(), RecordsError> {
    // No byte of LZ4 gives more than 255.
    let wanted = block.len().saturating_mul(255).min(max_block);
    let limit = out.limit();
    let space = out.space_for(wanted)?;
    let room = space.len().min(wanted);
    // `room` is at most 4 MiB.
    match block::decompress_to_buffer(block, Some(room as i32), space) {
        Ok(written) => out.advance(written),
        Err(_) if room < wanted => Err(RecordsError::TooLarge(limit)),
        Err(_) => corrupt("lz4: the compressed bytes of a block are malformed"),
    }
}

/// A frame whose blocks refer to the ones before them.
fn linked(frame: &[u8], out: &mut Output<'_>) -> Result<(), RecordsError> {
    let Ok(mut decoder) = lz4::Decoder::new(frame) else {
        return corrupt("lz4: the frame's header is malformed");
    };
    loop {
        match decoder.read(out.space()?) {
            Ok(0) => break,
            Ok(written) => out.advance(written)?,
            Err(_) => return corrupt("lz4: the compressed bytes of a frame are malformed"),
        }
    }
    match decoder.finish().1 {
        Ok(()) => Ok(()),
        Err(_) => corrupt("lz4: the frame is cut off"),
    }
}

struct FrameHeader {
    linked: bool,
    block_checksums: bool,
    content_checksum: bool,
    content_size: Option<u64>,
    max_block: usize,
}

impl FrameHeader {
    fn read(rest: &mut &[u8]) -> Result<Self, RecordsError> {
        let &[flags, block_descriptor] = take(rest, 2)? else { return corrupt("lz4: cut off") };
        if flags >> 6 != 1 {
            return corrupt("lz4: the version of the frame is unknown");
        }
        if flags & 1 != 0 {
            return corrupt("lz4: the frame needs a dictionary");
        }
        let max_block = match block_descriptor >> 4 & 7 {
            size @ 4..=7 => 1 << (8 + 2 * size),
            _ => return corrupt("lz4: the block size of the frame is unknown"),
        };
        let content_size = if flags & 8 == 0 {
            None
        } else {
            let size = take(rest, 8)?;
            Some(u64::from_le_bytes(std::array::from_fn(|i| size[i])))
        };
        take(rest, 1)?; // the header's checksum
        Ok(Self {
            linked: flags & 32 == 0,
            block_checksums: flags & 16 != 0,
            content_checksum: flags & 4 != 0,
            content_size,
            max_block,
        })
    }
}

fn word(rest: &mut &[u8]) -> Result<u32, RecordsError> {
    let bytes = take(rest, 4)?;
    Ok(u32::from_le_bytes(std::array::from_fn(|i| bytes[i])))
}

fn take<'p>(rest: &mut &'p [u8], len: usize) -> Result<&'p [u8], RecordsError> {
    let Some((taken, after)) = rest.split_at_checked(len) else {
        return corrupt("lz4: the frame is cut off");
    };
    *rest = after;
    Ok(taken)
}

pub(super) fn compress(plain: &[u8]) -> Result<Vec<u8>, RecordsError> {
    // What Java reads: independent blocks of 64 KiB without checksums.
    let encoder = EncoderBuilder::new()
        .block_mode(BlockMode::Independent)
        .block_size(BlockSize::Max64KB)
        .block_checksum(BlockChecksum::NoBlockChecksum)
        .checksum(ContentChecksum::NoChecksum)
        .build(Vec::new());
    let packed = encoder.and_then(|mut encoder| {
        encoder.write_all(plain)?;
        let (packed, result) = encoder.finish();
        result.map(|()| packed)
    });
    match packed {
        Ok(packed) => Ok(packed),
        Err(_) => corrupt("lz4: compression failed"),
    }
}
