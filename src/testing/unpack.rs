//! What a batch holds, compressed or not.

use std::sync::Arc;

use crate::records::{BatchWalk, Chunk, ChunkPool, Decompressor, RecordsError};

/// One record.
pub(crate) struct Unpacked {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    #[cfg(test)]
    pub(crate) value: Option<Vec<u8>>,
}

/// No test has more in one batch.
const LARGEST: usize = 256 << 20;

/// Takes a batch apart, whose checksum is not looked at.
pub(crate) fn unpack(batch: &[u8]) -> Result<Vec<Unpacked>, RecordsError> {
    let chunk = Arc::new(Chunk::from(batch.to_vec()));
    let mut decompressor = Decompressor::new(ChunkPool::new(0), LARGEST);
    let mut walk = BatchWalk::open(&chunk, 0, &Arc::from(""), 0, false, &mut decompressor)?;
    let mut records = Vec::new();
    while let Some(record) = walk.next_ref()? {
        records.push(Unpacked {
            offset: record.offset(),
            timestamp: record.timestamp(),
            #[cfg(test)]
            value: record.value().map(<[u8]>::to_vec),
        });
    }
    Ok(records)
}
