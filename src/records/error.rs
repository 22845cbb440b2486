//! What can be wrong with a batch of records; topic, partition and offset are added by the fetcher.

use super::Codec;

/// Why a batch, or a record in it, cannot be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// The bytes are not what Kafka's format allows.
    #[error("corrupt batch: {0}")]
    Corrupt(&'static str),

    /// The batch's checksum does not fit its bytes.
    #[error(
        "corrupt batch: its CRC-32C is {computed:#010x}, its header says {stated:#010x} \
         (check_crcs = false reads it all the same)"
    )]
    WrongCrc {
        /// What the header says.
        stated: u32,
        /// What the bytes give.
        computed: u32,
    },

    /// A message format that this client does not read.
    #[error("message format {0} is not supported, only format 2 is (Kafka 0.11 and later)")]
    UnsupportedMagic(i8),

    /// A codec that this build does not have: the number in the batch's attributes.
    #[error("{}", unsupported(*.0))]
    UnsupportedCodec(u8),

    /// The batch holds more than this many bytes once decompressed.
    #[error("the batch has more than {0} bytes when decompressed, which is the limit that was set")]
    TooLarge(usize),
}

fn unsupported(id: u8) -> String {
    match Codec::from_id(id) {
        Some(codec) => format!(
            "the batch is compressed with {codec}, and this build has it switched off: \
             enable the crate's feature `{codec}`"
        ),
        None => format!("the batch is compressed with codec {id}, which this client does not know"),
    }
}

/// A corrupt batch; apart, so that the hot path stays short.
#[cold]
pub(super) fn corrupt<T>(reason: &'static str) -> Result<T, RecordsError> {
    Err(RecordsError::Corrupt(reason))
}
