//! What a member wants to consume: the bytes in JoinGroup.

use super::{decode_versioned, encode_versioned};
use crate::wire::{DecodeError, EncodeError};

message! {
    ConsumerProtocolSubscription(versions 0..=3);

    /// The topics of one member, and what it owned before.
    struct ConsumerProtocolSubscription {
        0.. => topics: Vec<String>,
        0.. => user_data: Option<Vec<u8>>,
        1.. => owned_partitions: Vec<TopicPartition> where ignorable,
        2.. => generation_id: i32 where ignorable = -1,
        3.. => rack_id: Option<String> where ignorable,
    }

    struct TopicPartition {
        1.. => topic: String,
        1.. => partitions: Vec<i32>,
    }
}

impl ConsumerProtocolSubscription {
    /// The bytes, with their version before them.
    pub fn to_bytes(&self, version: i16) -> Result<Vec<u8>, EncodeError> {
        encode_versioned(&SCHEMA, version, self)
    }

    /// Reads the bytes, whatever their version: what newer versions add stands behind what is known here.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_versioned(&SCHEMA, bytes)
    }
}
