//! LZ4 frames: walked here, so that their blocks are decoded straight into memory that is used again.

use std::io::Read;

use super::Output;
use crate::records::RecordsError;

const MALFORMED: RecordsError = RecordsError::Corrupt("its lz4 data are malformed or cut off");

const MAGIC: &[u8; 4] = &0x184D_2204_u32.to_le_bytes();

/// What a frame's flags say.
struct Frame {
    independent: bool,
    block_checksums: bool,
    content_checksum: bool,
    block_max: usize,
}

pub(super) fn decompress(input: &[u8], output: &mut Output<'_>) -> Result<(), RecordsError> {
    let mut rest = input;
    while !rest.is_empty() {
        let (frame, body) = header(rest)?;
        rest =
            if frame.independent { blocks(&frame, body, output)? } else { linked(rest, output)? };
    }
    Ok(())
}

/// Reads a frame's header. Its checksum is left out: the batch has one that covers more.
fn header(input: &[u8]) -> Result<(Frame, &[u8]), RecordsError> {
    let rest = input.strip_prefix(MAGIC).ok_or(MALFORMED)?;
    let &[flags, descriptor, ref rest @ ..] = rest else { return Err(MALFORMED) };
    if flags >> 6 != 1 {
        return Err(MALFORMED);
    }
    let block_max = match (descriptor >> 4) & 7 {
        4 => 64 << 10,
        5 => 256 << 10,
        6 => 1 << 20,
        7 => 4 << 20,
        _ => return Err(MALFORMED),
    };
    let content_size = if flags & 8 != 0 { 8 } else { 0 };
    let dictionary = if flags & 1 != 0 { 4 } else { 0 };
    let rest = rest.get(content_size + dictionary + 1..).ok_or(MALFORMED)?;
    let frame = Frame {
        independent: flags & 32 != 0,
        block_checksums: flags & 16 != 0,
        content_checksum: flags & 4 != 0,
        block_max,
    };
    Ok((frame, rest))
}

/// Decodes the blocks of a frame; gives what follows it.
fn blocks<'a>(
    frame: &Frame,
    mut rest: &'a [u8],
    output: &mut Output<'_>,
) -> Result<&'a [u8], RecordsError> {
    loop {
        let (size, data) = rest.split_first_chunk::<4>().ok_or(MALFORMED)?;
        let size = u32::from_le_bytes(*size);
        if size == 0 {
            let checksum = if frame.content_checksum { 4 } else { 0 };
            return data.get(checksum..).ok_or(MALFORMED);
        }
        let (stored, length) = (size >> 31 != 0, (size & 0x7fff_ffff) as usize);
        let (block, after) = data.split_at_checked(length).ok_or(MALFORMED)?;
        if stored {
            output.room(length)?[..length].copy_from_slice(block);
            output.advance(length);
        } else {
            decode_block(block, frame.block_max, output)?;
        }
        rest = after.get(if frame.block_checksums { 4 } else { 0 }..).ok_or(MALFORMED)?;
    }
}

fn decode_block(
    block: &[u8],
    block_max: usize,
    output: &mut Output<'_>,
) -> Result<(), RecordsError> {
    // A byte of LZ4 stands for 255 at most.
    let most = block_max.min(block.len().saturating_mul(255));
    let (room, limited) = match output.room(most) {
        Ok(room) => (room, false),
        // Near the limit there is room for less than the most that it could be.
        Err(_) => (output.room(1)?, true),
    };
    let most = most.min(room.len());
    let size = i32::try_from(most).map_err(|_| MALFORMED)?;
    match lz4::block::decompress_to_buffer(block, Some(size), &mut room[..most]) {
        Ok(n) => output.advance(n),
        Err(_) if limited => return Err(RecordsError::TooLarge),
        Err(_) => return Err(MALFORMED),
    }
    Ok(())
}

/// A frame whose blocks refer to the ones before, which Kafka's own clients do not write: left to the library.
fn linked<'a>(input: &'a [u8], output: &mut Output<'_>) -> Result<&'a [u8], RecordsError> {
    let mut decoder = lz4::Decoder::new(input).map_err(|_| MALFORMED)?;
    loop {
        let n = match output.room(1) {
            Ok(room) => decoder.read(room).map_err(|_| MALFORMED)?,
            Err(error) => match decoder.read(&mut [0]) {
                Ok(0) => 0,
                _ => return Err(error),
            },
        };
        if n == 0 {
            let (rest, result) = decoder.finish();
            return result.map(|()| rest).map_err(|_| MALFORMED);
        }
        output.advance(n);
    }
}
