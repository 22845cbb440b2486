//! What a batch holds, compressed or not.

use std::sync::Arc;

use kafka_blocking::records::{
    BatchHeader, BatchWalk, Chunk, ChunkPool, Decompressor, RecordsError,
};

/// A batch that is well-formed but for its checksum, which is not looked at.
pub(crate) struct Unpacked {
    pub(crate) header: BatchHeader,
    pub(crate) records: Vec<UnpackedRecord>,
}

/// One record.
pub(crate) struct UnpackedRecord {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
}

/// No test has more in one batch.
const LARGEST: usize = 256 << 20;

/// Takes a batch apart.
pub(crate) fn unpack(batch: &[u8]) -> Result<Unpacked, RecordsError> {
    let chunk = Arc::new(Chunk::from(batch.to_vec()));
    let mut decompressor = Decompressor::new(ChunkPool::new(0), LARGEST);
    let mut walk = BatchWalk::open(&chunk, 0, &Arc::from(""), 0, false, &mut decompressor)?;
    let mut records = Vec::new();
    while let Some(record) = walk.next_ref()? {
        records.push(UnpackedRecord {
            offset: record.offset(),
            timestamp: record.timestamp(),
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
        });
    }
    Ok(Unpacked { header: *walk.header(), records })
}
