//! Zstandard: one context that is used again, a decode that continues when the output grows.

use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use super::{super::error::corrupt, Output, RecordsError};

/// What Kafka's Java client decodes, 128 MiB; more would be memory on the word of the sender.
const MAX_WINDOW_LOG: u32 = 27;
/// What honest producers need at their usual levels, 8 MiB, however small the limit of the output is.
const MIN_WINDOW_LOG: u32 = 23;

pub(super) struct Zstd {
    context: DCtx<'static>,
    max_window_log: u32,
}

impl Zstd {
    pub(super) fn new(limit: usize) -> Self {
        let max_window_log =
            (usize::BITS - limit.leading_zeros()).clamp(MIN_WINDOW_LOG, MAX_WINDOW_LOG);
        Self { context: DCtx::create(), max_window_log }
    }

    pub(super) fn decompress(
        &mut self,
        packed: &[u8],
        out: &mut Output<'_>,
    ) -> Result<(), RecordsError> {
        let prepared = self.context.reset(ResetDirective::SessionOnly).and_then(|_| {
            self.context.set_parameter(DParameter::WindowLogMax(self.max_window_log))
        });
        if prepared.is_err() {
            return corrupt("zstd: the decoder does not accept its settings");
        }
        let mut input = InBuffer::around(packed);
        loop {
            let read_before = input.pos();
            let mut output = OutBuffer::around(out.space()?);
            let Ok(missing) = self.context.decompress_stream(&mut output, &mut input) else {
                return corrupt(
                    "zstd: the frame is malformed, needs a dictionary, or a window that is too large",
                );
            };
            let written = output.pos();
            out.advance(written)?;
            let at_end = input.pos() == packed.len();
            if missing == 0 && at_end {
                return Ok(());
            }
            if written == 0 && input.pos() == read_before {
                return corrupt("zstd: the frame is cut off");
            }
        }
    }
}

pub(super) fn compress(plain: &[u8]) -> Result<Vec<u8>, RecordsError> {
    // A stream states no content size, as that of Java does not.
    match zstd::stream::encode_all(plain, zstd::DEFAULT_COMPRESSION_LEVEL) {
        Ok(packed) => Ok(packed),
        Err(_) => corrupt("zstd: compression failed"),
    }
}
