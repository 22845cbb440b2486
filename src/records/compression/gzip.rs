//! gzip: one member or several, with one inflating state that is used again.

use std::io::Write as _;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{super::error::corrupt, Output, RecordsError};

const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;

pub(super) struct Gzip {
    state: Decompress,
}

impl Default for Gzip {
    fn default() -> Self {
        Self { state: Decompress::new(false) }
    }
}

impl Gzip {
    pub(super) fn decompress(
        &mut self,
        mut packed: &[u8],
        out: &mut Output<'_>,
    ) -> Result<(), RecordsError> {
        loop {
            let Some(body) = skip_header(packed) else {
                return corrupt("gzip: the header of a member is malformed");
            };
            let start = out.len();
            let trailer = self.inflate(body, out)?;
            packed = check_trailer(trailer, out.written_from(start))?;
            if packed.is_empty() {
                return Ok(());
            }
        }
    }

    /// Unpacks one deflate stream; what follows it is given back.
    fn inflate<'p>(
        &mut self,
        mut packed: &'p [u8],
        out: &mut Output<'_>,
    ) -> Result<&'p [u8], RecordsError> {
        self.state.reset(false);
        loop {
            let (read_before, written_before) = (self.state.total_in(), self.state.total_out());
            let space = out.space()?;
            let Ok(status) = self.state.decompress(packed, space, FlushDecompress::None) else {
                return corrupt("gzip: the compressed bytes are malformed");
            };
            let read = (self.state.total_in() - read_before) as usize;
            let written = (self.state.total_out() - written_before) as usize;
            packed = &packed[read..];
            out.advance(written)?;
            match status {
                Status::StreamEnd => return Ok(packed),
                _ if read == 0 && written == 0 => return corrupt("gzip: the stream is cut off"),
                _ => {}
            }
        }
    }
}

/// What follows a member's header; `None` when it is not one.
fn skip_header(packed: &[u8]) -> Option<&[u8]> {
    let [0x1f, 0x8b, 8, flags, _, _, _, _, _, _, rest @ ..] = packed else { return None };
    let mut rest = rest;
    if flags & FEXTRA != 0 {
        let (len, after) = rest.split_first_chunk()?;
        rest = after.get(usize::from(u16::from_le_bytes(*len))..)?;
    }
    for text in [FNAME, FCOMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & FHCRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

/// Compares what was written with the checksum and length behind a member, and gives what follows them.
fn check_trailer<'p>(packed: &'p [u8], written: &[u8]) -> Result<&'p [u8], RecordsError> {
    let Some((trailer, rest)) = packed.split_first_chunk::<8>() else {
        return corrupt("gzip: the stream is cut off");
    };
    let [c0, c1, c2, c3, l0, l1, l2, l3] = *trailer;
    let mut crc = Crc::new();
    crc.update(written);
    if crc.sum() != u32::from_le_bytes([c0, c1, c2, c3])
        || crc.amount() != u32::from_le_bytes([l0, l1, l2, l3])
    {
        return corrupt("gzip: the checksum or length of a member is wrong");
    }
    Ok(rest)
}

pub(super) fn compress(plain: &[u8]) -> Result<Vec<u8>, RecordsError> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    match encoder.write_all(plain).and_then(|()| encoder.finish()) {
        Ok(packed) => Ok(packed),
        Err(_) => corrupt("gzip: compression failed"),
    }
}
