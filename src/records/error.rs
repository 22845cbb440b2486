//! What can be wrong with records.

/// Why a batch cannot be read; its topic, partition and offset are added where they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// The bytes contradict the format, or their checksum.
    #[error("{0}")]
    Corrupt(&'static str),
    /// The codec is unknown, or was left out of this build.
    #[error("codec {0} is not supported")]
    UnsupportedCodec(u8),
    /// Decompressed, the batch is larger than is allowed.
    #[error("larger than is allowed when decompressed")]
    TooLarge,
}
