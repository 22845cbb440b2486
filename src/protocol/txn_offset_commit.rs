//! Stores the offsets of a group with a transaction.

use crate::wire::Uuid;

api! {
    TxnOffsetCommitRequest(key 28, versions 0..=6, flexible 3..) -> TxnOffsetCommitResponse;

    /// Asks the coordinator of the group to store offsets once the transaction is committed.
    struct TxnOffsetCommitRequest {
        0.. => transactional_id: String,
        0.. => group_id: String,
        0.. => producer_id: i64,
        0.. => producer_epoch: i16,
        3.. => generation_id_or_member_epoch: i32 = -1,
        3.. => member_id: String,
        3.. => group_instance_id: Option<String>,
        0.. => topics: Vec<TxnOffsetCommitRequestTopic>,
    }

    struct TxnOffsetCommitRequestTopic {
        0..=5 => name: String where ignorable,
        6..   => topic_id: Uuid where ignorable,
        0..   => partitions: Vec<TxnOffsetCommitRequestPartition>,
    }

    struct TxnOffsetCommitRequestPartition {
        0.. => partition_index: i32,
        0.. => committed_offset: i64,
        2.. => committed_leader_epoch: i32 where ignorable = -1,
        0.. => committed_metadata: Option<String>,
    }

    /// What became of each.
    struct TxnOffsetCommitResponse {
        0.. => throttle_time_ms: i32,
        0.. => topics: Vec<TxnOffsetCommitResponseTopic>,
    }

    struct TxnOffsetCommitResponseTopic {
        0..=5 => name: String where ignorable,
        6..   => topic_id: Uuid where ignorable,
        0..   => partitions: Vec<TxnOffsetCommitResponsePartition>,
    }

    struct TxnOffsetCommitResponsePartition {
        0.. => partition_index: i32,
        0.. => error_code: i16,
    }
}
