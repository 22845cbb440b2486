//! What the assignor `sticky` tells of its member: the user data in a subscription.

use super::decode_versioned;
use crate::wire::{DecodeError, EncodeError, Reader, Wire, Writer};

message! {
    StickyAssignorUserData(versions 0..=1);

    /// What the member had.
    struct StickyAssignorUserData {
        0.. => previous_assignment: Vec<TopicPartition>,
        1.. => generation: i32 = -1,
    }

    struct TopicPartition {
        0.. => topic: String,
        0.. => partitions: Vec<i32>,
    }
}

impl StickyAssignorUserData {
    /// The bytes of version 1. No version stands before them.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::new();
        self.encode(&mut Writer::new(&mut bytes, 1, false))?;
        Ok(bytes)
    }

    /// Reads the bytes: of version 1, of 0 where they end before the generation, or with their version before them, as
    /// release 3.0 of kafka-python writes them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let of = |version| Self::decode(&mut Reader::new(bytes, version, false));
        of(1).or_else(|_| of(0)).or_else(|_| decode_versioned(&SCHEMA, bytes))
    }
}
