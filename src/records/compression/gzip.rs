//! gzip, with several members one after the other if need be.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::Output;
use crate::records::RecordsError;

pub(super) fn decompress(input: &[u8], output: &mut Output<'_>) -> Result<(), RecordsError> {
    let mut decoder = MultiGzDecoder::new(input);
    loop {
        let room = match output.room(1) {
            Ok(room) => room,
            // The limit is reached, which is fine if this is the end.
            Err(error) => {
                return if matches!(decoder.read(&mut [0]), Ok(0)) { Ok(()) } else { Err(error) };
            }
        };
        match decoder.read(room) {
            Ok(0) => return Ok(()),
            Ok(n) => output.advance(n),
            Err(_) => return Err(RecordsError::Corrupt("its gzip data are malformed or cut off")),
        }
    }
}
