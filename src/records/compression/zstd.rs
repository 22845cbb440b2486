//! zstd, with a context that is kept. Frames mostly do not say how large they become: the output grows.

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::Output;
use crate::records::RecordsError;

/// The largest window that a frame may ask memory for, as a power of two: what zstd's own tools allow, 128 MiB.
const WINDOW_LOG_MAX: u32 = 27;

const MALFORMED: RecordsError = RecordsError::Corrupt("its zstd data are malformed or cut off");

pub(super) struct Context(Decoder<'static>);

impl Context {
    /// The context, made when it is first needed.
    pub(super) fn kept(slot: &mut Option<Self>) -> Result<&mut Self, RecordsError> {
        let unavailable = |_| RecordsError::Corrupt("there is no memory to decompress zstd");
        if slot.is_none() {
            let mut decoder = Decoder::new().map_err(unavailable)?;
            decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(unavailable)?;
            *slot = Some(Self(decoder));
        }
        slot.as_mut().ok_or(RecordsError::UnsupportedCodec(4))
    }

    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<(), RecordsError> {
        self.0.reinit().map_err(|_| MALFORMED)?;
        let mut input = InBuffer::around(input);
        loop {
            let mut over = [0];
            let (room, limited) = match output.room(1) {
                Ok(room) => (room, None),
                Err(error) => (&mut over[..], Some(error)),
            };
            let mut out = OutBuffer::around(room);
            let hint = self.0.run(&mut input, &mut out).map_err(|_| MALFORMED)?;
            let n = out.pos();
            match limited {
                Some(error) if n > 0 => return Err(error),
                _ => output.advance(n),
            }
            let at_end = input.pos() == input.src.len();
            match (hint, at_end) {
                (0, true) => return Ok(()),
                // All is read, and nothing came of it: the frame is not complete.
                (_, true) if n == 0 => return Err(MALFORMED),
                _ => {}
            }
        }
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context")
    }
}
