//! Stores the offsets of a group.

use crate::wire::Uuid;

api! {
    OffsetCommitRequest(key 8, versions 0..=10, flexible 8..) -> OffsetCommitResponse;

    /// Asks the coordinator to store offsets.
    struct OffsetCommitRequest {
        0..   => group_id: String,
        1..   => generation_id_or_member_epoch: i32 where ignorable = -1,
        1..   => member_id: String where ignorable,
        7..   => group_instance_id: Option<String>,
        /// -1 leaves it to the broker.
        2..=4 => retention_time_ms: i64 where ignorable = -1,
        0..   => topics: Vec<OffsetCommitRequestTopic>,
    }

    struct OffsetCommitRequestTopic {
        0..=9 => name: String where ignorable,
        10..  => topic_id: Uuid where ignorable,
        0..   => partitions: Vec<OffsetCommitRequestPartition>,
    }

    struct OffsetCommitRequestPartition {
        0.. => partition_index: i32,
        0.. => committed_offset: i64,
        6.. => committed_leader_epoch: i32 where ignorable = -1,
        1   => commit_timestamp: i64 = -1,
        /// Whatever the client wants to keep with the offset.
        0.. => committed_metadata: Option<String>,
    }

    /// What became of each.
    struct OffsetCommitResponse {
        3.. => throttle_time_ms: i32 where ignorable,
        0.. => topics: Vec<OffsetCommitResponseTopic>,
    }

    struct OffsetCommitResponseTopic {
        0..=9 => name: String where ignorable,
        10..  => topic_id: Uuid where ignorable,
        0..   => partitions: Vec<OffsetCommitResponsePartition>,
    }

    struct OffsetCommitResponsePartition {
        0.. => partition_index: i32,
        0.. => error_code: i16,
    }
}
