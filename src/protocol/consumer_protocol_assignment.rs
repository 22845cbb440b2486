//! What a member is to consume: the bytes in SyncGroup.

use super::{decode_versioned, encode_versioned};
use crate::wire::{DecodeError, EncodeError};

message! {
    ConsumerProtocolAssignment(versions 0..=3);

    /// The partitions of one member.
    struct ConsumerProtocolAssignment {
        0.. => assigned_partitions: Vec<TopicPartition>,
        0.. => user_data: Option<Vec<u8>>,
    }

    struct TopicPartition {
        0.. => topic: String,
        0.. => partitions: Vec<i32>,
    }
}

impl ConsumerProtocolAssignment {
    /// The bytes, with their version before them.
    pub fn to_bytes(&self, version: i16) -> Result<Vec<u8>, EncodeError> {
        encode_versioned(&SCHEMA, version, self)
    }

    /// Reads the bytes, whatever their version: what newer versions add stands behind what is known here.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_versioned(&SCHEMA, bytes)
    }
}
